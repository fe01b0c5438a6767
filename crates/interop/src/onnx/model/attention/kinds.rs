//! The kinds of attention that have a graph. A kind is a file beside this one, and a line here.

use nystromformer::{AttentionKind, NystromformerConfig};

use super::{nystrom, padding::Padding, self_attention::Projections, softmax};
use crate::onnx::graph::{Graph, Value};

/// Adds the context of every head, `[batch, heads, seq_len, head_dim]` in 32 bits.
pub(in crate::onnx::model) type Context =
    fn(&mut Graph, &NystromformerConfig, &Projections, &Padding) -> Value;

const KINDS: &[(AttentionKind, Context)] =
    &[(AttentionKind::Nystrom, nystrom::context), (AttentionKind::Softmax, softmax::context)];

/// The graph of a kind, if it has one.
pub(in crate::onnx::model) fn context_of(kind: AttentionKind) -> Option<Context> {
    KINDS.iter().find(|(known, _)| *known == kind).map(|(_, context)| *context)
}
