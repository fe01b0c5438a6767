//! A matrix unit in plain code, for tests: the same layout, the same order of tiles, the same rounding. So the product on the
//! unit is checked on every machine.

#![expect(unsafe_code, reason = "a unit writes through a pointer")]

use std::ops::Range;

use super::{
    Matrix,
    unit::{BLOCK, DEPTH, MatrixUnit, Sizes, TILE, step_length},
};
use crate::simd;

/// Rows of a tile.
const ROWS: usize = 16;

/// Stands for [`Amx`](super::amx::Amx).
#[derive(Debug)]
pub(super) struct Emulated;

impl MatrixUnit for Emulated {
    /// Small, so that small products are made of all kinds of parts.
    const SIZES: Sizes = Sizes { depth: 96, rows: 128, right: 8 * step_length(3) };

    fn is_available() -> bool {
        true
    }

    fn new() -> Self {
        Self
    }

    fn lay_out_left<const PARTS: usize>(
        target: &mut [u16],
        matrix: Matrix<'_>,
        row: usize,
        columns: Range<usize>,
    ) -> bool {
        let mut can_be_split = true;
        for (step, target) in target.chunks_exact_mut(step_length(PARTS)).enumerate() {
            let first = columns.start + step * DEPTH;
            for index in 0..BLOCK {
                for depth in 0..DEPTH {
                    let (row, column) = (row + index, first + depth);
                    let is_inside = row < matrix.rows && column < columns.end;
                    let value = if is_inside { at(matrix, row, column) } else { 0.0 };
                    can_be_split &= value.abs() < LIMIT;
                    for (part, bits) in parts::<PARTS>(value).into_iter().enumerate() {
                        let tile = part * 2 + index / ROWS;
                        target[tile * TILE + index % ROWS * DEPTH + depth] = bits;
                    }
                }
            }
        }
        can_be_split
    }

    fn lay_out_right<const PARTS: usize>(
        target: &mut [u16],
        matrix: Matrix<'_>,
        row: usize,
        end: usize,
        column: usize,
    ) -> bool {
        let mut can_be_split = true;
        for depth in 0..DEPTH {
            for index in 0..BLOCK {
                let (row, column) = (row + depth, column + index);
                let is_inside = row < end && column < matrix.columns;
                let value = if is_inside { at(matrix, row, column) } else { 0.0 };
                can_be_split &= value.abs() < LIMIT;
                for (part, bits) in parts::<PARTS>(value).into_iter().enumerate() {
                    let tile = (PARTS - 1 - part) * 2 + index / ROWS;
                    target[tile * TILE + depth / 2 * DEPTH + index % ROWS * 2 + depth % 2] = bits;
                }
            }
        }
        can_be_split
    }

    unsafe fn block<const PARTS: usize>(
        &self,
        left: &[u16],
        right: &[u16],
        steps: usize,
        start: &[f32; BLOCK],
        target: *mut f32,
        stride: usize,
    ) {
        // Parts of the left factor, of which 0 is the high one, and of the right one, of which 0 is the low one.
        let products: &[(usize, usize)] = match PARTS {
            1 => &[(0, 0)],
            3 => &[(0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (0, 2)],
            _ => unreachable!("one part or three"),
        };
        let length = step_length(PARTS);
        let mut block = [*start; BLOCK];
        simd::vectorised(
            #[inline(always)]
            || {
                for step in 0..steps {
                    let (left, right) = (&left[step * length..], &right[step * length..]);
                    for &(left_part, right_part) in products {
                        for place in 0..4 {
                            let (lower, to_the_right) = (place / 2, place % 2);
                            multiply(
                                &mut block,
                                (lower * ROWS, to_the_right * ROWS),
                                &left[(left_part * 2 + lower) * TILE..][..TILE],
                                &right[(right_part * 2 + to_the_right) * TILE..][..TILE],
                            );
                        }
                    }
                }
            },
        );
        for (index, row) in block.iter().enumerate() {
            // SAFETY: by the caller's promise the row lies there, and nobody else accesses it.
            let target =
                unsafe { std::slice::from_raw_parts_mut(target.add(index * stride), BLOCK) };
            target.copy_from_slice(row);
        }
    }
}

/// `TDPBF16PS` of Intel's manual, onto the tile of `block` at this row and column: sums of the even and of the odd depths,
/// added to each other and then to what was there. Numbers below the normal ones count as zero, and become zero.
#[inline(always)]
fn multiply(
    block: &mut [[f32; BLOCK]; BLOCK],
    (row, column): (usize, usize),
    left: &[u16],
    right: &[u16],
) {
    for (index, left) in left.chunks_exact(DEPTH).enumerate() {
        let (mut even, mut odd) = ([0.0f32; ROWS], [0.0f32; ROWS]);
        for (left, right) in left.chunks_exact(2).zip(right.chunks_exact(DEPTH)) {
            let (left_even, left_odd) = (value(left[0]), value(left[1]));
            for lane in 0..ROWS {
                even[lane] = flush(even[lane] + left_even * value(right[2 * lane]));
                odd[lane] = flush(odd[lane] + left_odd * value(right[2 * lane + 1]));
            }
        }
        for lane in 0..ROWS {
            let sum = &mut block[row + index][column + lane];
            *sum = flush(flush(*sum) + flush(even[lane] + odd[lane]));
        }
    }
}

/// The number of these upper bits.
#[inline(always)]
fn value(bits: u16) -> f32 {
    flush(f32::from_bits(u32::from(bits) << 16))
}

/// Zero in the place of a subnormal number.
#[inline(always)]
fn flush(value: f32) -> f32 {
    if value.abs() < f32::MIN_POSITIVE { 0.0 } else { value }
}

/// Magnitudes from here on are not split.
const LIMIT: f32 = 1.701_411_8e38; // 2¹²⁷

fn at(matrix: Matrix<'_>, row: usize, column: usize) -> f32 {
    let index = if matrix.is_transposed() {
        column * matrix.rows + row
    } else {
        row * matrix.columns + column
    };
    matrix.values[index]
}

/// The upper halves of the value's parts, high to low: each is what is left, rounded to 8 significant bits.
fn parts<const PARTS: usize>(value: f32) -> [u16; PARTS] {
    let mut rest = value;
    std::array::from_fn(|_| {
        let upper = rest.to_bits().wrapping_add(0x8000) & 0xffff_0000;
        rest -= f32::from_bits(upper);
        (upper >> 16) as u16
    })
}
