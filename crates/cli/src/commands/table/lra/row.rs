//! The runs of a row: one for each seed, each compared with what is there before it is trained or gone on with.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use nystromformer_learner::{
    LearnerError,
    metrics_log::{EvaluationRecord, MetricsLog},
    run_dir::{RunDir, RunSummary},
    trainer::{EndReason, RunRequest, Session},
};
use nystromformer_tables::{
    TableError,
    arena::{Diverged, Scores, TaskScores},
};

use crate::{
    assignment::key_and_value, commands::train::train_quietly, output, signals::StopSignals,
};

/// Keys that are not compared as they stand: where the data lies, and what a run of a series stated.
const NOT_COMPARED: [&str; 2] = [DATA, "seeds"];

/// Where a task's data lies.
const DATA: &str = "task.path";

/// The runs of a row, as they come to their end.
pub(super) struct Row {
    attention: String,
    /// Hash of the data that the task's runs read.
    data: Option<String>,
    finished: Vec<(RunSummary, f64, Vec<EvaluationRecord>)>,
    diverged: Vec<Diverged>,
    /// Runs of before that broke off.
    known: Vec<Diverged>,
}

impl Row {
    /// A row of a task, of which `scores` are known.
    pub(super) fn new(attention: String, scores: &TaskScores) -> Self {
        let known = scores.row(&attention).map(|row| row.diverged.clone()).unwrap_or_default();
        let (finished, diverged) = Default::default();
        Self { attention, data: scores.data.clone(), finished, diverged, known }
    }

    /// Trains a run unless it has come to its end, or broke off before; the exit code if it was stopped.
    pub(super) fn run(
        &mut self,
        request: &RunRequest,
        seed: u64,
        signals: &StopSignals,
    ) -> anyhow::Result<Option<u8>> {
        let Some(folder) = &request.run_dir else { return Ok(None) };
        let broken = self.known.iter().find(|run| run.seed == seed && RunDir::holds_run(folder));
        if let Some(run) = broken {
            output::note(&format!(
                "{} diverged with seed {seed} before; remove `{}` to train it again",
                self.attention,
                folder.display()
            ));
            self.diverged.push(run.clone());
            return Ok(None);
        }
        let request =
            &RunRequest { overrides: beside_its_data(request, folder)?, ..request.clone() };
        if finished(folder)?.is_none() {
            output::note(&format!("seed {seed}"));
            let data = &mut self.data;
            let mut begins = |session: &Session| same_data(data, &session.fingerprints(), folder);
            match train_quietly(request, signals, &mut begins) {
                Ok(EndReason::Stopped(reason)) => return Ok(Some(reason.exit_code())),
                Ok(_) => {}
                Err(error) => match error.downcast_ref() {
                    // The kind does not learn here, which is a result.
                    Some(LearnerError::NonFinite { .. }) => {
                        let attention = &self.attention;
                        output::note(&format!(
                            "{attention} diverged with seed {seed}: {error}; the others go on"
                        ));
                        self.diverged.push(Diverged { seed, reason: error.to_string() });
                        return Ok(None);
                    }
                    _ => return Err(error),
                },
            }
        }
        let Some(summary) = finished(folder)? else { return Ok(None) };
        same_data(&mut self.data, &summary.fingerprints, folder)?;
        let record = summary.evaluations().get("test").copied();
        let accuracy = record.and_then(|record| record.metric("accuracy")).ok_or_else(|| {
            LearnerError::Data(format!("`{}` has no test accuracy: remove it", folder.display()))
        })?;
        if !accuracy.is_finite() {
            let reason = "its answers on the test split are not numbers".to_owned();
            self.diverged.push(Diverged { seed, reason });
            return Ok(None);
        }
        let evaluations = MetricsLog::evaluations(&RunDir::metrics_path(folder))?;
        self.finished.push((summary, accuracy, evaluations));
        Ok(None)
    }

    /// Adds what came of them to the task's scores.
    pub(super) fn add_to(self, scores: &mut TaskScores) {
        scores.data.clone_from(&self.data);
        scores.add(self.scores());
    }

