//! The metrics against `sklearn.metrics`, `scipy.stats`, NumPy and exact arithmetic (`tools/reference/generate_metrics_fixtures.py`,
//! `generate_scored_metrics_fixtures.py`).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "metrics/squad.rs"]
mod squad;

use std::collections::BTreeMap;

use nystromformer_tasks::{
    Label, Prediction,
    metrics::{
        AnswerKind, CALIBRATION_BINS, Calibration, ClassScores, ConfusionMatrix, LabelSets, Metric,
        Numbers, Predictions, SeedStatistics,
    },
};
use serde::Deserialize;

const TOLERANCE: f64 = 1e-12;

#[derive(Deserialize)]
struct Fixture {
    classes: Vec<Classes>,
    values: Vec<Values>,
    scores: Vec<Seeds>,
}

#[derive(Deserialize)]
struct Classes {
    about: String,
    num_labels: usize,
    predictions: Vec<u16>,
    references: Vec<u16>,
    expected: BTreeMap<Metric, f64>,
    confusion_matrix: Vec<Vec<u64>>,
    per_class: Vec<ClassScores>,
}

#[derive(Deserialize)]
struct Values {
    about: String,
    predictions: Vec<f64>,
    references: Vec<f64>,
    expected: BTreeMap<Metric, Option<f64>>,
}

#[derive(Deserialize)]
struct Seeds {
    about: String,
    scores: Vec<f64>,
    mean: f64,
    std: f64,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("fixtures/metrics.json")).unwrap()
}

/// Relative where the expected value is large: a squared error has no bound.
fn assert_close(got: f64, expected: f64, what: &str) {
    let error = (got - expected).abs() / expected.abs().max(1.0);
    assert!(error <= TOLERANCE, "{what}: {got:?} instead of {expected:?}");
}

/// NaN is null.
fn assert_same(got: f64, expected: Option<f64>, what: &str) {
    match expected {
        Some(expected) => assert_close(got, expected, what),
        None => assert!(got.is_nan(), "{what}: {got:?} instead of NaN"),
    }
}

#[test]
fn classes_score_as_in_scikit_learn() {
    for case in fixture().classes {
        let mut answers = Predictions::new(AnswerKind::Classes(case.num_labels));
        let mut matrix = ConfusionMatrix::new(case.num_labels);
        for (&class, &reference) in case.predictions.iter().zip(&case.references) {
            matrix.record(class, reference);
            let prediction = Prediction::Class { class, scores: vec![0.0; case.num_labels] };
            answers.record(&prediction, &Label::Class(reference)).unwrap();
        }
        for (metric, expected) in &case.expected {
            let what = format!("{}: {metric}", case.about);
            assert_close(metric.compute(&answers, &[]).unwrap(), *expected, &what);
        }
        assert!(case.expected.len() >= 3);
        assert_eq!(matrix.counts(), case.confusion_matrix, "{}", case.about);
        assert_eq!(matrix.num_labels(), case.per_class.len());
        for (class, expected) in case.per_class.iter().enumerate() {
            let (got, what) = (matrix.class_scores(class), format!("{}: {class}", case.about));
            assert_close(got.precision, expected.precision, &what);
            assert_close(got.recall, expected.recall, &what);
            assert_close(got.f1, expected.f1, &what);
            assert_eq!(got.support, expected.support, "{what}");
        }
    }
}

#[test]
fn values_score_as_in_scipy() {
    for case in fixture().values {
        let answers = Predictions::Values(vec![Numbers {
            predictions: case.predictions,
            references: case.references,
        }]);
        assert_eq!(case.expected.len(), 3);
        for (metric, expected) in case.expected {
            let got = metric.compute(&answers, &[]).unwrap();
            assert_same(got, expected, &format!("{}: {metric}", case.about));
        }
    }
}

#[derive(Deserialize)]
struct Scored {
    classes: Vec<ScoredClasses>,
    labels: Vec<ScoredLabels>,
    numbers: Vec<ScoredNumbers>,
}

#[derive(Deserialize)]
struct ScoredClasses {
    about: String,
    scores: Vec<Vec<f32>>,
    predictions: Vec<u16>,
    references: Vec<u16>,
    expected: BTreeMap<Metric, Option<f64>>,
}

#[derive(Deserialize)]
struct ScoredLabels {
    about: String,
    scores: Vec<Vec<f32>>,
    right: Vec<Vec<u16>>,
    thresholds: Vec<f64>,
    expected: BTreeMap<Metric, Option<f64>>,
    best_f1: Vec<Option<f64>>,
}

#[derive(Deserialize)]
struct ScoredNumbers {
    about: String,
    predictions: Vec<Vec<f32>>,
    references: Vec<Vec<f32>>,
    expected: BTreeMap<Metric, Option<f64>>,
    of_columns: BTreeMap<Metric, Vec<Option<f64>>>,
}

fn scored() -> Scored {
    serde_json::from_str(include_str!("fixtures/scored_metrics.json")).unwrap()
}

