//! Which examples train, and which are measured on.

use std::collections::{BTreeMap, btree_map::Entry};
use std::sync::Arc;

use nystromformer_tasks::{Split, hold_out};

use super::config::TaskConfig;
use super::dataset::TaskDataset;
use super::encoded::{EncodedSplit, Form};
use crate::error::{LearnerError, Result};

/// The examples of a task.
#[derive(Debug)]
pub(super) struct Splits {
    pub(super) train: Arc<EncodedSplit>,
    /// The training examples, by their places in `train`: all of it but what is held out.
    pub(super) training_places: Vec<usize>,
    /// The splits that are measured on, and those whose labels are kept back.
    others: BTreeMap<Split, Evaluated>,
}

/// A split that is evaluated.
#[derive(Debug, Clone)]
pub(super) struct Evaluated {
    pub(super) examples: Arc<EncodedSplit>,
    /// The places of its examples, in the order in which they are read.
    pub(super) order: Vec<usize>,
    has_labels: bool,
}

/// How the examples of a split that is evaluated are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// Whether by length.
    pub(super) sorts: bool,
    /// The batch size, if the last batch is left out where it is not full.
    pub(super) drop_last: Option<usize>,
}

impl Splits {
    /// Reads every split that there is, and holds examples out for validation where there is none for it.
    ///
    /// # Errors
    /// [`LearnerError::Data`] for data that is missing or cannot be used, and [`LearnerError::Config`] if nothing is left
    /// to train on, or to validate with.
    pub(super) fn read(
        dataset: &TaskDataset,
        task: &TaskConfig,
        form: Form<'_>,
        reading: Reading,
    ) -> Result<Self> {
        let read = |split, limit| -> Result<Option<EncodedSplit>> {
            let Some(examples) = dataset.read(split)? else { return Ok(None) };
            Ok(Some(EncodedSplit::read(examples, form, limit)?))
        };
        let train = read(Split::Train, task.max_train_samples)?.ok_or_else(|| {
            LearnerError::Config(format!(
                "`task.name` is `{}`, which has no training examples: train on `mnli`, and answer it with `predict glue`",
                task.name.name()
            ))
        })?;
        if !dataset.is_regression() {
            train.facts().check_classes(&task.folder(), dataset.labels())?;
        }
        let train = Arc::new(train);
        let mut others = BTreeMap::new();
        for split in
            [Split::Validation, Split::ValidationMismatched, Split::Test, Split::TestMismatched]
        {
            // What validates on the test split has it already, and does not read it again.
            if split == Split::Validation && task.validate_on_test {
                continue;
            }
            if let Some(examples) = read(split, task.max_eval_samples)? {
                require_all_or_no_labels(&examples, split, task)?;
                let places = (0..examples.len()).collect();
                others.insert(split, Evaluated::new(Arc::new(examples), places, reading));
            }
        }
        if let (true, Some(test)) = (task.validate_on_test, others.get(&Split::Test)) {
            others.insert(Split::Validation, Evaluated::clone(test));
        }
        let training_places = match others.entry(Split::Validation) {
            Entry::Occupied(_) => (0..train.len()).collect(),
            Entry::Vacant(validation) => {
                let labels = train.labels().iter().copied();
                let mut parts = hold_out(labels, task.validation_fraction, task.split_seed)?;
                if task.max_eval_samples > 0 {
                    parts.validation.truncate(task.max_eval_samples);
                }
                validation.insert(Evaluated::new(Arc::clone(&train), parts.validation, reading));
                parts.train
            }
        };
        let splits = Self { train, training_places, others };
        if splits.measured(Split::Validation).is_none_or(|validation| validation.order.is_empty()) {
            return Err(LearnerError::Config(format!(
                "no example of `{}` is left to validate with: with `task.validate_on_test` the test split must be there and have \
                 labels, and with `task.drop_last` it must fill a batch of `trainer.batch_size`",
                task.folder().display()
            )));
        }
        Ok(splits)
    }

    /// A split that is evaluated; `None` if there is none.
    pub(super) fn get(&self, split: Split) -> Option<&Evaluated> {
        self.others.get(&split)
    }

    /// A split that can be measured on: one whose labels are there.
    pub(super) fn measured(&self, split: Split) -> Option<&Evaluated> {
        self.get(split).filter(|evaluated| evaluated.has_labels)
    }

    /// A hash of all examples and of which are measured on.
    pub(super) fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        self.train.fingerprint(&mut hasher);
        for evaluated in self.others.values() {
            evaluated.examples.fingerprint(&mut hasher);
            for place in &evaluated.order {
                hasher.update(&(*place as u64).to_le_bytes());
            }
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// Refuses a split of which only a part could be measured on.
fn require_all_or_no_labels(
    examples: &EncodedSplit,
    split: Split,
    task: &TaskConfig,
) -> Result<()> {
    let facts = examples.facts();
    if facts.unlabelled == 0 || facts.unlabelled == facts.examples {
        return Ok(());
    }
    Err(LearnerError::Data(format!(
        "`{}` of the `{}` examples of the {} split in `{}` have no label: give each of them one, or none of them",
        facts.unlabelled,
        facts.examples,
        split.name(),
        task.folder().display()
    )))
}

impl Evaluated {
    fn new(examples: Arc<EncodedSplit>, mut order: Vec<usize>, reading: Reading) -> Self {
        if let Some(batch_size) = reading.drop_last {
            order.truncate(order.len() / batch_size * batch_size);
        }
        if reading.sorts {
            order.sort_by_key(|example| examples.example_len(*example));
        }
        let has_labels = order.iter().all(|place| examples.labels()[*place].is_some());
        Self { examples, order, has_labels }
    }
}
