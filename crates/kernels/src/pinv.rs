//! The iterative Moore–Penrose inverse.

mod iteration;
mod square;

use burn::{
    backend::Flex,
    tensor::{Device, Tensor},
};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::{
    kernel::{self, Kernel},
    scratch::Scratch,
    simd,
};
use iteration::{Backward, Forward, Matrices, largest_column_sum};

/// What the iteration divides by at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinvScale {
    /// Each matrix's own largest column sum.
    OfEachMatrix,
    /// The largest column sum of all matrices.
    OfTheBatch,
}

/// Beyond this size the matrices of one inverse leave a core's own cache, and Burn's blocked products are faster.
pub(crate) const LARGEST: usize = 256;

/// The least divisor: only an all-zero matrix is near, and it must give 0, not 0/0.
const LEAST_SCALE: f32 = 1e-12;

/// Moore–Penrose inverse by a third-order iteration.
///
/// `Z₀ = Aᵀ / s`, with `s` the largest column sum of `A`, then `Z ← ¼ Z (13 I − A Z (15 I − A Z (7 I − A Z)))`,
/// `iterations` times. It is differentiated through every iterate, and through `s`.
///
/// # Shapes
/// - `matrices`, output: `[batch, heads, size, size]`, rows sum to 1 or are zero
pub fn iterative_pinv(matrices: Tensor<4>, iterations: usize, scale: PinvScale) -> Tensor<4> {
    let [_, _, rows, columns] = matrices.dims();
    assert_eq!(rows, columns, "only a square matrix of landmarks is inverted");
    if kernel::runs_on::<IterativePinv, 1, 4>(&matrices) && rows <= LARGEST {
        kernel::run_1(IterativePinv { iterations, scale }, matrices)
    } else {
        composed(matrices, iterations, scale)
    }
}

/// The same by Burn's elementary operations.
fn composed(matrices: Tensor<4>, iterations: usize, scale: PinvScale) -> Tensor<4> {
    let [_, _, size, _] = matrices.dims();
    let column_sums = matrices.clone().sum_dim(2); // [batch, heads, 1, size]
    let scale = match scale {
        PinvScale::OfEachMatrix => column_sums.max_dim(3),
        PinvScale::OfTheBatch => column_sums.max().reshape([1, 1, 1, 1]),
    };
    let mut inverse = matrices.clone().transpose() / scale.clamp_min(LEAST_SCALE);

    let identity = identity(size, &matrices.device());
    for _ in 0..iterations {
        let product = matrices.clone().matmul(inverse.clone());
        let inner = identity.clone().mul_scalar(7.0) - product.clone();
        let middle = identity.clone().mul_scalar(15.0) - product.clone().matmul(inner);
        let outer = identity.clone().mul_scalar(13.0) - product.matmul(middle);
        inverse = inverse.mul_scalar(0.25).matmul(outer);
    }
    inverse
}

fn identity(size: usize, device: &Device) -> Tensor<4> {
    Tensor::<2>::eye(size, device).unsqueeze()
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct IterativePinv {
    pub(crate) iterations: usize,
    pub(crate) scale: PinvScale,
}

/// A divisor, and where it comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) sum: f32,
    matrix: usize,
    column: usize,
}

impl Scale {
    fn value(self) -> f32 {
        // A NaN stays.
        if self.sum < LEAST_SCALE { LEAST_SCALE } else { self.sum }
    }

    /// Whether it is larger than `other`; a NaN is larger than all.
    pub(crate) fn is_larger(&self, other: &Self) -> bool {
        self.sum > other.sum || self.sum.is_nan()
    }

    /// Adds to `gradients`, of matrices of this `size`, what follows from the `gradient` of this divisor.
    pub(crate) fn add_gradient(self, gradients: &mut [f32], size: usize, gradient: f32) {
        if self.sum >= LEAST_SCALE {
            let first = self.matrix * size * size + self.column;
            let column = gradients[first..].iter_mut().step_by(size).take(size);
            column.for_each(|value| *value += gradient);
        }
    }
}

