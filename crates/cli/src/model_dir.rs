//! `--model DIR`: a run directory, a checkpoint, or a Hugging Face folder.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use nystromformer_learner::run_dir::RunDir;

/// The folder that holds the model's files: `path` itself, or the newest valid checkpoint of the run there.
///
/// # Errors
/// If `path` is neither a model nor a run with a checkpoint.
pub fn resolve(path: &Path) -> anyhow::Result<PathBuf> {
    if path.join("config.json").is_file() {
        return Ok(path.to_path_buf());
    }
    if !RunDir::holds_run(path) {
        return Err(anyhow!(
            "no model in `{}`: give a run directory, a checkpoint, or a folder with config.json and weights",
            path.display()
        ));
    }
    match RunDir::checkpoints_of(path).newest_valid()? {
        Some(checkpoint) => Ok(checkpoint.path),
        None => Err(anyhow!("run `{}` has no checkpoint yet: train it first", path.display())),
    }
}
