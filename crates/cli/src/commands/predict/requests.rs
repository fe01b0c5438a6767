//! Where requests come from, and where their answers go.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use anyhow::bail;
use clap::ValueEnum;
use nystromformer_data::{ProgressListener, ProgressReport};
use nystromformer_files::{
    TextEncoding, durable,
    table::{Format, Quotes},
};
use nystromformer_learner::progress::{WorkDisplay, stage};
use nystromformer_pipelines::{
    AnswerStream, Batching, LineForm, Pipeline, PipelineError, Placed, Request, RequestOptions,
    Requests,
};
use nystromformer_tasks::{ExampleReader, TaskRegistry};
use serde::Serialize;
use serde_json::json;

use super::{
    ModelArgs,
    answer_file::{AnswerFormat, Answers},
    by_task::FileRequest,
    of_examples::{self, OfExample},
};
use crate::output;

/// Requests in a file or on stdin.
#[derive(Debug, clap::Args)]
pub(super) struct LineArgs {
    /// Read the requests from a file instead of stdin: a table (.csv, .tsv, .parquet), objects (.json, .jsonl), or lines;
    /// text may be compressed (.gz, .zst).
    #[arg(long, value_name = "FILE")]
    input_file: Option<PathBuf>,
    /// Write the predictions into a file instead of to stdout.
    #[arg(long, value_name = "FILE", requires = "input_file")]
    output: Option<PathBuf>,
    /// Override a key of the run's experiment, for a file that is read as its task says, e.g. `task.sentence1=body`.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE", requires = "input_file")]
    overrides: Vec<String>,
    /// What separates the fields of a .csv or .tsv file: one character, or `\t`. Found when left out, and said.
    #[arg(long, value_name = "CHARACTER", value_parser = separator, requires = "input_file")]
    separator: Option<char>,
    /// What a quote at the beginning of a field of a .csv or .tsv file is: `double`, it holds the field together, or `none`, a
    /// character like any other. Found when left out, and said.
    #[arg(long, value_name = "QUOTES", requires = "input_file")]
    quotes: Option<QuotesArg>,
    /// How the bytes of a .csv or .tsv file, or of lines of text, stand for characters. JSON and Parquet are always UTF-8.
    /// [default: utf-8, or `task.encoding` of the model's run, of a file that is read as the run's task says]
    #[arg(long, value_name = "ENCODING", requires = "input_file")]
    encoding: Option<EncodingArg>,
    /// Texts computed together. With more than 1, many lines are read before the first is answered, to
    /// batch texts of like length. When left out `trainer.micro_batch_size` of the model's run, of a file that is read as the
    /// run's task says, and else 8.
    #[arg(long, value_name = "N")]
    batch_size: Option<NonZeroUsize>,
}

/// Texts that are computed together where neither an option nor a run says how many.
const USUAL_BATCH: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);

/// [`Quotes`] as an argument.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum QuotesArg {
    None,
    Double,
}

impl From<QuotesArg> for Quotes {
    fn from(quotes: QuotesArg) -> Self {
        match quotes {
            QuotesArg::None => Self::None,
            QuotesArg::Double => Self::Double,
        }
    }
}

/// [`TextEncoding`] as an argument.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum EncodingArg {
    #[value(name = "utf-8")]
    Utf8,
    #[value(name = "latin-1")]
    Latin1,
}

impl From<EncodingArg> for TextEncoding {
    fn from(encoding: EncodingArg) -> Self {
        match encoding {
            EncodingArg::Utf8 => Self::Utf8,
            EncodingArg::Latin1 => Self::Latin1,
        }
    }
}

/// A separator as it is typed.
fn separator(text: &str) -> Result<char, &'static str> {
    if text == "\\t" {
        return Ok('\t');
    }
    text.parse().map_err(|_| "it is one character, as in `--separator ';'`")
}

impl LineArgs {
    /// Answers the file, if there is one that the model's task reads (a model of no run has `default_task`), and says whether it
    /// did.
    pub(super) fn answer_by_task(
        &self,
        model: &ModelArgs,
        default_task: &str,
        tasks: &TaskRegistry,
    ) -> anyhow::Result<bool> {
        let answer = |request: FileRequest<'_>| request.answer(tasks);
        Ok(self.ask_task(model, default_task, answer)?.unwrap_or(false))
    }

