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
/// - output: `[batch, hidden_size]`, or twice as wide
pub(super) fn pooled(
    graph: &mut Graph,
    config: &NystromformerConfig,
    part: &Part,
    states: &Value,
    mask: &Value,
) -> Value {
    let weights = match config.classifier.pooling {
        Pooling::First => return first_tokens(graph, states),
        Pooling::FirstLast => {
            let ends = ends(graph, mask);
            let states_of_ends = weighted_sum(graph, &ends, states);
            let width = config.classifier.pooling.width(config.shared.hidden_size) as i64;
            return graph.reshape(&states_of_ends, &[-1, width]);
        }
        Pooling::MeanMax => {
            let weights = shares(graph, mask);
            let mean = pool(graph, &weights, states);
            let largest = largest(graph, states, mask);
            return graph.concat(&[&mean, &largest], 1);
        }
        Pooling::Mean => shares(graph, mask),
        Pooling::MeanPadded => {
            let (keep, length) = (graph.cast(mask, Element::F32), graph.sizes(states, 1, 2));
            let length = graph.cast(&length, Element::F32);
            graph.div(&keep, &length)
        }
        Pooling::Attention => gated_attention(graph, &part.child("attention"), states, mask),
    };
    pool(graph, &weights, states)
}

/// The sum of a sequence's states by their weights, `[batch, seq_len]`: `[batch, hidden_size]`.
fn pool(graph: &mut Graph, weights: &Value, states: &Value) -> Value {
    let weights = graph.unsqueeze(weights, &[1]);
    let pooled = weighted_sum(graph, &weights, states);
    graph.squeeze(&pooled, 1)
}

/// Sums of a sequence's states by weights `[batch, sums, seq_len]`, in 32 bits: `[batch, sums, hidden_size]`.
fn weighted_sum(graph: &mut Graph, weights: &Value, states: &Value) -> Value {
    let float = states.element();
    let states = graph.cast(states, Element::F32);
    let sums = graph.matmul(weights, &states);
    graph.cast(&sums, float)
}

/// The share of each token in the mean over a row's tokens: `[batch, seq_len]`.
fn shares(graph: &mut Graph, mask: &Value) -> Value {
    let (keep, count) = (graph.cast(mask, Element::F32), graph.sum(mask, 1));
    let count = graph.at_least(&count, 1.0);
    let count = graph.cast(&count, Element::F32);
    graph.div(&keep, &count)
}

/// A 1 at the first and at the last token of each row: `[batch, 2, seq_len]`.
fn ends(graph: &mut Graph, mask: &Value) -> Value {
    let ranks = graph.cumulative_sum(mask, 1);
    let count = graph.sum(mask, 1);
    let one = graph.integer(1);
    let [first, last] = [&one, &count].map(|rank| {
        let is_there = graph.equal(&ranks, rank);
        let is_there = graph.cast(&is_there, Element::F32);
        let keep = graph.cast(mask, Element::F32);
        let place = graph.mul(&is_there, &keep);
        graph.unsqueeze(&place, &[1])
    });
    graph.concat(&[&first, &last], 1)
}

/// The largest value of each channel among a row's tokens, 0 in a row without any: `[batch, hidden_size]`.
fn largest(graph: &mut Graph, states: &Value, mask: &Value) -> Value {
    let float = states.element();
    let states = graph.cast(states, Element::F32);
    let keep = graph.cast(mask, Element::F32);
    let has_tokens = graph.greatest(&keep, &[1]);
    let bias = bias(graph, &keep);
    let bias = graph.unsqueeze(&bias, &[2]);
    let masked = graph.add(&states, &bias);
    let largest = graph.greatest(&masked, &[1]);
    let largest = graph.squeeze(&largest, 1);
    let largest = graph.mul(&largest, &has_tokens);
    graph.cast(&largest, float)
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
