//! What an attention mask means to each part: the graph of `crates/model/src/attention/padding.rs`. All in 32 bits.

use crate::onnx::{
    element::Element,
    graph::{Graph, Value},
};

/// Added to a score that must get probability zero.
const MASKED: f64 = -1e9;

/// A mask, prepared for every layer.
pub(in crate::onnx::model) struct Padding {
    /// `[batch, 1, 1, seq_len]`: 0 for a valid key, a large negative number for a padded one.
    pub(super) key_bias: Value,
    /// `[batch, seq_len]`: 1 for a valid token, 0 for a padded one.
    mask: Value,
    /// How landmarks are laid over the valid tokens, where the kind of attention lays them so.
    pub(super) segments: Option<Segments>,
}

/// The assignment of each row's valid tokens to landmarks.
pub(super) struct Segments {
    /// `[batch, landmarks, seq_len]`: row `j` averages the tokens of segment `j`; a spare landmark's row is zero.
    pub(super) pooling: Value,
    /// `[batch, 1, 1, landmarks]`: 0 for a landmark in use, a large negative number for a spare one.
    pub(super) landmark_bias: Value,
    /// `[batch, 1, landmarks, 1]`: 1 for a landmark in use, 0 for a spare one.
    pub(super) keep: Value,
}

impl Padding {
    /// Prepares a mask `[batch, seq_len]` of integers.
    pub(in crate::onnx::model) fn new(
        graph: &mut Graph,
        mask: &Value,
        num_segments: Option<usize>,
    ) -> Self {
        graph.scope("padding", |graph| {
            let segments = num_segments.map(|count| Segments::new(graph, mask, count));
            let mask = graph.cast(mask, Element::F32);
            let key_bias = bias(graph, &mask);
            Self { key_bias: graph.unsqueeze(&key_bias, &[1, 2]), mask, segments }
        })
    }

    /// `[batch, 1, seq_len, 1]`: 1 for a valid token, 0 for a padded one.
    pub(super) fn keep(&self, graph: &mut Graph) -> Value {
        let keep = graph
            .once("tokens to keep".to_owned(), |graph| vec![graph.unsqueeze(&self.mask, &[1, 3])]);
        keep[0].clone()
    }
}

impl Segments {
    /// Lays `num_landmarks` segments over each row's valid tokens: shorter ones first, and one token each where there are
    /// fewer tokens than landmarks, which leaves spare landmarks.
    fn new(graph: &mut Graph, mask: &Value, num_landmarks: usize) -> Self {
        graph.scope("segments", |graph| {
            let landmarks = num_landmarks as f64;
            let count = graph.sum(mask, 1); // [batch, 1]
            let rank = graph.cumulative_sum(mask, 1);
            let rank = graph.plus(&rank, -1.0); // [batch, seq_len]
            let short = graph.over(&count, landmarks);
            let short = graph.at_least(&short, 1.0); // tokens in a short segment
            let long = graph.plus(&short, 1.0);
            let num_short = graph.times(&long, landmarks);
            let num_short = graph.sub(&num_short, &count);
            let num_short = graph.at_most(&num_short, landmarks);

            // Tokens before `border` lie in short segments, the others in segments of one token more.
            let border = graph.mul(&num_short, &short);
            let in_short = graph.div(&rank, &short);
            let beyond = graph.sub(&rank, &border);
            let beyond = graph.at_least(&beyond, 0.0);
            let in_long = graph.div(&beyond, &long);
            let in_long = graph.add(&num_short, &in_long);
            let is_short = graph.less(&rank, &border);
            let segment = graph.choose(&is_short, &in_short, &in_long);
            // A padded token lies in no segment.
            let is_valid = graph.cast(mask, Element::Bool);
            let none = graph.integer(-1);
            let segment = graph.choose(&is_valid, &segment, &none);

            let index: Vec<i64> = (0..num_landmarks as i64).collect();
            let index = graph.integers(&index);
            let index = graph.unsqueeze(&index, &[1]); // [landmarks, 1]
            let segment = graph.unsqueeze(&segment, &[1]); // [batch, 1, seq_len]
            let member = graph.equal(&segment, &index);
            let member = graph.cast(&member, Element::F32); // [batch, landmarks, seq_len]
            let size = graph.sum(&member, 2); // [batch, landmarks, 1]
            let keep = graph.at_most(&size, 1.0);
            let size = graph.at_least(&size, 1.0);
            let landmark_bias = bias(graph, &keep);
            let landmark_bias = graph.transpose(&landmark_bias, &[0, 2, 1]);
            Self {
                pooling: graph.div(&member, &size),
                landmark_bias: graph.unsqueeze(&landmark_bias, &[1]),
                keep: graph.unsqueeze(&keep, &[1]),
            }
        })
    }
}

/// 0 where `keep` is 1, a large negative number where it is 0.
pub(in crate::onnx::model) fn bias(graph: &mut Graph, keep: &Value) -> Value {
    let missing = graph.plus(keep, -1.0);
    graph.times(&missing, -MASKED)
}
