//! Layer normalisation in CubeCL: one launch forward, two backward.

use burn::{
    backend::{Cube, TensorMetadata},
    tensor::Shape,
};
use burn_cubecl::{
    cubecl::{self, prelude::*},
    tensor::CubeTensor,
};

use super::LayerNorm;
use crate::{
    cube::{
        contiguous, cubes, room,
        sums::{sum_over_cube, sums_of_parts},
        units_for,
    },
    kernel::Kernel,
};

/// Parts that the gradients of weight and bias are summed up in, at most.
const MOST_PARTS: usize = 256;

/// What the derivative needs: as on the CPU.
#[derive(Debug, Clone)]
pub(super) struct Saved {
    weight: CubeTensor,
    /// The rows before scale and shift.
    normalised: CubeTensor,
    /// `1/√(variance + ε)` of each row.
    inverse_deviation: CubeTensor,
}

impl LayerNorm {
    /// The output, and what is found on the way, of which nothing is written if it is not `kept`.
    fn on_cube(
        &self,
        inputs: [CubeTensor; 3],
        residual: Option<CubeTensor>,
        is_kept: bool,
    ) -> (CubeTensor, Saved) {
        let [x, weight, bias] = inputs.map(contiguous);
        let residual = residual.map(contiguous);
        let (shape, columns) = (x.shape(), weight.shape().num_elements());
        let rows = shape.num_elements() / columns.max(1);
        let output = room(&x, shape.clone());
        let (normalised, inverse_deviation) = if is_kept {
            (room(&x, shape), room(&x, [rows]))
        } else {
            (output.clone(), output.clone())
        };
        let units = units_for(columns);
        layer_norm_forward::launch(
            &x.client,
            cubes(&x.client, rows),
            CubeDim::new_1d(units as u32),
            x.clone().into_buffer_arg(),
            residual.as_ref().unwrap_or(&x).clone().into_buffer_arg(),
            weight.clone().into_buffer_arg(),
            bias.into_buffer_arg(),
            output.clone().into_buffer_arg(),
            normalised.clone().into_buffer_arg(),
            inverse_deviation.clone().into_buffer_arg(),
            self.epsilon,
            rows,
            columns,
            units,
            residual.is_some(),
            is_kept,
        );
        (output, Saved { weight, normalised, inverse_deviation })
    }

    /// The gradients of input, weight and bias; that of a residual is that of the input.
    fn gradients_on_cube(saved: Saved, gradient: CubeTensor) -> [CubeTensor; 3] {
        let Saved { weight, normalised, inverse_deviation } = saved;
        let gradient = contiguous(gradient);
        let (rows, columns) =
            (inverse_deviation.shape().num_elements(), weight.shape().num_elements());
        let rows_of_part = rows.div_ceil(MOST_PARTS).max(1);
        let parts = rows.div_ceil(rows_of_part);
        let output = room(&gradient, gradient.shape());
        let sums = room(&gradient, [parts, 2, columns]);
        let units = units_for(columns);
        layer_norm_backward::launch(
            &gradient.client,
            cubes(&gradient.client, parts),
            CubeDim::new_1d(units as u32),
            gradient.clone().into_buffer_arg(),
            normalised.into_buffer_arg(),
            inverse_deviation.into_buffer_arg(),
            weight.into_buffer_arg(),
            output.clone().into_buffer_arg(),
            sums.clone().into_buffer_arg(),
            rows,
            rows_of_part,
            columns,
            units,
        );
        let [weight, bias] = sums_of_parts(sums, parts, [(); 2].map(|()| Shape::new([columns])));
        [output, weight, bias]
    }
}

/// Of a sum.
impl Kernel<Cube, 4> for LayerNorm {
    type Saved = Saved;

    fn forward(&self, [x, weight, bias, residual]: [CubeTensor; 4]) -> (CubeTensor, Saved) {
        self.on_cube([x, weight, bias], Some(residual), true)
    }

