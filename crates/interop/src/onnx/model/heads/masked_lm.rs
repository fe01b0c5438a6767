//! The masked-language-modelling head.

use super::{Answer, Encoded};
use crate::onnx::{
    element::Precision,
    graph::{Dim, Graph, Value, int},
    model::linear::{activation, layer_norm, linear},
    quantized,
    weights::Part,
};

pub(super) fn answers(graph: &mut Graph, encoded: &Encoded) -> Vec<Answer> {
    vec![Answer::new("logits", predictions(graph, encoded), dims(encoded))]
}

/// `[batch, sequence, vocab_size]`.
pub(super) fn dims(encoded: &Encoded) -> [Dim; 3] {
    let width = Dim::Fixed(encoded.config.embeddings.vocab_size);
    [encoded.batch, encoded.sequence, width]
}

/// Scores of every vocabulary entry at every position; the decoder's weight is the token embedding.
pub(super) fn predictions(graph: &mut Graph, encoded: &Encoded) -> Value {
    let (config, part) = (encoded.config, encoded.root.child("cls.predictions"));
    let transform = part.child("transform");
    let hidden = linear(graph, &transform.child("dense"), &encoded.states);
    let hidden = activation(graph, config.shared.hidden_act, &hidden);
    let norm = transform.child("LayerNorm");
    let hidden = layer_norm(graph, &norm, &hidden, config.shared.layer_norm_eps);

    let table = encoded.root.child("nystromformer.embeddings.word_embeddings");
    let bias = graph.weight(&part, "bias");
    if graph.precision() == Precision::Int8 {
        let product = quantized::product_with_table(graph, &table, &hidden);
        return graph.add(&product, &bias);
    }
    product_with_table(graph, config, &table, &hidden, &bias)
}

/// `x Tᵀ + b`, without a transposed copy of the table.
fn product_with_table(
    graph: &mut Graph,
    config: &nystromformer::NystromformerConfig,
    table: &Part,
    x: &Value,
    bias: &Value,
) -> Value {
    let table = graph.weight(table, "weight");
    let rows = graph.reshape(x, &[-1, config.shared.hidden_size as i64]);
    let scores = graph.node("Gemm", &[&rows, &table, bias], vec![int("transB", 1)], x.element());
    let leading = graph.sizes(x, 0, 2);
    let width = graph.integers(&[config.embeddings.vocab_size as i64]);
    let shape = graph.concat(&[&leading, &width], 0);
    graph.reshape_to(&scores, &shape)
}
