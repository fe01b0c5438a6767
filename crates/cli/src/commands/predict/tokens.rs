//! `predict tokens`: what is named where in a text.

use std::num::NonZeroUsize;

use clap::ValueEnum;
use nystromformer_pipelines::{Aggregation, TokenClassification};
use nystromformer_tasks::TaskRegistry;

use super::{ModelArgs, answer_file::Answers, requests::TextArgs};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// How tokens become entities.
    #[arg(long, value_enum, default_value = "none", value_name = "STRATEGY")]
    aggregation: Strategy,
    /// Leave out entities of these classes; `O` when left out.
    #[arg(long, value_name = "LABEL", value_delimiter = ',')]
    ignore_labels: Option<Vec<String>>,
    /// Read long texts in windows that overlap by so many tokens, instead of cutting them; with an aggregation.
    #[arg(long, value_name = "TOKENS")]
    stride: Option<NonZeroUsize>,
    #[command(flatten)]
    texts: TextArgs,
}

/// transformers' `aggregation_strategy`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Strategy {
    /// Every token is an entity.
    None,
    /// Neighbours of one class are; `B-` begins another.
    Simple,
    /// All tokens of a word take the class of its first.
    First,
    /// All tokens of a word take the class likeliest by their mean.
    Average,
    /// All tokens of a word take the class of the surest.
    Max,
}

impl From<Strategy> for Aggregation {
    fn from(strategy: Strategy) -> Self {
        match strategy {
            Strategy::None => Self::None,
            Strategy::Simple => Self::Simple,
            Strategy::First => Self::First,
            Strategy::Average => Self::Average,
            Strategy::Max => Self::Max,
        }
    }
}

pub(super) fn run(args: Args, tasks: &TaskRegistry) -> anyhow::Result<()> {
    // What is asked of entities is the pipeline's to answer, of what the task reads.
    let asks_for_tags = matches!(args.aggregation, Strategy::None)
        && args.stride.is_none()
        && args.ignore_labels.is_none();
    if asks_for_tags && args.texts.answer_by_task(&args.model, "ner", tasks)? {
        return Ok(());
    }
    let examples = if asks_for_tags {
        None
    } else {
        args.texts.examples_of_task(&args.model, "ner", tasks)?
    };
    let lines = args.texts.lines_for(examples.as_ref(), Answers::Arrays)?;
    let (folder, device) = args.model.open()?;
    let mut tagger = TokenClassification::load(&folder, &device, args.aggregation.into())?
        .with_ignore_labels(args.ignore_labels.unwrap_or_else(|| vec!["O".to_owned()]));
    if let Some(stride) = args.stride {
        tagger = tagger.with_stride(stride)?;
    }
    args.texts.answer_examples_or_texts(&tagger, examples, lines)
}
