//! The position-wise feed-forward block.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use nystromformer_kernels::trace;
use serde::{Deserialize, Serialize};

use crate::{
    activation::HiddenAct,
    component::{Problems, component},
    linear::Linear,
    shared::SharedConfig,
    wanted_tokens::{Places, WantedTokens},
};

/// How the feed-forward block widens (`feed_forward`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedForwardKind {
    /// `act(dense(x))`, as BERT and transformers' Nyströmformer.
    #[default]
    Dense,
    /// `act(dense(x)) · gate(x)`, with a second linear layer of the same size: GEGLU with GELU, `SwiGLU` with `SiLU` (Shazeer 2020, "GLU
    /// Variants Improve Transformer"; `ModernBERT`'s gated MLP, T5's `gated-gelu`).
    Gated,
}

component! {
    /// Options of the feed-forward block.
    pub struct FeedForwardConfig {
        /// How the feed-forward block widens. Default: `dense`.
        kind as "feed_forward": FeedForwardKind = FeedForwardKind::Dense,
        /// Width inside the feed-forward block. Default: 3072.
        intermediate_size: usize = 3072,
        /// Dropout between the two linear layers of the feed-forward block (BART's word), in [0, 1). Default: 0.
        activation_dropout: f64 = 0.0,
        /// Tokens that go through the feed-forward block at a time, which bounds the memory of its widened
        /// values; without dropout it changes results by rounding only. 0 means all. Default: 0.
        chunk_size_feed_forward: usize = 0,
    }
}

impl FeedForwardConfig {
    fn check(&self, problems: &mut Problems) {
        problems.check_size("intermediate_size", self.intermediate_size, 1);
        problems.check_dropout("activation_dropout", self.activation_dropout);
        problems.check_size("chunk_size_feed_forward", self.chunk_size_feed_forward, 0);
    }

    /// The widening half of the block with fresh weights on `device`.
    pub fn init(&self, shared: &SharedConfig, device: &Device) -> Intermediate {
        let linear = || shared.linear(shared.hidden_size, self.intermediate_size).init(device);
        Intermediate {
            dense: linear(),
            gate: (self.kind == FeedForwardKind::Gated).then(linear),
            activation_dropout: self.activation_dropout,
            activation: shared.hidden_act,
        }
    }
}

/// `dropout(act(dense(x)))`: the widening half of the block, transformers' `NystromformerIntermediate`; or `dropout(act(dense(x)) ·
/// gate(x))`. The narrowing half is the [`Residual`](crate::layer::Residual) that follows.
#[derive(Module, Debug)]
pub struct Intermediate {
    /// `hidden_size → intermediate_size`.
    pub dense: Linear,
    /// The same, of what the activated values are multiplied by, if they are.
    pub gate: Option<Linear>,
    activation_dropout: f64,
    #[module(skip)]
    activation: HiddenAct,
}

impl Intermediate {
    /// Widens every token.
    ///
    /// # Shapes
    /// - `hidden_states`: `[batch, seq_len, hidden_size]`
    /// - output: `[batch, seq_len, intermediate_size]`
    pub fn forward(&self, hidden_states: Tensor<3>) -> Tensor<3> {
        let places = WantedTokens::All.places(&hidden_states, None);
        self.forward_at(hidden_states, &places)
    }

    /// The same for tokens that stand at `places` of their batch.
    pub(crate) fn forward_at(&self, hidden_states: Tensor<3>, places: &Places) -> Tensor<3> {
        let _part = trace::part("intermediate");
        let widened = match &self.gate {
            None => self.activation.forward(self.dense.forward(hidden_states)),
            Some(gate) => {
                let gate = gate.forward(hidden_states.clone());
                self.activation.gated(self.dense.forward(hidden_states), gate)
            }
        };
        places.dropout(widened, self.activation_dropout)
    }
}
