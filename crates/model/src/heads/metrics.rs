//! What an evaluation makes of a term of the loss.

/// A number that is measured over the answers of one term of the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TermMetric {
    /// The field's name for it, e.g. `accuracy`.
    pub name: &'static str,
    /// Which term of [`Losses`](super::Losses), from 0.
    pub term: usize,
    /// What is computed.
    pub measure: Measure,
}

/// What is computed over the answers of a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The share of answers whose highest score is that of the right class; of answers that are classes.
    Accuracy,
    /// The mean loss.
    Loss,
    /// `exp` of the mean loss.
    Perplexity,
}

impl TermMetric {
    /// The accuracy of a term.
    pub const fn accuracy(name: &'static str, term: usize) -> Self {
        Self { name, term, measure: Measure::Accuracy }
    }

    /// The mean loss of a term.
    pub const fn loss(name: &'static str, term: usize) -> Self {
        Self { name, term, measure: Measure::Loss }
    }

    /// The perplexity of a term.
    pub const fn perplexity(name: &'static str, term: usize) -> Self {
        Self { name, term, measure: Measure::Perplexity }
    }

    /// Whether a larger value is the better one.
    pub const fn greater_is_better(&self) -> bool {
        matches!(self.measure, Measure::Accuracy)
    }
}
