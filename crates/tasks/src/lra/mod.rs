//! The Long Range Arena: five tasks of long sequences (Tay et al. 2020, "Long Range Arena: A Benchmark for Efficient
//! Transformers"). Readers of its files, and generators of what can be generated.
//!
//! Each task reads symbols, bytes or pixels, so an [`Example`](crate::Example) comes as ids of the task's own
//! vocabulary, in which 0 is padding.
//!
//! | module | idea |
//! |---|---|
//! | [`listops`] | nested operations on digits: grammar, generator, files, facts |
//! | `split` | training, validation, test |
//! | `reading` | lines of bounded length; readers that stop after an error |

pub mod listops;
mod reading;
mod split;

pub use split::{Split, SplitSizes};
