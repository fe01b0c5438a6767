//! The optimizer's pass in CubeCL: a launch for as many parameters as the device binds at once.

use burn::backend::{Cube, TensorMetadata};
use burn_cubecl::{
    cubecl::{self, prelude::*},
    tensor::CubeTensor,
};

use super::{AdamWStep, OptimizerBackend, Scalars};
use crate::{
    cube::{MOST_UNITS, contiguous, cubes, most_buffers},
    kernel::Tensors,
};

/// Buffers of a parameter: its values, its gradient, two moments.
const BUFFERS: usize = 4;

/// Values that a cube updates.
const VALUES: usize = 16 * MOST_UNITS;

impl OptimizerBackend for Cube {
    fn adam_w(
        Tensors(values): Tensors<Self>,
        Tensors(gradients): Tensors<Self>,
        Tensors(exp_avgs): Tensors<Self>,
        Tensors(exp_avg_sqs): Tensors<Self>,
        steps: Vec<AdamWStep>,
    ) -> (Vec<CubeTensor>, Vec<CubeTensor>, Vec<CubeTensor>) {
        let client = values[0].client.clone();
        let [values, exp_avgs, exp_avg_sqs] = [values, exp_avgs, exp_avg_sqs]
            .map(|tensors| tensors.into_iter().map(writable).collect::<Vec<_>>());
        let mut gradients = gradients.into_iter();
        let at_once = (most_buffers(&client) / BUFFERS).max(1);
        for first in (0..values.len()).step_by(at_once) {
            let some = first..(first + at_once).min(values.len());
            let steps = steps[some.clone()].iter().copied().map(Scalars::from);
            let count = |value: &CubeTensor| value.shape().num_elements().div_ceil(VALUES);
            adam_w_steps::launch(
                &client,
                cubes(&client, values[some.clone()].iter().map(count).sum()),
                CubeDim::new_1d(MOST_UNITS as u32),
                buffers(values[some.clone()].iter().cloned()),
                buffers(gradients.by_ref().take(some.len()).map(contiguous)),
                buffers(exp_avgs[some.clone()].iter().cloned()),
                buffers(exp_avg_sqs[some].iter().cloned()),
                steps.map(ScalarsOfKernelLaunch::from).collect(),
            );
        }
        (values, exp_avgs, exp_avg_sqs)
    }
}

/// A tensor that may be written over: itself if nobody else holds its memory, else a copy.
fn writable(tensor: CubeTensor) -> CubeTensor {
    let tensor = contiguous(tensor);
    if tensor.can_mut() { tensor } else { tensor.copy() }
}

