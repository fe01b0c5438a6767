//! `table lra`: trains a model for each kind of attention and seed, and puts their scores side by side.

mod row;
mod tasks;

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap::ValueEnum;
use nystromformer_files::durable;
use nystromformer_learner::trainer::RunRequest;
use nystromformer_tables::{
    Variant,
    arena::{Arena, Scores, TaskScores},
    output::make_folder,
};
use nystromformer_tasks::TaskRegistry;

use self::{
    row::{Row, key_and_value},
    tasks::ArenaTask,
};
use super::{at_least_one, distinct};
use crate::{output, signals::StopSignals};

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
    /// Override a key of every experiment, e.g. `model.hidden_size=128`. May be repeated. What the table or a row sets itself is refused.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    overrides: Vec<String>,
}

/// `TASK=PATH`.
fn task_path(text: &str) -> Result<(ArenaTask, PathBuf), String> {
    let (task, path) =
        text.split_once('=').ok_or("it is TASK=PATH, as in `--data text_1k=datasets/imdb`")?;
    Ok((ArenaTask::from_str(task, false)?, PathBuf::from(path)))
}

/// Keys that the table sets itself, of every run.
const OWN_KEYS: [&str; 7] = [
    "model.attention",
    "trainer.max_steps",
    "seed",
    "seeds",
    "task.path",
    "task.name",
    "task.folds",
];

impl Args {
    /// Refuses what would be passed over, or would make a row something else than its name says.
    fn check(&self) -> anyhow::Result<()> {
        let of_rows: Vec<String> = self
            .kinds
            .iter()
            .flat_map(Variant::assignments)
            .map(|text| format!("model.{text}"))
            .collect();
        for assignment in &self.overrides {
            let (key, _) = key_and_value(assignment);
            if OWN_KEYS.contains(&key) {
                bail!(
                    "--set `{assignment}`: the table sets `{key}` itself: use --kinds, --steps, --seeds, --tasks or --data"
                );
            }
            if of_rows.iter().any(|text| key_and_value(text).0 == key) {
                bail!(
                    "--set `{assignment}`: a row of --kinds sets `{key}` too: leave one of them out"
                );
            }
        }
        for (place, (task, path)) in self.data.iter().enumerate() {
            let name = task.name();
            if !self.tasks.contains(task) {
                bail!("--data `{name}={}`: --tasks does not name `{name}`", path.display());
            }
            if self.data[..place].iter().any(|(other, _)| other == task) {
                bail!("--data names `{name}` twice: give one folder for it");
            }
        }
        Ok(())
    }

    /// A row's run of this seed, new or to go on with.
    fn request(
        &self,
        task: ArenaTask,
        variant: &Variant,
        seed: u64,
        data: Option<&PathBuf>,
        tasks: &TaskRegistry,
    ) -> RunRequest {
        let mut overrides = self.overrides.clone();
        overrides.extend([
            format!("model.attention={}", variant.kind().name()),
            format!("trainer.max_steps={}", self.steps),
            format!("seed={seed}"),
        ]);
        overrides.extend(data.map(|path| format!("task.path={}", path.display())));
        overrides.extend(variant.assignments().iter().map(|option| format!("model.{option}")));
        let folder = self.output.join(task.name()).join(variant.to_string());
        RunRequest {
            config: self.output.join(format!("{}.toml", task.name())),
            overrides,
            run_dir: Some(folder.join(format!("seed-{seed}"))),
            resume: true,
            tasks: tasks.clone(),
        }
    }
}

pub(super) fn run(args: &Args, tasks: &TaskRegistry) -> anyhow::Result<ExitCode> {
    args.check()?;
    make_folder(&args.output)?;
    let signals = StopSignals::listen()?;
    let mut arena = Arena::open(&args.output)?;
    let mut markdown = String::new();
    for task in distinct(&args.tasks) {
        write_config(args, task)?;
        let named = args.data.iter().find(|(of, _)| *of == task).map(|(_, path)| path.clone());
        let data = match named {
            Some(path) => Some(path),
            None => task.data(&args.output)?,
        };
        let asked = TaskScores {
            task: task.name().to_owned(),
            about: task.about().to_owned(),
            steps: args.steps,
            overrides: args.overrides.clone(),
            data: None,
            rows: Vec::new(),
        };
        for variant in distinct(&args.kinds) {
            output::note(&format!("{}, {variant}", task.name()));
            let scores = arena.task(&args.output, asked.clone())?;
            let name = variant.to_string();
            let known = scores.rows.iter().find(|row| row.attention == name);
            let seeds = all_seeds(args.seeds, known);
            let mut row = Row::new(name);
            for seed in seeds {
                let request = args.request(task, &variant, seed, data.as_ref(), tasks);
                if let Some(reason) = row.run(&request, seed, &mut scores.data, &signals)? {
                    return Ok(ExitCode::from(reason));
                }
            }
            scores.add(row.scores());
            markdown = arena.write(&args.output)?;
        }
    }
    output::text(&markdown)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the task's experiment, unless runs were begun with another.
fn write_config(args: &Args, task: ArenaTask) -> anyhow::Result<()> {
    let path = args.output.join(format!("{}.toml", task.name()));
    let before = fs::read_to_string(&path).ok().filter(|text| text != task.config());
    if before.is_some() && args.output.join(task.name()).is_dir() {
        bail!(
            "`{}` is not the experiment of this version of the program, and runs were trained with it: choose another --output",
            path.display()
        );
    }
    Ok(durable::replace(&path, task.config().as_bytes())?)
}

/// The seeds that are asked for, and those that a row has already.
fn all_seeds(count: usize, known: Option<&Scores>) -> Vec<u64> {
    let mut seeds: Vec<u64> = (0..count as u64).collect();
    if let Some(row) = known {
        seeds.extend(&row.seeds);
        seeds.extend(row.diverged.iter().map(|run| run.seed));
    }
    seeds.sort_unstable();
    seeds.dedup();
    seeds
}
