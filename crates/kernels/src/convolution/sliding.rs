//! Filters sliding over rows, and their derivative, on plain slices.
//!
//! Rows are first packed: one vector's width of columns after the other, each with the zeros around its ends. Then a
//! block of output rows stays in registers while the input rows that it sees pass by once. A head has one filter, or each of
//! its columns has one; these are packed too, so that a tap of neighbouring columns is a vector.

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

/// Values that the packed filters of all columns take.
pub(super) fn packed_filters_length(width: usize, taps: usize) -> usize {
    width.next_multiple_of(WIDEST) * taps
}

/// Packs a filter for each column, `[columns, taps]`: the taps of one vector of columns after the other.
#[inline(always)]
fn pack_filters<S: Simd>(filters: &[f32], taps: usize, packed: &mut [f32]) {
    for (index, lanes) in packed.chunks_exact_mut(S::F32_LANES).enumerate() {
        let (column, tap) = (index / taps * S::F32_LANES, index % taps);
        let values = filters.chunks_exact(taps).skip(column).map(|filter| filter[tap]);
        let values = values.chain(std::iter::repeat(0.0));
        lanes.iter_mut().zip(values).for_each(|(lane, value)| *lane = value);
    }
}

/// Taps as vectors, for `VECTORS` neighbouring vectors of columns.
trait Taps<S: Simd, const VECTORS: usize>: Copy {
    /// Some taps, one after the other.
    fn some(self, first: usize, count: usize) -> Self;

    /// One tap in each vector.
    fn at(self, simd: S, tap: usize) -> [S::f32s; VECTORS];
}

/// One filter for all columns.
impl<S: Simd, const VECTORS: usize> Taps<S, VECTORS> for &[f32] {
    #[inline(always)]
    fn some(self, first: usize, count: usize) -> Self {
        &self[first..first + count]
    }

    #[inline(always)]
    fn at(self, simd: S, tap: usize) -> [S::f32s; VECTORS] {
        [simd.splat_f32s(self[tap]); VECTORS]
    }
}

/// One filter for each column.
impl<S: Simd, const VECTORS: usize> Taps<S, VECTORS> for [&[S::f32s]; VECTORS] {
    #[inline(always)]
    fn some(self, first: usize, count: usize) -> Self {
        self.map(|taps| &taps[first..first + count])
    }

    #[inline(always)]
    fn at(self, _: S, tap: usize) -> [S::f32s; VECTORS] {
        self.map(|taps| taps[tap])
    }
}

/// Adds the products of taps and inputs.
#[inline(always)]
fn add_products<S: Simd, const VECTORS: usize>(
    simd: S,
    sums: &mut [S::f32s; VECTORS],
    taps: [S::f32s; VECTORS],
    inputs: [S::f32s; VECTORS],
) {
    for ((sum, tap), input) in sums.iter_mut().zip(taps).zip(inputs) {
        *sum = simd.mul_add_f32s(tap, input, *sum);
    }
}

/// `output ← filter ⋆ input` for some rows, or added to them.
pub(super) struct Slide<'a> {
    pub(super) packed: &'a mut [f32],
    /// Nothing, if there is one filter.
    pub(super) packed_filters: &'a mut [f32],
    pub(super) input: Head<'a>,
    /// `[taps]`, or `[columns, taps]`; the first tap is for the row farthest before the output's.
    pub(super) filter: &'a [f32],
    /// An odd number.
    pub(super) taps: usize,
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
        pack(simd, self.input, self.first, self.taps, self.packed);
        let packed_filters = std::mem::take(&mut self.packed_filters);
        pack_filters::<S>(self.filter, self.taps, packed_filters);
        let filters = S::as_simd_f32s(packed_filters).0;
        let columns = self.input.width.div_ceil(S::F32_LANES);
        for column in (0..columns).step_by(2) {
            if column + 1 < columns {
                self.columns::<S, 2>(simd, filters, column);
            } else {
                self.columns::<S, 1>(simd, filters, column);
            }
        }
    }
}

