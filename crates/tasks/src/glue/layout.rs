//! Where the files of a split lie.

use std::path::{Path, PathBuf};

use nystromformer_data::DataError;

use super::GlueTask;
use super::stems::stems;
use crate::split::Split;
use nystromformer_files::table::find_files;

/// The files of a split: below `folder` in the task's own folder (`SST-2`, `sst2`), or in `folder` itself. The official
/// file (`dev.tsv`) wins over others (`validation-00000-of-00001.parquet`, `validation.jsonl`, …).
///
/// # Errors
///
/// [`DataError::Dataset`] if the task has no such split or there are no such files, with the places looked at and where
/// GLUE is to be had; [`DataError::Io`].
pub fn files(task: GlueTask, folder: &Path, split: Split) -> Result<Vec<PathBuf>, DataError> {
    if !task.splits().contains(&split) {
        let problem = format!("`{}` has no split {split:?}", task.name());
        return Err(DataError::dataset(folder, problem));
    }
    let stems = stems(task, split);
    let task_folders = task.facts().folders.iter().map(|name| folder.join(name));
    for place in task_folders.chain([folder.to_owned()]) {
        let files = find_files(&place, stems)?;
        if !files.is_empty() {
            return Ok(files);
        }
    }
    Err(DataError::dataset(folder, missing(task, stems)))
}

fn missing(task: GlueTask, stems: &[&str]) -> String {
    let (official, hub) = (stems[0], stems[stems.len() - 1]);
    let expected = task.facts().folders.iter().map(|place| {
        let hub_too = *place == task.name();
        let file = if hub_too {
            format!("{hub}.parquet`, `.jsonl` or `.csv")
        } else {
            format!("{official}.tsv")
        };
        format!("`{place}/{file}`")
    });
    let expected: Vec<String> = expected.collect();
    format!(
        "no file of {}: expected {} in it, or the file alone; GLUE's own files come from https://gluebenchmark.com/tasks, \
         the others from https://huggingface.co/datasets/nyu-mll/glue; see datasets/glue/SOURCE.md",
        task.title(),
        expected.join(", or ")
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_missing_is_told_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let message =
            files(GlueTask::Sst2, folder.path(), Split::Validation).unwrap_err().to_string();
        for part in ["`SST-2/dev.tsv`", "`sst2/validation.parquet`", "https://", "SOURCE.md"] {
            assert!(message.contains(part), "{message}");
        }
        let message = files(GlueTask::Ax, folder.path(), Split::Train).unwrap_err().to_string();
        assert!(message.contains("no split"), "{message}");
    }

    #[test]
    fn official_files_win() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        fs::create_dir(place("mnli")).unwrap();
        fs::write(place("mnli/validation_mismatched.csv"), "").unwrap();
        let find = || files(GlueTask::Mnli, folder.path(), Split::ValidationMismatched).unwrap();
        assert_eq!(find(), [place("mnli/validation_mismatched.csv")]);
        fs::create_dir(place("MNLI")).unwrap();
        fs::write(place("MNLI/dev_mismatched.tsv"), "").unwrap();
        assert_eq!(find(), [place("MNLI/dev_mismatched.tsv")]);
    }
}
