//! Two sequences, one encoder, one answer: rows `2i` and `2i + 1` are pair `i`.

use super::{Answer, Encoded};
use crate::onnx::{
    graph::{Dim, Graph},
    model::classifier::{classification_head, pooled},
};

pub(super) fn answers(graph: &mut Graph, encoded: &Encoded) -> Vec<Answer> {
    let (config, root) = (encoded.config, &encoded.root);
    let pooling = root.child("pooling");
    let pooled = pooled(graph, config, &pooling, &encoded.states, &encoded.mask);
    let width = config.classifier.pooling.width(config.shared.hidden_size);
    let pairs = graph.reshape(&pooled, &[-1, 2, width as i64]);
    let (first, second) = (graph.place(&pairs, 1, 0), graph.place(&pairs, 1, 1));
    let (product, difference) = (graph.mul(&first, &second), graph.sub(&first, &second));
    let features = graph.concat(&[&first, &second, &product, &difference], 1);
    let scores = classification_head(graph, config, &root.child("pair_classifier"), &features);
    vec![Answer::new("logits", scores, [Dim::Free("pairs"), Dim::Fixed(config.num_labels())])]
}
