//! What a classifier gets wrong: the mistakes it is surest of, the classes it takes for each other, and how far its
//! probabilities are to be believed.

use std::cmp::Ordering;

use nystromformer_files::null_as_nan;
use serde::{Deserialize, Serialize};

use super::{Calibration, ConfusionMatrix, ReliabilityBin};

/// Mistakes, and pairs of classes, that are listed at most.
const MOST_LISTED: usize = 20;

/// Characters of a text that are shown.
const MOST_CHARACTERS: usize = 200;

/// What a run's summary says of a classifier's mistakes on a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorAnalysis {
    /// Answers that were given: examples, or words.
    pub answers: u64,
    /// Those that are wrong.
    pub mistakes: u64,
    /// See [`Calibration`]; NaN, in JSON `null`, where a model's answers are no numbers.
    #[serde(deserialize_with = "null_as_nan")]
    pub expected_calibration_error: f64,
    /// What it is the mean distance of: bins of equal width, by confidence. Empty in older summaries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reliability: Vec<ReliabilityBin>,
    /// The wrong answers with the highest probabilities, the surest first, of equals the first in the data; at most 20.
    pub most_confident_mistakes: Vec<Mistake>,
    /// Which classes were taken for which, the most frequent first, of equals by the order of the classes; at most 20.
    pub confusion_pairs: Vec<ConfusionPair>,
}

/// A wrong answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mistake {
    /// Row of the example in the files of its split, from 0.
    pub example: usize,
    /// Place of the word in the example, from 0, where answers are given of words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<usize>,
    /// What the file calls the example, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What was read, at most 200 characters of it; empty if it is no text.
    pub text: String,
    /// The right class.
    pub label: String,
    /// The class that was predicted.
    pub prediction: String,
    /// Its probability; NaN, in JSON `null`, where a model's answers are no numbers.
    #[serde(deserialize_with = "null_as_nan")]
    pub score: f64,
}

/// Two classes of which one was taken for the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfusionPair {
    /// The right class.
    pub label: String,
    /// The class that was predicted.
    pub prediction: String,
    /// How often.
    pub count: u64,
}

/// Where an answer was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnswerPlace {
    /// Place of the example among those that are read of its split, from 0.
    pub example: usize,
    /// Place of the word in the example, where answers are given of words.
    pub word: Option<usize>,
}

/// What is said of an example whose answer is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnsweredExample {
    /// Its row in the files of its split, from 0.
    pub row: usize,
    /// What the file calls it, if it does.
    pub id: Option<String>,
    /// What was read; empty if it is no text.
    pub text: String,
}

/// Takes in answers one by one, and keeps no more of them than is listed.
#[derive(Debug, Clone)]
pub struct ErrorCollector {
    matrix: ConfusionMatrix,
    calibration: Calibration,
    /// The surest first.
    mistakes: Vec<Wrong>,
}

#[derive(Debug, Clone, Copy)]
struct Wrong {
    place: AnswerPlace,
    label: u16,
    prediction: u16,
    score: f64,
}

impl Wrong {
    fn order(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.place.cmp(&other.place))
    }
}

impl ErrorCollector {
    /// No answers yet, of `num_labels` classes.
    pub fn new(num_labels: usize) -> Self {
        Self {
            matrix: ConfusionMatrix::new(num_labels),
            calibration: Calibration::default(),
            mistakes: Vec::new(),
        }
    }

    /// Takes in the answer `prediction`, which was given with the probability `score` where `label` is right.
    ///
    /// # Panics
    ///
    /// If a class is not below the number of classes.
    pub fn record(&mut self, place: AnswerPlace, label: u16, prediction: u16, score: f64) {
        self.matrix.record(prediction, label);
        self.calibration.record(score, prediction == label);
        if prediction == label {
            return;
        }
        let wrong = Wrong { place, label, prediction, score };
        let rank = self.mistakes.partition_point(|other| other.order(&wrong).is_lt());
        if rank < MOST_LISTED {
            self.mistakes.insert(rank, wrong);
            self.mistakes.truncate(MOST_LISTED);
        }
    }

    /// Where the mistakes were made that are listed.
    pub fn places(&self) -> impl Iterator<Item = AnswerPlace> {
        self.mistakes.iter().map(|wrong| wrong.place)
    }

    /// What is to be said of the answers; `None` if there are none. Classes are called `names`; `describe` gives
    /// the example of an answer.
    ///
    /// # Panics
    ///
    /// If there is not a name for each class.
    pub fn report(
        &self,
        names: &[String],
        describe: impl Fn(AnswerPlace) -> AnsweredExample,
    ) -> Option<ErrorAnalysis> {
        assert_eq!(names.len(), self.matrix.num_labels(), "each class has a name");
        let answers = self.matrix.total();
        let name = |class: u16| names[usize::from(class)].clone();
        let mistake = |wrong: &Wrong| {
            let AnsweredExample { row, id, text } = describe(wrong.place);
            Mistake {
                example: row,
                word: wrong.place.word,
                id,
                text: shortened(&text),
                label: name(wrong.label),
                prediction: name(wrong.prediction),
                score: wrong.score,
            }
        };
        (answers > 0).then(|| ErrorAnalysis {
            answers,
            mistakes: answers - self.matrix.right(),
            expected_calibration_error: self.calibration.error(),
            reliability: self.calibration.reliability(),
            most_confident_mistakes: self.mistakes.iter().map(mistake).collect(),
            confusion_pairs: self.pairs(names),
        })
    }

