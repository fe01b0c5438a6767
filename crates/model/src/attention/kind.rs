//! What a kind of attention is.
//!
//! A kind is a file or folder beside this one with two structs: its options, a component of the configuration that
//! implements [`AttentionOptions`], and what it computes, a module that implements [`AttentionMechanism`]. The options
//! have a method `init(&self, &SharedConfig, &Device)` that makes the mechanism. Its line in the list of
//! [`kinds`](super::kinds) is all else that a kind needs.

use burn::tensor::Tensor;
use nystromformer_kernels::Sequences;

use super::{convolution::DepthwiseConvolution, factors::NystromFactors, padding::Padding};
use crate::{component::Problems, error::ModelError, picture::Picture, shared::SharedConfig};

/// The widest head that the kernels for GPUs take, in channels.
pub(super) const WIDEST_HEAD_ON_GPU: usize = 128;

/// Queries or keys, whichever are fewer, up to which GPUs have a kernel for softmax attention.
pub(super) const FEW_ON_GPU: usize = 256;

/// What a kind's options say of it, given what all parts share.
pub trait AttentionOptions {
    /// Whether it computes exact softmax attention.
    fn is_exact(&self, _shared: &SharedConfig) -> bool {
        false
    }

    /// Whether transformers' Nyströmformer computes it, so that `semantics = "hf"` says how. Others are refused with it.
    fn is_of_transformers(&self) -> bool {
        false
    }

    /// Whether inner products of queries and keys are what it weighs values by, exactly or not: rotary positions change these.
    fn has_inner_products(&self) -> bool {
        true
    }

    /// Which projections it reads beside the values; a layer has no others.
    fn projections(&self) -> Projections {
        Projections::QueryAndKey
    }

    /// Segments that it lays over each row's valid tokens where there is padding; `None`: it needs none.
    fn num_segments(&self, _shared: &SharedConfig) -> Option<usize> {
        None
    }

    /// The only length that it reads, in tokens; `None`: any.
    fn required_len(&self, _shared: &SharedConfig) -> Option<usize> {
        None
    }

    /// The longest sequence that it reads, in tokens, a class token counted, and the key that says so; `None`: any.
    fn longest_len(&self, _shared: &SharedConfig) -> Option<(&'static str, usize)> {
        None
    }

    /// Whether a row's result depends on the other rows of its batch.
    fn mixes_rows(&self, _shared: &SharedConfig) -> bool {
        false
    }

    /// Whether it has to know of which picture the tokens are the pixels.
    fn reads_picture(&self) -> bool {
        false
    }

    /// Whether this library's kernels alone compute it on the CPU: no bit of a row then depends on its batch, inside of
    /// [`batch_invariant`](nystromformer_kernels::batch_invariant). Burn's products round by how many rows they have.
    fn is_of_kernels(&self) -> bool {
        false
    }

    /// Whether this library's kernels compute it on a GPU, on sequences of `seq_len` tokens and if the GPU has shared memory enough, so
    /// that no scores are held.
    fn is_of_gpu_kernels(&self, _seq_len: usize, _shared: &SharedConfig) -> bool {
        false
    }

    /// Keys of its own that it does not read, for others have values that do without them; each with what would read it, e.g.
    /// `k_means_steps` with `landmarks = "k_means"`. Default: it reads all.
    fn unread_keys(&self, _shared: &SharedConfig) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    /// What training holds of it for each token of a sequence of `seq_len`. Fused are this library's kernels, which hold no scores;
    /// without them Burn's own operations compute it.
    fn activations(&self, seq_len: usize, shared: &SharedConfig, is_fused: bool) -> Activations;

    /// Multiplications and additions of the forward pass for each token of a sequence of `seq_len`, beside the
    /// projections.
    fn operations(&self, seq_len: usize, shared: &SharedConfig) -> f64;

    /// Adds what is wrong between its options and what all parts share.
    fn check_with(&self, _shared: &SharedConfig, _problems: &mut Problems) {}

    /// Checks that it can read sequences of `seq_len` tokens.
    ///
    /// # Errors
    /// Says which length it needs, and why.
    fn check_len(&self, _seq_len: usize, _shared: &SharedConfig) -> Result<(), ModelError> {
        Ok(())
    }
}

/// What a kind of attention reads of the tokens, beside their values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Projections {
    /// Queries and keys.
    QueryAndKey,
    /// Queries, which are the keys too.
    Query,
    /// Neither.
    Neither,
}

impl Projections {
    /// Whether there are queries.
    pub fn has_query(self) -> bool {
        self != Self::Neither
    }

    /// Whether there are keys that are not the queries.
    pub fn has_key(self) -> bool {
        self == Self::QueryAndKey
    }
}

/// Floats that training holds for each token of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activations {
    /// Of every layer, from its forward pass to its backward pass.
    pub kept_by_layer: u64,
    /// Beside them, while a layer is computed.
    pub at_once: u64,
}

/// What a kind computes: every head's context.
pub trait AttentionMechanism {
    /// Attends the first `attending` tokens of each row to the valid tokens. The queries of all are there: landmarks are
    /// made of them. What is no [projection](AttentionOptions::projections) of the kind is not to be read.
    ///
    /// # Shapes
    /// - `query`, `key`, `value`: `[batch, heads, seq_len, head_dim]`
    /// - output: `[batch, heads, attending, head_dim]`
    fn forward(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        padding: Option<&Padding>,
        attending: usize,
    ) -> Tensor<4>;

    /// The context of all heads, and the convolution added to it, in one operation, for a kind that has one. It is asked where
    /// the CPU knows the sequences, which is all that it needs of a mask.
    ///
    /// # Shapes
    /// - `inputs`, query, key and value: `[batch, seq_len, hidden_size]`, heads side by side
    /// - output: the same, or `[1, attending, hidden_size]` where only some rows [attend](Sequences::with_attending)
    fn fused(
        &self,
        _inputs: [Tensor<3>; 3],
        _heads: usize,
        _convolution: Option<&DepthwiseConvolution>,
        _sequences: &Sequences,
    ) -> Option<Tensor<3>> {
        None
    }

    /// Tells it which layer it is of, from 0: what is drawn and not learned is not the same in all layers.
    fn set_layer(&mut self, _layer: usize) {}

    /// Tells it of which picture the tokens are the pixels.
    fn set_picture(&mut self, _picture: Picture) {}

    /// One row of its matrix, if it has one: what the query at `position` takes of each place. No matrix of `seq_len` squared is
    /// made.
    ///
    /// # Shapes
    /// - `query`, `key`: `[batch, heads, seq_len, head_dim]`
    /// - output: `[batch, heads, seq_len]`
    fn row(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        padding: Option<&Padding>,
        position: usize,
    ) -> Option<Tensor<3>>;

    /// The factors of its approximation by the Nyström method, if it is one.
    ///
    /// # Shapes
    /// - `query`, `key`: `[batch, heads, seq_len, head_dim]`
    fn factors(
        &self,
        _query: Tensor<4>,
        _key: Tensor<4>,
        _padding: Option<&Padding>,
    ) -> Option<NystromFactors> {
        None
    }
}
