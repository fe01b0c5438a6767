//! How much memory a training will need, before it is started.

use nystromformer::{Architecture, NystromformerConfig, Semantics};

use crate::experiment::Experiment;

/// Bytes of a number; weights, moments and activations are all 32-bit floats.
const FLOAT: u64 = 4;

/// Estimated peak bytes of training: weights, one gradient (two while accumulating), two moments,
/// and the activations that autodiff keeps for one micro-batch.
pub fn estimate_bytes(experiment: &Experiment, parameters: usize) -> u64 {
    let trainer = &experiment.trainer;
    // Both sequences of a pair that is encoded one by one.
    let parts = if experiment.architecture() == Architecture::DualEncoder { 2 } else { 1 };
    let rows = parts * trainer.micro_batch_size.min(trainer.batch_size) as u64;
    let accumulates = trainer.batch_size > trainer.micro_batch_size;
    let copies: u64 = if accumulates { 5 } else { 4 };
    let seq_len = experiment.data.seq_len as u64;
    let tokens = rows.saturating_mul(seq_len);
    let predicted = match experiment.task {
        Some(_) => 0,
        None => (tokens as f64 * experiment.data.mlm_probability) as u64,
    };
    let of_encoder = tokens.saturating_mul(floats_per_token(&experiment.model, seq_len));
    let of_head = predicted.saturating_mul(head_floats_per_prediction(&experiment.model));
    let activations = of_encoder.saturating_add(of_head);
    copies.saturating_mul(parameters as u64).saturating_add(activations).saturating_mul(FLOAT)
}

/// Floats that the encoder's backward pass needs for each token, summed over layers.
///
/// What the kernels save: inputs of the linear layers, query, key and value, normalised rows, the input of the
/// activation, and the output of each attention; beside it one layer's gradients.
fn floats_per_token(model: &NystromformerConfig, seq_len: u64) -> u64 {
    let hidden = model.shared.hidden_size as u64;
    let intermediate = model.feed_forward.intermediate_size as u64;
    let heads = model.shared.num_attention_heads as u64;
    let attention = if !model.is_full_attention() {
        let landmarks = (model.attention.nystrom.num_landmarks as u64).min(seq_len);
        // Queries, keys and summaries of the landmarks, and every iterate of the pseudo-inverse.
        let of_landmarks = 6 * hidden * landmarks;
        let pinv =
            (model.attention.nystrom.pinv_iterations as u64 + 4) * heads * landmarks * landmarks;
        (of_landmarks + pinv).div_ceil(seq_len)
    } else if model.attention.softmax.attention_probs_dropout_prob > 0.0
        && model.shared.semantics == Semantics::Paper
    {
        // Probabilities that are dropped must be held: scores, probabilities, and their gradients.
        4 * heads * seq_len
    } else {
        0
    };
    let per_layer = 9 * hidden + 2 * intermediate + attention;
    let at_once = 12 * hidden + 2 * intermediate;
    (model.encoder.num_hidden_layers as u64).saturating_mul(per_layer).saturating_add(at_once)
}

/// Floats kept for each predicted token: its scores and their gradient.
fn head_floats_per_prediction(model: &NystromformerConfig) -> u64 {
    2 * model.embeddings.vocab_size as u64 + 10 * model.shared.hidden_size as u64
}

#[cfg(test)]
mod tests {
    use nystromformer::AttentionKind;

    use super::*;

    #[test]
    fn only_probabilities_that_are_dropped_grow_with_the_square_of_the_length() {
        let growth = |attention, dropout| {
            let mut experiment = Experiment::default();
            experiment.model.embeddings.max_position_embeddings = 8192;
            experiment.model.attention.kind = attention;
            experiment.model.attention.softmax.attention_probs_dropout_prob = dropout;
            let mut bytes = |seq_len| {
                experiment.data.seq_len = seq_len;
                estimate_bytes(&experiment, 0) as f64
            };
            bytes(8192) / bytes(4096)
        };
        // A little less than twice: the pseudo-inverse keeps as much for any length.
        let nystrom = growth(AttentionKind::Nystrom, 0.1);
        assert!(nystrom > 1.95 && nystrom <= 2.0, "{nystrom}");
        assert_eq!(growth(AttentionKind::Softmax, 0.0), 2.0);
        assert!(growth(AttentionKind::Softmax, 0.1) > 3.0);
    }
}
