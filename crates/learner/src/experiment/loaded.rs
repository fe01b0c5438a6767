//! [`LoadedExperiment`]: an experiment and what its files state themselves, which the data then completes.

use nystromformer::{Labels, Standardization};
use nystromformer_tasks::{Targets, Vectors};
use toml::Value;

use super::classes::{class_difference, problem_type, problem_type_difference};
use super::differences::differences;
use super::merge::{ConfigLayer, Layers, Origin};
use super::{Experiment, Vocabulary, resolved_text};
use crate::error::{LearnerError, Result};
use crate::task_batches::FeatureStatistics;

/// Keys of `[model]` that the data answers where no file does.
const FROM_DATA: [&str; 13] = [
    "model.num_features",
    "model.feature_mean",
    "model.feature_std",
    "model.feature_names",
    "model.problem_type",
    "model.label_mean",
    "model.label_std",
    "model.vocab_size",
    "model.pad_token_id",
    "model.bos_token_id",
    "model.eos_token_id",
    "model.id2label",
    "distill.model_class",
];

/// Keys whose defaults have been others: a run goes on with what it has, unless a file says something else.
const WITH_FORMER_DEFAULTS: [&str; 1] = ["trainer.eval_examples"];

/// An experiment as loaded, with what its files state themselves.
#[derive(Debug, Clone)]
pub struct LoadedExperiment {
    /// The experiment.
    pub experiment: Experiment,
    pub(super) layers: Layers,
    /// Whether the model's keys that no file states are those of another model.
    pub(super) inherits: bool,
}

impl LoadedExperiment {
    /// The same with what its data says of feature vectors, where no file does: how many features each has, what these
    /// are called, and what they are standardised by. `first` are the first vectors; `None` of data without any. `statistics` is
    /// asked where it counts.
    ///
    /// # Errors
    /// [`LearnerError::Config`] if the model's vectors are stated otherwise; those of `statistics`.
    pub fn with_vectors(
        mut self,
        first: Option<&Vectors>,
        statistics: impl FnOnce() -> Result<Option<FeatureStatistics>>,
    ) -> Result<Self> {
        let settled = |key: &str| self.states(key) || self.inherits;
        let has_width = settled("model.num_features");
        let has_statistics = settled("model.feature_mean") || settled("model.feature_std");
        let vectors = &mut self.experiment.model.vectors;
        let Some(num_features) = first.map(Vectors::num_features) else {
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
        if let Some(names) = first.map(Vectors::feature_names).filter(|names| !names.is_empty()) {
            // Where the model knows some, the data was read by them.
            vectors.feature_names = names.to_vec();
        }
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

    /// `experiment`, which is this one or the stored one that it goes on with, as TOML without what the data is to answer: so that others
    /// can begin with it, each with the answers of its own data.
    pub(crate) fn toml_without_answers(&self, experiment: &Experiment) -> String {
        let mut table = experiment.to_table();
        let of_task = experiment.task.iter().flat_map(|task| task.task().keys_from_data());
        let of_task: Vec<String> = of_task.map(|key| format!("task.{key}")).collect();
        let answered = FROM_DATA.into_iter().chain(of_task.iter().map(String::as_str));
        for key in answered.filter(|key| !self.states(key)) {
            if let Some((section, name)) = key.split_once('.')
                && let Some(Value::Table(section)) = table.get_mut(section)
            {
                section.remove(name);
            }
        }
        resolved_text(table)
    }

    /// Every field that differs from the experiment of a run, `field: was X, now Y`; what the
    /// data answers is compared only where this experiment states it.
    pub fn differences_from(&self, run: &Experiment) -> Vec<String> {
        let was = run.fields();
        let mut now = self.experiment.fields();
        let of_task = self.experiment.task.iter().flat_map(|task| task.task().keys_from_data());
        let of_task: Vec<String> = of_task.map(|key| format!("task.{key}")).collect();
        let left_open = FROM_DATA.into_iter().chain(WITH_FORMER_DEFAULTS);
        let left_open = left_open.chain(of_task.iter().map(String::as_str));
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

    /// Takes folders for names on the Hub: those of the run that it goes on with where they are there; others are downloaded.
    pub(crate) fn take_local_models(&mut self, run: &Experiment) -> Result<()> {
        self.experiment = self.experiment.with_local_models(Some(run))?;
        Ok(())
    }

    /// The files that it was made of and what each states, the lowest first, then the command line.
    pub fn stated(&self) -> &[ConfigLayer] {
        &self.layers.stated
    }

    /// Whether a `--set` states this key.
    pub(crate) fn is_overridden(&self, key: &str) -> bool {
        self.states(key) && self.layers.origin(key) == Some(&Origin::Override)
    }

    /// Whether a file or a `--set` states this key (as in `model.vocab_size`), rather than leaving
    /// its default.
    pub fn states(&self, key: &str) -> bool {
        self.layers.get(key).is_some()
    }
}
