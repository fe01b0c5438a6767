//! What kernel 3 gathers of the values, times the inverse.

use burn_cubecl::{
    cubecl::{self, prelude::*},
    tensor::CubeTensor,
};

use super::Sizes;
use crate::{
    attention::cube::{
        forward::{Found, largest_of_parts, sum_of_all_parts, value_of_parts},
        problem::STATISTICS,
    },
    cube::{cubes, room, units_for},
};

#[derive(Debug)]
pub(super) struct Summary {
    /// Kernel 3 times the values, `[batch · heads, landmarks, width]`.
    pub(super) summary: CubeTensor,
    /// Of kernel 3.
    pub(super) statistics: CubeTensor,
    /// The inverse times the summary.
    pub(super) product: CubeTensor,
}

/// Joins what cubes found of parts of the tokens, and multiplies.
pub(super) fn join(sizes: Sizes, found: &Found, inverses: &CubeTensor) -> Summary {
    let (count, width, all_heads) = (sizes.landmarks, sizes.width, sizes.all_heads());
    let summary = room(inverses, [all_heads, count, width]);
    let product = room(inverses, [all_heads, count, width]);
    let statistics = room(inverses, [all_heads, count, STATISTICS]);
    let units = units_for(count * width);
    nystrom_product::launch(
        &inverses.client,
        cubes(&inverses.client, all_heads),
        CubeDim::new_1d(units as u32),
        found.sums.clone().into_buffer_arg(),
        found.statistics.clone().into_buffer_arg(),
        inverses.clone().into_buffer_arg(),
        summary.clone().into_buffer_arg(),
        statistics.clone().into_buffer_arg(),
        product.clone().into_buffer_arg(),
        all_heads,
        found.parts,
        count,
        width,
        units,
    );
    Summary { summary, statistics, product }
}

/// A cube has a head.
#[cube(launch)]
fn nystrom_product(
    sums: &[f32],
    parts_statistics: &[f32],
    inverses: &[f32],
    summary: &mut [f32],
    statistics: &mut [f32],
    product: &mut [f32],
    all_heads: usize,
    parts: usize,
    #[comptime] count: usize,
    #[comptime] width: usize,
    #[comptime] units: usize,
) {
    let matrix = CUBE_POS;
    if matrix >= all_heads {
        terminate!();
    }
    let length = comptime!(count * width);
    let mut shared = Shared::<[f32]>::new_slice(comptime!(count * width));
    let rows = all_heads * count;
    let mut place = UNIT_POS as usize;
    while place < length {
        let (row, column) = (matrix * count + place / width, place % width);
        let largest = largest_of_parts(parts_statistics, row, rows, parts);
        let inverse = 1.0f32 / sum_of_all_parts(parts_statistics, row, rows, parts, largest);
        let sum = value_of_parts(sums, parts_statistics, row, rows, parts, largest, column, width);
        let value = sum * inverse;
        shared[place] = value;
        summary[matrix * length + place] = value;
        if column == 0usize {
            statistics[row * STATISTICS] = largest;
            statistics[row * STATISTICS + 1usize] = inverse;
        }
        place += units;
    }
    sync_cube();
    let mut place = UNIT_POS as usize;
    while place < length {
        let (row, column) = (matrix * count + place / width, place % width);
        let mut sum = 0.0f32;
        for other in 0..count {
            sum = fma(inverses[row * count + other], shared[other * width + column], sum);
        }
        product[matrix * length + place] = sum;
        place += units;
    }
}

/// Gradients, each head by itself.
#[derive(Debug)]
pub(super) struct Middle {
    /// Of the landmarks of keys, as far as kernel 1 gives them some.
    pub(super) key_landmarks: CubeTensor,
    /// `[batch · heads, landmarks, landmarks]`.
    pub(super) inverse_gradient: CubeTensor,
    pub(super) summary_gradient: CubeTensor,
}

/// From the gradients of key landmarks and product, in `parts`, those of the inverse and the summary. Notes among the statistics of
/// kernel 3 what its derivative needs.
pub(super) fn differentiate(
    sizes: Sizes,
    both: &CubeTensor,
    parts: usize,
    inverses: &CubeTensor,
    summary: &CubeTensor,
    statistics: &CubeTensor,
) -> Middle {
    let (count, width, all_heads) = (sizes.landmarks, sizes.width, sizes.all_heads());
    let middle = Middle {
        key_landmarks: room(summary, [all_heads, count, width]),
        inverse_gradient: room(summary, [all_heads, count, count]),
        summary_gradient: room(summary, [all_heads, count, width]),
    };
    let units = units_for(count * width);
    nystrom_product_gradients::launch(
        &summary.client,
        cubes(&summary.client, all_heads),
        CubeDim::new_1d(units as u32),
        both.clone().into_buffer_arg(),
        inverses.clone().into_buffer_arg(),
        summary.clone().into_buffer_arg(),
        middle.key_landmarks.clone().into_buffer_arg(),
        middle.inverse_gradient.clone().into_buffer_arg(),
        middle.summary_gradient.clone().into_buffer_arg(),
        statistics.clone().into_buffer_arg(),
        all_heads,
        parts,
        count,
        width,
        units,
    );
    middle
}

/// A cube has a head.
#[cube(launch)]
fn nystrom_product_gradients(
    both: &[f32],
    inverses: &[f32],
    summary: &[f32],
    key_landmarks: &mut [f32],
    inverse_gradient: &mut [f32],
    summary_gradient: &mut [f32],
    statistics: &mut [f32],
    all_heads: usize,
    parts: usize,
    #[comptime] count: usize,
    #[comptime] width: usize,
    #[comptime] units: usize,
) {
    let matrix = CUBE_POS;
    if matrix >= all_heads {
        terminate!();
    }
    let length = comptime!(count * width);
    let half = all_heads * length;
    let first = matrix * length;
    let mut product = Shared::<[f32]>::new_slice(comptime!(count * width));
    let mut place = UNIT_POS as usize;
    while place < length {
        let mut of_keys = 0.0f32;
        let mut of_product = 0.0f32;
        for part in 0..parts {
            of_keys += both[part * 2usize * half + first + place];
            of_product += both[(part * 2usize + 1usize) * half + first + place];
        }
        key_landmarks[first + place] = of_keys;
        product[place] = of_product;
        place += units;
    }
    sync_cube();

    let mut place = UNIT_POS as usize;
    while place < comptime!(count * count) {
        let (row, column) = (place / count, place % count);
        let mut sum = 0.0f32;
        for channel in 0..width {
            sum =
                fma(product[row * width + channel], summary[first + column * width + channel], sum);
        }
        inverse_gradient[matrix * comptime!(count * count) + place] = sum;
        place += units;
    }
    let mut place = UNIT_POS as usize;
    while place < length {
        let (landmark, channel) = (place / width, place % width);
        let mut sum = 0.0f32;
        for row in 0..count {
            sum = fma(
                inverses[(matrix * count + row) * count + landmark],
                product[row * width + channel],
                sum,
            );
        }
        summary_gradient[first + place] = sum;
        place += units;
    }
    sync_storage();

    // Other units wrote most of it.
    let mut row = UNIT_POS as usize;
    while row < count {
        let mut sum = 0.0f32;
        for channel in 0..width {
            let place = first + row * width + channel;
            sum = fma(summary_gradient[place], summary[place], sum);
        }
        statistics[(matrix * count + row) * STATISTICS + 2usize] = sum;
        row += units;
    }
}
