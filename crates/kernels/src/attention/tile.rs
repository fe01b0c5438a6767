//! What the forward and backward passes are made of: products of small blocks in registers, the exponential in
//! vectors, and packing rows into aligned tiles.

use std::{f32::consts::LOG2_E, ops::Range};

use pulp::Simd;

use crate::view::Head;

/// Queries of one tile: they lie along the lanes of vectors.
pub(super) const QUERIES: usize = 128;

/// Keys of one tile.
pub(super) const KEYS: usize = 64;

/// Rows of one register block.
pub(crate) const BLOCK: usize = 8;

/// Columns of one register block: two vectors.
#[inline(always)]
pub(crate) const fn panel<S: Simd>() -> usize {
    2 * S::F32_LANES
}

/// `queries`, and room behind them for whole panels and, where these are narrow, whole register blocks.
#[inline(always)]
pub(crate) fn lanes<S: Simd>(queries: usize) -> usize {
    queries.next_multiple_of(group::<S>())
}

/// Queries that are looked at together: whole panels, and whole register blocks.
#[inline(always)]
pub(crate) fn group<S: Simd>() -> usize {
    panel::<S>().max(BLOCK)
}

/// The places of the queries that are looked at together with the one in `lane`, where lane 0 has the place `first`.
#[inline(always)]
pub(crate) fn group_of<S: Simd>(first: usize, lane: usize) -> Range<usize> {
    let group = group::<S>();
    let start = first + lane / group * group;
    start..start + group
}

/// A register block: [`BLOCK`] rows of one panel.
pub(crate) type Block<S> = [[<S as Simd>::f32s; 2]; BLOCK];

/// A left factor: element `(row, depth)` lies at `row · row_stride + depth · depth_stride`.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) row_stride: usize,
    pub(crate) depth_stride: usize,
}

/// A right factor: two vectors at every `stride` values.
#[derive(Clone, Copy)]
pub(crate) struct Right<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) stride: usize,
}

/// `block + left · right`, summed over `depth`.
#[inline(always)]
pub(crate) fn product<S: Simd>(
    simd: S,
    depth: usize,
    left: Left<'_>,
    right: Right<'_>,
    block: Block<S>,
) -> Block<S> {
    if S::REGISTER_COUNT >= 32 {
        return accumulate(simd, depth, left, right, block);
    }
    // Sixteen accumulators do not fit into 16 registers.
    let [a, b, c, d, e, f, g, h] = block;
    let [a, b, c, d] = accumulate(simd, depth, left, right, [a, b, c, d]);
    let left = Left { values: &left.values[BLOCK / 2 * left.row_stride..], ..left };
    let [e, f, g, h] = accumulate(simd, depth, left, right, [e, f, g, h]);
    [a, b, c, d, e, f, g, h]
}

#[inline(always)]
fn accumulate<S: Simd, const ROWS: usize>(
    simd: S,
    depth: usize,
    left: Left<'_>,
    right: Right<'_>,
    mut block: [[S::f32s; 2]; ROWS],
) -> [[S::f32s; 2]; ROWS] {
    if depth == 0 {
        return block;
    }
    let vectors = S::as_simd_f32s(right.values).0;
    let stride = right.stride / S::F32_LANES;
    assert!((depth - 1) * stride + 2 <= vectors.len(), "the right factor is too short");
    let last = (ROWS - 1) * left.row_stride + (depth - 1) * left.depth_stride;
    assert!(last < left.values.len(), "the left factor is too short");
    for step in 0..depth {
        #[expect(unsafe_code, reason = "two checks before the loop stand for 10 in every turn")]
        // SAFETY: the largest indices were checked above.
        unsafe {
            let right_0 = *vectors.get_unchecked(step * stride);
            let right_1 = *vectors.get_unchecked(step * stride + 1);
            for (row, sums) in block.iter_mut().enumerate() {
                let index = row * left.row_stride + step * left.depth_stride;
                let factor = simd.splat_f32s(*left.values.get_unchecked(index));
                sums[0] = simd.mul_add_e_f32s(factor, right_0, sums[0]);
                sums[1] = simd.mul_add_e_f32s(factor, right_1, sums[1]);
            }
        }
    }
    block
}

/// A block of zeros.
#[inline(always)]
pub(crate) fn zeros<S: Simd>(simd: S) -> Block<S> {
    [[simd.splat_f32s(0.0); 2]; BLOCK]
}

/// A block whose rows are constant.
#[inline(always)]
pub(crate) fn rows<S: Simd>(simd: S, values: &[f32]) -> Block<S> {
    let mut block = zeros(simd);
    for (row, &value) in block.iter_mut().zip(&values[..BLOCK]) {
        *row = [simd.splat_f32s(value); 2];
    }
    block
}

/// Lets a block's row be `−∞` for all queries of the panel but `seeing`.
#[inline(always)]
pub(crate) fn hide<S: Simd>(row: &mut [S::f32s; 2], seeing: Range<usize>) {
    if seeing != (0..panel::<S>()) {
        let row: &mut [f32] = pulp::bytemuck::cast_slice_mut(row);
        row[..seeing.start].fill(f32::NEG_INFINITY);
        row[seeing.end..].fill(f32::NEG_INFINITY);
    }
}

/// The two vectors at the start of `values`.
#[inline(always)]
pub(crate) fn pair<S: Simd>(values: &[f32]) -> [S::f32s; 2] {
    let vectors = S::as_simd_f32s(values).0;
    [vectors[0], vectors[1]]
}

/// Writes two vectors to the start of `values`.
#[inline(always)]
pub(crate) fn store<S: Simd>(values: &mut [f32], pair: [S::f32s; 2]) {
    S::as_mut_simd_f32s(values).0[..2].copy_from_slice(&pair);
}

