//! Rows of tables in CubeCL: one launch to gather them, two to add them to a table.

use burn::{
    backend::{Cube, TensorMetadata},
    tensor::Shape,
};
use burn_cubecl::{
    cubecl::{self, prelude::*},
    ops::numeric::zeros,
    tensor::CubeTensor,
};

use super::{PlaceRows, SelectRows};
use crate::{
    cube::{contiguous, cubes, room, sums::sum_over_cube, unit_for_each, units_for},
    kernel::Kernel,
};

impl Kernel<Cube, 1> for SelectRows {
    /// The shape of the table.
    type Saved = Shape;

    fn forward(&self, [table]: [CubeTensor; 1]) -> (CubeTensor, Shape) {
        let shape = table.shape();
        (gather(table, self.rows.on_device()), shape)
    }

    fn backward(
        &self,
        shape: Shape,
        gradient: CubeTensor,
        _wanted: [bool; 1],
    ) -> [Option<CubeTensor>; 1] {
        [Some(add_to_rows(contiguous(gradient), self.rows.on_device(), shape.dims(), None))]
    }
}

impl Kernel<Cube, 1> for PlaceRows {
    type Saved = ();

    fn forward(&self, [values]: [CubeTensor; 1]) -> (CubeTensor, ()) {
        let [_, columns] = values.shape().dims();
        let shape = [self.count, columns];
        (add_to_rows(contiguous(values), self.rows.on_device(), shape, None), ())
    }

    fn backward(
        &self,
        (): (),
        gradient: CubeTensor,
        _wanted: [bool; 1],
    ) -> [Option<CubeTensor>; 1] {
        [Some(gather(gradient, self.rows.on_device()))]
    }
}

/// These rows of a table.
fn gather(table: CubeTensor, rows: &CubeTensor) -> CubeTensor {
    let table = contiguous(table);
    let [_, columns] = table.shape().dims();
    let output = room(&table, [rows.shape().num_elements(), columns]);
    let (count, dim) = unit_for_each(&output);
    select_rows_forward::launch(
        &table.client,
        count,
        dim,
        table.clone().into_buffer_arg(),
        rows.clone().into_buffer_arg(),
        output.clone().into_buffer_arg(),
        columns,
    );
    output
}

/// A unit has a value.
#[cube(launch)]
fn select_rows_forward(table: &[f32], rows: &[i32], output: &mut [f32], columns: usize) {
    if ABSOLUTE_POS < output.len() {
        let row = rows[ABSOLUTE_POS / columns] as usize;
        output[ABSOLUTE_POS] = table[row * columns + ABSOLUTE_POS % columns];
    }
}

/// A table of `count` rows and `columns`, in which each row is the sum of the rows of `gradient` that are its own, in their order. The
/// row `frozen` gets none.
pub(crate) fn add_to_rows(
    gradient: CubeTensor,
    rows: &CubeTensor,
    [count, columns]: [usize; 2],
    frozen: Option<usize>,
) -> CubeTensor {
    let shape = Shape::new([count, columns]);
    let table = zeros(gradient.device.clone(), shape, gradient.dtype);
    let places = rows.shape().num_elements();
    let units = units_for(columns);
    select_rows_backward::launch(
        &gradient.client,
        cubes(&gradient.client, places),
        CubeDim::new_1d(units as u32),
        gradient.clone().into_buffer_arg(),
        rows.clone().into_buffer_arg(),
        table.clone().into_buffer_arg(),
        places,
        frozen.map_or(-1, |row| row as i32),
        columns,
        units,
    );
    table
}

/// A cube has a place. Where its row has none before, it goes through all that follow, and adds up what is of that row.
#[cube(launch)]
fn select_rows_backward(
    gradient: &[f32],
    rows: &[i32],
    table: &mut [f32],
    places: usize,
    frozen: i32,
    #[comptime] columns: usize,
    #[comptime] units: usize,
) {
    let place = CUBE_POS;
    if place >= places {
        terminate!();
    }
    let row = rows[place];
    let mut shared = Shared::<[f32]>::new_slice(units);
    let mut before = 0.0f32;
    let mut other = UNIT_POS as usize;
    while other < place {
        if rows[other] == row {
            before += 1.0f32;
        }
        other += units;
    }
    let earlier = sum_over_cube(&mut shared, before);
    if earlier == 0.0f32 && row != frozen {
        // Columns of a unit.
        let own = comptime!(columns.div_ceil(units));
        let mut sums = Array::<f32>::new(own);
        #[unroll]
        for index in 0..own {
            sums[index] = 0.0f32;
        }
        for other in place..places {
            if rows[other] == row {
                #[unroll]
                for index in 0..own {
                    let column = UNIT_POS as usize + index * units;
                    if column < columns {
                        sums[index] += gradient[other * columns + column];
                    }
                }
            }
        }
        #[unroll]
        for index in 0..own {
            let column = UNIT_POS as usize + index * units;
            if column < columns {
                table[row as usize * columns + column] = sums[index];
            }
        }
    }
}

#[cfg(all(test, feature = "wgpu"))]
mod tests {
    use burn::tensor::{IndexingUpdateOp, Int, Tensor};

    use super::super::{place_rows, select_rows};
    use crate::testing::{cube, random};

    fn rows<const D: usize>(rows: &[i64], like: &Tensor<D>) -> Tensor<1, Int> {
        Tensor::from_ints(rows, &like.device())
    }

    #[test]
    fn equals_burns_select() {
        for (count, columns, places) in
            [(1, 1, vec![0]), (7, 33, vec![6, 0, 6, 3]), (300, 300, (0..299).rev().collect())]
        {
            cube::same(
                [random([count, columns])],
                |[table]| select_rows(table.clone(), rows(&places, &table)),
                |[table]| table.clone().select(0, rows(&places, &table)),
            );
        }
    }

    #[test]
    fn placing_rows_is_the_way_back() {
        let places = [5, 0, 3, 0];
        cube::same(
            [random([4, 40])],
            |[values]| place_rows(values.clone(), rows(&places, &values), 7),
            |[values]| {
                let rows = rows(&places, &values);
                let table = Tensor::zeros([7, 40], &values.device());
                table.select_assign(0, rows, values, IndexingUpdateOp::Add)
            },
        );
    }
}