    fn scores(self) -> Scores {
        let runs = &self.finished;
        let seconds: f64 = runs.iter().map(|(run, ..)| run.wall_seconds).sum();
        Scores {
            seeds: runs.iter().map(|(run, ..)| run.seed).collect(),
            accuracy: runs.iter().map(|(_, accuracy, _)| *accuracy).collect(),
            parameters: runs.first().map(|(run, ..)| run.parameters),
            wall_seconds: (!runs.is_empty()).then(|| seconds / runs.len() as f64),
            curve: self.curve(),
            diverged: self.diverged,
            attention: self.attention,
            mean: None,
            beside_exact: None,
        }
    }

    /// Steps at which every run was evaluated, and the mean accuracy there.
    fn curve(&self) -> Vec<(usize, f64)> {
        let mut of_steps: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for record in self.finished.iter().flat_map(|(.., evaluations)| evaluations) {
            let accuracy = record.metric("accuracy").filter(|accuracy| accuracy.is_finite());
            of_steps.entry(record.step).or_default().extend(accuracy);
        }
        of_steps.retain(|_, found| found.len() == self.finished.len());
        let mean = |found: Vec<f64>| found.iter().sum::<f64>() / found.len() as f64;
        of_steps.into_iter().map(|(step, found)| (step, mean(found))).collect()
    }
}

/// The summary of the run in `folder`, if it came to its end.
fn finished(folder: &Path) -> anyhow::Result<Option<RunSummary>> {
    Ok(RunSummary::read(folder)?.filter(RunSummary::is_complete))
}

/// Refuses to go on with a run that was begun with other settings, or on other data than is named.
pub(super) fn require_same_settings(
    request: &RunRequest,
    named_data: Option<&PathBuf>,
) -> anyhow::Result<()> {
    let Some(folder) = request.run_dir.as_ref().filter(|folder| RunDir::holds_run(folder)) else {
        return Ok(());
    };
    let (stored, asked) = (RunDir::overrides(folder)?, request.kept_overrides());
    if let (Some(before), Some(now)) = (stored_data(folder)?, named_data)
        && fs::canonicalize(now).ok() != fs::canonicalize(&before).ok()
    {
        let told = |path: &Path| format!("{DATA}={}", path.display());
        let (before, now) = (told(&before), told(now));
        return Err(TableError::OtherSettings { path: folder.clone(), before, now }.into());
    }
    let settings = |all: &[String]| -> BTreeMap<String, String> {
        let pairs = all.iter().map(|text| key_and_value(text));
        let compared = pairs.filter(|(key, _)| !NOT_COMPARED.contains(key));
        compared.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    let (stored, asked) = (settings(&stored), settings(&asked));
    let Some(key) =
        stored.keys().chain(asked.keys()).find(|key| stored.get(*key) != asked.get(*key))
    else {
        return Ok(());
    };
    let told = |settings: &BTreeMap<String, String>| {
        settings.get(key).map_or_else(|| format!("no {key}"), |value| format!("{key}={value}"))
    };
    let (before, now) = (told(&stored), told(&asked));
    Err(TableError::OtherSettings { path: folder.clone(), before, now }.into())
}

/// Where the run in `folder` has read its data, if that is still there.
fn stored_data(folder: &Path) -> anyhow::Result<Option<PathBuf>> {
    let stored = RunDir::overrides(folder)?;
    let mut paths = stored.iter().map(|text| key_and_value(text)).filter(|(key, _)| *key == DATA);
    Ok(paths.next_back().map(|(_, path)| PathBuf::from(path)).filter(|path| path.exists()))
}

/// The overrides, with the data where the run that is there has read it: a copy elsewhere holds the same.
fn beside_its_data(request: &RunRequest, folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut overrides = request.overrides.clone();
    overrides.extend(stored_data(folder)?.map(|path| format!("{DATA}={}", path.display())));
    Ok(overrides)
}

/// Refuses a run that read something else than those before it.
fn same_data(
    known: &mut Option<String>,
    fingerprints: &BTreeMap<String, String>,
    folder: &Path,
) -> Result<(), LearnerError> {
    let Some(found) = fingerprints.get("data") else { return Ok(()) };
    if known.get_or_insert_with(|| found.clone()) == found {
        return Ok(());
    }
    Err(LearnerError::Config(format!(
        "`{}` reads other data than the runs that it is to be compared with: name theirs with --data, or choose another --output",
        folder.display()
    )))
}
