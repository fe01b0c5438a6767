//! GEGLU, the gated form of GELU: `gelu(x) · gate` (Shazeer 2020, "GLU Variants Improve Transformer").

use burn::{backend::Flex, tensor::Tensor};
use burn_flex::FlexTensor;

use crate::{
    gelu::{self, Gelu},
    kernel::{self, Kernel},
    simd,
};

/// `gelu(x) · gate`, elementwise, of two tensors of one shape. The two are all that is kept for the derivative.
pub fn geglu<const D: usize>(x: Tensor<D>, gate: Tensor<D>, form: Gelu) -> Tensor<D> {
    assert_eq!(x.dims(), gate.dims(), "each value has a gate");
    if kernel::runs_on::<Geglu, 2, D>(&x) {
        kernel::run_2(Geglu(form), (x, gate))
    } else {
        composed(x, gate, form)
    }
}

/// The same by Burn's elementary operations.
fn composed<const D: usize>(x: Tensor<D>, gate: Tensor<D>, form: Gelu) -> Tensor<D> {
    gelu::composed(x, form) * gate
}

#[derive(Debug)]
struct Geglu(Gelu);

kernel::lacking!(Geglu: 2);

impl Kernel<Flex, 2> for Geglu {
    /// Both inputs.
    type Saved = [FlexTensor; 2];

    fn forward(&self, [x, gate]: [FlexTensor; 2]) -> (FlexTensor, Self::Saved) {
        (Kernel::<Flex, 2>::infer(self, [x.clone(), gate.clone()]), [x, gate])
    }

    /// Over the gates, if nobody else holds them.
    fn infer(&self, [x, gate]: [FlexTensor; 2]) -> FlexTensor {
        match self.0 {
            Gelu::Exact => simd::zip(
                x,
                gate,
                #[inline(always)]
                |x, gate| x * gelu::normal(x).0 * gate,
            ),
            Gelu::Tanh => simd::zip(
                x,
                gate,
                #[inline(always)]
                |x, gate| x * gelu::logistic(x).0 * gate,
            ),
        }
    }

    fn backward(
        &self,
        [x, gate]: [FlexTensor; 2],
        gradient: FlexTensor,
        wanted: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        let of_gate =
            wanted[1].then(|| Kernel::<Flex, 2>::infer(self, [x.clone(), gradient.clone()]));
        let of_x = wanted[0].then(|| {
            let of_value = simd::zip(
                gate,
                gradient,
                #[inline(always)]
                |gate, gradient| gate * gradient,
            );
            let [of_x] = Kernel::<Flex, 1>::backward(&self.0, x, of_value, [true]);
            of_x
        });
        [of_x.flatten(), of_gate]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, random};

    #[test]
    fn equals_the_composed_path() {
        for form in [Gelu::Exact, Gelu::Tanh] {
            for shape in [[1, 1, 1], [2, 3, 5], [3, 70, 301]] {
                let inputs = [random(shape).mul_scalar(3.0), random(shape)];
                testing::same(
                    inputs.clone(),
                    |[x, gate]| geglu(x, gate, form),
                    |[x, gate]| composed(x, gate, form),
                );
                // In another order.
                testing::same(
                    inputs,
                    |[x, gate]| geglu(x.swap_dims(0, 2), gate.swap_dims(0, 2), form),
                    |[x, gate]| composed(x.swap_dims(0, 2), gate.swap_dims(0, 2), form),
                );
            }
        }
    }

    #[test]
    fn special_values_behave_as_the_composed_path() {
        for form in [Gelu::Exact, Gelu::Tanh] {
            testing::same_with_special_values(
                [random([3, 37]), random([3, 37])],
                |[x, gate]| geglu(x, gate, form),
                |[x, gate]| composed(x, gate, form),
            );
        }
    }

    /// With gates of one it is GELU, bit for bit.
    #[test]
    fn gates_of_one_leave_gelu() {
        let x = random([40, 301]).inner();
        for form in [Gelu::Exact, Gelu::Tanh] {
            let gated = geglu(x.clone(), x.ones_like(), form).into_data();
            gated.assert_eq(&gelu::gelu(x.clone(), form).into_data(), true);
        }
    }
}
