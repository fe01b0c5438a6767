//! The commands: one file each, arguments first, then what they do.

pub mod bench;
pub mod compare;
pub mod completions;
pub mod evaluate;
pub mod export;
pub mod generate;
pub mod import;
pub mod predict;
pub mod prepare;
pub mod train;
