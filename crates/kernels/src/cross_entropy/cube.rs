//! Cross-entropy in CubeCL: one launch each way.

use burn::backend::{Cube, TensorMetadata};
use burn_cubecl::{
    cubecl::{self, prelude::*},
    tensor::CubeTensor,
};

use super::CrossEntropy;
use crate::{
    cube::{
        contiguous, cubes, room,
        rows::{largest_of_row, sum_of_exponentials},
        units_for,
    },
    kernel::Kernel,
};

/// What the derivative needs.
#[derive(Debug, Clone)]
pub(super) struct Saved {
    logits: CubeTensor,
    labels: CubeTensor,
    /// Of each row its largest score, and the logarithm of the sum of exponentials beside it.
    statistics: CubeTensor,
}

impl Kernel<Cube, 1> for CrossEntropy {
    type Saved = Saved;

    fn forward(&self, [logits]: [CubeTensor; 1]) -> (CubeTensor, Saved) {
        let labels = self.labels.on_device().clone();
        let logits = contiguous(logits);
        let [rows, classes] = logits.shape().dims();
        let losses = room(&logits, [rows]);
        let statistics = room(&logits, [rows, 2]);
        let units = units_for(classes);
        cross_entropy_forward::launch(
            &logits.client,
            cubes(&logits.client, rows),
            CubeDim::new_1d(units as u32),
            logits.clone().into_buffer_arg(),
            labels.clone().into_buffer_arg(),
            losses.clone().into_buffer_arg(),
            statistics.clone().into_buffer_arg(),
            rows,
            classes,
            units,
        );
        (losses, Saved { logits, labels, statistics })
    }

    /// `(softmax(row) − one-hot(label))` times the row's gradient.
    fn backward(
        &self,
        Saved { logits, labels, statistics }: Saved,
        gradient: CubeTensor,
        _wanted: [bool; 1],
    ) -> [Option<CubeTensor>; 1] {
        let [rows, classes] = logits.shape().dims();
        let output = room(&logits, [rows, classes]);
        let units = units_for(classes);
        cross_entropy_backward::launch(
            &output.client,
            cubes(&output.client, rows),
            CubeDim::new_1d(units as u32),
            logits.into_buffer_arg(),
            labels.into_buffer_arg(),
            statistics.into_buffer_arg(),
            contiguous(gradient).into_buffer_arg(),
            output.clone().into_buffer_arg(),
            rows,
            classes,
            units,
        );
        [Some(output)]
    }
}

/// A cube has a row.
#[cube(launch)]
fn cross_entropy_forward(
    logits: &[f32],
    labels: &[i32],
    losses: &mut [f32],
    statistics: &mut [f32],
    rows: usize,
    classes: usize,
    #[comptime] units: usize,
) {
    let row = CUBE_POS;
    if row >= rows {
        terminate!();
    }
    let mut shared = Shared::<[f32]>::new_slice(units);
    let first = row * classes;
    let largest = largest_of_row(logits, first, classes, &mut shared, units);
    let sum = sum_of_exponentials(logits, first, classes, largest, &mut shared, units);
    let log_sum = sum.ln();
    if UNIT_POS == 0u32 {
        let label = labels[row] as usize;
        // The largest first, so that what is small beside it is not lost twice.
        losses[row] = log_sum - (logits[first + label] - largest);
        statistics[2usize * row] = largest;
        statistics[2usize * row + 1usize] = log_sum;
    }
}

/// A cube has a row.
#[cube(launch)]
fn cross_entropy_backward(
    logits: &[f32],
    labels: &[i32],
    statistics: &[f32],
    gradient: &[f32],
    output: &mut [f32],
    rows: usize,
    classes: usize,
    #[comptime] units: usize,
) {
    let row = CUBE_POS;
    if row < rows {
        let first = row * classes;
        let label = labels[row] as usize;
        let largest = statistics[2usize * row];
        let log_sum = statistics[2usize * row + 1usize];
        let slope = gradient[row];
        let mut class = UNIT_POS as usize;
        while class < classes {
            let weight = (logits[first + class] - largest - log_sum).exp();
            let of_label = select(class == label, 1.0f32, 0.0f32);
            output[first + class] = (weight - of_label) * slope;
            class += units;
        }
    }
}

#[cfg(all(test, feature = "wgpu"))]
mod tests {
    use burn::tensor::{Int, Tensor};

    use super::super::{composed, cross_entropy};
    use crate::testing::{cube, random};

    fn labels(rows: usize, classes: usize, like: &Tensor<2>) -> Tensor<1, Int> {
        let labels: Vec<i64> = (0..rows).map(|row| (row * 7 % classes) as i64).collect();
        Tensor::from_ints(labels.as_slice(), &like.device())
    }

    #[test]
    fn equals_the_composed_path() {
        for [rows, classes] in [[1, 1], [5, 3], [40, 17], [3, 5000]] {
            cube::same(
                [random([rows, classes]).mul_scalar(4.0)],
                |[logits]| cross_entropy(logits.clone(), labels(rows, classes, &logits)),
                |[logits]| composed(logits.clone(), labels(rows, classes, &logits)),
            );
        }
    }

    #[test]
    fn special_values_behave_as_the_composed_path() {
        cube::same_with_special_values(
            [random([3, 7])],
            |[logits]| cross_entropy(logits.clone(), labels(3, 7, &logits)),
            |[logits]| composed(logits.clone(), labels(3, 7, &logits)),
        );
    }
}
