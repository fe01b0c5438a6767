//! A classifier of sequences: from a sequence of hidden states to the one that it reads, and the head itself.

use nystromformer::{NystromformerConfig, Pooling};

use super::{
    attention::padding::bias,
    linear::{activation, linear},
};
use crate::onnx::{
    element::Element,
    graph::{Graph, Value},
    weights::Part,
};

/// One state of every sequence.
///
/// # Shapes
/// - `states`: `[batch, seq_len, hidden_size]`
/// - `mask`: `[batch, seq_len]`
/// - output: `[batch, hidden_size]`
pub(super) fn pooled(
    graph: &mut Graph,
    config: &NystromformerConfig,
    part: &Part,
    states: &Value,
    mask: &Value,
) -> Value {
    let weights = match config.classifier.pooling {
        Pooling::First => return first_tokens(graph, states),
        Pooling::Mean => {
            let (keep, count) = (graph.cast(mask, Element::F32), graph.sum(mask, 1));
            let count = graph.at_least(&count, 1.0);
            let count = graph.cast(&count, Element::F32);
            graph.div(&keep, &count)
        }
        Pooling::MeanPadded => {
            let (keep, length) = (graph.cast(mask, Element::F32), graph.sizes(states, 1, 2));
            let length = graph.cast(&length, Element::F32);
            graph.div(&keep, &length)
        }
        Pooling::Attention => gated_attention(graph, &part.child("attention"), states, mask),
    };
    // Sums over a sequence are in 32 bits.
    let float = states.element();
    let states = graph.cast(states, Element::F32);
    let weights = graph.unsqueeze(&weights, &[1]);
    let pooled = graph.matmul(&weights, &states);
    let pooled = graph.squeeze(&pooled, 1);
    graph.cast(&pooled, float)
}

/// `softmax(w · (tanh(V h) ⊙ sigmoid(U h)))` over a sequence's tokens: `[batch, seq_len]`.
fn gated_attention(graph: &mut Graph, part: &Part, states: &Value, mask: &Value) -> Value {
    let value = linear(graph, &part.child("value"), states);
    let value = graph.tanh(&value);
    let gate = linear(graph, &part.child("gate"), states);
    let gate = graph.sigmoid(&gate);
    let gated = graph.mul(&value, &gate);
    let scores = linear(graph, &part.child("score"), &gated);
    let scores = graph.squeeze(&scores, 2);
    let scores = graph.cast(&scores, Element::F32);
    let keep = graph.cast(mask, Element::F32);
    let bias = bias(graph, &keep);
    let scores = graph.add(&scores, &bias);
    graph.softmax(&scores)
}

/// The hidden state of every row's first token: `[batch, hidden_size]`.
pub(super) fn first_tokens(graph: &mut Graph, states: &Value) -> Value {
    graph.place(states, 1, 0)
}

/// `out_proj(act(dense(x)))`: scores of every class, `[batch, num_labels]`.
pub(super) fn classification_head(
    graph: &mut Graph,
    config: &NystromformerConfig,
    part: &Part,
    features: &Value,
) -> Value {
    let act = config.classifier.classifier_act.unwrap_or(config.shared.hidden_act);
    let hidden = linear(graph, &part.child("dense"), features);
    let hidden = activation(graph, act, &hidden);
    linear(graph, &part.child("out_proj"), &hidden)
}
