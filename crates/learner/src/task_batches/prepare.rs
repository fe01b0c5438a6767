//! From an experiment to the batches of its task.

use std::path::Path;

use nystromformer::Semantics;
use nystromformer_data::{ExampleOrder, Keep, ProgressListener, TextTokenizer};
use nystromformer_tasks::{Sampling, Targets, TaskConfig, TooLong, Truncation, Windows, say_once};

use super::TaskBatches;
use super::forms::{Form, Width};
use super::imbalance::{BalancedOrder, class_weights, classes_of_units};
use super::noise::InputNoise;
use super::order::{StepOrder, Visits};
use super::splits::{EvaluationOrder, Splits};
use crate::error::{LearnerError, Result};
use crate::experiment::{Experiment, Vocabulary};

impl TaskBatches {
    /// Reads the task's files. `tokenizer` is that of the model that goes on or is started from, if there is one;
    /// `[tokenizer] path` is asked first.
    ///
    /// # Errors
    /// [`LearnerError::Data`] for data that is missing or cannot be used, and [`LearnerError::Config`] for settings that
    /// do not fit it.
    pub fn prepare(
        experiment: &Experiment,
        tokenizer: Option<&Path>,
        progress: &dyn ProgressListener,
    ) -> Result<Self> {
        Self::read(experiment, tokenizer, None, Width::Others, progress)
    }

    /// The same for a model that is there, in `folder`, to measure it.
    ///
    /// # Errors
    /// As [`Self::prepare`], and [`LearnerError::Data`] for what the model cannot read.
    pub fn prepare_for(
        experiment: &Experiment,
        folder: &Path,
        progress: &dyn ProgressListener,
    ) -> Result<Self> {
        Self::read(experiment, Some(folder), None, width_of_model(experiment), progress)
    }

    /// The same for a file alone, whose examples are to be predicted: they are the test split, and there is nothing to train on.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub fn prepare_file(
        experiment: &Experiment,
        tokenizer: Option<&Path>,
        file: &Path,
        progress: &dyn ProgressListener,
    ) -> Result<Self> {
        Self::read(experiment, tokenizer, Some(file), width_of_model(experiment), progress)
    }

    fn read(
        experiment: &Experiment,
        tokenizer: Option<&Path>,
        file: Option<&Path>,
        width: Width,
        progress: &dyn ProgressListener,
    ) -> Result<Self> {
        let task = experiment
            .task
            .clone()
            .ok_or_else(|| LearnerError::Config("the experiment has no `[task]`".to_owned()))?
            .with_feature_names(&experiment.model.vectors.feature_names)
            .with_class_names(experiment.model.classifier.id2label.names());
        if file.is_none() {
            task.refuse_labels_as_input()?;
        }
        let path = task.path();
        let seq_len = experiment.data.seq_len;
        // Of a file alone the model says what its classes are, and its run what else its data answered.
        let targets = match file {
            Some(_) => {
                task.targets_of_model(experiment.model.classifier.id2label.names(), seq_len)?
            }
            None => task.targets(seq_len)?,
        };
        let task = if file.is_some() { task } else { task.resolved(&targets, seq_len)? };
        let (vocabulary, tokenizer) = if let Some(own) = task.task().vocabulary() {
            (Vocabulary { size: own.size, pad: own.pad, cls: own.cls, sep: None }, None)
        } else {
            let tokenizer = load_tokenizer(experiment, tokenizer)?;
            (Vocabulary::of(&tokenizer), Some(tokenizer))
        };
        let model = &experiment.model;
        let sorts = model.shared.semantics == Semantics::Paper;
        let row_len = model.required_seq_len();
        let keep = match (task.options.truncation, &tokenizer) {
            (None, Some(tokenizer)) => tokenizer.keep(),
            (stated, _) => stated.unwrap_or_default().keep(),
        };
        let windows = windows_of(&task, tokenizer.as_ref());
        if let (Some(stated), Some(tokenizer)) = (task.options.truncation, &tokenizer) {
            tell_other_reading(stated, tokenizer);
        }
        let truncation = Truncation { max_length: seq_len, keep };
        let words = task.task().word_options(&targets);
        let form = Form {
            tokenizer: tokenizer.as_ref(),
            vocabulary,
            truncation,
            windows,
            targets: &targets,
            words: &words,
            width,
            source: file.unwrap_or(&path),
        };
        let options = &task.options;
        if options.group_by_length && !sorts {
            tracing::warn!(
                "`task.group_by_length` is not read with `model.semantics = \"hf\"`, where padding changes results"
            );
        }
        let drop_last = options.drop_last.then_some(experiment.trainer.batch_size);
        let splits = match file {
            None => {
                let order = EvaluationOrder { sorts, drop_last };
                Splits::read(&task, &targets, form, order, progress)?
            }
            Some(file) => {
                let examples = task.file_examples(file, &targets, seq_len)?;
                let order = EvaluationOrder { sorts, drop_last: None };
                Splits::of_file(examples, form, order, progress)?
            }
        };
        if tokenizer.is_some() {
            let cure =
                "set `tokenizer.path`, or `model.init_from`, to a model of this text's language";
            let name = match file {
                Some(file) => format!("the file `{}`", file.display()),
                None => format!("the data set `{}`", task.path().display()),
            };
            splits.unknown().tell(&name, cure);
        }
        let units = &splits.training_units;
        let lengths = (options.group_by_length && sorts)
            .then(|| units.iter().map(|unit| splits.train.unit_len(*unit) as u32).collect());
        let (seed, shuffle) = (experiment.seed, experiment.data.shuffle);
        // Of a file alone nothing is trained.
        let (visits, class_weights) = if file.is_some() {
            (Visits::Natural(ExampleOrder::new(1, seed, shuffle)), None)
        } else {
            if task.masked_share().is_none() {
                require_smoothable(experiment, &task, &targets)?;
            }
            let visits = match options.sampling {
                Sampling::Natural => Visits::Natural(ExampleOrder::new(units.len(), seed, shuffle)),
                Sampling::Balanced => Visits::Balanced(BalancedOrder::new(
                    classes_of_units(&task, &targets, &splits)?,
                    seed,
                    shuffle,
                )),
            };
            (visits, class_weights(&task, &targets, &splits)?)
        };
        let noise = InputNoise::of(&task, vocabulary, seed);
        let vocabulary = noise.as_ref().map_or(vocabulary, |noise| noise.vocabulary(vocabulary));
        Ok(Self {
            noise,
            scorer: task.scorer(&targets, &experiment.trainer.metric_for_best_model)?,
            targets,
            file: file.map(Path::to_owned),
            order: StepOrder::new(visits, lengths, seed),
            class_weights,
            fingerprint: splits.fingerprint(),
            task,
            vocabulary,
            tokenizer,
            truncation,
            windows,
            splits,
            sorts,
            has_types: model.embeddings.type_vocab_size > 1,
            row_len,
        })
    }
}

