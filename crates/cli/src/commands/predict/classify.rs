//! `predict classify`: classes of texts, or numbers.

use std::num::NonZeroUsize;

use nystromformer_pipelines::TextClassification;
use nystromformer_tasks::TaskRegistry;

use super::{ModelArgs, answer_file::Answers, requests::TextArgs};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Classes of each text, likeliest first; an array if more than 1.
    #[arg(long, default_value = "1", value_name = "K")]
    top_k: NonZeroUsize,
    #[command(flatten)]
    texts: TextArgs,
}

pub(super) fn run(args: Args, tasks: &TaskRegistry) -> anyhow::Result<()> {
    // Who asks for several classes gets the pipeline's answers, to what the task reads.
    let asks_for_one = args.top_k == NonZeroUsize::MIN;
    if asks_for_one && args.texts.answer_by_task(&args.model, "labelled", tasks)? {
        return Ok(());
    }
    let (answers, examples) = if asks_for_one {
        (Answers::Objects, None)
    } else {
        (Answers::Arrays, args.texts.examples_of_task(&args.model, "labelled", tasks)?)
    };
    let lines = args.texts.lines_for(examples.as_ref(), answers)?;
    let (folder, device) = args.model.open()?;
    let classifier = TextClassification::load(&folder, &device)?.with_top_k(args.top_k);
    args.texts.answer_examples_or_texts(&classifier, examples, lines)
}
