//! One encoder layer: attention, then feed-forward, each added to its input. Sums are normalised (post-LN), or what each
//! half reads is (pre-LN, `norm_first`).

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use nystromformer_kernels::{add, is_recomputed, recomputed, trace};

use crate::{
    attention::{AttentionConfig, Padding, SelfAttention},
    feed_forward::{FeedForwardConfig, Intermediate},
    layer_norm::LayerNorm,
    linear::Linear,
    picture::Picture,
    shared::SharedConfig,
    wanted_tokens::{Places, WantedTokens},
};

/// What an encoder layer is built from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LayerConfig {
    /// What all parts of the model share.
    pub shared: SharedConfig,
    /// The attention half.
    pub attention: AttentionConfig,
    /// The feed-forward half.
    pub feed_forward: FeedForwardConfig,
    /// The picture whose pixels the tokens are, if they are. Default: none.
    pub picture: Option<Picture>,
}

impl LayerConfig {
    /// A layer with fresh weights on `device`.
    pub fn init(&self, device: &Device) -> Layer {
        let Self { shared, attention, feed_forward, picture } = self;
        let mut self_attention = attention.init(shared, device);
        if let Some(picture) = picture {
            self_attention.set_picture(*picture);
        }
        Layer {
            attention: Attention {
                self_attention,
                output: Residual::new(shared, shared.hidden_size, device),
            },
            intermediate: feed_forward.init(shared, device),
            output: Residual::new(shared, feed_forward.intermediate_size, device),
            chunk_size_feed_forward: feed_forward.chunk_size_feed_forward,
        }
    }
}

/// `LayerNorm(input + dropout(dense(x)))`: what ends both halves of a layer, transformers'
/// `NystromformerSelfOutput` and `NystromformerOutput`. In pre-LN the normalisation begins the half instead.
#[derive(Module, Debug)]
pub struct Residual {
    /// To `hidden_size`.
    pub dense: Linear,
    /// Over `hidden_size`.
    pub layer_norm: LayerNorm,
    hidden_dropout_prob: f64,
    norm_first: bool,
}

impl Residual {
    /// A fresh block that reads `inputs` features.
    pub fn new(shared: &SharedConfig, inputs: usize, device: &Device) -> Self {
        Self {
            dense: shared.linear(inputs, shared.hidden_size).init(device),
            layer_norm: shared.layer_norm().init(device),
            hidden_dropout_prob: shared.hidden_dropout_prob,
            norm_first: shared.norm_first,
        }
    }

    /// What this half of the layer reads of its `input`.
    ///
    /// # Shapes
    /// - `input`, output: `[batch, seq_len, hidden_size]`
    pub fn read(&self, input: Tensor<3>) -> Tensor<3> {
        if self.norm_first { self.layer_norm.forward(input) } else { input }
    }

    /// Projects `hidden_states`, adds `input` and, in post-LN, normalises.
    ///
    /// # Shapes
    /// - `hidden_states`: `[batch, seq_len, inputs]`
    /// - `input`, output: `[batch, seq_len, hidden_size]`
    pub fn forward(&self, hidden_states: Tensor<3>, input: Tensor<3>) -> Tensor<3> {
        let places = WantedTokens::All.places(&input, None);
        self.forward_at(hidden_states, input, &places)
    }

    /// The same for tokens that stand at `places` of their batch.
    fn forward_at(&self, hidden_states: Tensor<3>, input: Tensor<3>, places: &Places) -> Tensor<3> {
        let _part = trace::part("output");
        let projected = self.dense.forward(hidden_states);
        let projected = places.dropout(projected, self.hidden_dropout_prob);
        if self.norm_first {
            add(projected, input)
        } else {
            self.layer_norm.forward_sum(projected, input)
        }
    }
}

/// Self-attention with its output projection, transformers' `NystromformerAttention`.
#[derive(Module, Debug)]
pub struct Attention {
    /// Heads and their kernels.
    pub self_attention: SelfAttention,
    /// Output projection, skip and normalisation.
    pub output: Residual,
}

/// What the attention half of a layer gives.
#[derive(Debug, Clone)]
pub struct AttentionStates {
    /// The contexts of all heads side by side, before the output projection.
    pub context: Tensor<3>,
    /// The same projected, added to what the layer reads and, in post-LN, normalised.
    pub output: Tensor<3>,
}

