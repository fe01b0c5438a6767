//! AdamW over some rows of a table. A step of an embedding reads few rows of its table, and the others have no gradient: they can wait,
//! and take the steps that they have missed when they are read.
//!
//! A row that takes several steps at once does so in registers: the arithmetic is that of the pass over the whole table, value
//! by value and step by step, so the bits are the same; what is saved is the memory that each step would read and write.

use burn::{
    backend::{Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor},
    tensor::Tensor,
};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::{AdamWStep, Scalars};
use crate::{
    kernel, simd,
    trace::{self, Pass},
};

/// Rows of one task.
const TASK_ROWS: usize = 32;

/// Whether [`adam_w_missed`] and [`adam_w_of_rows`] take a table like this one; else [`adam_w`](super::adam_w()) is there.
pub fn updates_rows(table: &Tensor<1>) -> bool {
    kernel::is_flex(&table.device()) && kernel::takes(table)
}

/// Value and moments of a table, of which row `r` takes the last `missed[r]` of `steps`, all without a gradient. The memory
/// given is reused where nobody else holds it.
///
/// # Shapes
/// - all: `[rows · columns]`, `missed.len()` rows
///
/// # Panics
/// If a row has missed more steps than there are, or the tensors are not [such](updates_rows).
pub fn adam_w_missed(
    steps: &[AdamWStep],
    missed: &[u32],
    [value, exp_avg, exp_avg_sq]: [Tensor<1>; 3],
) -> [Tensor<1>; 3] {
    assert!(missed.iter().all(|missed| *missed as usize <= steps.len()), "no such steps");
    let (value, exp_avg, exp_avg_sq) = Dispatch::adam_w_missed(
        value.into_dispatch(),
        exp_avg.into_dispatch(),
        exp_avg_sq.into_dispatch(),
        steps.to_vec(),
        missed.to_vec(),
    );
    [value, exp_avg, exp_avg_sq].map(Tensor::from_dispatch)
}

/// Value and moments of a table, of which only the rows that are `updated` take a step, with their rows of `gradient`. The memory
/// given is reused where nobody else holds it.
///
/// # Shapes
/// - all: `[rows · columns]`, `updated.len()` rows
///
/// # Panics
/// If the tensors are not [such](updates_rows).
pub fn adam_w_of_rows(
    step: AdamWStep,
    updated: &[bool],
    gradient: Tensor<1>,
    [value, exp_avg, exp_avg_sq]: [Tensor<1>; 3],
) -> [Tensor<1>; 3] {
    let _span = trace::kernel("AdamWOfRows", Pass::Update, || vec![value.dims().to_vec()]);
    let (value, exp_avg, exp_avg_sq) = Dispatch::adam_w_of_rows(
        value.into_dispatch(),
        gradient.into_dispatch(),
        exp_avg.into_dispatch(),
        exp_avg_sq.into_dispatch(),
        step,
        updated.to_vec(),
    );
    [value, exp_avg, exp_avg_sq].map(Tensor::from_dispatch)
}

