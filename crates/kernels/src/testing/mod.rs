//! Comparing a kernel with the composed path, on every instruction set of the machine.

#![expect(clippy::print_stdout, reason = "where a test fails, its runner shows what it printed")]

#[cfg(all(feature = "wgpu", not(feature = "fused")))]
pub(crate) mod cube;
pub(crate) mod instructions;

use std::cell::RefCell;

use burn::tensor::{Device, Tensor, TensorData, Tolerance};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use rand_distr::{Distribution, StandardNormal};

use instructions::Instructions;

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

/// Which kernels are compared with the composed path.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Side {
    /// Those of the CPU.
    Cpu,
    /// Those in CubeCL.
    #[cfg(all(feature = "wgpu", not(feature = "fused")))]
    Cube,
}

impl Side {
    /// [`same`], or [`cube::same`].
    pub(crate) fn same<const N: usize, const D: usize, const OUT: usize>(
        self,
        inputs: [Tensor<D>; N],
        ours: impl Fn([Tensor<D>; N]) -> Tensor<OUT> + Sync,
        composed: impl Fn([Tensor<D>; N]) -> Tensor<OUT>,
    ) {
        match self {
            Self::Cpu => same(inputs, ours, composed),
            #[cfg(all(feature = "wgpu", not(feature = "fused")))]
            Self::Cube => cube::same(inputs, ours, composed),
        }
    }
}

/// Asserts that both functions agree in value and in the gradient of every input, within 1e-5 of the largest value.
pub(crate) fn same<const N: usize, const D: usize, const OUT: usize>(
    inputs: [Tensor<D>; N],
    ours: impl Fn([Tensor<D>; N]) -> Tensor<OUT> + Sync,
    composed: impl Fn([Tensor<D>; N]) -> Tensor<OUT>,
) {
    let composed = evaluate(&inputs, &composed);
    for set in Instructions::all() {
        for (ours, composed) in set.run(2, || evaluate(&inputs, &ours)).iter().zip(&composed) {
            close(ours, composed);
        }
    }
}

/// Asserts that a NaN, an infinity, a subnormal number or −0 in any input, at its start or in its last place, reaches the
/// same places of value and gradients of both functions (what is not finite may end as another such): what is finite in
/// one is finite in the other, and as large.
pub(crate) fn same_with_special_values<const N: usize, const D: usize, const OUT: usize>(
    inputs: [Tensor<D>; N],
    ours: impl Fn([Tensor<D>; N]) -> Tensor<OUT> + Sync,
    composed: impl Fn([Tensor<D>; N]) -> Tensor<OUT>,
) {
    for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-40, -0.0] {
        for (input, is_last) in (0..N).flat_map(|input| [(input, false), (input, true)]) {
            let mut inputs = inputs.clone();
            let mut data = inputs[input].to_data();
            let values = data.as_mut_slice::<f32>().unwrap();
            let place = if is_last { values.len() - 1 } else { 3 };
            values[place] = special;
            inputs[input] = Tensor::from_data(data, &inputs[input].device());
            let composed = evaluate(&inputs, &composed);
            for set in Instructions::all() {
                println!("{special} at {place} of input {input}");
                let ours = set.run(2, || evaluate(&inputs, &ours));
                for (which, (ours, composed)) in ours.iter().zip(&composed).enumerate() {
                    println!("result {which}");
                    as_finite(ours, composed);
                }
            }
        }
    }
}

/// Asserts that what is finite in one is finite in the other, within 1e-4 of the largest such value.
fn as_finite(ours: &TensorData, composed: &TensorData) {
    let largest = composed
        .iter::<f32>()
        .filter(|value| value.is_finite())
        .fold(1.0f32, |largest, value| largest.max(value.abs()));
    for (index, (ours, composed)) in ours.iter::<f32>().zip(composed.iter::<f32>()).enumerate() {
        assert!(
            !ours.is_finite() && !composed.is_finite() || (ours - composed).abs() <= 1e-4 * largest,
            "{ours} instead of {composed} at {index}"
        );
    }
}

/// Asserts that value and gradients are the same bits on one thread and on three.
pub(crate) fn same_bits_for_any_threads<const N: usize, const D: usize, const OUT: usize>(
    inputs: [Tensor<D>; N],
    function: impl Fn([Tensor<D>; N]) -> Tensor<OUT> + Sync,
) {
    for set in Instructions::all() {
        let on = |threads| set.run(threads, || evaluate(&inputs, &function));
        for (one, three) in on(1).iter().zip(&on(3)) {
            one.assert_eq(three, true);
        }
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
