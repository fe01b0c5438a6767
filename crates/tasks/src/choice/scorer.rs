//! How good choices are, and how they are written.

use std::collections::BTreeMap;

use nystromformer_data::DataError;
use serde_json::{Map, json};

use crate::example::{Input, Label};
use crate::metrics::{Answered, MetricName, Scorer, Thresholds};
use crate::prediction::Prediction;
use crate::prediction_files::{Predicted, PredictionFile, PredictionReader};

const ACCURACY: &str = "accuracy";

/// The share of questions whose right choice has the highest score.
#[derive(Debug, Clone, Copy, Default)]
pub struct ChoiceScorer;

impl Scorer for ChoiceScorer {
    fn names(&self) -> Vec<MetricName> {
        vec![MetricName::greater_is_better(ACCURACY)]
    }

    fn score(&self, answered: &[Answered<'_>], _: &Thresholds) -> BTreeMap<String, f64> {
        let right = |answered: &&Answered<'_>| matches!((answered.prediction, answered.label), (Prediction::Class { class, .. }, Label::Class(label)) if class == label);
        BTreeMap::from([(ACCURACY.to_owned(), share(answered, right))])
    }

    /// Of always taking the place that is right most often in training (the first of equals; a question without such a place
    /// is wrong), and what drawing a choice gives on average: `chance`, the mean of 1 / choices.
    fn constant_predictor(
        &self,
        training: &mut dyn Iterator<Item = &Label>,
        answered: &[Answered<'_>],
    ) -> BTreeMap<String, f64> {
        let mut counts = BTreeMap::<u16, usize>::new();
        for label in training {
            if let Label::Class(place) = label {
                *counts.entry(*place).or_default() += 1;
            }
        }
        let most =
            counts.iter().rev().max_by_key(|(_, count)| **count).map_or(0, |(place, _)| *place);
        let is_most = |answered: &&Answered<'_>| *answered.label == Label::Class(most);
        let chances = answered.iter().filter_map(|answered| match answered.prediction {
            Prediction::Class { scores, .. } => Some(1.0 / scores.len() as f64),
            _ => None,
        });
        BTreeMap::from([
            (ACCURACY.to_owned(), share(answered, is_most)),
            ("chance".to_owned(), chances.sum::<f64>() / answered.len() as f64),
        ])
    }
}

fn share(answered: &[Answered<'_>], is_one: impl Fn(&&Answered<'_>) -> bool) -> f64 {
    answered.iter().filter(is_one).count() as f64 / answered.len() as f64
}

/// A line of JSON for each question: its `id` (or `index`), the `choice` by its place from 0, its text as it was read as `label`,
/// its probability as `score`, and the `scores` of all choices, as `predict choice` has them.
///
/// # Errors
///
/// Those of `predicted`.
pub(super) fn prediction_lines(
    predicted: PredictionReader<'_>,
) -> Result<PredictionFile, DataError> {
    let mut contents = Vec::new();
    for predicted in predicted {
        let Predicted { place, example, prediction } = predicted?;
        let (Prediction::Class { class, scores }, Input::Choices(choices)) =
            (prediction, example.input)
        else {
            continue;
        };
        let choice = usize::from(class);
        let (first, second) = &choices[choice];
        let mut line = Map::new();
        match example.id {
            Some(id) => line.insert("id".to_owned(), json!(id)),
            None => line.insert("index".to_owned(), json!(place)),
        };
        line.insert("choice".to_owned(), json!(choice));
        line.insert("label".to_owned(), json!(second.as_ref().unwrap_or(first)));
        line.insert("score".to_owned(), json!(scores[choice]));
        line.insert("scores".to_owned(), json!(scores));
        contents.extend(serde_json::Value::Object(line).to_string().into_bytes());
        contents.push(b'\n');
    }
    Ok(PredictionFile { extension: "jsonl", contents })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::Example;

    #[test]
    fn accuracy_beside_the_most_frequent_place_and_chance() {
        let labels = [0, 1, 2, 1].map(Label::Class);
        let predictions = [&[0.0f32, 1.0][..], &[0.0, 1.0], &[0.0, 0.0, 3.0, 0.0], &[1.0, 0.0]]
            .map(Prediction::one_class);
        let answered: Vec<Answered<'_>> = labels
            .iter()
            .zip(&predictions)
            .enumerate()
            .map(|(place, (label, prediction))| Answered { place, prediction, label })
            .collect();
        let scores = ChoiceScorer.score(&answered, &Thresholds::new());
        assert_eq!(scores, BTreeMap::from([("accuracy".to_owned(), 0.5)]));
        let training = [2, 1, 1, 2].map(Label::Class);
        let constant = ChoiceScorer.constant_predictor(&mut training.iter(), &answered);
        // Place 1, the first of two that are equally frequent; (1/2 + 1/2 + 1/4 + 1/2) / 4.
        assert_eq!(constant["accuracy"], 0.5);
        assert_eq!(constant["chance"], 0.4375);
    }

    #[test]
    fn a_line_has_the_choice_and_all_scores() {
        let example = Example {
            id: Some("q7".to_owned()),
            input: Input::Choices(vec![
                ("p".to_owned(), Some("no".to_owned())),
                ("p".to_owned(), Some("yes".to_owned())),
            ]),
            label: None,
        };
        let prediction = Prediction::one_class(&[0.0, 3f32.ln()]);
        let predicted = std::iter::once(Ok(Predicted { place: 4, example, prediction }));
        let file = prediction_lines(Box::new(predicted)).unwrap();
        let line: serde_json::Value = serde_json::from_slice(&file.contents).unwrap();
        assert_eq!(
            (&line["id"], &line["choice"], &line["label"]),
            (&json!("q7"), &json!(1), &json!("yes"))
        );
        assert!((line["score"].as_f64().unwrap() - 0.75).abs() < 1e-6);
        assert_eq!(line["scores"].as_array().unwrap().len(), 2);
    }
}
