//! From a file to an experiment, and what the file states itself.

use std::path::Path;

use nystromformer::{Labels, NystromformerConfig, Standardization};
use nystromformer_data::{DataConfig, TextTokenizer};
use nystromformer_interop::read_config;
use nystromformer_tasks::{Targets, TaskRegistry};
use toml::{Table, Value};

use super::classes::{class_difference, problem_type, problem_type_difference};
use super::differences::differences;
use super::merge::{Layers, Origin};
use super::{Experiment, INIT_FROM, explain, former_keys, paths, refuse, task_table, unread};
use crate::error::{LearnerError, Result};
use crate::task_batches::FeatureStatistics;
use crate::trainer::model_folder;

/// Keys of `[model]` that the data answers where no file does.
const FROM_DATA: [&str; 11] = [
    "model.num_features",
    "model.feature_mean",
    "model.feature_std",
    "model.problem_type",
    "model.label_mean",
    "model.label_std",
    "model.vocab_size",
    "model.pad_token_id",
    "model.bos_token_id",
    "model.eos_token_id",
    "model.id2label",
];

/// Keys whose defaults have been others: a run goes on with what it has, unless a file says something else.
const WITH_FORMER_DEFAULTS: [&str; 1] = ["trainer.eval_examples"];

/// What the data says of a model's vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vocabulary {
    /// Ids.
    pub size: usize,
    /// Id of the padding.
    pub pad: usize,
    /// Id of the first token of a sequence, if there is one.
    pub cls: Option<usize>,
    /// Id of the last token of a sequence, if there is one.
    pub sep: Option<usize>,
}

impl Vocabulary {
    /// A tokenizer's.
    pub fn of(tokenizer: &TextTokenizer) -> Self {
        let ids = tokenizer.special_ids();
        Self {
            size: tokenizer.vocab_size(),
            pad: ids.pad as usize,
            cls: Some(ids.cls as usize),
            sep: Some(ids.sep as usize),
        }
    }
}

/// The text of an experiment, read and merged, before its values have types.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    layers: Layers,
    /// The experiment's name where none is stated.
    file_stem: String,
    /// Whether it is a run's own, which may list keys that nothing reads.
    resolved: bool,
}

impl Draft {
    /// Reads a file and what it extends.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let file_stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { layers: Layers::read(path)?, file_stem, resolved: false })
    }

    /// The same with `--set` assignments, in order.
    pub(crate) fn with_overrides(&self, overrides: &[String]) -> Result<Self> {
        let mut draft = self.clone();
        for assignment in overrides {
            draft.layers.set(assignment)?;
        }
        Ok(draft)
    }

    /// The same as a run keeps it: runs of earlier versions list every key, also those that nothing reads.
    pub(crate) fn of_a_run(mut self) -> Self {
        self.resolved = true;
        self
    }

    /// The same as a run keeps it, without its task, whose name is given.
    pub(crate) fn without_task(mut self) -> (Self, Option<String>) {
        let name = self.layers.get("task.name").and_then(Value::as_str).map(str::to_owned);
        self.layers.remove("task");
        (self.of_a_run(), name)
    }

    /// The experiment's name; not checked yet.
    pub(crate) fn name(&self) -> &str {
        let stated = self.layers.get("name").and_then(Value::as_str).unwrap_or_default();
        if stated.is_empty() { &self.file_stem } else { stated }
    }

    /// Whether it names seeds to run the experiment with, or folds of its data and none of them; not checked yet.
    pub(crate) fn is_series(&self) -> bool {
        let seeds = self.layers.get("seeds").and_then(Value::as_array);
        let above_zero =
            |key| self.layers.get(key).and_then(Value::as_integer).is_some_and(|count| count > 0);
        seeds.is_some_and(|seeds| !seeds.is_empty())
            || above_zero("task.folds") && !above_zero("task.fold")
    }

    /// The configuration of the model in `[model] init_from`, if there is one to start from.
    pub(crate) fn source_config(&self) -> Result<Option<NystromformerConfig>> {
        let Some(path) = self.layers.get(INIT_FROM).and_then(Value::as_str) else {
            return Ok(None);
        };
        let path = paths::absolute(path).unwrap_or_else(|| path.to_owned());
        Ok(Some(read_config(&model_folder(Path::new(&path))?)?))
    }

    /// Gives the values their types, checks them, and settles [`DataConfig::sample_if_missing`]. What no file
    /// says of the model is that of `inherited`, or else the default. Relative paths count from the folder of the process,
    /// and become absolute.
    pub(crate) fn resolve(
        self,
        inherited: Option<&NystromformerConfig>,
        tasks: &TaskRegistry,
    ) -> Result<LoadedExperiment> {
        let name = self.name().to_owned();
        let Self { mut layers, resolved, .. } = self;
        former_keys::settle(&mut layers, resolved)?;
        let mut plain = layers.clone();
        plain.remove("task");
        if let Some(value) = plain.remove(INIT_FROM) {
            plain.table.insert(INIT_FROM.to_owned(), value);
        }
        let task = task_table::read(&layers, tasks, resolved);
        let of_tasks = tasks.all_keys().into_iter().map(|key| format!("task.{key}"));
        let elsewhere: Vec<String> =
            of_tasks.chain([INIT_FROM.to_owned(), "task".to_owned()]).collect();
        let mut experiment: Experiment = match (explain::typed(&plain, &elsewhere), task) {
            (Ok(experiment), Ok(task)) => Experiment { task, ..experiment },
            (experiment, task) => {
                let problems = [experiment.err(), task.err()].into_iter().flatten().flatten();
                return Err(refuse(&problems.collect::<Vec<_>>()));
            }
        };
        experiment.name = name;
        if let Some(inherited) = inherited {
            inherit(&mut experiment.model, inherited, &layers)?;
        }
        let vectors = &mut experiment.model.vectors;
        if experiment.task.as_ref().is_some_and(|task| task.task().reads_vectors())
            && !vectors.is_used()
        {
            // How many, the data will say.
            vectors.num_features = 1;
        }
        let unread = if resolved { Vec::new() } else { unread::problems(&layers, &experiment) };
        let problems: Vec<String> = experiment
            .problems()
            .into_iter()
            .map(|(key, problem)| match layers.origin(&key) {
                Some(origin) => format!("{origin}: `{key}`: {problem}"),
                None => format!("`{key}`: {problem}"),
            })
            .chain(unread)
            .collect();
        if !problems.is_empty() {
            return Err(refuse(&problems));
        }
        settle_corpus(&mut experiment.data, &layers)?;
        let experiment = experiment.with_absolute_paths();
        Ok(LoadedExperiment { experiment, layers, inherits: inherited.is_some() })
    }
}

