//! The squares of many tensors in CubeCL: a launch for as many as the device binds at once, and one that adds up.

use burn::backend::Cube;
use burn_cubecl::{
    cubecl::{self, prelude::*},
    tensor::CubeTensor,
};

use super::NormBackend;
use crate::{
    cube::{MOST_UNITS, contiguous, cubes, most_buffers, room, sums::sum_over_cube},
    kernel::Tensors,
};

/// Cubes for each tensor.
const PARTS: usize = 256;

impl NormBackend for Cube {
    fn sums_of_squares(Tensors(tensors): Tensors<Self>) -> CubeTensor {
        let count = tensors.len();
        let [parts, sums] = [vec![count, PARTS], vec![count]].map(|shape| room(&tensors[0], shape));
        let client = parts.client.clone();
        let dim = CubeDim::new_1d(MOST_UNITS as u32);
        let at_once = most_buffers(&client).saturating_sub(1).max(1);
        let mut tensors = tensors.into_iter().map(contiguous).map(CubeTensor::into_buffer_arg);
        for first in (0..count).step_by(at_once) {
            let some: SequenceArg<Box<[f32]>> = tensors.by_ref().take(at_once).collect();
            norm_parts::launch(
                &client,
                CubeCount::Static(PARTS as u32, some.values.len() as u32, 1),
                dim,
                some,
                parts.clone().into_buffer_arg(),
                first,
            );
        }
        norm_sums::launch(
            &client,
            cubes(&client, count),
            dim,
            parts.into_buffer_arg(),
            sums.clone().into_buffer_arg(),
            count,
        );
        sums
    }
}

/// A cube has a part of one of the tensors, which are those from the `first` on.
#[cube(launch)]
fn norm_parts(tensors: &Sequence<Box<[f32]>>, parts: &mut [f32], first: usize) {
    let mut shared = Shared::<[f32]>::new_slice(MOST_UNITS);
    let mut sum = 0.0f32;
    #[unroll]
    for number in 0..tensors.len() {
        if CUBE_POS_Y as usize == number {
            sum = squares_of_unit(&tensors[number]);
        }
    }
    let total = sum_over_cube(&mut shared, sum);
    if UNIT_POS == 0u32 {
        parts[(first + CUBE_POS_Y as usize) * PARTS + CUBE_POS_X as usize] = total;
    }
}

/// What a unit sums up of its cube's part.
#[cube]
fn squares_of_unit(x: &[f32]) -> f32 {
    let length = x.len();
    let length_of_part = length.div_ceil(PARTS);
    let first = CUBE_POS_X as usize * length_of_part;
    let end = min(first + length_of_part, length);
    let mut sum = 0.0f32;
    let mut place = first + UNIT_POS as usize;
    while place < end {
        let value = x[place];
        sum = fma(value, value, sum);
        place += MOST_UNITS;
    }
    sum
}

/// A cube has a tensor, and a unit one of its parts.
#[cube(launch)]
fn norm_sums(parts: &[f32], sums: &mut [f32], count: usize) {
    let tensor = CUBE_POS;
    if tensor >= count {
        terminate!();
    }
    let mut shared = Shared::<[f32]>::new_slice(MOST_UNITS);
    let total = sum_over_cube(&mut shared, parts[tensor * PARTS + UNIT_POS as usize]);
    if UNIT_POS == 0u32 {
        sums[tensor] = total;
    }
}

#[cfg(all(test, feature = "wgpu"))]
mod tests {
    use burn::tensor::Tensor;

    use crate::{
        sums_of_squares,
        testing::{cube, random},
    };

    /// More tensors than one launch takes, of many lengths.
    #[test]
    fn sums_what_the_cpu_sums() {
        let Some(device) = cube::device() else { return };
        let lengths = [1, 7, 256, 40_001, 3, 768, 100_000, 2];
        let lengths = lengths.into_iter().chain((1..=600).map(|number| number * 5));
        let tensors: Vec<Tensor<1>> = lengths.map(|length| random([length]).inner()).collect();
        let there: Vec<Tensor<1>> = tensors
            .iter()
            .map(|x| Tensor::from_data(x.to_data(), &device.clone().inner()))
            .collect();
        let expected = sums_of_squares(tensors).into_data();
        let [first, second] = [0, 1].map(|_| sums_of_squares(there.clone()).into_data());
        first.assert_eq(&second, true);
        for (found, expected) in first.iter::<f32>().zip(expected.iter::<f32>()) {
            assert!((found - expected).abs() <= 1e-6 * expected, "{found}, {expected}");
        }
    }
}
