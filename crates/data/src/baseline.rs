//! The score of a model that knows only how often each token occurs.

use crate::batch::MaskedLmBatcher;
use crate::error::DataError;
use crate::examples::PretrainingExamples;
use crate::order::{Visit, spread};
use crate::split::CorpusSplit;
use crate::tokenizer::TextTokenizer;

/// How well the frequencies of the training tokens predict masked validation tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnigramBaseline {
    /// Mean cross-entropy in nats.
    pub loss: f64,
    /// Share of masked tokens that are the most frequent training token.
    pub accuracy: f64,
    /// Masked tokens it was measured on.
    pub num_masked: usize,
}

/// Measures the unigram baseline on `num_examples` validation examples, spread evenly as those of an evaluation are, with the very
/// masks that an evaluation of these examples uses.
///
/// The prediction is the frequency of each token in the training examples, special tokens left out,
/// with one added to every count so that unseen tokens stay possible.
///
/// # Errors
///
/// As [`MaskedLmBatcher::rows`].
pub fn unigram_baseline(
    tokenizer: &TextTokenizer,
    batcher: &MaskedLmBatcher,
    train: &PretrainingExamples,
    validation: &PretrainingExamples,
    num_examples: usize,
) -> Result<UnigramBaseline, DataError> {
    let mut counts = vec![1u64; tokenizer.vocab_size()];
    let special = tokenizer.special_table();
    for index in 0..train.len() {
        for id in train.tokens(index) {
            counts[id as usize] += u64::from(!special[id as usize]);
        }
    }
    let total: u64 = counts.iter().sum();
    let most_frequent = counts.iter().copied().max().unwrap_or(1);
    let (mut loss, mut correct, mut num_masked) = (0.0, 0, 0);
    let num_examples = validation.len().min(num_examples);
    for index in 0..num_examples {
        let index = spread(index, num_examples, validation.len());
        let rows =
            batcher.rows(validation, CorpusSplit::Validation, &[Visit { epoch: 0, index }])?;
        for label in rows.masked_labels {
            let count = counts[label as usize];
            loss -= (count as f64 / total as f64).ln();
            correct += usize::from(count == most_frequent);
            num_masked += 1;
        }
    }
    let mean = |sum: f64| {
        if num_masked == 0 { f64::NAN } else { sum / num_masked as f64 }
    };
    Ok(UnigramBaseline { loss: mean(loss), accuracy: mean(correct as f64), num_masked })
}
