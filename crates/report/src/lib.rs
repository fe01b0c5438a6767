//! What training runs did, as one page: a file of HTML that loads nothing and can be sent to somebody.
//!
//! | module | idea |
//! |---|---|
//! | `run` | what runs have written, read leniently |
//! | `section`, `sections`, `several` | the parts of a page: of one run, of several |
//! | `svg` | drawings |
//! | `html` | markup that no text from data can become a part of |
//! | `page` | the frame: style, script, navigation |
//! | [`AttentionPage`] | heat maps of attention |
//! | [`Plot`] | curves, as a file of their own |
//!
//! The crate reads files alone, and knows no model: what is shown of a model, the run has recorded.

mod attention_page;
#[cfg(test)]
mod check;
mod error;
mod html;
mod number;
mod page;
mod run;
mod section;
mod sections;
mod several;
mod svg;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use nystromformer_files::durable;

pub use attention_page::{AttentionPage, Places};
pub use error::{ReportError, Result};
pub use svg::Plot;

use crate::run::{Entry, entries};

/// The file that a report is written to in the directory of its run.
pub const REPORT: &str = "report.html";

/// Writes the report of one run, or of several side by side, each of which is the directory of a run or of a series, to
/// `output`; without one, into the directory if there is one alone, and otherwise into the directory of the process. Returns the file.
///
/// # Errors
/// [`ReportError::NoRun`] for a directory without a run; [`ReportError::Damaged`] and [`ReportError::File`] of the runs' files
/// and of the report's.
pub fn write(runs: &[PathBuf], output: Option<&Path>) -> Result<PathBuf> {
    let entries = entries(runs)?;
    let path = match (output, runs) {
        (Some(output), _) => output.to_owned(),
        (None, [run]) => run.join(REPORT),
        (None, _) => PathBuf::from(REPORT),
    };
    durable::replace(&path, html(&entries).as_bytes())?;
    Ok(path)
}

/// The page about these runs.
fn html(entries: &[Entry]) -> String {
    if let [Entry { runs, is_series: false, .. }] = entries
        && let [run] = runs.as_slice()
    {
        return page::page(run.name(), |_| (), sections::SECTIONS, run);
    }
    let title = match entries {
        [entry] => entry.label.clone(),
        entries => format!("{} runs", entries.len()),
    };
    let introduction = |html: &mut html::Html| {
        html.element("ul", &[], |html| {
            for entry in entries {
                html.element("li", &[], |html| {
                    html.quote(&entry.label);
                    html.text(": ");
                    html.element("code", &[], |html| html.quote(&entry.path.display().to_string()));
                });
            }
        });
    };
    page::page(&title, introduction, several::SECTIONS, entries)
}
