//! `Z = (AᵀA + λ I)⁻¹ Aᵀ` of one matrix by Cholesky's factorisation, and its derivative, on plain slices.
//!
//! `AᵀA + λ I` is symmetric and its eigenvalues are at least `λ`, so its factorisation needs no pivots. Rows are computed
//! in blocks: what a block owes to all rows before it is a small product whose sums stay in registers.

use pulp::{Simd, WithSimd};

use super::square::{Onto, Square};
use crate::scratch::Scratch;

/// Rows that are computed together; they divide the padding of a [`Square`].
const ROWS: usize = 4;

/// Matrices to work in, as many as the backward pass needs, and coefficients of a block.
fn matrices(square: Square, scratch: &mut Scratch) -> ([&mut [f32]; 6], &mut [[f32; ROWS]]) {
    let length = square.length();
    let coefficients = square.padded() * ROWS;
    let [a, b, c, d, e, f, coefficients] =
        scratch.pieces([length, length, length, length, length, length, coefficients]);
    ([a, b, c, d, e, f], coefficients.as_chunks_mut().0)
}

/// The inverse of one matrix.
pub(super) struct Forward<'a> {
    pub(super) square: Square,
    pub(super) scratch: &'a mut Scratch,
    /// `A`, row by row.
    pub(super) matrix: &'a [f32],
    /// `λ`, above 0.
    pub(super) ridge: f32,
    /// Receives Cholesky's factor, if there is room for it.
    pub(super) factor: &'a mut [f32],
    /// Receives `Z`.
    pub(super) output: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let square = self.square;
        let ([a, u, z, ..], coefficients) = matrices(square, self.scratch);
        square.load(a, self.matrix);
        square.transpose(z, 1.0, a);
        square.product(simd, u, 1.0, z, a, Onto::Diagonal(self.ridge));
        factorise(simd, square, u, coefficients);
        solve(simd, square, u, z, coefficients);
        if !self.factor.is_empty() {
            square.store(u, self.factor);
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
    /// Cholesky's factor, which the forward pass kept.
    pub(super) factor: &'a [f32],
    /// `Z`.
    pub(super) inverse: &'a [f32],
    /// The gradient of `Z`.
    pub(super) gradient: &'a [f32],
    /// Receives the gradient of `A`, at constant `λ`.
    pub(super) output: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    /// The gradient of `λ`.
    type Output = f32;

    /// With `M = AᵀA + λ I`, `dZ = M⁻¹ (dAᵀ − dM Z)`. So from the gradient `G` of `Z` and `W = M⁻¹ G` follow
    /// `Wᵀ − A (Z Wᵀ + W Zᵀ)` for `A`, and minus the trace of `Z Wᵀ` for `λ`.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let square = self.square;
        let ([a, u, w, w_transposed, z, product], coefficients) = matrices(square, self.scratch);
        square.load(u, self.factor);
        for place in square.size..square.padded() {
            u[place * square.stride() + place] = 1.0;
        }
        square.load(w, self.gradient);
        solve(simd, square, u, w, coefficients);
        square.transpose(w_transposed, 1.0, w);
        square.load(z, self.inverse);
        square.product(simd, product, 1.0, z, w_transposed, Onto::Diagonal(0.0));
        let trace: f32 = product.iter().step_by(square.stride() + 1).sum();

        let sum = &mut *u;
        square.transpose(sum, 1.0, product);
        for (sum, &value) in sum.iter_mut().zip(&*product) {
            *sum += value;
        }
        square.load(a, self.matrix);
        square.product(simd, w, -1.0, a, sum, Onto::Matrix(1.0, w_transposed, 0.0));
        square.store(w, self.output);
        -trace
    }
}

/// `M = Uᵀ U`, with `U` in the upper triangle of `matrix`; what is below it means nothing.
#[inline(always)]
fn factorise<S: Simd>(
    simd: S,
    square: Square,
    matrix: &mut [f32],
    coefficients: &mut [[f32; ROWS]],
) {
    let stride = square.stride();
    for first in (0..square.padded()).step_by(ROWS) {
        let (above, block) = matrix.split_at_mut(first * stride);
        let block = &mut block[..ROWS * stride];
        for (coefficients, row) in coefficients.iter_mut().zip(above.chunks_exact(stride)) {
            coefficients.copy_from_slice(&row[first..first + ROWS]);
        }
        subtract(simd, square, block, above, coefficients, first);
        for row in 0..ROWS {
            let (above, row_values) = block.split_at_mut(row * stride);
            let row_values = &mut row_values[..stride];
            for above in above.chunks_exact(stride) {
                add(row_values, -above[first + row], above);
            }
            scale(row_values, 1.0 / row_values[first + row].sqrt());
        }
    }
}

