//! Does this device compute what the CPU computes?
//!
//! GPU backends compile and tune their kernels on the user's machine, for the sizes they meet, and have been silently wrong
//! there. Before a training that may take days, a model of the run's own sizes goes forwards and backwards and is updated
//! once, with padding and without, on the device and on the CPU.
//!
//! | file | |
//! |---|---|
//! | `sizes` | at which sizes: the run's own, as far as that takes seconds |
//! | `comparison` | of which models: one with scores of tokens, and for classifiers one with a single number a row |
//! | `quantities` | what is compared |
//! | `products` | a linear layer in the run's precision, if that is half |
//!
//! Models are compared in single precision: in half, two correct devices differ by factors that rounded differently.

mod comparison;
mod products;
mod quantities;
mod sizes;

use burn::module::Module;
use burn::tensor::Device;
use nystromformer_kernels::Precision;

use self::comparison::comparisons;
use self::products::products;
use self::quantities::{Group, Quantity, largest, largest_of, quantities};
use self::sizes::Sizes;
use crate::device::DeviceKind;
use crate::error::{LearnerError, Result};
use crate::experiment::Experiment;

/// The largest difference that passes, relative to the largest magnitude of the same quantity.
///
/// Two correct devices differ by rounding; by 4e-4 where one of them derives gelu from its tanh approximation; and by up to
/// 2e-3 where matrix products round their inputs to 10 bits (TF32). A wrong kernel is off by its whole result.
pub const TOLERANCE: f64 = 5e-3;

/// A quantity that is small beside others of its group is measured by this part of the group's largest.
const LEAST_PART: f64 = 0.01;

/// The comparison that came out worst.
#[derive(Debug, Clone, PartialEq)]
pub struct SelfCheckReport {
    /// What was compared, as in `logits of padded rows` or `gradient of
    /// nystromformer.embeddings.word_embeddings.weight (padded rows)`.
    pub quantity: String,
    /// Largest difference over its largest magnitude; for a gradient or an update at least over a hundredth of the model's
    /// largest.
    pub difference: f64,
    /// At which sizes, and which of them are smaller than the run's.
    pub sizes: String,
}

/// Compares losses, logits, all gradients and one update of a Nyströmformer of the run's own sizes on `device`, with padding
/// and without, with the CPU's; and if the run is in half precision, a linear layer in it.
///
/// # Errors
/// [`LearnerError::SelfCheck`] if they differ by more than [`TOLERANCE`], [`LearnerError::Device`]
/// if the device fails to answer.
pub fn self_check(experiment: &Experiment, device: &Device) -> Result<SelfCheckReport> {
    let sizes = Sizes::of(experiment);
    let cpu = Device::flex();
    let kind = experiment.device;
    let optimizer = experiment.optimizer;
    let mut reports = Vec::new();
    for comparison in comparisons(experiment.architecture(), &sizes) {
        let batches = &comparison.batches;
        let model = comparison.model(experiment.seed, &cpu)?;
        let (reference, epsilon) = quantities(&model, batches, optimizer, None, &cpu, kind)?;
        let model = model.fork(&device.clone().autodiff());
        let (found, _) = quantities(&model, batches, optimizer, Some(epsilon), device, kind)?;
        reports.push(judge(kind, &sizes, &reference, &found)?);
    }
    let precision = Precision::from(experiment.trainer.precision);
    if precision != Precision::F32 {
        let of = |device| products(precision, &sizes, device, kind);
        reports.push(judge(kind, &sizes, &of(&cpu)?, &of(device)?)?);
    }
    let worst = |left: &SelfCheckReport, right: &SelfCheckReport| {
        left.difference.total_cmp(&right.difference)
    };
    Ok(reports.into_iter().max_by(worst).expect("scores of tokens are always compared"))
}

fn judge(
    kind: DeviceKind,
    sizes: &Sizes,
    reference: &[Quantity],
    found: &[Quantity],
) -> Result<SelfCheckReport> {
    // A key bias has no gradient (softmax ignores shifts): what there is of it is rounding, on every device another, and is
    // measured by the model's largest gradient instead of by itself.
    let floor = |group: Group| match group {
        Group::Alone => f64::from(f32::MIN_POSITIVE),
        group => LEAST_PART * largest_of(reference, group),
    };
    let report = reference
        .iter()
        .zip(found)
        .map(|(expected, found)| SelfCheckReport {
            quantity: expected.name.clone(),
            difference: relative_difference(&expected.values, &found.values, floor(expected.group)),
            sizes: sizes.to_string(),
        })
        .max_by(|left, right| left.difference.total_cmp(&right.difference))
        .expect("losses and logits are always compared");
    if report.difference <= TOLERANCE {
        return Ok(report);
    }
    Err(LearnerError::SelfCheck {
        device: kind.to_string(),
        quantity: report.quantity,
        difference: report.difference,
        tolerance: TOLERANCE,
    })
}

