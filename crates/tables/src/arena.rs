//! What models of each kind of attention learn on the same budget: the paper's table 3 in small.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::interval::Interval;
use crate::output::{self, Pages, Table};

/// The row that others are compared with.
const EXACT: &str = "softmax";

/// `lra.json`: what is known of all runs. It is a function of the runs' own files.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Arena {
    /// In the order in which they were asked for.
    pub tasks: Vec<TaskScores>,
}

/// The runs of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskScores {
    /// Its name.
    pub task: String,
    /// What it is, in a sentence.
    pub about: String,
    /// Steps of every run.
    pub steps: usize,
    /// In the order in which they were asked for.
    pub rows: Vec<Scores>,
}

/// The runs of a kind of attention on a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// The kind, with its options.
    pub attention: String,
    /// The seeds of the runs that are finished.
    pub seeds: Vec<u64>,
    /// The test accuracy of each, of the checkpoint that validation chose.
    pub accuracy: Vec<f64>,
    /// Parameters of the model.
    pub parameters: Option<usize>,
    /// Seconds of a run, on average.
    pub wall_seconds: Option<f64>,
    /// Why there are no more runs: a loss or a gradient that was no number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diverged: Option<String>,
    /// Mean and 95 % t-interval.
    pub mean: Option<Interval>,
    /// The mean of the differences from exact attention with the same seeds, and its interval.
    pub beside_exact: Option<Interval>,
}

impl TaskScores {
    /// Fills in means and differences.
    pub fn compare(&mut self) {
        let exact = self.rows.iter().find(|row| row.attention == EXACT);
        let exact: Vec<(u64, f64)> = exact
            .into_iter()
            .flat_map(|row| row.seeds.iter().copied().zip(row.accuracy.iter().copied()))
            .collect();
        for row in &mut self.rows {
            row.mean = Interval::of(&row.accuracy);
            let of_seed = |seed: &u64| exact.iter().find(|(other, _)| other == seed);
            let pairs = row.seeds.iter().zip(&row.accuracy);
            let pairs = pairs.filter_map(|(seed, found)| Some((*found, of_seed(seed)?.1)));
            let (own, other): (Vec<f64>, Vec<f64>) = pairs.unzip();
            row.beside_exact =
                if row.attention == EXACT { None } else { Interval::of_differences(&own, &other) };
        }
    }
}

impl Arena {
    /// Writes `lra.json` and `lra.md`; returns the tables.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn write(&self, folder: &Path) -> Result<String> {
        output::replace(&folder.join("lra.json"), self)?;
        let title = "Small tasks of the Long Range Arena";
        let pages = self.pages();
        pages.write(folder, "lra", title)?;
        Ok(pages.markdown(title))
    }

    fn pages(&self) -> Pages {
        let introduction = "Test accuracy in percent, of the checkpoint that validation chose: the mean over seeds and its 95 % t-interval. \
             Beside it the mean of the differences from `softmax` with the same seeds. `none` is the convolution alone, `agent` the \
             landmarks without the inverse. The data is not the Arena's own size, and numbers are not to be compared with its."
            .to_owned();
        let tables = self.tasks.iter().map(table).collect();
        Pages { introduction, tables, plots: Vec::new() }
    }
}

fn table(task: &TaskScores) -> Table {
    let percent = |interval: Option<Interval>| {
        interval.map_or_else(
            || "–".to_owned(),
            |Interval { mean, half_width, count }| {
                let half_width = half_width.map(|half| 100.0 * half);
                format!("{:.1}", Interval { mean: 100.0 * mean, half_width, count })
            },
        )
    };
    let row = |scores: &Scores| {
        vec![
            format!("`{}`", scores.attention),
            percent(scores.mean),
            percent(scores.beside_exact),
            scores.seeds.len().to_string(),
            scores.parameters.map_or_else(|| "–".to_owned(), |count| count.to_string()),
            scores.wall_seconds.map_or_else(|| "–".to_owned(), |seconds| format!("{seconds:.0}")),
        ]
    };
    let diverged: Vec<String> = task
        .rows
        .iter()
        .filter_map(|row| Some(format!("`{}` diverged: {}", row.attention, row.diverged.as_ref()?)))
        .collect();
    let columns =
        ["attention", "accuracy", "beside softmax", "seeds", "parameters", "seconds a run"];
    Table {
        title: format!("{}, {} steps", task.task, task.steps),
        columns: columns.map(str::to_owned).to_vec(),
        rows: task.rows.iter().map(row).collect(),
        note: std::iter::once(task.about.clone()).chain(diverged).collect::<Vec<_>>().join("\n\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(attention: &str, seeds: &[u64], accuracy: &[f64]) -> Scores {
        Scores {
            attention: attention.to_owned(),
            seeds: seeds.to_vec(),
            accuracy: accuracy.to_vec(),
            parameters: Some(1000),
            wall_seconds: Some(12.4),
            diverged: None,
            mean: None,
            beside_exact: None,
        }
    }

    #[test]
    fn rows_are_compared_with_exact_attention_seed_by_seed() {
        let mut task = TaskScores {
            task: "listops_short".to_owned(),
            about: "Expressions.".to_owned(),
            steps: 100,
            rows: vec![
                scores("softmax", &[0, 1, 2], &[0.5, 0.6, 0.7]),
                // The seeds stand in another order, and one is missing.
                scores("nystrom", &[2, 0], &[0.75, 0.55]),
                Scores { diverged: Some("loss is NaN".to_owned()), ..scores("linear", &[], &[]) },
            ],
        };
        task.compare();
        let [exact, nystrom, linear] = task.rows.as_slice() else { panic!() };
        assert!((exact.mean.unwrap().mean - 0.6).abs() < 1e-12 && exact.beside_exact.is_none());
        let beside = nystrom.beside_exact.unwrap();
        assert!((beside.mean - 0.05).abs() < 1e-12 && beside.half_width.unwrap() < 1e-12);
        assert_eq!((linear.mean, linear.beside_exact), (None, None));
        let folder = tempfile::tempdir().unwrap();
        let text = Arena { tasks: vec![task.clone()] }.write(folder.path()).unwrap();
        for part in [
            "## listops_short, 100 steps",
            "| `softmax` | 60.0 ± 24.8 | – | 3 | 1000 | 12 |",
            "| `nystrom` | 65.0 ± 127.1 | 5.0 ± 0.0 | 2 |",
            "`linear` diverged: loss is NaN",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let found: Option<Arena> = output::read(&folder.path().join("lra.json")).unwrap();
        assert_eq!(found.unwrap().tasks, [task]);
    }
}
