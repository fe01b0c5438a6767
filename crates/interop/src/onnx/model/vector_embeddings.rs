//! Feature vectors in place of token ids.

use nystromformer::{NystromformerConfig, VectorPositions};

use super::{
    embeddings::positions,
    linear::{layer_norm, linear},
};
use crate::onnx::{
    element::Element,
    graph::{Graph, Value},
    weights::Part,
};

/// Base of the wavelengths of [`VectorPositions::Grid`].
const WAVELENGTHS: f64 = 10_000.0;

/// `LayerNorm([class token; projection((x − mean) / std) + position])`; in pre-LN without the normalisation.
///
/// # Shapes
/// - `vectors`: `[batch, seq_len, num_features]`, in 32 bits
/// - `mask`: `[batch, seq_len]`
/// - output: `[batch, seq_len, hidden_size]`, or `seq_len + 1` with a class token
pub(super) fn vector_embeddings(
    graph: &mut Graph,
    config: &NystromformerConfig,
    part: &Part,
    vectors: &Value,
    mask: &Value,
) -> Value {
    let (options, hidden_size) = (&config.vectors, config.shared.hidden_size);
    let mut row = |x: &Value, numbers: &[f64], op: fn(&mut Graph, &Value, &Value) -> Value| {
        if numbers.is_empty() {
            return x.clone();
        }
        let numbers: Vec<f32> = numbers.iter().map(|number| *number as f32).collect();
        let numbers = graph.floats(Element::F32, &[numbers.len()], &numbers);
        op(graph, x, &numbers)
    };
    let vectors = row(vectors, &options.feature_mean, Graph::sub);
    let factors: Vec<f64> = options.feature_std.iter().map(|std| std.recip()).collect();
    let vectors = row(&vectors, &factors, Graph::mul);

    let float = graph.float();
    let vectors = graph.cast(&vectors, float);
    let projected = linear(graph, &part.child("projection"), &vectors);
    let placed = match options.vector_positions {
        VectorPositions::None => projected,
        VectorPositions::Learned => {
            let positions = positions(graph, &part.child("position_embeddings"), 0, &vectors);
            graph.add(&projected, &positions)
        }
        VectorPositions::Grid => {
            let waves = grid(graph, mask, hidden_size);
            let waves = graph.cast(&waves, float);
            graph.add(&projected, &waves)
        }
    };
    let begun = if options.use_cls_token {
        let token = graph.weight(part, "cls_token");
        let batch = graph.sizes(&vectors, 0, 1);
        let rest = graph.integers(&[1, hidden_size as i64]);
        let shape = graph.concat(&[&batch, &rest], 0);
        let token = graph.expand(&token, &shape);
        graph.concat(&[&token, &placed], 1)
    } else {
        placed
    };
    if config.shared.norm_first {
        return begun;
    }
    layer_norm(graph, &part.child("LayerNorm"), &begun, config.shared.layer_norm_eps)
}

/// Sines and cosines of the row and the column of each vector, row by row in the smallest square that holds those of its
/// sequence.
///
/// # Shapes
/// - `mask`: `[batch, seq_len]`
/// - output: `[batch, seq_len, hidden_size]`, in 32 bits
fn grid(graph: &mut Graph, mask: &Value, hidden_size: usize) -> Value {
    let quarter = hidden_size / 4;
    let frequencies: Vec<f32> = (0..quarter)
        .map(|channel| WAVELENGTHS.powf(-(channel as f64) / quarter as f64) as f32)
        .collect();
    graph.scope("grid", |graph| {
        let index = graph.cumulative_sum(mask, 1);
        let index = graph.plus(&index, -1.0);
        let index = graph.at_least(&index, 0.0);
        let index = graph.cast(&index, Element::F32);
        let count = graph.sum(mask, 1);
        let count = graph.at_least(&count, 1.0);
        let count = graph.cast(&count, Element::F32);
        let side = graph.sqrt(&count);
        let side = graph.ceil(&side);
        let row = graph.div(&index, &side);
        let row = graph.floor(&row);
        let before = graph.mul(&row, &side);
        let column = graph.sub(&index, &before);
        let frequencies = graph.floats(Element::F32, &[quarter], &frequencies);
        let mut parts = Vec::new();
        for place in [row, column] {
            let place = graph.unsqueeze(&place, &[2]);
            let angle = graph.mul(&place, &frequencies);
            parts.push(graph.sin(&angle));
            parts.push(graph.cos(&angle));
        }
        graph.concat(&parts.iter().collect::<Vec<_>>(), 2)
    })
}
