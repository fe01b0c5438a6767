//! Labelled data sets in, examples out: GLUE, IMDB, the Long Range Arena, files of one's own; their metrics and
//! submissions. It knows nothing of models.
//!
//! | module | idea |
//! |---|---|
//! | `example` | what every reader gives |
//! | `facts` | what a data set holds, counted |
//! | [`table`] | rows of TSV, CSV, JSONL and Parquet files through one interface |
//! | [`labelled`] | rows and text files as examples, and what a label may be |
//! | [`glue`] | the ten tasks of GLUE |
//! | [`submission`] | predictions as GLUE's site takes them |
//! | [`imdb`] | film reviews |
//! | `hold_out` | a validation set out of a training set |

mod example;
mod facts;
pub mod glue;
mod hold_out;
pub mod imdb;
pub mod labelled;
pub mod submission;
pub mod table;

pub use example::{Example, ExampleReader, Input, Label};
pub use facts::{DatasetFacts, ValueFacts};
pub use hold_out::{HeldOut, hold_out};
