//! Timing: a training step or a forward pass of a named workload, its kernels one by one, attention by itself, and gradients between ranks. And what a step launches
//! on a GPU.

pub mod attention;
pub mod kernels;
#[cfg(feature = "launches")]
pub mod launches;
pub mod measure;
pub mod scale;
pub mod step;
pub mod workload;
