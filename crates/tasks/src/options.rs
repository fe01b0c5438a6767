//! [`TaskOptions`]: the keys of `[task]` that every task reads.

use std::path::PathBuf;

use nystromformer_data::DataError;
use serde::{Deserialize, Serialize};

use crate::class_weights::{ClassWeights, Sampling};
use crate::metrics::Metric;
use crate::objective::TaskObjective;
use crate::too_long::TooLong;

/// Parts of the data, each of which a run is tested on.
const MOST_FOLDS: usize = 10_000;

/// The keys of `[task]` that every task reads: which data set, and how its examples become batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskOptions {
    /// Which task. Default: `"labelled"`.
    pub name: String,
    /// The folder of its files; of `labelled` also a single file, to train on. Default: the task's own below `datasets/`.
    pub path: Option<PathBuf>,
    /// What is learned: `"labels"`, or `"masked_inputs"`, with which a task of symbols, bytes or pixels learns its own training inputs
    /// without labels, for another run to start from by `model.init_from`. Default: `"labels"`.
    pub objective: TaskObjective,
    /// With `objective = "masked_inputs"`: share of the inputs that are hidden, of which 80 % become the mask, 10 % a random input, and
    /// 10 % stay. Default: the task's, 0.1 of symbols, 0.15 of bytes, 0.5 of pixels.
    pub mlm_probability: Option<f64>,
    /// Share of the training examples held out for validation where a data set has no validation split; in [0, 1). 0: none,
    /// all of them are trained on, and the model of the last step is the run's. Default: 0.05.
    pub validation_fraction: f64,
    /// Seed of every split and sample that is drawn here, so that runs of different `seed` can be compared. Default: 0.
    pub split_seed: u64,
    /// Rows are padded to the longest of their batch, and further to a multiple of this (Hugging Face's word). Default: 1.
    pub pad_to_multiple_of: usize,
    /// Make batches of examples of about the same length, where padding changes no result (`semantics = "paper"`; elsewhere
    /// it is not read, and a warning says so). Which examples share a step, and so the training, is another one then.
    /// Default: false.
    pub group_by_length: bool,
    /// Which end of a sequence longer than `data.seq_len` is kept, or both: `"head"`, `"tail"` or `"head_tail"`; or `"windows"`, all
    /// of a text is read, in overlapping windows (of `labelled` and `imdb`, but for pairs). Default: of texts as the start model
    /// read them, or as the `truncation_side` of their tokenizer says; otherwise `"head"`, as the Long Range Arena does.
    pub truncation: Option<TooLong>,
    /// Most training examples, [drawn](crate::sample) by `split_seed`; 0 for all. Default: 0.
    pub max_train_samples: usize,
    /// Most examples of each split that is evaluated, drawn likewise; 0 for all. Default: 0.
    pub max_eval_samples: usize,
    /// Validate on the test split, as the authors of the Long Range Arena do for `text`: the best checkpoint is then chosen by
    /// the examples it is tested with. Default: false.
    pub validate_on_test: bool,
    /// Cross-validation: cut the training examples into so many parts, by class, and run the experiment once for each, which is its
    /// test split then; its validation split is held out of the others, if the data has none. A test split of the data's own is not
    /// read. The summary has mean and deviation over the parts. 0: none. Default: 0.
    pub folds: usize,
    /// Of `folds` the part to test on, from 1, if it is to be one alone; 0: each in turn. Default: 0.
    pub fold: usize,
    /// What is measured of classes, labels or numbers, in place of what the task measures; the best checkpoint is chosen by the first,
    /// unless `trainer.metric_for_best_model` names another. Default: what the task measures.
    pub metrics: Vec<Metric>,
    /// Leave out the last validation and test batch if it is not full, as the authors' loaders do. Default: false.
    pub drop_last: bool,
    /// What an answer of each class counts in the loss of training, evaluations excepted: `"none"`, `"balanced"` by how
    /// often each class is a label in training, or a list of a positive number for each class, in the order of the classes.
    /// The mean over a step is `Σ weight · loss / Σ weight`, as PyTorch's `cross_entropy` has it; of tasks in which any
    /// number of classes apply, the weights are PyTorch's `pos_weight`. Default: `"none"`.
    pub class_weights: ClassWeights,
    /// Which training examples a step visits: `"natural"`, each once in an epoch, or `"balanced"`, each class equally often.
    /// Of tasks with one class an example. Default: `"natural"`.
    pub sampling: Sampling,
}

impl Default for TaskOptions {
    fn default() -> Self {
        Self {
            name: "labelled".to_owned(),
            path: None,
            objective: TaskObjective::Labels,
            mlm_probability: None,
            validation_fraction: 0.05,
            split_seed: 0,
            pad_to_multiple_of: 1,
            group_by_length: false,
            truncation: None,
            max_train_samples: 0,
            max_eval_samples: 0,
            validate_on_test: false,
            folds: 0,
            fold: 0,
            metrics: Vec::new(),
            drop_last: false,
            class_weights: ClassWeights::None,
            sampling: Sampling::Natural,
        }
    }
}

impl TaskOptions {
    /// A [`DataError::Config`] for every value that is out of range.
    pub(crate) fn problems(&self) -> Vec<DataError> {
        let mut problems = Vec::new();
        if !(0.0..1.0).contains(&self.validation_fraction) {
            problems.push(DataError::config(
                "task.validation_fraction",
                self.validation_fraction,
                "must be at least 0 and below 1",
            ));
        }
        if self.pad_to_multiple_of == 0 {
            problems.push(DataError::config("task.pad_to_multiple_of", 0, "must be at least 1"));
        }
        problems.extend(self.class_weights.problems());
        let mut refuse =
            |key, value, problem| problems.push(DataError::config(key, value, problem));
        if self.folds == 1 {
            refuse("task.folds", 1, "one part leaves nothing to train on; use 2 or more, or 0");
        }
        if self.folds > MOST_FOLDS {
            refuse("task.folds", self.folds, "is more runs than anybody waits for; at most 10000");
        }
        if self.fold > self.folds {
            refuse("task.fold", self.fold, "is one of `task.folds` parts, from 1");
        }
        if self.folds > 0 && self.validate_on_test {
            refuse(
                "task.folds",
                self.folds,
                "tests on parts of the training examples; leave out `task.validate_on_test`",
            );
        }
        problems
    }
}
