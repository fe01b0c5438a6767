//! Labelled data sets in, examples out: GLUE, IMDB, the Long Range Arena, files of one's own; their metrics and
//! submissions. It knows nothing of models.
//!
//! | module | idea |
//! |---|---|
//! | `config`, `kind` | the `[task]` table, and which tasks there are |
//! | `dataset` | from a config to examples |
//! | `example`, `split` | what every reader gives, and of which part |
//! | [`table`] | rows of TSV, CSV, JSONL and Parquet files through one interface |
//! | [`labelled`] | rows and text files as examples, and what a label may be |
//! | [`glue`] | the ten tasks of GLUE |
//! | [`imdb`] | film reviews |
//! | [`lra`] | readers and generators of the Long Range Arena |
//! | [`submission`] | predictions as GLUE's site takes them |
//! | `hold_out` | a validation set out of a training set |
//! | `facts` | what a data set holds, counted |
//! | `truncation` | what is kept of a sequence that is too long |
//! | [`metrics`] | how good answers are |

mod config;
mod dataset;
mod example;
mod facts;
pub mod glue;
mod hold_out;
pub mod imdb;
mod kind;
pub mod labelled;
pub mod lra;
pub mod metrics;
mod split;
pub mod submission;
pub mod table;
mod truncation;

pub use config::TaskConfig;
pub use dataset::{OwnVocabulary, TaskDataset};
pub use example::{Example, ExampleReader, Input, Label};
pub use facts::{DatasetFacts, ValueFacts};
pub use hold_out::{HeldOut, hold_out};
pub use kind::TaskKind;
pub use split::{Part, Split};
pub use truncation::{Cut, Truncation};
