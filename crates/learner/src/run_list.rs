//! Which runs lie below a directory, and how far each has come.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use toml::Table;

use crate::error::{LearnerError, Result};
use crate::metrics_log::{EvaluationRecord, MetricsRecord};
use crate::run_dir::{RunDir, RunSummary};
use crate::sweep_report::SweepReport;

/// Folders below the directory that are looked into for runs.
const DEPTH: usize = 4;

/// A run, or the runs of a series.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ListedRun {
    /// Its directory.
    pub path: String,
    /// What it does.
    pub state: RunState,
    /// Steps taken; of a series those of the runs on average. `None` before the first.
    pub step: Option<usize>,
    /// Steps of the whole run, where its configuration says so.
    pub max_steps: Option<usize>,
    /// The best evaluation, or of a series that of its finished runs on average, of a sweep that of its best trial; `None` before
    /// the first.
    pub best: Option<BestValue>,
    /// Runs of a series that have begun; 0 of a run by itself.
    pub runs: usize,
    /// How many of them have come to their end.
    pub finished: usize,
    /// Seconds since something was written last.
    pub age_seconds: Option<f64>,
    /// Bytes of all its files.
    pub bytes: u64,
}

/// What a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// A process is at work in it.
    Running,
    /// It came to its end.
    Finished,
    /// It was asked to stop, and saved a checkpoint.
    Stopped,
    /// Nobody is at work in it, and there is no summary: it failed or was killed.
    Failed,
}

impl RunState {
    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// What the best evaluation was chosen by, and its value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BestValue {
    /// `loss` or a metric.
    pub metric: String,
    /// `None` if it is not a number.
    pub value: Option<f64>,
}

/// The runs in `directory` and in the folders below it, by their names. Runs that are a part of a series are not listed by
/// themselves.
///
/// # Errors
/// [`LearnerError::Config`] if it is no directory; [`LearnerError::Io`].
pub fn list(directory: &Path) -> Result<Vec<ListedRun>> {
    if !directory.is_dir() {
        return Err(LearnerError::Config(format!(
            "`{}` is no directory of runs: name the one that `train` writes to (`--run-dir`; by default it is in `runs`)",
            directory.display()
        )));
    }
    let mut found = Vec::new();
    collect(directory, DEPTH, &mut found)?;
    Ok(found)
}

fn collect(path: &Path, depth: usize, found: &mut Vec<ListedRun>) -> Result<()> {
    let members = members(path)?;
    if !members.is_empty() {
        found.push(series(path, &members));
    } else if RunDir::holds_run(path) {
        found.push(single(path));
    } else if depth > 0 {
        for folder in folders(path)? {
            collect(&folder, depth - 1, found)?;
        }
    }
    Ok(())
}

/// The folders in a folder, by their names. One that cannot be read is passed over with a warning.
fn folders(path: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::warn!("`{}` is left out: {error}", path.display());
            return Ok(Vec::new());
        }
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry.map_err(LearnerError::io("read", path))?;
        // A link may lead back up.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

/// The runs of a series: in `seed-N`, `seed-N/fold-K`, and `trial-K` of a sweep, which may hold such again.
fn members(path: &Path) -> Result<Vec<PathBuf>> {
    let mut members = Vec::new();
    for folder in folders(path)? {
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_part = ["seed-", "fold-", "trial-"].iter().any(|prefix| {
            name.strip_prefix(prefix).is_some_and(|rest| rest.parse::<u64>().is_ok())
        });
        if !is_part {
            continue;
        }
        let within = self::members(&folder)?;
        if !within.is_empty() {
            members.extend(within);
        } else if RunDir::holds_run(&folder) {
            members.push(folder);
        }
    }
    Ok(members)
}

