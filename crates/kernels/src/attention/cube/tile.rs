//! Rows that the units of a cube share.

use burn_cubecl::cubecl::{self, prelude::*};

/// Values of the two tiles of a cube, at most: together 16 KiB of shared memory, which every device has.
const VALUES: usize = 2048;

/// Keys whose scores a unit computes before it weighs their values.
pub(super) const GROUP: usize = 4;

/// Rows of a tile: a multiple of [`GROUP`].
pub(super) fn tile_rows(width: usize) -> usize {
    (VALUES / width / GROUP * GROUP).clamp(GROUP, 64)
}

/// Reads the rows from `start` on, those from `end` on as zeros. The first of all rows is at `first`, the next `distance` further.
#[cube]
pub(super) fn load(
    tile: &mut Shared<[f32]>,
    source: &[f32],
    first: usize,
    distance: usize,
    start: usize,
    end: usize,
    factor: f32,
    #[comptime] width: usize,
    #[comptime] units: usize,
) {
    let length = comptime!(tile_rows(width) * width);
    let mut place = UNIT_POS as usize;
    while place < length {
        let row = start + place / width;
        let mut value = 0.0f32;
        if row < end {
            value = source[first + row * distance + place % width] * factor;
        }
        tile[place] = value;
        place += units;
    }
}

/// The product of a unit's own row and one of a tile.
#[cube]
pub(super) fn dot(
    own: &Array<f32>,
    tile: &Shared<[f32]>,
    start: usize,
    #[comptime] width: usize,
) -> f32 {
    let mut sum = 0.0f32;
    #[unroll]
    for column in 0..width {
        sum = fma(own[column], tile[start + column], sum);
    }
    sum
}

/// Adds a row of a tile, times a factor, to a unit's own.
#[cube]
pub(super) fn add_scaled(
    own: &mut Array<f32>,
    factor: f32,
    tile: &Shared<[f32]>,
    start: usize,
    #[comptime] width: usize,
) {
    #[unroll]
    for column in 0..width {
        own[column] = fma(factor, tile[start + column], own[column]);
    }
}

/// A unit's own row, times a factor.
#[cube]
pub(super) fn own_row(
    source: &[f32],
    start: usize,
    factor: f32,
    #[comptime] width: usize,
) -> Array<f32> {
    let mut own = Array::<f32>::new(width);
    #[unroll]
    for column in 0..width {
        own[column] = source[start + column] * factor;
    }
    own
}

/// A row of zeros.
#[cube]
pub(super) fn no_row(#[comptime] width: usize) -> Array<f32> {
    let mut own = Array::<f32>::new(width);
    #[unroll]
    for column in 0..width {
        own[column] = 0.0f32;
    }
    own
}
