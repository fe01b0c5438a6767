//! A file of examples, answered as the task that a model was trained on reads and writes them: with the columns of its
//! `[task]`, cut and scored as `evaluate` does.

use std::{
    fs,
    io::{self, Write},
    num::NonZeroUsize,
    path::Path,
};

use anyhow::Context;
use nystromformer::{NystromformerConfig, ProblemType};
use nystromformer_data::TextTokenizer;
use nystromformer_files::{durable, table::Format};
use nystromformer_interop::{load_model, read_config};
use nystromformer_learner::{
    Experiment, LearnerError,
    batch::{Answers as ModelAnswers, BatchSource},
    evaluate::Evaluator,
    experiment::LoadedExperiment,
    progress::WorkDisplay,
    ranks::Ranks,
    run_dir::RunDir,
    stop::StopFlag,
    task_batches::TaskBatches,
    trainer::{chosen_thresholds, model_folder, run_of},
};
use nystromformer_tasks::{
    ExampleReader, PredictionFile, Split, TaskRegistry, metrics::Thresholds,
};
use serde_json::json;

use super::{
    ModelArgs,
    answer_file::{AnswerFormat, Answers, family},
};
use crate::{output, scratch::scratch_folder};

/// What is asked of a file.
pub(super) struct FileRequest<'a> {
    /// The model.
    pub(super) model: &'a ModelArgs,
    /// The examples.
    pub(super) file: &'a Path,
    /// Where the predictions go; to stdout if nowhere is named.
    pub(super) output: Option<&'a Path>,
    /// Keys of the experiment that are to be others.
    pub(super) overrides: &'a [String],
    /// Keys of `[task]`, with their values, that options say of how a table is written.
    pub(super) table_keys: &'a [(&'static str, String)],
    /// Examples that are computed together; without it as many as the run's `trainer.micro_batch_size` says, by which the run was
    /// measured: its memory was enough for these.
    pub(super) batch_size: Option<NonZeroUsize>,
    /// The task of a model that is of no run, for files that are no tables.
    pub(super) default_task: &'a str,
}

/// [`Experiment::load_run`] of a run's own file, or [`Experiment::load_for`] of another.
type Load = fn(
    &Path,
    &[String],
    &TaskRegistry,
    &NystromformerConfig,
) -> Result<LoadedExperiment, LearnerError>;

