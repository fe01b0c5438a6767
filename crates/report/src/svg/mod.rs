//! Drawings, as SVG within the page; `plot` as a file of its own.
//!
//! | file | draws |
//! |---|---|
//! | `axis` | round numbers along an axis |
//! | `frame` | the axes of a drawing |
//! | `chart` | curves over steps |
//! | `thin` | what is left of a curve with very many points |
//! | `plot` | curves of any two quantities, for other crates |
//! | `matrix` | a matrix of counts or weights as colours |
//! | `reliability` | how often answers are right, beside how sure they are |

mod axis;
mod chart;
mod frame;
mod matrix;
mod plot;
mod reliability;
mod thin;

pub(crate) use chart::{Band, Chart, Curve, Mark, MarkKind, Points, Style};
pub(crate) use matrix::Matrix;
pub use plot::Plot;
pub(crate) use reliability::{Bin, reliability_diagram};

/// Colours that curves are told apart by (`page.css`).
pub(crate) const COLOURS: usize = 8;
