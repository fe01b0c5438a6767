//! The divisor of the first iterate: a matrix's largest column sum, or the largest of all matrices. Of each matrix that sum is noted, its
//! column, and the gradient of the divisor that the matrix was divided by.

use burn::backend::TensorMetadata;
use burn_cubecl::{
    cubecl::{self, prelude::*},
    tensor::CubeTensor,
};

use super::sizes;
use crate::cube::{cubes, room, units_for};

/// Values noted of a matrix.
pub(crate) const SUMS: usize = 3;

/// What is noted of matrices `[…, size, size]`: `[count, SUMS]`, without gradients yet.
pub(super) fn largest_column_sums(matrices: &CubeTensor) -> CubeTensor {
    let (size, count) = sizes(matrices);
    let sums = room(matrices, [count, SUMS]);
    let units = units_for(size);
    pinv_column_sums::launch(
        &matrices.client,
        cubes(&matrices.client, count),
        CubeDim::new_1d(units as u32),
        matrices.clone().into_buffer_arg(),
        sums.clone().into_buffer_arg(),
        count,
        size,
        units,
    );
    sums
}

#[cube(launch)]
fn pinv_column_sums(
    matrices: &[f32],
    sums: &mut [f32],
    count: usize,
    #[comptime] size: usize,
    #[comptime] units: usize,
) {
    let matrix = CUBE_POS;
    if matrix >= count {
        terminate!();
    }
    let mut column_sums = Shared::<[f32]>::new_slice(size);
    let mut column = UNIT_POS as usize;
    while column < size {
        let mut sum = 0.0f32;
        for row in 0..size {
            sum += matrices[(matrix * size + row) * size + column];
        }
        column_sums[column] = sum;
        column += units;
    }
    sync_cube();
    if UNIT_POS == 0u32 {
        note_largest(&column_sums, sums, matrix, size);
    }
}

/// Notes the largest of the column sums; a NaN is larger than all.
#[cube]
pub(crate) fn note_largest(
    column_sums: &Shared<[f32]>,
    sums: &mut [f32],
    matrix: usize,
    #[comptime] size: usize,
) {
    let mut largest = column_sums[0];
    let mut place = 0usize;
    for column in 1..size {
        let sum = column_sums[column];
        if is_larger(sum, largest) {
            largest = sum;
            place = column;
        }
    }
    sums[matrix * SUMS] = largest;
    sums[matrix * SUMS + 1usize] = place as f32;
    sums[matrix * SUMS + 2usize] = 0.0f32;
}

/// Whether the left one is larger; a NaN is larger than all.
#[cube]
fn is_larger(left: f32, right: f32) -> bool {
    let is_first_nan = left.is_nan() && !right.is_nan();
    left > right || is_first_nan
}

/// The matrix that the divisor of `matrix` comes from.
#[cube]
pub(crate) fn owner(
    sums: &[f32],
    matrix: usize,
    count: usize,
    #[comptime] is_of_batch: bool,
) -> usize {
    let mut owner = matrix;
    if is_of_batch {
        owner = 0usize;
        let mut largest = sums[0];
        for other in 1..count {
            let sum = sums[other * SUMS];
            if is_larger(sum, largest) {
                largest = sum;
                owner = other;
            }
        }
    }
    owner
}

/// What the gradients of divisors give each value of the column that its divisor comes from.
#[cube]
pub(crate) fn gradient_of_divisors(
    sums: &[f32],
    matrix: usize,
    count: usize,
    #[comptime] is_of_batch: bool,
) -> f32 {
    let mut gradient = sums[matrix * SUMS + 2usize];
    if is_of_batch {
        gradient = 0.0f32;
        if owner(sums, matrix, count, is_of_batch) == matrix {
            for other in 0..count {
                gradient += sums[other * SUMS + 2usize];
            }
        }
    }
    gradient
}

/// Adds to the gradients of matrices what follows from those of the divisors.
pub(super) fn add_gradients(gradients: &CubeTensor, sums: &CubeTensor, is_of_batch: bool) {
    let (size, count) = sizes(gradients);
    let units = units_for(size);
    debug_assert_eq!(sums.shape().num_elements(), count * SUMS, "of these matrices");
    pinv_divisor_gradients::launch(
        &gradients.client,
        cubes(&gradients.client, count),
        CubeDim::new_1d(units as u32),
        gradients.clone().into_buffer_arg(),
        sums.clone().into_buffer_arg(),
        count,
        size,
        units,
        is_of_batch,
    );
}

#[cube(launch)]
fn pinv_divisor_gradients(
    gradients: &mut [f32],
    sums: &[f32],
    count: usize,
    #[comptime] size: usize,
    #[comptime] units: usize,
    #[comptime] is_of_batch: bool,
) {
    let matrix = CUBE_POS;
    if matrix < count {
        let gradient = gradient_of_divisors(sums, matrix, count, is_of_batch);
        let column = sums[matrix * SUMS + 1usize] as usize;
        let mut row = UNIT_POS as usize;
        while row < size {
            gradients[(matrix * size + row) * size + column] += gradient;
            row += units;
        }
    }
}
