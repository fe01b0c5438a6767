//! The sequence-classification head: classes, any number of them, or numbers in the units of the data.

use super::{Answer, Encoded};
use crate::onnx::{
    element::Element,
    graph::{Dim, Graph},
    model::classifier::{classification_head, pooled},
};

pub(super) fn answers(graph: &mut Graph, encoded: &Encoded) -> Vec<Answer> {
    let (config, root) = (encoded.config, &encoded.root);
    let pooling = root.child("pooling");
    let pooled = pooled(graph, config, &pooling, &encoded.states, &encoded.mask);
    let mut scores = classification_head(graph, config, &root.child("classifier"), &pooled);
    if let Some(standardization) = config.classifier.standardization() {
        let mut row = |numbers: &[f32]| graph.floats(Element::F32, &[numbers.len()], numbers);
        let (std, mean) = (row(&standardization.std), row(&standardization.mean));
        scores = graph.cast(&scores, Element::F32);
        scores = graph.mul(&scores, &std);
        scores = graph.add(&scores, &mean);
    }
    vec![Answer::new("logits", scores, [encoded.batch, Dim::Fixed(config.num_labels())])]
}
