//! Labelled data in general: which columns or folders make an example, and what its label may be.
//!
//! | module | idea |
//! |---|---|
//! | `class_names` | the classes of a task, and how a label names one |
//! | `collected_names` | the classes where nobody names them: the labels that occur |
//! | `joined_names` | names that are several, joined, and nothing tells what separates them |
//! | `targets` | what a label may be: one of some classes, a number, or several of them |
//! | `label_columns` | in which column the label stands, or in which several |
//! | `label_sets` | labels of any number: lists, separators, a column for each |
//! | `labelled_columns` | which columns make an example, and how files are read |
//! | `location` | where a data set of one's own lies: tables, or folders of texts |
//! | `task` | the task `labelled` |
//! | `reader` | from the rows of tables to examples |
//! | `folder_names` | what the folders of a data set are called |
//! | `folders` | text files in a folder for each class |
//! | `text_files` | which files of a folder are texts |

mod class_names;
mod collected_names;
mod folder_names;
mod folders;
mod joined_names;
mod label_columns;
mod label_sets;
mod labelled_columns;
mod location;
mod reader;
mod targets;
mod task;
mod text_files;

pub use class_names::ClassNames;
pub use folders::{FolderExamples, class_folders};
pub use label_columns::LabelColumns;
pub use labelled_columns::{ColumnKeys, LabelledColumns};
pub use location::Location;
pub use reader::{LabelIn, Schema, TableExamples};
pub use targets::Targets;
pub use task::Labelled;
