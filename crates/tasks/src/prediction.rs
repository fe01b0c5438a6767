//! [`Prediction`]: what a model says of an example.

use crate::example::Label;
use crate::metrics::Thresholds;
use crate::qa::AnswerCandidates;

/// What a model says of an example.
#[derive(Debug, Clone, PartialEq)]
pub enum Prediction {
    /// One of some classes; of choices, one of them.
    Class {
        /// The class of the highest score, the first of equals.
        class: u16,
        /// Probability of each class; they sum to 1. Of choices by their places, NaN where a place is empty.
        scores: Vec<f32>,
    },
    /// Probability of each class to apply, whatever the others do.
    Classes(Vec<f32>),
    /// Numbers, as many as are to be predicted.
    Values(Vec<f32>),
    /// The class of each word; `None` for one that the tokenizer makes no token of.
    Tags(Vec<Option<WordTag>>),
    /// Answers to a question.
    Answers(AnswerCandidates),
}

/// The class of a word.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WordTag {
    /// The likeliest class.
    pub class: u16,
    /// Its probability.
    pub score: f32,
}

impl Prediction {
    /// Of scores of classes, one of which is right: softmax in double precision.
    pub fn one_class(logits: &[f32]) -> Self {
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // Not the place of the highest probability: two logits may differ by less than two probabilities can.
        let class = logits.iter().position(|logit| *logit == highest).unwrap_or_default() as u16;
        let powers: Vec<f64> =
            logits.iter().map(|logit| (f64::from(*logit) - f64::from(highest)).exp()).collect();
        let sum: f64 = powers.iter().sum();
        Self::Class {
            class,
            scores: powers.into_iter().map(|power| (power / sum) as f32).collect(),
        }
    }

    /// Of a score of each class, any number of which is right: the logistic function in double precision.
    pub fn any_classes(logits: &[f32]) -> Self {
        let probability = |logit: &f32| (1.0 / (1.0 + (-f64::from(*logit)).exp())) as f32;
        Self::Classes(logits.iter().map(probability).collect())
    }

    /// What is decided by it: the class, the classes above their `thresholds` (0.5 where there is none), the numbers, the
    /// tags; `None` for answers, which their task decides.
    pub fn decided(&self, names: &[String], thresholds: &Thresholds) -> Option<Label> {
        Some(match self {
            Self::Class { class, .. } => Label::Class(*class),
            Self::Classes(scores) => {
                let applies = |class: usize, score: f32| {
                    let name = names.get(class);
                    let threshold = name.and_then(|name| thresholds.get(name)).copied();
                    f64::from(score) >= threshold.unwrap_or(0.5)
                };
                let classes = scores.iter().enumerate();
                let classes = classes.filter(|(class, score)| applies(*class, **score));
                Label::Classes(classes.map(|(class, _)| class as u16).collect())
            }
            Self::Values(values) => match values.as_slice() {
                [value] => Label::Value(*value),
                values => Label::Values(values.to_vec()),
            },
            Self::Tags(tags) => {
                let classes: Vec<_> = tags.iter().map(|tag| tag.map(|tag| tag.class)).collect();
                Label::Tags(classes.into())
            }
            Self::Answers(_) => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_by_hand() {
        let Prediction::Class { class, scores } = Prediction::one_class(&[0.0, 3f32.ln(), 0.0])
        else {
            panic!("a class")
        };
        assert_eq!(class, 1);
        for (score, expected) in scores.iter().zip([0.2, 0.6, 0.2]) {
            assert!((score - expected).abs() < 1e-7, "{score}");
        }
        // Probabilities of both are 1 and 0 to the last bit, their order is still known.
        let Prediction::Class { class, .. } = Prediction::one_class(&[1e9, 1.000_000_1e9, -1e9])
        else {
            panic!("a class")
        };
        assert_eq!(class, 1);
        assert_eq!(
            Prediction::any_classes(&[0.0, 200.0, -200.0]),
            Prediction::Classes(vec![0.5, 1.0, 0.0])
        );
    }

    #[test]
    fn any_number_of_classes_is_decided_by_thresholds() {
        let names = ["a", "b", "c"].map(str::to_owned);
        let prediction = Prediction::Classes(vec![0.4, 0.5, 0.7]);
        let decided = |thresholds: &Thresholds| prediction.decided(&names, thresholds);
        assert_eq!(decided(&Thresholds::new()), Some(Label::Classes(vec![1, 2])));
        let thresholds = Thresholds::from([("a".to_owned(), 0.3), ("c".to_owned(), 0.8)]);
        assert_eq!(decided(&thresholds), Some(Label::Classes(vec![0, 1])));
    }
}
