//! Cross-entropy of rows of scores against labels.

#[cfg(all(feature = "cube", not(feature = "fused")))]
mod cube;

use burn::{
    backend::Flex,
    tensor::{Int, Tensor},
};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::{
    indices::Indices,
    kernel::{self, Kernel},
    simd,
};

/// Cross-entropy of each row of `logits` against its label, in nats.
///
/// # Shapes
/// - `logits`: `[rows, classes]`, of any number of rows, 0 too
/// - `labels`: `[rows]`, each in `0..classes`
/// - output: `[rows]`
///
/// # Panics
/// If a label is not in `0..classes`. (Elsewhere than on the CPU nobody waits to look: its loss is then some number.)
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let [rows, classes] = logits.dims();
    if rows == 0 {
        return Tensor::zeros([0], &logits.device());
    }
    if !kernel::runs_on::<CrossEntropy, 1, 2>(&logits) {
        return composed(logits, labels);
    }
    assert_eq!(labels.dims(), [rows], "one label per row");
    if !kernel::is_flex(&logits.device()) {
        return kernel::run_1(CrossEntropy { labels: Indices::unread(labels) }, logits);
    }
    let labels: Vec<usize> = labels
        .try_into_vec_as::<i64>()
        .expect("labels lie in the CPU's memory")
        .into_iter()
        .map(|label| {
            usize::try_from(label)
                .ok()
                .filter(|&label| label < classes)
                .unwrap_or_else(|| panic!("label `{label}` is not one of {classes} classes"))
        })
        .collect();
    kernel::run_1(CrossEntropy { labels: Indices::InMemory(labels) }, logits)
}

/// The same by Burn's elementary operations.
fn composed(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    // The maximum only guards the exponential against overflow: its gradient cancels exactly.
    let maximum = logits.clone().detach().max_dim(1);
    let log_sum = (logits.clone() - maximum.clone()).exp().sum_dim(1).log() + maximum;
    let picked = logits.gather(1, labels.unsqueeze_dim(1));
    (log_sum - picked).squeeze_dim(1)
}

#[derive(Debug)]
struct CrossEntropy {
    labels: Indices,
}

/// What the derivative needs.
#[derive(Debug, Clone)]
struct Saved {
    logits: FlexTensor,
    /// The logarithm of each row's sum of exponentials.
    log_sums: FlexTensor,
}

impl Kernel<Flex, 1> for CrossEntropy {
    type Saved = Saved;

    fn forward(&self, [logits]: [FlexTensor; 1]) -> (FlexTensor, Saved) {
        let logits = simd::contiguous(logits);
        let labels = self.labels.in_memory();
        let rows = labels.len();
        let values = simd::values(&logits);
        let classes = values.len() / rows.max(1);
        let mut log_sums = vec![0.0; rows];
        log_sums.par_iter_mut().zip(values.par_chunks(classes.max(1))).for_each(
            |(log_sum, row)| {
                simd::vectorised(
                    #[inline(always)]
                    || *log_sum = log_sum_exp(row),
                );
            },
        );
        let losses = log_sums
            .iter()
            .zip(labels)
            .enumerate()
            .map(|(row, (log_sum, label))| log_sum - values[row * classes + label])
            .collect();
        let saved = Saved { logits, log_sums: simd::tensor(log_sums, [rows].into()) };
        (simd::tensor(losses, [rows].into()), saved)
    }

    /// `(softmax(row) − one-hot(label))` times the row's gradient, over the scores where nobody else needs them.
    fn backward(
        &self,
        Saved { mut logits, log_sums }: Saved,
        gradient: FlexTensor,
        _wanted: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        let gradient = simd::contiguous(gradient);
        let (gradient, log_sums) = (simd::values(&gradient), simd::values(&log_sums));
        let [rows, classes] = logits.layout().shape().dims();
        if rows * classes > 0 {
            simd::update(&mut logits, |values| {
                values
                    .par_chunks_mut(classes)
                    .zip(gradient.par_iter().zip(log_sums))
                    .zip(self.labels.in_memory())
                    .for_each(|((row, (&gradient, &log_sum)), &label)| {
                        simd::vectorised(
                            #[inline(always)]
                            || {
                                for value in row.iter_mut() {
                                    *value = simd::exp(*value - log_sum) * gradient;
                                }
                            },
                        );
                        row[label] -= gradient;
                    });
            });
        }
        [Some(logits)]
    }
}

/// `ln Σ exp`, NaN if any value is.
#[inline(always)]
fn log_sum_exp(row: &[f32]) -> f32 {
    let maximum = simd::largest(row);
    let sum = simd::sum(
        row,
        #[inline(always)]
        |value| simd::exp(value - maximum),
    );
    sum.ln() + maximum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, random};
    use burn::tensor::Device;

    fn labels(rows: usize, classes: usize) -> Tensor<1, Int> {
        let labels: Vec<i64> = (0..rows).map(|row| (row * 7 % classes) as i64).collect();
        Tensor::from_ints(labels.as_slice(), &Device::flex().autodiff())
    }

    #[test]
    fn equals_the_composed_path() {
        for (rows, classes) in [(1, 1), (3, 2), (17, 33), (40, 1000)] {
            testing::same(
                [random([rows, classes]).mul_scalar(8.0)],
                |[logits]| cross_entropy(logits, labels(rows, classes)),
                |[logits]| composed(logits, labels(rows, classes)),
            );
        }
    }

    #[test]
    fn infinities_and_nan_behave_as_in_the_composed_path() {
        let device = Device::flex();
        for row in [
            [f32::NEG_INFINITY, 0.0, 1.0],
            [0.0, f32::NAN, 1.0],
            [0.0, f32::INFINITY, 1.0],
            [f32::NEG_INFINITY; 3],
            [1e30, 0.0, -1e30],
        ] {
            let logits = Tensor::<2>::from_floats([row], &device);
            let label = Tensor::<1, Int>::from_ints([2], &device);
            let ours = cross_entropy(logits.clone(), label.clone()).into_scalar::<f32>();
            let composed = composed(logits, label).into_scalar::<f32>();
            assert!(
                ours == composed || ours.is_nan() && composed.is_nan(),
                "{row:?}: {ours} {composed}"
            );
        }
    }

    #[test]
    fn special_values_behave_as_the_composed_path() {
        testing::same_with_special_values(
            [random([5, 37])],
            |[logits]| cross_entropy(logits, labels(5, 37)),
            |[logits]| composed(logits, labels(5, 37)),
        );
    }

    /// Where nobody else holds the scores: they are the largest tensor of masked-LM training.
    #[test]
    fn the_gradient_takes_the_place_of_the_scores() {
        let place = |tensor: &FlexTensor| simd::values(tensor).as_ptr();
        let kernel = CrossEntropy { labels: Indices::InMemory(vec![3, 0]) };
        let logits = simd::tensor(vec![0.5; 8], [2, 4].into());
        let before = place(&logits);
        let (losses, saved) = Kernel::<Flex, 1>::forward(&kernel, [logits]);
        let [gradient] = Kernel::<Flex, 1>::backward(&kernel, saved, losses, [true]);
        assert_eq!(place(&gradient.unwrap()), before);
    }

    #[test]
    #[should_panic(expected = "label `9` is not one of 3 classes")]
    fn a_label_out_of_range_is_named() {
        let device = Device::flex();
        let _ = cross_entropy(Tensor::zeros([1, 3], &device), Tensor::from_ints([9], &device));
    }
}
