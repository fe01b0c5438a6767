//! `predict qa`: the part of a text that answers a question.

use std::{num::NonZeroUsize, path::Path};

use nystromformer_learner::trainer::chosen_thresholds;
use nystromformer_pipelines::{Question, QuestionAnswering, question_answering::Options};
use nystromformer_tasks::TaskRegistry;

use super::{
    ModelArgs,
    answer_file::Answers,
    requests::{LineArgs, answer_all},
};
use crate::output;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// A question.
    #[arg(long, requires = "context", conflicts_with = "input_file", value_name = "TEXT")]
    question: Option<String>,
    /// The text to look for its answer in.
    #[arg(long, requires = "question", value_name = "TEXT")]
    context: Option<String>,
    /// Answers to each question, likeliest first; an array if more than 1.
    #[arg(long, default_value = "1", value_name = "K")]
    top_k: NonZeroUsize,
    /// The most tokens of an answer; when left out as the model was trained, or else 15.
    #[arg(long, value_name = "TOKENS")]
    max_answer_len: Option<NonZeroUsize>,
    /// Whether "no answer" may be an answer, an empty one; when left out as the model was trained, or else not.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL")]
    handle_impossible_answer: Option<bool>,
    /// The most tokens of question and context in one window; when left out as the model was trained, or else 384 or what it reads.
    #[arg(long, value_name = "TOKENS")]
    max_seq_len: Option<usize>,
    /// Tokens that windows over a long context overlap by; 128 or half a window when left out.
    #[arg(long, value_name = "TOKENS")]
    doc_stride: Option<usize>,
    #[command(flatten)]
    lines: LineArgs,
}

impl Args {
    fn names_options(&self) -> bool {
        self.top_k != NonZeroUsize::MIN
            || self.max_answer_len.is_some()
            || self.handle_impossible_answer.is_some()
            || self.max_seq_len.is_some()
            || self.doc_stride.is_some()
    }
}

pub(super) fn run(args: Args, tasks: &TaskRegistry) -> anyhow::Result<()> {
    // Who asks for the pipeline's options gets the pipeline's answers, to what the task reads.
    let names_options = args.names_options();
    if !names_options && args.lines.answer_by_task(&args.model, "qa", tasks)? {
        return Ok(());
    }
    let answers = if args.top_k == NonZeroUsize::MIN { Answers::Objects } else { Answers::Arrays };
    let examples =
        if names_options { args.lines.examples_of_task(&args.model, "qa", tasks)? } else { None };
    let lines = args.lines.lines_for(examples.as_ref(), answers)?;
    let (folder, device) = args.model.open()?;
    let options = Options {
        top_k: args.top_k,
        max_answer_len: args.max_answer_len,
        handle_impossible_answer: args.handle_impossible_answer,
        max_seq_len: args.max_seq_len,
        doc_stride: args.doc_stride,
        max_windows: None,
    };
    tell_of_threshold(&folder)?;
    let answerer = QuestionAnswering::load(&folder, &device, options)?;
    match (args.question, args.context) {
        (Some(question), Some(context)) => {
            let question = Question { question, context, id: None };
            answer_all(&answerer, [question], NonZeroUsize::MIN)
        }
        _ => args.lines.answer_examples_or_json(&answerer, examples, lines),
    }
}

/// Says that the threshold of the model's run is not read, where it chose one.
fn tell_of_threshold(folder: &Path) -> anyhow::Result<()> {
    let chosen = chosen_thresholds(folder)?.unwrap_or_default();
    if let Some(threshold) = chosen.get(THRESHOLD).filter(|threshold| **threshold != 0.0) {
        output::note(&format!(
            "note: the run chose `task.{THRESHOLD}` = `{threshold}`, which is not read here: \"no answer\" is given where its score is \
             the highest; `--input-file` without these options answers as the run does"
        ));
    }
    Ok(())
}

/// The threshold that a run of questions chooses.
const THRESHOLD: &str = "null_score_diff_threshold";
