//! What a table leaves in its folder: measurements as JSON, tables as Markdown, curves as SVG.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

use nystromformer_files::{FileError, durable};
use nystromformer_report::Plot;
use serde::{Serialize, de::DeserializeOwned};

use crate::error::{Result, TableError};

/// A table of texts, the first row of which are titles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// What stands above it.
    pub title: String,
    /// Titles of the columns.
    pub columns: Vec<String>,
    /// Cells.
    pub rows: Vec<Vec<String>>,
    /// What must be known to read it; may be empty.
    pub note: String,
}

/// Tables and curves, in their order.
#[derive(Debug, Clone, Default)]
pub struct Pages {
    /// A sentence or two at the start.
    pub introduction: String,
    /// Tables.
    pub tables: Vec<Table>,
    /// Curves, each with the name of its file, without an extension.
    pub plots: Vec<(String, Plot)>,
}

impl Pages {
    /// All tables as Markdown, and links to the curves, under a title.
    pub fn markdown(&self, title: &str) -> String {
        let mut text = format!("# {title}\n\n{}\n", self.introduction);
        for table in &self.tables {
            // Writing to a string does not fail.
            let _ = write!(text, "\n## {}\n\n{}", table.title, grid(table));
            if !table.note.is_empty() {
                let _ = write!(text, "\n{}\n", table.note);
            }
        }
        for (name, plot) in &self.plots {
            let _ = write!(text, "\n![{}]({name}.svg)\n", plot.title);
        }
        text
    }

    /// Writes `NAME.md` and the curves into `folder`.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, folder: &Path, name: &str, title: &str) -> Result<()> {
        durable::replace(&folder.join(format!("{name}.md")), self.markdown(title).as_bytes())?;
        for (name, plot) in &self.plots {
            durable::replace(&folder.join(format!("{name}.svg")), plot.to_svg().as_bytes())?;
        }
        Ok(())
    }
}

/// The rows of a table as Markdown, numbers to the right.
fn grid(table: &Table) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut text = line(&table.columns);
    text.push_str("|---|");
    text.push_str(&"---:|".repeat(table.columns.len().saturating_sub(1)));
    text.push('\n');
    text.extend(table.rows.iter().map(|row| line(row)));
    text
}

/// Makes the folder if it is not there.
///
/// # Errors
/// If it cannot be made, as where a file has its name.
pub fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|source| io_error("make", folder, source))
}

/// What a session before has written; `None` if there is no such file.
///
/// # Errors
/// [`TableError::Damaged`] if it is something else.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(TableError::Damaged { path: path.to_owned(), reason: error.to_string() });
        }
        Err(error) => return Err(io_error("read", path, error)),
    };
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|error| TableError::Damaged { path: path.to_owned(), reason: error.to_string() })
}

/// Writes measurements, in the place of those of before, whole or not at all.
///
/// # Errors
/// If the disk refuses.
pub(crate) fn replace(path: &Path, measurements: &impl Serialize) -> Result<()> {
    let mut json = serde_json::to_string_pretty(measurements).map_err(|error| {
        TableError::Damaged { path: path.to_owned(), reason: error.to_string() }
    })?;
    json.push('\n');
    Ok(durable::replace(path, json.as_bytes())?)
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> TableError {
    FileError::Io { action, path: path.to_owned(), source }.into()
}

/// A number with three digits that count.
pub fn three_digits(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let power = value.abs().log10().floor() as i32;
    if !(-4..6).contains(&power) {
        return format!("{value:.2e}");
    }
    let decimals = usize::try_from(2 - power).unwrap_or_default();
    format!("{value:.decimals$}")
}

/// A number, or a dash where there is none.
pub fn or_dash(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), three_digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_whatever_the_size() {
        for (value, text) in [
            (0.0, "0"),
            (0.012_345, "0.0123"),
            (1.0, "1.00"),
            (12.34, "12.3"),
            (98_765.4, "98765"),
            (1.234e-7, "1.23e-7"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(three_digits(value), text);
        }
    }

    #[test]
    fn a_table_is_markdown_and_a_bar_in_a_cell_does_not_end_it() {
        let table = Table {
            title: "Times".to_owned(),
            columns: vec!["kind".to_owned(), "256".to_owned()],
            rows: vec![vec!["a|b".to_owned(), "1.00".to_owned()]],
            note: "Seconds.".to_owned(),
        };
        let pages =
            Pages { introduction: "Few.".to_owned(), tables: vec![table], plots: Vec::new() };
        let expected =
            "# T\n\nFew.\n\n## Times\n\n| kind | 256 |\n|---|---:|\n| a\\|b | 1.00 |\n\nSeconds.\n";
        assert_eq!(pages.markdown("T"), expected);
    }

    #[test]
    fn what_is_no_measurement_is_refused_and_nothing_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        assert_eq!(read::<Vec<u32>>(&path).unwrap(), None);
        replace(&path, &[1, 2]).unwrap();
        assert_eq!(read::<Vec<u32>>(&path).unwrap(), Some(vec![1, 2]));
        for text in [b"[1".as_slice(), b"{}", b"\xff"] {
            fs::write(&path, text).unwrap();
            let error = read::<Vec<u32>>(&path).unwrap_err();
            assert_eq!(error.exit_code(), 3, "{error}");
        }
    }
}
