//! The encoder without a head.

use super::{Answer, Encoded};
use crate::onnx::graph::{Dim, Graph};

pub(super) fn answers(_: &mut Graph, encoded: &Encoded) -> Vec<Answer> {
    let width = Dim::Fixed(encoded.config.shared.hidden_size);
    let dims = [encoded.batch, encoded.sequence, width];
    vec![Answer::new("last_hidden_state", encoded.states.clone(), dims)]
}
