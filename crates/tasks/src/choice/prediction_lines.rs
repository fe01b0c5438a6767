//! Which choice was taken, as lines of JSON.

use nystromformer_data::DataError;
use serde_json::{Map, json};

use crate::example::Input;
use crate::prediction::Prediction;
use crate::prediction_files::{Predicted, PredictionFile, PredictionReader};

/// A line of JSON for each question: its `id` (or `index`), the `choice` by its place from 0, its text as it was read as `label`,
/// its probability as `score`, and the `scores` of all places, as `predict choice` has them; that of an empty place is null.
///
/// # Errors
///
/// Those of `predicted`.
pub(super) fn prediction_lines(
    predicted: PredictionReader<'_>,
) -> Result<PredictionFile, DataError> {
    let mut contents = Vec::new();
    for predicted in predicted {
        let Predicted { row, example, prediction } = predicted?;
        let (Prediction::Class { class, scores }, Input::Choices(choices)) =
            (prediction, example.input)
        else {
            continue;
        };
        let choice = usize::from(class);
        let text = choices.get(choice).and_then(Option::as_ref);
        let mut line = Map::new();
        match example.id {
            Some(id) => line.insert("id".to_owned(), json!(id)),
            None => line.insert("index".to_owned(), json!(row)),
        };
        line.insert("choice".to_owned(), json!(choice));
        line.insert(
            "label".to_owned(),
            json!(text.map(|(first, second)| second.as_ref().unwrap_or(first))),
        );
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
    fn a_line_has_the_choice_and_all_scores() {
        let example = Example {
            row: None,
            id: Some("q7".to_owned()),
            input: Input::Choices(vec![
                Some(("p".to_owned(), Some("no".to_owned()))),
                None,
                Some(("p".to_owned(), Some("yes".to_owned()))),
            ]),
            label: None,
        };
        let prediction = Prediction::Class { class: 2, scores: vec![0.25, f32::NAN, 0.75] };
        let predicted = std::iter::once(Ok(Predicted { row: 4, example, prediction }));
        let file = prediction_lines(Box::new(predicted)).unwrap();
        let line: serde_json::Value = serde_json::from_slice(&file.contents).unwrap();
        assert_eq!(
            (&line["id"], &line["choice"], &line["label"]),
            (&json!("q7"), &json!(2), &json!("yes"))
        );
        assert!((line["score"].as_f64().unwrap() - 0.75).abs() < 1e-6);
        assert_eq!(line["scores"].as_array().unwrap().len(), 3);
        assert_eq!(line["scores"][1], json!(null));
    }
}
