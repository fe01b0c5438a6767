//! The learner's state as the files of a checkpoint.
//!
//! | file | |
//! |---|---|
//! | `config.json`, `model.safetensors`, tokenizer files | of our models a folder as Hugging Face's, else what [`Trainable::save`] writes |
//! | `optimizer.safetensors` | both moments of every parameter that is trained |
//! | `weights_in_training.safetensors` | with `trainer.ema_decay`: the weights that training goes on with; those of the model are their average |
//! | `experiment.toml` | the resolved experiment |
//! | `manifest.json` | where training stood, and the hashes of all other files |

use burn::tensor::Device;
use nystromformer::Model;
use nystromformer_files::durable;

use super::learner::Learner;
use crate::batch::{Batch, BatchSource, TokenBatch};
use crate::checkpoint::{Checkpoint, CheckpointStore};
use crate::error::{LearnerError, Result};
use crate::experiment::{Experiment, differences};
use crate::optimizer::AdamW;
use crate::trainable::Trainable;
use crate::weight_average::{weights_to_safetensors, with_weights_of};

const OPTIMIZER: &str = "optimizer.safetensors";
const WEIGHTS_IN_TRAINING: &str = "weights_in_training.safetensors";
pub(super) const EXPERIMENT: &str = "experiment.toml";

impl<'a> Learner<'a> {
    /// The learner as it was when `checkpoint` was written.
    ///
    /// # Errors
    /// As [`Self::resume`].
    pub fn restore(
        experiment: &'a Experiment,
        data: &'a dyn BatchSource<Batch = TokenBatch>,
        device: &Device,
        checkpoint: &Checkpoint,
    ) -> Result<Self> {
        require_same(experiment, data, checkpoint)?;
        experiment.model.validate()?;
        // Drawing weights that will be overwritten would take longer than reading them.
        let device_of_model = device.clone().autodiff();
        let model = Model::build(experiment.architecture(), &experiment.model, &device_of_model);
        Self::resume(experiment, data, device, checkpoint, model)
    }
}

impl<'a, M: Trainable> Learner<'a, M> {
    /// Writes a checkpoint of the state as it is.
    ///
    /// # Errors
    /// [`LearnerError::Io`] if the disk refuses; the checkpoints before it are untouched then.
    pub fn save(&self, store: &CheckpointStore) -> Result<Checkpoint> {
        store.save(self.state.clone(), self.data.fingerprints(), |directory| {
            self.result().save(directory)?;
            self.data.write_tokenizer(directory, &self.experiment.model)?;
            let experiment = self.experiment.to_toml();
            durable::write_new(&directory.join(EXPERIMENT), experiment.as_bytes())?;
            if self.average.is_some() {
                let weights = weights_to_safetensors(self.model(), &self.groups)?;
                durable::write_new(&directory.join(WEIGHTS_IN_TRAINING), &weights)?;
            }
            Ok(durable::write_new(&directory.join(OPTIMIZER), &self.optimizer.to_safetensors()?)?)
        })
    }

    /// Refuses weights that are not those of all ranks: they would drift apart unseen.
    ///
    /// # Errors
    /// [`LearnerError::Config`], and those of the device.
    pub(super) fn require_same_weights(&self) -> Result<()> {
        if self.ranks.is_alone() {
            return Ok(());
        }
        let weights = weights_to_safetensors(self.model(), &self.groups)?;
        self.ranks.require_same("their weights", &weights)
    }

    /// The learner as it was when `checkpoint` was written. `model` has the shape of the one in it, whatever its weights,
    /// and lives on the autodiff counterpart of `device`.
    ///
    /// # Errors
    /// [`LearnerError::Config`] with the fields that differ if experiment, tokenizer or data are
    /// not those of the checkpoint; [`LearnerError::Checkpoint`] and [`LearnerError::Weights`] if its files cannot be used.
    pub fn resume(
        experiment: &'a Experiment,
        data: &'a dyn BatchSource<Batch = M::Batch>,
        device: &Device,
        checkpoint: &Checkpoint,
        mut model: M,
    ) -> Result<Self> {
        require_same(experiment, data, checkpoint)?;
        let state = checkpoint.manifest.state.clone();
        model.load(&checkpoint.path)?;
        // With an average, the model of the checkpoint is that.
        let mut learner = Self::with_model(experiment, data, device, model)?;
        if learner.average.is_some()
            && let Some(model) = learner.model.take()
        {
            let path = checkpoint.path.join(WEIGHTS_IN_TRAINING);
            learner.model = Some(with_weights_of(model, &learner.groups, device, &path)?);
        }
        let path = checkpoint.path.join(OPTIMIZER);
        let bytes = std::fs::read(&path).map_err(LearnerError::io("read", &path))?;
        learner.optimizer = AdamW::restore(
            experiment.optimizer,
            learner.model(),
            device,
            learner.groups.clone(),
            state.updates,
            (&bytes, &path),
        )?;
        learner.set_state(state);
        Ok(learner)
    }
}

/// Refuses to go on with anything but what the checkpoint was trained with.
fn require_same<B: Batch>(
    experiment: &Experiment,
    data: &dyn BatchSource<Batch = B>,
    checkpoint: &Checkpoint,
) -> Result<()> {
    let path = checkpoint.path.join(EXPERIMENT);
    let tasks = experiment.task.as_ref().map(|task| task.registry().clone()).unwrap_or_default();
    let written = Experiment::load_resolved(&path, &tasks)?;
    let mut changes =
        differences(&written.fields_without_paths(), &experiment.fields_without_paths());
    changes.extend(differences(&checkpoint.manifest.fingerprints, &data.fingerprints()));
    if changes.is_empty() {
        return Ok(());
    }
    Err(LearnerError::Config(format!(
        "`{}` was trained with something else, and cannot go on: {}; undo the change, or \
         start a new run with `--run-dir`",
        checkpoint.path.display(),
        changes.join("; ")
    )))
}