/// As [`OptimizerBackend`](super::OptimizerBackend).
#[backend_extension(Flex)]
pub(crate) trait RowsBackend: Backend {
    /// Value, first and second moment after the steps that each row has missed.
    fn adam_w_missed(
        value: FloatTensor<Self>,
        exp_avg: FloatTensor<Self>,
        exp_avg_sq: FloatTensor<Self>,
        steps: Vec<AdamWStep>,
        missed: Vec<u32>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// Value, first and second moment after the step of the rows that are updated.
    fn adam_w_of_rows(
        value: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        exp_avg: FloatTensor<Self>,
        exp_avg_sq: FloatTensor<Self>,
        step: AdamWStep,
        updated: Vec<bool>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

impl RowsBackend for Flex {
    fn adam_w_missed(
        value: FlexTensor,
        exp_avg: FlexTensor,
        exp_avg_sq: FlexTensor,
        steps: Vec<AdamWStep>,
        missed: Vec<u32>,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let steps: Vec<Scalars> = steps.into_iter().map(Scalars::from).collect();
        each_row(missed.len(), [value, exp_avg, exp_avg_sq], |row, [value, exp_avg, exp_avg_sq]| {
            let steps = &steps[steps.len() - missed[row] as usize..];
            if !steps.is_empty() {
                catch_up(steps, value, exp_avg, exp_avg_sq);
            }
        })
    }

    fn adam_w_of_rows(
        value: FlexTensor,
        gradient: FlexTensor,
        exp_avg: FlexTensor,
        exp_avg_sq: FlexTensor,
        step: AdamWStep,
        updated: Vec<bool>,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let gradient = simd::contiguous(gradient);
        let gradient = simd::values(&gradient);
        let step = Scalars::from(step);
        each_row(
            updated.len(),
            [value, exp_avg, exp_avg_sq],
            |row, [value, exp_avg, exp_avg_sq]| {
                if updated[row] {
                    let gradient = &gradient[row * value.len()..][..value.len()];
                    simd::vectorised(
                        #[inline(always)]
                        || step.apply(value, gradient, exp_avg, exp_avg_sq),
                    );
                }
            },
        )
    }
}

/// Hands each row of three tables to `work`, with its number.
fn each_row(
    rows: usize,
    [mut value, mut exp_avg, mut exp_avg_sq]: [FlexTensor; 3],
    work: impl Fn(usize, [&mut [f32]; 3]) + Sync,
) -> (FlexTensor, FlexTensor, FlexTensor) {
    let columns = value.layout().num_elements() / rows.max(1);
    let task = (TASK_ROWS * columns).max(1);
    simd::update(&mut value, |value| {
        simd::update(&mut exp_avg, |exp_avg| {
            simd::update(&mut exp_avg_sq, |exp_avg_sq| {
                value
                    .par_chunks_mut(task)
                    .zip(exp_avg.par_chunks_mut(task))
                    .zip(exp_avg_sq.par_chunks_mut(task))
                    .enumerate()
                    .for_each(|(task, ((value, exp_avg), exp_avg_sq))| {
                        let rows = value
                            .chunks_exact_mut(columns)
                            .zip(exp_avg.chunks_exact_mut(columns))
                            .zip(exp_avg_sq.chunks_exact_mut(columns));
                        for (row, ((value, exp_avg), exp_avg_sq)) in rows.enumerate() {
                            work(task * TASK_ROWS + row, [value, exp_avg, exp_avg_sq]);
                        }
                    });
            });
        });
    });
    (value, exp_avg, exp_avg_sq)
}

/// One row takes `steps` without a gradient, a few values at a time through all of them.
fn catch_up(steps: &[Scalars], value: &mut [f32], exp_avg: &mut [f32], exp_avg_sq: &mut [f32]) {
    /// Values that stay in registers.
    const BLOCK: usize = 32;
    const NONE: [f32; BLOCK] = [0.0; BLOCK];
    // What was never updated only decays.
    let is_fresh = exp_avg.iter().chain(exp_avg_sq.iter()).all(|moment| moment.to_bits() == 0);
    if is_fresh && steps.iter().all(|step| step.epsilon > 0.0) {
        return simd::vectorised(
            #[inline(always)]
            || {
                for value in value.chunks_mut(BLOCK) {
                    for step in steps {
                        for value in value.iter_mut() {
                            *value *= step.decay;
                        }
                    }
                }
            },
        );
    }
    simd::vectorised(
        #[inline(always)]
        || {
            let blocks = value
                .chunks_mut(BLOCK)
                .zip(exp_avg.chunks_mut(BLOCK))
                .zip(exp_avg_sq.chunks_mut(BLOCK));
            for ((value, exp_avg), exp_avg_sq) in blocks {
                for step in steps {
                    step.apply(value, &NONE[..value.len()], exp_avg, exp_avg_sq);
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AdamWUpdate, adam_w, testing::random};

    const COLUMNS: usize = 77;

    fn step(number: usize) -> AdamWStep {
        let number = number as f64;
        AdamWStep {
            gradient_scale: 0.9 / number,
            beta_1: 0.85 + 0.01 * number,
            beta_2: 0.999,
            decay: 1.0 - 1e-4 * number,
            step_size: 1e-2 / number,
            bias_correction_2_root: (1.0 - 0.999f64.powf(number)).sqrt(),
            epsilon: 1e-6,
        }
    }

    /// Five steps in which rows have a gradient now and then, some never: the whole table at every step, and each row when it is
    /// read.
    #[test]
    fn rows_that_wait_are_bit_for_bit_those_that_do_not() {
        let rows = 70;
        let has_gradient = |row: usize, step: usize| {
            !row.is_multiple_of(7) && (row * 31 + step * 17).is_multiple_of(4)
        };
        let steps: Vec<AdamWStep> = (1..=5).map(step).collect();
        let start = || {
            let value: Tensor<1> = random([rows * COLUMNS]).inner();
            [value.clone(), value.zeros_like(), value.zeros_like()]
        };
        let mut dense = start();
        let mut waiting = dense.clone().map(|tensor| tensor.mul_scalar(1.0));
        let mut taken = vec![0u32; rows];
        for (number, step) in steps.iter().enumerate() {
            let updated: Vec<bool> = (0..rows).map(|row| has_gradient(row, number)).collect();
            let mask: Vec<f32> = updated
                .iter()
                .flat_map(|updated| [f32::from(u8::from(*updated)); COLUMNS])
                .collect();
            let mask = Tensor::<1>::from_floats(mask.as_slice(), &dense[0].device());
            // Without a gradient it is 0, not −0.
            let gradient = (random([rows * COLUMNS]).inner() * mask).add_scalar(0.0);
            let [value, exp_avg, exp_avg_sq] = dense;
            let gradient_of_all = gradient.clone();
            let update =
                AdamWUpdate { step: *step, value, gradient: gradient_of_all, exp_avg, exp_avg_sq };
            [dense] = adam_w(vec![update]).try_into().unwrap();

            let missed: Vec<u32> = (0..rows)
                .map(|row| if updated[row] { number as u32 - taken[row] } else { 0 })
                .collect();
            waiting = adam_w_missed(&steps[..number], &missed, waiting);
            waiting = adam_w_of_rows(*step, &updated, gradient, waiting);
            for row in (0..rows).filter(|row| updated[*row]) {
                taken[row] = number as u32 + 1;
            }
        }
        let differs = |dense: &[Tensor<1>; 3], waiting: &[Tensor<1>; 3]| {
            dense.iter().zip(waiting).any(|(dense, waiting)| dense.to_data() != waiting.to_data())
        };
        assert!(differs(&dense, &waiting), "some rows wait");
        let missed: Vec<u32> = taken.iter().map(|taken| 5 - taken).collect();
        let waited = adam_w_missed(&steps, &missed, waiting);
        assert!(!differs(&dense, &waited));
    }
}
