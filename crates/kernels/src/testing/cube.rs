//! Comparing a kernel in CubeCL with its composed twin on the CPU. `NYSTROMFORMER_TEST_DEVICE=wgpu` says that there is a device; without
//! one nothing is compared.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// The device, if there is one to test on.
pub(crate) fn device() -> Option<Device> {
    let is_there = std::env::var("NYSTROMFORMER_TEST_DEVICE").is_ok_and(|name| name == "wgpu");
    is_there.then(|| Device::wgpu(Default::default()).autodiff())
}

/// Output and gradients of a function of tensors.
fn evaluate<const N: usize, const D: usize, const OUT: usize>(
    inputs: &[TensorData; N],
    device: &Device,
    function: &dyn Fn([Tensor<D>; N]) -> Tensor<OUT>,
) -> Vec<TensorData> {
    let leaves = inputs.clone().map(|data| Tensor::from_data(data, device).require_grad());
    let output = function(leaves.clone());
    // A gradient that differs from place to place.
    let places = 0..output.shape().num_elements() as i64;
    let probe = Tensor::<1, Int>::arange(places, &Device::flex()).float();
    let probe = probe.add_scalar(0.5).square().mul_scalar(0.37).sin().into_data();
    let probe = Tensor::<1>::from_data(probe, device).reshape(output.dims());
    let gradients = (output.clone() * probe).sum().backward();
    let mut all = vec![output.into_data()];
    for leaf in leaves {
        all.push(leaf.grad(&gradients).expect("every input has a gradient").into_data());
    }
    all
}

/// Asserts that `ours`, on the device, agrees with `composed`, on the CPU: the output within 1e-5 of its largest value, gradients
/// within 1e-4; that inference gives the output's bits; and that a second run gives the same bits.
pub(crate) fn same<const N: usize, const D: usize, const OUT: usize>(
    inputs: [Tensor<D>; N],
    ours: impl Fn([Tensor<D>; N]) -> Tensor<OUT>,
    composed: impl Fn([Tensor<D>; N]) -> Tensor<OUT>,
) {
    let Some(device) = device() else { return };
    let inputs = inputs.map(Tensor::into_data);
    let expected = evaluate(&inputs, &Device::flex().autodiff(), &composed);
    let found = evaluate(&inputs, &device, &ours);
    close_within(&found[0], &expected[0], 1e-5);
    for (found, expected) in found[1..].iter().zip(&expected[1..]) {
        close_within(found, expected, 1e-4);
    }
    for (first, second) in found.iter().zip(evaluate(&inputs, &device, &ours)) {
        first.assert_eq(&second, true);
    }
    let plain = inputs.map(|data| Tensor::from_data(data, &device.clone().inner()));
    ours(plain).into_data().assert_eq(&found[0], true);
}

/// Asserts equality within a share of the largest value.
pub(crate) fn close_within(found: &TensorData, expected: &TensorData, share: f32) {
    assert_eq!(found.shape(), expected.shape());
    let scale = expected.iter::<f32>().fold(1e-2f32, |scale, value| scale.max(value.abs()));
    for (index, (found, expected)) in found.iter::<f32>().zip(expected.iter::<f32>()).enumerate() {
        let error = (found - expected).abs();
        assert!(error <= share * scale, "{found} instead of {expected} at {index}, of {scale}");
    }
}

/// As [`same_with_special_values`](super::same_with_special_values), but for subnormal numbers, which devices take for 0.
pub(crate) fn same_with_special_values<const N: usize, const D: usize, const OUT: usize>(
    inputs: [Tensor<D>; N],
    ours: impl Fn([Tensor<D>; N]) -> Tensor<OUT>,
    composed: impl Fn([Tensor<D>; N]) -> Tensor<OUT>,
) {
    let Some(device) = device() else { return };
    let inputs = inputs.map(Tensor::into_data);
    for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0] {
        for (input, is_last) in (0..N).flat_map(|input| [(input, false), (input, true)]) {
            let mut inputs = inputs.clone();
            let values = inputs[input].as_mut_slice::<f32>().unwrap();
            let place = if is_last { values.len() - 1 } else { 3 };
            values[place] = special;
            let expected = evaluate(&inputs, &Device::flex().autodiff(), &composed);
            let found = evaluate(&inputs, &device, &ours);
            for (which, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let largest = expected
                    .iter::<f32>()
                    .filter(|value| value.is_finite())
                    .fold(1.0f32, |largest, value| largest.max(value.abs()));
                let pairs = found.iter::<f32>().zip(expected.iter::<f32>());
                for (index, (found, expected)) in pairs.enumerate() {
                    assert!(
                        !found.is_finite() && !expected.is_finite()
                            || (found - expected).abs() <= 1e-4 * largest,
                        "{special} at {place} of input {input}: result {which} has {found} instead of {expected} at {index}"
                    );
                }
            }
        }
    }
}
