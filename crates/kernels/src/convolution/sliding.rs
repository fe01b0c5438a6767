//! A filter sliding over rows, and its derivative, on plain slices.
//!
//! Rows are first packed: one vector's width of columns after the other, each with the zeros around its ends. Then a
//! block of output rows stays in registers while the input rows that it sees pass by once.

use pulp::{Simd, WithSimd};

use crate::view::Head;

/// Output rows of one task.
pub(super) const CHUNK: usize = 256;

/// Taps whose gradients are summed together, at most.
const TAPS: usize = 16;

/// Columns that any machine's vectors divide.
const WIDEST: usize = 16;

/// Values that the packed rows of one task take.
pub(super) fn packed_length(width: usize, taps: usize) -> usize {
    width.next_multiple_of(WIDEST) * packed_rows(taps)
}

/// Rows that a task packs: those that its outputs see, and some more for blocks that are not full.
fn packed_rows(taps: usize) -> usize {
    CHUNK + taps - 1 + TAPS
}

/// Packs the rows of `head` around `CHUNK` rows from `first` on: vectors of one column after the other.
#[inline(always)]
fn pack<S: Simd>(simd: S, head: Head<'_>, first: usize, taps: usize, packed: &mut [f32]) {
    let height = packed_rows(taps);
    let packed = S::as_mut_simd_f32s(packed).0;
    let columns = head.width.div_ceil(S::F32_LANES);
    let before = (taps / 2).saturating_sub(first);
    let start = (first + before).saturating_sub(taps / 2);
    let inside = (height - before).min(head.rows.saturating_sub(start));
    for column in packed.chunks_exact_mut(height).take(columns) {
        column[..before].fill(simd.splat_f32s(0.0));
        column[before + inside..].fill(simd.splat_f32s(0.0));
    }
    for index in 0..inside {
        let (vectors, rest) = S::as_simd_f32s(head.row(start + index));
        for (column, vector) in vectors.iter().enumerate() {
            packed[column * height + before + index] = *vector;
        }
        if !rest.is_empty() {
            packed[vectors.len() * height + before + index] = simd.partial_load_f32s(rest);
        }
    }
}

/// `output ← filter ⋆ input` for some rows, or added to them.
pub(super) struct Slide<'a> {
    pub(super) packed: &'a mut [f32],
    pub(super) input: Head<'a>,
    /// An odd number of taps, the first for the row farthest before the output's.
    pub(super) filter: &'a [f32],
    /// Which row of the sequence the output starts with.
    pub(super) first: usize,
    /// Number of output rows, [`CHUNK`] at most.
    pub(super) rows: usize,
    /// From the first output row on.
    pub(super) output: &'a mut [f32],
    /// Values from one output row to the next.
    pub(super) stride: usize,
    /// Whether to add to what the output holds.
    pub(super) accumulate: bool,
}

impl WithSimd for Slide<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        pack(simd, self.input, self.first, self.filter.len(), self.packed);
        let columns = self.input.width.div_ceil(S::F32_LANES);
        for column in (0..columns).step_by(2) {
            if column + 1 < columns {
                self.columns::<S, 2>(simd, column);
            } else {
                self.columns::<S, 1>(simd, column);
            }
        }
    }
}

