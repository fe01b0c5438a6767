//! Labelled data sets in, examples out: GLUE, IMDB, the Long Range Arena, files of one's own; their metrics and
//! submissions. It knows nothing of models.
//!
//! | module | idea |
//! |---|---|
//! | `example` | what every reader gives |
//! | [`metrics`] | how good a model's answers are |

mod config;
mod dataset;
mod example;
pub mod metrics;

pub use config::{Padding, TaskConfig};
pub use dataset::{OwnVocabulary, TaskDataset};
pub use example::{Example, ExampleReader, Input, Label};
pub use kind::TaskKind;
pub use split::Split;
