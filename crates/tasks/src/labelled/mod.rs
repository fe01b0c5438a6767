//! Labelled data in general: which columns or folders make an example, and what its label may be.
//!
//! | module | idea |
//! |---|---|
//! | `targets` | what a label may be: one of some classes, or a number |
//! | `reader` | from the rows of tables to examples |
//! | `folders` | text files in a folder for each class |

mod folders;
mod reader;
mod targets;

pub use folders::{FolderExamples, class_folders};
pub use reader::{Schema, TableExamples};
pub use targets::{ClassNames, Targets};
