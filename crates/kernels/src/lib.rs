//! The operations that a Nyströmformer spends its time in, fused for the CPU.
//!
//! Every function takes and returns Burn tensors, and all but the optimizer's are differentiable. On the CPU device (`flex`) in `f32` it runs
//! one hand-written kernel, over all cores; on any other device, and in other precisions, it is composed of Burn's
//! own operations. A caller never knows which of the two ran, and both are tested against each other. With the cargo feature
//! `cube` some have a kernel in CubeCL too, for all GPUs; nobody knows that either.
//!
//! | function | computes |
//! |---|---|
//! | [`adam_w()`], [`sums_of_squares`] | the optimizer's update, and the norm for its clipping |
//! | [`adam_w_of_rows`], [`adam_w_missed`] | the update of some rows of a table, and what the others missed |
//! | [`add()`] | the sum of two tensors |
//! | [`attention()`] | softmax attention, exact or over landmarks |
//! | [`cross_entropy()`] | the loss of each row of scores |
//! | [`depthwise_convolution`] | filters along the sequence, one per head or per channel |
//! | [`dropout()`], [`dropout_of_rows`] | dropout that stores no mask |
//! | [`embed()`] | the sum of token, type and position embeddings |
//! | [`gelu()`], [`geglu()`] | the Gaussian error linear unit, exact and by tanh; the same times a gate |
//! | [`Pinv`], [`iterative_pinv`] | the Moore–Penrose inverse of small matrices |
//! | [`layer_norm()`] | normalisation of a sum |
//! | [`linear()`] | product with a weight, and bias |
//! | [`nystrom_attention`] | attention by the Nyström method, with the convolution beside it |
//! | [`patch_means()`] | means over patches of a picture |
//! | [`rotary()`] | queries and keys turned by their places |
//! | [`segment_means()`] | means over segments of the sequence |
//! | [`select_rows()`], [`place_rows`] | some rows of a table |
//! | [`sequence_convolution()`] | filters along the sequence that read all channels |
//! | [`softmax()`] | softmax over the last axis |
//! | [`window_attention()`] | attention to near keys, and to some that all see |
//!
//! [`Precision`] lets [`linear()`] multiply in half precision; [`batch_invariant`] lets no row depend on its neighbours in any bit; [`instruction_set()`] says what of this CPU all of them use. Dropout
//! and [`random()`] draw from the [`Seed`] whose scope they are in.
//!
//! [`gradient_checkpointing`] lets the backward pass compute once more what was not kept for it; [`watch_gradients`] tells of gradients while it goes on.
//!
//! [`trace`] notes how long each took, in which part of the model, for whoever asks; with the feature `launches`, the module of that name counts what a GPU is
//! asked to do. [`DeviceMemory`] is what it has of memory.
//!
//! Underneath, `kernel.rs` is the seam to Burn: what a kernel is, and how autodiff meets it.

#![allow(clippy::inline_always, reason = "a scalar function that is not inlined is not vectorised")]

mod adam_w;
mod add;
mod attention;
mod batch_invariance;
mod convolution;
mod cross_entropy;
#[cfg(all(feature = "cube", not(feature = "fused")))]
mod cube;
mod device_memory;
mod dropout;
mod embed;
mod geglu;
mod gelu;
mod gradient_watch;
mod indices;
mod instruction_set;
mod kernel;
#[cfg(feature = "launches")]
pub mod launches;
mod layer_norm;
mod linear;
mod nystrom;
mod patches;
mod pinv;
mod precision;
mod product;
mod random;
mod recompute;
mod rotary;
mod scratch;
mod segment_means;
mod select_rows;
mod sequence_convolution;
mod shared;
mod simd;
mod softmax;
#[cfg(test)]
mod testing;
pub mod trace;
mod view;

pub use adam_w::{
    AdamWStep, AdamWUpdate, adam_w, adam_w_missed, adam_w_of_rows, sums_of_squares, updates_rows,
};
pub use add::add;
pub use attention::{FurtherKeys, attention, window_attention};
pub use batch_invariance::{batch_invariant, is_batch_invariant};
pub use convolution::depthwise_convolution;
pub use cross_entropy::cross_entropy;
pub use device_memory::DeviceMemory;
pub use dropout::{dropout, dropout_of_rows, drops, without_dropout};
pub use embed::{EmbeddingTables, embed};
pub use geglu::geglu;
pub use gelu::{Gelu, gelu};
pub use gradient_watch::{GradientListener, is_same, watch_gradients};
pub use instruction_set::{InstructionSet, instruction_set};
pub use kernel::{hear_refusals, is_flex, set_enabled};
pub use layer_norm::layer_norm;
pub use linear::{WeightLayout, linear};
pub use nystrom::{NystromParameters, Sequence, Sequences, nystrom_attention};
pub use patches::Patches;
pub use pinv::{MOST_LANDMARKS, Pinv, PinvScale, iterative_pinv};
pub use precision::Precision;
pub use random::{Seed, random};
pub use recompute::{gradient_checkpointing, is_recomputed, recomputed};
pub use rotary::rotary;
pub use segment_means::{patch_means, segment_means};
pub use select_rows::{place_rows, select_rows};
pub use sequence_convolution::sequence_convolution;
pub use softmax::softmax;
