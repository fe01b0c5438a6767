//! The metrics against `sklearn.metrics`, `scipy.stats`, NumPy and exact arithmetic (`tools/reference/generate_metrics_fixtures.py`).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "metrics/squad.rs"]
mod squad;

use std::collections::BTreeMap;

use nystromformer_tasks::{
    Label,
    metrics::{CALIBRATION_BINS, Calibration, ClassScores, Metric, Predictions, SeedStatistics},
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

#[test]
fn classes_score_as_in_scikit_learn() {
    for case in fixture().classes {
        let mut answers = Predictions::new(case.num_labels);
        for (&prediction, &reference) in case.predictions.iter().zip(&case.references) {
            answers.record(&Label::Class(prediction), &Label::Class(reference));
        }
        for metric in Metric::all_for(case.num_labels) {
            let what = format!("{}: {metric}", case.about);
            assert_close(metric.compute(&answers).unwrap(), case.expected[&metric], &what);
        }
        assert_eq!(case.expected.len(), Metric::all_for(case.num_labels).len());
        let Predictions::Classes(matrix) = answers else {
            unreachable!("several labels are classes")
        };
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
        let answers =
            Predictions::Values { predictions: case.predictions, references: case.references };
        assert_eq!(case.expected.len(), Metric::all_for(1).len());
        for (metric, expected) in case.expected {
            let (got, what) =
                (metric.compute(&answers).unwrap(), format!("{}: {metric}", case.about));
            match expected {
                Some(expected) => assert_close(got, expected, &what),
                None => assert!(got.is_nan(), "{what}: {got:?} instead of NaN"),
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
        confidences: Vec<f64>,
        right: Vec<bool>,
        error: f64,
    }
    let fixture: Calibrations =
        serde_json::from_str(include_str!("fixtures/calibration.json")).unwrap();
    assert_eq!(fixture.bins, CALIBRATION_BINS);
    for case in fixture.cases {
        let mut calibration = Calibration::default();
        for (confidence, is_right) in case.confidences.iter().zip(&case.right) {
            calibration.record(*confidence, *is_right);
        }
        assert_close(calibration.error(), case.error, &case.about);
    }
}
