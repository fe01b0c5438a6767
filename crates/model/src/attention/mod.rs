//! Self-attention: exact, and by the Nyström method.
//!
//! | file | holds |
//! |---|---|
//! | [`padding`] | what an attention mask means to each part |
//! | [`landmarks`] | segment means |
//! | [`pinv`] | the iterative Moore–Penrose inverse |
//! | [`nystrom`] | the three kernels and their product |
//! | [`softmax`] | exact attention |
//! | [`convolution`] | the depthwise convolution skip over the values |
//! | [`self_attention`] | projections and heads around one of the two |

pub mod convolution;
pub mod landmarks;
pub mod nystrom;
pub mod padding;
pub mod pinv;
pub mod self_attention;
pub mod softmax;

pub use convolution::DepthwiseConvolution;
pub use nystrom::NystromFactors;
pub use padding::Padding;
pub use pinv::{PinvInit, iterative_pinv};
pub use self_attention::SelfAttention;
