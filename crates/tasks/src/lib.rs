//! Labelled data sets in, examples out: GLUE, IMDB, the Long Range Arena, files of one's own; their metrics and
//! submissions. It knows nothing of models.
//!
//! | module | idea |
//! |---|---|
//! | `config`, `kind` | the `[task]` table, and which tasks there are |
//! | `dataset` | from a config to examples |
//! | `example`, `split` | what every reader gives, and of which part |
//! | [`table`] | rows of TSV, CSV, JSONL and Parquet through one interface |
//! | [`labelled`] | from the rows of tables to examples |
//! | [`glue`] | the tasks of GLUE and their files |
//! | [`lra`] | readers and generators of the Long Range Arena |
//! | [`metrics`] | how good answers are |

mod config;
mod dataset;
mod example;
pub mod glue;
mod kind;
pub mod labelled;
pub mod lra;
pub mod metrics;
mod split;
pub mod table;

pub use config::{Padding, TaskConfig};
pub use dataset::{OwnVocabulary, TaskDataset};
pub use example::{Example, ExampleReader, Input, Label};
pub use kind::TaskKind;
pub use split::Split;
