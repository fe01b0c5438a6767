//! A convolution at chosen rows only, and its derivative: the same sums as for all rows, in the same order.

use rayon::prelude::*;

use crate::{
    simd,
    view::{HeadIndex, View},
};

/// Columns whose sums stay in registers.
const COLUMNS: usize = 32;

/// Rows of one task.
const ROWS: usize = 32;

/// Adds to the columns of `target`, `COLUMNS` at a time, the sum of `factor · row` over `terms`.
#[inline(always)]
fn add_sum<'a>(target: &mut [f32], terms: impl Iterator<Item = (f32, &'a [f32])> + Clone) {
    for (index, target) in target.chunks_mut(COLUMNS).enumerate() {
        let first = index * COLUMNS;
        let mut sums = [0.0f32; COLUMNS];
        for (factor, row) in terms.clone() {
            let row = &row[first..first + target.len()];
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum = factor.mul_add(*value, *sum);
            }
        }
        target.iter_mut().zip(sums).for_each(|(target, sum)| *target += sum);
    }
}

/// Adds the convolution at `rows` to `output`, `[rows, heads, head_dim]`.
pub(crate) fn add_at(value: View<'_>, rows: &[usize], filter: &[f32], output: &mut [f32]) {
    let (width, hidden_size) = (value.width, value.hidden_size());
    let taps = filter.len() / value.heads;
    output.par_chunks_mut(ROWS * hidden_size).zip(rows.par_chunks(ROWS)).for_each(
        |(output, rows)| {
            simd::vectorised(
                #[inline(always)]
                || {
                    for (output, &row) in output.chunks_exact_mut(hidden_size).zip(rows) {
                        let seen = row.saturating_sub(taps / 2)..value.rows.min(row + taps / 2 + 1);
                        for (head, output) in output.chunks_exact_mut(width).enumerate() {
                            let values = value.head(HeadIndex { batch: 0, head });
                            let filter = &filter[head * taps..][..taps];
                            let terms = seen
                                .clone()
                                .map(|input| (filter[input + taps / 2 - row], values.row(input)));
                            add_sum(output, terms);
                        }
                    }
                },
            );
        },
    );
}

/// Adds to `value_gradient`, `[seq_len, heads, head_dim]`, what follows from the `gradient` at `rows`, which ascend.
pub(crate) fn add_value_gradient(
    gradient: View<'_>,
    rows: &[usize],
    filter: &[f32],
    value_gradient: &mut [f32],
) {
    let (width, hidden_size) = (gradient.width, gradient.hidden_size());
    let taps = filter.len() / gradient.heads;
    value_gradient.par_chunks_mut(ROWS * hidden_size).enumerate().for_each(|(index, target)| {
        simd::vectorised(
            #[inline(always)]
            || {
                for (target, input) in target.chunks_exact_mut(hidden_size).zip(index * ROWS..) {
                    let first = rows.partition_point(|&row| row + taps / 2 < input);
                    let end = rows.partition_point(|&row| row <= input + taps / 2);
                    for (head, target) in target.chunks_exact_mut(width).enumerate() {
                        let gradients = gradient.head(HeadIndex { batch: 0, head });
                        let filter = &filter[head * taps..][..taps];
                        let terms = (first..end).map(|place| {
                            (filter[input + taps / 2 - rows[place]], gradients.row(place))
                        });
                        add_sum(target, terms);
                    }
                }
            },
        );
    });
}

/// The gradients of the filters, `[heads, taps]`, from each part of the chosen rows.
pub(crate) fn filter_gradients(
    value: View<'_>,
    gradient: View<'_>,
    rows: &[usize],
    taps: usize,
) -> Vec<Vec<f32>> {
    let parts = rows.par_chunks(ROWS).enumerate().map(|(part, rows)| {
        let mut output = vec![0.0; value.heads * taps];
        simd::vectorised(
            #[inline(always)]
            || {
                for (head, output) in output.chunks_exact_mut(taps).enumerate() {
                    let place = HeadIndex { batch: 0, head };
                    let (values, gradients) = (value.head(place), gradient.head(place));
                    for (&row, index) in rows.iter().zip(part * ROWS..) {
                        let seen = row.saturating_sub(taps / 2)..value.rows.min(row + taps / 2 + 1);
                        for input in seen {
                            output[input + taps / 2 - row] +=
                                simd::dot(gradients.row(index), values.row(input));
                        }
                    }
                }
            },
        );
        output
    });
    parts.collect()
}
