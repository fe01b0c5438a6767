//! Which runs a directory stands for: one, or the seeds, folds and trials in it.

use std::fs;
use std::path::{Path, PathBuf};

use nystromformer_files::FileError;

use super::{Run, name_of};
use crate::error::{ReportError, Result};

/// A line of a report: a run, or runs that differ by their seed or fold alone.
#[derive(Debug)]
pub(crate) struct Entry {
    /// What it is called on the page.
    pub(crate) label: String,
    /// Its directory.
    pub(crate) path: PathBuf,
    /// Its runs, of which there is at least one; those that have not begun are missing.
    pub(crate) runs: Vec<Run>,
    /// Whether it is a series, of however many runs.
    pub(crate) is_series: bool,
}

/// What the directories in `paths` hold.
///
/// # Errors
/// [`ReportError::NoRun`] if one holds none; of files that cannot be read.
pub(crate) fn entries(paths: &[PathBuf]) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for path in paths {
        collect(path, &name_of(path), &mut entries)?;
    }
    let labels: Vec<String> = entries.iter().map(|entry| entry.label.clone()).collect();
    for entry in &mut entries {
        if labels.iter().filter(|label| **label == entry.label).count() > 1 {
            entry.label = entry.path.display().to_string();
        }
    }
    Ok(entries)
}

fn collect(path: &Path, label: &str, entries: &mut Vec<Entry>) -> Result<()> {
    let no_run =
        |problem: &str| ReportError::NoRun { path: path.to_owned(), problem: problem.to_owned() };
    if !path.exists() {
        return Err(no_run(
            "does not exist: name the directory of a run; `nystromformer runs` lists them",
        ));
    }
    if !path.is_dir() {
        return Err(no_run("is a file: name the directory of a run"));
    }
    let trials = numbered(path, "trial-")?;
    if !trials.is_empty() {
        let before = entries.len();
        for trial in trials {
            match collect(&trial, &format!("{label}/{}", name_of(&trial)), entries) {
                // A trial that has not begun.
                Err(ReportError::NoRun { .. }) => {}
                found => found?,
            }
        }
        return if entries.len() > before {
            Ok(())
        } else {
            Err(no_run("holds no trial that has begun"))
        };
    }
    let mut members = Vec::new();
    for of_seed in numbered(path, "seed-")? {
        let folds = numbered(&of_seed, "fold-")?;
        members.extend(if folds.is_empty() { vec![of_seed] } else { folds });
    }
    members.retain(|member| holds_run(member));
    let is_series = !members.is_empty();
    if !is_series {
        if !holds_run(path) {
            return Err(no_run(
                "holds no run: it has no `config.toml`; `nystromformer runs` lists the runs below a directory",
            ));
        }
        members.push(path.to_owned());
    }
    let mut runs = members.iter().map(|member| Run::read(member)).collect::<Result<Vec<_>>>()?;
    if is_series {
        for run in &mut runs {
            if let Ok(within) = run.path.strip_prefix(path) {
                run.label = within.display().to_string();
            }
        }
    }
    entries.push(Entry { label: label.to_owned(), path: path.to_owned(), runs, is_series });
    Ok(())
}

fn holds_run(path: &Path) -> bool {
    ["config.toml", "metrics.jsonl"].iter().any(|name| path.join(name).is_file())
}

/// The folders `PREFIXn`, by their numbers.
fn numbered(path: &Path, prefix: &str) -> Result<Vec<PathBuf>> {
    let mut found: Vec<(u64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(path).map_err(FileError::io("read", path))? {
        let entry = entry.map_err(FileError::io("read", path))?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(prefix)?.parse().ok());
        if let Some(number) = number
            && entry.path().is_dir()
        {
            found.push((number, entry.path()));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}
