//! The optimizer's pass in CubeCL: one launch a parameter.

use burn::backend::{Cube, TensorMetadata};
use burn_cubecl::{
    cubecl::{self, prelude::*},
    tensor::CubeTensor,
};

use super::{AdamWStep, OptimizerBackend, Scalars};
use crate::cube::{contiguous, room, unit_for_each};

impl OptimizerBackend for Cube {
    fn adam_w(
        value: CubeTensor,
        gradient: CubeTensor,
        exp_avg: CubeTensor,
        exp_avg_sq: CubeTensor,
        step: AdamWStep,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        let gradient = contiguous(gradient);
        let [(value, new_value), (exp_avg, new_exp_avg), (exp_avg_sq, new_exp_avg_sq)] =
            [value, exp_avg, exp_avg_sq].map(|tensor| {
                let tensor = contiguous(tensor);
                // Over what nobody else holds.
                let target =
                    if tensor.can_mut() { tensor.clone() } else { room(&tensor, tensor.shape()) };
                (tensor, target)
            });
        let scalars = Scalars::from(step);
        let (count, dim) = unit_for_each(&gradient);
        adam_w_step::launch(
            &gradient.client,
            count,
            dim,
            value.into_buffer_arg(),
            gradient.clone().into_buffer_arg(),
            exp_avg.into_buffer_arg(),
            exp_avg_sq.into_buffer_arg(),
            new_value.clone().into_buffer_arg(),
            new_exp_avg.clone().into_buffer_arg(),
            new_exp_avg_sq.clone().into_buffer_arg(),
            ScalarsOfKernelLaunch::new(
                scalars.keep_1,
                scalars.take_1,
                scalars.keep_2,
                scalars.take_2,
                scalars.decay,
                scalars.step_size,
                scalars.epsilon,
            ),
        );
        (new_value, new_exp_avg, new_exp_avg_sq)
    }
}

/// [`Scalars`].
#[derive(CubeType, CubeLaunch, Clone, Copy)]
struct ScalarsOfKernel {
    keep_1: f32,
    take_1: f32,
    keep_2: f32,
    take_2: f32,
    decay: f32,
    step_size: f32,
    epsilon: f32,
}

/// The arithmetic of [`Scalars::apply`].
#[cube(launch)]
fn adam_w_step(
    value: &[f32],
    gradient: &[f32],
    exp_avg: &[f32],
    exp_avg_sq: &[f32],
    new_value: &mut [f32],
    new_exp_avg: &mut [f32],
    new_exp_avg_sq: &mut [f32],
    scalars: &ScalarsOfKernel,
) {
    let place = ABSOLUTE_POS;
    if place < new_value.len() {
        let slope = gradient[place];
        let square = fma(scalars.keep_2, exp_avg_sq[place], slope * slope * scalars.take_2);
        let average = fma(scalars.keep_1, exp_avg[place], slope * scalars.take_1);
        let change = average / (square.sqrt() + scalars.epsilon);
        new_exp_avg_sq[place] = square;
        new_exp_avg[place] = average;
        new_value[place] = fma(scalars.decay, value[place], -(scalars.step_size * change));
    }
}

#[cfg(all(test, feature = "wgpu"))]
mod tests {
    use burn::tensor::Tensor;

    use super::super::{adam_w, tests::STEP};
    use crate::testing::{cube, random};

    /// Beside the CPU's kernel, over memory that nobody else holds and over what somebody does.
    #[test]
    fn takes_the_step_that_the_cpu_takes() {
        let Some(device) = cube::device() else { return };
        let device = device.inner();
        for length in [1, 40_001] {
            let [value, gradient, exp_avg, root] =
                std::array::from_fn(|_| random([length]).inner());
            let all = [value, gradient, exp_avg, root.square()];
            let step = |[value, gradient, exp_avg, exp_avg_sq]: [Tensor<1>; 4]| {
                adam_w(STEP, value, gradient, exp_avg, exp_avg_sq).map(Tensor::into_data)
            };
            let data = all.clone().map(Tensor::into_data);
            let expected = step(all);
            let there = || data.clone().map(|data| Tensor::<1>::from_data(data, &device));
            let held = there();
            for found in [step(there()), step(held.clone())] {
                for (found, expected) in found.iter().zip(&expected) {
                    cube::close_within(found, expected, 1e-6);
                }
            }
            for (held, data) in held.into_iter().zip(&data) {
                held.into_data().assert_eq(data, true);
            }
        }
    }
}
