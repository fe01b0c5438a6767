//! The question-answering head: scores of every token, padding included, as an answer's first and last.

use super::{Answer, Encoded};
use crate::onnx::{graph::Graph, model::linear::linear};

pub(super) fn answers(graph: &mut Graph, encoded: &Encoded) -> Vec<Answer> {
    let scores = linear(graph, &encoded.root.child("qa_outputs"), &encoded.states);
    let mut answer = |name, index| {
        let scores = graph.place(&scores, 2, index);
        Answer::new(name, scores, [encoded.batch, encoded.sequence])
    };
    vec![answer("start_logits", 0), answer("end_logits", 1)]
}
