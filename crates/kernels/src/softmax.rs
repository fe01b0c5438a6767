//! Softmax over the last axis.

#[cfg(all(feature = "cube", not(feature = "fused")))]
mod cube;

use burn::{
    backend::Flex,
    tensor::{Tensor, activation},
};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::{
    kernel::{self, Kernel},
    simd::{self, LANES},
};

/// Softmax over the last axis, in any shape: `exp(xᵢ) / Σ exp(xⱼ)`.
///
/// A row that holds a NaN or +∞, or nothing but −∞, becomes NaN.
pub fn softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if kernel::runs_on::<Softmax, 1, D>(&x) { kernel::run_1(Softmax, x) } else { composed(x) }
}

/// The same by Burn's elementary operations.
fn composed<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::softmax(x, D - 1)
}

#[derive(Debug)]
struct Softmax;

impl Kernel<Flex, 1> for Softmax {
    /// The output.
    type Saved = FlexTensor;

    fn forward(&self, [x]: [FlexTensor; 1]) -> (FlexTensor, FlexTensor) {
        let output = update_rows(
            x,
            #[inline(always)]
            |_, row| normalise(row),
        );
        (output.clone(), output)
    }

    fn backward(
        &self,
        output: FlexTensor,
        gradient: FlexTensor,
        _wanted: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        let output = simd::contiguous(output);
        let output = simd::values(&output);
        let gradient = update_rows(
            gradient,
            #[inline(always)]
            |first, row| differentiate(&output[first..first + row.len()], row),
        );
        [Some(gradient)]
    }
}

/// Applies `function` to every row and the index of its first value, in place if nobody else holds the tensor.
fn update_rows(mut tensor: FlexTensor, function: impl Fn(usize, &mut [f32]) + Sync) -> FlexTensor {
    let length = tensor.layout().shape().last().copied().unwrap_or(1).max(1);
    let task = (simd::TASK / length).max(1) * length;
    simd::update(&mut tensor, |values| {
        values.par_chunks_mut(task).enumerate().for_each(|(index, values)| {
            simd::vectorised(
                #[inline(always)]
                || {
                    for (row, values) in values.chunks_exact_mut(length).enumerate() {
                        function(index * task + row * length, values);
                    }
                },
            );
        });
    });
    tensor
}

/// `x ← softmax(x)`.
#[inline(always)]
pub(crate) fn normalise(x: &mut [f32]) {
    let shift = simd::largest(x);
    let (blocks, rest) = x.as_chunks_mut::<LANES>();
    let mut sums = [0.0; LANES];
    for block in blocks {
        for (value, sum) in block.iter_mut().zip(&mut sums) {
            *value = simd::exp(*value - shift);
            *sum += *value;
        }
    }
    for (value, sum) in rest.iter_mut().zip(&mut sums) {
        *value = simd::exp(*value - shift);
        *sum += *value;
    }
    let factor = 1.0 / simd::add_lanes(sums);
    for value in x {
        *value *= factor;
    }
}

/// `gradient ← y (gradient − Σ gradient y)`.
#[inline(always)]
pub(crate) fn differentiate(y: &[f32], gradient: &mut [f32]) {
    let mut sums = [0.0; LANES];
    let ((blocks, rest), (gradients, last)) =
        (y.as_chunks::<LANES>(), gradient.as_chunks::<LANES>());
    for (block, gradients) in blocks.iter().zip(gradients) {
        for (sum, (y, gradient)) in sums.iter_mut().zip(block.iter().zip(gradients)) {
            *sum = y.mul_add(*gradient, *sum);
        }
    }
    for (sum, (y, gradient)) in sums.iter_mut().zip(rest.iter().zip(last)) {
        *sum = y.mul_add(*gradient, *sum);
    }
    let sum = simd::add_lanes(sums);
    for (gradient, y) in gradient.iter_mut().zip(y) {
        *gradient = y * (*gradient - sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, random};

    #[test]
    fn equals_the_composed_path() {
        for shape in [[1, 1], [3, 7], [5, 16], [70, 513], [2, 40_000]] {
            testing::same([random(shape).mul_scalar(4.0)], |[x]| softmax(x), |[x]| composed(x));
        }
        testing::same(
            [random([2, 3, 5, 33])],
            |[x]| softmax(x.swap_dims(1, 3)),
            |[x]| composed(x.swap_dims(1, 3)),
        );
    }

    #[test]
    fn special_values_behave_as_the_composed_path() {
        let rows = [
            [1.0, f32::NAN, 2.0],
            [f32::NEG_INFINITY, 0.0, 1.0],
            [f32::NEG_INFINITY; 3],
            [f32::INFINITY, 0.0, 1.0],
            [-1e9, 0.0, 3.0],
            [-1e9; 3],
        ];
        let x = Tensor::<2>::from_floats(rows, &burn::tensor::Device::flex());
        let ours: Vec<f32> = softmax(x.clone()).try_into_vec_as().unwrap();
        let composed: Vec<f32> = composed(x).try_into_vec_as().unwrap();
        for (ours, composed) in ours.into_iter().zip(composed) {
            assert!((ours - composed).abs() < 1e-6 || ours.is_nan() && composed.is_nan());
        }
    }

    #[test]
    fn special_values_spread_as_in_the_composed_path() {
        testing::same_with_special_values([random([3, 37])], |[x]| softmax(x), |[x]| composed(x));
    }

    #[test]
    fn the_input_keeps_its_values() {
        let x = random([4, 9]);
        let before = x.to_data();
        let _ = softmax(x.clone());
        x.into_data().assert_eq(&before, true);
    }

    #[test]
    fn does_not_depend_on_the_number_of_threads() {
        testing::same_bits_for_any_threads([random([700, 129])], |[x]| softmax(x));
    }
}