/// The largest difference over the largest expected magnitude, or over `floor` if that is larger. Not a
/// number if anything is; infinite if the lengths differ.
fn relative_difference(expected: &[f32], found: &[f32], floor: f64) -> f64 {
    if expected.len() != found.len() {
        return f64::INFINITY;
    }
    let scale = f64::from(largest(expected)).max(floor);
    expected.iter().zip(found).fold(0.0, |worst: f64, (expected, found)| {
        let difference = f64::from((expected - found).abs()) / scale;
        if difference.is_nan() || difference > worst { difference } else { worst }
    })
}

#[cfg(test)]
mod tests {
    use nystromformer::Architecture;

    use super::*;

    /// A model that is checked in no time.
    fn experiment() -> Experiment {
        let mut experiment = Experiment { seed: 3, ..Experiment::default() };
        let model = &mut experiment.model;
        model.embeddings.vocab_size = 60;
        model.shared.hidden_size = 8;
        model.encoder.num_hidden_layers = 1;
        model.shared.num_attention_heads = 2;
        model.feed_forward.intermediate_size = 8;
        model.embeddings.max_position_embeddings = 64;
        model.attention.nystrom.num_landmarks = 4;
        model.attention.convolution.conv_kernel_size = 3;
        experiment.data.seq_len = 40;
        experiment
    }

    #[test]
    fn the_cpu_agrees_with_itself_and_is_seeded_by_the_run() {
        let report = self_check(&experiment(), &Device::flex()).unwrap();
        assert!(report.difference < 1e-5, "{report:?}");
        assert_eq!(report.sizes, "width 8, 2 heads, 4 landmarks, length 40");
        let weights = |seed| {
            let experiment = Experiment { seed, ..experiment() };
            reference(&experiment).0
        };
        assert_eq!(weights(3), weights(3));
        assert_ne!(weights(3), weights(4));
    }

    /// Of all models that are compared for a classifier.
    fn reference(experiment: &Experiment) -> (Vec<Quantity>, Sizes) {
        let sizes = Sizes::of(experiment);
        let (device, kind) = (Device::flex(), DeviceKind::Flex);
        let mut found = Vec::new();
        for comparison in comparisons(Architecture::SequenceClassification, &sizes) {
            let model = comparison.model(experiment.seed, &device).unwrap();
            let (batches, optimizer) = (&comparison.batches, experiment.optimizer);
            found.extend(quantities(&model, batches, optimizer, None, &device, kind).unwrap().0);
        }
        (found, sizes)
    }

    /// Of such outputs, `[rows, 1]`, Burn's fusion has computed something else.
    #[test]
    fn a_single_number_of_each_row_is_compared_for_classifiers_alone() {
        let (found, sizes) = reference(&experiment());
        let logits =
            found.iter().find(|found| found.name.starts_with("logits of numbers")).unwrap();
        assert_eq!(logits.values.len(), 2);
        assert!(largest(&logits.values) > 0.01, "{logits:?}");
        assert!(found.iter().any(|found| found.name == "update of classifier.out_proj.weight"));
        let compared = |architecture| comparisons(architecture, &sizes).len();
        assert_eq!(compared(Architecture::SequenceClassification), 2);
        assert_eq!(compared(Architecture::MaskedLm), 1);
    }

    #[test]
    fn one_wrong_number_anywhere_is_named_and_exits_with_eight() {
        let (right, sizes) = reference(&experiment());
        for part in [
            "losses of padded",
            "logits of rows without",
            "losses of numbers",
            "gradient of ",
            "update of ",
        ] {
            assert!(right.iter().any(|quantity| quantity.name.starts_with(part)), "{part}");
        }
        assert!(right.len() > 60, "every parameter's gradients and update are compared");
        for index in 0..right.len() {
            for wrong_value in [f32::NAN, 1e3] {
                let mut wrong = right.clone();
                wrong[index].values[0] = wrong_value;
                let error = judge(DeviceKind::Wgpu, &sizes, &right, &wrong).unwrap_err();
                assert_eq!(error.exit_code(), 8);
                assert!(error.to_string().contains(&right[index].name), "{error}");
            }
        }
    }
}
