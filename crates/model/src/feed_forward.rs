//! The position-wise feed-forward block.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use nystromformer_kernels::trace;

use crate::{
    activation::HiddenAct,
    component::{Problems, component},
    linear::Linear,
    shared::SharedConfig,
    wanted_tokens::{Places, WantedTokens},
};

component! {
    /// Options of the feed-forward block.
    pub struct FeedForwardConfig {
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
        Intermediate {
            dense: shared.linear(shared.hidden_size, self.intermediate_size).init(device),
            activation_dropout: self.activation_dropout,
            activation: shared.hidden_act,
        }
    }
}

/// `dropout(act(dense(x)))`: the widening half of the block, transformers' `NystromformerIntermediate`. The narrowing
/// half is the [`Residual`](crate::layer::Residual) that follows.
#[derive(Module, Debug)]
pub struct Intermediate {
    /// `hidden_size → intermediate_size`.
    pub dense: Linear,
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
        let widened = self.activation.forward(self.dense.forward(hidden_states));
        places.dropout(widened, self.activation_dropout)
    }
}
