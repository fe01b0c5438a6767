//! Labelled data sets in, examples out: GLUE, IMDB, the Long Range Arena, files of one's own; their metrics and
//! submissions. It knows nothing of models.
//!
//! | module | idea |
//! |---|---|
//! | `example` | what every reader gives |
//! | `facts` | what a data set holds, counted |
//! | [`table`] | rows of TSV, CSV, JSONL and Parquet files through one interface |
//! | [`labelled`] | rows as examples: which columns, and what a label may be |
//! | [`glue`] | the ten tasks of GLUE |

mod config;
mod dataset;
mod example;
mod facts;
pub mod glue;
pub mod labelled;
pub mod table;

pub use config::{Padding, TaskConfig};
pub use dataset::{OwnVocabulary, TaskDataset};
pub use example::{Example, ExampleReader, Input, Label};
pub use facts::{DatasetFacts, ValueFacts};
