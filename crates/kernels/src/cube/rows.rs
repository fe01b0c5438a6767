//! What all units of a cube find of a row of values together. Their number is a power of two, and `shared` has a place for each.

use burn_cubecl::cubecl::{self, prelude::*};

use super::sums::sum_over_cube;

/// The largest of `count` values from `first` on.
#[cube]
pub(crate) fn largest_of_row(
    values: &[f32],
    first: usize,
    count: usize,
    shared: &mut Shared<[f32]>,
    #[comptime] units: usize,
) -> f32 {
    let mut largest = f32::new(-3.0e38f32);
    let mut place = UNIT_POS as usize;
    while place < count {
        largest = max(largest, values[first + place]);
        place += units;
    }
    shared[UNIT_POS as usize] = largest;
    sync_cube();
    let mut half = CUBE_DIM / 2u32;
    while half > 0u32 {
        if UNIT_POS < half {
            let own = shared[UNIT_POS as usize];
            let other = shared[(UNIT_POS + half) as usize];
            shared[UNIT_POS as usize] = max(own, other);
        }
        half /= 2u32;
        sync_cube();
    }
    let largest = shared[0];
    sync_cube();
    largest
}

/// The sum of the exponentials of `count` values from `first` on, each less the `largest`.
#[cube]
pub(crate) fn sum_of_exponentials(
    values: &[f32],
    first: usize,
    count: usize,
    largest: f32,
    shared: &mut Shared<[f32]>,
    #[comptime] units: usize,
) -> f32 {
    let mut sum = 0.0f32;
    let mut place = UNIT_POS as usize;
    while place < count {
        sum += (values[first + place] - largest).exp();
        place += units;
    }
    sum_over_cube(shared, sum)
}
