//! [`Batches`]: the batches of an experiment, whether of a corpus or of a task.

use std::path::{Path, PathBuf};

use nystromformer::Standardization;
use nystromformer_data::{ProgressListener, TextTokenizer};
use nystromformer_tasks::{Targets, TaskConfig, Vectors};

use crate::batch::{BatchSource, TokenBatch};
use crate::checkpoint::Checkpoint;
use crate::corpus_batches::CorpusBatches;
use crate::error::{LearnerError, Result};
use crate::experiment::{Experiment, Vocabulary};
use crate::task_batches::{FeatureStatistics, TaskBatches};
use crate::trainer::model_folder;

/// The batches of an experiment.
#[expect(clippy::large_enum_variant, reason = "there is one such value")]
#[derive(Debug)]
pub enum Batches {
    /// Of pretraining.
    Corpus(CorpusBatches),
    /// Of a labelled data set.
    Task(TaskBatches),
}

impl Batches {
    /// Reads the experiment's data. A task's tokenizer is that of `checkpoint`, where training goes on, or of the model
    /// that it starts from.
    ///
    /// # Errors
    /// As [`CorpusBatches::prepare`] and [`TaskBatches::prepare`].
    pub fn prepare(
        experiment: &Experiment,
        checkpoint: Option<&Checkpoint>,
        progress: &dyn ProgressListener,
    ) -> Result<Self> {
        if experiment.task.is_none() {
            return Ok(Self::Corpus(CorpusBatches::prepare(experiment, progress)?));
        }
        let folder = tokenizer_folder(experiment, checkpoint)?;
        Ok(Self::Task(TaskBatches::prepare(experiment, folder.as_deref(), progress)?))
    }

    /// The same for a model that lies in `folder`, to measure it.
    ///
    /// # Errors
    /// As [`Self::prepare`]; [`LearnerError::Checkpoint`] if the tokenizer has ids that the model has no embedding for.
    pub fn prepare_for(
        experiment: &Experiment,
        folder: &Path,
        progress: &dyn ProgressListener,
    ) -> Result<Self> {
        let batches = if experiment.task.is_none() {
            Self::prepare(experiment, None, progress)?
        } else {
            Self::Task(TaskBatches::prepare_for(experiment, folder, progress)?)
        };
        let rows = experiment.model.embeddings.vocab_size;
        match batches.tokenizer().and_then(|tokenizer| tokenizer.first_id_beyond(rows)) {
            None => Ok(batches),
            Some((id, token)) => Err(LearnerError::checkpoint(
                folder,
                format!(
                    "the tokenizer's entry `{token}` has the id `{id}`, and the model has embeddings for the ids below \
                     vocab_size = {rows} only: use the tokenizer that the model was trained with"
                ),
            )),
        }
    }

    /// The same without writing to `data.cache_dir`: what is not there yet is made in `scratch`.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub fn prepare_aside(
        experiment: &Experiment,
        checkpoint: Option<&Checkpoint>,
        scratch: &Path,
        progress: &dyn ProgressListener,
    ) -> Result<Self> {
        if experiment.task.is_some() {
            return Self::prepare(experiment, checkpoint, progress);
        }
        Ok(Self::Corpus(CorpusBatches::prepare_aside(experiment, scratch, progress)?))
    }

    /// The batches.
    pub fn source(&self) -> &dyn BatchSource<Batch = TokenBatch> {
        match self {
            Self::Corpus(batches) => batches,
            Self::Task(batches) => batches,
        }
    }

    /// What they say of a model's vocabulary.
    pub fn vocabulary(&self) -> Vocabulary {
        match self {
            Self::Corpus(batches) => Vocabulary::of(&batches.data().tokenizer),
            Self::Task(batches) => batches.vocabulary(),
        }
    }

    /// The task of a labelled data set, with the keys set that its data answers.
    pub fn task(&self) -> Option<&TaskConfig> {
        match self {
            Self::Corpus(_) => None,
            Self::Task(batches) => Some(batches.task()),
        }
    }

    /// What is to be predicted of a labelled data set; `None` if its inputs are learned, and no labels.
    pub fn targets(&self) -> Option<&Targets> {
        match self {
            Self::Corpus(_) => None,
            Self::Task(batches) => (!batches.predicts_inputs()).then(|| batches.targets()),
        }
    }

    /// The feature vectors of the first training example; `None` if they are not made of vectors.
    pub fn first_vectors(&self) -> Option<&Vectors> {
        match self {
            Self::Corpus(_) => None,
            Self::Task(batches) => batches.first_vectors(),
        }
    }

    /// What the task wants feature vectors to be standardised by.
    ///
    /// # Errors
    /// As [`TaskBatches::feature_statistics`].
    pub fn feature_statistics(&self) -> Result<Option<FeatureStatistics>> {
        match self {
            Self::Corpus(_) => Ok(None),
            Self::Task(batches) => batches.feature_statistics(),
        }
    }

    /// How the numbers of a labelled data set are standardized, if its task wants it.
    pub fn standardization(&self) -> Option<Standardization> {
        match self {
            Self::Corpus(_) => None,
            Self::Task(batches) => batches.standardization(),
        }
    }

    /// The tokenizer, if they are made of texts.
    pub fn tokenizer(&self) -> Option<&TextTokenizer> {
        match self {
            Self::Corpus(batches) => Some(&batches.data().tokenizer),
            Self::Task(batches) => batches.tokenizer(),
        }
    }
}

/// Where the tokenizer of a task's model lies, if it has a past.
fn tokenizer_folder(
    experiment: &Experiment,
    checkpoint: Option<&Checkpoint>,
) -> Result<Option<PathBuf>> {
    match (checkpoint, &experiment.init_from) {
        (Some(checkpoint), _) => Ok(Some(checkpoint.path.clone())),
        (None, Some(source)) => model_folder(source).map(Some),
        (None, None) => Ok(None),
    }
}
