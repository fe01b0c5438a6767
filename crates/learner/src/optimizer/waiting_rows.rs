//! Rows of a table that wait. A step reads few rows of a large embedding, and the others have no gradient: the optimizer leaves them
//! as they are and notes the step. They take what they have missed when they are next read, written down or averaged: the same
//! updates in the same order, so the same bits as if the whole table had been passed over at every step.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use nystromformer_kernels::{AdamWStep, adam_w_missed, adam_w_of_rows};

/// Rows that somebody reads of some tables, by the tables' paths; every other parameter is read whole.
pub type RowsRead = BTreeMap<String, Vec<usize>>;

/// Value, first and second moment of a parameter.
pub(super) type Table = [Tensor<1>; 3];

/// After so many steps all rows take what they have missed.
const MOST_STEPS: usize = 4096;

/// What rows of a table have yet to do.
#[derive(Debug, Clone, Default)]
pub(super) struct WaitingRows {
    /// Steps since no row waited, oldest first.
    steps: Vec<AdamWStep>,
    /// How many of them each row has taken; empty while there are none.
    taken: Vec<u32>,
}

impl WaitingRows {
    /// Whether any row may wait.
    pub(super) fn any(&self) -> bool {
        !self.steps.is_empty()
    }

    /// These rows, or all, take what they have missed.
    pub(super) fn catch_up(&mut self, table: Table, rows: Option<&[usize]>) -> Table {
        let now = self.steps.len() as u32;
        let missed = match rows {
            None => {
                let taken = std::mem::take(&mut self.taken);
                taken.into_iter().map(|taken| now - taken).collect()
            }
            Some(rows) => {
                let mut missed = vec![0; self.taken.len()];
                for row in rows {
                    // A row that is named twice has missed nothing the second time.
                    missed[*row] += now - std::mem::replace(&mut self.taken[*row], now);
                }
                missed
            }
        };
        let table = if missed.iter().all(|missed| *missed == 0) {
            table
        } else {
            adam_w_missed(&self.steps, &missed, table)
        };
        if rows.is_none() {
            self.steps.clear();
        }
        table
    }

    /// These of `count` rows take a step by their rows of `gradient`, and the others wait.
    pub(super) fn step(
        &mut self,
        step: AdamWStep,
        rows: &[usize],
        count: usize,
        gradient: Tensor<1>,
        table: Table,
    ) -> Table {
        self.taken.resize(count, 0);
        let table = self.catch_up(table, Some(rows));
        let mut updated = vec![false; count];
        for row in rows {
            updated[*row] = true;
        }
        let table = adam_w_of_rows(step, &updated, gradient, table);
        self.steps.push(step);
        for row in rows {
            self.taken[*row] = self.steps.len() as u32;
        }
        if self.steps.len() < MOST_STEPS { table } else { self.catch_up(table, None) }
    }
}

