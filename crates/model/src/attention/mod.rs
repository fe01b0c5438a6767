//! Self-attention: of several kinds, exact or approximate.
//!
//! | file | holds |
//! |---|---|
//! | [`kind`], [`kinds`] | what a kind of attention is; the list of them |
//! | [`nystrom`] | the Nyström method: landmarks, three kernels, the pseudo-inverse |
//! | [`softmax`] | exact attention |
//! | [`factors`] | the factors of an approximated attention matrix, for diagnosis |
//! | [`padding`] | what an attention mask means to each part |
//! | [`convolution`] | the depthwise convolution skip over the values |
//! | [`self_attention`] | projections and heads around an attention of any kind |

pub mod convolution;
pub mod factors;
pub mod kind;
pub mod kinds;
pub mod nystrom;
pub mod padding;
pub mod self_attention;
pub mod softmax;

pub use convolution::{ConvolutionConfig, DepthwiseConvolution};
pub use factors::NystromFactors;
pub use kind::{Activations, AttentionMechanism, AttentionOptions};
pub use kinds::{AttentionConfig, AttentionKind, Mechanism};
pub use nystrom::{NystromAttention, NystromConfig, Pinv, PinvInit, PinvMethod, iterative_pinv};
pub use padding::Padding;
pub use self_attention::SelfAttention;
pub use softmax::{SoftmaxAttention, SoftmaxConfig};
