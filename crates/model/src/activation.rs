//! Activation functions by the names that Hugging Face's configurations use.

use burn::tensor::{Tensor, activation};
use nystromformer_kernels::{Gelu, geglu, gelu};
use serde::{Deserialize, Serialize};

/// Activation of the feed-forward block and of the prediction head (`hidden_act`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HiddenAct {
    /// `½x(1 + tanh(√(2/π)(x + 0.044715x³)))`, the published checkpoints' choice.
    #[default]
    #[serde(alias = "gelu_pytorch_tanh")]
    GeluNew,
    /// `½x(1 + erf(x/√2))`.
    Gelu,
    /// `max(x, 0)`.
    Relu,
    /// `x·σ(x)`.
    #[serde(alias = "swish")]
    Silu,
    /// `tanh(x)`.
    Tanh,
}

impl HiddenAct {
    /// Applies the function elementwise.
    pub fn forward<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::GeluNew => gelu(x, Gelu::Tanh),
            Self::Gelu => gelu(x, Gelu::Exact),
            Self::Relu => activation::relu(x),
            Self::Silu => x.clone() * activation::sigmoid(x),
            Self::Tanh => x.tanh(),
        }
    }

    /// The function of `x` times `gate`, elementwise: of GELU it is GEGLU, of `SiLU` it is `SwiGLU`.
    pub fn gated<const D: usize>(self, x: Tensor<D>, gate: Tensor<D>) -> Tensor<D> {
        match self {
            Self::GeluNew => geglu(x, gate, Gelu::Tanh),
            Self::Gelu => geglu(x, gate, Gelu::Exact),
            Self::Relu | Self::Silu | Self::Tanh => self.forward(x) * gate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData, Tolerance};

    /// Values and derivatives by arithmetic in f64 from the formulas in the variants' docs.
    #[test]
    fn values_and_derivatives_at_five_points() {
        type Formula = fn(f64) -> f64;
        let points = [-3.0f32, -0.5, 0.0, 0.7, 2.5];
        let cases: [(HiddenAct, Formula); 4] = [
            (HiddenAct::GeluNew, |x| {
                let z = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
                0.5 * x * (1.0 + z.tanh())
            }),
            (HiddenAct::Relu, |x| x.max(0.0)),
            (HiddenAct::Silu, |x| x / (1.0 + (-x).exp())),
            (HiddenAct::Tanh, f64::tanh),
        ];
        let device = Device::flex().autodiff();
        for (act, formula) in cases {
            let x = Tensor::<1>::from_floats(points, &device).require_grad();
            let y = act.forward(x.clone());
            let grads = y.clone().sum().backward();
            let value: Vec<f32> = points.iter().map(|&x| formula(f64::from(x)) as f32).collect();
            y.to_data()
                .assert_approx_eq::<f32>(&TensorData::new(value, [5]), Tolerance::absolute(1e-6));
            let step = 1e-6;
            let slope: Vec<f32> = points
                .iter()
                .map(|&x| {
                    let x = if x == 0.0 && act == HiddenAct::Relu { -1.0 } else { f64::from(x) };
                    ((formula(x + step) - formula(x - step)) / (2.0 * step)) as f32
                })
                .collect();
            x.grad(&grads)
                .expect("x is tracked")
                .to_data()
                .assert_approx_eq::<f32>(&TensorData::new(slope, [5]), Tolerance::absolute(1e-5));
        }
    }

    /// erf(1/√2) = 0.6826894921370859, the mass of a normal within one deviation.
    #[test]
    fn gelu_uses_the_exact_error_function() {
        let x = Tensor::<1>::from_floats([1.0], &Device::flex());
        let got = HiddenAct::Gelu.forward(x).into_scalar::<f32>();
        assert!((f64::from(got) - 0.5 * (1.0 + 0.682_689_492_137_085_9)).abs() < 1e-6);
    }
}
