//! What models of each kind of attention learn on the same budget: the paper's table 3 in small.

use std::path::Path;

use nystromformer_report::Plot;
use serde::{Deserialize, Serialize};

use crate::error::{Result, TableError};
use crate::interval::Interval;
use crate::output::{self, Pages, Table};

/// The row that others are compared with.
const EXACT: &str = "softmax";

/// The file of scores.
const FILE: &str = "lra.json";

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
    /// What else differs from the task's own experiment, as `KEY=VALUE`, in the order of the keys.
    #[serde(default)]
    pub overrides: Vec<String>,
    /// Hash of the data that all runs have read; `None` before the first one.
    #[serde(default)]
    pub data: Option<String>,
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
    /// Runs that did not come to their end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diverged: Vec<Diverged>,
    /// Steps, and the validation accuracy there: the mean of all runs that are finished.
    #[serde(default)]
    pub curve: Vec<(usize, f64)>,
    /// Mean and 95 % t-interval.
    pub mean: Option<Interval>,
    /// The mean of the differences from exact attention with the same seeds, and its interval.
    pub beside_exact: Option<Interval>,
}

/// A run that broke off at a loss or a gradient that was no number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diverged {
    /// Its seed.
    pub seed: u64,
    /// What happened.
    pub reason: String,
}

impl TaskScores {
    /// The row of this name.
    pub fn row(&self, attention: &str) -> Option<&Scores> {
        self.rows.iter().find(|row| row.attention == attention)
    }

    /// Puts a row in the place of the same of before, or behind the others.
    pub fn add(&mut self, scores: Scores) {
        match self.rows.iter_mut().find(|row| row.attention == scores.attention) {
            Some(row) => *row = scores,
            None => self.rows.push(scores),
        }
        self.compare();
    }

    /// Fills in means and differences.
    fn compare(&mut self) {
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
    /// What a session before has written into `folder`, or nothing yet.
    ///
    /// # Errors
    /// [`TableError::Damaged`] if the file is something else.
    pub fn open(folder: &Path) -> Result<Self> {
        Ok(output::read(&folder.join(FILE))?.unwrap_or_default())
    }

    /// The scores of a task, those of before or none yet, to add to.
    ///
    /// # Errors
    /// [`TableError::OtherSettings`] if those that are there were trained otherwise.
    pub fn task(&mut self, folder: &Path, asked: TaskScores) -> Result<&mut TaskScores> {
        let place = self.tasks.iter().position(|task| task.task == asked.task);
        let place = place.unwrap_or(self.tasks.len());
        if place == self.tasks.len() {
            self.tasks.push(asked.clone());
        }
        let known = &mut self.tasks[place];
        let settings = |of: &TaskScores| {
            let steps = format!("--steps {}", of.steps);
            of.overrides
                .iter()
                .map(|text| format!(" --set {text}"))
                .fold(steps, |all, one| all + &one)
        };
        let (before, now) = (settings(known), settings(&asked));
        if before != now && !known.rows.is_empty() {
            return Err(TableError::OtherSettings { path: folder.join(FILE), before, now });
        }
        let (data, rows) = (known.data.take(), std::mem::take(&mut known.rows));
        *known = TaskScores { data, rows, ..asked };
        Ok(known)
    }

    /// Writes `lra.json`, `lra.md` and curves; returns the tables.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn write(&self, folder: &Path) -> Result<String> {
        output::replace(&folder.join(FILE), self)?;
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
        let plots = self.tasks.iter().map(|task| (format!("lra-{}", task.task), plot(task)));
        Pages { introduction, tables, plots: plots.collect() }
    }
}

