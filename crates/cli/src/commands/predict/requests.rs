//! Where requests come from, and where their answers go.

use std::{
    io::{self, IsTerminal},
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use nystromformer_pipelines::{
    Batching, LineForm, Pipeline, PipelineError, Placed, Request, RequestLines,
};

use crate::output;

/// Requests in a file or on stdin.
#[derive(Debug, clap::Args)]
pub(super) struct LineArgs {
    /// Read the requests from a file, one a line, instead of stdin.
    #[arg(long, value_name = "FILE")]
    input_file: Option<PathBuf>,
    /// Texts computed together. With more than 1, many lines are read before the first is answered, to
    /// batch texts of like length.
    #[arg(long, value_name = "N", default_value = "8")]
    batch_size: NonZeroUsize,
}

impl LineArgs {
    /// Answers every line, which is a request in JSON.
    pub(super) fn answer_json<P: Pipeline>(&self, pipeline: &P) -> anyhow::Result<()> {
        self.answer(pipeline, LineForm::Json)
    }

    fn answer<P: Pipeline>(&self, pipeline: &P, form: LineForm) -> anyhow::Result<()> {
        if let Some(path) = &self.input_file {
            return print(pipeline, RequestLines::open(path, form)?, self.batch_size);
        }
        // Whoever types a line waits for its answer.
        let is_typed = io::stdin().is_terminal();
        let batch_size = if is_typed { NonZeroUsize::MIN } else { self.batch_size };
        print(pipeline, RequestLines::stdin(form), batch_size)
    }
}

/// Texts as arguments, in a file, or on stdin.
#[derive(Debug, clap::Args)]
pub(super) struct TextArgs {
    #[command(flatten)]
    lines: LineArgs,
    /// Lines are JSON objects with the text at `text`. A file whose name ends in `.jsonl` has such lines.
    #[arg(long)]
    jsonl: bool,
    /// Texts; from `--input-file` or stdin, one a line, when none is given.
    #[arg(value_name = "TEXT", conflicts_with_all = ["input_file", "jsonl"])]
    texts: Vec<String>,
}

impl TextArgs {
    /// Answers every text.
    pub(super) fn answer<P: Pipeline>(&self, pipeline: &P) -> anyhow::Result<()> {
        if !self.texts.is_empty() {
            let texts = self.texts.clone().into_iter().filter_map(P::Request::from_text);
            return answer_all(pipeline, texts, self.lines.batch_size);
        }
        let is_json = self.jsonl || self.lines.input_file.as_deref().is_some_and(is_jsonl);
        self.lines.answer(pipeline, if is_json { LineForm::Json } else { LineForm::Text })
    }
}

/// Whether a file's name says that its lines are JSON objects.
fn is_jsonl(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("jsonl"))
}

/// Answers requests that were given as arguments.
pub(super) fn answer_all<P: Pipeline>(
    pipeline: &P,
    requests: impl IntoIterator<Item = P::Request>,
    batch_size: NonZeroUsize,
) -> anyhow::Result<()> {
    print(pipeline, requests.into_iter().map(|request| Ok(Placed::from(request))), batch_size)
}

/// Prints the answer to each request as a line of JSON.
fn print<P: Pipeline>(
    pipeline: &P,
    requests: impl Iterator<Item = Result<Placed<P::Request>, PipelineError>>,
    batch_size: NonZeroUsize,
) -> anyhow::Result<()> {
    for answer in pipeline.answers(requests, Batching::new(batch_size)) {
        output::json_line(&answer?)?;
    }
    Ok(())
}
