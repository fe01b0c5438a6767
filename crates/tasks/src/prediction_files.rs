//! Predictions as files.

use std::collections::HashSet;

use nystromformer_data::DataError;
use nystromformer_files::say_once;
use serde_json::{Map, Value, json};

use crate::example::{Example, Label};
use crate::labelled::Targets;
use crate::metrics::Thresholds;
use crate::prediction::Prediction;

/// A file of predictions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PredictionFile {
    /// What follows its name, e.g. `jsonl`, or `nbest_predictions.json`.
    pub extension: &'static str,
    /// All of it.
    pub contents: Vec<u8>,
}

/// An example, and what a model said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicted {
    /// The example's row in the files that it was read from, from 0: those of its split, or of the training split, if it was held out
    /// of it or is of a fold.
    pub row: usize,
    /// The example as it was read.
    pub example: Example,
    /// What the model said.
    pub prediction: Prediction,
}

/// Examples with their predictions, in the order of the examples.
pub type PredictionReader<'a> = Box<dyn Iterator<Item = Result<Predicted, DataError>> + 'a>;

/// A line of JSON for each example: `id` (or its `index`), the `label` that was decided on as `spell` writes it, the `score` of
/// it, and the `scores` of all classes by name.
///
/// # Errors
///
/// Those of `predicted`.
pub fn json_lines(
    predicted: PredictionReader<'_>,
    targets: &Targets,
    thresholds: &Thresholds,
    spell: &dyn Fn(&Label) -> Option<String>,
) -> Result<PredictionFile, DataError> {
    let names = targets.names();
    let mut contents = Vec::new();
    let (mut known, mut again) = (HashSet::new(), 0_u64);
    for predicted in predicted {
        let predicted = predicted?;
        let line = Value::Object(line(&predicted, &names, thresholds, spell));
        contents.extend(line.to_string().into_bytes());
        contents.push(b'\n');
        again += u64::from(predicted.example.id.is_some_and(|id| !known.insert(id)));
    }
    if again > 0 {
        say_once(format!(
            "`{again}` examples have the `id` of another: their predictions stand in the order of the examples"
        ));
    }
    Ok(PredictionFile { extension: "jsonl", contents })
}

fn line(
    predicted: &Predicted,
    names: &[String],
    thresholds: &Thresholds,
    spell: &dyn Fn(&Label) -> Option<String>,
) -> Map<String, Value> {
    let name = |class: usize| names.get(class).cloned().unwrap_or_else(|| class.to_string());
    let by_name = |values: &[f32]| -> Map<String, Value> {
        values.iter().enumerate().map(|(class, value)| (name(class), json!(value))).collect()
    };
    let mut line = Map::new();
    match &predicted.example.id {
        Some(id) => line.insert("id".to_owned(), json!(id)),
        None => line.insert("index".to_owned(), json!(predicted.row)),
    };
    let mut insert = |key: &str, value: Value| line.insert(key.to_owned(), value);
    match &predicted.prediction {
        Prediction::Class { class, scores } => {
            let label = spell(&Label::Class(*class)).unwrap_or_else(|| name(usize::from(*class)));
            insert("label", json!(label));
            insert("score", json!(scores[usize::from(*class)]));
            insert("scores", Value::Object(by_name(scores)));
        }
        Prediction::Classes(scores) => {
            let decided = predicted.prediction.decided(names, thresholds);
            let Some(Label::Classes(classes)) = decided else { return line };
            let labels: Vec<String> =
                classes.into_iter().map(|class| name(usize::from(class))).collect();
            insert("labels", json!(labels));
            insert("scores", Value::Object(by_name(scores)));
        }
        Prediction::Values(values) => match values.as_slice() {
            [value] => {
                // A number stays one, if the task does not write it in a way of its own.
                let spelled =
                    spell(&Label::Value(*value)).and_then(|text| text.parse::<f64>().ok());
                insert("label", spelled.map_or_else(|| json!(value), |number| json!(number)));
            }
            values => {
                insert("labels", Value::Object(by_name(values)));
            }
        },
        Prediction::Tags(tags) => {
            let classes: Vec<Option<String>> =
                tags.iter().map(|tag| tag.map(|tag| name(usize::from(tag.class)))).collect();
            let scores: Vec<Option<f32>> =
                tags.iter().map(|tag| tag.map(|tag| tag.score)).collect();
            insert("labels", json!(classes));
            insert("scores", json!(scores));
        }
        Prediction::Answers(answers) => {
            let best = answers.best();
            insert("answer", json!(best.map_or("", |candidate| candidate.text.as_str())));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::Input;

    #[test]
    fn a_line_names_label_and_scores() {
        let targets = Targets::classes(["no", "yes"]).unwrap();
        let example = |id: Option<&str>| Example {
            row: None,
            id: id.map(str::to_owned),
            input: Input::Text { first: "text".to_owned(), second: None },
            label: None,
        };
        let prediction = Prediction::one_class(&[0.0, 3f32.ln()]);
        let predicted = [(0, None), (1, Some("x"))].map(|(row, id)| {
            Ok(Predicted { row, example: example(id), prediction: prediction.clone() })
        });
        let spell = |label: &Label| targets.spell(label);
        let file =
            json_lines(Box::new(predicted.into_iter()), &targets, &Thresholds::new(), &spell)
                .unwrap();
        let lines: Vec<Value> = String::from_utf8(file.contents)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0]["index"], 0);
        assert_eq!(lines[1]["id"], "x");
        assert_eq!(lines[1]["label"], "yes");
        assert_eq!(lines[1]["scores"].as_object().unwrap().len(), 2);
        assert!((lines[1]["score"].as_f64().unwrap() - 0.75).abs() < 1e-6);
    }
}