    /// The examples of the file, if there is one that the model's task reads, for the pipeline to answer as an option asks for.
    pub(super) fn examples_of_task(
        &self,
        model: &ModelArgs,
        default_task: &str,
        tasks: &TaskRegistry,
    ) -> anyhow::Result<Option<ExampleReader>> {
        let examples = |request: FileRequest<'_>| request.examples(tasks);
        Ok(self.ask_task(model, default_task, examples)?.flatten())
    }

    /// What `ask` gives for the file, if there is one.
    fn ask_task<T>(
        &self,
        model: &ModelArgs,
        default_task: &str,
        ask: impl FnOnce(FileRequest<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<Option<T>> {
        let Some(file) = &self.input_file else { return Ok(None) };
        self.require_two_files(file)?;
        let table_keys = self.table_keys();
        let request = FileRequest {
            model,
            file,
            output: self.output.as_deref(),
            overrides: &self.overrides,
            table_keys: &table_keys,
            batch_size: self.batch_size,
            default_task,
        };
        ask(request).map(Some)
    }

    /// The keys of a task that say how the file is written, as far as options say it, with their values.
    fn table_keys(&self) -> Vec<(&'static str, String)> {
        let separator = self.separator.map(|mark| ("separator", json!(mark).to_string()));
        let quotes = self.quotes.map(Quotes::from);
        let quotes = quotes.map(|quotes| ("quotes", json!(quotes).to_string()));
        let encoding = self.encoding.map(TextEncoding::from);
        let encoding = encoding.map(|encoding| ("encoding", json!(encoding).to_string()));
        separator.into_iter().chain(quotes).chain(encoding).collect()
    }

    /// Refuses to write over what is read.
    fn require_two_files(&self, file: &Path) -> anyhow::Result<()> {
        let same = |output: &PathBuf| matches!((output.canonicalize(), file.canonicalize()), (Ok(output), Ok(file)) if output == file);
        if let Some(output) = self.output.as_ref().filter(|output| same(output)) {
            bail!(
                "`--output {}` is the file that is read, and would be lost: name another",
                output.display()
            );
        }
        Ok(())
    }

    /// Answers `examples`, which are those of the file, or every line of requests in JSON where there are none.
    pub(super) fn answer_examples_or_json<P: Pipeline<Request: OfExample>>(
        &self,
        pipeline: &P,
        examples: Option<ExampleReader>,
        lines: AnswerLines<'_>,
    ) -> anyhow::Result<()> {
        match (examples, &self.input_file) {
            (Some(examples), Some(file)) => self.answer_examples(pipeline, examples, file, lines),
            _ => self.answer_json(pipeline, lines),
        }
    }

    fn answer_examples<P: Pipeline<Request: OfExample>>(
        &self,
        pipeline: &P,
        examples: ExampleReader,
        file: &Path,
        mut lines: AnswerLines<'_>,
    ) -> anyhow::Result<()> {
        let requests = of_examples::requests(examples, file);
        let work = self.work(|| requests_in(file));
        let mut sink = |answer| lines.add(&answer);
        let answered = give(pipeline, requests, self.batch_size(), work, &mut sink);
        lines.finish(answered)
    }

    /// Answers every line, which is a request in JSON.
    pub(super) fn answer_json<P: Pipeline>(
        &self,
        pipeline: &P,
        lines: AnswerLines<'_>,
    ) -> anyhow::Result<()> {
        self.answer(pipeline, LineForm::Json, &self.options(), lines)
    }

    /// What is said of the file.
    fn options(&self) -> RequestOptions {
        RequestOptions {
            separator: self.separator,
            quotes: self.quotes.map(Quotes::from),
            encoding: self.encoding.map(TextEncoding::from).unwrap_or_default(),
            ..RequestOptions::default()
        }
    }

    fn answer<P: Pipeline>(
        &self,
        pipeline: &P,
        form: LineForm,
        options: &RequestOptions,
        mut lines: AnswerLines<'_>,
    ) -> anyhow::Result<()> {
        let answered = self.answer_to(pipeline, form, options, &mut |answer| lines.add(&answer));
        lines.finish(answered)
    }

    /// Where lines of answers go that the pipeline gives, for the `examples` of a task or for requests as it reads them itself. To be
    /// asked for before a model is loaded.
    ///
    /// # Errors
    /// As [`Self::answer_lines`].
    pub(super) fn lines_for(
        &self,
        examples: Option<&ExampleReader>,
        answers: Answers<'_>,
    ) -> anyhow::Result<AnswerLines<'_>> {
        match examples {
            Some(_) => self.answer_lines_of_task(answers),
            None => self.answer_lines(answers),
        }
    }

    /// Where lines of answers go that no task gives. To be asked for before a model is loaded.
    ///
    /// # Errors
    /// If such answers are not written in the format that the file's name says, and as [`Self::refuse_overrides`].
    pub(super) fn answer_lines(&self, answers: Answers<'_>) -> anyhow::Result<AnswerLines<'_>> {
        self.refuse_overrides()?;
        self.answer_lines_of_task(answers)
    }

    /// Refuses keys of an experiment where the file is not read as a task says.
    fn refuse_overrides(&self) -> anyhow::Result<()> {
        if let Some(first) = self.overrides.first() {
            bail!(
                "`--set {first}` is not read: the file is not answered as the task of the model's run reads it, for there is no such run, its task reads no such file, or an option asks for what the task does not answer; leave it out, and name columns with `--text-column` where there is such an option"
            );
        }
        Ok(())
    }

    /// As [`Self::answer_lines`], where a task may give the answers.
    ///
    /// # Errors
    /// If such answers are not written in the format that the file's name says.
    fn answer_lines_of_task(&self, answers: Answers<'_>) -> anyhow::Result<AnswerLines<'_>> {
        if let Some(file) = &self.input_file {
            self.require_two_files(file)?;
        }
        let output = self.output.as_deref();
        Ok(AnswerLines {
            output,
            format: AnswerFormat::of(output, answers)?,
            contents: Vec::new(),
            count: 0,
        })
    }

    fn answer_to<P: Pipeline>(
        &self,
        pipeline: &P,
        form: LineForm,
        options: &RequestOptions,
        sink: Sink<'_, P>,
    ) -> anyhow::Result<()> {
        if let Some(path) = &self.input_file {
            let requests = Requests::open(path, form, options)?;
            let work = self.work(|| requests_in(path));
            return give(pipeline, requests, self.batch_size(), work, sink);
        }
        // Whoever types a line waits for its answer.
        if io::stdin().is_terminal() {
            return give(pipeline, Requests::stdin(form, options), NonZeroUsize::MIN, None, sink);
        }
        let work = self.work(|| 0);
        give(pipeline, Requests::stdin(form, options), self.batch_size(), work, sink)
    }

    /// Texts that a pipeline computes together.
    fn batch_size(&self) -> NonZeroUsize {
        self.batch_size.unwrap_or(USUAL_BATCH)
    }

    /// What shows how far it is, of so many requests (0: unknown), unless the answers themselves show it.
    fn work(&self, requests: impl FnOnce() -> u64) -> Option<(WorkDisplay, u64)> {
        let is_seen = self.output.is_none() && io::stdout().is_terminal();
        (!is_seen).then(|| (WorkDisplay::stderr(), requests()))
    }
}

/// Lines of JSON, to stdout as they come or all at once into a file, in the format that its name says.
pub(super) struct AnswerLines<'a> {
    output: Option<&'a Path>,
    format: AnswerFormat,
    contents: Vec<u8>,
    /// Answers in `contents`.
    count: u64,
}

impl AnswerLines<'_> {
    /// One answer more.
    pub(super) fn add(&mut self, answer: &impl Serialize) -> anyhow::Result<()> {
        if self.output.is_none() {
            return output::json_line(answer);
        }
        serde_json::to_writer(&mut self.contents, answer)?;
        self.contents.push(b'\n');
        self.count += 1;
        Ok(())
    }

    /// Writes the file, if there is to be one: after an error the answers that came before it, which is said.
    ///
    /// # Errors
    /// That of `answered`, or else of the file.
    pub(super) fn finish(self, answered: anyhow::Result<()>) -> anyhow::Result<()> {
        let Some(output) = self.output else { return answered };
        let Err(error) = answered else {
            return Ok(durable::replace(output, &self.format.written(self.contents)?)?);
        };
        if self.count > 0 {
            let written = self.format.written(self.contents);
            match written.and_then(|content| Ok(durable::replace(output, &content)?)) {
                Ok(()) => output::note(&format!(
                    "note: `{}` holds the answers before the error: `{}` of them",
                    output.display(),
                    self.count
                )),
                Err(also) => output::note(&format!(
                    "note: the `{}` answers before the error are lost too: {also:#}",
                    self.count
                )),
            }
        }
        Err(error)
    }
}

/// Takes each answer.
type Sink<'a, P> = &'a mut dyn FnMut(<P as Pipeline>::Answer) -> anyhow::Result<()>;

/// Texts as arguments, in a file, or on stdin.
#[derive(Debug, clap::Args)]
pub(super) struct TextArgs {
    #[command(flatten)]
    lines: LineArgs,
    /// Lines are JSON objects with the text at `text`; so are those of a file whose name ends in `.json` or `.jsonl`.
    #[arg(long)]
    jsonl: bool,
    /// The column of a table, or key of an object, with the text, or the first of two. Found when left out: text, sentence,
    /// sentence1, review, content and the like.
    #[arg(long, value_name = "NAME")]
    text_column: Option<String>,
    /// The column or key with the second text.
    #[arg(long, value_name = "NAME", requires = "text_column")]
    text_pair_column: Option<String>,
    /// Texts; from `--input-file` or stdin, one a line, when none is given.
    #[arg(value_name = "TEXT", conflicts_with_all = ["input_file", "jsonl", "text_column"])]
    texts: Vec<String>,
}

impl TextArgs {
    /// As [`LineArgs::answer_by_task`], unless columns are named here.
    pub(super) fn answer_by_task(
        &self,
        model: &ModelArgs,
        default_task: &str,
        tasks: &TaskRegistry,
    ) -> anyhow::Result<bool> {
        Ok(self.text_column.is_none() && self.lines.answer_by_task(model, default_task, tasks)?)
    }

