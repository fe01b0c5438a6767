//! Timing: a training step or a forward pass of a named workload, and attention by itself.

pub mod attention;
pub mod measure;
pub mod step;
pub mod workload;
