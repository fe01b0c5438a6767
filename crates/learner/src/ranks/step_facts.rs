//! What the ranks tell each other of a step before its backward pass, so that each divides by what all micro-batches hold together.

use super::Ranks;
use super::words::{WordReader, Words};
use crate::batch::Batch;
use crate::error::{LearnerError, Result};

/// What the micro-batches of a step hold together, those of all ranks.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct StepFacts {
    /// What the targets that count weigh in each term of the loss.
    pub(crate) target_weights: Vec<f64>,
    /// Tokens, padding not counted.
    pub(crate) tokens: usize,
    /// Whether there is anything to answer.
    pub(crate) has_targets: bool,
}

impl StepFacts {
    /// Of all ranks' micro-batches, of which `batches` are this one's. They are summed in the order of the micro-batches, however many ranks there are.
    ///
    /// # Errors
    /// [`LearnerError::Rank`] if a rank does not answer.
    pub(crate) fn gather<B: Batch>(ranks: &Ranks, batches: &[B]) -> Result<Self> {
        let mut own = Words::default();
        for batch in batches {
            let weights = batch.target_weights();
            own.count(usize::from(has_targets(batch)));
            own.count(batch.num_tokens());
            own.count(weights.len());
            for weight in weights {
                own.number(weight);
            }
        }
        let mut facts = Self::default();
        for (rank, words) in ranks.gather("targets and tokens", own.into_vec())?.iter().enumerate()
        {
            let mut reader = WordReader::new(words);
            while !reader.is_at_end() {
                facts.add(&mut reader).ok_or_else(|| LearnerError::unreadable_rank(rank))?;
            }
        }
        Ok(facts)
    }

    fn add(&mut self, reader: &mut WordReader<'_>) -> Option<()> {
        self.has_targets |= reader.count()? > 0;
        self.tokens += reader.count()?;
        let terms = reader.count()?;
        self.target_weights.resize(terms.max(self.target_weights.len()), 0.0);
        for total in &mut self.target_weights[..terms] {
            *total += reader.number()?;
        }
        Some(())
    }
}

/// Whether a batch has anything to answer.
pub(crate) fn has_targets<B: Batch>(batch: &B) -> bool {
    batch.num_targets().iter().any(|count| *count > 0)
}
