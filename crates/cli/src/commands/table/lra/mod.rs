//! `table lra`: trains a model for each kind of attention and seed, and puts their scores side by side.

mod row;
mod tasks;

use std::{collections::BTreeMap, fs, path::PathBuf, process::ExitCode};

use anyhow::{anyhow, bail};
use clap::ValueEnum;
use nystromformer::{Semantics, SharedConfig};
use nystromformer_files::durable;
use nystromformer_learner::trainer::RunRequest;
use nystromformer_tables::{
    Variant,
    arena::{Arena, Scores, TaskScores},
    output::make_folder,
};
use nystromformer_tasks::TaskRegistry;

use self::{
    row::{Row, require_same_settings},
    tasks::ArenaTask,
};
use super::{at_least_one, distinct};
use crate::{assignment::key_and_value, output, signals::StopSignals};

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

/// Keys of a sweep begin so; a run of a row is none.
const SWEEP: &str = "sweep.";

impl Args {
    /// Refuses what would be passed over, or would make a row something else than its name says.
    fn check(&self) -> anyhow::Result<()> {
        let overrides = self.overrides();
        for key in overrides.keys() {
            if OWN_KEYS.contains(&key.as_str()) {
                bail!(
                    "--set `{key}`: the table sets it itself: use --kinds, --steps, --seeds, --tasks or --data"
                );
            }
            if key.starts_with(SWEEP) {
                bail!(
                    "--set `{key}`: a table has no sweep: name rows with --kinds, or use `train`"
                );
            }
        }
        for variant in &self.kinds {
            check_row(variant, &overrides)?;
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

    /// The keys of --set with their values, of which the last counts.
    fn overrides(&self) -> BTreeMap<String, String> {
        let pairs = self.overrides.iter().map(|text| key_and_value(text));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    /// What a task's runs have in common.
    fn scores(&self, task: ArenaTask) -> TaskScores {
        let overrides = self.overrides();
        TaskScores {
            task: task.name().to_owned(),
            about: task.about().to_owned(),
            steps: self.steps,
            overrides: overrides.iter().map(|(key, value)| format!("{key}={value}")).collect(),
            data: None,
            rows: Vec::new(),
        }
    }

    /// The folder of a task's data that --data names.
    fn named_data(&self, task: ArenaTask) -> Option<&PathBuf> {
        self.data.iter().find(|(of, _)| *of == task).map(|(_, path)| path)
    }

    /// A row's run of this seed, new or to go on with.
    fn request(
        &self,
        task: ArenaTask,
        variant: &Variant,
        seed: u64,
        tasks: &TaskRegistry,
    ) -> RunRequest {
        let mut overrides = self.overrides.clone();
        overrides.extend([
            format!("model.attention={}", variant.kind().name()),
            format!("trainer.max_steps={}", self.steps),
            format!("seed={seed}"),
        ]);
        let data = self.named_data(task).cloned().or_else(|| task.own_data(&self.output));
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

/// Refuses a row whose options --set sets too, or that change nothing beside what --set sets.
fn check_row(variant: &Variant, overrides: &BTreeMap<String, String>) -> anyhow::Result<()> {
    let of_model: Vec<(&str, &str)> = overrides
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix("model.")?, value.as_str())))
        .collect();
    let mut whole = variant.clone();
    let mut shared = SharedConfig::default();
    for (key, value) in of_model {
        if variant.assignments().iter().any(|option| key_and_value(option).0 == key) {
            bail!("--set `model.{key}`: the row `{variant}` sets it too: leave one of them out");
        }
        if key == "semantics" && value.trim_matches('"') == "hf" {
            shared.semantics = Semantics::Hf;
        }
        // Keys that are none of this attention's are looked at with the experiment.
        let _ = whole.set(&format!("{key}={value}"));
    }
    let config = whole.config().map_err(|problem| anyhow!("--kinds {problem}"))?;
    variant.require_read(&config, &shared).map_err(|problem| anyhow!("--kinds {problem}"))
}

pub(super) fn run(args: &Args, tasks: &TaskRegistry) -> anyhow::Result<ExitCode> {
    args.check()?;
    make_folder(&args.output)?;
    let signals = StopSignals::listen()?;
    let mut arena = Arena::open(&args.output)?;
    let plan: Vec<(ArenaTask, Variant)> = distinct(&args.tasks)
        .into_iter()
        .flat_map(|task| distinct(&args.kinds).into_iter().map(move |variant| (task, variant)))
        .collect();
    // Whatever is refused is refused before hours of training.
    for (task, variant) in &plan {
        require_same_experiment(args, *task)?;
        let scores = arena.task(&args.output, args.scores(*task))?;
        for seed in all_seeds(args.seeds, scores.row(&variant.to_string())) {
            require_same_settings(
                &args.request(*task, variant, seed, tasks),
                args.named_data(*task),
            )?;
        }
    }
    for task in distinct(&args.tasks) {
        let config = args.output.join(format!("{}.toml", task.name()));
        durable::replace(&config, task.config().as_bytes())?;
        if args.named_data(task).is_none() {
            task.generate(&args.output)?;
        }
    }
    let mut markdown = String::new();
    for (task, variant) in &plan {
        output::note(&format!("{}, {variant}", task.name()));
        let scores = arena.task(&args.output, args.scores(*task))?;
        let mut row = Row::new(variant.to_string(), scores);
        for seed in all_seeds(args.seeds, scores.row(&variant.to_string())) {
            let request = args.request(*task, variant, seed, tasks);
            if let Some(exit_code) = row.run(&request, seed, &signals)? {
                return Ok(ExitCode::from(exit_code));
            }
        }
        row.add_to(scores);
        markdown = arena.write(&args.output)?;
    }
    output::text(&markdown)?;
    Ok(ExitCode::SUCCESS)
}

/// Refuses to train beside runs of another version of the task's experiment.
fn require_same_experiment(args: &Args, task: ArenaTask) -> anyhow::Result<()> {
    let path = args.output.join(format!("{}.toml", task.name()));
    let before = fs::read_to_string(&path).ok().filter(|text| text != task.config());
    if before.is_some() && args.output.join(task.name()).is_dir() {
        bail!(
            "`{}` is not the experiment of this version of the program, and runs were trained with it: choose another --output",
            path.display()
        );
    }
    Ok(())
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
