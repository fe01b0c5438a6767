//! Softmax in CubeCL: one launch each way.

use burn::backend::{Cube, TensorMetadata};
use burn_cubecl::{
    cubecl::{self, prelude::*},
    tensor::CubeTensor,
};

use super::Softmax;
use crate::{
    cube::{
        contiguous, cubes, room,
        rows::{largest_of_row, sum_of_exponentials},
        sums::sum_over_cube,
        units_for,
    },
    kernel::Kernel,
};

impl Kernel<Cube, 1> for Softmax {
    /// The output.
    type Saved = CubeTensor;

    fn forward(&self, [x]: [CubeTensor; 1]) -> (CubeTensor, CubeTensor) {
        let x = contiguous(x);
        let output = room(&x, x.shape());
        let (rows, columns) = sizes(&x);
        let units = units_for(columns);
        softmax_forward::launch(
            &x.client,
            cubes(&x.client, rows),
            CubeDim::new_1d(units as u32),
            x.clone().into_buffer_arg(),
            output.clone().into_buffer_arg(),
            rows,
            columns,
            units,
        );
        (output.clone(), output)
    }

    fn backward(
        &self,
        output: CubeTensor,
        gradient: CubeTensor,
        _wanted: [bool; 1],
    ) -> [Option<CubeTensor>; 1] {
        let gradient = contiguous(gradient);
        let target = room(&gradient, gradient.shape());
        let (rows, columns) = sizes(&gradient);
        let units = units_for(columns);
        softmax_backward::launch(
            &gradient.client,
            cubes(&gradient.client, rows),
            CubeDim::new_1d(units as u32),
            output.into_buffer_arg(),
            gradient.clone().into_buffer_arg(),
            target.clone().into_buffer_arg(),
            rows,
            columns,
            units,
        );
        [Some(target)]
    }
}

/// Rows, and values of a row.
fn sizes(x: &CubeTensor) -> (usize, usize) {
    let shape = x.shape();
    let columns = shape.last().copied().unwrap_or(1);
    (shape.num_elements() / columns.max(1), columns)
}

/// A cube has a row.
#[cube(launch)]
fn softmax_forward(
    x: &[f32],
    output: &mut [f32],
    rows: usize,
    columns: usize,
    #[comptime] units: usize,
) {
    let row = CUBE_POS;
    if row >= rows {
        terminate!();
    }
    let mut shared = Shared::<[f32]>::new_slice(units);
    let first = row * columns;
    let largest = largest_of_row(x, first, columns, &mut shared, units);
    let inverse = 1.0f32 / sum_of_exponentials(x, first, columns, largest, &mut shared, units);
    let mut column = UNIT_POS as usize;
    while column < columns {
        output[first + column] = (x[first + column] - largest).exp() * inverse;
        column += units;
    }
}

/// `y (gradient − Σ gradient y)`.
#[cube(launch)]
fn softmax_backward(
    y: &[f32],
    gradient: &[f32],
    target: &mut [f32],
    rows: usize,
    columns: usize,
    #[comptime] units: usize,
) {
    let row = CUBE_POS;
    if row >= rows {
        terminate!();
    }
    let mut shared = Shared::<[f32]>::new_slice(units);
    let first = row * columns;
    let unit = UNIT_POS as usize;
    let mut product = 0.0f32;
    let mut column = unit;
    while column < columns {
        product = fma(y[first + column], gradient[first + column], product);
        column += units;
    }
    let product = sum_over_cube(&mut shared, product);
    let mut column = unit;
    while column < columns {
        let place = first + column;
        target[place] = y[place] * (gradient[place] - product);
        column += units;
    }
}

#[cfg(all(test, feature = "wgpu"))]
mod tests {
    use super::super::{composed, softmax};
    use crate::testing::{cube, random};

    #[test]
    fn equals_the_composed_path() {
        for shape in [[1, 1], [3, 7], [5, 16], [70, 513]] {
            cube::same([random(shape).mul_scalar(4.0)], |[x]| softmax(x), |[x]| composed(x));
        }
        cube::same(
            [random([2, 3, 5, 33])],
            |[x]| softmax(x.swap_dims(1, 3)),
            |[x]| composed(x.swap_dims(1, 3)),
        );
    }

    #[test]
    fn special_values_spread_as_in_the_composed_path() {
        cube::same_with_special_values([random([3, 37])], |[x]| softmax(x), |[x]| composed(x));
    }
}
