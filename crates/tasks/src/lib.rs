//! Labelled data sets in, examples out: GLUE, IMDB, files of one's own; their metrics and
//! submissions. It knows nothing of models.
//!
//! | module | idea |
//! |---|---|
//! | `example`, `split` | what every reader gives, and of which part |
//! | [`labelled`] | rows and text files as examples, and what a label may be |
//! | [`glue`] | the ten tasks of GLUE |
//! | [`imdb`] | film reviews |
//! | [`submission`] | predictions as GLUE's site takes them |
//! | `hold_out` | a validation set out of a training set |
//! | `facts` | what a data set holds, counted |
//! | `truncation` | what is kept of a sequence that is too long |
//! | [`metrics`] | how good answers are |

mod example;
mod facts;
pub mod glue;
mod hold_out;
pub mod imdb;
pub mod labelled;
pub mod metrics;
mod split;
pub mod submission;

/// What the readers of another crate's tasks rest on.
pub use nystromformer_data::{DataError, Keep, Truncation, random};
pub use nystromformer_files::{BoundedLines, Line, LineReader, durable, table};

pub use example::{Example, ExampleReader, Input, Label};
pub use facts::{DatasetFacts, ValueFacts};
pub use hold_out::{HeldOut, hold_out};
pub use split::{Part, Split};