    fn infer(&self, [x, weight, bias, residual]: [CubeTensor; 4]) -> CubeTensor {
        self.on_cube([x, weight, bias], Some(residual), false).0
    }

    fn backward(
        &self,
        saved: Saved,
        gradient: CubeTensor,
        wanted: [bool; 4],
    ) -> [Option<CubeTensor>; 4] {
        let [x, weight, bias] = Self::gradients_on_cube(saved, gradient);
        let residual = wanted[3].then(|| x.clone());
        [Some(x), Some(weight), Some(bias), residual]
    }
}

/// Of one input.
impl Kernel<Cube, 3> for LayerNorm {
    type Saved = Saved;

    fn forward(&self, inputs: [CubeTensor; 3]) -> (CubeTensor, Saved) {
        self.on_cube(inputs, None, true)
    }

    fn infer(&self, inputs: [CubeTensor; 3]) -> CubeTensor {
        self.on_cube(inputs, None, false).0
    }

    fn backward(
        &self,
        saved: Saved,
        gradient: CubeTensor,
        _wanted: [bool; 3],
    ) -> [Option<CubeTensor>; 3] {
        Self::gradients_on_cube(saved, gradient).map(Some)
    }
}

/// A cube normalises a row.
#[cube(launch)]
fn layer_norm_forward(
    x: &[f32],
    residual: &[f32],
    weight: &[f32],
    bias: &[f32],
    output: &mut [f32],
    normalised: &mut [f32],
    inverse_deviation: &mut [f32],
    epsilon: f32,
    rows: usize,
    columns: usize,
    #[comptime] units: usize,
    #[comptime] has_residual: bool,
    #[comptime] is_kept: bool,
) {
    let row = CUBE_POS;
    if row >= rows {
        terminate!();
    }
    let mut shared = Shared::<[f32]>::new_slice(units);
    let first = row * columns;
    let unit = UNIT_POS as usize;

    let mut sum = 0.0f32;
    let mut column = unit;
    while column < columns {
        sum += sum_at(x, residual, first + column, has_residual);
        column += units;
    }
    let mean = sum_over_cube(&mut shared, sum) / columns as f32;

    let mut squares = 0.0f32;
    let mut column = unit;
    while column < columns {
        let distance = sum_at(x, residual, first + column, has_residual) - mean;
        squares += distance * distance;
        column += units;
    }
    let variance = sum_over_cube(&mut shared, squares) / columns as f32;
    let inverse = 1.0f32 / (variance + epsilon).sqrt();

    let mut column = unit;
    while column < columns {
        let place = first + column;
        let value = (sum_at(x, residual, place, has_residual) - mean) * inverse;
        output[place] = fma(value, weight[column], bias[column]);
        if is_kept {
            normalised[place] = value;
        }
        column += units;
    }
    if is_kept {
        if unit == 0 {
            inverse_deviation[row] = inverse;
        }
    }
}

#[cube]
fn sum_at(x: &[f32], residual: &[f32], place: usize, #[comptime] has_residual: bool) -> f32 {
    if has_residual { x[place] + residual[place] } else { x[place] }
}

