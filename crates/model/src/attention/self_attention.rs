//! Projections and heads around an attention.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use nystromformer_kernels::{Sequences, rotary, trace};

use super::{
    convolution::DepthwiseConvolution,
    factors::NystromFactors,
    kind::AttentionMechanism,
    kinds::{AttentionConfig, Mechanism},
    padding::Padding,
};
use crate::{
    linear::Linear,
    picture::Picture,
    positions::PositionEmbeddingType,
    shared::{Semantics, SharedConfig},
    wanted_tokens::WantedTokens,
};

/// Multi-head self-attention, up to but without the output projection.
///
/// Named after transformers' `NystromformerSelfAttention`.
#[derive(Module, Debug)]
pub struct SelfAttention {
    /// `hidden_size → hidden_size`, of a kind that reads queries.
    pub query: Option<Linear>,
    /// `hidden_size → hidden_size`, of a kind whose keys are not its queries.
    pub key: Option<Linear>,
    /// `hidden_size → hidden_size`.
    pub value: Linear,
    /// The convolution skip over the values, unless switched off.
    pub conv: Option<DepthwiseConvolution>,
    mechanism: Mechanism,
    num_attention_heads: usize,
    /// Whether queries and keys are turned by their positions.
    is_rotary: bool,
    #[module(skip)]
    semantics: Semantics,
}

impl AttentionConfig {
    /// Fresh projections around an attention of the chosen kind, on `device`.
    pub fn init(&self, shared: &SharedConfig, device: &Device) -> SelfAttention {
        let projection = || shared.linear(shared.hidden_size, shared.hidden_size).init(device);
        let read = self.options().projections();
        SelfAttention {
            query: read.has_query().then(projection),
            key: read.has_key().then(projection),
            value: projection(),
            conv: self.convolution.init(shared, device),
            mechanism: self.mechanism(shared, device),
            num_attention_heads: shared.num_attention_heads,
            is_rotary: shared.position_embedding_type == PositionEmbeddingType::Rotary,
            semantics: shared.semantics,
        }
    }
}

impl SelfAttention {
    /// Tells it which layer it is of, from 0.
    pub(crate) fn set_layer(&mut self, layer: usize) {
        self.mechanism.set_layer(layer);
    }

    /// Tells it of which picture the tokens are the pixels.
    pub(crate) fn set_picture(&mut self, picture: Picture) {
        self.mechanism.set_picture(picture);
    }

    /// Attends every token to the sequence.
    ///
    /// # Shapes
    /// - `hidden_states`, output: `[batch, seq_len, hidden_size]`
    pub fn forward(&self, hidden_states: Tensor<3>, padding: Option<&Padding>) -> Tensor<3> {
        self.forward_wanted(hidden_states, padding, &WantedTokens::All)
    }

