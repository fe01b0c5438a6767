//! Some rows of a table, and the way back.

#[cfg(all(feature = "cube", not(feature = "fused")))]
pub(crate) mod cube;

use burn::{
    backend::{Flex, TensorMetadata},
    tensor::{IndexingUpdateOp, Int, Shape, Tensor},
};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::{
    indices::Indices,
    kernel::{self, Kernel},
    simd,
};

/// These rows of `table`, one after the other. A row that is asked for twice gets both gradients.
///
/// # Shapes
/// - `table`: `[rows, columns]`
/// - `rows`: `[count]`
/// - output: `[count, columns]`
///
/// # Panics
/// If the table has no such row. (Elsewhere than on the CPU nobody waits to look, and such a row is some other.)
pub fn select_rows(table: Tensor<2>, rows: Tensor<1, Int>) -> Tensor<2> {
    if !kernel::runs_on::<SelectRows, 1, 2>(&table) {
        return table.select(0, rows);
    }
    let [count, _] = table.dims();
    let rows = rows_of(rows, count);
    kernel::run_1(SelectRows { rows }, table)
}

/// The way back: a table of `count` rows, of which these are those of `values` and the others 0. A row that is given twice is
/// the sum.
///
/// # Shapes
/// - `values`: `[rows, columns]`
/// - `rows`: `[rows]`
/// - output: `[count, columns]`
///
/// # Panics
/// If the table has no such row. (Elsewhere than on the CPU nobody waits to look, and such a row is some other.)
pub fn place_rows(values: Tensor<2>, rows: Tensor<1, Int>, count: usize) -> Tensor<2> {
    let [_, columns] = values.dims();
    if !kernel::runs_on::<PlaceRows, 1, 2>(&values) {
        let table = Tensor::zeros([count, columns], (&values.device(), values.dtype()));
        return table.select_assign(0, rows, values, IndexingUpdateOp::Add);
    }
    let rows = rows_of(rows, count);
    kernel::run_1(PlaceRows { rows, count }, values)
}

/// Rows of a table of `count`, where a kernel reads them.
pub(crate) fn rows_of(rows: Tensor<1, Int>, count: usize) -> Indices {
    if kernel::is_flex(&rows.device()) {
        Indices::InMemory(row_indices(rows, count))
    } else {
        Indices::unread(rows)
    }
}

/// Indices that lie in the CPU's memory, as rows of a table of `count`.
///
/// # Panics
/// If one is no such row.
pub(crate) fn row_indices<const D: usize>(indices: Tensor<D, Int>, count: usize) -> Vec<usize> {
    let indices = indices.reshape([-1]).try_into_vec_as::<i64>();
    let indices = indices.expect("indices lie in the CPU's memory");
    let row = |index: i64| {
        let row = usize::try_from(index).ok().filter(|&row| row < count);
        row.unwrap_or_else(|| panic!("id `{index}` is no row of a table of {count}"))
    };
    indices.into_iter().map(row).collect()
}

#[derive(Debug)]
struct SelectRows {
    rows: Indices,
}

impl Kernel<Flex, 1> for SelectRows {
    /// The shape of the table.
    type Saved = Shape;

    fn forward(&self, [table]: [FlexTensor; 1]) -> (FlexTensor, Shape) {
        let shape = table.shape();
        (gather(table, self.rows.in_memory()), shape)
    }

    fn backward(
        &self,
        shape: Shape,
        gradient: FlexTensor,
        _wanted: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        let gradient = simd::contiguous(gradient);
        let sums = add_to_rows(simd::values(&gradient), self.rows.in_memory(), shape.dims(), None);
        [Some(simd::tensor(sums, shape))]
    }
}

#[derive(Debug)]
struct PlaceRows {
    rows: Indices,
    count: usize,
}

impl Kernel<Flex, 1> for PlaceRows {
    type Saved = ();

    fn forward(&self, [values]: [FlexTensor; 1]) -> (FlexTensor, ()) {
        let values = simd::contiguous(values);
        let [_, columns] = values.shape().dims();
        let shape = [self.count, columns];
        let table = add_to_rows(simd::values(&values), self.rows.in_memory(), shape, None);
        (simd::tensor(table, Shape::new(shape)), ())
    }