fn single(path: &Path) -> ListedRun {
    let summary = summary_of(path);
    let state = state(path, summary.as_ref());
    // Of a run that goes on the summary is that of an earlier session.
    let summary = summary.filter(|_| state != RunState::Running);
    let config = config(path);
    let number = |key: &str| config.get("trainer")?.get(key)?.as_integer().filter(|most| *most > 0);
    // Reading all steps of a long run takes longer than its summary.
    let records = if summary.is_some() { Vec::new() } else { records(path) };
    let (age_seconds, bytes) = age_and_size(path);
    ListedRun {
        path: path.display().to_string(),
        state,
        step: match &summary {
            Some(summary) => Some(summary.steps),
            None => records.iter().map(MetricsRecord::step).max(),
        },
        // With `max_epochs` the data decides.
        max_steps: number("max_steps")
            .filter(|_| number("max_epochs").is_none())
            .map(|most| most as usize),
        best: match &summary {
            Some(summary) => best_of_summary(summary, &config),
            None => best_of_records(&records),
        },
        runs: 0,
        finished: 0,
        age_seconds,
        bytes,
    }
}

fn series(path: &Path, members: &[PathBuf]) -> ListedRun {
    let runs: Vec<ListedRun> = members.iter().map(|member| single(member)).collect();
    let has = |state| runs.iter().any(|run| run.state == state);
    let finished: Vec<&ListedRun> =
        runs.iter().filter(|run| run.state == RunState::Finished).collect();
    let sweep = SweepReport::read(path).unwrap_or_else(|error| {
        tracing::warn!("{error}");
        None
    });
    // Whether there are runs that have not begun yet, the series knows: it has a summary when there are none.
    let is_complete = match &sweep {
        Some(sweep) => sweep.trials.iter().all(|trial| trial.state.is_over()),
        None => finished.len() == runs.len() && RunDir::has_summary(path),
    };
    let state = match () {
        () if RunDir::is_at_work(path) || has(RunState::Running) => RunState::Running,
        () if is_complete => RunState::Finished,
        () if has(RunState::Failed) => RunState::Failed,
        () => RunState::Stopped,
    };
    let best = finished.first().and_then(|run| run.best.clone()).map(|first| {
        let values: Vec<f64> = finished
            .iter()
            .filter_map(|run| run.best.as_ref().filter(|best| best.metric == first.metric)?.value)
            .collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        BestValue { value: Some(mean).filter(|mean| mean.is_finite()), ..first }
    });
    let best = match &sweep {
        Some(sweep) => best_of_sweep(sweep),
        None => best,
    };
    let steps: Vec<usize> = runs.iter().filter_map(|run| run.step).collect();
    let (age_seconds, bytes) = age_and_size(path);
    ListedRun {
        path: path.display().to_string(),
        state,
        step: (!steps.is_empty()).then(|| steps.iter().sum::<usize>() / steps.len()),
        max_steps: runs[0].max_steps,
        best,
        runs: runs.len(),
        finished: finished.len(),
        age_seconds,
        bytes,
    }
}

/// What the best trial of a sweep scored.
fn best_of_sweep(sweep: &SweepReport) -> Option<BestValue> {
    let best = sweep.trials.iter().find(|trial| Some(trial.trial) == sweep.best)?;
    Some(BestValue { metric: sweep.metric.clone()?, value: best.value })
}

/// The summary of a run; one that cannot be read is none, with a warning.
fn summary_of(path: &Path) -> Option<RunSummary> {
    RunSummary::read(path).unwrap_or_else(|error| {
        tracing::warn!("{error}");
        None
    })
}

fn state(path: &Path, summary: Option<&RunSummary>) -> RunState {
    match summary {
        _ if RunDir::is_at_work(path) => RunState::Running,
        Some(summary) if summary.is_complete() => RunState::Finished,
        Some(_) => RunState::Stopped,
        None => RunState::Failed,
    }
}

/// The configuration, as far as it can be read: what is asked of it here is not worth an error.
fn config(path: &Path) -> Table {
    let text = fs::read_to_string(RunDir::config_path(path)).unwrap_or_default();
    text.parse().unwrap_or_default()
}

