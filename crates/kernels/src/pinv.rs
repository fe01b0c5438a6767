//! The Moore–Penrose inverse of small matrices.
//!
//! | module | holds |
//! |---|---|
//! | `iteration` | the paper's iteration for one matrix |
//! | `cholesky` | a direct solve for one matrix |
//! | `composed` | both by Burn's elementary operations |
//! | `square` | products of small square matrices |
//! | `cube` | the iteration in CubeCL |

mod cholesky;
mod composed;
#[cfg(all(feature = "cube", not(feature = "fused")))]
pub(crate) mod cube;
mod iteration;
#[cfg(test)]
mod solve_tests;
mod square;

use burn::{backend::Flex, tensor::Tensor};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::{
    kernel::{self, Kernel},
    scratch::Scratch,
    simd,
};
use square::Square;

/// A way to invert matrices, with its options.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pinv {
    /// A third-order iteration.
    ///
    /// `Z₀ = Aᵀ / s`, with `s` the largest column sum of `A`, then `Z ← ¼ Z (13 I − A Z (15 I − A Z (7 I − A Z)))`.
    /// It is differentiated through every iterate, and through `s`.
    Iterative {
        /// How many times.
        iterations: usize,
        /// From where.
        scale: PinvScale,
    },
    /// A direct solve with Tikhonov's regularisation.
    ///
    /// `Z = (AᵀA + λ I)⁻¹ Aᵀ` with `λ = ridge · s`, and `s` the largest column sum of `A`. A singular value `σ` becomes
    /// `σ / (σ² + λ)`: large ones are inverted, those below `√λ` fade away instead of blowing up. It is differentiated by
    /// the derivative of the inverse itself, and through `s`.
    ///
    /// `A` is not symmetric, and may be as good as singular (landmarks that are alike have equal rows), so elimination in
    /// `A` itself or in `A + λ I` is not sound. `AᵀA + λ I` is symmetric, and since `‖A‖² ≤ s` where rows sum to 1, its
    /// condition number is at most `1 + 1/ridge`.
    Solve {
        /// Above 0, and far above what single precision rounds.
        ridge: f64,
    },
}

/// What the iteration divides by at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinvScale {
    /// Each matrix's own largest column sum.
    OfEachMatrix,
    /// The largest column sum of all matrices.
    OfTheBatch,
}

/// The most landmarks that kernels compute with. Beyond this size the matrices of one iteration leave a core's own cache, and Burn's
/// blocked products are faster.
pub const MOST_LANDMARKS: usize = 256;

/// The least divisor: only an all-zero matrix is near, and it must give 0, not 0/0.
const LEAST_SCALE: f32 = 1e-12;

/// [`Pinv::Iterative`] of each matrix.
///
/// # Shapes
/// - `matrices`, output: `[batch, heads, size, size]`, rows sum to 1 or are zero
pub fn iterative_pinv(matrices: Tensor<4>, iterations: usize, scale: PinvScale) -> Tensor<4> {
    Pinv::Iterative { iterations, scale }.invert(matrices)
}

impl Pinv {
    /// The inverse of each matrix. Rows and columns of zeros (spare landmarks) stay zero, and the rest is inverted as if
    /// they were not there.
    ///
    /// # Shapes
    /// - `matrices`, output: `[batch, heads, size, size]`, rows sum to 1 or are zero
    ///
    /// # Panics
    /// If the matrices are not square, or the ridge is not above 0.
    pub fn invert(self, matrices: Tensor<4>) -> Tensor<4> {
        let [_, _, rows, columns] = matrices.dims();
        assert_eq!(rows, columns, "only a square matrix of landmarks is inverted");
        let fits = match self {
            Self::Iterative { .. } => rows <= MOST_LANDMARKS,
            Self::Solve { ridge } => {
                assert!(ridge > 0.0, "without a ridge a singular matrix has no such inverse");
                true
            }
        };
        if fits && kernel::runs(&self, &matrices, [&matrices.dims()]) {
            kernel::run_1(self, matrices)
        } else {
            composed::invert(matrices, self)
        }
    }

    /// What its divisors are the largest column sums of.
    pub(crate) fn scale(self) -> PinvScale {
        match self {
            Self::Iterative { scale, .. } => scale,
            Self::Solve { .. } => PinvScale::OfEachMatrix,
        }
    }
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

/// Matrices that lie one after the other, and what is known of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownMatrices<'a> {
    /// `[count, size, size]`.
    pub(crate) matrices: &'a [f32],
    pub(crate) size: usize,
    /// The divisor of each.
    pub(crate) scales: &'a [Scale],
}

impl Pinv {
    /// Each matrix's own largest column sum.
    pub(crate) fn own_scales(matrices: &[f32], size: usize) -> Vec<Scale> {
        matrices
            .par_chunks_exact(size * size)
            .enumerate()
            .map(|(matrix, values)| {
                let (sum, column) = iteration::largest_column_sum(values, size);
                Scale { sum, matrix, column }
            })
            .collect()
    }

    /// The divisor of each matrix.
    fn scales(self, matrices: &[f32], size: usize) -> Vec<Scale> {
        let mut scales = Self::own_scales(matrices, size);
        if self.scale() == PinvScale::OfTheBatch
            && let Some(largest) = scales
                .iter()
                .copied()
                .reduce(|left, right| if right.is_larger(&left) { right } else { left })
        {
            scales.fill(largest);
        }
        scales
    }

