//! What a run has written, read leniently: files of earlier versions, of a run that goes on, or that was cut off in the middle of a
//! line.

mod config;
mod diagnosis;
mod found;
mod json;
mod metrics;
mod resources;
mod summary;

use std::path::{Path, PathBuf};

pub(crate) use config::{Config, Layer};
pub(crate) use diagnosis::{Diagnosis, LayerRows};
pub(crate) use found::{Entry, entries};
pub(crate) use metrics::{Evaluation, Metrics, Step};
pub(crate) use resources::Resources;
pub(crate) use summary::{ClassScores, ErrorAnalysis, Summary};

use crate::error::Result;

/// A run.
#[derive(Debug)]
pub(crate) struct Run {
    /// Its directory.
    pub(crate) path: PathBuf,
    /// The name of its directory.
    pub(crate) label: String,
    pub(crate) config: Config,
    pub(crate) metrics: Metrics,
    pub(crate) resources: Resources,
    /// `None` if it has not ended yet.
    pub(crate) summary: Option<Summary>,
    /// `None` if its model was not looked at.
    pub(crate) diagnosis: Option<Diagnosis>,
}

impl Run {
    /// Reads the run in `path`.
    ///
    /// # Errors
    /// If a file that is there cannot be read, or `config.toml` or `summary.json` is none.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            label: name_of(path),
            config: Config::read(path)?,
            metrics: Metrics::read(path)?,
            resources: Resources::read(path)?,
            summary: Summary::read(path)?,
            diagnosis: Diagnosis::read(path)?,
        })
    }

    /// The name of its experiment.
    pub(crate) fn name(&self) -> &str {
        let of_summary = self.summary.as_ref().map(|summary| summary.name.as_str());
        of_summary
            .or(self.config.text("name"))
            .filter(|name| !name.is_empty())
            .unwrap_or(&self.label)
    }

    /// The step it has come to.
    pub(crate) fn step(&self) -> usize {
        let of_log = self.metrics.steps.last().map_or(0, |step| step.number);
        self.summary.as_ref().map_or(of_log, |summary| summary.steps.max(of_log))
    }

    /// Whether it came to its end.
    pub(crate) fn is_finished(&self) -> bool {
        self.summary.as_ref().is_some_and(Summary::is_complete)
    }

    /// The seed.
    pub(crate) fn seed(&self) -> Option<u64> {
        let of_config = || self.config.number("seed").map(|seed| seed as u64);
        self.summary.as_ref().map(|summary| summary.seed).or_else(of_config)
    }

    /// What its best model was measured by, by split; of pretraining, or of a run that goes on, its best evaluation or its last.
    pub(crate) fn scores(&self) -> Vec<(String, &Evaluation)> {
        let summary = self.summary.as_ref();
        if let Some(verdict) = summary.and_then(|summary| summary.verdict.as_ref()) {
            let scores = verdict.evaluations.iter();
            return scores.map(|(split, scores)| (split.clone(), scores)).collect();
        }
        let best = summary.and_then(|summary| summary.best_evaluation.as_ref());
        let found = best.or(self.metrics.evaluations.last());
        found.map(|scores| ("validation".to_owned(), scores)).into_iter().collect()
    }
}

/// The last name of a path, also of `.` and `runs/a/`.
pub(crate) fn name_of(path: &Path) -> String {
    let last = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let whole =
        || path.canonicalize().ok()?.file_name().map(|name| name.to_string_lossy().into_owned());
    last.or_else(whole).unwrap_or_else(|| path.display().to_string())
}
