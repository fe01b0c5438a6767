//! Tokenises a corpus ahead of training; see `nystromformer prepare --help`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use nystromformer_data::{TrainedReading, prepare};
use nystromformer_learner::{
    Experiment, LearnerError, progress::WorkDisplay, tokenizer_files::write_tokenizer,
};
use nystromformer_tasks::TaskRegistry;
use serde_json::json;

use crate::output;

/// Make the tokenizer and the token cache that `train` will use.
///
/// `train` does the same by itself; this does it without a model, e.g. on another machine with the same files.
#[derive(clap::Args)]
pub struct Args {
    /// The experiment whose `[data]` and `[tokenizer]` are prepared.
    #[arg(value_name = "CONFIG.toml")]
    config: PathBuf,
    /// Override a key of the configuration, e.g. data.corpus=books/.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Also write the tokenizer's files into this folder.
    #[arg(long, value_name = "DIR")]
    save_tokenizer: Option<PathBuf>,
}

/// Runs the command: one line of JSON with what was found.
///
/// # Errors
/// See the exit codes in [`crate::failure`].
pub fn run(args: Args, tasks: &TaskRegistry) -> anyhow::Result<ExitCode> {
    let experiment = Experiment::load(&args.config, &args.overrides, tasks)?.experiment;
    if let Some(task) = &experiment.task {
        let problem = format!(
            "`task.name` is `{}`, and there is nothing to prepare of a task: its examples are read when training begins",
            task.name()
        );
        return Err(LearnerError::Config(problem).into());
    }
    let work = WorkDisplay::stderr();
    let prepared = prepare(&experiment.data, &experiment.tokenizer, experiment.seed, &work)?;
    work.finish();
    if let Some(folder) = &args.save_tokenizer {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
        write_tokenizer(&prepared.tokenizer, TrainedReading::default(), &experiment.model, folder)?;
    }
    output::json_line(&json!({
        "documents": prepared.facts.documents,
        "tokens": prepared.facts.tokens,
        "unknown_tokens": prepared.facts.unknown_tokens,
        "corpus_bytes": prepared.facts.corpus_bytes,
        "vocab_size": prepared.tokenizer.vocab_size(),
        "train_examples": prepared.train.len(),
        "validation_examples": prepared.validation.len(),
        "cache": prepared.facts.cache,
        "reused": prepared.facts.reused,
        "fingerprint": prepared.fingerprint,
    }))?;
    Ok(ExitCode::SUCCESS)
}
