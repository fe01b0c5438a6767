//! Square matrices among the units of a cube. Units form a square; each has 4 × 4 values of each matrix, in rows and columns that lie as far
//! apart as there are units on a side. Rows and columns beyond a matrix are zeros.
//!
//! A unit's values of all matrices, `squares`, are one array, and a matrix a number: so a product is written once, in a loop over the
//! steps of a computation. Written out step by step, a kernel takes many seconds to compile.

use burn_cubecl::cubecl::{self, prelude::*};

/// Rows, and columns, of a unit.
pub(super) const SIDE: usize = 4;

/// Rows of a matrix with those beyond it.
pub(super) fn width_of(size: usize) -> usize {
    SIDE * size.div_ceil(SIDE)
}

/// Values of a matrix that a unit has.
pub(super) const OWN: usize = SIDE * SIDE;

/// Reads a matrix, or its transpose, times a factor.
#[cube]
pub(super) fn load(
    squares: &mut Array<f32>,
    target: usize,
    source: &[f32],
    first: usize,
    factor: f32,
    #[comptime] size: usize,
    #[comptime] is_transposed: bool,
) {
    let units = comptime!(size.div_ceil(SIDE));
    for index in 0..OWN {
        let row = UNIT_POS_Y as usize + index / SIDE * units;
        let column = UNIT_POS_X as usize + index % SIDE * units;
        let mut value = 0.0f32;
        if row < size && column < size {
            if is_transposed {
                value = source[first + column * size + row] * factor;
            } else {
                value = source[first + row * size + column] * factor;
            }
        }
        squares[target * OWN + index] = value;
    }
}

/// Writes a matrix.
#[cube]
pub(super) fn store(
    squares: &Array<f32>,
    source: usize,
    target: &mut [f32],
    first: usize,
    #[comptime] size: usize,
) {
    let units = comptime!(size.div_ceil(SIDE));
    for index in 0..OWN {
        let row = UNIT_POS_Y as usize + index / SIDE * units;
        let column = UNIT_POS_X as usize + index % SIDE * units;
        if row < size && column < size {
            target[first + row * size + column] = squares[source * OWN + index];
        }
    }
}

/// Writes a matrix, or its transpose, to memory that all units read.
#[cube]
pub(super) fn share(
    squares: &mut Array<f32>,
    source: usize,
    is_transposed: bool,
    tile: &mut Shared<[f32]>,
    #[comptime] size: usize,
) {
    let units = comptime!(size.div_ceil(SIDE));
    let width = comptime!(width_of(size));
    for index in 0..OWN {
        let row = UNIT_POS_Y as usize + index / SIDE * units;
        let column = UNIT_POS_X as usize + index % SIDE * units;
        let place = select(is_transposed, column * width + row, row * width + column);
        tile[place] = squares[source * OWN + index];
    }
}

/// A step: `target ← diagonal · I + keep · base + factor · left · right`, where each of the last two may be transposed first.
#[derive(CubeType, Clone, Copy)]
pub(super) struct Step {
    pub(super) left: usize,
    pub(super) left_is_transposed: bool,
    pub(super) right: usize,
    pub(super) right_is_transposed: bool,
    pub(super) base: usize,
    pub(super) keep: f32,
    pub(super) diagonal: f32,
    pub(super) factor: f32,
    pub(super) target: usize,
}

/// Takes a step.
#[cube]
pub(super) fn take(
    squares: &mut Array<f32>,
    step: &Step,
    left_tile: &mut Shared<[f32]>,
    right_tile: &mut Shared<[f32]>,
    #[comptime] size: usize,
) {
    let units = comptime!(size.div_ceil(SIDE));
    let width = comptime!(width_of(size));
    // Nobody reads what lay there before.
    sync_cube();
    share(squares, step.left, step.left_is_transposed, left_tile, size);
    share(squares, step.right, step.right_is_transposed, right_tile, size);
    sync_cube();
    let mut sums = Array::<f32>::new(OWN);
    #[unroll]
    for index in 0..16usize {
        sums[index] = 0.0f32;
    }
    for k in 0..width {
        let mut rows = Array::<f32>::new(SIDE);
        let mut columns = Array::<f32>::new(SIDE);
        #[unroll]
        for i in 0..4usize {
            rows[i] = left_tile[(UNIT_POS_Y as usize + i * units) * width + k];
            columns[i] = right_tile[k * width + UNIT_POS_X as usize + i * units];
        }
        #[unroll]
        for i in 0..4usize {
            #[unroll]
            for j in 0..4usize {
                sums[i * 4 + j] = fma(rows[i], columns[j], sums[i * 4 + j]);
            }
        }
    }
    #[unroll]
    for i in 0..4usize {
        #[unroll]
        for j in 0..4usize {
            let row = UNIT_POS_Y as usize + i * units;
            let column = UNIT_POS_X as usize + j * units;
            let diagonal = select(row == column && row < size, step.diagonal, 0.0f32);
            // What is not kept is not read: it may be no number.
            let base = select(step.keep == 0.0f32, 0.0f32, squares[step.base * OWN + (i * 4 + j)]);
            squares[step.target * OWN + (i * 4 + j)] =
                fma(step.factor, sums[i * 4 + j], fma(step.keep, base, diagonal));
        }
    }
}
