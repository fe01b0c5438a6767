//! What a classifier gets wrong, with the texts that it got wrong.

use std::collections::HashMap;

use nystromformer_tasks::metrics::{
    AnswerPlace, AnsweredExample, ErrorAnalysis, ErrorCollector, LabelledPrediction,
};
use nystromformer_tasks::{ClassNames, Example, Input, Label, Prediction, Split};

use super::TaskBatches;
use super::splits::Evaluated;
use crate::error::Result;

impl TaskBatches {
    /// The mistakes among the answers for a split; `None` where an example, or a word, is not of one class.
    ///
    /// # Errors
    /// If the examples cannot be read once more.
    pub(super) fn errors_of(
        &self,
        split: Split,
        evaluated: &Evaluated,
        answered: &[LabelledPrediction<'_>],
    ) -> Result<Option<ErrorAnalysis>> {
        let Some(names) = self.targets.class_names().map(ClassNames::names) else {
            return Ok(None);
        };
        let mut errors = ErrorCollector::new(names.len());
        for LabelledPrediction { place: example, prediction, label } in answered {
            let example = *example;
            match (prediction, label) {
                (Prediction::Class { class, scores }, Label::Class(right)) => {
                    let score = f64::from(scores[usize::from(*class)]);
                    errors.record(AnswerPlace { example, word: None }, *right, *class, score);
                }
                (Prediction::Tags(tags), Label::Tags(right)) => {
                    for (word, (tag, right)) in tags.iter().zip(&right.classes).enumerate() {
                        let (Some(tag), Some(right)) = (tag, right) else { continue };
                        let place = AnswerPlace { example, word: Some(word) };
                        errors.record(place, *right, tag.class, f64::from(tag.score));
                    }
                }
                // What may have several classes is right or wrong in parts.
                _ => return Ok(None),
            }
        }
        let mut texts = HashMap::new();
        let mut wanted: Vec<usize> = errors.places().map(|place| place.example).collect();
        wanted.sort_unstable();
        if !wanted.is_empty() {
            for read in self.examples_of(split, evaluated)? {
                let (place, example) = read?;
                if wanted.binary_search(&place).is_ok() {
                    texts.insert(place, example);
                }
            }
        }
        Ok(errors.report(names, |place| match texts.get(&place.example) {
            Some(example) => AnsweredExample {
                row: example.row.unwrap_or(place.example),
                id: example.id.clone(),
                text: text_of(example, place.word),
            },
            None => AnsweredExample { row: place.example, ..AnsweredExample::default() },
        }))
    }
}

/// What was read of an example, or the word of it; empty if it is no text.
fn text_of(example: &Example, word: Option<usize>) -> String {
    match (&example.input, word) {
        (Input::Words(text), Some(word)) => text.words.get(word).cloned().unwrap_or_default(),
        (Input::Words(text), None) => text.words.join(" "),
        (Input::Text { first, second: None }, _) => first.clone(),
        (Input::Text { first, second: Some(second) }, _) => format!("{first} | {second}"),
        _ => String::new(),
    }
}
