//! Products of small square matrices that stay in a core's own cache.
//!
//! A matrix lies in rows of [`Square::stride`] values, padded with zeros to whole blocks of 16. Products are
//! computed in tiles of rows × two vectors, whose sums stay in registers over the whole inner dimension; at these
//! sizes, packing the operands as a general product must would cost more than it gains.

use pulp::Simd;

/// Rows and columns of the blocks that matrices are padded to and transposed by.
const BLOCK: usize = 16;

/// The layout shared by the matrices of one computation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Square {
    /// Rows and columns.
    pub(super) size: usize,
    /// The same with the padding.
    padded: usize,
    /// Values from one row to the next: an odd number of cache lines, so that a column spreads over all cache sets.
    stride: usize,
}

/// What a product is added to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Onto<'a> {
    /// This number on the diagonal, zero elsewhere.
    Diagonal(f32),
    /// What the output holds.
    Output,
    /// A multiple of another matrix, and this number on the diagonal.
    Matrix(f32, &'a [f32], f32),
}

impl Square {
    /// The layout of `size × size` matrices.
    pub(super) fn new(size: usize) -> Self {
        let padded = size.next_multiple_of(BLOCK);
        Self { size, padded, stride: ((padded / BLOCK) | 1) * BLOCK }
    }

    /// Rows and columns with the padding.
    pub(super) fn padded(self) -> usize {
        self.padded
    }

    /// Values from one row to the next.
    pub(super) fn stride(self) -> usize {
        self.stride
    }

    /// Values that a matrix takes.
    pub(super) fn length(self) -> usize {
        self.padded * self.stride
    }

    /// Reads a matrix from consecutive rows.
    #[inline(always)]
    pub(super) fn load(self, matrix: &mut [f32], source: &[f32]) {
        for (index, row) in matrix.chunks_exact_mut(self.stride).enumerate() {
            let source = source.get(index * self.size..(index + 1) * self.size).unwrap_or_default();
            row[..source.len()].copy_from_slice(source);
            row[source.len()..].fill(0.0);
        }
    }

    /// Writes a matrix to consecutive rows.
    #[inline(always)]
    pub(super) fn store(self, matrix: &[f32], target: &mut [f32]) {
        for (row, target) in
            matrix.chunks_exact(self.stride).zip(target.chunks_exact_mut(self.size))
        {
            target.copy_from_slice(&row[..self.size]);
        }
    }

    /// `output ← factor · left · right + onto`.
    #[inline(always)]
    pub(super) fn product<S: Simd>(
        self,
        simd: S,
        output: &mut [f32],
        factor: f32,
        left: &[f32],
        right: &[f32],
        onto: Onto,
    ) {
        // As many sums as registers can hold beside the operands.
        if S::REGISTER_COUNT >= 32 {
            self.tiles::<S, 8>(simd, output, factor, left, right, onto);
        } else {
            self.tiles::<S, 4>(simd, output, factor, left, right, onto);
        }
    }

    #[inline(always)]
    fn tiles<S: Simd, const ROWS: usize>(
        self,
        simd: S,
        output: &mut [f32],
        factor: f32,
        left: &[f32],
        right: &[f32],
        onto: Onto,
    ) {
        // A panel of two vectors stays in the innermost cache while all rows pass.
        for column in (0..self.padded).step_by(2 * S::F32_LANES) {
            let pair = column + S::F32_LANES < self.padded;
            for row in (0..self.padded).step_by(ROWS) {
                let place = (row, column);
                if pair {
                    self.tile::<S, ROWS, 2>(simd, place, output, factor, left, right, onto);
                } else {
                    self.tile::<S, ROWS, 1>(simd, place, output, factor, left, right, onto);
                }
            }
        }
    }

    /// `ROWS` rows by `VECTORS` vectors of the output.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "an inlined inner loop")]
    fn tile<S: Simd, const ROWS: usize, const VECTORS: usize>(
        self,
        simd: S,
        (row, column): (usize, usize),
        output: &mut [f32],
        factor: f32,
        left: &[f32],
        right: &[f32],
        onto: Onto,
    ) {
        let lanes = S::F32_LANES;
        let left = &left[row * self.stride..];
        let right = &S::as_simd_f32s(right).0[column / lanes..];
        let step = self.stride / lanes;
        assert!((ROWS - 1) * self.stride + self.padded <= left.len());
        assert!((self.padded - 1) * step + VECTORS <= right.len());

        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
        for inner in 0..self.padded {
            #[expect(unsafe_code, reason = "bounds checks here would halve the speed")]
            // SAFETY: `inner < padded`, `index < VECTORS`, and the second assertion above.
            let vectors: [S::f32s; VECTORS] =
                std::array::from_fn(|index| unsafe { *right.get_unchecked(inner * step + index) });
            for (index, sums) in sums.iter_mut().enumerate() {
                #[expect(unsafe_code, reason = "bounds checks here would halve the speed")]
                // SAFETY: `inner < padded`, `index < ROWS`, and the first assertion above.
                let value = unsafe { *left.get_unchecked(index * self.stride + inner) };
                let value = simd.splat_f32s(value);
                for (sum, vector) in sums.iter_mut().zip(vectors) {
                    *sum = simd.mul_add_f32s(value, vector, *sum);
                }
            }
        }

        let factor = simd.splat_f32s(factor);
        for (row, sums) in (row..).zip(sums) {
            let place = row * self.stride + column;
            let target = &mut S::as_mut_simd_f32s(&mut output[place..]).0[..VECTORS];
            for (index, (target, sum)) in target.iter_mut().zip(sums).enumerate() {
                *target = match onto {
                    Onto::Diagonal(_) => simd.mul_f32s(factor, sum),
                    Onto::Output => simd.mul_add_f32s(factor, sum, *target),
                    Onto::Matrix(multiple, matrix, _) => {
                        let value = S::as_simd_f32s(&matrix[place..]).0[index];
                        let value = simd.mul_f32s(simd.splat_f32s(multiple), value);
                        simd.mul_add_f32s(factor, sum, value)
                    }
                };
            }
            if let Onto::Diagonal(number) | Onto::Matrix(_, _, number) = onto
                && (column..column + VECTORS * lanes).contains(&row)
            {
                output[row * self.stride + row] += number;
            }
        }
    }

    /// `output ← scale · matrixᵀ`, block by block.
    #[inline(always)]
    pub(super) fn transpose(self, output: &mut [f32], scale: f32, matrix: &[f32]) {
        for top in (0..self.padded).step_by(BLOCK) {
            for left in (0..self.padded).step_by(BLOCK) {
                for column in left..left + BLOCK {
                    for row in top..top + BLOCK {
                        output[column * self.stride + row] =
                            scale * matrix[row * self.stride + column];
                    }
                }
            }
        }
    }
}
