//! Exact attention.

use nystromformer::NystromformerConfig;

use super::{padding::Padding, self_attention::Projections};
use crate::onnx::graph::{Graph, Value};

/// Attends every token to every valid token.
pub(super) fn context(
    graph: &mut Graph,
    config: &NystromformerConfig,
    projections: &Projections,
    padding: &Padding,
) -> Value {
    let query = projections.heads(graph, &projections.query);
    let query = graph.times(&query, (config.shared.head_dim() as f64).powf(-0.5));
    let key = projections.heads_transposed(graph, &projections.key);
    let value = projections.heads(graph, &projections.value);
    let scores = graph.matmul(&query, &key);
    let scores = graph.add(&scores, &padding.key_bias);
    let probabilities = graph.softmax(&scores);
    graph.matmul(&probabilities, &value)
}
