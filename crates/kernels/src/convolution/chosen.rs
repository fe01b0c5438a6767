//! A convolution at chosen rows only, and its derivative: the same sums as for all rows, in the same order.

use rayon::prelude::*;

use super::Filters;
use crate::{
    simd,
    view::{HeadIndex, View},
};

/// Columns whose sums stay in registers.
const COLUMNS: usize = 32;

/// Rows of one task.
const ROWS: usize = 32;

/// What a row is multiplied with.
trait Factor: Copy {
    /// For `count` columns from `first` on.
    fn columns(self, first: usize, count: usize) -> Self;

    /// For one of these.
    fn at(self, column: usize) -> f32;
}

/// One number for all columns.
impl Factor for f32 {
    #[inline(always)]
    fn columns(self, _: usize, _: usize) -> Self {
        self
    }

    #[inline(always)]
    fn at(self, _: usize) -> f32 {
        self
    }
}

/// A number for each column.
impl Factor for &[f32] {
    #[inline(always)]
    fn columns(self, first: usize, count: usize) -> Self {
        &self[first..first + count]
    }

    #[inline(always)]
    fn at(self, column: usize) -> f32 {
        self[column]
    }
}

/// Adds to the columns of `target`, `COLUMNS` at a time, the sum of `factor · row` over `terms`.
#[inline(always)]
fn add_sum<'a, F: Factor>(target: &mut [f32], terms: impl Iterator<Item = (F, &'a [f32])> + Clone) {
    for (index, target) in target.chunks_mut(COLUMNS).enumerate() {
        let first = index * COLUMNS;
        let mut sums = [0.0f32; COLUMNS];
        for (factor, row) in terms.clone() {
            let row = &row[first..first + target.len()];
            let factor = factor.columns(first, target.len());
            for (column, (sum, value)) in sums.iter_mut().zip(row).enumerate() {
                *sum = factor.at(column).mul_add(*value, *sum);
            }
        }
        target.iter_mut().zip(sums).for_each(|(target, sum)| *target += sum);
    }
}

/// The taps of a head's filters side by side, `[heads, taps, of_head]`.
fn by_tap(filters: Filters<'_>, heads: usize) -> Vec<f32> {
    let Filters { taps, of_head, .. } = filters;
    let places = (0..heads * taps * of_head)
        .map(|place| (place / (taps * of_head), place / of_head % taps, place % of_head));
    places.map(|(head, tap, channel)| filters.head(head)[channel * taps + tap]).collect()
}

/// Adds the convolution at `rows` to `output`, `[rows, heads, head_dim]`.
pub(crate) fn add_at(value: View<'_>, rows: &[usize], filters: Filters<'_>, output: &mut [f32]) {
    let Filters { taps, of_head, .. } = filters;
    if of_head == 1 {
        return add_at_with(
            value,
            rows,
            taps,
            #[inline(always)]
            |head, tap| filters.head(head)[tap],
            output,
        );
    }
    let by_tap = by_tap(filters, value.heads);
    add_at_with(
        value,
        rows,
        taps,
        #[inline(always)]
        |head, tap| &by_tap[(head * taps + tap) * of_head..][..of_head],
        output,
    );
}

fn add_at_with<F: Factor>(
    value: View<'_>,
    rows: &[usize],
    taps: usize,
    factor: impl Fn(usize, usize) -> F + Sync,
    output: &mut [f32],
) {
    let (width, hidden_size) = (value.width, value.hidden_size());
    output.par_chunks_mut(ROWS * hidden_size).zip(rows.par_chunks(ROWS)).for_each(
        |(output, rows)| {
            simd::vectorised(
                #[inline(always)]
                || {
                    for (output, &row) in output.chunks_exact_mut(hidden_size).zip(rows) {
                        let seen = row.saturating_sub(taps / 2)..value.rows.min(row + taps / 2 + 1);
                        for (head, output) in output.chunks_exact_mut(width).enumerate() {
                            let values = value.head(HeadIndex { batch: 0, head });
                            let terms = seen.clone().map(|input| {
                                (factor(head, input + taps / 2 - row), values.row(input))
                            });
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
    filters: Filters<'_>,
    value_gradient: &mut [f32],
) {
    let Filters { taps, of_head, .. } = filters;
    if of_head == 1 {
        return add_value_gradient_with(
            gradient,
            rows,
            taps,
            #[inline(always)]
            |head, tap| filters.head(head)[tap],
            value_gradient,
        );
    }
    let by_tap = by_tap(filters, gradient.heads);
    add_value_gradient_with(
        gradient,
        rows,
        taps,
        #[inline(always)]
        |head, tap| &by_tap[(head * taps + tap) * of_head..][..of_head],
        value_gradient,
    );
}

fn add_value_gradient_with<F: Factor>(
    gradient: View<'_>,
    rows: &[usize],
    taps: usize,
    factor: impl Fn(usize, usize) -> F + Sync,
    value_gradient: &mut [f32],
) {
    let (width, hidden_size) = (gradient.width, gradient.hidden_size());
    value_gradient.par_chunks_mut(ROWS * hidden_size).enumerate().for_each(|(index, target)| {
        simd::vectorised(
            #[inline(always)]
            || {
                for (target, input) in target.chunks_exact_mut(hidden_size).zip(index * ROWS..) {
                    let first = rows.partition_point(|&row| row + taps / 2 < input);
                    let end = rows.partition_point(|&row| row <= input + taps / 2);
                    for (head, target) in target.chunks_exact_mut(width).enumerate() {
                        let gradients = gradient.head(HeadIndex { batch: 0, head });
                        let terms = (first..end).map(|place| {
                            (factor(head, input + taps / 2 - rows[place]), gradients.row(place))
                        });
                        add_sum(target, terms);
                    }
                }
            },
        );
    });
}

/// The gradient of `filters` from each part of the chosen rows.
pub(crate) fn filter_gradients(
    value: View<'_>,
    gradient: View<'_>,
    rows: &[usize],
    filters: Filters<'_>,
) -> Vec<Vec<f32>> {
    let Filters { taps, of_head, .. } = filters;
    let parts = rows.par_chunks(ROWS).enumerate().map(|(part, rows)| {
        let mut output = vec![0.0; filters.len()];
        let mut by_tap = vec![0.0; if of_head == 1 { 0 } else { taps * of_head }];
        simd::vectorised(
            #[inline(always)]
            || {
                for (head, output) in output.chunks_exact_mut(taps * of_head).enumerate() {
                    let place = HeadIndex { batch: 0, head };
                    let (values, gradients) = (value.head(place), gradient.head(place));
                    by_tap.fill(0.0);
                    for (&row, index) in rows.iter().zip(part * ROWS..) {
                        let seen = row.saturating_sub(taps / 2)..value.rows.min(row + taps / 2 + 1);
                        let gradient = gradients.row(index);
                        for input in seen {
                            let (tap, value) = (input + taps / 2 - row, values.row(input));
                            if of_head == 1 {
                                output[tap] += simd::dot(gradient, value);
                                continue;
                            }
                            let sums = &mut by_tap[tap * of_head..][..of_head];
                            for ((sum, gradient), value) in sums.iter_mut().zip(gradient).zip(value)
                            {
                                *sum = gradient.mul_add(*value, *sum);
                            }
                        }
                    }
                    for (place, sum) in by_tap.iter().enumerate() {
                        output[place % of_head * taps + place / of_head] = *sum;
                    }
                }
            },
        );
        output
    });
    parts.collect()
}
