//! GELU, the Gaussian error linear unit: `x·Φ(x)`.

#[cfg(all(feature = "cube", not(feature = "fused")))]
mod cube;

use burn::{
    backend::Flex,
    tensor::{Tensor, activation},
};
use burn_flex::FlexTensor;

use crate::{
    kernel::{self, Kernel},
    simd,
};

/// Which GELU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gelu {
    /// `½x(1 + erf(x/√2))`.
    Exact,
    /// `½x(1 + tanh(√(2/π)(x + 0.044715x³)))`.
    Tanh,
}

/// Applies GELU elementwise, in any shape.
///
/// Its derivative is that of the chosen form: Burn's own `gelu` differentiates the tanh form on some backends even
/// for the exact one.
pub fn gelu<const D: usize>(x: Tensor<D>, form: Gelu) -> Tensor<D> {
    if kernel::runs_on::<Gelu, 1, D>(&x) { kernel::run_1(form, x) } else { composed(x, form) }
}

/// The same by Burn's elementary operations.
pub(crate) fn composed<const D: usize>(x: Tensor<D>, form: Gelu) -> Tensor<D> {
    match form {
        Gelu::Exact => {
            let half = x.clone().mul_scalar(0.5);
            half.clone() + half * x.mul_scalar(std::f64::consts::FRAC_1_SQRT_2).erf()
        }
        Gelu::Tanh => {
            // ½(1 + tanh z) = σ(2z): one smooth primitive instead of tanh, add and halve.
            let scale = 2.0 * (2.0 / std::f64::consts::PI).sqrt();
            let cubic = x.clone().square().mul_scalar(scale * 0.044_715).add_scalar(scale);
            x.clone() * activation::sigmoid(x * cubic)
        }
    }
}

impl Kernel<Flex, 1> for Gelu {
    /// The input.
    type Saved = FlexTensor;

    fn forward(&self, [x]: [FlexTensor; 1]) -> (FlexTensor, FlexTensor) {
        (Kernel::<Flex, 1>::infer(self, [x.clone()]), x)
    }

    /// In place if nobody else holds the input.
    fn infer(&self, [x]: [FlexTensor; 1]) -> FlexTensor {
        match self {
            Self::Exact => simd::map(
                x,
                #[inline(always)]
                |x| x * normal(x).0,
            ),
            Self::Tanh => simd::map(
                x,
                #[inline(always)]
                |x| x * logistic(x).0,
            ),
        }
    }

    fn backward(
        &self,
        x: FlexTensor,
        gradient: FlexTensor,
        _wanted: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        let gradient = match self {
            Self::Exact => simd::zip(
                x,
                gradient,
                #[inline(always)]
                |x, gradient| {
                    let (cumulative, density) = normal(x);
                    gradient * x.mul_add(density, cumulative)
                },
            ),
            Self::Tanh => simd::zip(
                x,
                gradient,
                #[inline(always)]
                |x, gradient| {
                    let (sigma, slope) = logistic(x);
                    // The flat tail first: it tames a slope that grows with x².
                    gradient * x.mul_add(sigma * (1.0 - sigma) * slope, sigma)
                },
            ),
        };
        [Some(gradient)]
    }
}

/// `Φ(x)` and `φ(x)` of the standard normal distribution.
///
/// For `y ≥ 0`, `Φ(−y) = exp(−y²/2)·t·p(t)` with `t = 1/(1 + 0.35y)`; `p` was fitted at Chebyshev nodes for
/// `y ≤ 14` (relative error 3.7e-8), beyond which `Φ(−y)` is 0 in `f32`.
#[inline(always)]
pub(crate) fn normal(x: f32) -> (f32, f32) {
    const ROOT_TWO_PI: f32 = 0.398_942_3; // 1/√(2π)
    let bell = simd::exp(-0.5 * x * x);
    let t = 1.0 / x.abs().mul_add(0.35, 1.0);
    let p = (-0.029_552_57_f32)
        .mul_add(t, 0.145_892_5)
        .mul_add(t, -0.259_547_65)
        .mul_add(t, 0.163_379_19)
        .mul_add(t, -0.025_870_835)
        .mul_add(t, 0.106_614)
        .mul_add(t, 0.119_570_15)
        .mul_add(t, 0.139_895_56)
        .mul_add(t, 0.139_619_62);
    let tail = bell * t * p;
    (if x > 0.0 { 1.0 - tail } else { tail }, bell * ROOT_TWO_PI)
}

/// `σ(u)` and `du/dx` with `u = 2√(2/π)(x + 0.044715x³)`.
#[inline(always)]
pub(crate) fn logistic(x: f32) -> (f32, f32) {
    const SCALE: f32 = 1.595_769_2; // 2√(2/π)
    const CUBIC: f32 = SCALE * 0.044_715;
    let square = x * x;
    let u = x * square.mul_add(CUBIC, SCALE);
    (1.0 / (1.0 + simd::exp(-u)), square.mul_add(3.0 * CUBIC, SCALE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, random};

    #[test]
    fn equals_the_composed_path() {
        for form in [Gelu::Exact, Gelu::Tanh] {
            for length in [1, 7, 1000, 40_001] {
                // With a 1 for scale: far below zero the composed `½x + ½x·erf` keeps absolute precision only.
                let x = random([length]).mul_scalar(3.0);
                let x = Tensor::cat(vec![x.clone(), x.ones_like().narrow(0, 0, 1)], 0);
                testing::same([x], |[x]| gelu(x, form), |[x]| composed(x, form));
            }
        }
    }

    #[test]
    fn special_values_behave_as_the_composed_path() {
        for form in [Gelu::Exact, Gelu::Tanh] {
            testing::same_with_special_values(
                [random([3, 37])],
                |[x]| gelu(x, form),
                |[x]| composed(x, form),
            );
        }
    }

    #[test]
    fn far_tails_and_special_values_behave_as_the_composed_path() {
        let special = [-200.0, -15.0, -9.0, -0.0, 0.0, 9.0, 15.0, 200.0, f32::NAN, f32::INFINITY];
        for form in [Gelu::Exact, Gelu::Tanh] {
            let x = Tensor::<1>::from_floats(special, &burn::tensor::Device::flex());
            let ours: Vec<f32> = gelu(x.clone(), form).try_into_vec_as().unwrap();
            let composed: Vec<f32> = composed(x, form).try_into_vec_as().unwrap();
            for (ours, composed) in ours.into_iter().zip(composed) {
                assert!(
                    ours == composed
                        || (ours - composed).abs() < 1e-6
                        || ours.is_nan() && composed.is_nan()
                );
            }
        }
    }
}
