//! Results to stdout, words to stderr.

use std::{
    io::{self, Write},
    path::Path,
};

use anyhow::Context;
use nystromformer_files::durable;
use serde::Serialize;

/// Prints one result as a line of JSON.
///
/// # Errors
/// If stdout is gone; a closed pipe is no failure of the command, see [`crate::failure::exit_code`].
pub fn json_line(result: &impl Serialize) -> anyhow::Result<()> {
    let line = serde_json::to_string(result)?;
    writeln!(io::stdout().lock(), "{line}")?;
    Ok(())
}

/// Prints a text of several lines, as it is.
///
/// # Errors
/// If stdout is gone.
pub fn text(text: &str) -> anyhow::Result<()> {
    write!(io::stdout().lock(), "{text}")?;
    Ok(())
}

/// Prints rows of a table, the first of which are titles, with their columns aligned: names to the left, numbers to the right.
///
/// # Errors
/// If stdout is gone.
pub fn aligned(table: &[Vec<String>]) -> anyhow::Result<()> {
    Ok(write_aligned(&mut io::stdout().lock(), table)?)
}

/// The same for the person at the terminal, where the result on stdout is for programs.
pub fn note_aligned(table: &[Vec<String>]) {
    // As in `note`.
    let _ = write_aligned(&mut io::stderr().lock(), table);
}

fn write_aligned(out: &mut impl Write, table: &[Vec<String>]) -> io::Result<()> {
    let columns = table.first().map_or(0, Vec::len);
    let width = |column: usize| {
        table.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in table {
        write!(out, "{:<1$}", row[0], widths[0])?;
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            write!(out, "  {cell:>width$}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Makes the folder of a file that `flag` names, and refuses a place where nothing can be written: to be asked before anything is
/// computed that would be lost then.
///
/// # Errors
/// As [`durable::make_room`].
pub fn make_room(flag: &str, path: &Path) -> anyhow::Result<()> {
    durable::make_room(path).with_context(|| {
        format!("`{flag} {}`: no file can be written there, name another place", path.display())
    })
}

/// Prints a line for the person at the terminal.
pub fn note(message: &str) {
    // Nobody is left to tell if stderr is closed.
    let _ = writeln!(io::stderr().lock(), "{message}");
}