/// A cube differentiates some rows, and sums up what they give weight and bias.
#[cube(launch)]
fn layer_norm_backward(
    gradient: &[f32],
    normalised: &[f32],
    inverse_deviation: &[f32],
    weight: &[f32],
    output: &mut [f32],
    sums: &mut [f32],
    rows: usize,
    rows_of_part: usize,
    #[comptime] columns: usize,
    #[comptime] units: usize,
) {
    let part = CUBE_POS;
    let first_row = part * rows_of_part;
    if first_row >= rows {
        terminate!();
    }
    let mut shared = Shared::<[f32]>::new_slice(units);
    let unit = UNIT_POS as usize;
    // Columns of a unit.
    let own = comptime!(columns.div_ceil(units));
    let mut weight_sums = Array::<f32>::new(own);
    let mut bias_sums = Array::<f32>::new(own);

    for row in first_row..min(first_row + rows_of_part, rows) {
        let first = row * columns;
        let mut sum = 0.0f32;
        let mut product_sum = 0.0f32;
        #[unroll]
        for index in 0..own {
            let column = unit + index * units;
            if column < columns {
                let slope = gradient[first + column];
                let value = normalised[first + column];
                let scaled = slope * weight[column];
                sum += scaled;
                product_sum += scaled * value;
                weight_sums[index] += slope * value;
                bias_sums[index] += slope;
            }
        }
        let mean = sum_over_cube(&mut shared, sum) / columns as f32;
        let product_mean = sum_over_cube(&mut shared, product_sum) / columns as f32;
        let inverse = inverse_deviation[row];
        #[unroll]
        for index in 0..own {
            let column = unit + index * units;
            if column < columns {
                let place = first + column;
                let scaled = gradient[place] * weight[column];
                output[place] = (scaled - mean - normalised[place] * product_mean) * inverse;
            }
        }
    }

    #[unroll]
    for index in 0..own {
        let column = unit + index * units;
        if column < columns {
            let place = part * comptime!(2 * columns) + column;
            sums[place] = weight_sums[index];
            sums[place + columns] = bias_sums[index];
        }
    }
}

#[cfg(all(test, feature = "wgpu"))]
mod tests {
    use burn::tensor::Tensor;
    use proptest::prelude::*;

    use super::super::{composed, layer_norm};
    use crate::testing::{cube, random};

    fn same(shape: [usize; 3], has_residual: bool) {
        let vector = |x: Tensor<3>| x.reshape([shape[2]]);
        let [x, residual] = [(); 2].map(|()| random(shape).add_scalar(0.3));
        let [weight, bias] = [(); 2].map(|()| random([1, 1, shape[2]]));
        let ours =
            |x, residual, weight, bias| layer_norm(x, residual, vector(weight), vector(bias), 1e-5);
        let theirs =
            |x, residual, weight, bias| composed(x, residual, vector(weight), vector(bias), 1e-5);
        if has_residual {
            cube::same(
                [x, residual, weight, bias],
                |[x, residual, weight, bias]| ours(x, Some(residual), weight, bias),
                |[x, residual, weight, bias]| theirs(x, Some(residual), weight, bias),
            );
        } else {
            cube::same(
                [x, weight, bias],
                |[x, weight, bias]| ours(x, None, weight, bias),
                |[x, weight, bias]| theirs(x, None, weight, bias),
            );
        }
    }

    #[test]
    fn equals_the_composed_path() {
        // More rows than parts; columns of one unit, of all, of several each.
        for shape in [[1, 1, 2], [2, 3, 12], [3, 100, 64], [1, 5, 300], [2, 2, 768]] {
            same(shape, false);
            same(shape, true);
        }
    }

    #[test]
    fn special_values_behave_as_the_composed_path() {
        cube::same_with_special_values(
            [random([4, 6]), random([4, 6])],
            |[x, residual]| {
                let device = x.device();
                let [weight, bias] = [Tensor::ones([6], &device), Tensor::zeros([6], &device)];
                layer_norm(x, Some(residual), weight, bias, 1e-5)
            },
            |[x, residual]| {
                let device = x.device();
                let [weight, bias] = [Tensor::ones([6], &device), Tensor::zeros([6], &device)];
                composed(x, Some(residual), weight, bias, 1e-5)
            },
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_shape_equals_the_composed_path(
            batch in 1usize..4,
            rows in 1usize..300,
            // Of two columns that are nearly alike the derivative is a difference of nearly equal numbers, on any device.
            columns in prop::sample::select(vec![5usize, 12, 40, 96]),
            has_residual: bool,
        ) {
            same([batch, rows, columns], has_residual);
        }
    }
}
