//! Filling masks: the most likely tokens in place of the mask, as Hugging Face's pipeline gives them.

use std::path::Path;

use anyhow::{Context, bail};
use burn::tensor::{Device, Int, Tensor, TensorData};
use nystromformer::{NystromformerForMaskedLm, NystromformerInput, PreTrainedModel, Semantics};
use nystromformer_data::TextTokenizer;
use nystromformer_interop::load;
use nystromformer_learner::LearnerError;
use serde::Serialize;

/// One candidate, keyed as in Hugging Face's pipeline.
#[derive(Debug, Serialize)]
pub struct Candidate {
    /// Probability of the token at the mask.
    pub score: f64,
    /// Its id.
    pub token: u32,
    /// Its text.
    pub token_str: String,
    /// The text with the mask filled.
    pub sequence: String,
}

/// A masked language model with its tokenizer.
#[derive(Debug)]
pub struct FillMask {
    model: NystromformerForMaskedLm,
    tokenizer: TextTokenizer,
    device: Device,
}

impl FillMask {
    /// Loads both from a model folder.
    ///
    /// # Errors
    /// If the model or its tokenizer cannot be read.
    pub fn load(folder: &Path, device: &Device) -> anyhow::Result<Self> {
        Ok(Self {
            model: load(folder, device)?,
            tokenizer: tokenizer_of_model(folder)?,
            device: device.clone(),
        })
    }

    /// The `top_k` candidates of every mask in the text, most likely first.
    ///
    /// # Errors
    /// If the text has no mask or is longer than the model reads.
    pub fn candidates(&self, text: &str, top_k: usize) -> anyhow::Result<Vec<Vec<Candidate>>> {
        let ids = self.tokenizer.encode(text, true)?;
        let mask = self.tokenizer.special_ids().mask;
        let masks: Vec<usize> = (0..ids.len()).filter(|&i| ids[i] == mask).collect();
        if masks.is_empty() {
            bail!(
                "no mask in `{text}`: write the model's mask token, {}, where it should predict",
                self.tokenizer.mask_token()
            );
        }
        let logits = self
            .model
            .forward_at(self.input(&ids), self.positions(&masks))
            .with_context(|| format!("cannot fill `{text}`"))?;
        let vocab_size = self.model.config().vocab_size;
        let logits: Vec<f32> = logits.try_into_vec_as()?;
        masks
            .iter()
            .zip(logits.chunks_exact(vocab_size))
            .map(|(&position, logits)| {
                best(logits, top_k)
                    .into_iter()
                    .map(|(token, score)| {
                        let mut filled = ids.clone();
                        filled[position] = token;
                        Ok(Candidate {
                            score,
                            token,
                            token_str: self.tokenizer.decode(&[token], false)?,
                            // With several masks the others must stay visible.
                            sequence: self.tokenizer.decode(&filled, masks.len() == 1)?,
                        })
                    })
                    .collect()
            })
            .collect()
    }

    /// One row; transformers' semantics fix its length, so there it is padded.
    fn input(&self, ids: &[u32]) -> NystromformerInput {
        let config = self.model.config();
        let mut row: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
        let fixed = config.semantics == Semantics::Hf && !config.is_full_attention();
        if !fixed || row.len() >= config.segment_means_seq_len {
            return NystromformerInput::new(self.row(row));
        }
        let mut mask = vec![1; row.len()];
        mask.resize(config.segment_means_seq_len, 0);
        row.resize(config.segment_means_seq_len, i64::from(self.tokenizer.special_ids().pad));
        NystromformerInput::new(self.row(row)).with_attention_mask(self.row(mask))
    }

    fn row(&self, values: Vec<i64>) -> Tensor<2, Int> {
        let length = values.len();
        Tensor::from_data(TensorData::new(values, [1, length]), &self.device)
    }

    fn positions(&self, positions: &[usize]) -> Tensor<1, Int> {
        let positions: Vec<i64> = positions.iter().map(|&position| position as i64).collect();
        Tensor::from_ints(positions.as_slice(), &self.device)
    }
}

/// The tokenizer in a model folder.
///
/// # Errors
/// [`LearnerError::Checkpoint`], for here it is a part of the model.
pub fn tokenizer_of_model(folder: &Path) -> Result<TextTokenizer, LearnerError> {
    TextTokenizer::load(folder, true).map_err(|error| LearnerError::Checkpoint {
        path: folder.to_owned(),
        message: format!("no usable tokenizer: {:#}", anyhow::Error::from(error)),
    })
}

/// The `top_k` most likely tokens and their probabilities, most likely first.
fn best(logits: &[f32], top_k: usize) -> Vec<(u32, f64)> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponential = |logit: f32| f64::from(logit - largest).exp();
    let total: f64 = logits.iter().copied().map(exponential).sum();
    let mut ranked: Vec<(u32, f32)> = (0..).zip(logits.iter().copied()).collect();
    ranked.sort_by(|left, right| right.1.total_cmp(&left.1));
    ranked.truncate(top_k);
    ranked.into_iter().map(|(token, logit)| (token, exponential(logit) / total)).collect()
}

#[cfg(test)]
mod tests {
    use super::best;

    #[test]
    fn probabilities_of_the_best_by_hand() {
        let logits = [0.0, 2f32.ln(), 0.0, 4f32.ln()];
        let ranked = best(&logits, 2);
        assert_eq!(ranked.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [3, 1]);
        assert!((ranked[0].1 - 0.5).abs() < 1e-6 && (ranked[1].1 - 0.25).abs() < 1e-6);
    }
}
