//! Labelled data sets in, examples out: GLUE, IMDB, the Long Range Arena, files of one's own; their metrics and
//! submissions. It knows nothing of models.
//!
//! | module | idea |
//! |---|---|
//! | `config`, `kind` | the `[task]` table, and which tasks there are |
//! | `dataset` | from a config to examples |
//! | `example`, `split` | what every reader gives, and of which part |
//! | [`lra`] | readers and generators of the Long Range Arena |
//! | [`metrics`] | how good answers are |

mod config;
mod dataset;
mod example;
mod kind;
pub mod lra;
pub mod metrics;
mod split;

pub use config::{Padding, TaskConfig};
pub use dataset::{OwnVocabulary, TaskDataset};
pub use example::{Example, ExampleReader, Input, Label};
pub use kind::TaskKind;
pub use split::Split;
