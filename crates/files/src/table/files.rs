//! The files of a split in a folder: `train.tsv`, or the parts of a Parquet data set as the Hugging Face hub names them.

use std::path::{Path, PathBuf};

use crate::error::{FileError, Result};
use crate::notice::say_once;

use super::Format;
use super::column::listed;
use super::format::COMPRESSED;
use super::names::names_in;

/// The files called `STEM.EXTENSION`, in letters of any case, or all of `STEM-00000-of-00002.EXTENSION` in order, for the first of `stems` and then
/// the first known extension (`tsv`, `parquet`, `jsonl`, `ndjson`, `json`, `csv`; then those of compressed files, `tsv.gz` …) of which
/// there is any; empty if there is none.
///
/// # Errors
///
/// [`FileError::Content`] if one part of several is missing, [`FileError::Io`].
pub fn find_files(folder: &Path, stems: &[&str]) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    saved_by_datasets(folder)?;
    let names = names_in(folder)?;
    for stem in stems {
        for extension in extensions() {
            let whole = format!("{stem}.{extension}");
            let is_it =
                |name: &&String| name.eq_ignore_ascii_case(&whole) && folder.join(name).is_file();
            let exactly = names.iter().find(|name| **name == whole && is_it(name));
            if let Some(name) = exactly.or_else(|| names.iter().find(is_it)) {
                tell_others(folder, &[name], &names, stems);
                return Ok(vec![folder.join(name)]);
            }
            let parts: Vec<(PartFile, &str)> = names
                .iter()
                .filter_map(|name| {
                    let part = PartFile::of(&name.to_ascii_lowercase(), stem, &extension)?;
                    Some((part, name.as_str()))
                })
                .collect();
            if let Some((PartFile { of, .. }, _)) = parts.first() {
                complete(folder, stem, &extension, &parts, *of)?;
                let read: Vec<&str> = parts.iter().map(|(_, name)| *name).collect();
                tell_others(folder, &read, &names, stems);
                return Ok(parts.iter().map(|(_, name)| folder.join(name)).collect());
            }
        }
    }
    Ok(Vec::new())
}

/// Says which files of a split are not read because another is.
fn tell_others(folder: &Path, read: &[&str], names: &[String], stems: &[&str]) {
    let is_other = |name: &&str| is_called_after(name, stems) && !read.contains(name);
    let others: Vec<&str> = names.iter().map(String::as_str).filter(is_other).collect();
    if !others.is_empty() {
        let are = if read.len() == 1 { "is" } else { "are" };
        say_once(format!(
            "`{}`: of the files of this split {} {are} read, and not {}; remove those that are not meant",
            folder.display(),
            listed(read.iter().copied()),
            listed(others)
        ));
    }
}

/// Whether a name is that of a table which is called after one of `stems`, or of a part of one: `train.csv`,
/// `train-00000-of-00002.jsonl`.
pub fn is_called_after(name: &str, stems: &[&str]) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    let of_parts = stem.split_once("-of-").and_then(|(before, _)| before.rsplit_once('-'));
    let is_stem = |name: &str| stems.iter().any(|known| known.eq_ignore_ascii_case(name));
    Format::of(Path::new(name)).is_some()
        && (is_stem(stem) || of_parts.is_some_and(|(stem, _)| is_stem(stem)))
}

/// The known extensions, those of compressed files after all others.
fn extensions() -> impl Iterator<Item = String> {
    let plain = Format::EXTENSIONS.into_iter().map(|(extension, _)| extension.to_owned());
    plain.chain(
        Format::EXTENSIONS.into_iter().filter(|(_, format)| *format != Format::Parquet).flat_map(
            |(extension, _)| COMPRESSED.map(|compressed| format!("{extension}.{compressed}")),
        ),
    )
}

/// Refuses a folder that Hugging Face's `datasets` saved: its tables are Arrow files, which are not read.
///
/// # Errors
///
/// [`FileError::Content`], with the call that writes Parquet.
pub fn saved_by_datasets(folder: &Path) -> Result<()> {
    let has = |name: &str| folder.join(name).is_file();
    let cure = if has("dataset_dict.json") {
        "load it and write each split as Parquet: `for name, split in datasets.load_from_disk(FOLDER).items(): \
         split.to_parquet(f\"{name}.parquet\")`"
    } else if has("state.json") && has("dataset_info.json") {
        "load it and write it as Parquet: `datasets.load_from_disk(FOLDER).to_parquet(\"train.parquet\")`"
    } else {
        return Ok(());
    };
    let problem = "it was written by `save_to_disk` of Hugging Face's datasets, whose Arrow files are not read";
    Err(FileError::file(folder, problem).with_cure(cure))
}