impl Slide<'_> {
    #[inline(always)]
    fn columns<S: Simd, const VECTORS: usize>(
        &mut self,
        simd: S,
        filters: &[S::f32s],
        column: usize,
    ) {
        if filters.is_empty() {
            return self.rows::<S, _, VECTORS>(simd, self.filter, column);
        }
        let taps = self.taps;
        let of: [&[S::f32s]; VECTORS] =
            std::array::from_fn(|index| &filters[(column + index) * taps..][..taps]);
        self.rows::<S, _, VECTORS>(simd, of, column);
    }

    #[inline(always)]
    fn rows<S: Simd, T: Taps<S, VECTORS>, const VECTORS: usize>(
        &mut self,
        simd: S,
        taps: T,
        column: usize,
    ) {
        // As many rows as the filter and the registers allow.
        if self.taps >= 8 && S::REGISTER_COUNT >= 32 {
            self.blocks::<S, T, 8, VECTORS>(simd, taps, column);
        } else if self.taps >= 4 {
            self.blocks::<S, T, 4, VECTORS>(simd, taps, column);
        } else {
            self.blocks::<S, T, 1, VECTORS>(simd, taps, column);
        }
    }

    #[inline(always)]
    fn blocks<S: Simd, T: Taps<S, VECTORS>, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        taps: T,
        column: usize,
    ) {
        for row in (0..self.rows).step_by(ROWS) {
            let sums = self.block::<S, T, ROWS, VECTORS>(simd, taps, column, row);
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
    fn block<S: Simd, T: Taps<S, VECTORS>, const ROWS: usize, const VECTORS: usize>(
        &self,
        simd: S,
        taps: T,
        column: usize,
        row: usize,
    ) -> [[S::f32s; VECTORS]; ROWS] {
        let seen = self.taps + ROWS - 1;
        let height = packed_rows(self.taps);
        let packed = S::as_simd_f32s(self.packed).0;
        let packed: [&[S::f32s]; VECTORS] =
            std::array::from_fn(|index| &packed[(column + index) * height + row..][..seen]);

        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
        for input in 0..ROWS - 1 {
            for (row, sums) in sums.iter_mut().enumerate() {
                if row <= input {
                    let inputs = packed.map(|packed| packed[input]);
                    add_products(simd, sums, taps.at(simd, input - row), inputs);
                }
            }
        }
        for first in 0..(self.taps + 1).saturating_sub(ROWS) {
            let window = taps.some(first, ROWS);
            let inputs = packed.map(|packed| packed[first + ROWS - 1]);
            for (row, sums) in sums.iter_mut().enumerate() {
                add_products(simd, sums, window.at(simd, ROWS - 1 - row), inputs);
            }
        }
        for input in self.taps..seen {
            for (row, sums) in sums.iter_mut().enumerate() {
                if input - row < self.taps {
                    let inputs = packed.map(|packed| packed[input]);
                    add_products(simd, sums, taps.at(simd, input - row), inputs);
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
    pub(super) taps: usize,
    /// `[taps]`, or `[columns, taps]`.
    pub(super) output: &'a mut [f32],
}

impl WithSimd for FilterGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let taps = self.taps;
        pack(simd, self.input, self.first, taps, self.packed);
        pack(simd, self.gradient, self.first, 1, self.packed_gradient);
        let input = S::as_simd_f32s(self.packed).0.chunks_exact(packed_rows(taps));
        let gradient = S::as_simd_f32s(self.packed_gradient).0.chunks_exact(packed_rows(1));
        let columns = self.input.width.div_ceil(S::F32_LANES);
        self.output.fill(0.0);
        for (index, (input, gradient)) in input.zip(gradient).take(columns).enumerate() {
            let gradient = &gradient[..self.rows];
            let mut output = if self.output.len() == taps {
                Sums::OfHead(&mut *self.output)
            } else {
                let first = index * S::F32_LANES * taps;
                Sums::OfColumns { output: &mut self.output[first..], taps }
            };
            let mut tap = 0;
            while tap < taps {
                let input = &input[tap..];
                tap += if taps - tap > 8 && S::REGISTER_COUNT >= 32 {
                    products::<S, TAPS>(simd, input, gradient, &mut output, [tap, taps - tap])
                } else if taps - tap > 4 {
                    products::<S, 8>(simd, input, gradient, &mut output, [tap, taps - tap])
                } else {
                    products::<S, 4>(simd, input, gradient, &mut output, [tap, taps - tap])
                };
            }
        }
    }
}

/// Where the gradients of a vector of columns are summed up.
enum Sums<'a> {
    /// `[taps]`, over the columns.
    OfHead(&'a mut [f32]),
    /// `[columns, taps]`, from the vector's first column on.
    OfColumns { output: &'a mut [f32], taps: usize },
}

impl Sums<'_> {
    #[inline(always)]
    fn add<S: Simd>(&mut self, simd: S, tap: usize, sum: S::f32s) {
        match self {
            Self::OfHead(output) => output[tap] += simd.reduce_sum_f32s(sum),
            Self::OfColumns { output, taps } => {
                let mut lanes = [0.0; WIDEST];
                simd.partial_store_f32s(&mut lanes[..S::F32_LANES], sum);
                for (filter, lane) in output.chunks_exact_mut(*taps).zip(&lanes[..S::F32_LANES]) {
                    filter[tap] += lane;
                }
            }
        }
    }
}

/// Adds the gradients of `COUNT` taps from `tap` on, or of as many as are left; returns how many were added.
#[inline(always)]
fn products<S: Simd, const COUNT: usize>(
    simd: S,
    input: &[S::f32s],
    gradient: &[S::f32s],
    output: &mut Sums<'_>,
    [tap, left]: [usize; 2],
) -> usize {
    let mut sums = [simd.splat_f32s(0.0); COUNT];
    for (gradient, window) in gradient.iter().zip(input.windows(COUNT)) {
        for (sum, input) in sums.iter_mut().zip(window) {
            *sum = simd.mul_add_f32s(*gradient, *input, *sum);
        }
    }
    for (tap, sum) in (tap..tap + left).zip(sums) {
        output.add(simd, tap, sum);
    }
    left.min(COUNT)
}
