//! Answers as files: a line of JSON each, with the fields of transformers' pipeline; and, as its example `run_qa` names and lays
//! them out, the answer of each question, its n-best list, and by how much the score of "no answer" is above the best's.

use std::collections::HashSet;

use nystromformer_data::DataError;
use nystromformer_files::say_once;
use serde::{Serialize, Serializer};
use serde_json::ser::{PrettyFormatter, Serializer as JsonSerializer};

use super::scorer::threshold_in;
use super::{AnswerCandidate, AnswerCandidates};
use crate::metrics::Thresholds;
use crate::prediction::Prediction;
use crate::prediction_files::{Predicted, PredictionFile, PredictionReader};

/// An object of JSON whose keys stay in their order.
struct Ordered<T>(Vec<(String, T)>);

impl<T: Serialize> Serialize for Ordered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// A line of an answer.
#[derive(Serialize)]
struct AnswerLine<'a> {
    id: &'a str,
    score: f64,
    start: usize,
    end: usize,
    answer: &'a str,
}

impl<'a> AnswerLine<'a> {
    /// The line of the answer that is given, or of "no answer".
    fn new(id: &'a str, found: &'a AnswerCandidates, threshold: f64) -> Self {
        let nothing = || found.candidates.iter().find(|candidate| candidate.text.is_empty());
        match found.answer(threshold).or_else(nothing) {
            Some(AnswerCandidate { text, probability, start, end, .. }) => {
                Self { id, score: *probability, start: *start, end: *end, answer: text }
            }
            None => Self { id, score: 0.0, start: 0, end: 0, answer: "" },
        }
    }
}

/// `jsonl`, `predictions.json`, `nbest_predictions.json` and, where a question may have no answer, `null_odds.json`. A question is called
/// by its `id`, or its row from 0 if it has none.
pub(super) fn files(
    predicted: PredictionReader<'_>,
    thresholds: &Thresholds,
) -> Result<Vec<PredictionFile>, DataError> {
    let threshold = threshold_in(thresholds);
    let (mut answers, mut lists, mut odds) = (Vec::new(), Vec::new(), Vec::new());
    let mut lines = Vec::new();
    let (mut known, mut again) = (HashSet::new(), 0_u64);
    for predicted in predicted {
        let Predicted { row, example, prediction } = predicted?;
        let Prediction::Answers(found) = prediction else { continue };
        let mut id = example.id.unwrap_or_else(|| row.to_string());
        if !known.insert(id.clone()) {
            again += 1;
            id = format!("{id}:{row}");
        }
        if found.no_answer.is_some() {
            odds.push((id.clone(), found.score_diff()));
        }
        let line = AnswerLine::new(&id, &found, threshold);
        answers.push((id.clone(), line.answer.to_owned()));
        serde_json::to_writer(&mut lines, &line).map_err(|error| unwritten("jsonl", &error))?;
        lines.push(b'\n');
        lists.push((id, found.candidates));
    }
    if again > 0 {
        say_once(format!(
            "`{again}` questions have the `id` of another: in the files of predictions their row is added to it"
        ));
    }
    let mut files = vec![
        PredictionFile { extension: "jsonl", contents: lines },
        file("predictions.json", &Ordered(answers))?,
        file("nbest_predictions.json", &Ordered(lists))?,
    ];
    if !odds.is_empty() {
        files.push(file("null_odds.json", &Ordered(odds))?);
    }
    Ok(files)
}

fn unwritten(extension: &str, error: &serde_json::Error) -> DataError {
    DataError::dataset(extension.as_ref(), format!("cannot be written as JSON: {error}"))
}

fn file(extension: &'static str, value: &impl Serialize) -> Result<PredictionFile, DataError> {
    let mut contents = Vec::new();
    let formatter = PrettyFormatter::with_indent(b"    ");
    value
        .serialize(&mut JsonSerializer::with_formatter(&mut contents, formatter))
        .map_err(|error| unwritten(extension, &error))?;
    contents.push(b'\n');
    Ok(PredictionFile { extension, contents })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::{Example, Input};

    fn predicted(row: usize, id: Option<&str>, no_answer: Option<f32>) -> Predicted {
        let candidate = |text: &str, start_logit: f32| AnswerCandidate {
            start_logit,
            end_logit: 0.5,
            text: text.to_owned(),
            probability: 0.25,
            start: 0,
            end: text.len(),
        };
        let mut candidates = vec![candidate("a cat", 2.1)];
        candidates.extend(no_answer.map(|score| candidate("", score - 0.5)));
        let input = Input::Question { question: "q".to_owned(), context: "a cat".to_owned() };
        Predicted {
            row,
            example: Example { row: None, id: id.map(str::to_owned), input, label: None },
            prediction: Prediction::Answers(AnswerCandidates { candidates, no_answer }),
        }
    }

    fn written(predicted: Vec<Predicted>) -> Vec<(&'static str, String)> {
        let thresholds = Thresholds::from([("null_score_diff_threshold".to_owned(), -1.0)]);
        let reader = Box::new(predicted.into_iter().map(Ok));
        let files = files(reader, &thresholds).unwrap();
        let text =
            |file: PredictionFile| (file.extension, String::from_utf8(file.contents).unwrap());
        files.into_iter().map(text).collect()
    }

    #[test]
    fn files_are_laid_out_as_run_qa_does() {
        let files = written(vec![predicted(0, Some("z"), None), predicted(1, None, None)]);
        assert_eq!(files.len(), 3);
        let line = "{\"id\":\"z\",\"score\":0.25,\"start\":0,\"end\":5,\"answer\":\"a cat\"}\n";
        assert!(files[0].0 == "jsonl" && files[0].1.starts_with(line), "{}", files[0].1);
        assert_eq!(
            files[1],
            ("predictions.json", "{\n    \"z\": \"a cat\",\n    \"1\": \"a cat\"\n}\n".to_owned())
        );
        let list = "{\n    \"z\": [\n        {\n            \"start_logit\": 2.0999999046325684,\n            \
                    \"end_logit\": 0.5,\n            \"text\": \"a cat\",\n            \"probability\": 0.25\n        }\n    ],";
        assert!(files[2].1.starts_with(list), "{}", files[2].1);
    }

    #[test]
    fn no_answer_is_given_above_the_threshold() {
        let files =
            written(vec![predicted(0, Some("x"), Some(1.0)), predicted(1, Some("x"), Some(2.0))]);
        let parsed: Vec<serde_json::Value> =
            files[1..].iter().map(|(_, text)| serde_json::from_str(text).unwrap()).collect();
        assert_eq!(parsed[0], serde_json::json!({"x": "a cat", "x:1": ""}));
        assert!(files[0].1.contains("\"end\":0,\"answer\":\"\""), "{}", files[0].1);
        assert_eq!(files[3].0, "null_odds.json");
        assert!((parsed[2]["x:1"].as_f64().unwrap() + 0.6).abs() < 1e-6);
    }
}
