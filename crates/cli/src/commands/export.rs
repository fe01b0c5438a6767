//! Writes a trained model as a folder that transformers loads; see `export --help`.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use nystromformer_interop::{ExportOptions, export_model};
use nystromformer_learner::trainer::{model_folder, trained_seq_len};

use crate::output;

/// Write a model as a Hugging Face folder, tokenizer and model card included.
#[derive(Parser)]
#[command(name = "export", version)]
pub struct Args {
    /// A run directory (its best checkpoint, else the newest), a checkpoint, or a Hugging Face folder.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The folder to write; must not exist yet, or be empty.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Tokens per input that transformers should expect of a model with Nyström attention: there the length is
    /// fixed. Default: the length that the model was trained on, or else the longest that it has positions for.
    #[arg(long, value_name = "N")]
    seq_len: Option<usize>,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes in [`crate::failure`].
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let source = model_folder(&args.model)?;
    let seq_len = args.seq_len.or_else(|| trained_seq_len(&source));
    let options = ExportOptions { seq_len, ..ExportOptions::default() };
    for note in export_model(&source, &args.output, &options)?.notes {
        output::note(&format!("note: {note}"));
    }
    output::note(&format!("exported `{}` to `{}`", source.display(), args.output.display()));
    Ok(ExitCode::SUCCESS)
}
