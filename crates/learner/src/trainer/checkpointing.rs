//! The learner's state as the files of a checkpoint.
//!
//! | file | |
//! |---|---|
//! | `config.json`, `model.safetensors`, tokenizer files | a model folder, as Hugging Face's |
//! | `optimizer.safetensors` | both moments of every parameter |
//! | `experiment.toml` | the resolved experiment |
//! | `manifest.json` | where training stood, and the hashes of all other files |

use burn::tensor::Device;
use nystromformer::{Architecture, Model};
use nystromformer_files::durable;
use nystromformer_interop::{load_model, save};

use super::learner::Learner;
use crate::batch::BatchSource;
use crate::checkpoint::{Checkpoint, CheckpointStore};
use crate::error::{LearnerError, Result};
use crate::experiment::{Experiment, differences};
use crate::optimizer::AdamW;

const OPTIMIZER: &str = "optimizer.safetensors";
pub(super) const EXPERIMENT: &str = "experiment.toml";

impl<'a> Learner<'a> {
    /// Writes a checkpoint of the state as it is.
    ///
    /// # Errors
    /// [`LearnerError::Io`] if the disk refuses; the checkpoints before it are untouched then.
    pub fn save(&self, store: &CheckpointStore) -> Result<Checkpoint> {
        store.save(self.state.clone(), self.data.fingerprints(), |directory| {
            save(self.model(), directory)?;
            self.data.write_tokenizer(directory, &self.experiment.model)?;
            let experiment = self.experiment.to_toml();
            durable::write_new(&directory.join(EXPERIMENT), experiment.as_bytes())?;
            Ok(durable::write_new(&directory.join(OPTIMIZER), &self.optimizer.to_safetensors()?)?)
        })
    }

    /// The learner as it was when `checkpoint` was written.
    ///
    /// # Errors
    /// [`LearnerError::Config`] with the fields that differ if experiment, tokenizer or data are
    /// not those of the checkpoint; [`LearnerError::Checkpoint`] if its files cannot be used.
    pub fn restore(
        experiment: &'a Experiment,
        data: &'a dyn BatchSource,
        device: &Device,
        checkpoint: &Checkpoint,
    ) -> Result<Self> {
        require_same(experiment, data, checkpoint)?;
        let state = checkpoint.manifest.state.clone();
        let model = load_model(&checkpoint.path, &device.clone().autodiff())?;
        require_class(&model, data.architecture(), checkpoint)?;
        let mut learner = Self::with_model(experiment, data, device, model);
        let path = checkpoint.path.join(OPTIMIZER);
        let bytes = std::fs::read(&path).map_err(LearnerError::io("read", &path))?;
        learner.optimizer = AdamW::from_safetensors(
            experiment.optimizer,
            learner.model(),
            device,
            state.updates,
            &bytes,
            &path,
        )?;
        learner.set_state(state);
        Ok(learner)
    }
}

/// Refuses a model of another class than the experiment trains.
fn require_class(model: &Model, wanted: Architecture, checkpoint: &Checkpoint) -> Result<()> {
    let found = model.architecture();
    if found == wanted {
        return Ok(());
    }
    let message = format!("it holds a {found}, where the experiment trains a {wanted}");
    Err(LearnerError::checkpoint(&checkpoint.path, message))
}

/// Refuses to go on with anything but what the checkpoint was trained with.
fn require_same(
    experiment: &Experiment,
    data: &dyn BatchSource,
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
