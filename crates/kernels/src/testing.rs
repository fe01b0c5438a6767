//! Comparing a kernel with the composed path.

use std::cell::RefCell;

use burn::tensor::{Device, Tensor, TensorData, Tolerance};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use rand_distr::{Distribution, StandardNormal};

thread_local! {
    // A test runs on a thread of its own, so it sees the same numbers every time. Burn's generator is one for the
    // whole process and starts from the clock.
    static NUMBERS: RefCell<ChaCha8Rng> = RefCell::new(ChaCha8Rng::seed_from_u64(20_262));
}

/// Standard normal numbers on a device that records gradients.
pub(crate) fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let numbers: Vec<f32> = NUMBERS.with_borrow_mut(|generator| {
        StandardNormal.sample_iter(generator).take(shape.iter().product()).collect()
    });
    Tensor::from_data(TensorData::new(numbers, shape), &Device::flex().autodiff())
}

/// Asserts that both functions agree in value and in the gradient of every input, within 1e-5 of the largest value.
pub(crate) fn same<const N: usize, const D: usize, const OUT: usize>(
    inputs: [Tensor<D>; N],
    ours: impl Fn([Tensor<D>; N]) -> Tensor<OUT>,
    composed: impl Fn([Tensor<D>; N]) -> Tensor<OUT>,
) {
    for (ours, composed) in evaluate(&inputs, &ours).iter().zip(&evaluate(&inputs, &composed)) {
        close(ours, composed);
    }
}

/// Asserts that a NaN or an infinity in any input reaches the same places of value and gradients of both functions
/// (either may end as the other): what is finite in one is finite in the other, and as large.
pub(crate) fn same_with_special_values<const N: usize, const D: usize, const OUT: usize>(
    inputs: [Tensor<D>; N],
    ours: impl Fn([Tensor<D>; N]) -> Tensor<OUT>,
    composed: impl Fn([Tensor<D>; N]) -> Tensor<OUT>,
) {
    for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for place in 0..N {
            let mut inputs = inputs.clone();
            let mut data = inputs[place].to_data();
            data.as_mut_slice::<f32>().unwrap()[3] = special;
            inputs[place] = Tensor::from_data(data, &inputs[place].device());
            let (ours, composed) = (evaluate(&inputs, &ours), evaluate(&inputs, &composed));
            for (which, (ours, composed)) in ours.iter().zip(&composed).enumerate() {
                let largest = |data: &TensorData| {
                    data.iter::<f32>()
                        .filter(|value| value.is_finite())
                        .fold(1.0f32, |largest, value| largest.max(value.abs()))
                };
                let tolerance = 1e-4 * largest(composed);
                for (index, (ours, composed)) in
                    ours.iter::<f32>().zip(composed.iter::<f32>()).enumerate()
                {
                    assert!(
                        !ours.is_finite() && !composed.is_finite()
                            || (ours - composed).abs() <= tolerance,
                        "{special} in input {place}: {ours} instead of {composed} at {index} of result {which}"
                    );
                }
            }
        }
    }
}

/// Asserts that value and gradients are the same bits on one thread and on three.
pub(crate) fn same_bits_for_any_threads<const N: usize, const D: usize, const OUT: usize>(
    inputs: [Tensor<D>; N],
    function: impl Fn([Tensor<D>; N]) -> Tensor<OUT> + Sync,
) {
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| evaluate(&inputs, &function))
    };
    for (one, three) in on(1).iter().zip(&on(3)) {
        one.assert_eq(three, true);
    }
}

/// The output and the gradient of every input.
fn evaluate<const N: usize, const D: usize, const OUT: usize>(
    inputs: &[Tensor<D>; N],
    function: &dyn Fn([Tensor<D>; N]) -> Tensor<OUT>,
) -> Vec<TensorData> {
    let leaves = inputs.clone().map(|input| input.detach().require_grad());
    let output = function(leaves.clone());
    // A gradient that differs from place to place.
    let probe = Tensor::<1, burn::tensor::Int>::arange(
        0..output.dims().iter().product::<usize>() as i64,
        &output.device(),
    );
    let probe =
        probe.float().add_scalar(0.5).square().mul_scalar(0.37).sin().reshape(output.dims());
    let gradients = (output.clone() * probe).sum().backward();
    let mut all = vec![output.into_data()];
    for leaf in leaves {
        all.push(leaf.grad(&gradients).expect("every input has a gradient").into_data());
    }
    all
}

/// Asserts equality within 1e-5 of the largest value.
pub(crate) fn close(ours: &TensorData, composed: &TensorData) {
    let scale = composed.iter::<f32>().fold(1e-3f32, |scale, value| scale.max(value.abs()));
    ours.assert_approx_eq::<f32>(composed, Tolerance::absolute(scale * 1e-5));
}