/// `X` with `Uᵀ U X = B`, in the place of `B`.
#[inline(always)]
fn solve<S: Simd>(
    simd: S,
    square: Square,
    factor: &[f32],
    x: &mut [f32],
    coefficients: &mut [[f32; ROWS]],
) {
    let (padded, stride) = (square.padded(), square.stride());
    // Uᵀ Y = B, from the first row on.
    for first in (0..padded).step_by(ROWS) {
        let (above, block) = x.split_at_mut(first * stride);
        let block = &mut block[..ROWS * stride];
        for (coefficients, row) in coefficients.iter_mut().zip(factor.chunks_exact(stride)) {
            coefficients.copy_from_slice(&row[first..first + ROWS]);
        }
        subtract(simd, square, block, above, coefficients, 0);
        for row in 0..ROWS {
            let (above, row_values) = block.split_at_mut(row * stride);
            let row_values = &mut row_values[..stride];
            for (index, above) in above.chunks_exact(stride).enumerate() {
                add(row_values, -factor[(first + index) * stride + first + row], above);
            }
            scale(row_values, 1.0 / factor[(first + row) * (stride + 1)]);
        }
    }
    // U X = Y, from the last row on.
    for first in (0..padded).step_by(ROWS).rev() {
        let behind = first + ROWS;
        let (block, below) = x.split_at_mut(behind * stride);
        let block = &mut block[first * stride..];
        let rows = &factor[first * stride..behind * stride];
        for (row, values) in rows.chunks_exact(stride).enumerate() {
            for (coefficients, &value) in coefficients.iter_mut().zip(&values[behind..padded]) {
                coefficients[row] = value;
            }
        }
        subtract(simd, square, block, &below[..(padded - behind) * stride], coefficients, 0);
        for row in (0..ROWS).rev() {
            let (row_values, below) = block.split_at_mut((row + 1) * stride);
            let row_values = &mut row_values[row * stride..];
            let factor = &rows[row * stride + first..];
            for (below, &value) in below.chunks_exact(stride).zip(&factor[row + 1..ROWS]) {
                add(row_values, -value, below);
            }
            scale(row_values, 1.0 / factor[row]);
        }
    }
}

/// `block[row] ← block[row] − Σₖ coefficients[k][row] · solved[k]` in the columns from (about) `first` on.
#[inline(always)]
fn subtract<S: Simd>(
    simd: S,
    square: Square,
    block: &mut [f32],
    solved: &[f32],
    coefficients: &[[f32; ROWS]],
    first: usize,
) {
    let lanes = S::F32_LANES;
    let (vectors, step) = (square.padded() / lanes, square.stride() / lanes);
    let (solved, _) = S::as_simd_f32s(solved);
    let (block, _) = S::as_mut_simd_f32s(block);
    let mut column = first / lanes;
    while column < vectors {
        if column + 1 < vectors {
            panel::<S, 2>(simd, step, column, block, solved, coefficients);
        } else {
            panel::<S, 1>(simd, step, column, block, solved, coefficients);
        }
        column += 2;
    }
}

/// `VECTORS` vectors of each row.
#[inline(always)]
fn panel<S: Simd, const VECTORS: usize>(
    simd: S,
    step: usize,
    column: usize,
    block: &mut [S::f32s],
    solved: &[S::f32s],
    coefficients: &[[f32; ROWS]],
) {
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
    for (row, coefficients) in solved.chunks_exact(step).zip(coefficients) {
        let vectors = &row[column..column + VECTORS];
        for (sums, &coefficient) in sums.iter_mut().zip(coefficients) {
            let coefficient = simd.splat_f32s(coefficient);
            for (sum, &vector) in sums.iter_mut().zip(vectors) {
                *sum = simd.mul_add_f32s(coefficient, vector, *sum);
            }
        }
    }
    for (row, sums) in block.chunks_exact_mut(step).zip(sums) {
        for (value, sum) in row[column..column + VECTORS].iter_mut().zip(sums) {
            *value = simd.sub_f32s(*value, sum);
        }
    }
}

/// `row ← row + factor · other`.
#[inline(always)]
fn add(row: &mut [f32], factor: f32, other: &[f32]) {
    for (value, &other) in row.iter_mut().zip(other) {
        *value += factor * other;
    }
}

#[inline(always)]
fn scale(row: &mut [f32], factor: f32) {
    for value in row {
        *value *= factor;
    }
}
