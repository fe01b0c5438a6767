//! Rotary positions: queries and keys turned by where they stand.

use nystromformer::NystromformerConfig;

use crate::onnx::{
    element::Element,
    graph::{Graph, Value},
};

/// Base of the wavelengths, as in `crates/kernels/src/rotary.rs`.
const WAVELENGTHS: f64 = 10_000.0;

/// Turns each pair of channels of a head by the angle of its column.
///
/// # Shapes
/// - `x`, output: `[batch, seq_len, hidden_size]` in 32 bits
pub(super) fn rotary(graph: &mut Graph, config: &NystromformerConfig, x: &Value) -> Value {
    let shared = &config.shared;
    let (heads, half) = (shared.num_attention_heads as i64, shared.head_dim() as i64 / 2);
    let angles = graph.once("angles".to_owned(), |graph| {
        let seq_len = graph.sizes(x, 1, 2);
        let table = |graph: &mut Graph, function: fn(f64) -> f64| {
            let places = config.embeddings.max_position_embeddings;
            let values: Vec<f32> = (0..places)
                .flat_map(|place| {
                    (0..half).map(move |channel| {
                        let frequency = WAVELENGTHS.powf(-(channel as f64) / half as f64);
                        function(place as f64 * frequency) as f32
                    })
                })
                .collect();
            let table = graph.floats(Element::F32, &[places, half as usize], &values);
            let of_columns = graph.first_rows(&table, &seq_len); // [seq_len, half]
            graph.unsqueeze(&of_columns, &[1])
        };
        vec![table(graph, f64::cos), table(graph, f64::sin)]
    });
    let [cosines, sines] = &angles[..] else { unreachable!("two tables were made") };
    let pairs = graph.reshape(x, &[0, 0, heads, 2, half]);
    let (first, second) = (graph.place(&pairs, 3, 0), graph.place(&pairs, 3, 1));
    let turned = {
        let (cosine, sine) = (graph.mul(&first, cosines), graph.mul(&second, sines));
        let to_first = graph.sub(&cosine, &sine);
        let (cosine, sine) = (graph.mul(&second, cosines), graph.mul(&first, sines));
        [to_first, graph.add(&cosine, &sine)]
    };
    let [first, second] = turned.map(|half| graph.unsqueeze(&half, &[3]));
    let turned = graph.concat(&[&first, &second], 3);
    graph.reshape(&turned, &[0, 0, shared.hidden_size as i64])
}
