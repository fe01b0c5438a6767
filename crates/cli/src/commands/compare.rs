//! Finished runs side by side; see `nystromformer compare --help`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::ExitCode,
};

use nystromformer_learner::{
    report::SummaryFile,
    run_dir::RunSummary,
    sweep_report::{SweepReport, TrialReport, TrialState, shown},
};
use nystromformer_tasks::metrics::SeedStatistics;
use serde_json::Value;

use crate::output;

/// Compare finished runs: a table of scores and costs.
///
/// Scores are those of each run's best model. Runs with several seeds show mean ± standard deviation. A sweep shows its trials, the
/// best one with a star.
#[derive(clap::Args)]
pub struct Args {
    /// Run directories.
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes in [`crate::failure`].
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    print_runs(&args.runs)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a line for each run, and for each trial of a sweep.
///
/// # Errors
/// As [`SummaryFile::read`], and if stdout is gone.
pub fn print_runs(paths: &[PathBuf]) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for path in paths {
        match SweepReport::read(path)? {
            Some(sweep) => rows.extend(Row::of_sweep(path, &sweep)?),
            None => rows.push(Row::of_run(path)?),
        }
    }
    let scores: Vec<Scores> = rows.iter().map(Row::scores).collect();
    let columns: BTreeSet<&(String, String)> = scores.iter().flat_map(BTreeMap::keys).collect();
    let keys: BTreeSet<&String> = rows.iter().flat_map(|row| row.values.keys()).collect();
    let has_trials = rows.iter().any(|row| row.state.is_some());

    let mut header = vec!["run".to_owned()];
    header.extend(keys.iter().map(|key| (*key).clone()));
    header.extend(has_trials.then(|| "state".to_owned()));
    header.extend(["steps", "parameters", "tokens/s", "peak GB"].map(str::to_owned));
    header.extend(columns.iter().map(|(split, metric)| format!("{split} {metric}")));
    let mut table = vec![header];
    let dash = || "–".to_owned();
    for (row, scores) in rows.iter().zip(&scores) {
        let runs = row.summary.as_ref().map_or(&[][..], SummaryFile::runs);
        let mean = |value: fn(&RunSummary) -> f64, decimals: usize| {
            if runs.is_empty() {
                return dash();
            }
            format!("{:.decimals$}", runs.iter().map(value).sum::<f64>() / runs.len() as f64)
        };
        let mut cells = vec![row.name.clone()];
        cells.extend(keys.iter().map(|key| row.values.get(*key).map_or_else(dash, shown)));
        cells.extend(
            has_trials.then(|| row.state.map_or_else(dash, |state| state.name().to_owned())),
        );
        cells.extend([
            mean(|run| run.steps as f64, 0),
            mean(|run| run.parameters as f64, 0),
            mean(|run| run.tokens_per_second, 0),
            mean(|run| run.peak_rss_bytes as f64 / 1e9, 2),
        ]);
        cells.extend(
            columns.iter().map(|column| scores.get(*column).map_or_else(dash, ToString::to_string)),
        );
        table.push(cells);
    }
    output::aligned(&table)
}

/// A line of the table.
struct Row {
    name: String,
    /// Of a trial, its values by key.
    values: BTreeMap<String, Value>,
    /// Of a trial, how far it is.
    state: Option<TrialState>,
    /// Absent of a trial that has none yet.
    summary: Option<SummaryFile>,
}

impl Row {
    fn of_run(path: &Path) -> anyhow::Result<Self> {
        let summary = Some(SummaryFile::read(path)?);
        Ok(Self { name: name_of(path), values: BTreeMap::new(), state: None, summary })
    }

    /// The trials of the sweep in `path`; its best one is marked.
    fn of_sweep(path: &Path, sweep: &SweepReport) -> anyhow::Result<Vec<Self>> {
        let of_trial = |trial: &TrialReport| {
            let mark = if sweep.best == Some(trial.trial) { " *" } else { "" };
            let folder = path.join(&trial.folder);
            Ok(Self {
                name: format!("{}/{}{mark}", name_of(path), trial.folder),
                values: trial.values.clone(),
                state: Some(trial.state),
                summary: SummaryFile::read_if_there(&folder)?,
            })
        };
        sweep.trials.iter().map(of_trial).collect()
    }

    fn scores(&self) -> Scores {
        self.summary.as_ref().map_or_else(Scores::new, scores)
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// By split and metric.
type Scores = BTreeMap<(String, String), SeedStatistics>;

fn scores(report: &SummaryFile) -> Scores {
    report
        .statistics()
        .into_iter()
        .flat_map(|(split, metrics)| {
            metrics.into_iter().map(move |(name, value)| ((split.clone(), name), value))
        })
        .collect()
}
