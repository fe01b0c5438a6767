//! The page of several runs. A section is a file with a constant `SECTION`, and a line of [`SECTIONS`].

mod curves;
mod differences;
mod members;
mod statistics;
mod table;

use crate::run::Entry;
use crate::section::Section;

/// In the order of the page.
pub(crate) const SECTIONS: &[Section<[Entry]>] =
    &[table::SECTION, curves::SECTION, differences::SECTION, members::SECTION];
