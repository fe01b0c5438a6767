//! Which examples train, and which are measured on.

use std::collections::{BTreeMap, btree_map::Entry};
use std::sync::Arc;

use nystromformer_data::{Keep, UnknownTokens};
use nystromformer_tasks::{
    ExampleReader, Label, LabelCounts, Split, Targets, TaskConfig, TaskOptions, folds, hold_out,
    hold_out_groups, sample, strata,
};

use super::encoded::EncodedSplit;
use super::forms::Form;
use super::missing_classes;
use crate::error::{LearnerError, Result};

/// The examples of a task.
#[derive(Debug)]
pub(super) struct Splits {
    pub(super) train: Arc<EncodedSplit>,
    /// The training examples, by their places in `train`: all of it but what is held out.
    pub(super) training_places: Vec<usize>,
    /// Their units.
    pub(super) training_units: Vec<usize>,
    /// The splits that are measured on, and those whose labels are kept back.
    others: BTreeMap<Split, Evaluated>,
}

/// A split that is evaluated.
#[derive(Debug, Clone)]
pub(super) struct Evaluated {
    pub(super) examples: Arc<EncodedSplit>,
    /// The split whose files hold them, if that is another one.
    pub(super) source: Option<Split>,
    /// The places of its examples, ascending.
    pub(super) places: Vec<usize>,
    /// Their units, in the order in which they are read.
    pub(super) units: Vec<usize>,
    has_labels: bool,
}

