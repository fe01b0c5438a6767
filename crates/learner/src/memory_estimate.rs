//! How much memory a training will need, before it is started.

use nystromformer::NystromformerConfig;

use crate::experiment::Experiment;

/// Bytes of a number; weights, moments and activations are all 32-bit floats.
const FLOAT: u64 = 4;

/// Estimated peak bytes of training: weights, one gradient (two while accumulating), two moments,
/// and the activations that autodiff keeps for one micro-batch.
pub fn estimate_bytes(experiment: &Experiment, parameters: usize) -> u64 {
    let trainer = &experiment.trainer;
    let rows = trainer.micro_batch_size.min(trainer.batch_size) as u64;
    let accumulates = trainer.batch_size > trainer.micro_batch_size;
    let copies: u64 = if accumulates { 5 } else { 4 };
    let seq_len = experiment.data.seq_len as u64;
    let tokens = rows.saturating_mul(seq_len);
    let predicted = (tokens as f64 * experiment.data.mlm_probability) as u64;
    let of_encoder = tokens.saturating_mul(floats_per_token(&experiment.model, seq_len));
    let of_head = predicted.saturating_mul(head_floats_per_prediction(&experiment.model));
    let activations = of_encoder.saturating_add(of_head);
    copies.saturating_mul(parameters as u64).saturating_add(activations).saturating_mul(FLOAT)
}

/// Floats that the encoder's backward pass keeps for each token, summed over layers.
///
/// The factors count the tensors that composed operations (softmax, layer norm, gelu, dropout)
/// save. They are fitted to measured peaks of models of 4 and 6 layers, 256 and 768 wide, at 128 and
/// 512 tokens with both kinds of attention, and reproduce those within 10 %.
fn floats_per_token(model: &NystromformerConfig, seq_len: u64) -> u64 {
    let hidden = model.hidden_size as u64;
    let intermediate = model.intermediate_size as u64;
    let heads = model.num_attention_heads as u64;
    let attention = if model.is_full_attention() {
        4 * heads * seq_len
    } else {
        let landmarks = (model.num_landmarks as u64).min(seq_len);
        // Every iteration of the pseudo-inverse keeps its products, whatever the length.
        let pinv = 8 * model.pinv_iterations as u64 * heads * landmarks * landmarks;
        3 * heads * 2 * landmarks + pinv / seq_len
    };
    let per_layer = 13 * hidden + 16 * intermediate / 3 + attention;
    (model.num_hidden_layers as u64).saturating_mul(per_layer).saturating_add(8 * hidden)
}

/// Floats kept for each predicted token: its scores, several times over in the cross-entropy.
fn head_floats_per_prediction(model: &NystromformerConfig) -> u64 {
    5 * model.vocab_size as u64 + 10 * model.hidden_size as u64
}

#[cfg(test)]
mod tests {
    use nystromformer::AttentionKind;

    use super::*;

    #[test]
    fn softmax_grows_with_the_square_of_the_length_and_nystrom_does_not() {
        let mut experiment = Experiment::default();
        experiment.model.max_position_embeddings = 8192;
        let mut activations = |attention, seq_len| {
            experiment.model.attention = attention;
            experiment.data.seq_len = seq_len;
            (estimate_bytes(&experiment, 0)) as f64
        };
        let growth =
            activations(AttentionKind::Nystrom, 8192) / activations(AttentionKind::Nystrom, 4096);
        // A little less than twice: the pseudo-inverse keeps as much for any length.
        assert!(growth > 1.95 && growth <= 2.0, "{growth}");
        let growth =
            activations(AttentionKind::Softmax, 8192) / activations(AttentionKind::Softmax, 4096);
        assert!(growth > 3.0, "{growth}");
    }
}
