//! Dropout in CubeCL, with the mask that the CPU has for the same key.

use burn::backend::{Cube, TensorMetadata};
use burn_cubecl::{
    cubecl::{self, prelude::*},
    tensor::CubeTensor,
};

use super::Dropout;
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
        debug_assert!(self.rows.is_none(), "the places of rows lie in the CPU's memory");
        let x = contiguous(x);
        let output = room(&x, x.shape());
        let (count, dim) = unit_for_each(&x);
        dropout_values::launch(
            &x.client,
            count,
            dim,
            x.clone().into_buffer_arg(),
            output.clone().into_buffer_arg(),
            self.key[0],
            self.key[1],
            self.threshold(),
            self.scale(),
        );
        output
    }
}

#[cube(launch)]
fn dropout_values(x: &[f32], output: &mut [f32], low: u32, high: u32, threshold: u32, scale: f32) {
    if ABSOLUTE_POS < output.len() {
        let number = mix(mix(ABSOLUTE_POS as u32 ^ low) + high);
        // A product, so that what is not a number stays so.
        output[ABSOLUTE_POS] = x[ABSOLUTE_POS] * select(number >= threshold, scale, 0.0f32);
    }
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
    use burn::tensor::Tensor;

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
            // Elsewhere than on the CPU the mask of some rows is drawn for these.
            let rows = Tensor::from_ints([3], &device);
            let x = Tensor::<2>::ones([1, length], &device);
            let some = Seed::new(42).scope(|| dropout_of_rows(x.clone(), probability, rows));
            let all = Seed::new(42).scope(|| dropout(x, probability));
            some.into_data().assert_eq(&all.into_data(), true);
        }
    }
}