/// Writes, or adds, `factor · pair` to the columns of `target` from `column` on, as far as it reaches.
#[inline(always)]
pub(crate) fn add_scaled<S: Simd>(
    simd: S,
    target: &mut [f32],
    column: usize,
    pair: [S::f32s; 2],
    factor: f32,
    overwrite: bool,
) {
    let width = target.len().min(column + panel::<S>()) - column;
    let target = &mut target[column..column + width];
    let factor = simd.splat_f32s(factor);
    if width == panel::<S>() {
        let mut sum = if overwrite { [simd.splat_f32s(0.0); 2] } else { self::pair::<S>(target) };
        for half in 0..2 {
            sum[half] = simd.mul_add_e_f32s(pair[half], factor, sum[half]);
        }
        store::<S>(target, sum);
    } else {
        let scaled = [simd.mul_f32s(pair[0], factor), simd.mul_f32s(pair[1], factor)];
        let scaled: &[f32] = pulp::bytemuck::cast_slice(&scaled);
        for (target, &value) in target.iter_mut().zip(scaled) {
            *target = if overwrite { value } else { *target + value };
        }
    }
}

/// `2ˣ` for `x ≤ 0`, within 2e-7 of its value; 0 below −110, NaN of NaN.
///
/// Smaller results than 2⁻¹¹⁰ are worth nothing beside the largest, which is 1, and products with them would be
/// subnormal, hence slow.
#[inline(always)]
pub(crate) fn exp2<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // Adding 1.5·2²³ rounds to an integer and leaves it in the low bits of the sum.
    let round = simd.splat_f32s(12_582_912.0);
    let shifted = simd.add_f32s(x, round);
    let r = simd.sub_f32s(x, simd.sub_f32s(shifted, round));
    let mut p = simd.splat_f32s(POWER_OF_TWO[0]);
    for coefficient in &POWER_OF_TWO[1..] {
        p = simd.mul_add_e_f32s(p, r, simd.splat_f32s(*coefficient));
    }
    let bits = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    let power = simd.transmute_f32s_u32s(simd.add_u32s(bits, simd.splat_u32s(1.0f32.to_bits())));
    let value = simd.mul_f32s(p, power);
    simd.select_f32s(simd.less_than_f32s(x, simd.splat_f32s(-110.0)), simd.splat_f32s(0.0), value)
}

/// `2ʳ` for `|r| ≤ ½`, exact at 0 and elsewhere of least relative error (1.4e-7); highest power first.
#[expect(clippy::approx_constant, reason = "a fitted coefficient, near ln 2 but not it")]
const POWER_OF_TWO: [f32; 6] =
    [0.001_326_486_9, 0.009_671_491, 0.055_507_33, 0.240_222_42, 0.693_147, 1.0];

/// Copies `rows` of a head into `tile`, `stride` apart and times `factor`; what is left of each row, and of
/// the tile, becomes 0.
#[inline(always)]
pub(crate) fn pack(
    tile: &mut [f32],
    stride: usize,
    head: Head<'_>,
    rows: Range<usize>,
    factor: impl Fn(usize) -> f32,
) {
    let (filled, rest) = tile.split_at_mut(rows.len() * stride);
    for (index, (target, row)) in filled.chunks_exact_mut(stride).zip(rows).enumerate() {
        let factor = factor(index);
        let (target, padding) = target.split_at_mut(head.width);
        for (target, &value) in target.iter_mut().zip(head.row(row)) {
            *target = value * factor;
        }
        padding.fill(0.0);
    }
    rest.fill(0.0);
}

/// What `bias` holds for `keys`, times log₂e; behind the last key, where there is nothing to attend to, `−∞`.
#[inline(always)]
pub(crate) fn pack_bias(target: &mut [f32], bias: Option<&[f32]>, keys: Range<usize>) {
    let (target, padding) = target.split_at_mut(keys.len());
    match bias {
        Some(bias) => {
            for (target, &bias) in target.iter_mut().zip(&bias[keys]) {
                *target = bias * LOG2_E;
            }
        }
        None => target.fill(0.0),
    }
    padding.fill(f32::NEG_INFINITY);
}

/// Turns the first `width` columns of `rows` (`stride` apart) into panels: `[panel][column][row of the panel]`.
#[inline(always)]
pub(crate) fn transpose(
    panels: &mut [f32],
    panel: usize,
    rows: &[f32],
    stride: usize,
    width: usize,
) {
    // Squares of four by four become shuffles of registers; what does not fill a square goes one by one.
    let squares = if panel.is_multiple_of(4) { width / 4 * 4 } else { 0 };
    let sources = rows.chunks_exact(panel * stride);
    for (target, source) in panels.chunks_exact_mut(panel * width).zip(sources) {
        if squares > 0 {
            for (index, source) in source.chunks_exact(4 * stride).enumerate() {
                let (upper, lower) = source.split_at(2 * stride);
                let ((a, b), (c, d)) = (upper.split_at(stride), lower.split_at(stride));
                let [a, b, c, d] = [a, b, c, d].map(|row| row[..squares].as_chunks::<4>().0);
                let columns = target.chunks_exact_mut(4 * panel);
                for ((((columns, a), b), c), d) in columns.zip(a).zip(b).zip(c).zip(d) {
                    for (column, target) in columns.chunks_exact_mut(panel).enumerate() {
                        let square = [a[column], b[column], c[column], d[column]];
                        target[4 * index..][..4].copy_from_slice(&square);
                    }
                }
            }
        }
        for (column, target) in target.chunks_exact_mut(panel).enumerate().skip(squares) {
            for (target, source) in target.iter_mut().zip(source.chunks_exact(stride)) {
                *target = source[column];
            }
        }
    }
}
