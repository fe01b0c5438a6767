//! Dropout in CubeCL, with the mask that the CPU has for the same key.

use burn::backend::{Cube, TensorMetadata};
use burn_cubecl::{
    cubecl::{self, prelude::*},
    tensor::CubeTensor,
};

use super::{Dropout, Rows};
use crate::{
    cube::{contiguous, room, unit_for_each},
    kernel::Kernel,
};

impl Kernel<Cube, 1> for Dropout {
    type Saved = ();

    fn forward(&self, [x]: [CubeTensor; 1]) -> (CubeTensor, ()) {
        (self.drop_on_cube(x), ())
    }

    fn backward(
        &self,
        (): (),
        gradient: CubeTensor,
        _wanted: [bool; 1],
    ) -> [Option<CubeTensor>; 1] {
        [Some(self.drop_on_cube(gradient))]
    }
}

impl Dropout {
    fn drop_on_cube(&self, x: CubeTensor) -> CubeTensor {
        let x = contiguous(x);
        let output = room(&x, x.shape());
        let (count, dim) = unit_for_each(&x);
        let client = x.client.clone();
        let mask = MaskLaunch::new(self.key[0], self.key[1], self.threshold(), self.scale());
        let (x, target) = (x.into_buffer_arg(), output.clone().into_buffer_arg());
        match &self.rows {
            None => dropout_values::launch(&client, count, dim, x, target, mask),
            Some(Rows { places, columns }) => {
                let places = places.on_device().clone().into_buffer_arg();
                dropout_rows::launch(&client, count, dim, x, places, target, *columns, mask);
            }
        }
        output
    }
}

/// What says which elements are kept, and what they are multiplied with.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
struct Mask {
    low: u32,
    high: u32,
    threshold: u32,
    scale: f32,
}

#[cube(launch)]
fn dropout_values(x: &[f32], output: &mut [f32], mask: &Mask) {
    if ABSOLUTE_POS < output.len() {
        // A product, so that what is not a number stays so.
        output[ABSOLUTE_POS] = x[ABSOLUTE_POS] * factor(mask, ABSOLUTE_POS);
    }
}

/// The values of some rows, whose places are those among all rows.
#[cube(launch)]
fn dropout_rows(x: &[f32], places: &[i32], output: &mut [f32], columns: usize, mask: &Mask) {
    if ABSOLUTE_POS < output.len() {
        let row = places[ABSOLUTE_POS / columns] as usize;
        let index = row * columns + ABSOLUTE_POS % columns;
        output[ABSOLUTE_POS] = x[ABSOLUTE_POS] * factor(mask, index);
    }
}

/// Of the element with this index.
#[cube]
fn factor(mask: &Mask, index: usize) -> f32 {
    let number = mix(mix(index as u32 ^ mask.low) + mask.high);
    select(number >= mask.threshold, mask.scale, 0.0f32)
}

/// As in [`hash`](super::hash): products and sums of 32 bits wrap round.
#[cube]
fn mix(number: u32) -> u32 {
    let mut x = number ^ (number >> 16u32);
    x *= 0x7feb_352d_u32;
    x ^= x >> 15u32;
    x *= 0x846c_a68b_u32;
    x ^ (x >> 16u32)
}

#[cfg(all(test, feature = "wgpu"))]
mod tests {
    use burn::tensor::{Int, Tensor};

    use super::super::{dropout, dropout_of_rows};
    use crate::{
        Seed,
        testing::{cube, random},
    };

    /// The CPU's kernel is what this one repeats.
    #[test]
    fn drops_what_the_cpu_drops() {
        for (length, probability) in [(1, 0.5), (1000, 0.1), (70_001, 0.3)] {
            let drop = |[x]: [Tensor<1>; 1]| {
                Seed::new(42).scope(|| dropout(dropout(x, probability), probability))
            };
            let Some(device) = cube::device() else { return };
            let data = random([length]).into_data();
            let on = |device| {
                let x = Tensor::<1>::from_data(data.clone(), device).require_grad();
                let output = drop([x.clone()]);
                let gradient = x.grad(&output.clone().square().sum().backward()).unwrap();
                [output.into_data(), gradient.into_data()]
            };
            let cpu = burn::tensor::Device::flex().autodiff();
            let [ours, theirs] = [on(&device), on(&cpu)];
            ours[0].assert_eq(&theirs[0], true);
            cube::close_within(&ours[1], &theirs[1], 1e-6);
        }
    }
    /// Value and gradient of some rows, in any order and one of them twice.
    #[test]
    fn rows_are_dropped_as_in_the_whole_tensor() {
        let Some(device) = cube::device() else { return };
        let (rows, columns) = (70, 33);
        let whole = Tensor::<2>::from_data(random([rows, columns]).into_data(), &device);
        let whole = whole.require_grad();
        let places = Tensor::<1, Int>::from_ints([69, 0, 3, 41, 3], &device);
        let some = whole.clone().select(0, places.clone()).detach().require_grad();
        let all = Seed::new(8).scope(|| dropout(whole.clone(), 0.3));
        let few = Seed::new(8)
            .scope(|| dropout_of_rows(some.clone().reshape([1, 5, 33]), 0.3, places.clone()));
        let gradients = [
            whole.grad(&all.clone().sum().backward()).unwrap().select(0, places.clone().inner()),
            some.grad(&few.clone().sum().backward()).unwrap(),
        ];
        gradients[0].to_data().assert_eq(&gradients[1].to_data(), true);
        let all = all.select(0, places).into_data();
        few.reshape([5, 33]).into_data().assert_eq(&all, true);
    }
}
