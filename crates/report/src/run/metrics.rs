//! `metrics.jsonl`: what was measured at each step and at each evaluation.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::json;
use crate::error::Result;

const FILE: &str = "metrics.jsonl";

/// The lines of a run.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Of training, in their order.
    pub(crate) steps: Vec<Step>,
    /// Of validation, in their order.
    pub(crate) evaluations: Vec<Evaluation>,
}

/// A step. What was not finite is not a number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// The first is 1.
    pub(crate) number: usize,
    pub(crate) loss: f64,
    pub(crate) learning_rate: f64,
    pub(crate) grad_norm: f64,
    pub(crate) tokens_per_second: f64,
    pub(crate) skipped: bool,
    pub(crate) no_targets: bool,
}

/// An evaluation, in `metrics.jsonl` and in `summary.json`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Evaluation {
    pub(crate) step: usize,
    loss: Option<f64>,
    #[serde(flatten)]
    metrics: BTreeMap<String, serde_json::Value>,
}

impl Evaluation {
    /// The loss, then the metrics in the order of their names; what is undefined is not a number.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&str, f64)> {
        let loss = ("loss", self.loss.unwrap_or(f64::NAN));
        let metrics = self.metrics.iter().filter(|(name, _)| *name != "split");
        let metrics = metrics.filter(|(_, value)| value.is_number() || value.is_null());
        std::iter::once(loss)
            .chain(metrics.map(|(name, value)| (name.as_str(), value.as_f64().unwrap_or(f64::NAN))))
    }

    /// One of them.
    pub(crate) fn value(&self, name: &str) -> Option<f64> {
        self.values().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

#[derive(Deserialize)]
#[serde(tag = "split", rename_all = "snake_case")]
enum Line {
    Train(StepLine),
    Validation(Evaluation),
}

#[derive(Deserialize)]
struct StepLine {
    step: usize,
    #[serde(default)]
    loss: Option<f64>,
    #[serde(default)]
    learning_rate: Option<f64>,
    #[serde(default)]
    grad_norm: Option<f64>,
    #[serde(default)]
    tokens_per_second: Option<f64>,
    #[serde(default)]
    skipped: bool,
    #[serde(default)]
    no_targets: bool,
}

impl Metrics {
    /// Reads those of the run in `path`; none if there is no such file. Lines that are none are passed over with a warning.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let path = path.join(FILE);
        let mut metrics = Self::default();
        let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
        let damaged = json::lines(&path, |line| match line {
            Line::Train(line) => metrics.steps.push(Step {
                number: line.step,
                loss: number(line.loss),
                learning_rate: number(line.learning_rate),
                grad_norm: number(line.grad_norm),
                tokens_per_second: number(line.tokens_per_second),
                skipped: line.skipped,
                no_targets: line.no_targets,
            }),
            Line::Validation(evaluation) => metrics.evaluations.push(evaluation),
        })?;
        if damaged > 0 {
            tracing::warn!(
                "`{damaged}` lines of `{}` are no metrics and are left out of the report",
                path.display()
            );
        }
        Ok(metrics)
    }

    /// Names of what evaluations measured beside the loss, in their order.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (name, _) in self.evaluations.iter().flat_map(Evaluation::values) {
            if name != "loss" && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        names
    }

    /// What evaluations measured under a name, by step.
    pub(crate) fn curve(&self, name: &str) -> Vec<(f64, f64)> {
        let values = self.evaluations.iter();
        values.filter_map(|found| Some((found.step as f64, found.value(name)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_or_of_another_version_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let long =
            format!("{{\"split\":\"train\",\"step\":9,\"note\":\"{}\"}}\n", "x".repeat(3 << 20));
        let lines = [
            "{\"split\":\"train\",\"step\":1,\"loss\":2.5,\"learning_rate\":0.1,\"grad_norm\":null,\"skipped\":true}\n",
            "garbage\n",
            &long,
            "{\"split\":\"validation\",\"step\":1,\"loss\":null,\"accuracy\":0.5,\"f1\":null}\n",
            "{\"split\":\"tomorrow\",\"step\":1}\n",
            "{\"split\":\"train\",\"st",
        ];
        std::fs::write(&path, lines.concat()).unwrap();
        let metrics = Metrics::read(folder.path()).unwrap();
        let [step] = metrics.steps.as_slice() else { panic!("{:?}", metrics.steps) };
        assert_eq!((step.number, step.loss, step.skipped), (1, 2.5, true));
        assert!(step.grad_norm.is_nan() && step.tokens_per_second.is_nan());
        let [evaluation] = metrics.evaluations.as_slice() else { panic!() };
        assert_eq!(evaluation.value("accuracy"), Some(0.5));
        assert!(
            evaluation.value("loss").unwrap().is_nan() && evaluation.value("f1").unwrap().is_nan()
        );
        assert_eq!(metrics.names(), ["accuracy", "f1"]);
        // The last line is being written; the others are not.
        assert_eq!(json::lines(&path, |_: Line| ()).unwrap(), 3);
        assert!(Metrics::read(&folder.path().join("nowhere")).unwrap().steps.is_empty());
    }
}
