//! What a model may answer to a question, and how its outputs become that: as `postprocess_qa_predictions` of transformers' example
//! `run_qa` does.

use std::num::NonZeroUsize;

use nystromformer_data::Characters;
use serde::{Serialize, Serializer};

/// A part of the context that may be the answer, or "no answer".
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnswerCandidate {
    /// The output for its first token.
    #[serde(serialize_with = "as_double")]
    pub start_logit: f32,
    /// The output for its last token.
    #[serde(serialize_with = "as_double")]
    pub end_logit: f32,
    /// Its words; empty for "no answer".
    pub text: String,
    /// Its probability among the candidates that were kept.
    pub probability: f64,
    /// Its first character in the context.
    #[serde(skip)]
    pub start: usize,
    /// The character after its last.
    #[serde(skip)]
    pub end: usize,
}

/// Every digit of an output, as Python writes it.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn as_double<S: Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(f64::from(*value))
}

/// The likeliest answers to a question.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AnswerCandidates {
    /// Likeliest first, "no answer" among them if that may be one.
    pub candidates: Vec<AnswerCandidate>,
    /// The score of "no answer", if that may be one: the lowest over all windows.
    pub no_answer: Option<f32>,
}

impl AnswerCandidates {
    /// The likeliest with a text; `None` if there is none.
    pub fn best(&self) -> Option<&AnswerCandidate> {
        self.candidates.iter().find(|candidate| !candidate.text.is_empty())
    }

    /// By how much the score of "no answer" is above that of the best with a text (`null_odds.json`); 0 if "no answer" is none.
    pub fn score_diff(&self) -> f64 {
        let Some(no_answer) = self.no_answer else { return 0.0 };
        let (start, end) =
            self.best().map_or((0.0, 0.0), |best| (best.start_logit, best.end_logit));
        f64::from(no_answer - start - end)
    }

    /// The answer: the likeliest; `None` if "no answer" may be one and its score is higher by more than `threshold`.
    pub fn answer(&self, threshold: f64) -> Option<&AnswerCandidate> {
        if self.no_answer.is_none() {
            return self.candidates.first();
        }
        self.best().filter(|_| self.score_diff() <= threshold)
    }
}

/// A model's outputs for one window of a question's context.
#[derive(Debug, Clone, Copy)]
pub struct WindowLogits<'a> {
    /// Of each token as an answer's first.
    pub start: &'a [f32],
    /// Of each token as an answer's last.
    pub end: &'a [f32],
    /// Of each token its first character in the context and the one after its last; `None` for tokens outside of the context.
    pub offsets: &'a [Option<(usize, usize)>],
    /// The token that stands for "no answer": `[CLS]`.
    pub cls: usize,
}

/// How answers are looked for; names and defaults are those of `run_qa`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerSearch {
    /// Tokens that windows over a long context overlap by. Default: 128.
    pub doc_stride: usize,
    /// First tokens, and last tokens, that are tried in each window; and candidates that are kept. Default: 20.
    pub n_best_size: NonZeroUsize,
    /// The most tokens of an answer. Default: 30.
    pub max_answer_length: NonZeroUsize,
    /// Whether "no answer" may be one. Default: false.
    pub version_2_with_negative: bool,
}

impl Default for AnswerSearch {
    fn default() -> Self {
        Self {
            doc_stride: 128,
            n_best_size: const { NonZeroUsize::new(20).expect("20 is not 0") },
            max_answer_length: const { NonZeroUsize::new(30).expect("30 is not 0") },
            version_2_with_negative: false,
        }
    }
}

impl AnswerSearch {
    /// The likeliest answers in all windows over `context`. Scores are sums of two outputs in `f32`, as in transformers; of equal
    /// ones the earlier found is first, and of tokens with equal outputs the later is tried first.
    pub fn candidates<'a>(
        &self,
        windows: impl IntoIterator<Item = WindowLogits<'a>>,
        context: &str,
    ) -> AnswerCandidates {
        let mut found: Vec<Scored> = Vec::new();
        let mut none: Option<Scored> = None;
        for window in windows {
            let WindowLogits { start, end, offsets, cls } = window;
            let nothing = Scored::new(start[cls], end[cls], (0, 0));
            if none.is_none_or(|none| none.score > nothing.score) {
                none = Some(nothing);
            }
            let (firsts, lasts) = (self.highest(start), self.highest(end));
            for first in firsts {
                for &last in &lasts {
                    let (Some((from, _)), Some((_, to))) = (offsets[first], offsets[last]) else {
                        continue;
                    };
                    if last < first || last - first >= self.max_answer_length.get() {
                        continue;
                    }
                    found.push(Scored::new(start[first], end[last], (from, to)));
                }
            }
        }
        let none = none.filter(|_| self.version_2_with_negative);
        found.extend(none);
        found.sort_by(|left, right| right.score.total_cmp(&left.score));
        found.truncate(self.n_best_size.get());
        if let Some(none) = none
            && !found.iter().any(|scored| scored.span == (0, 0))
        {
            found.push(none);
        }
        AnswerCandidates {
            candidates: with_probabilities(&found, context),
            no_answer: none.map(|none| none.score),
        }
    }

    /// The places of the highest outputs, the highest first.
    fn highest(&self, logits: &[f32]) -> Vec<usize> {
        let mut places: Vec<usize> = (0..logits.len()).rev().collect();
        places.sort_by(|&left, &right| logits[right].total_cmp(&logits[left]));
        places.truncate(self.n_best_size.get());
        places
    }
}

