//! Batches for masked-language modelling.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::config::DataConfig;
use crate::error::DataError;
use crate::examples::Examples;
use crate::masking::Masking;
use crate::order::Visit;
use crate::passages::PairRow;
use crate::random::{Purpose, generator};
use crate::split::Split;
use crate::tokenizer::TextTokenizer;

/// A batch on a device.
#[derive(Debug, Clone)]
pub struct MaskedLmBatch {
    /// Masked token ids, padded: `[batch, seq_len]`.
    pub input_ids: Tensor<2, Int>,
    /// 1 for tokens, 0 for padding: `[batch, seq_len]`. `None` if every row is full.
    pub attention_mask: Option<Tensor<2, Int>>,
    /// Where the tokens to predict stand: `row * seq_len + column`, ascending; `[num_masked]`.
    pub masked_positions: Tensor<1, Int>,
    /// What they were: `[num_masked]`.
    pub masked_labels: Tensor<1, Int>,
    /// Tokens that are not padding.
    pub num_tokens: usize,
    /// Tokens to predict. May be 0; the two `masked_` tensors are then empty.
    pub num_masked: usize,
    /// What the objective `mlm_sop` has besides.
    pub sentence_order: Option<SentenceOrderBatch>,
}

/// The second task of the objective `mlm_sop`, on a device.
#[derive(Debug, Clone)]
pub struct SentenceOrderBatch {
    /// 0 up to the first `[SEP]`, 1 from there to the second, 0 for padding: `[batch, seq_len]`.
    pub token_type_ids: Tensor<2, Int>,
    /// 0 for passages in order, 1 for swapped ones: `[batch]`.
    pub order_labels: Tensor<1, Int>,
}

/// A batch in main memory, as [`MaskedLmBatcher::rows`] makes it; can be built on another thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskedRows {
    /// Masked token ids, row after row, padded to `seq_len`.
    pub input_ids: Vec<i32>,
    /// Tokens in each row that are not padding.
    pub lengths: Vec<usize>,
    /// `row * seq_len + column` of each token to predict, ascending.
    pub masked_positions: Vec<i32>,
    /// What the tokens to predict were.
    pub masked_labels: Vec<i32>,
    /// Length of a row.
    pub seq_len: usize,
    /// What the objective `mlm_sop` has besides.
    pub sentence_order: Option<SentenceOrderRows>,
}

/// The second task of the objective `mlm_sop`, in main memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SentenceOrderRows {
    /// 0 up to the first `[SEP]`, 1 from there to the second, 0 for padding; row after row.
    pub token_type_ids: Vec<i32>,
    /// For each row, 0 if its passages are in order and 1 if they are swapped.
    pub order_labels: Vec<i32>,
}

impl MaskedRows {
    /// Moves the batch to `device`.
    pub fn into_batch(self, device: &Device) -> MaskedLmBatch {
        let shape = [self.lengths.len(), self.seq_len];
        let num_tokens = self.lengths.iter().sum();
        let num_masked = self.masked_positions.len();
        let matrix = |values: Vec<i32>| Tensor::from_data(TensorData::new(values, shape), device);
        let vector = |values: Vec<i32>| {
            let length = values.len();
            Tensor::from_data(TensorData::new(values, [length]), device)
        };
        let full = self.lengths.iter().all(|length| *length == self.seq_len);
        let attention_mask = (!full).then(|| {
            let rows = self.lengths.iter();
            let mask = rows
                .flat_map(|length| (0..self.seq_len).map(move |column| i32::from(column < *length)))
                .collect();
            matrix(mask)
        });
        MaskedLmBatch {
            input_ids: matrix(self.input_ids),
            attention_mask,
            masked_positions: vector(self.masked_positions),
            masked_labels: vector(self.masked_labels),
            num_tokens,
            num_masked,
            sentence_order: self.sentence_order.map(|rows| SentenceOrderBatch {
                token_type_ids: matrix(rows.token_type_ids),
                order_labels: vector(rows.order_labels),
            }),
        }
    }
}

