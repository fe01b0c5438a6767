//! The stem: residual convolutions between the embeddings and the layers.

use nystromformer::NystromformerConfig;

use super::linear::{activation, layer_norm};
use crate::onnx::{
    element::Element,
    graph::{Graph, Value, ints},
    weights::Part,
};

/// `x + act(conv(LayerNorm(x)))` for each of its blocks. Convolutions are in 32 bits.
///
/// # Shapes
/// - `states`, output: `[batch, seq_len, hidden_size]`
/// - `mask`: `[batch, seq_len]`
pub(super) fn stem(
    graph: &mut Graph,
    config: &NystromformerConfig,
    part: &Part,
    states: Value,
    mask: &Value,
) -> Value {
    let options = &config.embeddings.stem;
    let taps = options.stem_kernel_size as i64;
    (0..options.stem_layers).fold(states, |states, index| {
        let part = part.child(format_args!("stem.{index}"));
        graph.scope(&format!("stem.{index}"), |graph| {
            let read =
                layer_norm(graph, &part.child("LayerNorm"), &states, config.shared.layer_norm_eps);
            let read = graph.cast(&read, Element::F32);
            let keep = graph.cast(mask, Element::F32);
            let keep = graph.unsqueeze(&keep, &[2]);
            let read = graph.mul(&read, &keep);
            let read = graph.transpose(&read, &[0, 2, 1]);
            let conv = part.child("conv");
            let weight = graph.weight_as(&conv, "weight", Element::F32);
            let bias = graph.weight_as(&conv, "bias", Element::F32);
            let attributes =
                vec![ints("kernel_shape", &[taps]), ints("pads", &[taps / 2, taps / 2])];
            let convolved = graph.node("Conv", &[&read, &weight, &bias], attributes, Element::F32);
            let convolved = graph.transpose(&convolved, &[0, 2, 1]);
            let activated = activation(graph, config.shared.hidden_act, &convolved);
            let activated = graph.cast(&activated, states.element());
            graph.add(&states, &activated)
        })
    })
}
