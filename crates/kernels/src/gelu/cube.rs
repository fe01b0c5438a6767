//! GELU in CubeCL: one launch each way.

use burn::backend::{Cube, TensorMetadata};
use burn_cubecl::{
    cubecl::{self, prelude::*},
    tensor::CubeTensor,
};

use super::Gelu;
use crate::{
    cube::{contiguous, room, unit_for_each},
    kernel::Kernel,
};

impl Kernel<Cube, 1> for Gelu {
    /// The input.
    type Saved = CubeTensor;

    fn forward(&self, [x]: [CubeTensor; 1]) -> (CubeTensor, CubeTensor) {
        let x = contiguous(x);
        let output = room(&x, x.shape());
        let (count, dim) = unit_for_each(&x);
        gelu_forward::launch(
            &x.client,
            count,
            dim,
            x.clone().into_buffer_arg(),
            output.clone().into_buffer_arg(),
            *self == Self::Exact,
        );
        (output, x)
    }

    fn backward(
        &self,
        x: CubeTensor,
        gradient: CubeTensor,
        _wanted: [bool; 1],
    ) -> [Option<CubeTensor>; 1] {
        let gradient = contiguous(gradient);
        let output = room(&x, x.shape());
        let (count, dim) = unit_for_each(&x);
        gelu_backward::launch(
            &x.client,
            count,
            dim,
            x.clone().into_buffer_arg(),
            gradient.into_buffer_arg(),
            output.clone().into_buffer_arg(),
            *self == Self::Exact,
        );
        [Some(output)]
    }
}

#[cube(launch)]
fn gelu_forward(x: &[f32], output: &mut [f32], #[comptime] is_exact: bool) {
    if ABSOLUTE_POS < output.len() {
        let value = x[ABSOLUTE_POS];
        let share = if is_exact { cumulative(value) } else { logistic(value) };
        output[ABSOLUTE_POS] = value * share;
    }
}

#[cube(launch)]
fn gelu_backward(x: &[f32], gradient: &[f32], output: &mut [f32], #[comptime] is_exact: bool) {
    if ABSOLUTE_POS < output.len() {
        let value = x[ABSOLUTE_POS];
        let slope = if is_exact {
            fma(value, density(value), cumulative(value))
        } else {
            let sigma = logistic(value);
            // The flat tail first: it tames a slope that grows with x².
            fma(value, sigma * (1.0f32 - sigma) * slope_of_argument(value), sigma)
        };
        output[ABSOLUTE_POS] = gradient[ABSOLUTE_POS] * slope;
    }
}

/// `Φ(x)`, by the polynomial of [`normal`](super::normal), which devices' own `erf` may lack the precision of.
#[cube]
fn cumulative(x: f32) -> f32 {
    let t = 1.0f32 / fma(x.abs(), 0.35f32, 1.0f32);
    let mut p = fma(-0.029_552_57_f32, t, 0.145_892_5_f32);
    p = fma(p, t, -0.259_547_65_f32);
    p = fma(p, t, 0.163_379_19_f32);
    p = fma(p, t, -0.025_870_835_f32);
    p = fma(p, t, 0.106_614_f32);
    p = fma(p, t, 0.119_570_15_f32);
    p = fma(p, t, 0.139_895_56_f32);
    p = fma(p, t, 0.139_619_62_f32);
    let tail = (x * x * -0.5f32).exp() * t * p;
    select(x > 0.0f32, 1.0f32 - tail, tail)
}

/// `φ(x)`.
#[cube]
fn density(x: f32) -> f32 {
    (x * x * -0.5f32).exp() * 0.398_942_3_f32
}

/// `2√(2/π)`, and that times 0.044715.
const SCALE: f32 = 1.595_769_2;
const CUBIC: f32 = SCALE * 0.044_715;

/// `σ(u)` with `u = 2√(2/π)(x + 0.044715x³)`.
#[cube]
fn logistic(x: f32) -> f32 {
    let u = x * fma(x * x, CUBIC, SCALE);
    1.0f32 / (1.0f32 + (-u).exp())
}

/// `du/dx`.
#[cube]
fn slope_of_argument(x: f32) -> f32 {
    fma(x * x, 3.0f32 * CUBIC, SCALE)
}

#[cfg(all(test, feature = "wgpu"))]
mod tests {
    use super::super::{Gelu, composed, gelu};
    use crate::testing::{cube, random};

    #[test]
    fn equals_the_composed_path() {
        for form in [Gelu::Exact, Gelu::Tanh] {
            for length in [1, 7, 1000, 40_001] {
                let x = random([length]).mul_scalar(3.0);
                cube::same([x], |[x]| gelu(x, form), |[x]| composed(x, form));
            }
            // One that lies in another order, and a part of more.
            cube::same(
                [random([5, 6, 7])],
                |[x]| gelu(x.swap_dims(0, 2).narrow(1, 1, 3), form),
                |[x]| composed(x.swap_dims(0, 2).narrow(1, 1, 3), form),
            );
            cube::same_with_special_values(
                [random([3, 37])],
                |[x]| gelu(x, form),
                |[x]| composed(x, form),
            );
        }
    }
}
