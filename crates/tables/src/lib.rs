//! The paper's tables, measured anew: what kinds of attention cost, how near the Nyström method comes to exact attention, and what
//! models of each kind learn on the same budget.
//!
//! | module | idea |
//! |---|---|
//! | [`efficiency`] | time and memory by length (the paper's table 1) |
//! | [`approximation`] | errors of the approximated matrix, beside what no method of its rank can beat |
//! | [`arena`] | accuracy on small tasks of the Long Range Arena, over seeds (its table 3 in small) |
//! | [`variant`] | a kind of attention with options, as a table's row names it |
//! | [`matrix`], [`singular_values`], [`exact`] | arithmetic in double precision, without a line of the model's |
//! | [`power_law`], [`interval`] | slopes and crossovers; means and their intervals |
//! | [`draw`] | tokens drawn by a seed |
//! | [`output`] | tables as Markdown, curves as SVG, measurements as JSON that a later session goes on with |
//!
//! What is measured is the model's own functions in single precision; what bounds them, and every error, is computed in double
//! precision. The crate starts no process and reads no model: the command line does.

pub mod approximation;
pub mod arena;
pub mod draw;
pub mod efficiency;
mod error;
pub mod exact;
pub mod interval;
pub mod matrix;
pub mod output;
pub mod power_law;
pub mod singular_values;
#[cfg(test)]
mod tests;
pub mod variant;

pub use error::{Result, TableError};
pub use variant::Variant;