/// An experiment as loaded, with what its files state themselves.
#[derive(Debug, Clone)]
pub struct LoadedExperiment {
    /// The experiment.
    pub experiment: Experiment,
    layers: Layers,
    /// Whether the model's keys that no file states are those of another model.
    inherits: bool,
}

impl LoadedExperiment {
    /// The same with what its data says of feature vectors, where no file does: how many features each has, and what they are
    /// standardised by. `num_features` is `None` of data without vectors; `statistics` is asked where it counts.
    ///
    /// # Errors
    /// [`LearnerError::Config`] if the model's vectors are stated otherwise; those of `statistics`.
    pub fn with_vectors(
        mut self,
        num_features: Option<usize>,
        statistics: impl FnOnce() -> Result<Option<FeatureStatistics>>,
    ) -> Result<Self> {
        let settled = |key: &str| self.states(key) || self.inherits;
        let has_width = settled("model.num_features");
        let has_statistics = settled("model.feature_mean") || settled("model.feature_std");
        let vectors = &mut self.experiment.model.vectors;
        let Some(num_features) = num_features else {
            if vectors.is_used() {
                return Err(LearnerError::Config(format!(
                    "`model.num_features` is `{}`, but the data has no feature vectors; leave it out, or choose the task \
                     `bags`",
                    vectors.num_features
                )));
            }
            return Ok(self);
        };
        if has_width && vectors.num_features > 1 && vectors.num_features != num_features {
            return Err(LearnerError::Config(format!(
                "`model.num_features` is `{}`, but the vectors of the data have `{num_features}` features; leave it out to \
                 take the data's, or start from a model of such vectors",
                vectors.num_features
            )));
        }
        vectors.num_features = num_features;
        if (!has_statistics || (vectors.feature_mean.is_empty() && vectors.feature_std.is_empty()))
            && let Some(FeatureStatistics { mean, std }) = statistics()?
        {
            (vectors.feature_mean, vectors.feature_std) = (mean, std);
        }
        Ok(self)
    }

