//! Sums in an order that sizes alone fix.

use burn::tensor::Shape;
use burn_cubecl::{
    cubecl::{self, prelude::*},
    tensor::CubeTensor,
};

use super::{cubes, room};

/// The sum over all units of a cube, whose number is a power of two. `shared` has a place for each.
#[cube]
pub(crate) fn sum_over_cube(shared: &mut Shared<[f32]>, value: f32) -> f32 {
    shared[UNIT_POS as usize] = value;
    sync_cube();
    let mut half = CUBE_DIM / 2u32;
    while half > 0u32 {
        if UNIT_POS < half {
            let other = shared[(UNIT_POS + half) as usize];
            shared[UNIT_POS as usize] += other;
        }
        half /= 2u32;
        sync_cube();
    }
    let sum = shared[0];
    sync_cube();
    sum
}

/// Columns and parts that a cube adds at a time.
const COLUMNS: usize = 32;
const PARTS: usize = 8;

/// Adds up `count` rows of `width` values. Those before `border` are of the `first` result, the others of the `second`.
#[cube(launch)]
fn sum_parts(
    parts: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    count: usize,
    width: usize,
    border: usize,
) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(COLUMNS * PARTS));
    let (x, y) = (UNIT_POS_X as usize, UNIT_POS_Y as usize);
    let column = CUBE_POS * COLUMNS + x;
    let mut sum = 0.0f32;
    if column < width {
        let mut part = y;
        while part < count {
            sum += parts[part * width + column];
            part += PARTS;
        }
    }
    shared[y * COLUMNS + x] = sum;
    sync_cube();
    if y == 0 && column < width {
        for other in 1..PARTS {
            sum += shared[other * COLUMNS + x];
        }
        if column < border {
            first[column] = sum;
        } else {
            second[column - border] = sum;
        }
    }
}

/// The sums over `count` parts, each of which is values of the first shape and then of the second.
pub(crate) fn sums_of_parts(
    parts: CubeTensor,
    count: usize,
    shapes: [Shape; 2],
) -> [CubeTensor; 2] {
    let [border, rest] = [shapes[0].num_elements(), shapes[1].num_elements()];
    let [first, second] = shapes.map(|shape| room(&parts, shape));
    launch(parts, [&first, &second], count, [border + rest, border]);
    [first, second]
}

/// The sum of `count` parts.
pub(crate) fn sum_of_parts(parts: CubeTensor, count: usize, shape: Shape) -> CubeTensor {
    let width = shape.num_elements();
    let sum = room(&parts, shape);
    launch(parts, [&sum, &sum], count, [width, width]);
    sum
}

fn launch(
    parts: CubeTensor,
    [first, second]: [&CubeTensor; 2],
    count: usize,
    [width, border]: [usize; 2],
) {
    let client = parts.client.clone();
    sum_parts::launch(
        &client,
        cubes(&client, width.div_ceil(COLUMNS)),
        CubeDim::new_2d(COLUMNS as u32, PARTS as u32),
        parts.into_buffer_arg(),
        first.clone().into_buffer_arg(),
        second.clone().into_buffer_arg(),
        count,
        width,
        border,
    );
}
