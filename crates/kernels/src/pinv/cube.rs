//! The iterative inverse in CubeCL: all iterations of a matrix in one cube, and so in one launch.
//!
//! | module | holds |
//! |---|---|
//! | `square` | square matrices among the units of a cube |
//! | `divisor` | the divisor of the first iterate, and its derivative |

pub(crate) mod divisor;
mod square;

use burn::backend::{Cube, TensorMetadata};
use burn_cubecl::{
    CubeDevice,
    cubecl::{self, prelude::*},
    tensor::CubeTensor,
};

use self::{
    divisor::{SUMS, owner},
    square::{OWN, SIDE, Step, load, share, store, take, width_of},
};
use super::{LEAST_SCALE, Pinv, PinvScale};
use crate::{
    cube::{contiguous, cubes, room},
    kernel::{self, Kernel},
};

impl Pinv {
    /// The iterations, if it is the iteration, and its matrices have room in the memory that the units of a cube share.
    pub(crate) fn iterations_on_cube(self, size: usize, device: &CubeDevice) -> Option<usize> {
        let Self::Iterative { iterations, .. } = self else { return None };
        let units = size.div_ceil(SIDE).pow(2);
        let client = device.client();
        let hardware = &client.properties().hardware;
        let (needed, there) =
            (2 * width_of(size).pow(2) * size_of::<f32>(), hardware.max_shared_memory_size);
        let has_room = needed <= there && units <= hardware.max_units_per_cube as usize;
        if !has_room {
            kernel::refuse(|| {
                format!(
                    "the inverse of `{size}` landmarks needs {needed} bytes of the memory that a workgroup of the GPU shares, and {units} threads; it has {there}, and {}: it is computed by many small operations, more slowly; fewer landmarks (`num_landmarks`) may have room",
                    hardware.max_units_per_cube
                )
            });
        }
        has_room.then_some(iterations)
    }

    fn is_of_batch(self) -> bool {
        self.scale() == PinvScale::OfTheBatch
    }

    fn iterations(self) -> usize {
        match self {
            Self::Iterative { iterations, .. } => iterations,
            Self::Solve { .. } => unreachable!("a solve fits no device"),
        }
    }

    /// The inverses of matrices `[…, size, size]`, of which the largest column sums are [known](divisor).
    pub(crate) fn invert_on_cube(self, matrices: &CubeTensor, sums: &CubeTensor) -> CubeTensor {
        let (size, count) = sizes(matrices);
        let inverses = room(matrices, matrices.shape());
        pinv_forward::launch(
            &matrices.client,
            cubes(&matrices.client, count),
            dim(size),
            matrices.clone().into_buffer_arg(),
            sums.clone().into_buffer_arg(),
            inverses.clone().into_buffer_arg(),
            count,
            size,
            self.iterations(),
            self.is_of_batch(),
        );
        inverses
    }

    /// From the `gradients` of the inverses those of the matrices, at constant divisors; those of the divisors are noted in `sums`.
    pub(crate) fn differentiate_on_cube(
        self,
        matrices: &CubeTensor,
        sums: &CubeTensor,
        gradients: CubeTensor,
    ) -> CubeTensor {
        let (size, count) = sizes(matrices);
        let output = room(matrices, matrices.shape());
        let iterates = room(matrices, [count, self.iterations(), width_of(size).pow(2)]);
        pinv_backward::launch(
            &matrices.client,
            cubes(&matrices.client, count),
            dim(size),
            matrices.clone().into_buffer_arg(),
            sums.clone().into_buffer_arg(),
            sums.clone().into_buffer_arg(),
            gradients.into_buffer_arg(),
            iterates.into_buffer_arg(),
            output.clone().into_buffer_arg(),
            count,
            size,
            self.iterations(),
            self.is_of_batch(),
        );
        output
    }
}

impl Kernel<Cube, 1> for Pinv {
    /// The matrices, and what is known of their columns.
    type Saved = [CubeTensor; 2];

    fn fits(&self, [matrices]: [&[usize]; 1], device: &CubeDevice) -> bool {
        self.iterations_on_cube(matrices[3], device).is_some()
    }

    fn forward(&self, [matrices]: [CubeTensor; 1]) -> (CubeTensor, [CubeTensor; 2]) {
        let matrices = contiguous(matrices);
        let sums = divisor::largest_column_sums(&matrices);
        let inverses = self.invert_on_cube(&matrices, &sums);
        (inverses, [matrices, sums])
    }

