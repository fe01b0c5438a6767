//! A submission to GLUE's site: a zip of eleven tables of predictions, checked before it is written.
//!
//! ```
//! use nystromformer_tasks::Split;
//! use nystromformer_tasks::glue::{GlueTask};
//! use nystromformer_tasks::submission::{Submission, SubmissionFile};
//! use nystromformer_tasks::Label;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let submission = Submission::new(&folder.path().join("submission"))?;
//! let wnli = SubmissionFile::of(GlueTask::Wnli, Split::Test).ok_or("WNLI is submitted")?;
//! submission.write(wnli, &vec![Label::Class(1); 146])?;
//! let filled = submission.fill_missing()?;
//! assert_eq!(filled.len(), 10);
//! submission.zip(&folder.path().join("submission.zip"))?;
//! # Ok(())
//! # }
//! ```
//!
//! | module | idea |
//! |---|---|
//! | `files` | the eleven files: names, rows, how an answer is spelled |
//! | `writer` | from predictions to files, and to the zip |
//! | `check` | whether a folder or zip is what the site takes |

mod check;
mod files;
mod writer;

pub use check::check;
pub use files::SubmissionFile;
pub use writer::Submission;
