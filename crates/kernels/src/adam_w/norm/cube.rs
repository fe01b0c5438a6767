//! The squares of some tensors in CubeCL: two launches.

use burn::backend::{Cube, TensorMetadata};
use burn_cubecl::{
    cubecl::{self, prelude::*},
    tensor::CubeTensor,
};

use super::NormBackend;
use crate::cube::{MOST_UNITS, contiguous, cubes, room, sums::sum_over_cube};

/// Cubes for each tensor.
const PARTS: usize = 256;

impl NormBackend for Cube {
    fn sums_of_squares(
        tensor_0: CubeTensor,
        tensor_1: CubeTensor,
        tensor_2: CubeTensor,
        tensor_3: CubeTensor,
        tensor_4: CubeTensor,
        tensor_5: CubeTensor,
        count: usize,
    ) -> CubeTensor {
        let tensors = [tensor_0, tensor_1, tensor_2, tensor_3, tensor_4, tensor_5];
        let [first, second, third, fourth, fifth, sixth] = tensors.map(contiguous);
        let client = first.client.clone();
        let (parts, sums) = (room(&first, [count, PARTS]), room(&first, [count]));
        let length = |tensor: &CubeTensor| tensor.shape().num_elements();
        let lengths = [&first, &second, &third, &fourth, &fifth, &sixth].map(length);
        let dim = CubeDim::new_1d(MOST_UNITS as u32);
        norm_parts::launch(
            &client,
            CubeCount::Static(PARTS as u32, count as u32, 1),
            dim,
            first.into_buffer_arg(),
            second.into_buffer_arg(),
            third.into_buffer_arg(),
            fourth.into_buffer_arg(),
            fifth.into_buffer_arg(),
            sixth.into_buffer_arg(),
            parts.clone().into_buffer_arg(),
            lengths[0],
            lengths[1],
            lengths[2],
            lengths[3],
            lengths[4],
            lengths[5],
        );
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

/// A cube has a part of one of the tensors.
#[cube(launch)]
fn norm_parts(
    tensor_0: &[f32],
    tensor_1: &[f32],
    tensor_2: &[f32],
    tensor_3: &[f32],
    tensor_4: &[f32],
    tensor_5: &[f32],
    parts: &mut [f32],
    length_0: usize,
    length_1: usize,
    length_2: usize,
    length_3: usize,
    length_4: usize,
    length_5: usize,
) {
    let mut shared = Shared::<[f32]>::new_slice(MOST_UNITS);
    let number = CUBE_POS_Y as usize;
    let sum = if number == 0usize {
        squares_of_unit(tensor_0, length_0)
    } else if number == 1usize {
        squares_of_unit(tensor_1, length_1)
    } else if number == 2usize {
        squares_of_unit(tensor_2, length_2)
    } else if number == 3usize {
        squares_of_unit(tensor_3, length_3)
    } else if number == 4usize {
        squares_of_unit(tensor_4, length_4)
    } else {
        squares_of_unit(tensor_5, length_5)
    };
    let total = sum_over_cube(&mut shared, sum);
    if UNIT_POS == 0u32 {
        parts[number * PARTS + CUBE_POS_X as usize] = total;
    }
}

/// What a unit sums up of its cube's part.
#[cube]
fn squares_of_unit(x: &[f32], length: usize) -> f32 {
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

    #[test]
    fn sums_what_the_cpu_sums() {
        let Some(device) = cube::device() else { return };
        let lengths = [1, 7, 256, 40_001, 3, 768, 100_000, 2];
        let tensors = lengths.map(|length| random([length]).inner());
        let there = tensors
            .clone()
            .map(|x| Tensor::from_data(x.into_data(), &device.clone().inner()))
            .to_vec();
        let expected = sums_of_squares(tensors.to_vec()).into_data();
        for _ in 0..2 {
            let found = sums_of_squares(there.clone()).into_data();
            for (found, expected) in found.iter::<f32>().zip(expected.iter::<f32>()) {
                assert!((found - expected).abs() <= 1e-6 * expected, "{found}, {expected}");
            }
        }
    }
}
