//! Labelled data sets in, examples out: GLUE, IMDB, the Long Range Arena, files of one's own; their metrics and
//! submissions. It knows nothing of models.
//!
//! | module | idea |
//! |---|---|
//! | `example` | what every reader gives |
//! | [`lra`] | the Long Range Arena's five tasks: readers and generators |

mod example;
pub mod lra;

pub use example::{Example, ExampleReader, Input, Label};
