//! Writes a trained model as a folder that transformers loads; see `nystromformer export --help`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap::ValueEnum;
use nystromformer_interop::{ExportOptions, StorageType, export_for_authors, export_model};
use nystromformer_learner::trainer::{model_folder, trained_facts, trained_seq_len};

use crate::output;

/// Write a model as a Hugging Face folder, tokenizer and model card included.
#[derive(clap::Args)]
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
    /// How the weights are stored.
    #[arg(long, value_enum, default_value = "f32")]
    dtype: Dtype,
    /// The layout of the folder.
    #[arg(long, value_enum, default_value = "hf")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Hugging Face's, which transformers reads.
    Hf,
    /// The authors': `cp-0000.model` with their names of weights, and their `config.json`.
    Original,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Dtype {
    /// 32 bits: the weights as they are.
    F32,
    /// 16 bits, for numbers up to 65504.
    F16,
    /// 16 bits, with the range of f32 and less precision.
    Bf16,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes in [`crate::failure`].
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.format == Format::Original && (args.dtype != Dtype::F32 || args.seq_len.is_some()) {
        bail!(
            "`--format original` with `--dtype` or `--seq-len`: the authors' scripts read 32-bit weights, and \
             inputs as long as the model has positions; leave them out"
        );
    }
    let source = model_folder(&args.model)?;
    let seq_len = args.seq_len.or_else(|| trained_seq_len(&source));
    let storage = match args.dtype {
        Dtype::F32 => StorageType::F32,
        Dtype::F16 => StorageType::F16,
        Dtype::Bf16 => StorageType::Bf16,
    };
    let training = trained_facts(&source);
    let options = ExportOptions { seq_len, storage, training, ..ExportOptions::default() };
    let exported = match args.format {
        Format::Hf => export_model(&source, &args.output, &options)?,
        Format::Original => export_for_authors(&source, &args.output)?,
    };
    for note in exported.notes {
        output::note(&format!("note: {note}"));
    }
    output::note(&format!("exported `{}` to `{}`", source.display(), args.output.display()));
    Ok(ExitCode::SUCCESS)
}
