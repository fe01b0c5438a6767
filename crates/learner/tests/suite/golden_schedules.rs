//! Schedules, `AdamW` and clipping against what PyTorch 2.11 and transformers 4.56.2 compute.
//!
//! The fixtures are written by `tools/reference/generate_training_fixtures.py`.

use std::path::PathBuf;

use nystromformer_learner::gradients::clip_factor;
use nystromformer_learner::schedule::{Anneal, OneCycle, Schedule, Warmup};
use serde_json::Value;

fn fixture(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn number(case: &Value, key: &str) -> f64 {
    case[key].as_f64().unwrap_or_else(|| panic!("{key} in {case}"))
}

fn assert_close(found: f64, expected: f64, what: &str) {
    let tolerance = 1e-12 * expected.abs().max(1e-12);
    assert!((found - expected).abs() <= tolerance, "{what}: {found} instead of {expected}");
}

/// Compares every learning rate of every case, and `beta_1` where the case lists it.
fn check(file: &str, peak: &str, total: &str, schedule: impl Fn(&Value) -> Schedule) {
    let fixture = fixture(file);
    let cases = fixture["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let schedule = schedule(case);
        let total_steps = case[total].as_u64().unwrap_or(1_000_000) as usize;
        let beta_1 = case["beta_1"].as_array().map(|_| numbers(&case["beta_1"]));
        for (step, &expected) in numbers(&case["learning_rate"]).iter().enumerate() {
            let point = schedule.at(step, total_steps, number(case, peak), 0.9);
            let what = format!("{file} {schedule:?} of {total_steps} at step {step}");
            assert_close(point.learning_rate, expected, &what);
            if let Some(beta_1) = &beta_1 {
                assert_close(point.beta_1, beta_1[step], &format!("beta_1 of {what}"));
            }
        }
    }
}

fn warmup(case: &Value) -> Warmup {
    Warmup { warmup_steps: number(case, "num_warmup_steps") as usize, warmup_fraction: 0.0 }
}

#[test]
fn linear_is_transformers() {
    check("linear_schedule.json", "base_lr", "num_training_steps", |case| {
        Schedule::Linear(warmup(case))
    });
}

#[test]
fn constant_is_transformers() {
    check("constant_schedule.json", "base_lr", "num_training_steps", |case| {
        Schedule::Constant(warmup(case))
    });
}

#[test]
fn cosine_is_transformers() {
    check("cosine_schedule.json", "base_lr", "num_training_steps", |case| Schedule::Cosine {
        warmup: warmup(case),
        num_cycles: number(case, "num_cycles"),
    });
}

#[test]
fn polynomial_is_transformers() {
    check("polynomial_schedule.json", "base_lr", "num_training_steps", |case| {
        Schedule::Polynomial {
            warmup: warmup(case),
            power: number(case, "power"),
            end_learning_rate: number(case, "lr_end"),
        }
    });
}

#[test]
fn one_cycle_is_torch() {
    check("one_cycle.json", "max_lr", "total_steps", |case| {
        Schedule::OneCycle(OneCycle {
            pct_start: number(case, "pct_start"),
            div_factor: number(case, "div_factor"),
            final_div_factor: number(case, "final_div_factor"),
            anneal: match case["anneal_strategy"].as_str().unwrap() {
                "linear" => Anneal::Linear,
                _ => Anneal::Cos,
            },
            cycle_momentum: case["cycle_momentum"].as_bool().unwrap(),
            base_momentum: number(case, "base_momentum"),
            max_momentum: number(case, "max_momentum"),
        })
    });
}

#[test]
fn clipping_is_torch() {
    let fixture = fixture("clip_grad_norm.json");
    let gradients: Vec<f64> =
        fixture["gradients"].as_array().unwrap().iter().flat_map(numbers).collect();
    let norm = gradients.iter().map(|value| value * value).sum::<f64>().sqrt();
    for case in fixture["cases"].as_array().unwrap() {
        let factor = clip_factor(number(case, "total_norm"), number(case, "max_norm"));
        assert!((norm - number(case, "total_norm")).abs() < 1e-6);
        let clipped = case["clipped"].as_array().unwrap().iter().flat_map(numbers);
        for (gradient, expected) in gradients.iter().zip(clipped) {
            assert!((gradient * factor - expected).abs() <= 2e-7 * expected.abs(), "{case}");
        }
    }
}
