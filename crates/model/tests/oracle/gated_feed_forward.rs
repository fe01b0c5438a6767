//! The gated feed-forward block against that of transformers' T5 and `ModernBERT`, values and gradients
//! (`tools/reference/generate_feed_forward_fixtures.py`).

use std::collections::BTreeMap;

use burn::module::Param;
use burn::tensor::{Tensor, TensorData};
use nystromformer::{FeedForwardConfig, FeedForwardKind, HiddenAct, SharedConfig};
use serde::Deserialize;

/// Of the largest value.
const TOLERANCE: f64 = 2e-6;

#[derive(Deserialize)]
struct Fixture {
    shape: [usize; 3],
    intermediate_size: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    hidden_act: HiddenAct,
    inputs: BTreeMap<String, Vec<f32>>,
    output: Vec<f64>,
    weights: Vec<f32>,
    gradients: BTreeMap<String, Vec<f64>>,
}

fn assert_close(what: &str, found: Vec<f32>, expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(f64::MIN_POSITIVE, |scale, value| scale.max(value.abs()));
    for (found, expected) in found.into_iter().zip(expected) {
        let difference = (f64::from(found) - expected).abs() / scale;
        assert!(difference < TOLERANCE, "{what}: {found} instead of {expected}");
    }
}

#[test]
fn values_and_gradients_are_those_of_transformers() {
    let Fixture { shape, intermediate_size, cases } =
        serde_json::from_str(include_str!("../fixtures/gated_feed_forward.json")).unwrap();
    let [batch, seq_len, hidden_size] = shape;
    let device = crate::device().autodiff();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let what = format!("{:?}", case.hidden_act);
        let shared =
            SharedConfig { hidden_size, hidden_act: case.hidden_act, ..SharedConfig::default() };
        let config = FeedForwardConfig {
            kind: FeedForwardKind::Gated,
            intermediate_size,
            ..FeedForwardConfig::default()
        };
        let mut block = config.init(&shared, &device);
        let of = |name: &str, shape: &[usize]| TensorData::new(case.inputs[name].clone(), shape);
        // PyTorch keeps weights as `[outputs, inputs]`.
        let weight = |name: &str| {
            let stored = of(&format!("{name}.weight"), &[intermediate_size, hidden_size]);
            Param::from_tensor(Tensor::<2>::from_data(stored, &device).transpose())
        };
        let bias = |name: &str| {
            let stored = of(&format!("{name}.bias"), &[intermediate_size]);
            Param::from_tensor(Tensor::<1>::from_data(stored, &device))
        };
        (block.dense.weight, block.dense.bias) = (weight("dense"), bias("dense"));
        let gate = block.gate.as_mut().unwrap();
        (gate.weight, gate.bias) = (weight("gate"), bias("gate"));

        let x = Tensor::<3>::from_data(of("x", &shape), &device).require_grad();
        let output = block.forward(x.clone());
        assert_close(&what, output.clone().try_into_vec_as().unwrap(), &case.output);
        let weights = TensorData::new(case.weights.clone(), [batch, seq_len, intermediate_size]);
        let weights = Tensor::<3>::from_data(weights, &device);
        let gradients = (output * weights).sum().backward();
        let of_x = x.grad(&gradients).unwrap().try_into_vec_as().unwrap();
        assert_close(&format!("{what}: x"), of_x, &case.gradients["x"]);
        let gate = block.gate.unwrap();
        for (name, layer) in [("dense", block.dense), ("gate", gate)] {
            let found = layer.weight.val().grad(&gradients).unwrap().transpose();
            let expected = &case.gradients[&format!("{name}.weight")];
            assert_close(
                &format!("{what}: {name}.weight"),
                found.try_into_vec_as().unwrap(),
                expected,
            );
            let found = layer.bias.val().grad(&gradients).unwrap();
            let expected = &case.gradients[&format!("{name}.bias")];
            assert_close(
                &format!("{what}: {name}.bias"),
                found.try_into_vec_as().unwrap(),
                expected,
            );
        }
    }
}
