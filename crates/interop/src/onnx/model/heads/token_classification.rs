//! The token-classification head.

use super::{Answer, Encoded};
use crate::onnx::{
    graph::{Dim, Graph},
    model::linear::linear,
};

pub(super) fn answers(graph: &mut Graph, encoded: &Encoded) -> Vec<Answer> {
    let scores = linear(graph, &encoded.root.child("classifier"), &encoded.states);
    let width = Dim::Fixed(encoded.config.num_labels());
    vec![Answer::new("logits", scores, [encoded.batch, encoded.sequence, width])]
}
