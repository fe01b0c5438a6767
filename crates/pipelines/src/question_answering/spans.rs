//! The likeliest answers of a window, by the probabilities of its tokens as an answer's first and last.

use crate::scores::softmax;

/// What stands in place of the outputs of tokens that no answer can be of; its probability is an exact 0.
const NOT_ALLOWED: f32 = -10_000.0;

/// Probabilities over a window's tokens.
pub(super) struct Window {
    start: Vec<f64>,
    end: Vec<f64>,
}

/// A part of a window.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    /// Its first token.
    pub(super) first: usize,
    /// Its last token.
    pub(super) last: usize,
    /// Product of their probabilities.
    pub(super) score: f64,
}

impl Window {
    /// From a head's outputs; the probabilities of the `allowed` tokens sum to 1.
    pub(super) fn new(start: &[f32], end: &[f32], allowed: &[bool]) -> Self {
        let probabilities = |logits: &[f32]| {
            let masked: Vec<f32> = logits
                .iter()
                .zip(allowed)
                .map(|(&logit, &allowed)| if allowed { logit } else { NOT_ALLOWED })
                .collect();
            softmax(&masked)
        };
        Self { start: probabilities(start), end: probabilities(end) }
    }

    /// The score of there being no answer: `[CLS]`, the first token, as the answer.
    pub(super) fn no_answer(&self) -> f64 {
        self.start[0] * self.end[0]
    }

    /// The `most` likeliest spans of at most `max_length` tokens, likeliest first, the first token left out.
    pub(super) fn best_spans(&self, most: usize, max_length: usize) -> Vec<Span> {
        let mut spans = Vec::new();
        for first in 1..self.start.len() {
            let longest = self.start.len().min(first.saturating_add(max_length));
            for last in first..longest {
                let score = self.start[first] * self.end[last];
                if score > 0.0 {
                    spans.push(Span { first, last, score });
                }
            }
        }
        spans.sort_by(|left, right| right.score.total_cmp(&left.score));
        spans.truncate(most);
        spans
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[CLS]` question context context context.
    fn window() -> Window {
        let start = [0.0, 9.0, 0.0, 8f32.ln(), 0.0];
        let end = [0.0, 9.0, 0.0, 0.0, 3f32.ln()];
        Window::new(&start, &end, &[true, false, true, true, true])
    }

    #[test]
    fn scores_by_hand() {
        // Start: 1/11, 0, 1/11, 8/11, 1/11; end: 1/6, 0, 1/6, 1/6, 3/6.
        let spans = window().best_spans(3, 15);
        let found: Vec<(usize, usize)> = spans.iter().map(|span| (span.first, span.last)).collect();
        assert_eq!(found, [(3, 4), (3, 3), (2, 4)]);
        assert!((spans[0].score - 24.0 / 66.0).abs() < 1e-6);
        assert!((window().no_answer() - 1.0 / 66.0).abs() < 1e-7);
    }

    #[test]
    fn spans_stay_within_the_context_and_the_length() {
        let spans = window().best_spans(100, 2);
        assert!(spans.iter().all(|span| span.first >= 2 && span.last - span.first < 2));
        assert_eq!(spans.len(), 5);
    }
}
