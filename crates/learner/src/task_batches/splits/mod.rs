//! Which examples train, and which are measured on.
//!
//! | file | |
//! |---|---|
//! | `evaluated` | a split that is measured on |
//! | `draws` | which examples are drawn, where not all are wanted |
//! | `fold` | the part of the training examples that a run is tested on |
//! | `cut` | what is said of examples that are not read whole |
//! | `told` | how many examples each split has, and of which classes, in words |

mod cut;
mod draws;
mod evaluated;
mod fold;
mod told;

use std::collections::{BTreeMap, btree_map::Entry};
use std::sync::Arc;

use nystromformer_data::{ProgressListener, UnknownTokens};
use nystromformer_tasks::{
    ExampleReader, LabelCounts, Split, Targets, TaskConfig, TaskObjective, TaskOptions, hold_out,
    hold_out_groups, say_once,
};

use super::encoded::EncodedSplit;
use super::forms::{Form, Width};
use super::missing_classes;
use crate::error::{LearnerError, Result};
use cut::tell_cut;
use draws::{limit_held_out, strata_of};
use fold::{take_fold, tell_fold};
use told::tell_left_out;

pub(in crate::task_batches) use draws::limited;
pub(in crate::task_batches) use evaluated::{Evaluated, EvaluationOrder};

/// The examples of a task.
#[derive(Debug)]
pub(in crate::task_batches) struct Splits {
    pub(in crate::task_batches) train: Arc<EncodedSplit>,
    /// The training examples, by their places in `train`: all of it but what is held out.
    pub(in crate::task_batches) training_places: Vec<usize>,
    /// Their units.
    pub(in crate::task_batches) training_units: Vec<usize>,
    /// The splits that are measured on, and those whose labels are kept back.
    others: BTreeMap<Split, Evaluated>,
    /// Whether labels are learned; without, every split can be measured on.
    reads_labels: bool,
}

