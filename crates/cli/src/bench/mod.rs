//! Timing: a training step or a forward pass of a named workload, its kernels one by one, and attention by itself.

pub mod attention;
pub mod kernels;
pub mod measure;
pub mod step;
pub mod workload;