    fn backward(
        &self,
        (): (),
        gradient: FlexTensor,
        _wanted: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        [Some(gather(gradient, self.rows.in_memory()))]
    }
}

/// These rows of a table.
fn gather(table: FlexTensor, rows: &[usize]) -> FlexTensor {
    let table = simd::contiguous(table);
    let [_, columns] = table.shape().dims();
    let values = simd::values(&table);
    let mut output = simd::room(rows.len() * columns);
    let task_rows = (simd::TASK / columns.max(1)).max(1);
    output.par_chunks_mut((task_rows * columns).max(1)).zip(rows.par_chunks(task_rows)).for_each(
        |(output, rows)| {
            for (output, row) in output.chunks_exact_mut(columns.max(1)).zip(rows) {
                output.copy_from_slice(&values[row * columns..][..columns]);
            }
        },
    );
    simd::tensor(output, Shape::new([rows.len(), columns]))
}

/// A table of `count` rows and `columns`, in which each row is the sum of the gradients of its places in `rows`, in their order.
/// The row `frozen` gets none.
pub(crate) fn add_to_rows(
    gradient: &[f32],
    rows: &[usize],
    [count, columns]: [usize; 2],
    frozen: Option<usize>,
) -> Vec<f32> {
    /// Rows of one task.
    const TASK_ROWS: usize = 64;
    // Places by row: those of row `r` are `places[starts[r]..starts[r + 1]]`.
    let mut starts = vec![0; count + 1];
    for &row in rows {
        starts[row + 1] += 1;
    }
    for row in 0..count {
        starts[row + 1] += starts[row];
    }
    let mut next = starts.clone();
    let mut places = vec![0; rows.len()];
    for (place, &row) in rows.iter().enumerate() {
        places[next[row]] = place;
        next[row] += 1;
    }

    let mut table = simd::room(count * columns);
    table.par_chunks_mut(TASK_ROWS * columns).enumerate().for_each(|(task, table)| {
        simd::vectorised(
            #[inline(always)]
            || {
                for (offset, sum) in table.chunks_exact_mut(columns).enumerate() {
                    let row = task * TASK_ROWS + offset;
                    sum.fill(0.0);
                    if Some(row) == frozen {
                        continue;
                    }
                    for place in &places[starts[row]..starts[row + 1]] {
                        let gradient = &gradient[place * columns..][..columns];
                        for (sum, gradient) in sum.iter_mut().zip(gradient) {
                            *sum += gradient;
                        }
                    }
                }
            },
        );
    });
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, random};
    use burn::tensor::Device;

    #[test]
    fn equals_burns_select() {
        let device = Device::flex().autodiff();
        for (count, columns, rows) in
            [(1, 1, vec![0]), (7, 33, vec![6, 0, 6, 3]), (300, 90, (0..299).rev().collect())]
        {
            let rows = Tensor::<1, Int>::from_ints(rows.as_slice(), &device);
            let table = [random([count, columns])];
            let ours = |[table]: [Tensor<2>; 1]| select_rows(table, rows.clone());
            testing::same(table.clone(), ours, |[table]| table.select(0, rows.clone()));
            testing::same_bits_for_any_threads(table, ours);
        }
    }

    #[test]
    fn placing_rows_is_the_way_back() {
        let device = Device::flex().autodiff();
        let rows = Tensor::<1, Int>::from_ints([5, 0, 3], &device);
        let values = [random([3, 40])];
        let ours = |[values]: [Tensor<2>; 1]| place_rows(values, rows.clone(), 7);
        testing::same(values.clone(), ours, |[values]| {
            let table = Tensor::zeros([7, 40], &values.device());
            table.select_assign(0, rows.clone(), values, IndexingUpdateOp::Add)
        });
        testing::same_bits_for_any_threads(values.clone(), ours);
        let [values] = values;
        let back = select_rows(ours([values.clone()]), rows.clone());
        back.into_data().assert_eq(&values.into_data(), true);
    }

    #[test]
    fn no_rows_are_an_empty_table() {
        let device = Device::flex();
        let none = Tensor::<1, Int>::from_ints([0i64; 0].as_slice(), &device);
        assert_eq!(select_rows(random([3, 4]).inner(), none).dims(), [0, 4]);
    }
}