impl Attention {
    /// Attends every token to the sequence.
    ///
    /// # Shapes
    /// - `hidden_states`, both outputs: `[batch, seq_len, hidden_size]`
    pub fn forward(&self, hidden_states: Tensor<3>, padding: Option<&Padding>) -> AttentionStates {
        let places = WantedTokens::All.places(&hidden_states, padding);
        let read = self.output.read(hidden_states.clone());
        let context = self.self_attention.forward(read, padding);
        let output = self.output.forward_at(context.clone(), hidden_states, &places);
        AttentionStates { context, output }
    }
}

/// One encoder layer, transformers' `NystromformerLayer`.
#[derive(Module, Debug)]
pub struct Layer {
    /// The attention half.
    pub attention: Attention,
    /// The feed-forward half, widening.
    pub intermediate: Intermediate,
    /// The feed-forward half, narrowing.
    pub output: Residual,
    chunk_size_feed_forward: usize,
}

impl Layer {
    /// Transforms every token by the sequence.
    ///
    /// # Shapes
    /// - `hidden_states`, output: `[batch, seq_len, hidden_size]`
    pub fn forward(&self, hidden_states: Tensor<3>, padding: Option<&Padding>) -> Tensor<3> {
        self.forward_wanted(hidden_states, padding, &WantedTokens::All)
    }

    /// Transforms the tokens that are wanted by the whole sequence: what [`Self::forward`] gives for them, and nothing is
    /// computed for others that these do not need.
    ///
    /// # Shapes
    /// - `hidden_states`: `[batch, seq_len, hidden_size]`
    /// - output: that of [`WantedTokens::of`]
    pub fn forward_wanted(
        &self,
        hidden_states: Tensor<3>,
        padding: Option<&Padding>,
        wanted: &WantedTokens,
    ) -> Tensor<3> {
        if wanted.are_none() {
            return wanted.of(hidden_states);
        }
        let [_, seq_len, _] = hidden_states.dims();
        let in_chunks = (1..seq_len).contains(&self.chunk_size_feed_forward);
        if in_chunks && !matches!(wanted, WantedTokens::All | WantedTokens::Tokens) {
            // A chunk draws its dropout by itself: only whole chunks draw the same numbers.
            return wanted.of(self.forward(hidden_states, padding));
        }
        let places = wanted.places(&hidden_states, padding);
        let attention = trace::part("attention");
        let read = self.attention.output.read(hidden_states.clone());
        let context = self.attention.self_attention.forward_wanted(read, padding, wanted);
        let attended = self.attention.output.forward_at(context, wanted.of(hidden_states), &places);
        drop(attention);
        if !in_chunks {
            return self.feed_forward(attended, &places);
        }
        let chunks = attended.split(self.chunk_size_feed_forward, 1);
        let chunks = chunks.into_iter().map(|chunk| self.feed_forward(chunk, &places));
        Tensor::cat(chunks.collect(), 1)
    }

    /// [`Self::forward_wanted`] in a stack, which may [recompute](nystromformer_kernels::gradient_checkpointing) its layers in the backward pass.
    pub(crate) fn forward_in_stack(
        &self,
        hidden_states: Tensor<3>,
        padding: Option<&Padding>,
        wanted: &WantedTokens,
    ) -> Tensor<3> {
        if !is_recomputed(&hidden_states.device()) {
            return self.forward_wanted(hidden_states, padding, wanted);
        }
        let (padding, wanted) = (padding.cloned(), wanted.clone());
        recomputed(self, hidden_states, move |layer: &Self, hidden_states| {
            layer.forward_wanted(hidden_states, padding.as_ref(), &wanted)
        })
    }

    /// The second half of [`Self::forward`]: what the feed-forward block makes of the attention half's output.
    ///
    /// # Shapes
    /// - `attended`, output: `[batch, seq_len, hidden_size]`
    pub fn after_attention(&self, attended: Tensor<3>, padding: Option<&Padding>) -> Tensor<3> {
        let places = WantedTokens::All.places(&attended, padding);
        self.feed_forward(attended, &places)
    }

    /// One row of this layer's attention matrix; see [`SelfAttention::attention_row`].
    ///
    /// # Shapes
    /// - `hidden_states`: `[batch, seq_len, hidden_size]`
    /// - output: `[batch, heads, seq_len]`
    pub fn attention_row(
        &self,
        hidden_states: Tensor<3>,
        padding: Option<&Padding>,
        position: usize,
    ) -> Option<Tensor<3>> {
        let read = self.attention.output.read(hidden_states);
        self.attention.self_attention.attention_row(read, padding, position)
    }

    /// The feed-forward half, which looks at each token by itself.
    fn feed_forward(&self, attended: Tensor<3>, places: &Places) -> Tensor<3> {
        let read = self.output.read(attended.clone());
        self.output.forward_at(self.intermediate.forward_at(read, places), attended, places)
    }
}