/// What the derivative needs.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    matrices: FlexTensor,
    /// Those between the first and the last, matrix by matrix.
    iterates: FlexTensor,
}

impl IterativePinv {
    /// Each matrix's own largest column sum.
    pub(crate) fn own_scales(matrices: &[f32], size: usize) -> Vec<Scale> {
        matrices
            .par_chunks_exact(size * size)
            .enumerate()
            .map(|(matrix, values)| {
                let (sum, column) = largest_column_sum(values, size);
                Scale { sum, matrix, column }
            })
            .collect()
    }

    /// The divisor of each matrix.
    fn scales(self, matrices: &[f32], size: usize) -> Vec<Scale> {
        let mut scales = Self::own_scales(matrices, size);
        if self.scale == PinvScale::OfTheBatch
            && let Some(largest) = scales
                .iter()
                .copied()
                .reduce(|left, right| if right.is_larger(&left) { right } else { left })
        {
            scales.fill(largest);
        }
        scales
    }

    /// Values kept of each matrix: the iterates between the first, which follows from the matrix, and the last.
    fn kept(self, size: usize) -> usize {
        self.iterations.saturating_sub(1) * size * size
    }

    /// The inverses of `matrices`, and their iterates if they are to be `kept`.
    pub(crate) fn invert(
        self,
        matrices: &[f32],
        size: usize,
        scales: &[Scale],
        are_kept: bool,
    ) -> (Vec<f32>, Vec<f32>) {
        let kept = if are_kept { self.kept(size) } else { 0 };
        let mut iterates = simd::room(scales.len() * kept);
        let mut output = simd::room(matrices.len());
        let each_iterates = split(&mut iterates, kept, scales.len());
        output
            .par_chunks_exact_mut(size * size)
            .zip(matrices.par_chunks_exact(size * size))
            .zip(each_iterates.into_par_iter().zip(scales))
            .for_each(|((output, matrix), (iterates, scale))| {
                Scratch::kept(|scratch| {
                    simd::dispatch(Forward {
                        matrices: &mut Matrices::new(size, scratch),
                        matrix,
                        scale: scale.value(),
                        iterations: self.iterations,
                        iterates,
                        output,
                    });
                });
            });
        (output, iterates)
    }

    /// The gradients of `matrices` at constant divisors, and those of the divisors.
    pub(crate) fn differentiate(
        self,
        matrices: &[f32],
        size: usize,
        scales: &[Scale],
        iterates: &[f32],
        gradients: &[f32],
    ) -> (Vec<f32>, Vec<f32>) {
        let kept = self.kept(size);
        let mut output = simd::room(matrices.len());
        let scale_gradients = output
            .par_chunks_exact_mut(size * size)
            .zip(matrices.par_chunks_exact(size * size))
            .zip(gradients.par_chunks_exact(size * size))
            .zip(scales)
            .enumerate()
            .map(|(index, (((output, matrix), gradient), scale))| {
                Scratch::kept(|scratch| {
                    simd::dispatch(Backward {
                        matrices: &mut Matrices::new(size, scratch),
                        matrix,
                        scale: scale.value(),
                        iterations: self.iterations,
                        iterates: &iterates[index * kept..(index + 1) * kept],
                        gradient,
                        output,
                    })
                })
            })
            .collect();
        (output, scale_gradients)
    }
}

impl Kernel<Flex, 1> for IterativePinv {
    type Saved = Saved;

    fn forward(&self, [matrices]: [FlexTensor; 1]) -> (FlexTensor, Saved) {
        let matrices = simd::contiguous(matrices);
        let (values, shape) = (simd::values(&matrices), matrices.layout().shape().clone());
        let (output, iterates) =
            self.invert(values, shape[3], &self.scales(values, shape[3]), true);
        let length = iterates.len();
        let iterates = simd::tensor(iterates, [length].into());
        (simd::tensor(output, shape), Saved { matrices, iterates })
    }

