//! Random matrices that attention multiplies with: functions of a seed of the configuration, or redrawn in every step of training.
//!
//! They are no weights, and no file holds them. They are drawn in the memory of the CPU, whatever device computes, so that a model
//! that was trained on one device is the same on another.

use std::sync::{Arc, OnceLock};

use burn::tensor::{Device, Distribution, Tensor, TensorData};
use nystromformer_kernels::{Seed, random};

/// From the seed of a layer to that of the next. Seeds that people choose are small numbers; these are not.
const BETWEEN_LAYERS: u64 = 0x9e37_79b9_7f4a_7c15;

/// A random matrix `[count, width]`.
#[derive(Debug, Clone)]
pub(super) struct RandomRows {
    shape: [usize; 2],
    /// Makes rows of independent normals what they should be.
    arrange: fn(&mut [f64], usize),
    seed: u64,
    /// Every layer has others.
    layer: usize,
    /// Whether training draws anew in each step, from the step's seed.
    is_redrawn: bool,
    fixed: Arc<OnceLock<Vec<f64>>>,
}

impl RandomRows {
    /// Rows of `shape` that `arrange` makes of independent normals, given the width of a row.
    pub(super) fn new(
        shape: [usize; 2],
        arrange: fn(&mut [f64], usize),
        seed: usize,
        is_redrawn: bool,
    ) -> Self {
        Self { shape, arrange, seed: seed as u64, layer: 0, is_redrawn, fixed: Arc::default() }
    }

    /// Makes them those of a layer, by its number from 0: the first has those of the seed itself.
    pub(super) fn set_layer(&mut self, layer: usize) {
        self.layer = layer;
        self.fixed = Arc::default();
    }

    /// Those for a forward pass on `device`, which trains if it is one of autodiff.
    pub(super) fn for_pass(&self, device: &Device) -> Tensor<2> {
        if self.is_redrawn && device.is_autodiff() {
            return self.tensor(self.draw(), device);
        }
        self.fixed(device)
    }

    /// Those that follow from the configuration.
    pub(super) fn fixed(&self, device: &Device) -> Tensor<2> {
        let of_layer = (self.layer as u64).wrapping_mul(BETWEEN_LAYERS);
        let seed = Seed::new(self.seed.wrapping_add(of_layer));
        let rows = self.fixed.get_or_init(|| seed.scope(|| self.draw()));
        self.tensor(rows.clone(), device)
    }

    fn tensor(&self, rows: Vec<f64>, device: &Device) -> Tensor<2> {
        Tensor::from_data(TensorData::new(rows, self.shape), device)
    }

    fn draw(&self) -> Vec<f64> {
        let normal = Distribution::Normal(0.0, 1.0);
        let drawn = random::<2>(self.shape, normal, &Device::flex());
        let mut rows: Vec<f64> = drawn.into_data().iter::<f64>().collect();
        (self.arrange)(&mut rows, self.shape[1]);
        rows
    }
}

/// Leaves rows as they are drawn.
pub(super) fn independent(_: &mut [f64], _: usize) {}

/// Makes rows orthogonal in blocks of as many as a row has numbers, by Gram and Schmidt. Each keeps its length, so that it is by
/// itself what was drawn: a vector of independent normals.
pub(super) fn orthogonal(rows: &mut [f64], width: usize) {
    let product = |left: &[f64], right: &[f64]| -> f64 {
        left.iter().zip(right).map(|(left, right)| left * right).sum()
    };
    for block in rows.chunks_mut(width * width) {
        for start in (0..block.len()).step_by(width) {
            let (before, row) = block.split_at_mut(start);
            let row = &mut row[..width];
            let length = product(row, row).sqrt();
            // Once more takes away what rounding left.
            for _ in 0..2 {
                for other in before.chunks(width) {
                    let share = product(row, other) / product(other, other).max(f64::MIN_POSITIVE);
                    for (number, other) in row.iter_mut().zip(other) {
                        *number -= share * other;
                    }
                }
            }
            let factor = length / product(row, row).sqrt().max(f64::MIN_POSITIVE);
            for number in row {
                *number *= factor;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(arrange: fn(&mut [f64], usize), is_redrawn: bool) -> RandomRows {
        RandomRows::new([7, 3], arrange, 5, is_redrawn)
    }

    fn numbers(rows: &Tensor<2>) -> Vec<f64> {
        rows.clone().into_data().iter::<f64>().collect()
    }

    #[test]
    fn rows_are_orthogonal_in_blocks_and_keep_their_lengths() {
        let device = Device::flex();
        let [drawn, arranged] = [independent, orthogonal]
            .map(|arrange: fn(&mut [f64], usize)| numbers(&rows(arrange, false).fixed(&device)));
        let product = |rows: &[f64], left: usize, right: usize| -> f64 {
            (0..3).map(|at| rows[left * 3 + at] * rows[right * 3 + at]).sum()
        };
        for left in 0..7 {
            let [before, after] = [&drawn, &arranged].map(|rows| product(rows, left, left));
            assert!((before - after).abs() < 1e-5 * before, "{before} {after}");
            for right in (0..left).filter(|right| right / 3 == left / 3) {
                assert!(product(&arranged, left, right).abs() < 1e-5, "{left} {right}");
            }
        }
    }

    /// No file holds them: they must not depend on who draws them. That a seed's numbers stay what they are, `fresh_weights.rs`
    /// tests.
    #[test]
    fn fixed_rows_follow_from_their_seed_alone() {
        let found = numbers(&rows(independent, false).fixed(&Device::flex()));
        let again =
            Seed::new(99).scope(|| numbers(&rows(independent, true).fixed(&Device::flex())));
        assert_eq!(found, again);
        let other = RandomRows::new([7, 3], independent, 6, false);
        assert_ne!(found, numbers(&other.fixed(&Device::flex())));
    }

    #[test]
    fn every_layer_has_rows_of_its_own() {
        let of_layer = |layer| {
            let mut rows = rows(independent, false);
            let first = numbers(&rows.fixed(&Device::flex()));
            rows.set_layer(layer);
            (first, numbers(&rows.fixed(&Device::flex())))
        };
        let [(first, zeroth), (_, next), (_, third)] = [0, 1, 2].map(of_layer);
        assert_eq!(first, zeroth);
        assert!(first != next && next != third && first != third);
    }

    #[test]
    fn training_redraws_from_the_steps_seed() {
        let (tracked, plain) = (Device::flex().autodiff(), Device::flex());
        let rows = rows(orthogonal, true);
        let of_step = |step| Seed::new(step).scope(|| numbers(&rows.for_pass(&tracked)));
        assert_eq!(of_step(1), of_step(1));
        assert_ne!(of_step(1), of_step(2));
        let predicting = |step| Seed::new(step).scope(|| numbers(&rows.for_pass(&plain)));
        assert_eq!(predicting(1), predicting(2));
        assert_ne!(predicting(1), of_step(1));
    }
}
