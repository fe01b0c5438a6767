//! The multiple-choice head: each choice of a question is a row, and their scores stand side by side.

use super::{Answer, Encoded};
use crate::onnx::{
    graph::{Dim, Graph},
    model::{classifier::first_tokens, inputs::NUM_CHOICES, linear::linear},
};

pub(super) fn answers(graph: &mut Graph, encoded: &Encoded) -> Vec<Answer> {
    let first = first_tokens(graph, &encoded.states);
    let hidden = linear(graph, &encoded.root.child("pre_classifier"), &first);
    let hidden = graph.relu(&hidden);
    let scores = linear(graph, &encoded.root.child("classifier"), &hidden);
    let shape = graph.sizes(&encoded.given, 0, 2);
    let scores = graph.reshape_to(&scores, &shape);
    vec![Answer::new("logits", scores, [encoded.batch, Dim::Free(NUM_CHOICES)])]
}
