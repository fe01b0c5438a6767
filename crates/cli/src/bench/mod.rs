//! Timing: a training step or a forward pass of a named workload, its kernels one by one, attention by itself, and gradients between ranks.

pub mod attention;
pub mod kernels;
pub mod measure;
pub mod scale;
pub mod step;
pub mod workload;
