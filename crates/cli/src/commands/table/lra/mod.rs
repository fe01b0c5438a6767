//! `table lra`: trains a model for each kind of attention and seed, through the series of `train`, and puts their scores side by side.

mod tasks;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::ValueEnum;
use nystromformer_files::durable;
use nystromformer_learner::{
    LearnerError,
    run_dir::RunSummary,
    trainer::{EndReason, RunRequest},
};
use nystromformer_tables::{
    Variant,
    arena::{Arena, Scores, TaskScores},
    output::make_folder,
};
use nystromformer_tasks::TaskRegistry;

use self::tasks::ArenaTask;
use super::{at_least_one, distinct};
use crate::{commands::train::train_quietly, output, signals::StopSignals};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where runs, data and tables go, and where those of before are.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// The tasks.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [ArenaTask::ListopsShort, ArenaTask::Text1k])]
    tasks: Vec<ArenaTask>,
    /// Rows: kinds of attention, with options where they are not the experiment's, e.g. `softmax,nystrom:num_landmarks=32`.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "KIND[:KEY=VALUE+…]",
        default_value = "softmax,nystrom,linear,linformer,performer,reformer,longformer,agent,none"
    )]
    kinds: Vec<Variant>,
    /// Seeds of each: 0 and those that follow.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least_one())]
    seeds: usize,
    /// Steps of every run.
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = at_least_one())]
    steps: usize,
    /// Where a task's data is: the folder of expressions, or of IMDB. May be repeated. Default: expressions are generated, IMDB is
    /// where the task `text` looks for it.
    #[arg(long, value_name = "TASK=PATH", value_parser = task_path)]
    data: Vec<(ArenaTask, PathBuf)>,
    /// Override a key of every experiment, e.g. `model.hidden_size=128`. May be repeated.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    overrides: Vec<String>,
}

/// `TASK=PATH`.
fn task_path(text: &str) -> Result<(ArenaTask, PathBuf), String> {
    let (task, path) =
        text.split_once('=').ok_or("it is TASK=PATH, as in `--data text_1k=datasets/imdb`")?;
    Ok((ArenaTask::from_str(task, false)?, PathBuf::from(path)))
}

impl Args {
    fn seeds(&self) -> Vec<u64> {
        (0..self.seeds as u64).collect()
    }

    /// The runs of a row: a series in a directory of its own, new or to go on with.
    fn request(
        &self,
        task: ArenaTask,
        variant: &Variant,
        data: Option<&PathBuf>,
        tasks: &TaskRegistry,
    ) -> RunRequest {
        let mut overrides = vec![
            format!("model.attention={}", variant.kind().name()),
            format!("trainer.max_steps={}", self.steps),
            format!("seeds={:?}", self.seeds()),
        ];
        overrides.extend(data.map(|path| format!("task.path={}", path.display())));
        overrides.extend(variant.assignments().iter().map(|option| format!("model.{option}")));
        overrides.extend(self.overrides.iter().cloned());
        RunRequest {
            config: self.output.join(format!("{}.toml", task.name())),
            overrides,
            run_dir: Some(self.output.join(task.name()).join(variant.to_string())),
            resume: true,
            tasks: tasks.clone(),
        }
    }
}

pub(super) fn run(args: &Args, tasks: &TaskRegistry) -> anyhow::Result<ExitCode> {
    make_folder(&args.output)?;
    let signals = StopSignals::listen()?;
    let variants = distinct(&args.kinds);
    let data: BTreeMap<&str, &PathBuf> =
        args.data.iter().map(|(task, path)| (task.name(), path)).collect();
    let mut arena = Arena::default();
    let mut markdown = String::new();
    for task in distinct(&args.tasks) {
        let config = args.output.join(format!("{}.toml", task.name()));
        durable::replace(&config, task.config().as_bytes())?;
        let own = match data.get(task.name()) {
            Some(path) => Some((*path).clone()),
            None => task.data(&args.output)?,
        };
        arena.tasks.push(TaskScores {
            task: task.name().to_owned(),
            about: task.about().to_owned(),
            steps: args.steps,
            rows: Vec::new(),
        });
        for variant in &variants {
            let request = args.request(task, variant, own.as_ref(), tasks);
            output::note(&format!("{}, {variant}", task.name()));
            let mut diverged = None;
            match train_quietly(&request, &signals) {
                Ok(EndReason::Stopped(reason)) => return Ok(ExitCode::from(reason.exit_code())),
                Ok(_) => {}
                Err(error) => match error.downcast_ref() {
                    // The kind does not learn here, which is a result.
                    Some(LearnerError::NonFinite { .. }) => {
                        output::note(&format!("{variant} diverged: {error}; the others go on"));
                        diverged = Some(error.to_string());
                    }
                    _ => return Err(error),
                },
            }
            let folder = request.run_dir.as_deref().unwrap_or(&args.output);
            let row = scores(variant, folder, &args.seeds(), diverged)?;
            if let Some(scores) = arena.tasks.last_mut() {
                scores.rows.push(row);
                scores.compare();
            }
            markdown = arena.write(&args.output)?;
        }
    }
    output::text(&markdown)?;
    Ok(ExitCode::SUCCESS)
}

/// What the finished runs of a row scored.
fn scores(
    variant: &Variant,
    folder: &Path,
    seeds: &[u64],
    diverged: Option<String>,
) -> anyhow::Result<Scores> {
    let mut runs: Vec<(RunSummary, f64)> = Vec::new();
    for seed in seeds {
        let summary = RunSummary::read(&folder.join(format!("seed-{seed}")))?;
        let Some(summary) = summary.filter(RunSummary::is_complete) else { continue };
        let accuracy = summary
            .evaluations()
            .get("test")
            .and_then(|record| record.metrics.get("accuracy").copied());
        if let Some(accuracy) = accuracy {
            runs.push((summary, accuracy));
        }
    }
    let seconds: f64 = runs.iter().map(|(run, _)| run.wall_seconds).sum();
    Ok(Scores {
        attention: variant.to_string(),
        seeds: runs.iter().map(|(run, _)| run.seed).collect(),
        accuracy: runs.iter().map(|(_, accuracy)| *accuracy).collect(),
        parameters: runs.first().map(|(run, _)| run.parameters),
        wall_seconds: (!runs.is_empty()).then(|| seconds / runs.len() as f64),
        diverged,
        mean: None,
        beside_exact: None,
    })
}
