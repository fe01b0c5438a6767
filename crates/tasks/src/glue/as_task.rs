//! A task of GLUE as a [`Task`].

use std::path::PathBuf;

use nystromformer_data::DataError;
use serde::{Deserialize, Serialize};

use super::{GlueTask, read};
use crate::example::{ExampleReader, Label};
use crate::labelled::Targets;
use crate::metrics::Metric;
use crate::options::TaskOptions;
use crate::split::Split;
use crate::task::{Task, TaskContext};

/// The keys of `[task]` that the tasks of GLUE read besides those that all tasks read: none.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NoKeys {}

impl Task for GlueTask {
    fn default_path(&self) -> PathBuf {
        PathBuf::from("datasets/glue/data")
    }

    fn problems(&self, _: &TaskOptions) -> Vec<DataError> {
        let cure =
            "it has no training examples: train on `mnli`, and answer it with `predict glue`";
        let problem = DataError::config("task.name", self.name(), cure);
        if *self == Self::Ax { vec![problem] } else { Vec::new() }
    }

    fn targets(&self, _: &TaskContext<'_>) -> Result<Targets, DataError> {
        Ok(self.labels())
    }

    /// Test sets have no labels: they are for `predict glue`, and need not be there to train.
    fn examples(
        &self,
        split: Split,
        _: &Targets,
        context: &TaskContext<'_>,
    ) -> Result<Option<ExampleReader>, DataError> {
        let known = self.splits().contains(&split) && !split.is_test();
        known.then(|| read(*self, context.path, split)).transpose()
    }

    fn metrics(&self, targets: &Targets) -> Vec<Metric> {
        match self {
            Self::Cola => vec![Metric::MatthewsCorrelation, Metric::Accuracy],
            Self::Mrpc | Self::Qqp => vec![Metric::F1, Metric::Accuracy],
            _ if targets.is_regression() => vec![Metric::Pearson, Metric::Spearman],
            _ => vec![Metric::Accuracy],
        }
    }

    /// As GLUE's site wants it: the name of a class for the tasks of inference but WNLI, its number for the others; for
    /// regression the number, brought into 0 to 5.
    fn prediction(&self, label: &Label, targets: &Targets) -> Option<String> {
        match label {
            Label::Value(value) => (targets.is_regression() && !value.is_nan())
                .then(|| value.clamp(0.0, 5.0).to_string()),
            Label::Class(class) => {
                let name = targets.spell(label)?;
                Some(if self.spells_names() { name } else { class.to_string() })
            }
            _ => None,
        }
    }
}

impl GlueTask {
    /// Whether the site wants classes by their names.
    pub(crate) fn spells_names(self) -> bool {
        matches!(self, Self::Mnli | Self::Qnli | Self::Rte | Self::Ax)
    }
}
