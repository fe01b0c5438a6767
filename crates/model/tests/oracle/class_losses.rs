//! Class weights and smoothed labels against PyTorch's losses, values and gradients
//! (`tools/reference/generate_loss_fixtures.py`).

use burn::tensor::{Int, Tensor, TensorData};
use nystromformer::heads::{LossOptions, LossTerm, Losses, TargetTensors, TargetsData};
use serde::Deserialize;

/// Of the largest value: what an `f32` can say of sums of a few logarithms of far apart scores.
const TOLERANCE: f64 = 2e-6;

#[derive(Deserialize)]
struct Fixture {
    classes: Vec<Classes>,
    labels: Vec<Labels>,
}

#[derive(Deserialize)]
struct Classes {
    logits: Vec<Vec<f32>>,
    labels: Vec<i32>,
    weight: Option<Vec<f32>>,
    label_smoothing: f64,
    losses: Vec<f64>,
    mean: f64,
    gradient: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Labels {
    logits: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
    weight: Vec<f32>,
    losses: Vec<f64>,
    mean: f64,
    gradient: Vec<Vec<f64>>,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../fixtures/class_losses.json")).unwrap()
}

fn table(rows: &[Vec<f32>]) -> Tensor<2> {
    let data = TensorData::new(rows.concat(), [rows.len(), rows[0].len()]);
    Tensor::from_data(data, &crate::device().autodiff())
}

fn assert_close<const D: usize>(what: &str, found: Tensor<D>, expected: &[f64]) {
    let found = found.try_into_vec_as::<f32>().unwrap();
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(f64::MIN_POSITIVE, |scale, value| scale.max(value.abs()));
    for (found, expected) in found.into_iter().zip(expected) {
        let difference = (f64::from(found) - expected).abs() / scale;
        assert!(difference < TOLERANCE, "{what}: {found} instead of {expected}");
    }
}

/// Losses, mean and the mean's gradient of what a head gives, whose own losses must not matter.
fn compare(
    what: &str,
    options: &LossOptions,
    (logits, targets, data): (Tensor<2>, TargetTensors, TargetsData),
    (losses, mean, gradient): (&[f64], f64, &[Vec<f64>]),
) {
    let logits = logits.require_grad();
    let plain = Tensor::<1>::zeros([1], &logits.device());
    let plain = LossTerm { losses: plain, weight: 1.0 };
    let answers = Losses { terms: vec![plain], logits: vec![logits.clone()] };
    let found = options.apply(answers, targets).terms.remove(0).losses;
    assert_close(&format!("{what}: losses"), found.clone(), losses);
    let found = found.sum() / options.denominators(&data, 1)[0];
    assert_close(&format!("{what}: mean"), found.clone(), &[mean]);
    let found = logits.grad(&found.backward()).unwrap();
    assert_close(&format!("{what}: gradient"), found, &gradient.concat());
}

#[test]
fn weights_and_smoothing_are_those_of_cross_entropy() {
    for (number, case) in fixture().classes.into_iter().enumerate() {
        let options = LossOptions {
            class_weights: case.weight.map(Into::into),
            label_smoothing: case.label_smoothing,
            row_weights: None,
        };
        let logits = table(&case.logits);
        let data = TargetsData::Class(case.labels.clone());
        let targets = data.clone().into_targets(case.labels.len(), &logits.device());
        if options.is_plain() {
            let labels = Tensor::<1, Int>::from_ints(&*case.labels, &logits.device());
            let plain = nystromformer::heads::targets::cross_entropy(logits, labels);
            assert_close(&format!("case {number}: plain losses"), plain, &case.losses);
            continue;
        }
        let expected = (&*case.losses, case.mean, &*case.gradient);
        compare(&format!("case {number}"), &options, (logits, targets, data), expected);
    }
}

#[test]
fn weights_of_several_labels_are_pos_weight() {
    for (number, case) in fixture().labels.into_iter().enumerate() {
        let options =
            LossOptions { class_weights: Some(case.weight.into()), ..LossOptions::default() };
        let logits = table(&case.logits);
        let data = TargetsData::Values(case.values.concat());
        let targets = data.clone().into_targets(case.values.len(), &logits.device());
        let expected = (&*case.losses, case.mean, &*case.gradient);
        compare(&format!("labels {number}"), &options, (logits, targets, data), expected);
    }
}