impl FileRequest<'_> {
    /// Answers the file as the task does; `false`, and nothing is done, if the model's task does not read such a file, or does not
    /// train models of the class that is asked for.
    pub(super) fn answer(&self, tasks: &TaskRegistry) -> anyhow::Result<bool> {
        let (folder, device) = self.model.open()?;
        let config = read_config(&folder)?;
        let Some(experiment) = self.experiment(&folder, &config, tasks)? else { return Ok(false) };
        let task = experiment.task.as_ref().context("an experiment with a task")?;
        let files = task.task().prediction_formats(self.file);
        let format = AnswerFormat::of(self.output, Answers::Files(&files))?;
        let work = WorkDisplay::stderr();
        let data = TaskBatches::prepare_file(&experiment, Some(&folder), self.file, &work)?;
        let model = load_model(&folder, &device)?;
        let evaluator = Evaluator {
            data: &data,
            device: &device,
            batch_size: self
                .batch_size
                .map_or(experiment.trainer.micro_batch_size, NonZeroUsize::get),
            max_examples: 0,
            step: 0,
            stop: StopFlag::new(),
            ranks: &Ranks::alone(),
            progress: &work,
        };
        let outputs = evaluator.predict(&model, Split::Test)?;
        work.finish();
        let thresholds = match chosen_thresholds(&folder)? {
            Some(chosen) => chosen,
            None => usual_thresholds(&data),
        };
        let answers =
            ModelAnswers { split: Split::Test, outputs: &outputs, thresholds: Some(&thresholds) };
        self.write(&format, data.prediction_files(answers)?)?;
        tell_scores(&data, answers)?;
        Ok(true)
    }

    /// The examples of the file as the task reads them, for a pipeline to answer; `None` where [`Self::answer`] does nothing.
    pub(super) fn examples(&self, tasks: &TaskRegistry) -> anyhow::Result<Option<ExampleReader>> {
        let folder = model_folder(&self.model.model)?;
        let config = read_config(&folder)?;
        let Some(experiment) = self.experiment(&folder, &config, tasks)? else { return Ok(None) };
        let task = experiment.task.as_ref().context("an experiment with a task")?;
        let seq_len = experiment.data.seq_len;
        let targets = task.targets_of_model(config.classifier.id2label.names(), seq_len)?;
        Ok(Some(task.file_examples(self.file, &targets, seq_len)?))
    }

    /// The experiment of the model's run, or one of the default task with all defaults; `None` if its task does not read the
    /// file, or trains models of another class than the default task.
    fn experiment(
        &self,
        folder: &Path,
        config: &NystromformerConfig,
        tasks: &TaskRegistry,
    ) -> anyhow::Result<Option<Experiment>> {
        if !tasks.contains(self.default_task) {
            return Ok(None);
        }
        let default = format!("name = {}", json!(self.default_task));
        let class = tasks.read(&default.parse()?)?.task().model_class();
        let of_run = run_of(folder).map(RunDir::config_path).filter(|path| path.is_file());
        if let Some(source) = of_run {
            let experiment = self.load(Experiment::load_run, &source, folder, config, tasks)?;
            if let Some(task) = &experiment.task {
                let reads = task.task().model_class() == class
                    && self.reads_table_keys(task.name(), tasks)
                    && task.task().reads_file(self.file)?;
                return Ok(reads.then_some(experiment));
            }
        }
        // Tables of a model that is of no run are read by the usual names of columns.
        if Format::of(self.file).is_some() {
            return Ok(None);
        }
        let scratch = scratch_folder()?;
        let source = scratch.path().join("predict.toml");
        let seq_len = config.embeddings.max_position_embeddings;
        let text = format!("[task]\n{default}\n[data]\nseq_len = {seq_len}\n");
        fs::write(&source, text).with_context(|| format!("cannot write `{}`", source.display()))?;
        let experiment = self.load(Experiment::load_for, &source, folder, config, tasks)?;
        let task = experiment.task.as_ref().context("the default task is one")?;
        let reads = task.task().reads_file(self.file)?;
        Ok(reads.then_some(experiment))
    }

    /// Whether the task of this name reads what options say of how the file is written. Of files without separators only the
    /// encoding is said, and of JSON and Parquet nothing.
    fn reads_table_keys(&self, task: &str, tasks: &TaskRegistry) -> bool {
        let keys = tasks.keys(task);
        let is_said = |key: &str| match Format::of(self.file) {
            Some(Format::Csv | Format::Tsv) => true,
            Some(Format::Json | Format::Parquet) => false,
            None => key == "encoding",
        };
        self.table_keys.iter().all(|(key, _)| !is_said(key) || keys.contains(*key))
    }

    /// Loads an experiment for the model in `folder`, whose tokenizer is the model's.
    fn load(
        &self,
        load: Load,
        source: &Path,
        folder: &Path,
        config: &NystromformerConfig,
        tasks: &TaskRegistry,
    ) -> anyhow::Result<Experiment> {
        let plain = load(source, self.overrides, tasks, config)?.experiment;
        let mut overrides = self.overrides.to_vec();
        overrides.extend(assignments(self.table_keys, &plain, tasks));
        if TextTokenizer::is_in(folder) {
            overrides.push(format!("tokenizer.path={}", json!(folder)));
        }
        // Runs of earlier versions do not say whether any number of labels applies.
        let reads_sets = |name: &str| tasks.keys(name).contains("multi_label");
        if config.classifier.problem_type == Some(ProblemType::MultiLabelClassification)
            && plain.task.as_ref().is_some_and(|task| reads_sets(task.name()))
        {
            overrides.push("task.multi_label=true".to_owned());
        }
        Ok(load(source, &overrides, tasks, config)?.experiment)
    }

    /// Writes the predictions where they were asked for.
    fn write(&self, format: &AnswerFormat, files: Vec<PredictionFile>) -> anyhow::Result<()> {
        let wanted = match format {
            AnswerFormat::OfTask(wanted) => wanted.as_str(),
            AnswerFormat::Lines | AnswerFormat::Table(_) | AnswerFormat::Parquet => "jsonl",
        };
        let mut files = files.into_iter().filter(|file| family(file.extension) == wanted);
        let main = files.next().with_context(|| format!("the task writes no `.{wanted}`"))?;
        let contents = format.written(main.contents)?;
        let Some(output) = self.output else {
            io::stdout().lock().write_all(&contents)?;
            return Ok(());
        };
        durable::replace(output, &contents)?;
        // What the task writes besides in the same family lies beside it: `answers.nbest_predictions.json`.
        for file in files {
            let stem = output.file_stem().unwrap_or_default().to_string_lossy();
            let beside = output.with_file_name(format!("{stem}.{}", file.extension));
            durable::replace(&beside, &file.contents)?;
        }
        Ok(())
    }
}

/// Keys that say how a file is written as assignments of the experiment's task, as far as it reads them: others would be refused, and
/// nobody has asked for keys.
pub(super) fn assignments(
    table_keys: &[(&'static str, String)],
    experiment: &Experiment,
    tasks: &TaskRegistry,
) -> Vec<String> {
    let keys = experiment.task.as_ref().map(|task| tasks.keys(task.name())).unwrap_or_default();
    let read = table_keys.iter().filter(|(key, _)| keys.contains(*key));
    read.map(|(key, value)| format!("task.{key}={value}")).collect()
}

/// No thresholds, which are the usual ones, and says what these are where answers are decided so.
fn usual_thresholds(data: &TaskBatches) -> Thresholds {
    if let Some((key, value)) = data.open_threshold() {
        output::note(&format!(
            "note: no run has chosen thresholds for this model: `{value}` is taken; `--set {key}=…` sets another"
        ));
    }
    Thresholds::new()
}

/// Says how good the answers are, where the file has labels.
fn tell_scores(data: &TaskBatches, answers: ModelAnswers<'_>) -> anyhow::Result<()> {
    let Some(scores) = data.score(answers)?.filter(|scores| scores.examples > 0) else {
        return Ok(());
    };
    let metrics = scores.metrics.iter().filter(|(_, value)| value.is_finite());
    let metrics: Vec<String> = metrics.map(|(name, value)| format!("{name} {value:.4}")).collect();
    output::note(&format!(
        "note: of the examples of the file `{}` have a label: {}",
        scores.examples,
        metrics.join(", ")
    ));
    Ok(())
}
