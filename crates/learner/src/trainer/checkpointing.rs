//! The learner's state as the files of a checkpoint.
//!
//! | file | |
//! |---|---|
//! | `config.json`, `model.safetensors`, tokenizer files | a model folder, as Hugging Face's |
//! | `optimizer.safetensors` | both moments of every parameter |
//! | `experiment.toml` | the resolved experiment |
//! | `manifest.json` | where training stood, and the hashes of all other files |

use std::path::Path;

use burn::tensor::Device;
use nystromformer_interop::{load_masked_lm, load_masked_lm_weights, save_masked_lm};

use super::learner::Learner;
use crate::checkpoint::manifest::MANIFEST;
use crate::checkpoint::{Checkpoint, CheckpointStore, Manifest, disk};
use crate::error::{LearnerError, Result};
use crate::experiment::Experiment;
use crate::masked_lm::BatchSource;
use crate::optimizer::AdamW;
use crate::run_dir::{RunDir, differences};

const OPTIMIZER: &str = "optimizer.safetensors";
const EXPERIMENT: &str = "experiment.toml";

impl<'a> Learner<'a> {
    /// Writes a checkpoint of the state as it is.
    ///
    /// # Errors
    /// [`LearnerError::Io`] if the disk refuses; the checkpoints before it are untouched then.
    pub fn save(&self, store: &CheckpointStore) -> Result<Checkpoint> {
        store.save(self.state.clone(), self.data.fingerprints(), |directory| {
            save_masked_lm(self.model(), directory)?;
            self.data.write_tokenizer(directory, self.experiment.model.max_position_embeddings)?;
            let experiment = self.experiment.to_toml();
            disk::write_synced(&directory.join(EXPERIMENT), experiment.as_bytes())?;
            disk::write_synced(&directory.join(OPTIMIZER), &self.optimizer.to_safetensors()?)
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
        let model = load_masked_lm(&checkpoint.path, &device.clone().autodiff())?;
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

    /// Takes the weights of `[model] init_from`: a run (its best or else newest checkpoint), a
    /// checkpoint, or a Hugging Face folder.
    pub(super) fn init_from(&mut self, path: &Path) -> Result<()> {
        let folder = model_folder(path)?;
        if let Some(model) = &mut self.model {
            let report = load_masked_lm_weights(model, &folder)?;
            tracing::info!(
                path = %folder.display(),
                loaded = report.loaded.len(),
                fresh = report.fresh.len(),
                ignored = report.ignored.len(),
                "weights initialised"
            );
        }
        Ok(())
    }
}

/// The folder with `config.json` and weights that `path` stands for: the best checkpoint of a run
/// (the newest valid one if the best is gone or none was evaluated), or `path` itself, whose files
/// are verified if it is a checkpoint.
///
/// # Errors
/// [`LearnerError::Checkpoint`] if `path` is a run without a usable checkpoint, or a damaged
/// checkpoint.
pub fn model_folder(path: &Path) -> Result<std::path::PathBuf> {
    if !RunDir::holds_run(path) {
        if path.join(MANIFEST).is_file() {
            Manifest::verify(path)?;
        }
        return Ok(path.to_path_buf());
    }
    let store = RunDir::checkpoints_of(path);
    let newest = store.newest_valid()?.ok_or_else(|| {
        LearnerError::checkpoint(path, "the run has no checkpoint yet; train it further first")
    })?;
    let best = newest.manifest.state.best_evaluation.map(|best| best.step);
    Ok(match best {
        Some(step) => match store.valid(step) {
            Ok(checkpoint) => checkpoint.path,
            Err(error) => {
                let newest = newest.path;
                tracing::warn!("taking `{}` for the best checkpoint: {error}", newest.display());
                newest
            }
        },
        None => newest.path,
    })
}

/// Tokens per block that the model in a checkpoint was trained on; `None` for other folders.
pub fn trained_seq_len(folder: &Path) -> Option<usize> {
    let path = folder.join(EXPERIMENT);
    Some(Experiment::load(&path, &[]).ok()?.experiment.data.seq_len)
}

/// Refuses to go on with anything but what the checkpoint was trained with.
fn require_same(
    experiment: &Experiment,
    data: &dyn BatchSource,
    checkpoint: &Checkpoint,
) -> Result<()> {
    let path = checkpoint.path.join(EXPERIMENT);
    let written = Experiment::load(&path, &[])?.experiment;
    let mut changes = differences(&written.fields(), &experiment.fields());
    changes.extend(differences(&checkpoint.manifest.fingerprints, &data.fingerprints()));
    if changes.is_empty() {
        return Ok(());
    }
    Err(LearnerError::Config(format!(
        "`{}` was trained with something else, and cannot go on: {}; undo the change, or \
         start a new run with \
         `--run-dir`",
        checkpoint.path.display(),
        changes.join("; ")
    )))
}
