//! Predictions of a trained model; see `predict --help`.

mod features;
mod fill_mask;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::device_arg::DeviceArg;

/// Predict with a trained model.
#[derive(Parser)]
#[command(name = "predict", version)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fill the mask in each text; prints a JSON array for each.
    FillMask(fill_mask::Args),
    /// Logits (or an encoder's hidden states) of token ids, file to file, to compare with other implementations.
    Features(features::Args),
}

/// What all predictions need to know.
#[derive(Debug, clap::Args)]
struct ModelArgs {
    /// A run directory (its best checkpoint, else the newest), a checkpoint, or a Hugging Face folder.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    #[command(flatten)]
    device: DeviceArg,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes in [`crate::failure`].
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::FillMask(args) => fill_mask::run(&args)?,
        Command::Features(args) => features::run(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}
