//! Labelled data sets in, examples out: GLUE, IMDB, the Long Range Arena, files of one's own; their metrics and
//! submissions. It knows nothing of models.
//!
//! | module | idea |
//! |---|---|
//! | `example` | what every reader gives |
//! | [`metrics`] | how good a model's answers are |

mod example;
pub mod metrics;

pub use example::{Example, ExampleReader, Input, Label};
