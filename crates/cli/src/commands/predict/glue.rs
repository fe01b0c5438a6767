//! `predict glue`: a submission to GLUE's site.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::bail;
use burn::tensor::Device;
use nystromformer::{Labels, NystromformerConfig, ProblemType};
use nystromformer_interop::read_config;
use nystromformer_learner::trainer::model_folder;
use nystromformer_pipelines::{AnswerStream, Batching, Placed, TextClassification, TextPair};
use nystromformer_tasks::{
    Example, Input, Label,
    glue::{self, GlueTask},
    submission::{Submission, SubmissionFile},
};
use serde_json::json;

use crate::{device_arg::DeviceArg, output};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A task and the model that answers it, e.g. sst2=runs/sst2; may be repeated. The model of `mnli` answers `ax` too,
    /// unless that has its own.
    #[arg(long = "model", value_name = "TASK=DIR", required = true)]
    models: Vec<TaskModel>,
    /// The folder with the tasks' official files.
    #[arg(long, value_name = "DIR", default_value = "datasets/glue/data")]
    glue: PathBuf,
    /// The zip to write. The tables are left in a folder of its name without `.zip`; they stay there, so that a submission
    /// can be made task by task.
    #[arg(long, value_name = "FILE.zip")]
    output: PathBuf,
    /// Answer with the first class, or 0, where a task has no model. The site takes complete submissions only; such
    /// answers say nothing, and go into the zip only.
    #[arg(long)]
    fill_missing: bool,
    /// Rows of a batch.
    #[arg(long, default_value = "32", value_name = "ROWS")]
    batch_size: NonZeroUsize,
    #[command(flatten)]
    device: DeviceArg,
}

/// `TASK=DIR`.
#[derive(Debug, Clone)]
struct TaskModel {
    task: GlueTask,
    model: PathBuf,
}

impl FromStr for TaskModel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, model) = text.split_once('=').ok_or("expected TASK=DIR, e.g. sst2=runs/sst2")?;
        let task = GlueTask::ALL.into_iter().find(|task| task.name() == name).ok_or_else(|| {
            format!(
                "`{name}` is no task of GLUE: use {}",
                GlueTask::ALL.map(GlueTask::name).join(", ")
            )
        })?;
        Ok(Self { task, model: PathBuf::from(model) })
    }
}

/// Runs the command: a line of JSON for each table, and one for the zip.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    if args.output.extension().is_none_or(|extension| extension != "zip") {
        bail!("`--output {}`: name a file that ends in `.zip`", args.output.display());
    }
    for (index, TaskModel { task, .. }) in args.models.iter().enumerate() {
        if args.models[..index].iter().any(|earlier| earlier.task == *task) {
            bail!("`--model {}=…` is given twice; name one model for each task", task.name());
        }
    }
    output::make_room("--output", &args.output)?;
    let device = args.device.kind().open()?;
    let submission = Submission::new(&args.output.with_extension(""))?;
    for file in SubmissionFile::ALL {
        let of = |task| args.models.iter().find(|model| model.task == task);
        let fallback = || if file.task == GlueTask::Ax { of(GlueTask::Mnli) } else { None };
        let Some(TaskModel { model, .. }) = of(file.task).or_else(fallback) else {
            if submission.has(&file) {
                output::json_line(&json!({ "file": file.name, "rows": file.rows, "kept": true }))?;
            }
            continue;
        };
        let labels = answers(&file, args, model, &device)?;
        submission.write(&file, &labels)?;
        output::json_line(&json!({ "file": file.name, "rows": labels.len(), "model": model }))?;
    }
    let filled = if args.fill_missing { submission.fill_missing()? } else { Vec::new() };
    let zipped = submission.zip(&args.output);
    submission.remove(&filled)?;
    zipped?;
    for file in filled {
        output::json_line(&json!({ "file": file.name, "rows": file.rows, "model": null }))?;
    }
    output::json_line(&json!({ "submission": args.output }))
}

/// What a model answers to a test set.
fn answers(
    file: &SubmissionFile,
    args: &Args,
    model: &Path,
    device: &Device,
) -> anyhow::Result<Vec<Label>> {
    let task = file.task;
    let folder = model_folder(model)?;
    let classes = classes_of_outputs(task, &read_config(&folder)?, model)?;
    let classifier = TextClassification::load(&folder, device)?;
    let mut requests = Vec::with_capacity(file.rows);
    for example in glue::read(task, &args.glue, file.split)? {
        requests.push(Ok(Placed::from(request(example?))));
    }
    let batching = Batching::new(args.batch_size);
    let mut labels = Vec::with_capacity(file.rows);
    for answer in AnswerStream::new(&classifier, requests, batching) {
        let answer = answer?;
        let best = answer.best();
        labels.push(if task.is_regression() {
            Label::Value(best.score as f32)
        } else {
            Label::Class(classes[best.label.as_str()])
        });
    }
    Ok(labels)
}

/// The task's class of each of the model's outputs, by the output's name; none of a regression. Names that say nothing
/// (`LABEL_0`, or mere numbers) are taken by their places, and a note says so.
///
/// # Errors
/// If the model's answers are not the task's.
fn classes_of_outputs(
    task: GlueTask,
    config: &NystromformerConfig,
    model: &Path,
) -> anyhow::Result<HashMap<String, u16>> {
    let found = config.classifier.id2label.names();
    let wanted = task.label_names();
    let by_names = || -> Option<HashMap<String, u16>> {
        let class = |name: &String| wanted.iter().position(|wanted| wanted == name);
        found.iter().map(|name| Some((name.clone(), class(name)? as u16))).collect()
    };
    let say_nothing = config.classifier.id2label == Labels::numbered(found.len())
        || found.iter().enumerate().all(|(place, name)| *name == place.to_string());
    if task.is_regression() {
        if found.len() == 1 && config.classifier.problem_type == Some(ProblemType::Regression) {
            return Ok(HashMap::new());
        }
    } else if found.len() == wanted.len() {
        if let Some(classes) = by_names().filter(|classes| classes.len() == wanted.len()) {
            return Ok(classes);
        }
        if say_nothing {
            output::note(&format!(
                "`{}` does not name its classes: {} are taken for {}, in this order",
                model.display(),
                found.join(", "),
                wanted.join(", ")
            ));
            return Ok(found.iter().cloned().zip(0..).collect());
        }
    }
    let wanted = if task.is_regression() {
        "one number (`problem_type` = `regression`)".to_owned()
    } else {
        wanted.join(", ")
    };
    bail!(
        "`{}` answers `{}`, and {} wants {wanted}: it was trained for another task, or its `config.json` has other names for \
         the classes; correct `id2label` there",
        model.display(),
        found.join(", "),
        task.name()
    )
}

fn request(example: Example) -> TextPair {
    match example.input {
        Input::Text { first, second } => TextPair { text: first, text_pair: second },
        _ => unreachable!("GLUE is made of texts"),
    }
}
