//! `predict choice`: which of several texts goes with another.

use nystromformer_pipelines::MultipleChoice;
use nystromformer_tasks::TaskRegistry;

use super::{ModelArgs, answer_file::Answers, requests::LineArgs};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    lines: LineArgs,
}

pub(super) fn run(args: &Args, tasks: &TaskRegistry) -> anyhow::Result<()> {
    if args.lines.answer_by_task(&args.model, "choice", tasks)? {
        return Ok(());
    }
    let lines = args.lines.answer_lines(Answers::Objects)?;
    let (folder, device) = args.model.open()?;
    args.lines.answer_json(&MultipleChoice::load(&folder, &device)?, lines)
}
