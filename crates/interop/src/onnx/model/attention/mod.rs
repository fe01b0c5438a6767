//! Self-attention.
//!
//! | file | holds |
//! |---|---|
//! | [`kinds`] | the kinds that have a graph |
//! | [`nystrom`], [`softmax`] | each of them |
//! | [`padding`] | what an attention mask means to each part |
//! | [`self_attention`] | the projections around it, and the convolution skip |

pub(super) mod kinds;
mod nystrom;
pub(super) mod padding;
pub(super) mod self_attention;
mod softmax;
