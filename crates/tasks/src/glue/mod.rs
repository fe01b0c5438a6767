//! GLUE (Wang et al. 2019): nine tasks of English sentences, and a diagnostic set for one of them.
//!
//! Two layouts are read: the official TSV files (`SST-2/train.tsv`, as the download script of GLUE leaves them) and the
//! columns of the Hugging Face hub's copy, as Parquet, JSONL or CSV (`sst2/train-00000-of-00001.parquet`).
//!
//! ```
//! use nystromformer_tasks::Split;
//! use nystromformer_tasks::glue::{GlueTask, read};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! std::fs::create_dir(folder.join("SST-2"))?;
//! std::fs::write(folder.join("SST-2/dev.tsv"), "sentence\tlabel\na \" fine film\t1\n")?;
//! let mut examples = read(GlueTask::Sst2, folder, Split::Validation)?;
//! let example = examples.next().ok_or("one row")??;
//! assert_eq!(example.label, Some(nystromformer_tasks::Label::Class(1)));
//! assert_eq!(GlueTask::Sst2.label_names()[1], "positive");
//! # Ok(())
//! # }
//! ```
//!
//! | module | idea |
//! |---|---|
//! | `task` | the table of the tasks: names, columns, labels |
//! | `as_task` | each of them as a task to train on |
//! | `stems` | what the files of a split are called |
//! | `layout` | where the files of a split lie |
//! | `reader` | a split as examples |

mod as_task;
mod layout;
mod reader;
mod stems;
mod task;

pub use as_task::NoKeys;
pub use layout::files;
pub use reader::{open, read};
pub use task::GlueTask;