/// In which windows texts that are too long are read: as the task says, or, where it says nothing, as the model was trained whose
/// tokenizer it is.
fn windows_of(task: &TaskConfig, tokenizer: Option<&TextTokenizer>) -> Option<Windows> {
    if task.options.truncation.is_some() || task.task().windows().is_none() {
        return task.windows();
    }
    let trained = tokenizer?.trained_windows()?;
    if task.options.sampling == Sampling::Balanced {
        say_once(
            "the model was trained on texts in windows (`trained_windows` in its `tokenizer_config.json`); here their beginning is \
             read, for `task.sampling` = `balanced` draws texts, and not windows"
                .to_owned(),
        );
        return None;
    }
    say_once(format!(
        "texts longer than `data.seq_len` are read in windows that overlap by `{}` tokens, at most `{}` of a text, as the model was \
         trained whose tokenizer is read (`trained_windows` in its `tokenizer_config.json`); `task.truncation` says otherwise",
        trained.stride, trained.max_windows
    ));
    Some(trained)
}

/// Says that texts that are too long are read as is stated, and otherwise than by the model whose tokenizer it is.
fn tell_other_reading(stated: TooLong, tokenizer: &TextTokenizer) {
    let trained = match (tokenizer.trained_windows(), tokenizer.keep()) {
        (Some(_), _) => TooLong::Windows,
        (None, Keep::Tail) => TooLong::Tail,
        (None, Keep::HeadTail) => TooLong::HeadTail,
        // Nobody may have said so.
        (None, Keep::Head) => return,
    };
    if stated != trained {
        say_once(
            "texts longer than `data.seq_len` are read as `task.truncation` states, and otherwise than by the model whose tokenizer \
             is read (`trained_windows`, `trained_truncation` or `truncation_side` in its `tokenizer_config.json`); without the key \
             they are read as by that model"
                .to_owned(),
        );
    }
}

/// The width of vectors that the experiment's model, which is there, reads.
fn width_of_model(experiment: &Experiment) -> Width {
    let vectors = &experiment.model.vectors;
    if vectors.is_used() { Width::Model(vectors.num_features) } else { Width::Others }
}

/// Refuses `trainer.label_smoothing_factor` where there is not one class of several.
fn require_smoothable(experiment: &Experiment, task: &TaskConfig, targets: &Targets) -> Result<()> {
    let share = experiment.trainer.label_smoothing_factor;
    if share == 0.0 || matches!(targets, Targets::Classes(_) | Targets::Tags(_)) {
        return Ok(());
    }
    Err(LearnerError::Config(format!(
        "`trainer.label_smoothing_factor` = `{share}`, and the labels of the task `{}` are not one class of several; leave it out",
        task.name()
    )))
}

fn load_tokenizer(experiment: &Experiment, folder: Option<&Path>) -> Result<TextTokenizer> {
    let stated = experiment.tokenizer.path.as_deref();
    let Some(path) = stated.or(folder.filter(|folder| TextTokenizer::is_in(folder))) else {
        return Err(LearnerError::Config(
            "the texts of this task need a tokenizer: set `model.init_from` to a pretrained model, or `tokenizer.path` to \
             a `tokenizer.json` or a folder with one"
                .to_owned(),
        ));
    };
    Ok(TextTokenizer::load(path, experiment.tokenizer.lowercase)?)
}
