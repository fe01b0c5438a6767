//! The squares of many tensors, for the norm of all gradients.

use burn::{
    backend::{Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor},
    tensor::{Shape, Tensor},
};
use burn_flex::FlexTensor;

use super::{SumOfSquares, sum_of_squares};
use crate::{
    kernel::{self, Kernel},
    simd,
    trace::{self, Pass},
};

/// The sum of the squares of each of these tensors.
///
/// # Shapes
/// - `tensors`: `[length]`, any number; no derivative is recorded
/// - output: `[tensors.len()]`
///
/// # Panics
/// If there is no tensor.
pub fn sums_of_squares(tensors: Vec<Tensor<1>>) -> Tensor<1> {
    assert!(!tensors.is_empty(), "of some tensors");
    let tensors: Vec<_> = tensors.into_iter().map(Tensor::without_autodiff).collect();
    if !tensors.iter().all(kernel::runs_on::<SumOfSquares, 1, 1>) {
        return Tensor::cat(tensors.into_iter().map(sum_of_squares).collect(), 0);
    }
    let _span = trace::kernel("SumsOfSquares", Pass::Update, || {
        tensors.iter().map(|tensor| tensor.dims().to_vec()).collect()
    });
    let of_some = |some: &[Tensor<1>]| {
        let tensor = |index: usize| some.get(index).unwrap_or(&some[0]).clone().into_dispatch();
        let sums = Dispatch::sums_of_squares(
            tensor(0),
            tensor(1),
            tensor(2),
            tensor(3),
            tensor(4),
            tensor(5),
            some.len(),
        );
        Tensor::from_dispatch(sums)
    };
    Tensor::cat(tensors.chunks(TENSORS).map(of_some).collect(), 0)
}

/// Tensors of one call: as many as have room among the buffers of a kernel on a GPU.
const TENSORS: usize = 6;

/// The backend is found by the tensors in a method's signature.
#[backend_extension(Flex, Cube: cfg(all(feature = "cube", not(feature = "fused"))))]
pub(crate) trait NormBackend: Backend {
    /// The sums of the squares of the first `count`.
    fn sums_of_squares(
        tensor_0: FloatTensor<Self>,
        tensor_1: FloatTensor<Self>,
        tensor_2: FloatTensor<Self>,
        tensor_3: FloatTensor<Self>,
        tensor_4: FloatTensor<Self>,
        tensor_5: FloatTensor<Self>,
        count: usize,
    ) -> FloatTensor<Self>;
}

impl NormBackend for Flex {
    fn sums_of_squares(
        tensor_0: FlexTensor,
        tensor_1: FlexTensor,
        tensor_2: FlexTensor,
        tensor_3: FlexTensor,
        tensor_4: FlexTensor,
        tensor_5: FlexTensor,
        count: usize,
    ) -> FlexTensor {
        let tensors = [tensor_0, tensor_1, tensor_2, tensor_3, tensor_4, tensor_5];
        let of = |tensor: FlexTensor| {
            let (sum, _) = Kernel::<Self, 1>::forward(&SumOfSquares, [tensor]);
            simd::values(&sum)[0]
        };
        let sums: Vec<f32> = tensors.into_iter().take(count).map(of).collect();
        simd::tensor(sums, Shape::new([count]))
    }
}

#[cfg(all(feature = "cube", not(feature = "fused")))]
mod cube {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;

    #[test]
    fn each_has_the_bits_that_it_has_alone() {
        let tensors = [1, 300, 40_001].map(|length| random([length]).inner());
        let alone = Tensor::cat(tensors.clone().map(sum_of_squares).to_vec(), 0);
        sums_of_squares(tensors.to_vec()).into_data().assert_eq(&alone.into_data(), true);
    }
}
