//! Labelled tables: which columns make an example, and what its label may be.
//!
//! | module | idea |
//! |---|---|
//! | `targets` | what a label may be: one of some classes, or a number |
//! | `reader` | from the rows of tables to examples |

mod reader;
mod targets;

pub use reader::{Schema, TableExamples};
pub use targets::{ClassNames, Targets};