    fn backward(
        &self,
        [matrices, sums]: [CubeTensor; 2],
        gradient: CubeTensor,
        _wanted: [bool; 1],
    ) -> [Option<CubeTensor>; 1] {
        let output = self.differentiate_on_cube(&matrices, &sums, contiguous(gradient));
        divisor::add_gradients(&output, &sums, self.is_of_batch());
        [Some(output)]
    }
}

/// Rows of a matrix, and how many matrices there are.
fn sizes(matrices: &CubeTensor) -> (usize, usize) {
    let shape = matrices.shape();
    let size = shape[shape.num_dims() - 1];
    (size, shape.num_elements() / (size * size).max(1))
}

fn dim(size: usize) -> CubeDim {
    let units = size.div_ceil(SIDE) as u32;
    CubeDim::new_2d(units, units)
}

/// One over the divisor of a matrix.
#[cube]
fn inverse_scale(sum: f32) -> f32 {
    // A NaN stays.
    1.0f32 / select(sum < LEAST_SCALE, LEAST_SCALE, sum)
}

/// Which matrix has which number.
const A: usize = 0;
const Z: usize = 1;
const X: usize = 2;
/// `15 I − X (7 I − X)`.
const MIDDLE: usize = 3;
/// `13 I − X MIDDLE`.
const OUTER: usize = 4;
/// Of an iterate, on the way back.
const GRADIENT: usize = 5;
/// What of it does not come by `X`.
const OF_Z: usize = 6;
/// Of `X MIDDLE`.
const OF_LAST: usize = 7;
/// Of `X (7 I − X)`.
const OF_FIRST: usize = 8;
const OF_X: usize = 9;
/// Of the matrix.
const FOUND: usize = 10;

/// Steps of an iteration, and of its derivative, the first three of which are the iteration's.
const STEPS: u32 = 4;
const STEPS_BACK: u32 = 11;

/// A step of `¼ Z (13 I − X (15 I − X (7 I − X)))` with `X = A Z`.
#[cube]
fn step_of(number: u32) -> Step {
    let left = match number {
        0 => A,
        3 => Z,
        _ => X,
    };
    let right = match number {
        0 => Z,
        1 => X,
        2 => MIDDLE,
        _ => OUTER,
    };
    let target = match number {
        0 => X,
        1 => MIDDLE,
        2 => OUTER,
        _ => Z,
    };
    let keep = if number == 1u32 { -7.0f32 } else { 0.0f32 };
    let diagonal = match number {
        1 => 15.0f32,
        2 => 13.0f32,
        _ => 0.0f32,
    };
    let factor = match number {
        2 => -1.0f32,
        3 => 0.25f32,
        _ => 1.0f32,
    };
    Step {
        left,
        left_is_transposed: number > 3u32,
        right,
        right_is_transposed: number > 3u32,
        base: X,
        keep,
        diagonal,
        factor,
        target,
    }
}

/// A step of the derivative behind the three that compute `X`, `MIDDLE` and `OUTER` again.
#[cube]
fn step_back(number: u32) -> Step {
    let left = match number {
        3 => GRADIENT,
        4 => Z,
        6 => OF_LAST,
        7 => OF_FIRST,
        9 => OF_X,
        10 => A,
        _ => X,
    };
    let right = match number {
        3 => OUTER,
        4 => GRADIENT,
        5 => OF_LAST,
        6 => MIDDLE,
        7 => X,
        8 => OF_FIRST,
        9 => Z,
        _ => OF_X,
    };
    let target = match number {
        3 => OF_Z,
        4 => OF_LAST,
        5 => OF_FIRST,
        9 => FOUND,
        10 => GRADIENT,
        _ => OF_X,
    };
    let base = match number {
        6 => OF_FIRST,
        9 => FOUND,
        10 => OF_Z,
        _ => OF_X,
    };
    let keep = match number {
        6 => 7.0f32,
        7 | 8 | 9 | 10 => 1.0f32,
        _ => 0.0f32,
    };
    let factor = match number {
        3 => 0.25f32,
        4 => -0.25f32,
        5 | 7 | 8 => -1.0f32,
        _ => 1.0f32,
    };
    let left_is_transposed = number == 4u32 || number == 5u32 || number == 8u32 || number == 10u32;
    let right_is_transposed = number == 3u32 || number == 6u32 || number == 7u32 || number == 9u32;
    Step {
        left,
        left_is_transposed,
        right,
        right_is_transposed,
        base,
        keep,
        diagonal: 0.0f32,
        factor,
        target,
    }
}