/// A span of the context and its score.
#[derive(Debug, Clone, Copy)]
struct Scored {
    score: f32,
    start_logit: f32,
    end_logit: f32,
    span: (usize, usize),
}

impl Scored {
    fn new(start_logit: f32, end_logit: f32, span: (usize, usize)) -> Self {
        Self { score: start_logit + end_logit, start_logit, end_logit, span }
    }
}

fn with_probabilities(found: &[Scored], context: &str) -> Vec<AnswerCandidate> {
    let highest =
        found.iter().map(|scored| f64::from(scored.score)).fold(f64::NEG_INFINITY, f64::max);
    let weight = |scored: &Scored| (f64::from(scored.score) - highest).exp();
    let sum: f64 = found.iter().map(weight).sum();
    let characters = Characters::new(context);
    let candidate = |scored: &Scored| {
        let (start, end) = scored.span;
        AnswerCandidate {
            start_logit: scored.start_logit,
            end_logit: scored.end_logit,
            text: characters.slice(start, end).to_owned(),
            probability: weight(scored) / sum,
            start,
            end,
        }
    };
    found.iter().map(candidate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: &str = "é big cat";
    /// `[CLS]` question `é` `big` `cat`.
    const OFFSETS: [Option<(usize, usize)>; 5] =
        [None, None, Some((0, 1)), Some((2, 5)), Some((6, 9))];

    fn search(version_2_with_negative: bool, max_answer_length: usize) -> AnswerSearch {
        AnswerSearch {
            max_answer_length: max_answer_length.try_into().unwrap(),
            version_2_with_negative,
            ..AnswerSearch::default()
        }
    }

    fn window<'a>(start: &'a [f32], end: &'a [f32]) -> WindowLogits<'a> {
        WindowLogits { start, end, offsets: &OFFSETS, cls: 0 }
    }

    #[test]
    fn spans_stay_within_the_context_and_the_length() {
        let window = window(&[9.0, 9.0, 1.0, 3.0, 0.0], &[9.0, 9.0, 2.0, 0.0, 1.0]);
        let found = search(false, 2).candidates([window], CONTEXT);
        let texts: Vec<&str> = found.candidates.iter().map(|found| found.text.as_str()).collect();
        assert_eq!(texts, ["big cat", "big", "é", "é big", "cat"]);
        assert_eq!(found.answer(0.0).unwrap().text, "big cat");
        let sum: f64 = found.candidates.iter().map(|found| found.probability).sum();
        assert!((sum - 1.0).abs() < 1e-12);
    }

    #[test]
    fn all_windows_must_agree_that_there_is_no_answer() {
        let sure = window(&[5.0, 0.0, 1.0, 0.0, 0.0], &[5.0, 0.0, 1.0, 0.0, 0.0]);
        let unsure = window(&[-1.0, 0.0, 0.0, 2.0, 0.0], &[-1.0, 0.0, 0.0, 2.0, 0.0]);
        let found = search(true, 30).candidates([sure, unsure], CONTEXT);
        assert_eq!(found.no_answer, Some(-2.0));
        assert_eq!(found.best().unwrap().text, "big");
        assert_eq!(found.score_diff(), -6.0);
        assert_eq!(found.answer(-6.0).unwrap().text, "big");
        assert_eq!(found.answer(-6.5), None);
        let last = found.candidates.last().unwrap();
        assert_eq!((last.text.as_str(), last.start_logit), ("", -1.0));
    }

    #[test]
    fn without_a_span_there_is_no_answer() {
        let nothing =
            WindowLogits { start: &[1.0, 2.0], end: &[1.0, 2.0], offsets: &[None, None], cls: 0 };
        let found = search(false, 30).candidates([nothing], CONTEXT);
        assert!(found.candidates.is_empty() && found.answer(0.0).is_none());
        let found = search(true, 30).candidates([nothing], CONTEXT);
        assert_eq!((found.candidates.len(), found.score_diff()), (1, 2.0));
        assert_eq!(found.answer(f64::MAX), None);
    }
}