/// The rows that are read in all of several batches. A table is read whole if one of them reads it whole.
pub(crate) fn rows_of_all(batches: impl IntoIterator<Item = RowsRead>) -> RowsRead {
    let together = |all: RowsRead, mut batch: RowsRead| {
        let both = all.into_iter().filter_map(|(path, mut rows)| {
            rows.append(&mut batch.remove(&path)?);
            Some((path, rows))
        });
        both.collect()
    };
    let mut all = batches.into_iter().reduce(together).unwrap_or_default();
    for rows in all.values_mut() {
        rows.sort_unstable();
        rows.dedup();
    }
    all
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, ModuleMapper, Param};
    use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
    use burn::optim::GradientsParams;
    use burn::tensor::Device;

    use super::super::{AdamW, OptimizerConfig, StepSettings};
    use super::*;

    const ROWS: usize = 60;
    const PATH: &str = "table.weight";

    #[derive(Module, Debug)]
    struct Model {
        table: Embedding,
        linear: Linear,
    }

    /// Pseudo-random numbers in `−1..1`.
    fn numbers(seed: usize, count: usize) -> Vec<f32> {
        let number = |index: usize| ((seed * 7919 + index * 104_729) % 2003) as f32 / 1001.5 - 1.0;
        (0..count).map(number).collect()
    }

    struct Fill;

    impl ModuleMapper for Fill {
        fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
            parameter.map(|tensor| {
                let dims = tensor.dims();
                let values = numbers(1, dims.iter().product());
                let values = Tensor::<1>::from_floats(values.as_slice(), &tensor.device());
                values.reshape(dims).require_grad()
            })
        }
    }

    fn model() -> Model {
        let device = Device::flex().autodiff();
        let model = Model {
            table: EmbeddingConfig::new(ROWS, 5).init(&device),
            linear: LinearConfig::new(5, 2).init(&device),
        };
        model.map(&mut Fill)
    }

    /// Rows with a gradient at a step; none of the last row ever.
    fn rows(step: usize) -> Vec<usize> {
        (0..ROWS - 1).filter(|row| (row * 13 + step * 7).is_multiple_of(9)).collect()
    }

    fn gradients(model: &Model, step: usize) -> GradientsParams {
        let device = Device::flex();
        let mut table = vec![0.0; ROWS * 5];
        let values = numbers(step + 2, ROWS * 5);
        for row in rows(step) {
            table[row * 5..][..5].copy_from_slice(&values[row * 5..][..5]);
        }
        let mut gradients = GradientsParams::new();
        let table = Tensor::<1>::from_floats(table.as_slice(), &device).reshape([ROWS, 5]);
        gradients.register(model.table.weight.id, table);
        let linear = Tensor::<1>::from_floats(values[..10].to_vec().as_slice(), &device);
        gradients.register(model.linear.weight.id, linear.reshape([5, 2]));
        gradients
    }

    /// The rates of a schedule, momentum that moves, and a factor of clipping.
    fn settings(step: usize) -> StepSettings {
        StepSettings {
            learning_rate: 1e-2 / (step + 1) as f64,
            beta_1: 0.85 + 0.01 * (step % 10) as f64,
            gradient_scale: if step.is_multiple_of(2) { 1.0 } else { 0.3 },
        }
    }

    fn bits(model: &Model) -> Vec<u32> {
        let values = model.table.weight.val().into_data();
        values.iter::<f32>().map(f32::to_bits).collect()
    }

    /// Read before each step, now and then written down, once passed over whole: bit for bit the pass over all rows.
    #[test]
    fn rows_that_wait_end_where_they_would_have_been() {
        let config = OptimizerConfig { epsilon: 1e-6, ..OptimizerConfig::default() };
        let (mut dense, mut waiting) = (model(), model());
        let device = Device::flex();
        let mut optimizer = AdamW::new(config, &dense, &device);
        let mut patient = AdamW::new(config, &waiting, &device);
        let mut waited = false;
        for step in 0..40 {
            let read = RowsRead::from([(PATH.to_owned(), rows(step))]);
            waiting = patient.catch_up(waiting, Some(&read));
            let (all, some) = (bits(&dense), bits(&waiting));
            for row in rows(step) {
                assert_eq!(
                    all[row * 5..][..5],
                    some[row * 5..][..5],
                    "row {row} before step {step}"
                );
            }
            let of_dense = gradients(&dense, step);
            dense = optimizer.step(dense, of_dense, settings(step));
            let of_waiting = gradients(&waiting, step);
            let whole = step == 30;
            let read = if whole { RowsRead::new() } else { read };
            waiting = patient.step_of_rows(waiting, of_waiting, settings(step), &read);
            waited |= bits(&dense) != bits(&waiting);
            assert_eq!(patient.is_settled(), whole);
            if step % 15 == 14 {
                waiting = patient.catch_up(waiting, None);
                assert!(patient.is_settled());
                assert_eq!(bits(&dense), bits(&waiting), "after step {step}");
            }
        }
        assert!(waited);
        waiting = patient.catch_up(waiting, None);
        assert_eq!(bits(&dense), bits(&waiting));
        assert_eq!(optimizer.to_safetensors().unwrap(), patient.to_safetensors().unwrap());
    }

    #[test]
    fn a_table_that_one_batch_reads_whole_is_read_whole() {
        let read = |rows: &[usize]| RowsRead::from([("a".to_owned(), rows.to_vec())]);
        assert_eq!(rows_of_all([read(&[4, 1]), read(&[2, 4])]), read(&[1, 2, 4]));
        assert_eq!(rows_of_all([read(&[1]), RowsRead::new()]), RowsRead::new());
        assert_eq!(rows_of_all([]), RowsRead::new());
    }
}