    /// Attends the tokens that are wanted to the sequence.
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
        let _part = trace::part("self");
        self.attend(self.project(hidden_states, padding), padding, wanted)
    }

    /// The same from queries, keys and values, heads side by side: what is left without the projections.
    ///
    /// # Shapes
    /// - `inputs`: `[batch, seq_len, hidden_size]`
    /// - output: that of [`WantedTokens::of`]
    pub fn attend(
        &self,
        inputs: [Tensor<3>; 3],
        padding: Option<&Padding>,
        wanted: &WantedTokens,
    ) -> Tensor<3> {
        let [batch, seq_len, _] = inputs[0].dims();
        let sequences = match padding {
            Some(padding) => padding.sequences(),
            None => Some(Sequences::even(batch, seq_len)),
        };
        sequences
            .and_then(|sequences| self.fused_context(inputs.clone(), sequences, wanted))
            .unwrap_or_else(|| self.context_by_heads(inputs, padding, wanted))
    }

    /// Queries, keys and values. Keys without a projection are the queries; queries without one are the values, and nobody reads
    /// them.
    fn project(&self, hidden_states: Tensor<3>, padding: Option<&Padding>) -> [Tensor<3>; 3] {
        let of =
            |projection: &Linear| self.placed(projection.forward(hidden_states.clone()), padding);
        let (query, key) = (self.query.as_ref().map(of), self.key.as_ref().map(of));
        let value = self.value.forward(hidden_states.clone());
        let query = query.unwrap_or_else(|| value.clone());
        let key = key.unwrap_or_else(|| query.clone());
        [query, key, value]
    }

    /// Queries, keys and values of every head, of a kind that reads queries; turned by their positions if these are rotary.
    ///
    /// # Shapes
    /// - `hidden_states`: `[batch, seq_len, hidden_size]`
    /// - output: `[batch, heads, seq_len, head_dim]` each
    pub fn inputs(
        &self,
        hidden_states: Tensor<3>,
        padding: Option<&Padding>,
    ) -> Option<[Tensor<4>; 3]> {
        self.query.as_ref()?;
        Some(self.project(hidden_states, padding).map(|x| self.split_heads(x)))
    }

    /// Queries or keys as rotary positions turn them.
    fn placed(&self, projected: Tensor<3>, padding: Option<&Padding>) -> Tensor<3> {
        if !self.is_rotary {
            return projected;
        }
        rotary(projected, self.num_attention_heads, padding.and_then(Padding::columns))
    }

    /// Queries and keys of every head, turned by their positions if these are rotary; `None` of a kind that reads none.
    ///
    /// # Shapes
    /// - `hidden_states`: `[batch, seq_len, hidden_size]`
    /// - output: `[batch, heads, seq_len, head_dim]`
    pub fn query_and_key(
        &self,
        hidden_states: Tensor<3>,
        padding: Option<&Padding>,
    ) -> Option<[Tensor<4>; 2]> {
        let of =
            |projection: &Linear| self.placed(projection.forward(hidden_states.clone()), padding);
        let query = self.query.as_ref().map(of)?;
        let key = self.key.as_ref().map_or_else(|| query.clone(), of);
        Some([query, key].map(|x| self.split_heads(x)))
    }

    /// Context and convolution in one operation, if the kind of attention has one.
    ///
    /// # Shapes
    /// - `inputs`: `[batch, seq_len, hidden_size]`
    /// - output: that of [`WantedTokens::of`]
    fn fused_context(
        &self,
        inputs: [Tensor<3>; 3],
        sequences: Sequences,
        wanted: &WantedTokens,
    ) -> Option<Tensor<3>> {
        let [batch, seq_len, _] = inputs[0].dims();
        let rows = wanted.rows([batch, seq_len]);
        let (heads, convolution) = (self.num_attention_heads, self.conv.as_ref());
        let fused =
            |sequences: &Sequences| self.mechanism.fused(inputs, heads, convolution, sequences);
        match rows {
            Some(rows) => {
                let mut ascending = rows.clone();
                ascending.sort_unstable();
                ascending.dedup();
                let context = fused(&sequences.with_attending(ascending.clone()))?;
                Some(wanted.in_order(context, &ascending, &rows))
            }
            None => fused(&sequences).map(|context| wanted.of(context)),
        }
    }

    /// The same step by step, each head by itself.
    fn context_by_heads(
        &self,
        inputs: [Tensor<3>; 3],
        padding: Option<&Padding>,
        wanted: &WantedTokens,
    ) -> Tensor<3> {
        if let Some(padding) = padding.filter(|padding| padding.places().is_some()) {
            let inputs = inputs.map(|x| padding.unpack(x));
            let context = self.context_by_heads(inputs, Some(&padding.dense()), &WantedTokens::All);
            return wanted.of(padding.pack(context));
        }
        let [batch, seq_len, hidden_size] = inputs[0].dims();
        let [query, key, value] = inputs.map(|x| self.split_heads(x));
        let attending = match wanted {
            WantedTokens::First => self.reach().min(seq_len),
            WantedTokens::All | WantedTokens::Tokens | WantedTokens::At(_) => seq_len,
        };
        let context = self.first_contexts(query, key, value, padding, attending);
        wanted.of(context.swap_dims(1, 2).reshape([batch, attending, hidden_size]))
    }

    /// Tokens whose values the convolution brings to the first token, itself among them.
    fn reach(&self) -> usize {
        self.conv.as_ref().map_or(1, |conv| conv.weight.dims()[2] / 2 + 1)
    }

    /// Attention and convolution of every head.
    ///
    /// # Shapes
    /// - `query`, `key`, `value`, output: `[batch, heads, seq_len, head_dim]`
    pub fn context(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        padding: Option<&Padding>,
    ) -> Tensor<4> {
        let [_, _, seq_len, _] = query.dims();
        self.first_contexts(query, key, value, padding, seq_len)
    }

    /// The same for the first `attending` tokens of each row, of which the convolution sees no value behind them.
    ///
    /// # Shapes
    /// - `query`, `key`, `value`: `[batch, heads, seq_len, head_dim]`
    /// - output: `[batch, heads, attending, head_dim]`
    fn first_contexts(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        padding: Option<&Padding>,
        attending: usize,
    ) -> Tensor<4> {
        let context = self.mechanism.forward(query, key, value.clone(), padding, attending);
        let Some(conv) = &self.conv else {
            return context;
        };
        let value = first_rows(value, attending);
        let value = match (self.semantics, padding) {
            (Semantics::Paper, Some(padding)) => {
                value * first_rows(padding.keep.clone(), attending)
            }
            // transformers convolves padded values too.
            (Semantics::Hf, Some(_)) | (_, None) => value,
        };
        conv.forward(value, context)
    }

    /// The three factors of this layer's attention, or `None` if it has none.
    ///
    /// # Shapes
    /// - `hidden_states`: `[batch, seq_len, hidden_size]`
    pub fn factors(
        &self,
        hidden_states: Tensor<3>,
        padding: Option<&Padding>,
    ) -> Option<NystromFactors> {
        let [query, key] = self.query_and_key(hidden_states, padding)?;
        self.mechanism.factors(query, key, padding)
    }

    /// What the query at `position` takes of each place: one row of the attention matrix of each head, exact or as it is
    /// approximated; `None` if it has none. The convolution skip is no part of it.
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
        let [query, key] = self.query_and_key(hidden_states, padding)?;
        self.mechanism.row(query, key, padding, position)
    }

    /// `[batch, seq_len, hidden_size]` to `[batch, heads, seq_len, head_dim]`.
    fn split_heads(&self, projected: Tensor<3>) -> Tensor<4> {
        let [batch, seq_len, hidden_size] = projected.dims();
        let heads = self.num_attention_heads;
        projected.reshape([batch, seq_len, heads, hidden_size / heads]).swap_dims(1, 2)
    }
}

/// The first `count` rows of each head.
///
/// # Shapes
/// - `x`: `[batch, heads, rows, width]`
/// - output: `[batch, heads, count, width]`
pub(super) fn first_rows(x: Tensor<4>, count: usize) -> Tensor<4> {
    let [_, _, rows, _] = x.dims();
    if count == rows { x } else { x.narrow(2, 0, count) }
}
