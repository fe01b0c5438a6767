//! Multi-head self-attention, up to but without the output projection. Between the projections all is in 32 bits.

use nystromformer::{NystromformerConfig, PositionEmbeddingType, Semantics};

use super::{kinds::Context, padding::Padding, rotary::rotary};
use crate::onnx::{
    element::Element,
    graph::{Graph, Value, int, ints},
    model::linear::linear,
    weights::Part,
};

/// What attention is made of, each `[batch, seq_len, hidden_size]` in 32 bits.
pub(in crate::onnx::model) struct Projections {
    pub(super) query: Value,
    pub(super) key: Value,
    pub(super) value: Value,
    heads: i64,
    head_dim: i64,
}

impl Projections {
    /// `[batch, n, hidden_size]` to `[batch, heads, n, head_dim]`.
    pub(super) fn heads(&self, graph: &mut Graph, x: &Value) -> Value {
        self.split(graph, x, [0, 2, 1, 3])
    }

    /// `[batch, n, hidden_size]` to `[batch, heads, head_dim, n]`.
    pub(super) fn heads_transposed(&self, graph: &mut Graph, x: &Value) -> Value {
        self.split(graph, x, [0, 2, 3, 1])
    }

    /// A tensor is split once in each order, whoever asks.
    fn split(&self, graph: &mut Graph, x: &Value, order: [i64; 4]) -> Value {
        let split = graph.once(format!("heads {} {order:?}", x.name()), |graph| {
            let split = graph.reshape(x, &[0, 0, self.heads, self.head_dim]);
            vec![graph.transpose(&split, &order)]
        });
        split[0].clone()
    }
}

/// Attends every token to the sequence.
///
/// # Shapes
/// - `states`, output: `[batch, seq_len, hidden_size]`
pub(in crate::onnx::model) fn self_attention(
    graph: &mut Graph,
    config: &NystromformerConfig,
    part: &Part,
    states: &Value,
    padding: &Padding,
    context: Context,
) -> Value {
    let (float, shared) = (graph.float(), &config.shared);
    let mut project = |name: &str| {
        let projected = linear(graph, &part.child(name), states);
        graph.cast(&projected, Element::F32)
    };
    let [mut query, mut key, value] = ["query", "key", "value"].map(&mut project);
    if shared.position_embedding_type == PositionEmbeddingType::Rotary {
        query = rotary(graph, config, &query);
        key = rotary(graph, config, &key);
    }
    let projections = Projections {
        query,
        key,
        value,
        heads: shared.num_attention_heads as i64,
        head_dim: shared.head_dim() as i64,
    };
    let mut attended = context(graph, config, &projections, padding);
    if config.attention.convolution.conv_kernel_size > 0 {
        let value = projections.heads(graph, &projections.value);
        let value = match shared.semantics {
            Semantics::Paper => {
                let keep = padding.keep(graph);
                graph.mul(&value, &keep)
            }
            // transformers convolves padded values too.
            Semantics::Hf => value,
        };
        let skip = convolution(graph, config, &part.child("conv"), &value);
        attended = graph.add(&attended, &skip);
    }
    let joined = graph.transpose(&attended, &[0, 2, 1, 3]);
    let joined = graph.reshape(&joined, &[0, 0, shared.hidden_size as i64]);
    graph.cast(&joined, float)
}

/// The depthwise convolution along the sequence, one filter for each head or for each channel.
///
/// # Shapes
/// - `value`, output: `[batch, heads, seq_len, head_dim]`
fn convolution(
    graph: &mut Graph,
    config: &NystromformerConfig,
    part: &Part,
    value: &Value,
) -> Value {
    let taps = config.attention.convolution.conv_kernel_size as i64;
    let weight = graph.weight_as(part, "weight", Element::F32);
    let around = taps / 2;
    let (heads, head_dim) = (config.shared.num_attention_heads, config.shared.head_dim());
    let of_channels = config.attention.convolution.conv_per_channel;
    let filters = if of_channels { heads * head_dim } else { heads };
    let attributes = vec![
        int("group", filters as i32),
        ints("kernel_shape", &[taps, 1]),
        ints("pads", &[around, 0, around, 0]),
    ];
    if !of_channels {
        return graph.node("Conv", &[value, &weight], attributes, Element::F32);
    }
    let channels = graph.transpose(value, &[0, 1, 3, 2]);
    let channels = graph.reshape(&channels, &[0, filters as i64, -1, 1]);
    let convolved = graph.node("Conv", &[&channels, &weight], attributes, Element::F32);
    let convolved = graph.reshape(&convolved, &[0, heads as i64, head_dim as i64, -1]);
    graph.transpose(&convolved, &[0, 1, 3, 2])
}