    /// The experiment with what its data says of the model, where no file does: size of the vocabulary, special
    /// tokens' ids, and the names of the classes if the data has classes.
    ///
    /// # Errors
    /// [`LearnerError::Config`] if a stated size is smaller than the vocabulary, or the classes or the kind of answer that
    /// are stated are not the data's, and as [`Experiment::validate`].
    pub fn with_data(
        &self,
        vocabulary: Vocabulary,
        targets: Option<&Targets>,
        standardization: Option<Standardization>,
    ) -> Result<Experiment> {
        let mut experiment = self.experiment.clone();
        let model = &mut experiment.model;
        for (key, field, value, belongs_to_weights) in [
            ("model.vocab_size", &mut model.embeddings.vocab_size, Some(vocabulary.size), true),
            // transformers' padding row gets no gradient, whichever token it is.
            ("model.pad_token_id", &mut model.embeddings.pad_token_id, Some(vocabulary.pad), true),
            ("model.bos_token_id", &mut model.embeddings.bos_token_id, vocabulary.cls, false),
            ("model.eos_token_id", &mut model.embeddings.eos_token_id, vocabulary.sep, false),
        ] {
            let is_settled = self.states(key) || (self.inherits && belongs_to_weights);
            if let (false, Some(value)) = (is_settled, value) {
                *field = value;
            }
        }
        if model.embeddings.vocab_size < vocabulary.size {
            return Err(LearnerError::Config(format!(
                "`model.vocab_size` is `{}`, but the data has ids of a vocabulary of `{}`; raise it, or leave it \
                 out to take the data's",
                model.embeddings.vocab_size, vocabulary.size
            )));
        }
        if let Some(targets) = targets {
            let labels = targets.names();
            let refuse = |key: &str, difference| {
                LearnerError::Config(format!(
                    "`{key}` {difference}; leave it out to take the task's"
                ))
            };
            if labels.is_empty() {
                // Choices and answers have no names.
            } else if !self.states("model.id2label") {
                model.classifier.id2label = Labels::new(labels);
            } else if let Some(difference) = class_difference(&model.classifier.id2label, &labels) {
                return Err(refuse("model.id2label", difference));
            }
            if !self.states("model.problem_type") {
                model.classifier.problem_type = problem_type(targets);
            } else if let Some(stated) = model.classifier.problem_type
                && let Some(difference) = problem_type_difference(stated, targets)
            {
                return Err(refuse("model.problem_type", difference));
            }
            let classifier = &mut model.classifier;
            if let Some(Standardization { mean, std }) = standardization {
                classifier.label_mean = Some(mean);
                classifier.label_std = Some(std);
            } else if !(targets.is_regression()
                && classifier
                    .label_mean
                    .as_ref()
                    .is_some_and(|mean| mean.len() == classifier.num_labels()))
            {
                // Those of a model to start from belong to other answers.
                (classifier.label_mean, classifier.label_std) = (None, None);
            }
        }
        experiment.validate()?;
        Ok(experiment)
    }

    /// Every field that differs from the experiment of a run, `field: was X, now Y`; what the
    /// data answers is compared only where this experiment states it.
    pub fn differences_from(&self, run: &Experiment) -> Vec<String> {
        let was = run.fields();
        let mut now = self.experiment.fields();
        let left_open = FROM_DATA.into_iter().chain(WITH_FORMER_DEFAULTS);
        for key in left_open.filter(|key| !self.states(key)) {
            // Names of classes are a table, whose keys begin with its own.
            let is_of_key = |field: &String| {
                field.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            now.retain(|field, _| !is_of_key(field));
            now.extend(was.clone().into_iter().filter(|(field, _)| is_of_key(field)));
        }
        differences(&was, &now)
    }

    /// Takes the places of files from the run that it goes on with: where a relative path of its file leads to nothing, as
    /// seen from the folder of this process, and the run's own path leads to something. What a `--set` says stays. Says what
    /// was taken, a sentence each.
    pub(crate) fn keep_paths_of(&mut self, run: &Experiment) -> Vec<String> {
        let layers = &self.layers;
        let is_free = |key: &str| layers.origin(key) != Some(&Origin::Override);
        self.experiment.take_paths(run, is_free, "leads to nothing from this folder")
    }

    /// Whether a file or a `--set` states this key (as in `model.vocab_size`), rather than leaving
    /// its default.
    pub fn states(&self, key: &str) -> bool {
        self.layers.get(key).is_some()
    }
}

/// Takes every key of the model that no file states from another model.
fn inherit(
    model: &mut NystromformerConfig,
    source: &NystromformerConfig,
    layers: &Layers,
) -> Result<()> {
    let unusable = |error: &dyn std::fmt::Display| {
        LearnerError::Config(format!(
            "`model.init_from`: its configuration cannot be used: {error}"
        ))
    };
    let mut own = Table::try_from(&*model).map_err(|error| unusable(&error))?;
    for (key, value) in Table::try_from(source).map_err(|error| unusable(&error))? {
        if layers.get(&format!("model.{key}")).is_none() {
            own.insert(key, value);
        }
    }
    *model = own.try_into().map_err(|error| unusable(&error))?;
    Ok(())
}

/// Turns to the sample where the experiment allows it and there is no text yet.
fn settle_corpus(data: &mut DataConfig, layers: &Layers) -> Result<()> {
    let overridden = |key| layers.origin(key) == Some(&Origin::Override);
    // A corpus named on the command line is meant: misspelt, it must not become the sample.
    if overridden("data.corpus") && !overridden("data.sample_if_missing") {
        data.sample_if_missing = false;
    }
    if let Some(named) = nystromformer_data::settle_corpus(data)? {
        tracing::warn!(
            "there is no text in `{named}` yet, so this trains on the built-in sample; put .txt, \
             .jsonl or .parquet files there, or name another place with `--set data.corpus=PATH`"
        );
    }
    Ok(())
}
