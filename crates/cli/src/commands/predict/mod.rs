//! Predictions of a trained model; see `nystromformer predict --help`.

mod answer_file;
mod attention;
mod by_task;
mod choice;
mod classify;
mod features;
mod fill_mask;
mod glue;
mod of_examples;
mod qa;
mod requests;
mod tokens;

use std::{path::PathBuf, process::ExitCode};

use burn::tensor::Device;
use clap::Subcommand;
use nystromformer_learner::trainer::model_folder;
use nystromformer_tasks::TaskRegistry;

use crate::device_arg::DeviceArg;

/// Predict with a trained model.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fill the mask in each text; prints a JSON array for each.
    ///
    /// Texts have the model's mask token in them, `[MASK]` or `<mask>`.
    FillMask(fill_mask::Args),
    /// Classify each text, or pair of texts; prints a JSON line for each.
    ///
    /// Pairs come as JSON lines: `{"text": "…", "text_pair": "…"}`.
    Classify(classify::Args),
    /// Find named entities (NER) in each text; prints a JSON array for each.
    ///
    /// Texts that are split into words already come as JSON lines: `{"tokens": ["…", …]}`.
    Tokens(tokens::Args),
    /// Answer questions from texts; prints a JSON line for each.
    ///
    /// Without `--question` they come as JSON lines: `{"question": "…", "context": "…"}`, with an `id` if the
    /// answer is to carry one.
    Qa(qa::Args),
    /// Multiple choice: which of some texts goes with another; prints a JSON line for each.
    ///
    /// They come as JSON lines: `{"prompt": "…", "choices": ["…", …]}`; `question` may stand for `prompt`.
    Choice(choice::Args),
    /// Answer GLUE's test sets, and write a submission: a zip of eleven tables, checked before it is written.
    Glue(glue::Args),
    /// What the first token (or the class token of a bag) takes of each, in every layer and head; prints a JSON line for
    /// each text or bag.
    ///
    /// Of a text: `{"tokens": ["…", …], "attention": [{"layer": 0, "heads": [[0.1, …], …]}, …]}`. Of a model that reads feature
    /// vectors `--input-file` names a .safetensors, .npy or .pt file of them, or a table as the task reads it; a line has the
    /// bag's `id`, and the class token's weight for itself stands apart. Weights are rows of the attention matrix as the model
    /// approximates it: they sum to about one, and can be a little below zero.
    Attention(attention::Args),
    /// Hidden states of texts as JSON lines; or logits and hidden states of token ids, from file to file.
    Features(features::Args),
}

/// What all predictions need to know.
#[derive(Debug, clap::Args)]
struct ModelArgs {
    /// A run directory (its best checkpoint, else the newest), a checkpoint, a Hugging Face folder, or `hub:owner/name`.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    #[command(flatten)]
    device: DeviceArg,
}

impl ModelArgs {
    /// The folder with the model's files, and the device to compute on.
    fn open(&self) -> anyhow::Result<(PathBuf, Device)> {
        Ok((model_folder(&self.model)?, self.device.kind().open()?))
    }
}

/// Runs the command.
///
/// # Errors
/// See the exit codes in [`crate::failure`].
pub fn run(args: Args, tasks: &TaskRegistry) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::FillMask(args) => fill_mask::run(&args)?,
        Command::Classify(args) => classify::run(args, tasks)?,
        Command::Tokens(args) => tokens::run(args, tasks)?,
        Command::Qa(args) => qa::run(args, tasks)?,
        Command::Choice(args) => choice::run(&args, tasks)?,
        Command::Glue(args) => glue::run(&args)?,
        Command::Attention(args) => attention::run(&args, tasks)?,
        Command::Features(args) => features::run(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}
