//! `predict fill-mask`: the most likely tokens in place of the mask.

use std::io::{self, BufRead};

use nystromformer_learner::{LearnerError, trainer::model_folder};

use super::ModelArgs;
use crate::{fill_mask::FillMask, output};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Candidates for each mask.
    #[arg(long, default_value_t = 5, value_name = "K")]
    top_k: usize,
    /// Texts with the model's mask token in them; from stdin, one a line, when none is given.
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let folder = model_folder(&args.model.model)?;
    let filler = FillMask::load(&folder, &args.model.device.kind().open()?)?;
    if args.texts.is_empty() {
        for line in io::stdin().lock().lines() {
            let line = line.map_err(|error| match error.kind() {
                io::ErrorKind::InvalidData => {
                    LearnerError::Data("stdin is not UTF-8 text".to_owned()).into()
                }
                _ => anyhow::Error::from(error).context("cannot read stdin"),
            })?;
            print(&filler, &line, args.top_k)?;
        }
    } else {
        for text in &args.texts {
            print(&filler, text, args.top_k)?;
        }
    }
    Ok(())
}

/// Prints the candidates of one text: an array, or an array of arrays if there are several masks.
fn print(filler: &FillMask, text: &str, top_k: usize) -> anyhow::Result<()> {
    let masks = filler.candidates(text, top_k)?;
    match masks.as_slice() {
        [candidates] => output::json_line(candidates),
        masks => output::json_line(&masks),
    }
}
