//! The linear layer in half precision on GPUs: factors are rounded once each, and sums and outputs are in `f32`.
//!
//! Burn's own product of tensors in half precision sums up in `f32` too, and then rounds its output to half precision. Here the same
//! kernels are asked for an output in `f32`. In `f32`, the linear layer is Burn's own operation.

use burn::{
    backend::{Cube, TensorMetadata, ops::FloatTensorOps},
    tensor::{DType, FloatDType, Shape},
};
use burn_cubecl::{
    CubeDevice,
    kernel::matmul::{MatmulStrategy, matmul},
    tensor::CubeTensor,
};

use super::{Linear, WeightLayout, with_columns};
use crate::kernel::Kernel;

/// What the derivative needs, in half precision.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    /// `[rows, inputs]`.
    x: CubeTensor,
    /// `[inputs, outputs]`.
    weight: CubeTensor,
    /// Of the input.
    shape: Shape,
}

impl Linear {
    /// What factors are rounded to.
    fn half_on_cube(self) -> FloatDType {
        self.precision.half().expect("in single precision the composed twin runs")
    }

    fn apply_on_cube(
        self,
        x: CubeTensor,
        weight: CubeTensor,
        bias: Option<CubeTensor>,
    ) -> (CubeTensor, Saved) {
        let shape = x.shape();
        let x = rows_of(Cube::float_cast(x, self.half_on_cube()));
        let weight = Cube::float_cast(weight, self.half_on_cube());
        let weight = match self.layout {
            WeightLayout::InputsFirst => weight,
            WeightLayout::OutputsFirst => transposed(weight),
        };
        let outputs = weight.shape()[1];
        let product = product(x.clone(), weight.clone());
        let output = match bias {
            Some(bias) => {
                let bias = Cube::float_reshape(bias, Shape::new([1, outputs]));
                Cube::float_add(product, bias)
            }
            None => product,
        };
        let output = Cube::float_reshape(output, with_columns(&shape, outputs));
        (output, Saved { x, weight, shape })
    }

    /// The gradients of input, weight and bias, as far as they are wanted.
    fn gradients_on_cube(
        self,
        Saved { x, weight, shape }: Saved,
        gradient: CubeTensor,
        wanted: [bool; 3],
    ) -> [Option<CubeTensor>; 3] {
        let gradient = rows_of(gradient);
        let outputs = gradient.shape()[1];
        let half = Cube::float_cast(gradient.clone(), self.half_on_cube());
        let x_gradient = wanted[0]
            .then(|| Cube::float_reshape(product(half.clone(), transposed(weight)), shape));
        let weight_gradient = wanted[1].then(|| match self.layout {
            WeightLayout::InputsFirst => product(transposed(x), half),
            WeightLayout::OutputsFirst => product(transposed(half), x),
        });
        let bias_gradient = wanted[2].then(|| {
            let sum = Cube::float_sum_dim(gradient, 0); // [1, outputs]
            Cube::float_reshape(sum, Shape::new([outputs]))
        });
        [x_gradient, weight_gradient, bias_gradient]
    }
}

/// All axes but the last as one.
fn rows_of(tensor: CubeTensor) -> CubeTensor {
    let shape = tensor.shape();
    let columns = shape[shape.num_dims() - 1];
    let rows = shape.num_elements() / columns;
    Cube::float_reshape(tensor, Shape::new([rows, columns]))
}

fn transposed(matrix: CubeTensor) -> CubeTensor {
    Cube::float_swap_dims(matrix, 0, 1)
}

/// The product of two matrices in half precision, in `f32`.
fn product(left: CubeTensor, right: CubeTensor) -> CubeTensor {
    matmul(left, right, None, MatmulStrategy::default(), DType::F32)
        .unwrap_or_else(|error| panic!("no kernel for this product: {error:?}"))
}

/// With a bias.
impl Kernel<Cube, 3> for Linear {
    type Saved = Saved;

    fn fits(&self, _: [&[usize]; 3], _: &CubeDevice) -> bool {
        self.precision.half().is_some()
    }

    fn forward(&self, [x, weight, bias]: [CubeTensor; 3]) -> (CubeTensor, Saved) {
        self.apply_on_cube(x, weight, Some(bias))
    }

    fn backward(
        &self,
        saved: Saved,
        gradient: CubeTensor,
        wanted: [bool; 3],
    ) -> [Option<CubeTensor>; 3] {
        self.gradients_on_cube(saved, gradient, wanted)
    }
}

/// Without a bias.
impl Kernel<Cube, 2> for Linear {
    type Saved = Saved;

    fn fits(&self, _: [&[usize]; 2], _: &CubeDevice) -> bool {
        self.precision.half().is_some()
    }

    fn forward(&self, [x, weight]: [CubeTensor; 2]) -> (CubeTensor, Saved) {
        self.apply_on_cube(x, weight, None)
    }

    fn backward(
        &self,
        saved: Saved,
        gradient: CubeTensor,
        [x, weight]: [bool; 2],
    ) -> [Option<CubeTensor>; 2] {
        let [x, weight, _] = self.gradients_on_cube(saved, gradient, [x, weight, false]);
        [x, weight]
    }
}

#[cfg(all(test, feature = "wgpu"))]
mod tests {
    use super::super::tests::{found, is_as_stated};
    use crate::{
        Precision, linear,
        product::rounding::tests::{Rounding, nearest_bf16_to_even, nearest_f16},
        testing::{cube, instructions},
    };

    #[test]
    fn half_precision_is_that_of_rounded_factors_forwards_and_backwards() {
        let Some(device) = cube::device() else { return };
        let halves: [Rounding; 2] =
            [(Precision::Bf16, nearest_bf16_to_even), (Precision::F16, nearest_f16)];
        for (precision, nearest) in halves {
            if !precision.is_supported_by(&device) {
                instructions::say(&format!(
                    "skipped: {precision:?} on a GPU, which this one lacks"
                ));
                continue;
            }
            is_as_stated(nearest, 2e-6, 2e-6, |inputs, layout| {
                let run = |x, weight, bias| linear(x, weight, Some(bias), layout);
                let first = precision.scope(|| found(inputs, &device, run));
                assert_eq!(first, precision.scope(|| found(inputs, &device, run)));
                first
            });
        }
    }
}
