//! Labels of a whole example: a class, classes, numbers.

use nystromformer_tasks::{Label, Prediction, Targets, WindowPooling};

use super::{Target, UnitOutput};

/// The target of an example with this label; a placeholder of the right kind if it has none.
pub(super) fn target(label: Option<&Label>, targets: &Targets) -> Target {
    match label {
        Some(Label::Class(class)) => Target::Class(*class),
        Some(Label::Value(value)) => Target::Values(Box::new([*value])),
        Some(Label::Values(values)) => Target::Values(values.as_slice().into()),
        Some(Label::Classes(classes)) => {
            let mut applies = vec![0.0; targets.names().len()];
            for class in classes {
                applies[usize::from(*class)] = 1.0;
            }
            Target::Values(applies.into())
        }
        Some(Label::Tags(_) | Label::Answers(_)) | None => match targets {
            Targets::Numbers { .. } | Targets::Columns(_) | Targets::Labels(_) => {
                Target::Values(vec![0.0; targets.names().len()].into())
            }
            Targets::Classes(_) | Targets::Tags(_) | Targets::Choices | Targets::Answers(_) => {
                Target::Class(0)
            }
        },
    }
}

/// What the model says of an example, from all of its units.
pub(super) fn decode(
    units: &[UnitOutput<'_>],
    targets: &Targets,
    pooling: WindowPooling,
) -> Prediction {
    let scores = pooling.pool(units.iter().map(|unit| unit.scores));
    match targets {
        Targets::Numbers { .. } | Targets::Columns(_) => Prediction::Values(scores),
        Targets::Labels(_) => Prediction::any_classes(&scores),
        Targets::Classes(_) | Targets::Tags(_) | Targets::Choices | Targets::Answers(_) => {
            Prediction::one_class(&scores)
        }
    }
}
