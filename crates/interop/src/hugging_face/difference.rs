//! How far what transformers computes from an export lies from what this library computes.

use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};
use nystromformer::{
    Nystromformer, NystromformerConfig, NystromformerInput, PinvInit, PinvMethod, Semantics,
};

use super::{
    load::load_encoder_as,
    transformers::{HF_PINV_ITERATIONS, input_len},
};
use crate::error::InteropError;

/// Tokens above which an input is not measured: the difference says the same of shorter ones.
const LONGEST: usize = 1024;

/// Largest differences of the last hidden states at valid tokens, over the largest of their values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Difference {
    /// Tokens of the input.
    pub(super) seq_len: usize,
    /// Of rows without padding.
    pub(super) unpadded: f64,
    /// Of rows whose second half is padding.
    pub(super) padded: f64,
}

/// Loads the folder with our semantics and with transformers', and runs both on the same seeded tokens.
///
/// `dir` holds the weights of an exported `paper` model of this configuration.
pub(super) fn measure(
    dir: &Path,
    config: &NystromformerConfig,
) -> Result<Difference, InteropError> {
    let device = Device::flex();
    let theirs = config.clone().with(|config| {
        config.shared.semantics = Semantics::Hf;
        config.attention.nystrom.pinv = PinvMethod::Iterative;
        config.attention.nystrom.pinv_init = PinvInit::Original;
        config.attention.nystrom.pinv_iterations = HF_PINV_ITERATIONS;
    });
    let seq_len = input_len(config).min(LONGEST);
    // A shorter input than the one it will be told to expect, where that is long.
    let (theirs, seq_len) = if theirs.is_full_attention() {
        (theirs, seq_len)
    } else {
        let landmarks = config.attention.nystrom.num_landmarks;
        // Twice the landmarks at least: as many as landmarks would mean exact attention.
        let seq_len = (seq_len / landmarks).max(2) * landmarks;
        (theirs.with(|config| config.attention.nystrom.segment_means_seq_len = seq_len), seq_len)
    };
    let ours = load_encoder_as(config, dir, &device)?;
    let theirs = load_encoder_as(&theirs, dir, &device)?;
    let run = |model: &Nystromformer, valid: usize| {
        let input = sample(config, seq_len, valid, &device);
        let states = model.forward(input);
        let states =
            states.map_err(|source| InteropError::Model { path: dir.to_owned(), source })?;
        Ok::<_, InteropError>(states.narrow(1, 0, valid))
    };
    let between = |valid: usize| {
        let (ours, theirs) = (run(&ours, valid)?, run(&theirs, valid)?);
        let largest = ours.clone().abs().max().into_scalar::<f32>();
        let difference = (ours - theirs).abs().max().into_scalar::<f32>();
        Ok::<_, InteropError>(f64::from(difference / largest.max(f32::MIN_POSITIVE)))
    };
    Ok(Difference { seq_len, unpadded: between(seq_len)?, padded: between(seq_len.div_ceil(2))? })
}

/// One row of tokens that look random, of which the first `valid` are no padding.
fn sample(
    config: &NystromformerConfig,
    seq_len: usize,
    valid: usize,
    device: &Device,
) -> NystromformerInput {
    let row = |values: Vec<i64>| {
        Tensor::<2, Int>::from_data(TensorData::new(values, [1, seq_len]), device)
    };
    // Multiples of a prime, so that neighbours differ and no generator is needed.
    let id = |place: usize| ((place * 7919 + 13) % config.embeddings.vocab_size) as i64;
    let pad = config.embeddings.pad_token_id as i64;
    let ids = (0..seq_len).map(|place| if place < valid { id(place) } else { pad }).collect();
    let mask = (0..seq_len).map(|place| i64::from(place < valid)).collect();
    NystromformerInput::new(row(ids)).with_attention_mask(row(mask))
}