/// Every metric that such answers have is in the fixture.
fn assert_all(
    answers: &Predictions,
    thresholds: &[f64],
    case: &BTreeMap<Metric, Option<f64>>,
    about: &str,
) {
    let kind = match answers {
        Predictions::Classes(classes) => AnswerKind::Classes(classes.num_labels()),
        Predictions::Labels(sets) => AnswerKind::Labels(sets.num_labels()),
        Predictions::Values(columns) => AnswerKind::Values(columns.len()),
        Predictions::Choices { .. } => AnswerKind::Choices,
    };
    for metric in Metric::all_for(kind) {
        let got = metric.compute(answers, thresholds).unwrap();
        assert_same(got, case[&metric], &format!("{about}: {metric}"));
    }
}

#[test]
fn probabilities_of_classes_score_as_in_scikit_learn() {
    for case in scored().classes {
        let mut answers = Predictions::new(AnswerKind::Classes(case.scores[0].len()));
        for ((scores, class), right) in
            case.scores.into_iter().zip(case.predictions).zip(case.references)
        {
            answers.record(&Prediction::Class { class, scores }, &Label::Class(right)).unwrap();
        }
        assert_all(&answers, &[], &case.expected, &case.about);
    }
}

#[test]
fn sets_of_labels_score_as_in_scikit_learn_and_no_threshold_has_a_better_f1() {
    for case in scored().labels {
        let num_labels = case.thresholds.len();
        let mut answers = Predictions::new(AnswerKind::Labels(num_labels));
        let mut sets = LabelSets::new(num_labels);
        for (scores, right) in case.scores.into_iter().zip(case.right) {
            sets.record(&scores, &right);
            answers.record(&Prediction::Classes(scores), &Label::Classes(right)).unwrap();
        }
        assert_all(&answers, &case.thresholds, &case.expected, &case.about);
        let chosen = sets.best_thresholds();
        let thresholds: Vec<f64> =
            chosen.iter().map(|threshold| f64::from(threshold.unwrap_or(0.5))).collect();
        let counts = sets.counts(&thresholds);
        for (label, best) in case.best_f1.iter().enumerate() {
            let what = format!("{}: label {label}", case.about);
            assert_eq!(chosen[label].is_some(), best.is_some(), "{what}");
            if let Some(best) = best {
                assert_close(counts.labels[label].f1(), *best, &what);
            }
        }
    }
}

#[test]
fn several_numbers_score_as_in_scikit_learn() {
    for case in scored().numbers {
        let mut answers = Predictions::new(AnswerKind::Values(case.references[0].len()));
        for (values, right) in case.predictions.into_iter().zip(case.references) {
            answers.record(&Prediction::Values(values), &Label::Values(right)).unwrap();
        }
        assert_all(&answers, &[], &case.expected, &case.about);
        let Predictions::Values(columns) = answers else { unreachable!("numbers are recorded") };
        for (metric, expected) in case.of_columns {
            for (column, expected) in columns.iter().zip(expected) {
                let alone = Predictions::Values(vec![column.clone()]);
                let got = metric.compute(&alone, &[]).unwrap();
                assert_same(got, expected, &format!("{}: {metric}", case.about));
            }
        }
    }
}

#[test]
fn seeds_spread_as_in_numpy() {
    for case in fixture().scores {
        let statistics = SeedStatistics::of(&case.scores).unwrap();
        assert_close(statistics.mean, case.mean, &case.about);
        assert_close(statistics.std.unwrap(), case.std, &case.about);
    }
}

#[test]
fn fixtures_cover_undefined_correlations_and_classes_without_answers() {
    let fixture = fixture();
    assert!(fixture.values.iter().any(|case| case.expected[&Metric::Pearson].is_none()));
    assert!(fixture.classes.iter().any(|case| case.expected[&Metric::MatthewsCorrelation] == 0.0));
    assert!(
        fixture.classes.iter().flat_map(|case| &case.per_class).any(|class| class.support == 0)
    );
}

/// `tools/reference/generate_calibration_fixtures.py`.
#[test]
fn calibration_errors_are_those_of_the_published_formula() {
    #[derive(Deserialize)]
    struct Calibrations {
        bins: usize,
        cases: Vec<Confidences>,
    }
    #[derive(Deserialize)]
    struct Confidences {
        about: String,
        #[serde(rename = "confidences")]
        values: Vec<f64>,
        right: Vec<bool>,
        error: f64,
    }
    let fixture: Calibrations =
        serde_json::from_str(include_str!("fixtures/calibration.json")).unwrap();
    assert_eq!(fixture.bins, CALIBRATION_BINS);
    for case in fixture.cases {
        let mut calibration = Calibration::default();
        for (confidence, is_right) in case.values.iter().zip(&case.right) {
            calibration.record(*confidence, *is_right);
        }
        assert_close(calibration.error(), case.error, &case.about);
    }
}