    /// As [`LineArgs::examples_of_task`], unless columns are named here.
    ///
    /// # Errors
    /// As there.
    pub(super) fn examples_of_task(
        &self,
        model: &ModelArgs,
        default_task: &str,
        tasks: &TaskRegistry,
    ) -> anyhow::Result<Option<ExampleReader>> {
        if self.text_column.is_some() {
            return Ok(None);
        }
        self.lines.examples_of_task(model, default_task, tasks)
    }

    /// As [`LineArgs::lines_for`].
    ///
    /// # Errors
    /// As there.
    pub(super) fn lines_for(
        &self,
        examples: Option<&ExampleReader>,
        answers: Answers<'_>,
    ) -> anyhow::Result<AnswerLines<'_>> {
        self.lines.lines_for(examples, answers)
    }

    /// Answers `examples`, which are those of the file, or every text where there are none.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub(super) fn answer_examples_or_texts<P: Pipeline<Request: OfExample>>(
        &self,
        pipeline: &P,
        examples: Option<ExampleReader>,
        lines: AnswerLines<'_>,
    ) -> anyhow::Result<()> {
        match (examples, self.input_file()) {
            (Some(examples), Some(file)) => {
                self.lines.answer_examples(pipeline, examples, file, lines)
            }
            _ => self.answer(pipeline, lines),
        }
    }

    /// The file of requests.
    pub(super) fn input_file(&self) -> Option<&Path> {
        self.lines.input_file.as_deref()
    }

    /// Keys of the experiment that are to be others.
    pub(super) fn overrides(&self) -> &[String] {
        &self.lines.overrides
    }

    /// As [`LineArgs::table_keys`].
    pub(super) fn table_keys(&self) -> Vec<(&'static str, String)> {
        self.lines.table_keys()
    }

    /// As [`LineArgs::refuse_overrides`].
    ///
    /// # Errors
    /// As there.
    pub(super) fn refuse_overrides(&self) -> anyhow::Result<()> {
        self.lines.refuse_overrides()
    }

    /// As [`LineArgs::answer_lines_of_task`].
    ///
    /// # Errors
    /// As there.
    pub(super) fn answer_lines_of_task(
        &self,
        answers: Answers<'_>,
    ) -> anyhow::Result<AnswerLines<'_>> {
        self.lines.answer_lines_of_task(answers)
    }

    /// As [`LineArgs::answer_lines`].
    ///
    /// # Errors
    /// As there.
    pub(super) fn answer_lines(&self, answers: Answers<'_>) -> anyhow::Result<AnswerLines<'_>> {
        self.lines.answer_lines(answers)
    }

    /// Answers every text.
    pub(super) fn answer<P: Pipeline>(
        &self,
        pipeline: &P,
        mut lines: AnswerLines<'_>,
    ) -> anyhow::Result<()> {
        let answered = self.answer_to(pipeline, &mut |answer| lines.add(&answer));
        lines.finish(answered)
    }

    /// Gives the answer to every text to `sink`.
    pub(super) fn answer_to<P: Pipeline>(
        &self,
        pipeline: &P,
        sink: Sink<'_, P>,
    ) -> anyhow::Result<()> {
        if !self.texts.is_empty() {
            let texts = self.texts.clone().into_iter().filter_map(P::Request::from_text);
            let requests = texts.map(|request| Ok(Placed::from(request)));
            let work = self.lines.work(|| self.texts.len() as u64);
            return give(pipeline, requests, self.lines.batch_size(), work, sink);
        }
        let form = if self.jsonl { LineForm::Json } else { LineForm::Text };
        let has_columns =
            self.jsonl || self.lines.input_file.as_deref().and_then(Format::of).is_some();
        if let (Some(column), false) = (&self.text_column, has_columns) {
            bail!(
                "`--text-column {column}`: lines of text have no columns; leave it out, or say `--jsonl` if the lines are JSON"
            );
        }
        let options = RequestOptions {
            text: self.text_column.clone(),
            text_pair: self.text_pair_column.clone(),
            ..self.lines.options()
        };
        self.lines.answer_to(pipeline, form, &options, sink)
    }
}

