//! The stack of layers: attention, then feed-forward, each added to its input.

use nystromformer::{FeedForwardKind, NystromformerConfig};

use super::{
    attention::{kinds::Context, padding::Padding, self_attention::self_attention},
    linear::{activation, layer_norm, linear},
};
use crate::onnx::{
    graph::{Graph, Value},
    weights::Part,
};

/// Runs all layers, and in pre-LN the last normalisation.
///
/// # Shapes
/// - `states`, output: `[batch, seq_len, hidden_size]`
pub(super) fn encoder(
    graph: &mut Graph,
    config: &NystromformerConfig,
    part: &Part,
    states: Value,
    padding: &Padding,
    context: Context,
) -> Value {
    let layers = 0..config.encoder.num_hidden_layers;
    let states = layers.fold(states, |states, index| {
        // Layers of one group share their weights.
        let own = index / config.encoder.layers_per_group().max(1);
        let part = part.child(format_args!("layer.{own}"));
        graph.scope(&format!("layer.{index}"), |graph| {
            layer(graph, config, &part, &states, padding, context)
        })
    });
    if config.shared.norm_first {
        layer_norm(graph, &part.child("LayerNorm"), &states, config.shared.layer_norm_eps)
    } else {
        states
    }
}

fn layer(
    graph: &mut Graph,
    config: &NystromformerConfig,
    part: &Part,
    states: &Value,
    padding: &Padding,
    context: Context,
) -> Value {
    let attended = graph.scope("attention", |graph| {
        let output = part.child("attention.output");
        let read = read(graph, config, &output, states);
        let part = part.child("attention.self");
        let attended = self_attention(graph, config, &part, &read, padding, context);
        residual(graph, config, &output, &attended, states)
    });
    graph.scope("feed_forward", |graph| {
        let output = part.child("output");
        let read = read(graph, config, &output, &attended);
        let widened = linear(graph, &part.child("intermediate.dense"), &read);
        let widened = activation(graph, config.shared.hidden_act, &widened);
        let widened = match config.feed_forward.kind {
            FeedForwardKind::Dense => widened,
            FeedForwardKind::Gated => {
                let gate = linear(graph, &part.child("intermediate.gate"), &read);
                graph.mul(&widened, &gate)
            }
        };
        residual(graph, config, &output, &widened, &attended)
    })
}

/// What a half of a layer reads of its `input`: in pre-LN its normalisation begins the half.
fn read(graph: &mut Graph, config: &NystromformerConfig, part: &Part, input: &Value) -> Value {
    if config.shared.norm_first {
        layer_norm(graph, &part.child("LayerNorm"), input, config.shared.layer_norm_eps)
    } else {
        input.clone()
    }
}

/// Projects, adds `input` and, in post-LN, normalises.
fn residual(
    graph: &mut Graph,
    config: &NystromformerConfig,
    part: &Part,
    states: &Value,
    input: &Value,
) -> Value {
    let projected = linear(graph, &part.child("dense"), states);
    let sum = graph.add(&projected, input);
    if config.shared.norm_first {
        sum
    } else {
        layer_norm(graph, &part.child("LayerNorm"), &sum, config.shared.layer_norm_eps)
    }
}
