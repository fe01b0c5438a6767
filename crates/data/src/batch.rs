//! Batches for masked-language modelling.

use crate::config::DataConfig;
use crate::error::DataError;
use crate::examples::PretrainingExamples;
use crate::masking::Masking;
use crate::order::Visit;
use crate::passages::PairRow;
use crate::random::{Purpose, generator};
use crate::split::CorpusSplit;
use crate::tokenizer::TextTokenizer;

/// A batch in main memory, as [`MaskedLmBatcher::rows`] makes it; can be built on any thread.
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

/// The share of tokens that evaluations mask where training begins and ends with shares of its own: BERT's, so that their losses
/// can be compared with those of other runs.
pub const EVALUATED_SHARE: f64 = 0.15;

/// Turns blocks, or passages, into masked batches.
///
/// A row is a pure function of `(seed, split, epoch, example)`, and in training of the share of tokens that is chosen: whatever batch, thread or run asks
/// for it, the same tokens are masked and the same passage is split and swapped in the same way.
/// Validation rows are the same in every epoch, so that evaluations can be compared.
#[derive(Debug, Clone)]
pub struct MaskedLmBatcher {
    masking: Masking,
    /// That of evaluations.
    evaluated: Masking,
    /// The share of tokens that is chosen in the first step of a run, and in its last.
    shares: [f64; 2],
    pad: u32,
    seed: u64,
}

impl MaskedLmBatcher {
    /// A batcher with the objective and masking options of `config`.
    pub fn new(tokenizer: &TextTokenizer, config: &DataConfig, seed: u64) -> Self {
        let masking = Masking::new(tokenizer, config);
        let first = config.mlm_probability;
        let (evaluated, last) = match config.mlm_probability_end {
            None => (masking.clone(), first),
            Some(last) => (masking.with_probability(EVALUATED_SHARE), last),
        };
        let pad = tokenizer.special_ids().pad;
        Self { masking, evaluated, shares: [first, last], pad, seed }
    }

    /// The rows of `visits` in a step of training: with `data.mlm_probability_end` the share of tokens that is chosen is
    /// `progress` of the way from `data.mlm_probability` to it, 0 in a run's first step and 1 in its last.
    ///
    /// # Errors
    ///
    /// As [`Self::rows`].
    pub fn training_rows(
        &self,
        dataset: &PretrainingExamples,
        visits: &[Visit],
        progress: f64,
    ) -> Result<MaskedRows, DataError> {
        let [first, last] = self.shares;
        if first == last {
            return self.rows(dataset, CorpusSplit::Train, visits);
        }
        let share = first + (last - first) * progress.clamp(0.0, 1.0);
        let masking = self.masking.with_probability(share);
        self.masked_rows(dataset, CorpusSplit::Train, visits, &masking)
    }

    /// The rows of `visits`, which may belong to different epochs, as
    /// [`ExampleOrder::batch`](crate::ExampleOrder::batch) gives them; of training as in a run's first step, and of validation as in
    /// every evaluation.
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
        dataset: &PretrainingExamples,
        split: CorpusSplit,
        visits: &[Visit],
    ) -> Result<MaskedRows, DataError> {
        let masking = match split {
            CorpusSplit::Train => &self.masking,
            CorpusSplit::Validation => &self.evaluated,
        };
        self.masked_rows(dataset, split, visits, masking)
    }

    fn masked_rows(
        &self,
        dataset: &PretrainingExamples,
        split: CorpusSplit,
        visits: &[Visit],
        masking: &Masking,
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
            sentence_order: matches!(dataset, PretrainingExamples::Passages(_))
                .then(Default::default),
        };
        for visit in visits {
            let index = visit.index as u64;
            let (pair, mask, epoch) = match split {
                CorpusSplit::Train => (Purpose::TrainPair, Purpose::TrainMask, visit.epoch),
                CorpusSplit::Validation => (Purpose::ValidationPair, Purpose::ValidationMask, 0),
            };
            let mut input_ids = match dataset {
                PretrainingExamples::Blocks(blocks) => blocks.block(visit.index).input_ids,
                PretrainingExamples::Passages(passages) => {
                    let mut random = generator(self.seed, pair, epoch, index);
                    let row = passages.row(visit.index, &mut random);
                    rows.sentence_order.get_or_insert_default().push(&row, seq_len);
                    row.input_ids
                }
            };
            let start = rows.input_ids.len();
            let mut random = generator(self.seed, mask, epoch, index);
            for token in masking.apply(&mut input_ids, &mut random) {
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
