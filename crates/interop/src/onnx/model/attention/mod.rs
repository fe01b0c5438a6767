//! Self-attention.
//!
//! | file | holds |
//! |---|---|
//! | [`kinds`] | the kinds that have a graph |
//! | [`nystrom`], [`softmax`] | each of them |
//! | [`padding`] | what an attention mask means to each part |
//! | [`rotary`] | queries and keys turned by their positions |
//! | [`self_attention`] | the projections around it, and the convolution skip |

pub(super) mod kinds;
mod nystrom;
pub(super) mod padding;
mod rotary;
pub(super) mod self_attention;
mod softmax;
