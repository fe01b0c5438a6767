//! Reads foreign weights into a folder of ours; see `import --help`.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use nystromformer_interop::import_model;

use crate::output;

/// Read a Hugging Face folder in any published form and write it as one safetensors folder.
#[derive(Parser)]
#[command(name = "import", version)]
pub struct Args {
    /// A folder in any form that Hugging Face has published: safetensors, shards, or a pickle.
    #[arg(long, value_name = "PATH")]
    from: PathBuf,
    /// The folder to write; must not exist yet, or be empty.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes in [`crate::failure`].
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    for note in import_model(&args.from, &args.output)?.notes {
        output::note(&format!("note: {note}"));
    }
    output::note(&format!("imported `{}` to `{}`", args.from.display(), args.output.display()));
    Ok(ExitCode::SUCCESS)
}
