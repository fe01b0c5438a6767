//! Labelled data in general: which columns or folders make an example, and what its label may be.
//!
//! | module | idea |
//! |---|---|
//! | `class_names` | the classes of a task, and how a label names one |
//! | `targets` | what a label may be: one of some classes, or a number |
//! | `location` | where a data set of one's own lies: tables, or folders of texts |
//! | `task` | the task `labelled` |
//! | `reader` | from the rows of tables to examples |
//! | `folders` | text files in a folder for each class |

mod class_names;
mod folders;
mod location;
mod reader;
mod targets;
mod task;

pub use class_names::ClassNames;
pub use folders::{FolderExamples, class_folders};
pub use location::{LabelledColumns, Location};
pub use reader::{Schema, TableExamples};
pub use targets::Targets;
pub use task::Labelled;
