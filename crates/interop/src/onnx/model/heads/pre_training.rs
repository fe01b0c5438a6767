//! The two heads of the authors' pretraining: masked tokens, and sentence order.

use super::{Answer, Encoded, masked_lm};
use crate::onnx::{
    graph::{Dim, Graph},
    model::{classifier::first_tokens, linear::linear},
};

pub(super) fn answers(graph: &mut Graph, encoded: &Encoded) -> Vec<Answer> {
    let predictions = masked_lm::predictions(graph, encoded);
    let first = first_tokens(graph, &encoded.states);
    let pooled = linear(graph, &encoded.root.child("pooler.dense"), &first);
    let pooled = graph.tanh(&pooled);
    let order = linear(graph, &encoded.root.child("sop_classifier"), &pooled);
    let width = Dim::Fixed(encoded.config.num_labels());
    vec![
        Answer::new("prediction_logits", predictions, masked_lm::dims(encoded)),
        Answer::new("sop_logits", order, [encoded.batch, width]),
    ]
}