impl Splits {
    /// Reads every split that there is, and holds examples out for validation where there is none for it.
    ///
    /// # Errors
    /// [`LearnerError::Data`] for data that is missing or cannot be used, and [`LearnerError::Config`] if nothing is left
    /// to train on, or to validate with.
    pub(in crate::task_batches) fn read(
        task: &TaskConfig,
        targets: &Targets,
        form: Form<'_>,
        reading: EvaluationOrder,
        progress: &dyn ProgressListener,
    ) -> Result<Self> {
        let options = &task.options;
        let read = |split, limit, form: Form<'_>| -> Result<Option<EncodedSplit>> {
            let Some(examples) = limited(task, targets, form.truncation.max_length, split, limit)?
            else {
                return Ok(None);
            };
            let examples = EncodedSplit::read(examples, form, progress)?;
            tell_cut(&examples, &format!("{} split", split.name()), form);
            Ok(Some(examples))
        };
        let train = read(Split::Train, options.max_train_samples, form)?.ok_or_else(|| {
            LearnerError::Config(format!(
                "`task.name` is `{}`, which has no training examples in `{}`",
                task.name(),
                task.path().display()
            ))
        })?;
        let reads_labels = options.objective == TaskObjective::Labels;
        if let (true, Targets::Classes(_) | Targets::Tags(_)) = (reads_labels, targets) {
            let (path, limit) = (task.path(), options.max_train_samples);
            train.label_counts().check_classes(&path, &targets.names(), limit)?;
        }
        let form = match (form.width, train.vectors().first()) {
            (Width::Others, Some(first)) => {
                Form { width: Width::Training(first.num_features()), ..form }
            }
            _ => form,
        };
        let train = Arc::new(train);
        let mut others = BTreeMap::new();
        for split in Split::EVALUATED {
            // What validates on the test split has it already, and does not read it again.
            if split == Split::Validation && options.validate_on_test {
                continue;
            }
            // A fold takes the place of the test split.
            if split.is_test() && options.fold > 0 {
                // One that cannot be read is not missed.
                if let Ok(Some(_)) = limited(task, targets, form.truncation.max_length, split, 0) {
                    say_once(format!(
                        "`task.folds` tests on parts of the training examples: the {} split of the data in `{}` is not read",
                        split.name(),
                        task.path().display()
                    ));
                }
                continue;
            }
            if let Some(examples) = read(split, options.max_eval_samples, form)? {
                if reads_labels {
                    require_all_or_no_labels(&examples, split, task)?;
                }
                let places = (0..examples.len()).collect();
                others.insert(split, Evaluated::new(Arc::new(examples), places, reading));
            }
        }
        if let (true, Some(test)) = (options.validate_on_test, others.get(&Split::Test)) {
            let test = Evaluated { source: Some(Split::Test), ..test.clone() };
            others.insert(Split::Validation, test);
        }
        let mut training_places: Vec<usize> = (0..train.len()).collect();
        if options.fold > 0 {
            let mut test = take_fold(&mut training_places, &train, task)?;
            if options.max_eval_samples > 0 {
                test = limit_held_out(&train, &test, task);
            }
            tell_fold(&training_places, &test, task);
            others.insert(Split::Test, Evaluated::of_training(&train, test, reading));
        }
        match others.entry(Split::Validation) {
            Entry::Occupied(_) => {
                if options.validation_fraction != TaskOptions::default().validation_fraction {
                    tracing::warn!(
                        "`task.validation_fraction` = `{}` is not read: the data has examples to validate with",
                        options.validation_fraction
                    );
                }
            }
            // Without a validation split the last step's model is the run's.
            Entry::Vacant(_) if options.validation_fraction == 0.0 && !options.validate_on_test => {
            }
            Entry::Vacant(validation) => {
                let (fraction, seed) = (options.validation_fraction, options.split_seed);
                let parts = match train.contexts() {
                    Some(contexts) => {
                        let contexts: Vec<usize> =
                            training_places.iter().map(|place| contexts[*place]).collect();
                        hold_out_groups(&contexts, fraction, seed)?
                    }
                    None => hold_out(strata_of(&train, &training_places), fraction, seed)?,
                };
                let taken = |places: &[usize]| -> Vec<usize> {
                    places.iter().map(|place| training_places[*place]).collect()
                };
                let mut held_out = taken(&parts.validation);
                if options.max_eval_samples > 0 {
                    let all = held_out.len();
                    held_out = limit_held_out(&train, &held_out, task);
                    tell_left_out(all - held_out.len(), task);
                }
                training_places = taken(&parts.train);
                validation.insert(Evaluated::of_training(&train, held_out, reading));
            }
        }
        // What no answer is known of, in its own context, is scored, and not learned.
        training_places.retain(|place| train.is_learned(*place));
        let training_units =
            training_places.iter().flat_map(|place| train.units_of(*place)).collect();
        let splits = Self { train, training_places, training_units, others, reads_labels };
        let validates =
            options.validation_fraction > 0.0 || splits.get(Split::Validation).is_some();
        let nothing = |validation: &Evaluated| validation.units.is_empty();
        if validates && splits.measured(Split::Validation).is_none_or(nothing) {
            return Err(LearnerError::Config(format!(
                "no example of `{}` is left to validate with: with `task.validate_on_test` the test split must be there and have \
                 labels (unless inputs are learned), and with `task.drop_last` it must fill a batch of `trainer.batch_size`",
                task.path().display()
            )));
        }
        splits.tell(task, targets);
        splits.warn_of_dropped();
        if let (true, Some(names)) = (reads_labels, targets.class_names()) {
            splits.warn_of_missing_classes(task, names.names());
        }
        Ok(splits)
    }

    /// The examples of a file alone, as a test split: there is nothing to train on.
    ///
    /// # Errors
    /// [`LearnerError::Data`] for a file that cannot be used.
    pub(in crate::task_batches) fn of_file(
        examples: ExampleReader,
        form: Form<'_>,
        reading: EvaluationOrder,
        progress: &dyn ProgressListener,
    ) -> Result<Self> {
        let examples = EncodedSplit::read(examples, form, progress)?;
        tell_cut(&examples, "file", form);
        let examples = Arc::new(examples);
        let places = (0..examples.len()).collect();
        let file = Evaluated::new(Arc::clone(&examples), places, reading);
        Ok(Self {
            train: examples,
            training_places: Vec::new(),
            training_units: Vec::new(),
            others: BTreeMap::from([(Split::Test, file)]),
            reads_labels: true,
        })
    }

    /// The examples of the training split, and those of each other that holds others.
    fn distinct_examples(&self) -> Vec<&Arc<EncodedSplit>> {
        let mut distinct = vec![&self.train];
        for Evaluated { examples, .. } in self.others.values() {
            if !distinct.iter().any(|other| Arc::ptr_eq(other, examples)) {
                distinct.push(examples);
            }
        }
        distinct
    }

    /// How many tokens of all splits are unknown to the vocabulary.
    pub(in crate::task_batches) fn unknown(&self) -> UnknownTokens {
        let mut all = UnknownTokens::default();
        for examples in self.distinct_examples() {
            all.add(examples.unknown());
        }
        all
    }

    /// A split that is evaluated; `None` if there is none.
    pub(in crate::task_batches) fn get(&self, split: Split) -> Option<&Evaluated> {
        self.others.get(&split)
    }

    /// A split that can be measured on: one whose labels are there, if labels are learned.
    pub(in crate::task_batches) fn measured(&self, split: Split) -> Option<&Evaluated> {
        self.get(split).filter(|evaluated| evaluated.has_labels || !self.reads_labels)
    }

    /// A hash of all examples and of which are measured on.
    pub(in crate::task_batches) fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        self.train.fingerprint(&mut hasher);
        for evaluated in self.others.values() {
            evaluated.examples.fingerprint(&mut hasher);
            for unit in &evaluated.units {
                hasher.update(&(*unit as u64).to_le_bytes());
            }
        }
        hasher.finalize().to_hex().to_string()
    }

    /// A hash of all examples, whichever of them train.
    pub(in crate::task_batches) fn source_fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for examples in self.distinct_examples() {
            examples.fingerprint(&mut hasher);
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Says which classes have no examples.
    fn warn_of_missing_classes(&self, task: &TaskConfig, names: &[String]) {
        let places = self.training_places.iter();
        let trained: LabelCounts =
            places.map(|place| self.train.labels()[*place].as_ref()).collect();
        let measured: Vec<(Split, LabelCounts)> = Split::EVALUATED
            .into_iter()
            .filter_map(|split| Some((split, self.measured(split)?.label_counts())))
            .collect();
        let has_key = task.registry().keys(task.name()).contains("labels");
        for told in missing_classes::sentences(names, &trained, &measured, &task.options, has_key) {
            tracing::warn!("{told}");
        }
    }
}

/// Refuses a split of which only a part could be measured on.
fn require_all_or_no_labels(
    examples: &EncodedSplit,
    split: Split,
    task: &TaskConfig,
) -> Result<()> {
    let counts = examples.label_counts();
    if counts.unlabelled == 0 || counts.unlabelled == counts.examples {
        return Ok(());
    }
    Err(LearnerError::Data(format!(
        "`{}` of the `{}` examples of the {} split in `{}` have no label, first example `{}`: give each of them one, or none of them",
        counts.unlabelled,
        counts.examples,
        split.name(),
        task.path().display(),
        1 + examples.labels().iter().position(Option::is_none).unwrap_or_default()
    )))
}