fn buffers(tensors: impl Iterator<Item = CubeTensor>) -> SequenceArg<Box<[f32]>> {
    tensors.map(CubeTensor::into_buffer_arg).collect()
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

impl From<Scalars> for ScalarsOfKernelLaunch {
    fn from(scalars: Scalars) -> Self {
        let Scalars { keep_1, take_1, keep_2, take_2, decay, step_size, epsilon } = scalars;
        Self::new(keep_1, take_1, keep_2, take_2, decay, step_size, epsilon)
    }
}

/// The tensors lie one after the other, each beginning with a new cube; a cube has some values of one of them.
#[cube(launch)]
fn adam_w_steps(
    values: &mut Sequence<Box<[f32]>>,
    gradients: &Sequence<Box<[f32]>>,
    exp_avgs: &mut Sequence<Box<[f32]>>,
    exp_avg_sqs: &mut Sequence<Box<[f32]>>,
    steps: &Sequence<ScalarsOfKernel>,
) {
    let mut first = 0usize;
    #[unroll]
    for number in 0..values.len() {
        let end = first + values[number].len().div_ceil(VALUES);
        if CUBE_POS >= first && CUBE_POS < end {
            adam_w_of_cube(
                CUBE_POS - first,
                &mut values[number],
                &gradients[number],
                &mut exp_avgs[number],
                &mut exp_avg_sqs[number],
                &steps[number],
            );
        }
        first = end;
    }
}

/// The arithmetic of [`Scalars::apply`], of a cube's values.
#[cube]
fn adam_w_of_cube(
    cube: usize,
    value: &mut [f32],
    gradient: &[f32],
    exp_avg: &mut [f32],
    exp_avg_sq: &mut [f32],
    step: &ScalarsOfKernel,
) {
    let end = min((cube + 1usize) * VALUES, value.len());
    let mut place = cube * VALUES + UNIT_POS as usize;
    while place < end {
        let slope = gradient[place];
        let square = fma(step.keep_2, exp_avg_sq[place], slope * slope * step.take_2);
        let average = fma(step.keep_1, exp_avg[place], slope * step.take_1);
        let change = average / (square.sqrt() + step.epsilon);
        exp_avg_sq[place] = square;
        exp_avg[place] = average;
        value[place] = fma(step.decay, value[place], -(step.step_size * change));
        place += MOST_UNITS;
    }
}

#[cfg(all(test, feature = "wgpu"))]
mod tests {
    use burn::tensor::{Tensor, TensorData};

    use super::super::{AdamWStep, AdamWUpdate, adam_w, tests::update_of};
    use crate::testing::cube;

    /// More tensors than one launch takes, of many lengths, each with a decay and a rate of its own.
    fn updates() -> Vec<AdamWUpdate> {
        let lengths = [1, 4_096, 4_097, 2, 300_001].into_iter().chain((1..=150).map(|n| n * 29));
        let with_step = |(number, length): (usize, usize)| {
            let mut update = update_of(length);
            let AdamWStep { decay, step_size, .. } = update.step;
            let share = number as f64 / 200.0;
            update.step.decay = decay - share / 100.0;
            update.step.step_size = step_size * (1.0 - share);
            update
        };
        lengths.enumerate().map(with_step).collect()
    }

    /// The same tensors on the device; nobody else holds them.
    fn there(updates: &[AdamWUpdate]) -> Vec<AdamWUpdate> {
        let device = cube::device().unwrap().inner();
        let moved = |tensor: &Tensor<1>| Tensor::from_data(tensor.to_data(), &device);
        let update = |update: &AdamWUpdate| AdamWUpdate {
            step: update.step,
            value: moved(&update.value),
            gradient: moved(&update.gradient),
            exp_avg: moved(&update.exp_avg),
            exp_avg_sq: moved(&update.exp_avg_sq),
        };
        updates.iter().map(update).collect()
    }

    fn data(updated: Vec<[Tensor<1>; 3]>) -> Vec<TensorData> {
        updated.into_iter().flatten().map(Tensor::into_data).collect()
    }

    #[test]
    fn takes_the_steps_that_the_cpu_takes() {
        if cube::device().is_none() {
            return;
        }
        let updates = updates();
        let expected = data(adam_w(updates.clone()));
        let found = data(adam_w(there(&updates)));
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            cube::close_within(found, expected, 1e-6);
        }
        for (first, second) in found.iter().zip(data(adam_w(there(&updates)))) {
            first.assert_eq(&second, true);
        }
    }

    /// Some of a parameter's tensors are held, or all.
    #[test]
    fn what_somebody_else_holds_is_not_written_to() {
        if cube::device().is_none() {
            return;
        }
        let updates = updates();
        let expected = data(adam_w(there(&updates)));
        let given = there(&updates);
        let held: Vec<Tensor<1>> = given
            .iter()
            .enumerate()
            .flat_map(|(number, update)| {
                update.tensors().map(Clone::clone).into_iter().take(number % 5)
            })
            .collect();
        let before: Vec<TensorData> = held.iter().map(Tensor::to_data).collect();
        for (found, expected) in data(adam_w(given)).iter().zip(&expected) {
            found.assert_eq(expected, true);
        }
        for (held, before) in held.into_iter().zip(&before) {
            held.into_data().assert_eq(before, true);
        }
    }
}