impl Slide<'_> {
    #[inline(always)]
    fn columns<S: Simd, const VECTORS: usize>(&mut self, simd: S, column: usize) {
        // As many rows as the filter and the registers allow.
        if self.filter.len() >= 8 && S::REGISTER_COUNT >= 32 {
            self.blocks::<S, 8, VECTORS>(simd, column);
        } else if self.filter.len() >= 4 {
            self.blocks::<S, 4, VECTORS>(simd, column);
        } else {
            self.blocks::<S, 1, VECTORS>(simd, column);
        }
    }

    #[inline(always)]
    fn blocks<S: Simd, const ROWS: usize, const VECTORS: usize>(&mut self, simd: S, column: usize) {
        for row in (0..self.rows).step_by(ROWS) {
            let sums = self.block::<S, ROWS, VECTORS>(simd, column, row);
            for (row, sums) in (row..self.rows).zip(sums) {
                let output = &mut self.output[row * self.stride..][..self.input.width];
                for (index, sum) in sums.into_iter().enumerate() {
                    let place = (column + index) * S::F32_LANES;
                    let output = &mut output[place..];
                    let sum = if self.accumulate {
                        simd.add_f32s(sum, simd.partial_load_f32s(output))
                    } else {
                        sum
                    };
                    simd.partial_store_f32s(output, sum);
                }
            }
        }
    }

    /// `ROWS` rows by `VECTORS` vectors of the convolution.
    #[inline(always)]
    fn block<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &self,
        simd: S,
        column: usize,
        row: usize,
    ) -> [[S::f32s; VECTORS]; ROWS] {
        let (filter, taps) = (self.filter, self.filter.len());
        let seen = taps + ROWS - 1;
        let height = packed_rows(taps);
        let packed = S::as_simd_f32s(self.packed).0;
        let packed: [&[S::f32s]; VECTORS] =
            std::array::from_fn(|index| &packed[(column + index) * height + row..][..seen]);

        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
        for input in 0..ROWS - 1 {
            for (row, sums) in sums.iter_mut().enumerate() {
                if row <= input {
                    let tap = simd.splat_f32s(filter[input - row]);
                    for (sum, packed) in sums.iter_mut().zip(packed) {
                        *sum = simd.mul_add_f32s(tap, packed[input], *sum);
                    }
                }
            }
        }
        for (first, window) in filter.windows(ROWS).enumerate() {
            let vectors = packed.map(|packed| packed[first + ROWS - 1]);
            for (sums, tap) in sums.iter_mut().zip(window.iter().rev()) {
                let tap = simd.splat_f32s(*tap);
                for (sum, vector) in sums.iter_mut().zip(vectors) {
                    *sum = simd.mul_add_f32s(tap, vector, *sum);
                }
            }
        }
        for input in taps..seen {
            for (row, sums) in sums.iter_mut().enumerate() {
                if input - row < taps {
                    let tap = simd.splat_f32s(filter[input - row]);
                    for (sum, packed) in sums.iter_mut().zip(packed) {
                        *sum = simd.mul_add_f32s(tap, packed[input], *sum);
                    }
                }
            }
        }
        sums
    }
}

/// The gradient of the filter from some rows: `output[t] ← Σ gradient[row] · input[row + t − taps/2]`.
pub(super) struct FilterGradient<'a> {
    pub(super) packed: &'a mut [f32],
    pub(super) input: Head<'a>,
    pub(super) packed_gradient: &'a mut [f32],
    pub(super) gradient: Head<'a>,
    /// The first of the rows, and their number, [`CHUNK`] at most.
    pub(super) first: usize,
    pub(super) rows: usize,
    /// As long as the filter.
    pub(super) output: &'a mut [f32],
}

impl WithSimd for FilterGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let taps = self.output.len();
        pack(simd, self.input, self.first, taps, self.packed);
        pack(simd, self.gradient, self.first, 1, self.packed_gradient);
        let input = S::as_simd_f32s(self.packed).0.chunks_exact(packed_rows(taps));
        let gradient = S::as_simd_f32s(self.packed_gradient).0.chunks_exact(packed_rows(1));
        let columns = self.input.width.div_ceil(S::F32_LANES);
        self.output.fill(0.0);
        for (input, gradient) in input.zip(gradient).take(columns) {
            let gradient = &gradient[..self.rows];
            let mut output = &mut *self.output;
            let mut tap = 0;
            while !output.is_empty() {
                let input = &input[tap..];
                let count = if output.len() > 8 && S::REGISTER_COUNT >= 32 {
                    products::<S, TAPS>(simd, input, gradient, output)
                } else if output.len() > 4 {
                    products::<S, 8>(simd, input, gradient, output)
                } else {
                    products::<S, 4>(simd, input, gradient, output)
                };
                output = &mut output[count..];
                tap += count;
            }
        }
    }
}

/// Adds the gradients of the first `COUNT` taps to the output, which may be shorter; returns how many were added.
#[inline(always)]
fn products<S: Simd, const COUNT: usize>(
    simd: S,
    input: &[S::f32s],
    gradient: &[S::f32s],
    output: &mut [f32],
) -> usize {
    let mut sums = [simd.splat_f32s(0.0); COUNT];
    for (gradient, window) in gradient.iter().zip(input.windows(COUNT)) {
        for (sum, input) in sums.iter_mut().zip(window) {
            *sum = simd.mul_add_f32s(*gradient, *input, *sum);
        }
    }
    for (output, sum) in output.iter_mut().zip(sums) {
        *output += simd.reduce_sum_f32s(sum);
    }
    output.len().min(COUNT)
}
