//! The arithmetic against NumPy and `scipy` in double precision (`tools/reference/generate_table_fixtures.py`).

use serde::Deserialize;

use crate::exact::{attention_rows, nystrom_rows, segment_means};
use crate::interval::{Interval, two_sided};
use crate::matrix::Matrix;
use crate::power_law::{Crossover, Point, crossover, slope};
use crate::singular_values::{rank_bound, singular_values};

#[derive(Deserialize)]
struct Fixtures {
    singular_values: Vec<Decomposed>,
    nystrom: Vec<Approximated>,
    growth: Vec<Growth>,
    two_sided: TwoSided,
    intervals: Vec<OfValues>,
}

#[derive(Deserialize)]
struct Decomposed {
    about: String,
    rows: usize,
    columns: usize,
    values: Vec<f64>,
    singular_values: Vec<f64>,
    errors: Vec<f64>,
}

#[derive(Deserialize)]
struct Approximated {
    seq_len: usize,
    head_dim: usize,
    landmarks: usize,
    iterations: usize,
    query: Vec<f64>,
    key: Vec<f64>,
    value: Vec<f64>,
    tokens: Vec<usize>,
    segment_means: [f64; 2],
    listed_tokens: [f64; 2],
}

#[derive(Deserialize)]
struct Growth {
    lengths: Vec<f64>,
    linear: Vec<f64>,
    quadratic: Vec<f64>,
    slopes: [f64; 2],
    crossover: f64,
}

#[derive(Deserialize)]
struct TwoSided {
    degrees: Vec<usize>,
    t: Vec<f64>,
}

#[derive(Deserialize)]
struct OfValues {
    values: Vec<f64>,
    mean: f64,
    half_width: f64,
}

fn fixtures() -> Fixtures {
    serde_json::from_str(include_str!("../tests/fixtures/tables.json")).unwrap()
}

/// Relative to the larger of both, or to 1.
fn close(found: f64, expected: f64, tolerance: f64) -> bool {
    (found - expected).abs() <= tolerance * expected.abs().max(1.0)
}

#[test]
fn singular_values_and_least_errors() {
    for case in fixtures().singular_values {
        let matrix = Matrix::new(case.rows, case.columns, case.values);
        let found = singular_values(&matrix);
        assert_eq!(found.len(), case.singular_values.len(), "{}", case.about);
        for (found, expected) in found.iter().zip(&case.singular_values) {
            // To the precision of the largest.
            let tolerance = 1e-14 * case.singular_values[0];
            assert!((found - expected).abs() <= tolerance, "{}: {found} {expected}", case.about);
        }
        for (rank, expected) in case.errors.iter().enumerate() {
            let bound = rank_bound(&found, rank);
            assert!(close(bound, *expected, 1e-13), "{}: {rank}: {bound} {expected}", case.about);
        }
    }
}

#[test]
fn the_nystrom_method() {
    for case in fixtures().nystrom {
        let of = |values: Vec<f64>| Matrix::new(case.seq_len, case.head_dim, values);
        let (query, key, value) = (of(case.query), of(case.key), of(case.value));
        let exact = attention_rows(&query, &key);
        let output = exact.times(&value);
        let means = [&query, &key].map(|tokens| segment_means(tokens, case.landmarks));
        let listed = [&query, &key].map(|tokens| tokens.select(&case.tokens));
        for (landmarks, expected) in [(means, case.segment_means), (listed, case.listed_tokens)] {
            let landmarks = [&landmarks[0], &landmarks[1]];
            let found = nystrom_rows(&query, &key, landmarks, case.iterations);
            let errors =
                [found.relative_error(&exact), found.times(&value).relative_error(&output)];
            for (found, expected) in errors.iter().zip(&expected) {
                assert!(close(*found, *expected, 1e-10), "{found} {expected}");
            }
        }
    }
}

#[test]
fn slopes_and_crossovers() {
    for case in fixtures().growth {
        let curve = |values: &[f64]| -> Vec<Point> {
            case.lengths.iter().copied().zip(values.iter().copied()).collect()
        };
        let (linear, quadratic) = (curve(&case.linear), curve(&case.quadratic));
        for (curve, expected) in [&linear, &quadratic].into_iter().zip(case.slopes) {
            assert!(close(slope(curve).unwrap(), expected, 1e-12));
        }
        let Some(Crossover::At(found)) = crossover(&linear, &quadratic) else {
            panic!("they cross")
        };
        assert!(close(found, case.crossover, 1e-12), "{found} {}", case.crossover);
    }
}

#[test]
fn students_t() {
    let TwoSided { degrees, t } = fixtures().two_sided;
    for (degrees, expected) in degrees.into_iter().zip(t) {
        let found = two_sided(degrees);
        assert!(close(found, expected, 1e-11), "{degrees}: {found} {expected}");
    }
    for case in fixtures().intervals {
        let found = Interval::of(&case.values).unwrap();
        assert!(close(found.mean, case.mean, 1e-14));
        let half_width = found.half_width.unwrap();
        assert!((half_width / case.half_width - 1.0).abs() < 1e-11, "{half_width}");
    }
}
