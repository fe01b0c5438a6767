//! Whether a folder or zip is what the site takes: all eleven files, each with its header, its rows in order, and answers to its
//! task.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use nystromformer_data::DataError;
use zip::ZipArchive;
use zip::result::ZipError;

use super::SubmissionFile;

/// No line of a submission comes near this; more is not read.
const MAX_LINE_BYTES: u64 = 256;

/// Checks a submission: a folder, or a zip.
///
/// A folder may hold other things, but no other `.tsv`; a zip holds the eleven files and nothing else.
///
/// # Errors
///
/// [`DataError::Dataset`] if there is no such submission, a file of it is missing or too many, or has too few rows;
/// [`DataError::Line`] for the first line that is wrong; [`DataError::Io`].
pub fn check(path: &Path) -> Result<(), DataError> {
    if path.is_dir() { check_folder(path) } else { check_zip(path) }
}

fn check_folder(folder: &Path) -> Result<(), DataError> {
    for entry in fs::read_dir(folder).map_err(DataError::io("list", folder))? {
        let name = entry.map_err(DataError::io("list", folder))?.file_name();
        let name = name.to_string_lossy();
        if name.ends_with(".tsv") {
            check_name(folder, &name)?;
        }
    }
    for file in SubmissionFile::ALL {
        let path = folder.join(file.name);
        if !path.is_file() {
            return Err(missing(folder, &file));
        }
        let table = File::open(&path).map_err(DataError::io("open", &path))?;
        check_table(&file, &path, BufReader::new(table))?;
    }
    Ok(())
}

fn check_zip(path: &Path) -> Result<(), DataError> {
    let file = File::open(path).map_err(DataError::io("open", path))?;
    let broken = |error: ZipError| DataError::dataset(path, format!("not a readable zip: {error}"));
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(broken)?;
    for name in archive.file_names() {
        check_name(path, &name.map_err(broken)?)?;
    }
    for file in SubmissionFile::ALL {
        let table = match archive.by_name(file.name) {
            Ok(table) => table,
            Err(ZipError::FileNotFound) => return Err(missing(path, &file)),
            Err(error) => return Err(broken(error)),
        };
        check_table(&file, &path.join(file.name), BufReader::new(table))?;
    }
    Ok(())
}

fn check_name(path: &Path, name: &str) -> Result<(), DataError> {
    if SubmissionFile::ALL.iter().any(|file| file.name == name) {
        return Ok(());
    }
    let problem = format!("`{name}` is no file of a submission; rename or remove it");
    Err(DataError::dataset(path, problem))
}

fn missing(path: &Path, file: &SubmissionFile) -> DataError {
    let problem = format!(
        "no `{}` in it; the site takes complete submissions only, so fill in what is missing",
        file.name
    );
    DataError::dataset(path, problem)
}

fn check_table(
    file: &SubmissionFile,
    path: &Path,
    mut table: impl BufRead,
) -> Result<(), DataError> {
    let mut number = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = (&mut table).take(MAX_LINE_BYTES);
        bounded.read_until(b'\n', &mut line).map_err(DataError::io("read", path))?;
        if line.is_empty() {
            break;
        }
        number += 1;
        let text = line.strip_suffix(b"\n").and_then(|text| std::str::from_utf8(text).ok());
        let expected = match (number, text) {
            (_, None) => {
                format!("UTF-8 of less than `{MAX_LINE_BYTES}` bytes that ends with `\\n`")
            }
            (1, Some(SubmissionFile::HEADER)) => continue,
            (1, Some(_)) => format!("the header `{}`", SubmissionFile::HEADER.escape_debug()),
            (_, Some(text)) => match row_problem(file, number - 2, text) {
                None => continue,
                Some(expected) => expected,
            },
        };
        let shown = String::from_utf8_lossy(&line);
        let shown: String = shown.trim_end_matches('\n').chars().take(40).collect();
        let problem = format!("the line is `{}`; it must be {expected}", shown.escape_debug());
        return Err(DataError::line(path, number as u64, problem));
    }
    if number != file.rows + 1 {
        let problem = format!(
            "`{}` rows for the `{}` examples of the test set; predict each of them",
            number.saturating_sub(1),
            file.rows
        );
        return Err(DataError::dataset(path, problem));
    }
    Ok(())
}

/// What a row must be, if it is not.
fn row_problem(file: &SubmissionFile, index: usize, text: &str) -> Option<String> {
    if index >= file.rows {
        return Some(format!("absent: the test set has `{}` examples", file.rows));
    }
    match text.split_once('\t') {
        Some((written, answer)) if written == index.to_string() && file.accepts(answer) => None,
        _ => Some(format!("the index `{index}`, a tab character and {}", file.wanted())),
    }
}
