//! What a model learns of the examples of a task, and what is done to these in training.

use nystromformer_data::DataError;
use serde::{Deserialize, Serialize};

use crate::class_weights::{ClassWeights, Sampling};
use crate::options::TaskOptions;
use crate::task::Task;

const OF_LABELS: &str =
    "is of labels, and `task.objective = \"masked_inputs\"` reads none; leave it out";

/// What a model learns of the examples of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskObjective {
    /// Their labels.
    #[default]
    Labels,
    /// The inputs themselves: some are hidden, and predicted from the others. No label is read.
    MaskedInputs,
}

impl TaskObjective {
    /// A [`DataError::Config`] for every key that it does not go with.
    pub(crate) fn problems(self, options: &TaskOptions, task: &dyn Task) -> Vec<DataError> {
        let mut problems = Vec::new();
        let mut refuse = |holds: bool, key, value: &dyn ToString, problem: &str| {
            if !holds {
                problems.push(DataError::config(key, value.to_string(), problem));
            }
        };
        let share = options.mlm_probability;
        let value = share.unwrap_or_default();
        if self == Self::Labels {
            refuse(
                share.is_none(),
                "task.mlm_probability",
                &value,
                "goes with `task.objective = \"masked_inputs\"`; leave it out",
            );
            return problems;
        }
        refuse(
            share.is_none_or(|share| share > 0.0 && share <= 1.0),
            "task.mlm_probability",
            &value,
            "must be above 0 and at most 1",
        );
        refuse(
            task.masked_share().is_some(),
            "task.objective",
            &"masked_inputs",
            "is of tasks of symbols, bytes or pixels; texts with a tokenizer are learned as a corpus (`data.corpus`, without a `[task]`)",
        );
        refuse(options.folds == 0, "task.folds", &options.folds, OF_LABELS);
        refuse(options.metrics.is_empty(), "task.metrics", &options.metrics.len(), OF_LABELS);
        let is_natural = options.sampling == Sampling::Natural;
        refuse(is_natural, "task.sampling", &"balanced", OF_LABELS);
        let is_plain = options.class_weights == ClassWeights::None;
        refuse(is_plain, "task.class_weights", &"weights", OF_LABELS);
        problems
    }
}

/// What is done to the ids of an example each time that it is visited in training. Evaluations read them as they are.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Augmentation {
    /// Share of the ids that are replaced by one that stands for nothing, which no example has.
    pub dropout: f64,
    /// Pixels in a row of the pictures that are mirrored from left to right, half of the time. `None`: examples are no pictures, or are
    /// not mirrored.
    pub flipped_width: Option<usize>,
}