/// How the examples of a split that is evaluated are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct EvaluationOrder {
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
        task: &TaskConfig,
        targets: &Targets,
        form: Form<'_>,
        reading: EvaluationOrder,
    ) -> Result<Self> {
        let options = &task.options;
        let read = |split, limit| -> Result<Option<EncodedSplit>> {
            let Some(examples) = limited(task, targets, form.truncation.max_length, split, limit)?
            else {
                return Ok(None);
            };
            let examples = EncodedSplit::read(examples, form)?;
            tell_cut(&examples, &format!("{} split", split.name()), form);
            Ok(Some(examples))
        };
        let train = read(Split::Train, options.max_train_samples)?.ok_or_else(|| {
            LearnerError::Config(format!(
                "`task.name` is `{}`, which has no training examples in `{}`",
                task.name(),
                task.path().display()
            ))
        })?;
        if let Targets::Classes(_) | Targets::Tags(_) = targets {
            let (path, limit) = (task.path(), options.max_train_samples);
            train.label_counts().check_classes(&path, &targets.names(), limit)?;
        }
        let train = Arc::new(train);
        let mut others = BTreeMap::new();
        for split in Split::EVALUATED {
            // What validates on the test split has it already, and does not read it again.
            if split == Split::Validation && options.validate_on_test {
                continue;
            }
            // A fold takes the place of the test split.
            if split.is_test() && options.fold > 0 {
                continue;
            }
            if let Some(examples) = read(split, options.max_eval_samples)? {
                require_all_or_no_labels(&examples, split, task)?;
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
            let test = take_fold(&mut training_places, &train, options);
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
                    held_out = limit_held_out(&train, &held_out, task);
                }
                training_places = taken(&parts.train);
                validation.insert(Evaluated::of_training(&train, held_out, reading));
            }
        }
        let training_units =
            training_places.iter().flat_map(|place| train.units_of(*place)).collect();
        let splits = Self { train, training_places, training_units, others };
        if splits.measured(Split::Validation).is_none_or(|validation| validation.units.is_empty()) {
            return Err(LearnerError::Config(format!(
                "no example of `{}` is left to validate with: with `task.validate_on_test` the test split must be there and have \
                 labels, and with `task.drop_last` it must fill a batch of `trainer.batch_size`",
                task.path().display()
            )));
        }
        splits.warn_of_missing_classes(task, &targets.names());
        Ok(splits)
    }

    /// The examples of a file alone, as a test split: there is nothing to train on.
    ///
    /// # Errors
    /// [`LearnerError::Data`] for a file that cannot be used.
    pub(super) fn of_file(
        examples: ExampleReader,
        form: Form<'_>,
        reading: EvaluationOrder,
    ) -> Result<Self> {
        let examples = EncodedSplit::read(examples, form)?;
        tell_cut(&examples, "file", form);
        let examples = Arc::new(examples);
        let places = (0..examples.len()).collect();
        let file = Evaluated::new(Arc::clone(&examples), places, reading);
        Ok(Self {
            train: examples,
            training_places: Vec::new(),
            training_units: Vec::new(),
            others: BTreeMap::from([(Split::Test, file)]),
        })
    }

    /// How many tokens of all splits are unknown to the vocabulary.
    pub(super) fn unknown(&self) -> UnknownTokens {
        // Splits that share their examples are counted once.
        let mut counted = vec![&self.train];
        let mut all = self.train.unknown();
        for Evaluated { examples, .. } in self.others.values() {
            if !counted.iter().any(|other| Arc::ptr_eq(other, examples)) {
                counted.push(examples);
                all.add(examples.unknown());
            }
        }
        all
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
            for unit in &evaluated.units {
                hasher.update(&(*unit as u64).to_le_bytes());
            }
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Says which classes have no examples.
    fn warn_of_missing_classes(&self, task: &TaskConfig, names: &[String]) {
        if names.is_empty() {
            return;
        }
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

/// The examples of a split, drawn if there are more than `limit`, unless that is 0.
pub(super) fn limited(
    task: &TaskConfig,
    targets: &Targets,
    seq_len: usize,
    split: Split,
    limit: usize,
) -> Result<Option<ExampleReader>> {
    let read = || task.examples(split, targets, seq_len);
    if limit == 0 {
        return Ok(read()?);
    }
    // Read twice, first for the labels alone: only what is drawn is in memory.
    let Some(examples) = read()? else { return Ok(None) };
    // Of labels that no example is drawn by nothing is kept either.
    let drawn_by =
        |label: Label| matches!(label, Label::Class(_) | Label::Classes(_)).then_some(label);
    let labels = examples
        .map(|example| example.map(|example| example.label.and_then(drawn_by)))
        .collect::<Result<Vec<Option<Label>>, _>>()?;
    let strata = strata(labels.iter().map(Option::as_ref));
    let drawn = sample(&strata, limit, task.options.split_seed, split.name());
    let Some(examples) = read()? else { return Ok(None) };
    let mut wanted = drawn.into_iter().peekable();
    let drawn = examples.enumerate().filter_map(move |(place, example)| {
        let is_drawn = wanted.next_if_eq(&place).is_some();
        (is_drawn || example.is_err()).then_some(example)
    });
    Ok(Some(Box::new(drawn)))
}

/// What is kept of the held-out places.
fn limit_held_out(train: &EncodedSplit, held_out: &[usize], task: &TaskConfig) -> Vec<usize> {
    let strata = strata_of(train, held_out);
    let options = &task.options;
    let kept = sample(&strata, options.max_eval_samples, options.split_seed, "held out");
    kept.into_iter().map(|place| held_out[place]).collect()
}

/// What the examples at these places are drawn evenly by.
fn strata_of(examples: &EncodedSplit, places: &[usize]) -> Vec<Option<u16>> {
    strata(places.iter().map(|place| examples.labels()[*place].as_ref()))
}

/// Takes the places of the fold that is tested on out of those that train.
fn take_fold(places: &mut Vec<usize>, train: &EncodedSplit, options: &TaskOptions) -> Vec<usize> {
    let fold_of: Vec<usize> = match train.contexts() {
        // Questions about one text stay together: they teach each other's answers.
        Some(contexts) => {
            let count = contexts.iter().max().map_or(0, |last| last + 1);
            let of_context = folds(&vec![None; count], options.folds, options.split_seed);
            contexts.iter().map(|context| of_context[*context]).collect()
        }
        None => folds(&strata_of(train, places), options.folds, options.split_seed),
    };
    let mut fold_of = fold_of.into_iter();
    // Places and their folds are in the same order.
    let is_tested = |_: &mut usize| fold_of.next().is_some_and(|fold| fold + 1 == options.fold);
    places.extract_if(.., is_tested).collect()
}

fn tell_fold(train: &[usize], test: &[usize], task: &TaskConfig) {
    tracing::info!(
        "fold {} of {}: `{}` of the training examples are the test split, and `{}` are left to train and to validate with",
        task.options.fold,
        task.options.folds,
        test.len(),
        train.len()
    );
}

/// Says how many examples of a split or file (`source`) are too long, and what is read of them.
fn tell_cut(examples: &EncodedSplit, source: &str, form: Form<'_>) {
    let max_length = form.truncation.max_length;
    if examples.num_lost() > 0 {
        tracing::warn!(
            "`{}` of the `{}` questions of the {source} have an answer that no window of `data.seq_len` = `{max_length}` tokens \
             holds whole: they are read as questions without an answer in it (`task.doc_stride`)",
            examples.num_lost(),
            examples.len(),
        );
    }
    let without_tokens = examples.num_words_without_tokens();
    if without_tokens > 0 {
        tracing::warn!(
            "the tokenizer makes no token of `{without_tokens}` words of the {source}, such as control characters: they are not \
             learnt, and nothing is predicted for them"
        );
    }
    if examples.num_cut() == 0 {
        return;
    }
    if let Targets::Answers(_) = form.targets {
        tracing::warn!(
            "`{}` of the `{}` questions of the {source} are longer than half a window of `data.seq_len` = `{max_length}` tokens: \
             that much of the beginning of each is read",
            examples.num_cut(),
            examples.len(),
        );
        return;
    }
    if let Targets::Tags(_) = form.targets {
        tracing::warn!(
            "`{}` of the `{}` examples of the {source} hold a word of more tokens than a row of `data.seq_len` = `{max_length}` \
             has room for: the beginning of each such word is read",
            examples.num_cut(),
            examples.len(),
        );
        return;
    }
    let kept = match form.truncation.keep {
        Keep::Head => "the beginning",
        Keep::Tail => "the end",
        Keep::HeadTail => "the beginning and the end",
    };
    if let Targets::Choices = form.targets {
        tracing::warn!(
            "`{}` of the `{}` questions of the {source} have a choice that is longer, with what is read before it, than \
             `data.seq_len` = `{}` tokens: the longer of the two is cut until they are equally long, and then both; {kept} of \
             each is read (`task.truncation`)",
            examples.num_cut(),
            examples.len(),
            form.truncation.max_length
        );
        return;
    }
    tracing::warn!(
        "`{}` of the `{}` examples of the {source} are longer than `data.seq_len` = `{max_length}` tokens: {kept} of each is read \
         (`task.truncation`)",
        examples.num_cut(),
        examples.len(),
    );
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
        "`{}` of the `{}` examples of the {} split in `{}` have no label: give each of them one, or none of them",
        counts.unlabelled,
        counts.examples,
        split.name(),
        task.path().display()
    )))
}

impl Evaluated {
    /// Some of the training examples.
    fn of_training(
        train: &Arc<EncodedSplit>,
        places: Vec<usize>,
        reading: EvaluationOrder,
    ) -> Self {
        let source = Some(Split::Train);
        Self { source, ..Self::new(Arc::clone(train), places, reading) }
    }

    fn new(examples: Arc<EncodedSplit>, mut places: Vec<usize>, reading: EvaluationOrder) -> Self {
        if let Some(batch_size) = reading.drop_last {
            places.truncate(places.len() / batch_size * batch_size);
        }
        let mut units: Vec<usize> =
            places.iter().flat_map(|place| examples.units_of(*place)).collect();
        if reading.sorts {
            units.sort_by_key(|unit| examples.unit_len(*unit));
        }
        let has_labels = places.iter().all(|place| examples.labels()[*place].is_some());
        Self { examples, source: None, places, units, has_labels }
    }

    fn label_counts(&self) -> LabelCounts {
        self.places.iter().map(|place| self.examples.labels()[*place].as_ref()).collect()
    }
}
