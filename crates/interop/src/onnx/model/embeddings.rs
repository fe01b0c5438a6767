//! Token, position and type embeddings.

use nystromformer::{NystromformerConfig, embeddings::POSITION_OFFSET};

use super::linear::layer_norm;
use crate::onnx::{
    element::Precision,
    graph::{Graph, Value},
    quantized,
    weights::Part,
};

/// `LayerNorm((word + type) + position)`; in pre-LN without the normalisation.
///
/// # Shapes
/// - `input_ids`, `token_type_ids`: `[batch, seq_len]`
/// - output: `[batch, seq_len, hidden_size]`
pub(super) fn embeddings(
    graph: &mut Graph,
    config: &NystromformerConfig,
    part: &Part,
    input_ids: &Value,
    token_type_ids: &Value,
) -> Value {
    let words = part.child("word_embeddings");
    let words = match graph.precision() {
        Precision::Int8 => quantized::rows(graph, &words, input_ids),
        Precision::F32 | Precision::F16 => {
            let table = graph.weight(&words, "weight");
            graph.rows_at(&table, input_ids)
        }
    };
    let types = graph.weight(&part.child("token_type_embeddings"), "weight");
    let types = graph.rows_at(&types, token_type_ids);
    let positions =
        positions(graph, &part.child("position_embeddings"), POSITION_OFFSET, input_ids);
    let sum = graph.add(&words, &types);
    let sum = graph.add(&sum, &positions);
    if config.shared.norm_first {
        return sum;
    }
    layer_norm(graph, &part.child("LayerNorm"), &sum, config.shared.layer_norm_eps)
}

/// The rows of a position table for every place of `x`, from row `offset` on; those before it are never read and not stored.
///
/// # Shapes
/// - `x`: `[batch, seq_len, ..]`
/// - output: `[seq_len, hidden_size]`
pub(super) fn positions(graph: &mut Graph, part: &Part, offset: usize, x: &Value) -> Value {
    let numbers = part.numbers("weight");
    let [rows, width] = numbers.dims[..] else { unreachable!("a table has rows and columns") };
    let float = graph.float();
    let table = graph.initializer(&part.name_of("weight"), float, &[rows - offset, width], || {
        float.bytes(&numbers.values[offset * width..])
    });
    let seq_len = graph.sizes(x, 1, 2);
    graph.first_rows(&table, &seq_len)
}