/// The lines of metrics that can be read: the last may be half written.
fn records(path: &Path) -> Vec<MetricsRecord> {
    let text = fs::read(RunDir::metrics_path(path)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The best evaluation. What a run of an earlier version that was stopped chose it by, its configuration says, or nothing does: without
/// a task it is the loss.
fn best_of_summary(summary: &RunSummary, config: &Table) -> Option<BestValue> {
    let best = summary.best_evaluation.as_ref()?;
    let stated = || config.get("trainer")?.get("metric_for_best_model")?.as_str();
    let metric = summary
        .best_by
        .as_deref()
        .or_else(|| Some(summary.best_model.as_ref()?.best_by.as_str()))
        .or_else(|| stated().filter(|name| !name.is_empty()))
        .or_else(|| (!config.contains_key("task")).then_some("loss"))?;
    Some(value(metric, best))
}

/// Which metric it will be chosen by is not on record before the end: it is told by the loss.
fn best_of_records(records: &[MetricsRecord]) -> Option<BestValue> {
    let evaluations = records.iter().filter_map(|record| match record {
        MetricsRecord::Validation(record) => Some(record),
        MetricsRecord::Train(_) => None,
    });
    let best = evaluations.min_by(|left, right| left.loss.total_cmp(&right.loss))?;
    Some(value("loss", best))
}

fn value(metric: &str, record: &EvaluationRecord) -> BestValue {
    let value = if metric == "loss" { Some(record.loss) } else { record.metric(metric) };
    BestValue { metric: metric.to_owned(), value: value.filter(|value| value.is_finite()) }
}

/// Seconds since the newest change, and bytes of all files.
fn age_and_size(path: &Path) -> (Option<f64>, u64) {
    fn visit(path: &Path, newest: &mut Option<SystemTime>, bytes: &mut u64) {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            let Ok(found) = entry.metadata() else { continue };
            if found.is_dir() {
                visit(&entry.path(), newest, bytes);
            } else {
                *bytes += found.len();
                *newest = (*newest).max(found.modified().ok());
            }
        }
    }
    let (mut newest, mut bytes) = (None, 0);
    visit(path, &mut newest, &mut bytes);
    let age = newest.map(|newest| newest.elapsed().unwrap_or_default().as_secs_f64());
    (age, bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_best_of_a_stopped_run_is_told_by_what_it_was_chosen_by() {
        let summary = |best_by: Option<&str>| -> RunSummary {
            let evaluation = json!({"step": 4, "loss": 0.7, "accuracy": 0.9});
            let mut summary = json!({
                "name": "tiny", "ended_by": "terminate", "steps": 6, "skipped_steps": 0, "final_train_loss": 1.0,
                "final_evaluation": evaluation, "best_evaluation": evaluation, "wall_seconds": 1.0,
                "tokens_per_second": 1.0, "tokens": 1, "peak_rss_bytes": 0, "parameters": 1, "device": "flex",
                "dtype": "float32", "seed": 0, "versions": {}, "fingerprints": {},
            });
            if let Some(name) = best_by {
                summary["best_by"] = json!(name);
            }
            serde_json::from_value(summary).unwrap()
        };
        let best = |metric: &str, value: f64| {
            Some(BestValue { metric: metric.to_owned(), value: Some(value) })
        };
        let [plain, task, stated] = [
            "",
            "[task]\nname = \"labelled\"\n",
            "[task]\nname = \"labelled\"\n[trainer]\nmetric_for_best_model = \"accuracy\"\n",
        ]
        .map(|text| text.parse::<Table>().unwrap());
        assert_eq!(best_of_summary(&summary(Some("accuracy")), &task), best("accuracy", 0.9));
        assert_eq!(best_of_summary(&summary(None), &stated), best("accuracy", 0.9));
        assert_eq!(best_of_summary(&summary(None), &plain), best("loss", 0.7));
        // Not on record, and so not claimed.
        assert_eq!(best_of_summary(&summary(None), &task), None);
    }
}
