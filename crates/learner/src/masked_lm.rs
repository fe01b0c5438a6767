//! The task: batches of masked sequences, and a model's loss on them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};
use nystromformer::masked_lm::cross_entropy;
use nystromformer::{ModelError, NystromformerForMaskedLm, NystromformerInput};

use crate::error::Result;

/// Sequences with some tokens masked, in host memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MaskedBatch {
    /// Sequences in the batch.
    pub rows: usize,
    /// Tokens in each, padding included.
    pub seq_len: usize,
    /// `[rows · seq_len]`: ids after masking.
    pub input_ids: Vec<i32>,
    /// `[rows · seq_len]`: 1 for a token, 0 for padding. `None` where there is no padding.
    pub attention_mask: Option<Vec<i32>>,
    /// Flat indices (`row · seq_len + column`) of the tokens to predict.
    pub positions: Vec<i32>,
    /// The id to predict at each of them.
    pub labels: Vec<i32>,
}

impl MaskedBatch {
    /// Tokens, padding not counted.
    pub fn tokens(&self) -> usize {
        match &self.attention_mask {
            None => self.input_ids.len(),
            Some(mask) => mask.iter().filter(|&&keep| keep != 0).count(),
        }
    }

    /// Tokens to predict.
    pub fn predicted(&self) -> usize {
        self.labels.len()
    }

    /// Losses and scores at the tokens to predict: `[predicted]` and `[predicted, vocab_size]`.
    ///
    /// # Errors
    /// [`ModelError`] if the model cannot read sequences of this length.
    pub fn forward(
        &self,
        model: &NystromformerForMaskedLm,
        device: &Device,
    ) -> Result<(Tensor<1>, Tensor<2>), ModelError> {
        let grid = |values: &[i32]| {
            let data = TensorData::new(values.to_vec(), [self.rows, self.seq_len]);
            Tensor::<2, Int>::from_data(data, device)
        };
        let list = |values: &[i32]| {
            Tensor::<1, Int>::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
        };
        let mut input = NystromformerInput::new(grid(&self.input_ids));
        if let Some(mask) = &self.attention_mask {
            input = input.with_attention_mask(grid(mask));
        }
        let logits = model.forward_at(input, list(&self.positions))?;
        let losses = cross_entropy(logits.clone(), list(&self.labels));
        Ok((losses, logits))
    }
}

/// Where batches come from. A batch is a pure function of the numbers of its examples.
pub trait MaskedLmData: Send + Sync {
    /// Training examples in one epoch.
    fn training_examples(&self) -> usize;

    /// Validation examples; 0 if there is no validation split.
    fn validation_examples(&self) -> usize;

    /// The training examples with these numbers, counted over all epochs: number `i` is example
    /// `i mod training_examples` in the order of epoch `i / training_examples`.
    ///
    /// # Errors
    /// [`LearnerError::Data`](crate::LearnerError::Data) if they cannot be read.
    fn training_batch(&self, examples: Range<u64>) -> Result<MaskedBatch>;

    /// The validation examples with these numbers, masked the same way every time.
    ///
    /// # Errors
    /// [`LearnerError::Data`](crate::LearnerError::Data) if they cannot be read.
    fn validation_batch(&self, examples: Range<usize>) -> Result<MaskedBatch>;

    /// Hashes of what the batches are made of, by name (`data`, `tokenizer`).
    fn fingerprints(&self) -> BTreeMap<String, String>;

    /// Writes the tokenizer's files into a checkpoint, which is a loadable model by that.
    ///
    /// # Errors
    /// [`LearnerError::Io`](crate::LearnerError::Io).
    fn write_tokenizer(&self, directory: &Path) -> Result<()>;
}