/// Answers requests that were given as arguments.
pub(super) fn answer_all<P: Pipeline>(
    pipeline: &P,
    requests: impl IntoIterator<Item = P::Request>,
    batch_size: NonZeroUsize,
) -> anyhow::Result<()> {
    let requests = requests.into_iter().map(|request| Ok(Placed::from(request)));
    give(pipeline, requests, batch_size, None, &mut |answer| output::json_line(&answer))
}

/// The requests in a file of lines, which are its lines; 0, which is unknown, of compressed files and of tables whose rows are
/// no lines.
fn requests_in(path: &Path) -> u64 {
    let is_compressed =
        ["gz", "zst"].iter().any(|end| path.extension().is_some_and(|name| name == *end));
    let is_of_lines =
        Format::of(path).is_none() || path.extension().is_some_and(|name| name == "jsonl");
    if is_compressed || !is_of_lines {
        return 0;
    }
    let Ok(mut file) = File::open(path) else { return 0 };
    let (mut buffer, mut lines) = (vec![0_u8; 1 << 16], 0);
    while let Ok(length @ 1..) = file.read(&mut buffer) {
        lines += buffer[..length].split(|byte| *byte == b'\n').count() as u64 - 1;
    }
    lines
}

/// Gives the answer to each request to `sink`.
fn give<P: Pipeline>(
    pipeline: &P,
    requests: impl Iterator<Item = Result<Placed<P::Request>, PipelineError>>,
    batch_size: NonZeroUsize,
    work: Option<(WorkDisplay, u64)>,
    sink: Sink<'_, P>,
) -> anyhow::Result<()> {
    let mut done = 0;
    for answer in AnswerStream::new(pipeline, requests, Batching::new(batch_size)) {
        sink(answer?)?;
        done += 1;
        if let Some((display, total)) = &work {
            // A file may hold more requests than lines that end.
            let total = if *total == 0 { 0 } else { done.max(*total) };
            display.report(ProgressReport { stage: stage::PREDICT, done, total });
        }
    }
    Ok(())
}
