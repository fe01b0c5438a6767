//! `predict fill-mask`: the most likely tokens in place of the mask.

use nystromformer_pipelines::FillMask;

use super::{ModelArgs, answer_file::Answers, requests::TextArgs};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Candidates for each mask.
    #[arg(long, default_value_t = 5, value_name = "K")]
    top_k: usize,
    #[command(flatten)]
    texts: TextArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let lines = args.texts.answer_lines(Answers::Arrays)?;
    let (folder, device) = args.model.open()?;
    let filler = FillMask::load(&folder, &device)?.with_top_k(args.top_k);
    args.texts.answer(&filler, lines)
}
