//! A stem of convolutions between the embeddings and the layers: what makes something like words of bytes.
//!
//! Each is a residual block as the halves of a layer are in pre-LN: `x + dropout(act(conv(LayerNorm(x))))`, with a convolution of all
//! channels along the sequence (PyTorch's `Conv1d`), which keeps the length. Padding is read as zeros.

use burn::{
    module::{Module, Param},
    tensor::{Device, Int, Tensor},
};
use nystromformer_kernels::{add, dropout, sequence_convolution, trace};

use crate::{
    activation::HiddenAct,
    component::{Problems, component},
    layer_norm::LayerNorm,
    shared::{Semantics, SharedConfig},
};

component! {
    /// Options of the convolutions between embeddings and layers.
    pub struct StemConfig {
        /// Residual convolutions between embeddings and layers. Default: 0, none, as in the paper.
        stem_layers: usize = 0,
        /// Taps of each of them, odd. Default: 7.
        stem_kernel_size: usize = 7,
    }
}

impl StemConfig {
    fn check(&self, problems: &mut Problems) {
        problems.check_size("stem_layers", self.stem_layers, 0);
        problems.check_size("stem_kernel_size", self.stem_kernel_size, 1);
        problems.check(
            self.stem_kernel_size == 0 || !self.stem_kernel_size.is_multiple_of(2),
            "stem_kernel_size",
            &self.stem_kernel_size,
            "must be odd, so that the output has the input's length",
        );
    }

    /// Adds what is wrong between its options and what all parts share.
    pub(crate) fn check_with(&self, shared: &SharedConfig, problems: &mut Problems) {
        problems.check(
            self.stem_layers == 0 || shared.semantics == Semantics::Paper,
            "stem_layers",
            &self.stem_layers,
            "semantics = \"hf\" is what transformers computes, which has no such convolutions: take semantics = \"paper\", or leave \
             it out",
        );
    }

    /// Fresh blocks on `device`, the first first.
    pub fn init(&self, shared: &SharedConfig, device: &Device) -> Vec<StemLayer> {
        let block = || StemLayer {
            layer_norm: shared.layer_norm().init(device),
            conv: SequenceConvolution::new(self.stem_kernel_size, shared, device),
            hidden_dropout_prob: shared.hidden_dropout_prob,
            activation: shared.hidden_act,
        };
        (0..self.stem_layers).map(|_| block()).collect()
    }
}

/// A residual convolution along the sequence. See the [module](self).
#[derive(Module, Debug)]
pub struct StemLayer {
    /// Over `hidden_size`, before the convolution.
    pub layer_norm: LayerNorm,
    /// `hidden_size → hidden_size`.
    pub conv: SequenceConvolution,
    hidden_dropout_prob: f64,
    #[module(skip)]
    activation: HiddenAct,
}

impl StemLayer {
    /// Adds to every token what its neighbours say.
    ///
    /// # Shapes
    /// - `hidden_states`, output: `[batch, seq_len, hidden_size]`
    /// - `attention_mask`: `[batch, seq_len]`; `None`: all are tokens
    pub fn forward(
        &self,
        hidden_states: Tensor<3>,
        attention_mask: Option<&Tensor<2, Int>>,
    ) -> Tensor<3> {
        let _part = trace::part("stem");
        let read = self.layer_norm.forward(hidden_states.clone());
        let convolved = self.conv.forward(read, attention_mask);
        let activated = self.activation.forward(convolved);
        add(dropout(activated, self.hidden_dropout_prob), hidden_states)
    }
}

/// A convolution of all channels along the sequence.
#[derive(Module, Debug)]
pub struct SequenceConvolution {
    /// `[outputs, inputs, kernel_size]`, the layout of PyTorch's `Conv1d`.
    pub weight: Param<Tensor<3>>,
    /// `[outputs]`.
    pub bias: Param<Tensor<1>>,
}

impl SequenceConvolution {
    fn new(taps: usize, shared: &SharedConfig, device: &Device) -> Self {
        let (width, weights) = (shared.hidden_size, &shared.weights);
        Self {
            weight: weights.fresh(taps * width).init([width, width, taps], device),
            bias: weights.bias(taps * width, width, device),
        }
    }

    /// Convolves every sequence; its ends, and padding, are zeros.
    ///
    /// # Shapes
    /// - `x`, output: `[batch, seq_len, hidden_size]`
    /// - `attention_mask`: `[batch, seq_len]`
    pub fn forward(&self, x: Tensor<3>, attention_mask: Option<&Tensor<2, Int>>) -> Tensor<3> {
        sequence_convolution(x, self.weight.val(), self.bias.val(), attention_mask.cloned())
    }
}