/// One file of a split that was cut into several.
struct PartFile {
    number: u32,
    of: u32,
}

impl PartFile {
    /// Reads `STEM-00003-of-00010.EXTENSION`.
    fn of(name: &str, stem: &str, extension: &str) -> Option<Self> {
        let middle = name.strip_prefix(stem)?.strip_prefix('-')?;
        let (number, of) = middle.strip_suffix(extension)?.strip_suffix('.')?.split_once("-of-")?;
        let count = |digits: &str| -> Option<u32> {
            // The hub appends a hash to the count in some folders.
            let digits = digits.split('-').next()?;
            digits.parse().ok()
        };
        Some(Self { number: number.parse().ok()?, of: count(of)? })
    }
}

fn complete(
    folder: &Path,
    stem: &str,
    extension: &str,
    parts: &[(PartFile, &str)],
    of: u32,
) -> Result<()> {
    let in_order = parts.iter().zip(0..).all(|((part, _), at)| part.number == at && part.of == of);
    if in_order && parts.len() == of as usize {
        return Ok(());
    }
    Err(FileError::file(
        folder,
        format!(
            "`{}` files `{stem}-…-of-{of:05}.{extension}` where `{of}` numbered from 00000 belong together; \
             add the missing ones, or remove what is left of another download",
            parts.len()
        ),
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn found(names: &[&str], stems: &[&str]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let files = find_files(folder.path(), stems).map_err(|error| error.to_string())?;
        Ok(files
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect())
    }

    #[test]
    fn the_first_stem_and_extension_win() {
        let names = ["dev.tsv", "dev.csv", "validation.csv", "train.csv"];
        assert_eq!(found(&names, &["dev", "validation"]).unwrap(), ["dev.tsv"]);
        assert_eq!(found(&names, &["validation", "dev"]).unwrap(), ["validation.csv"]);
        assert!(found(&names, &["test"]).unwrap().is_empty());
        assert!(find_files(Path::new("nowhere"), &["test"]).unwrap().is_empty());
    }

    #[test]
    fn names_and_those_of_parts_are_called_after_a_split() {
        for name in ["train.csv", "Train.jsonl.gz", "train-00001-of-00003-ab12.parquet"] {
            assert!(is_called_after(name, &["test", "train"]), "{name}");
        }
        for name in ["train.pdf", "train2.csv", "train_b.csv", "train-of-2.csv", "dev.csv"] {
            assert!(!is_called_after(name, &["test", "train"]), "{name}");
        }
    }

    #[test]
    fn the_case_of_letters_makes_no_other_file() {
        assert_eq!(found(&["Train.CSV", "README"], &["train"]).unwrap(), ["Train.CSV"]);
        assert_eq!(found(&["TRAIN.csv", "train.csv"], &["train"]).unwrap(), ["train.csv"]);
        let parts = ["Train-00000-of-00001.Parquet"];
        assert_eq!(found(&parts, &["train"]).unwrap(), parts);
    }

    #[test]
    fn a_folder_of_save_to_disk_is_told_how_to_become_parquet() {
        for names in [["dataset_dict.json", "x"], ["state.json", "dataset_info.json"]] {
            let message = found(&names, &["train"]).unwrap_err();
            assert!(
                message.contains("load_from_disk") && message.contains("to_parquet"),
                "{message}"
            );
        }
        assert!(found(&["dataset_info.json", "x"], &["train"]).unwrap().is_empty());
    }

    #[test]
    fn parts_come_in_order_and_all_or_not_at_all() {
        let parts = ["train-00001-of-00002.parquet", "train-00000-of-00002.parquet"];
        let sorted = [parts[1], parts[0]];
        assert_eq!(found(&parts, &["train"]).unwrap(), sorted);
        assert_eq!(found(&["train.csv.gz", "train.json"], &["train"]).unwrap(), ["train.json"]);
        assert_eq!(found(&["train.csv.gz"], &["train"]).unwrap(), ["train.csv.gz"]);
        let hashed = ["train-00000-of-00001-ab12cd.parquet"];
        assert_eq!(found(&hashed, &["train"]).unwrap(), hashed);
        let message = found(&parts[..1], &["train"]).unwrap_err();
        assert!(message.contains("train-…-of-00002.parquet"), "{message}");
    }
}
