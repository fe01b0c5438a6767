//! The operations that a Nyströmformer spends its time in, fused for the CPU.
//!
//! Every function takes and returns Burn tensors and is differentiable. On the CPU device (`flex`) in `f32` it runs
//! one hand-written kernel, over all cores; on any other device, and in other precisions, it is composed of Burn's
//! own operations. A caller never knows which of the two ran, and both are tested against each other.
//!
//! | module | holds |
//! |---|---|
//! | [`attention`] | softmax attention, exact or over landmarks |
//! | [`gelu`] | the Gaussian error linear unit, exact and by tanh |
//!
//! Underneath, [`kernel`] is the seam to Burn: what a kernel is, and how autodiff meets it.

pub mod attention;
pub mod gelu;
mod kernel;
mod simd;
#[cfg(test)]
mod testing;

pub use attention::attention;
pub use gelu::{Gelu, gelu};