    fn pairs(&self, names: &[String]) -> Vec<ConfusionPair> {
        let rows = self.matrix.counts().iter().enumerate();
        let mut pairs: Vec<(u64, usize, usize)> = rows
            .flat_map(|(label, row)| {
                let cells = row.iter().enumerate();
                cells.map(move |(prediction, count)| (*count, label, prediction))
            })
            .filter(|(count, label, prediction)| *count > 0 && label != prediction)
            .collect();
        pairs.sort_by_key(|(count, label, prediction)| (u64::MAX - count, *label, *prediction));
        let pair = |(count, label, prediction): (u64, usize, usize)| ConfusionPair {
            label: names[label].clone(),
            prediction: names[prediction].clone(),
            count,
        };
        pairs.into_iter().take(MOST_LISTED).map(pair).collect()
    }
}

/// The beginning of a text in one line, with `…` in place of what is left out.
fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST_CHARACTERS) {
        None => line,
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["red", "green", "blue"].map(str::to_owned).to_vec()
    }

    fn at(example: usize) -> AnswerPlace {
        AnswerPlace { example, word: None }
    }

    fn described(place: AnswerPlace) -> AnsweredExample {
        AnsweredExample {
            row: place.example,
            id: Some(format!("id{}", place.example)),
            text: format!("text\n {}", place.example),
        }
    }

    #[test]
    fn the_surest_mistakes_come_first_and_no_more_than_twenty_of_them() {
        let mut errors = ErrorCollector::new(3);
        for example in 0..100 {
            // Right answers are surer still, and every fifth score comes twice.
            let (prediction, score) =
                if example % 2 == 0 { (0, 0.99) } else { (1, 0.4 + 0.05 * (example % 10) as f64) };
            errors.record(at(example), 0, prediction, score);
        }
        let report = errors.report(&names(), described).unwrap();
        assert_eq!((report.answers, report.mistakes), (100, 50));
        let found: Vec<(usize, f64)> =
            report.most_confident_mistakes.iter().map(|m| (m.example, m.score)).collect();
        let mut expected: Vec<(usize, f64)> = (0..100)
            .filter(|example| example % 2 == 1)
            .map(|example| (example, 0.4 + 0.05 * (example % 10) as f64))
            .collect();
        expected.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        expected.truncate(20);
        assert_eq!(found, expected);
        let first = &report.most_confident_mistakes[0];
        assert_eq!((first.text.as_str(), first.id.as_deref()), ("text 9", Some("id9")));
        assert_eq!((first.label.as_str(), first.prediction.as_str()), ("red", "green"));
        let pair = ConfusionPair { label: "red".into(), prediction: "green".into(), count: 50 };
        assert_eq!(report.confusion_pairs, [pair]);
    }

    #[test]
    fn pairs_are_counted_in_their_direction() {
        let mut errors = ErrorCollector::new(3);
        for (label, prediction, count) in [(0, 1, 2), (1, 0, 3), (2, 0, 2), (1, 1, 9)] {
            for example in 0..count {
                errors.record(at(example), label, prediction, 0.5);
            }
        }
        let report = errors.report(&names(), described).unwrap();
        let pairs: Vec<(&str, &str, u64)> = report
            .confusion_pairs
            .iter()
            .map(|pair| (pair.label.as_str(), pair.prediction.as_str(), pair.count))
            .collect();
        assert_eq!(pairs, [("green", "red", 3), ("red", "green", 2), ("blue", "red", 2)]);
        assert!(ErrorCollector::new(3).report(&names(), described).is_none());
    }

    #[test]
    fn long_texts_are_shortened_at_a_character() {
        assert_eq!(shortened(" a \n\tb "), "a b");
        let long = "é".repeat(300);
        assert_eq!(shortened(&long), format!("{}…", "é".repeat(200)));
        assert_eq!(shortened(&"é".repeat(200)), "é".repeat(200));
    }

    #[test]
    fn the_report_reads_back() {
        let mut errors = ErrorCollector::new(3);
        errors.record(AnswerPlace { example: 4, word: Some(2) }, 0, 2, 0.75);
        let report = errors
            .report(&names(), |_| AnsweredExample {
                row: 7,
                text: "word".to_owned(),
                ..AnsweredExample::default()
            })
            .unwrap();
        let json = serde_json::to_value(&report).unwrap();
        let empty = serde_json::json!({"answers": 0, "confidence": null, "accuracy": null});
        let mut bins = vec![empty; 15];
        bins[11] = serde_json::json!({"answers": 1, "confidence": 0.75, "accuracy": 0.0});
        assert_eq!(
            json,
            serde_json::json!({
                "answers": 1,
                "mistakes": 1,
                "expected_calibration_error": 0.75,
                "reliability": bins,
                "most_confident_mistakes": [{
                    "example": 7, "word": 2, "text": "word", "label": "red", "prediction": "blue", "score": 0.75
                }],
                "confusion_pairs": [{"label": "red", "prediction": "blue", "count": 1}],
            })
        );
        assert_eq!(serde_json::from_value::<ErrorAnalysis>(json).unwrap(), report);
    }
}
