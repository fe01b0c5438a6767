//! Token, position and type embeddings, and the convolutions behind them.

use nystromformer::{NystromformerConfig, PositionEmbeddingType, embeddings::POSITION_OFFSET};

use super::{linear::layer_norm, stem::stem};
use crate::onnx::{
    element::Precision,
    graph::{Graph, Value},
    quantized,
    weights::Part,
};

/// `LayerNorm((word + type) + position)`, in pre-LN without the normalisation; then the stem.
///
/// # Shapes
/// - `input_ids`, `token_type_ids`, `mask`: `[batch, seq_len]`
/// - output: `[batch, seq_len, hidden_size]`
pub(super) fn embeddings(
    graph: &mut Graph,
    config: &NystromformerConfig,
    part: &Part,
    [input_ids, token_type_ids, mask]: [&Value; 3],
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
    let sum = graph.add(&words, &types);
    let kind = config.shared.position_embedding_type;
    let sum = match kind {
        PositionEmbeddingType::Absolute | PositionEmbeddingType::BothEnds => {
            let part = part.child("position_embeddings");
            let positions = positions(graph, &part, POSITION_OFFSET, input_ids);
            graph.add(&sum, &positions)
        }
        PositionEmbeddingType::Axial => {
            let positions = pixels(graph, config, part, input_ids);
            graph.add(&sum, &positions)
        }
        PositionEmbeddingType::Rotary => sum,
    };
    let sum = if kind == PositionEmbeddingType::BothEnds {
        let table = graph.weight(&part.child("end_position_embeddings"), "weight");
        let columns = columns_from_the_end(graph, config, mask);
        let positions = graph.rows_at(&table, &columns);
        graph.add(&sum, &positions)
    } else {
        sum
    };
    let embedded = if config.shared.norm_first {
        sum
    } else {
        layer_norm(graph, &part.child("LayerNorm"), &sum, config.shared.layer_norm_eps)
    };
    stem(graph, config, part, embedded, mask)
}

/// The number of each column of `x`, `[batch, seq_len, ..]`: `[seq_len]`. The model has no more than it has positions for.
fn columns(graph: &mut Graph, config: &NystromformerConfig, x: &Value) -> Value {
    let all: Vec<i64> = (0..config.embeddings.max_position_embeddings as i64).collect();
    let all = graph.integers(&all);
    let seq_len = graph.sizes(x, 1, 2);
    graph.first_rows(&all, &seq_len)
}

/// How many columns a token stands before its row's last one; 0 behind it: `[batch, seq_len]`.
fn columns_from_the_end(graph: &mut Graph, config: &NystromformerConfig, mask: &Value) -> Value {
    let columns = columns(graph, config, mask);
    let counted = graph.plus(&columns, 1.0);
    let kept = graph.mul(mask, &counted);
    let last = graph.greatest(&kept, &[1]); // [batch, 1], counted from 1
    let before = graph.sub(&last, &counted);
    graph.at_least(&before, 0.0)
}

/// The vectors of a picture's rows and columns, pixel by pixel: `[seq_len, hidden_size]`.
fn pixels(graph: &mut Graph, config: &NystromformerConfig, part: &Part, x: &Value) -> Value {
    let width = config.embeddings.image_width as f64;
    let pixels = columns(graph, config, x);
    let row = graph.over(&pixels, width);
    let start = graph.times(&row, width);
    let column = graph.sub(&pixels, &start);
    let rows = graph.weight(&part.child("row_position_embeddings"), "weight");
    let columns = graph.weight(&part.child("column_position_embeddings"), "weight");
    let (rows, columns) = (graph.rows_at(&rows, &row), graph.rows_at(&columns, &column));
    graph.add(&rows, &columns)
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