#[cube(launch)]
fn pinv_forward(
    matrices: &[f32],
    sums: &[f32],
    inverses: &mut [f32],
    count: usize,
    #[comptime] size: usize,
    #[comptime] iterations: usize,
    #[comptime] is_of_batch: bool,
) {
    let matrix = CUBE_POS;
    if matrix >= count {
        terminate!();
    }
    let first = matrix * comptime!(size * size);
    let inverse = inverse_scale(sums[owner(sums, matrix, count, is_of_batch) * SUMS]);
    let mut squares = Array::<f32>::new(comptime!(5 * OWN));
    load(&mut squares, A, matrices, first, 1.0f32, size, false);
    load(&mut squares, Z, matrices, first, inverse, size, true);
    let mut left = Shared::<[f32]>::new_slice(comptime!(width_of(size) * width_of(size)));
    let mut right = Shared::<[f32]>::new_slice(comptime!(width_of(size) * width_of(size)));
    for number in 0..comptime!(iterations as u32 * STEPS) {
        let step = step_of(number % STEPS);
        take(&mut squares, &step, &mut left, &mut right, size);
    }
    store(&squares, Z, inverses, first, size);
}

#[cube(launch)]
fn pinv_backward(
    matrices: &[f32],
    sums: &[f32],
    slopes: &mut [f32],
    gradients: &[f32],
    iterates: &mut [f32],
    output: &mut [f32],
    count: usize,
    #[comptime] size: usize,
    #[comptime] iterations: usize,
    #[comptime] is_of_batch: bool,
) {
    let matrix = CUBE_POS;
    if matrix >= count {
        terminate!();
    }
    let first = matrix * comptime!(size * size);
    let sum = sums[owner(sums, matrix, count, is_of_batch) * SUMS];
    let inverse = inverse_scale(sum);
    let mut squares = Array::<f32>::new(comptime!(11 * OWN));
    load(&mut squares, A, matrices, first, 1.0f32, size, false);
    load(&mut squares, Z, matrices, first, inverse, size, true);
    load(&mut squares, GRADIENT, gradients, first, 1.0f32, size, false);
    for index in 0..OWN {
        squares[FOUND * OWN + index] = 0.0f32;
    }
    let mut left = Shared::<[f32]>::new_slice(comptime!(width_of(size) * width_of(size)));
    let mut right = Shared::<[f32]>::new_slice(comptime!(width_of(size) * width_of(size)));

    // The iterates once more, and then the way back. Each unit reads back what it has written itself.
    let values = comptime!(width_of(size) * width_of(size));
    let units = comptime!(values / OWN);
    let own = matrix * comptime!(iterations * values) + UNIT_POS as usize;
    let forward = comptime!(iterations as u32 * STEPS);
    for number in 0..comptime!(iterations as u32 * (STEPS + STEPS_BACK)) {
        let is_forward = number < forward;
        let back = max(number, forward) - forward;
        let step_number = select(is_forward, number % STEPS, back % STEPS_BACK);
        if step_number == 0u32 {
            let iteration =
                select(is_forward, number / STEPS, iterations as u32 - 1u32 - back / STEPS_BACK);
            let place = own + iteration as usize * values;
            for index in 0..OWN {
                if is_forward {
                    iterates[place + index * units] = squares[Z * OWN + index];
                } else {
                    squares[Z * OWN + index] = iterates[place + index * units];
                }
            }
        }
        let ahead = step_of(step_number);
        let behind = step_back(step_number);
        let is_of_forward = is_forward || step_number < 3u32;
        let step = Step {
            left: select(is_of_forward, ahead.left, behind.left),
            left_is_transposed: !is_of_forward && behind.left_is_transposed,
            right: select(is_of_forward, ahead.right, behind.right),
            right_is_transposed: !is_of_forward && behind.right_is_transposed,
            base: select(is_of_forward, ahead.base, behind.base),
            keep: select(is_of_forward, ahead.keep, behind.keep),
            diagonal: select(is_of_forward, ahead.diagonal, 0.0f32),
            factor: select(is_of_forward, ahead.factor, behind.factor),
            target: select(is_of_forward, ahead.target, behind.target),
        };
        take(&mut squares, &step, &mut left, &mut right, size);
    }

    // The first iterate is the transpose over the divisor.
    sync_cube();
    share(&mut squares, GRADIENT, true, &mut left, size);
    sync_cube();
    let mut part = 0.0f32;
    let side = comptime!(size.div_ceil(SIDE));
    let width = comptime!(width_of(size));
    for index in 0..OWN {
        let row = UNIT_POS_Y as usize + index / SIDE * side;
        let column = UNIT_POS_X as usize + index % SIDE * side;
        let turned = left[row * width + column];
        part = fma(turned, squares[A * OWN + index], part);
        squares[FOUND * OWN + index] = fma(inverse, turned, squares[FOUND * OWN + index]);
    }
    store(&squares, FOUND, output, first, size);
    right[UNIT_POS as usize] = part;
    sync_cube();
    if UNIT_POS == 0u32 {
        let mut total = 0.0f32;
        for unit in 0..units {
            total += right[unit];
        }
        let slope = select(sum < LEAST_SCALE, 0.0f32, -total * inverse * inverse);
        // The same memory as of the sums.
        slopes[matrix * SUMS + 2usize] = slope;
    }
}