    fn infer(&self, [matrices]: [FlexTensor; 1]) -> FlexTensor {
        let matrices = simd::contiguous(matrices);
        let (values, shape) = (simd::values(&matrices), matrices.layout().shape().clone());
        let scales = self.scales(values, shape[3]);
        simd::tensor(self.invert(values, shape[3], &scales, false).0, shape)
    }

    fn backward(
        &self,
        Saved { matrices, iterates }: Saved,
        gradient: FlexTensor,
        _wanted: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        let (matrices, shape) = (simd::values(&matrices), matrices.layout().shape().clone());
        let (iterates, gradient) = (simd::values(&iterates), simd::contiguous(gradient));
        let size = shape[3];
        let scales = self.scales(matrices, size);
        let (mut output, scale_gradients) =
            self.differentiate(matrices, size, &scales, iterates, simd::values(&gradient));
        for (scale, gradient) in scales.into_iter().zip(scale_gradients) {
            scale.add_gradient(&mut output, size, gradient);
        }
        [Some(simd::tensor(output, shape))]
    }
}

/// `count` slices of `length` values, which may be 0.
fn split(mut values: &mut [f32], length: usize, count: usize) -> Vec<&mut [f32]> {
    let mut slices = Vec::with_capacity(count);
    for _ in 0..count {
        let (slice, rest) = values.split_at_mut(length);
        slices.push(slice);
        values = rest;
    }
    slices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, random};
    use burn::tensor::activation::softmax;

    const SCALES: [PinvScale; 2] = [PinvScale::OfEachMatrix, PinvScale::OfTheBatch];

    #[test]
    fn equals_the_composed_path() {
        for scale in SCALES {
            for (size, iterations) in
                [(1, 6), (2, 0), (3, 1), (5, 2), (16, 6), (17, 6), (64, 6), (130, 6)]
            {
                testing::same(
                    [random([2, 3, size, size])],
                    |[scores]| iterative_pinv(softmax(scores, 3), iterations, scale),
                    |[scores]| composed(softmax(scores, 3), iterations, scale),
                );
            }
        }
    }

    #[test]
    fn rows_and_columns_of_zeros_stay_zero() {
        // The second matrix is zero altogether.
        let keep =
            Tensor::<2>::from_floats([[1.0, 1.0, 0.0, 1.0, 0.0], [0.0; 5]], &random([1]).device());
        let keep = keep.reshape([2, 1, 5, 1]);
        let mask = keep.clone() * keep.swap_dims(2, 3);
        let masked = |scores: Tensor<4>| softmax(scores, 3) * mask.clone();
        let output = iterative_pinv(masked(random([2, 1, 5, 5])), 6, PinvScale::OfEachMatrix);
        let outside = (output.clone() - output * mask.clone()).abs().max();
        assert_eq!(outside.into_scalar::<f32>(), 0.0);
        for scale in SCALES {
            testing::same(
                [random([2, 1, 5, 5])],
                |[scores]| iterative_pinv(masked(scores), 6, scale),
                |[scores]| composed(masked(scores), 6, scale),
            );
        }
    }

    #[test]
    fn a_nan_does_not_vanish() {
        let mut values = vec![1.0 / 3.0; 18];
        values[4] = f32::NAN;
        let matrices = Tensor::<1>::from_floats(values.as_slice(), &Device::flex());
        let output = iterative_pinv(matrices.reshape([2, 1, 3, 3]), 6, PinvScale::OfEachMatrix);
        let output: Vec<f32> = output.try_into_vec_as().unwrap();
        assert!(output[..9].iter().all(|value| value.is_nan()));
        assert!(output[9..].iter().all(|value| value.is_finite()));
    }

    #[test]
    fn does_not_depend_on_the_number_of_threads() {
        for scale in SCALES {
            testing::same_bits_for_any_threads([random([3, 3, 20, 20])], |[scores]| {
                iterative_pinv(softmax(scores, 3), 6, scale)
            });
        }
    }
}