/// Turns blocks, or passages, into masked batches.
///
/// A row is a pure function of `(seed, split, epoch, example)`: whatever batch, thread or run asks
/// for it, the same tokens are masked and the same passage is split and swapped in the same way.
/// Validation rows are the same in every epoch, so that evaluations can be compared.
#[derive(Debug, Clone)]
pub struct MaskedLmBatcher {
    masking: Masking,
    pad: u32,
    seed: u64,
}

impl MaskedLmBatcher {
    /// A batcher with the objective and masking options of `config`.
    pub fn new(tokenizer: &TextTokenizer, config: &DataConfig, seed: u64) -> Self {
        Self { masking: Masking::new(tokenizer, config), pad: tokenizer.special_ids().pad, seed }
    }

    /// The batch of `visits`, which may belong to different epochs, as
    /// [`ExampleOrder::batch`](crate::ExampleOrder::batch) gives them.
    ///
    /// # Errors
    ///
    /// As [`rows`](Self::rows).
    pub fn visits(
        &self,
        dataset: &Examples,
        split: Split,
        visits: &[Visit],
        device: &Device,
    ) -> Result<MaskedLmBatch, DataError> {
        Ok(self.rows(dataset, split, visits)?.into_batch(device))
    }

    /// The rows of `visits` in main memory.
    ///
    /// # Errors
    ///
    /// [`DataError::Config`] if the batch has more tokens than 32-bit positions reach.
    ///
    /// # Panics
    ///
    /// If a visit's index is not below the number of examples.
    pub fn rows(
        &self,
        dataset: &Examples,
        split: Split,
        visits: &[Visit],
    ) -> Result<MaskedRows, DataError> {
        let seq_len = dataset.seq_len();
        let cells = visits.len() * seq_len;
        if i32::try_from(cells).is_err() {
            return Err(DataError::config(
                "trainer.batch_size",
                visits.len(),
                format!(
                    "times `data.seq_len = {seq_len}` is over 2147483647 tokens; use smaller micro-batches"
                ),
            ));
        }
        let mut rows = MaskedRows {
            input_ids: Vec::with_capacity(cells),
            lengths: Vec::with_capacity(visits.len()),
            masked_positions: Vec::new(),
            masked_labels: Vec::new(),
            seq_len,
            sentence_order: matches!(dataset, Examples::Passages(_)).then(Default::default),
        };
        for visit in visits {
            let index = visit.index as u64;
            let (pair, mask, epoch) = match split {
                Split::Train => (Purpose::TrainPair, Purpose::TrainMask, visit.epoch),
                Split::Validation => (Purpose::ValidationPair, Purpose::ValidationMask, 0),
            };
            let mut input_ids = match dataset {
                Examples::Blocks(blocks) => blocks.block(visit.index).input_ids,
                Examples::Passages(passages) => {
                    let mut random = generator(self.seed, pair, epoch, index);
                    let row = passages.row(visit.index, &mut random);
                    rows.sentence_order.get_or_insert_default().push(&row, seq_len);
                    row.input_ids
                }
            };
            let start = rows.input_ids.len();
            let mut random = generator(self.seed, mask, epoch, index);
            for token in self.masking.apply(&mut input_ids, &mut random) {
                rows.masked_positions.push((start + token.position) as i32);
                rows.masked_labels.push(token.label as i32);
            }
            rows.lengths.push(input_ids.len());
            rows.input_ids.extend(input_ids.iter().map(|id| *id as i32));
            rows.input_ids.resize(start + seq_len, self.pad as i32);
        }
        Ok(rows)
    }
}

impl SentenceOrderRows {
    fn push(&mut self, row: &PairRow, seq_len: usize) {
        let start = self.token_type_ids.len();
        self.token_type_ids.resize(start + row.second_start, 0);
        self.token_type_ids.resize(start + row.input_ids.len(), 1);
        self.token_type_ids.resize(start + seq_len, 0);
        self.order_labels.push(i32::from(row.swapped));
    }
}