#[cfg(all(test, feature = "wgpu"))]
mod tests {
    use burn::tensor::{Tensor, activation::softmax};
    use proptest::prelude::*;

    use super::{
        super::{composed::invert, iterative_pinv},
        *,
    };
    use crate::testing::{cube, random};

    /// Matrices near the identity, as those of landmarks are.
    fn matrices(shape: [usize; 4]) -> Tensor<4> {
        let identity = Tensor::<2>::eye(shape[3], &random([1]).device()).mul_scalar(4.0);
        softmax(random(shape) + identity.unsqueeze(), 3).detach()
    }

    fn same(shape: [usize; 3], iterations: usize, scale: PinvScale) {
        let [batch, heads, size] = shape;
        cube::same(
            [matrices([batch, heads, size, size])],
            |[matrices]| iterative_pinv(matrices, iterations, scale),
            |[matrices]| invert(matrices, Pinv::Iterative { iterations, scale }),
        );
    }

    const SCALES: [PinvScale; 2] = [PinvScale::OfEachMatrix, PinvScale::OfTheBatch];

    #[test]
    fn equals_the_composed_path() {
        for scale in SCALES {
            for shape in [[1, 1, 1], [2, 3, 5], [1, 2, 16], [2, 1, 33], [2, 2, 64]] {
                same(shape, 6, scale);
            }
            same([1, 2, 8], 1, scale);
        }
    }

    /// Spare landmarks are rows and columns of zeros, and a matrix of nothing else has no divisor.
    #[test]
    fn zeros_stay_zeros() {
        for scale in SCALES {
            let keep = |length: usize| {
                let keep: Vec<f32> = (0..8).map(|row| f32::from(u8::from(row < length))).collect();
                Tensor::<1>::from_floats(keep.as_slice(), &random([1]).device())
            };
            let squares = [8, 5, 0].map(|length| {
                keep(length).reshape([1, 1, 8, 1]) * keep(length).reshape([1, 1, 1, 8])
            });
            let matrices = matrices([3, 1, 8, 8]) * Tensor::cat(squares.to_vec(), 0);
            cube::same(
                [matrices.detach()],
                |[matrices]| iterative_pinv(matrices, 6, scale),
                |[matrices]| invert(matrices, Pinv::Iterative { iterations: 6, scale }),
            );
        }
    }

    #[test]
    fn special_values_behave_as_the_composed_path() {
        for scale in SCALES {
            cube::same_with_special_values(
                [matrices([2, 1, 4, 4])],
                |[matrices]| iterative_pinv(matrices, 6, scale),
                |[matrices]| invert(matrices, Pinv::Iterative { iterations: 6, scale }),
            );
        }
    }

    #[test]
    fn what_a_device_has_no_room_for_is_composed() {
        let Some(device) = cube::device() else { return };
        let matrices = matrices([1, 1, 200, 200]).into_data();
        let matrices = Tensor::<4>::from_data(matrices, &device);
        let kernel = Pinv::Iterative { iterations: 6, scale: PinvScale::OfEachMatrix };
        assert!(!kernel::runs(&kernel, &matrices, [&matrices.dims()]));
        let solve = Pinv::Solve { ridge: 1e-3 };
        assert!(!kernel::runs(&solve, &matrices, [&[1, 1, 4, 4]]));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_shape_equals_the_composed_path(
            batch in 1usize..4,
            heads in 1usize..4,
            // Every size is a kernel of its own to compile.
            size in prop::sample::select(vec![2usize, 6, 9]),
            is_of_batch: bool,
        ) {
            same([batch, heads, size], 6, SCALES[usize::from(is_of_batch)]);
        }
    }
}