fn plot(task: &TaskScores) -> Plot {
    let curve = |row: &Scores| {
        let points = row.curve.iter().map(|(step, accuracy)| (*step as f64, 100.0 * accuracy));
        (row.attention.clone(), points.collect())
    };
    Plot {
        title: format!("Validation accuracy in percent, {}, mean over seeds", task.task),
        across: "steps".to_owned(),
        is_log_across: false,
        is_log_up: false,
        curves: task.rows.iter().map(curve).collect(),
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
            match scores.diverged.len() {
                0 => scores.seeds.len().to_string(),
                diverged => format!("{} of {}", scores.seeds.len(), scores.seeds.len() + diverged),
            },
            scores.parameters.map_or_else(|| "–".to_owned(), |count| count.to_string()),
            scores.wall_seconds.map_or_else(|| "–".to_owned(), |seconds| format!("{seconds:.0}")),
        ]
    };
    let diverged = task.rows.iter().flat_map(|row| {
        let told = |run: &Diverged| {
            format!("`{}` diverged with seed {}: {}", row.attention, run.seed, run.reason)
        };
        row.diverged.iter().map(told)
    });
    let overridden = (!task.overrides.is_empty()).then(|| {
        format!(
            "Beside the steps the task's own experiment is changed by `{}`.",
            task.overrides.join("`, `")
        )
    });
    let columns =
        ["attention", "accuracy", "beside softmax", "seeds", "parameters", "seconds a run"];
    Table {
        title: format!("{}, {} steps", task.task, task.steps),
        columns: columns.map(str::to_owned).to_vec(),
        rows: task.rows.iter().map(row).collect(),
        note: std::iter::once(task.about.clone())
            .chain(overridden)
            .chain(diverged)
            .collect::<Vec<_>>()
            .join("\n\n"),
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
            diverged: Vec::new(),
            curve: vec![(50, 0.25), (100, 0.5)],
            mean: None,
            beside_exact: None,
        }
    }

    #[test]
    fn rows_are_compared_with_exact_attention_seed_by_seed() {
        let mut task = task(100);
        let diverged = |seed| Diverged { seed, reason: "loss is NaN".to_owned() };
        for row in [
            scores("softmax", &[0, 1, 2], &[0.5, 0.6, 0.7]),
            // The seeds stand in another order, and one is missing.
            Scores { diverged: vec![diverged(1)], ..scores("nystrom", &[2, 0], &[0.75, 0.55]) },
            Scores { diverged: vec![diverged(0)], ..scores("linear", &[], &[]) },
        ] {
            task.add(row);
        }
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
            "| `nystrom` | 65.0 ± 127.1 | 5.0 ± 0.0 | 2 of 3 |",
            "`linear` diverged with seed 0: loss is NaN",
            "![Validation accuracy in percent, listops_short, mean over seeds](lra-listops_short.svg)",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let drawing = std::fs::read_to_string(folder.path().join("lra-listops_short.svg")).unwrap();
        assert!(drawing.contains("<circle"), "{drawing}");
        assert_eq!(Arena::open(folder.path()).unwrap().tasks, [task]);
    }

    fn task(steps: usize) -> TaskScores {
        TaskScores {
            task: "listops_short".to_owned(),
            about: "Expressions.".to_owned(),
            steps,
            overrides: vec!["model.hidden_size=8".to_owned()],
            data: None,
            rows: Vec::new(),
        }
    }

    #[test]
    fn rows_of_before_stay_and_those_that_were_trained_otherwise_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut arena = Arena::open(folder.path()).unwrap();
        let known = arena.task(folder.path(), task(100)).unwrap();
        known.add(scores("softmax", &[0], &[0.5]));
        known.add(scores("linear", &[0], &[0.25]));
        arena.write(folder.path()).unwrap();
        let mut arena = Arena::open(folder.path()).unwrap();
        let known = arena.task(folder.path(), task(100)).unwrap();
        known.add(scores("linear", &[0, 1], &[0.25, 0.75]));
        assert_eq!(known.rows.iter().map(|row| row.seeds.len()).collect::<Vec<_>>(), [1, 2]);
        assert!((known.rows[1].beside_exact.unwrap().mean + 0.25).abs() < 1e-12);
        let mut other = task(100);
        other.overrides.clear();
        for (asked, part) in [(task(200), "--steps 200"), (other, "`--steps 100` is asked for")] {
            let error = arena.task(folder.path(), asked).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(part), "{error}");
            assert!(error.to_string().contains("`--steps 100 --set model.hidden_size=8`"));
        }
    }
}
