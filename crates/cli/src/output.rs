//! Results to stdout, words to stderr.

use std::io::{self, Write};

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

/// Prints a line for the person at the terminal.
pub fn note(message: &str) {
    // Nobody is left to tell if stderr is closed.
    let _ = writeln!(io::stderr().lock(), "{message}");
}
