//! The iteration for one matrix, and its derivative, on plain slices.

use pulp::{Simd, WithSimd};

use super::square::{Onto, Square};
use crate::{
    scratch::Scratch,
    simd::{self, LANES},
};

/// The largest column sum of a matrix, and the first column that has it.
pub(super) fn largest_column_sum(matrix: &[f32], size: usize) -> (f32, usize) {
    let mut sums = vec![0.0; size];
    for row in matrix.chunks_exact(size) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
    let mut largest = (f32::NEG_INFINITY, 0);
    for (column, sum) in sums.into_iter().enumerate() {
        if sum > largest.0 || sum.is_nan() && !largest.0.is_nan() {
            largest = (sum, column);
        }
    }
    largest
}

/// As many matrices as the backward pass needs.
const COUNT: usize = 10;

/// `Z₀ = Aᵀ/scale`, then `Z ← ¼ Z (13 I − X (15 I − X (7 I − X)))` with `X = A Z`.
pub(super) struct Forward<'a> {
    pub(super) square: Square,
    pub(super) scratch: &'a mut Scratch,
    /// `A`, row by row.
    pub(super) matrix: &'a [f32],
    pub(super) scale: f32,
    pub(super) iterations: usize,
    /// Receives the iterates between the first and the last one, if there is room for them.
    pub(super) iterates: &'a mut [f32],
    /// Receives the last iterate.
    pub(super) output: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let square = self.square;
        let [a, mut z, mut next, x, p, q, ..] = self.scratch.pieces([square.length(); COUNT]);
        let mut iterates = self.iterates.chunks_exact_mut(self.output.len());
        square.load(a, self.matrix);
        square.transpose(z, 1.0 / self.scale, a);
        for iteration in 0..self.iterations {
            if iteration > 0
                && let Some(iterate) = iterates.next()
            {
                square.store(z, iterate);
            }
            polynomials(simd, square, a, z, x, p, q);
            square.product(simd, next, 0.25, z, q, Onto::Diagonal(0.0));
            std::mem::swap(&mut z, &mut next);
        }
        square.store(z, self.output);
    }
}

/// The derivative of [`Forward`].
pub(super) struct Backward<'a> {
    pub(super) square: Square,
    pub(super) scratch: &'a mut Scratch,
    /// `A`, row by row.
    pub(super) matrix: &'a [f32],
    pub(super) scale: f32,
    pub(super) iterations: usize,
    /// What the forward pass kept.
    pub(super) iterates: &'a [f32],
    /// The gradient of the last iterate.
    pub(super) gradient: &'a [f32],
    /// Receives the gradient of `A`, at constant `scale`.
    pub(super) output: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    /// The gradient of `scale`.
    type Output = f32;

    /// Gradients are kept transposed: then no factor of any product is a transpose.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let square = self.square;
        let [a, a_gradient, z, mut gradient, mut next, x, p, q, q_gradient, p_gradient] =
            self.scratch.pieces([square.length(); COUNT]);
        square.load(next, self.gradient);
        square.transpose(gradient, 1.0, next);
        square.load(a, self.matrix);
        a_gradient.fill(0.0);
        let iterates = self.iterates.chunks_exact(self.matrix.len());
        for iterate in iterates.map(Some).rev().chain([None]).take(self.iterations) {
            match iterate {
                Some(iterate) => square.load(z, iterate),
                None => square.transpose(z, 1.0 / self.scale, a),
            }
            polynomials(simd, square, a, z, x, p, q);
            // Z' = Z q / 4
            square.product(simd, next, 0.25, q, gradient, Onto::Diagonal(0.0));
            square.product(simd, q_gradient, 0.25, gradient, z, Onto::Diagonal(0.0));
            // q = 13 I − X p, p = 15 I − X (7 I − X)
            square.product(simd, p_gradient, -1.0, q_gradient, x, Onto::Diagonal(0.0));
            let x_gradient = &mut *q;
            square.product(
                simd,
                x_gradient,
                1.0,
                x,
                p_gradient,
                Onto::Matrix(-7.0, p_gradient, 0.0),
            );
            square.product(simd, x_gradient, 1.0, p_gradient, x, Onto::Output);
            square.product(simd, x_gradient, -1.0, p, q_gradient, Onto::Output);
            // X = A Z
            square.product(simd, a_gradient, 1.0, z, x_gradient, Onto::Output);
            square.product(simd, next, 1.0, x_gradient, a, Onto::Output);
            std::mem::swap(&mut gradient, &mut next);
        }

        // Z₀ = Aᵀ/scale
        square.transpose(x, 1.0, a_gradient);
        let mut products = [0.0; LANES];
        let (x_blocks, _) = x.as_chunks_mut::<LANES>();
        let (gradients, _) = gradient.as_chunks::<LANES>();
        let (a_blocks, _) = a.as_chunks::<LANES>();
        for (x, (gradient, a)) in x_blocks.iter_mut().zip(gradients.iter().zip(a_blocks)) {
            for lane in 0..LANES {
                x[lane] += gradient[lane] / self.scale;
                products[lane] += gradient[lane] * a[lane];
            }
        }
        square.store(x, self.output);
        -simd::add_lanes(products) / (self.scale * self.scale)
    }
}

/// `x ← A Z`, `p ← 15 I − X (7 I − X)`, `q ← 13 I − X p`.
#[inline(always)]
fn polynomials<S: Simd>(
    simd: S,
    square: Square,
    a: &[f32],
    z: &[f32],
    x: &mut [f32],
    p: &mut [f32],
    q: &mut [f32],
) {
    square.product(simd, x, 1.0, a, z, Onto::Diagonal(0.0));
    square.product(simd, p, 1.0, x, x, Onto::Matrix(-7.0, x, 15.0));
    square.product(simd, q, -1.0, x, p, Onto::Diagonal(13.0));
}
