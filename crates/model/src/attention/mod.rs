//! Self-attention: of several kinds, exact or approximate.
//!
//! | file | holds |
//! |---|---|
//! | [`kind`], [`kinds`] | what a kind of attention is; the list of them |
//! | [`nystrom`] | the Nyström method: landmarks, three kernels, the pseudo-inverse |
//! | [`softmax`] | exact attention |
//! | [`linear`], [`performer`] | attention by features (`features.rs` holds what both do with them) |
//! | [`linformer`] | keys and values projected to a fixed number of places |
//! | [`longformer`] | a window, and tokens that see all |
//! | [`reformer`] | tokens that hash alike |
//! | [`agent`], [`none`] | controls: landmarks without the inverse; no attention |
//! | `random_rows` | random matrices that follow from a seed |
//! | [`factors`] | the factors of an approximated attention matrix, for diagnosis |
//! | `window` | a window around each token, beside keys that all see |
//! | [`padding`] | what an attention mask means to each part |
//! | [`convolution`] | the depthwise convolution skip over the values |
//! | [`self_attention`] | projections and heads around an attention of any kind |

pub mod agent;
pub mod convolution;
pub mod factors;
mod features;
pub mod kind;
pub mod kinds;
pub mod linear;
pub mod linformer;
pub mod longformer;
pub mod none;
pub mod nystrom;
pub mod padding;
pub mod performer;
mod random_rows;
pub mod reformer;
pub mod self_attention;
pub mod softmax;
mod window;

pub use agent::{AgentAttention, AgentConfig};
pub use convolution::{ConvolutionConfig, DepthwiseConvolution};
pub use factors::NystromFactors;
pub use kind::{Activations, AttentionMechanism, AttentionOptions, Projections};
pub use kinds::{AttentionConfig, AttentionKind, Mechanism};
pub use linear::{LinearAttention, LinearAttentionConfig};
pub use linformer::{LinformerAttention, LinformerConfig};
pub use longformer::{LongformerAttention, LongformerConfig};
pub use none::{NoAttention, NoAttentionConfig};
pub use nystrom::{
    LandmarkRule, LandmarkSelection, NystromAttention, NystromConfig, Pinv, PinvInit, PinvMethod,
    iterative_pinv,
};
pub use padding::Padding;
pub use performer::{PerformerAttention, PerformerConfig};
pub use reformer::{ReformerAttention, ReformerConfig};
pub use self_attention::SelfAttention;
pub use softmax::{SoftmaxAttention, SoftmaxConfig};