    /// Values kept of each matrix: the iterates between the first, which follows from the matrix, and the last; or
    /// Cholesky's factor.
    fn kept(self, size: usize) -> usize {
        let squares = match self {
            Self::Iterative { iterations, .. } => iterations.saturating_sub(1),
            Self::Solve { .. } => 1,
        };
        squares * size * size
    }

    /// The inverses, and if they are to be `kept`, what was found on the way to them.
    pub(crate) fn invert_each(
        self,
        known: KnownMatrices<'_>,
        are_kept: bool,
    ) -> (Vec<f32>, Vec<f32>) {
        let KnownMatrices { matrices, size, scales } = known;
        let kept = if are_kept { self.kept(size) } else { 0 };
        let mut found = simd::room(scales.len() * kept);
        let mut output = simd::room(matrices.len());
        output
            .par_chunks_exact_mut(size * size)
            .zip(matrices.par_chunks_exact(size * size))
            .zip(split(&mut found, kept, scales.len()).into_par_iter().zip(scales))
            .for_each(|((output, matrix), (found, scale))| {
                let (square, scale) = (Square::new(size), scale.value());
                Scratch::kept(|scratch| match self {
                    Self::Iterative { iterations, .. } => simd::dispatch(iteration::Forward {
                        square,
                        scratch,
                        matrix,
                        scale,
                        iterations,
                        iterates: found,
                        output,
                    }),
                    Self::Solve { ridge } => simd::dispatch(cholesky::Forward {
                        square,
                        scratch,
                        matrix,
                        ridge: ridge as f32 * scale,
                        factor: found,
                        output,
                    }),
                });
            });
        (output, found)
    }

    /// From the `gradients` of the `inverses` those of the matrices, at constant divisors, and those of the divisors.
    pub(crate) fn differentiate(
        self,
        known: KnownMatrices<'_>,
        found: &[f32],
        inverses: &[f32],
        gradients: &[f32],
    ) -> (Vec<f32>, Vec<f32>) {
        let KnownMatrices { matrices, size, scales } = known;
        let kept = self.kept(size);
        let mut output = simd::room(matrices.len());
        let scale_gradients = output
            .par_chunks_exact_mut(size * size)
            .zip(matrices.par_chunks_exact(size * size))
            .zip(inverses.par_chunks_exact(size * size))
            .zip(gradients.par_chunks_exact(size * size))
            .zip(scales)
            .enumerate()
            .map(|(index, ((((output, matrix), inverse), gradient), scale))| {
                let found = &found[index * kept..(index + 1) * kept];
                let square = Square::new(size);
                Scratch::kept(|scratch| match self {
                    Self::Iterative { iterations, .. } => simd::dispatch(iteration::Backward {
                        square,
                        scratch,
                        matrix,
                        scale: scale.value(),
                        iterations,
                        iterates: found,
                        gradient,
                        output,
                    }),
                    Self::Solve { ridge } => {
                        let of_ridge = simd::dispatch(cholesky::Backward {
                            square,
                            scratch,
                            matrix,
                            factor: found,
                            inverse,
                            gradient,
                            output,
                        });
                        ridge as f32 * of_ridge
                    }
                })
            })
            .collect();
        (output, scale_gradients)
    }
}

/// What the derivative needs.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    matrices: FlexTensor,
    /// What was kept of each.
    found: FlexTensor,
    inverses: FlexTensor,
}

impl Kernel<Flex, 1> for Pinv {
    type Saved = Saved;

    fn forward(&self, [matrices]: [FlexTensor; 1]) -> (FlexTensor, Saved) {
        let matrices = simd::contiguous(matrices);
        let shape = matrices.layout().shape().clone();
        let (values, size) = (simd::values(&matrices), shape[3]);
        let scales = &self.scales(values, size);
        let (inverses, found) =
            self.invert_each(KnownMatrices { matrices: values, size, scales }, true);
        let length = found.len();
        let (inverses, found) =
            (simd::tensor(inverses, shape), simd::tensor(found, [length].into()));
        (inverses.clone(), Saved { matrices, found, inverses })
    }

    fn infer(&self, [matrices]: [FlexTensor; 1]) -> FlexTensor {
        let matrices = simd::contiguous(matrices);
        let shape = matrices.layout().shape().clone();
        let (values, size) = (simd::values(&matrices), shape[3]);
        let scales = &self.scales(values, size);
        simd::tensor(
            self.invert_each(KnownMatrices { matrices: values, size, scales }, false).0,
            shape,
        )
    }

    fn backward(
        &self,
        Saved { matrices, found, inverses }: Saved,
        gradient: FlexTensor,
        _wanted: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        let shape = matrices.layout().shape().clone();
        let size = shape[3];
        let gradient = simd::contiguous(gradient);
        let [matrices, found, inverses, gradient] =
            [&matrices, &found, &inverses, &gradient].map(simd::values);
        let scales = self.scales(matrices, size);
        let known = KnownMatrices { matrices, size, scales: &scales };
        let (mut output, scale_gradients) = self.differentiate(known, found, inverses, gradient);
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
    use burn::tensor::{Device, activation::softmax};

    use super::*;
    use crate::testing::{self, random};

    fn composed(matrices: Tensor<4>, iterations: usize, scale: PinvScale) -> Tensor<4> {
        composed::invert(matrices, Pinv::Iterative { iterations, scale })
    }

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
