//! Layer normalisation of a sum, which ends both halves of every layer.

#[cfg(all(feature = "cube", not(feature = "fused")))]
mod cube;

use burn::{backend::Flex, tensor::Tensor};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::{
    kernel::{self, Kernel},
    simd::{self, LANES},
};

/// Normalises `x + residual` (or `x` alone) over the last axis, then scales by `weight` and shifts by `bias`.
///
/// # Shapes
/// - `x`, `residual`, output: `[..., hidden_size]`
/// - `weight`, `bias`: `[hidden_size]`
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    residual: Option<Tensor<D>>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    let hidden_size = x.dims()[D - 1];
    assert_eq!([weight.dims(), bias.dims()], [[hidden_size]; 2], "one weight and bias per column");
    if let Some(residual) = &residual {
        assert_eq!(residual.dims(), x.dims(), "the residual is added value by value");
    }
    let kernel = LayerNorm { epsilon: epsilon as f32 };
    match residual {
        Some(residual) if kernel::runs_on::<LayerNorm, 4, D>(&x) => {
            kernel::run_4(kernel, (x, weight, bias, residual))
        }
        None if kernel::runs_on::<LayerNorm, 3, D>(&x) => kernel::run_3(kernel, (x, weight, bias)),
        residual => composed(x, residual, weight, bias, epsilon),
    }
}

/// The same by Burn's own operation.
fn composed<const D: usize>(
    x: Tensor<D>,
    residual: Option<Tensor<D>>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    let x = match residual {
        Some(residual) => x + residual,
        None => x,
    };
    burn::tensor::module::layer_norm(x, weight, Some(bias), epsilon)
}

#[derive(Debug)]
struct LayerNorm {
    epsilon: f32,
}

/// What the derivative needs.
#[derive(Debug, Clone)]
struct Saved {
    weight: FlexTensor,
    /// The rows before scale and shift.
    normalised: FlexTensor,
    /// `1/√(variance + ε)` of each row.
    inverse_deviation: FlexTensor,
}

/// The gradients, but for that of the residual, which is that of the input.
struct Gradients {
    x: FlexTensor,
    weight: FlexTensor,
    bias: FlexTensor,
}

impl LayerNorm {
    fn apply(&self, inputs: [FlexTensor; 3], residual: Option<FlexTensor>) -> (FlexTensor, Saved) {
        let [x, weight, bias] = inputs.map(simd::contiguous);
        let residual = residual.map(simd::contiguous);
        let shape = x.layout().shape().clone();
        let (scale, shift) = (simd::values(&weight), simd::values(&bias));
        let columns = scale.len();
        let source = simd::values(&x);
        let rows = source.len() / columns;
        let task_rows = task_rows(columns);
        let mut output = simd::room(source.len());
        let mut normalised = simd::room(source.len());
        let mut inverse_deviation = simd::room(rows);
        let residual = residual.as_ref().map(simd::values);
        output
            .par_chunks_mut(task_rows * columns)
            .zip(normalised.par_chunks_mut(task_rows * columns))
            .zip(inverse_deviation.par_chunks_mut(task_rows))
            .enumerate()
            .for_each(|(task, ((output, normalised), inverse_deviation))| {
                let first = task * task_rows * columns;
                let source = &source[first..first + output.len()];
                let residual = residual.map(|residual| &residual[first..first + output.len()]);
                simd::vectorised(
                    #[inline(always)]
                    || {
                        for (row, inverse_deviation) in inverse_deviation.iter_mut().enumerate() {
                            let range = row * columns..(row + 1) * columns;
                            let normalised = &mut normalised[range.clone()];
                            match residual {
                                Some(residual) => add(
                                    normalised,
                                    &source[range.clone()],
                                    &residual[range.clone()],
                                ),
                                None => normalised.copy_from_slice(&source[range.clone()]),
                            }
                            *inverse_deviation = normalise(
                                normalised,
                                &mut output[range],
                                scale,
                                shift,
                                self.epsilon,
                            );
                        }
                    },
                );
            });
        let saved = Saved {
            weight,
            normalised: simd::tensor(normalised, shape.clone()),
            inverse_deviation: simd::tensor(inverse_deviation, [rows].into()),
        };
        (simd::tensor(output, shape), saved)
    }

    fn gradients(saved: Saved, gradient: FlexTensor) -> Gradients {
        let Saved { weight, normalised, inverse_deviation } = saved;
        let gradient = simd::contiguous(gradient);
        let scale = simd::values(&weight);
        let columns = scale.len();
        let source = simd::values(&gradient);
        let (normalised, inverse_deviation) =
            (simd::values(&normalised), simd::values(&inverse_deviation));
        let task_rows = task_rows(columns);
        let mut output = simd::room(source.len());
        // Each task also sums up its rows' gradients of weight and bias, one after the other in one vector.
        let parts: Vec<_> = output
            .par_chunks_mut(task_rows * columns)
            .zip(source.par_chunks(task_rows * columns))
            .zip(normalised.par_chunks(task_rows * columns))
            .zip(inverse_deviation.par_chunks(task_rows))
            .map(|(((output, gradient), normalised), inverse_deviation)| {
                let mut sums = vec![0.0; 2 * columns];
                let (weight_sums, bias_sums) = sums.split_at_mut(columns);
                simd::vectorised(
                    #[inline(always)]
                    || {
                        for (row, &inverse_deviation) in inverse_deviation.iter().enumerate() {
                            let range = row * columns..(row + 1) * columns;
                            differentiate(
                                &mut output[range.clone()],
                                &gradient[range.clone()],
                                &normalised[range],
                                scale,
                                inverse_deviation,
                                weight_sums,
                                bias_sums,
                            );
                        }
                    },
                );
                sums
            })
            .collect();
        let mut weight_sums = simd::sum_in_order(&parts, 2 * columns);
        let bias_sums = weight_sums.split_off(columns);
        Gradients {
            x: simd::tensor(output, gradient.layout().shape().clone()),
            weight: simd::tensor(weight_sums, [columns].into()),
            bias: simd::tensor(bias_sums, [columns].into()),
        }
    }
}

/// Of a sum.
impl Kernel<Flex, 4> for LayerNorm {
    type Saved = Saved;

    fn forward(&self, [x, weight, bias, residual]: [FlexTensor; 4]) -> (FlexTensor, Saved) {
        self.apply([x, weight, bias], Some(residual))
    }

    fn backward(
        &self,
        saved: Saved,
        gradient: FlexTensor,
        wanted: [bool; 4],
    ) -> [Option<FlexTensor>; 4] {
        let Gradients { x, weight, bias } = Self::gradients(saved, gradient);
        let residual = wanted[3].then(|| x.clone());
        [Some(x), Some(weight), Some(bias), residual]
    }
}

/// Of one input.
impl Kernel<Flex, 3> for LayerNorm {
    type Saved = Saved;

    fn forward(&self, inputs: [FlexTensor; 3]) -> (FlexTensor, Saved) {
        self.apply(inputs, None)
    }

    fn backward(
        &self,
        saved: Saved,
        gradient: FlexTensor,
        _wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let Gradients { x, weight, bias } = Self::gradients(saved, gradient);
        [x, weight, bias].map(Some)
    }
}

fn task_rows(columns: usize) -> usize {
    (simd::TASK / columns.max(1)).max(1)
}

#[inline(always)]
fn add(sum: &mut [f32], left: &[f32], right: &[f32]) {
    for (sum, (&left, &right)) in sum.iter_mut().zip(left.iter().zip(right)) {
        *sum = left + right;
    }
}

/// Normalises `row` in place, writes the scaled and shifted row, and returns `1/√(variance + ε)`.
#[inline(always)]
fn normalise(
    row: &mut [f32],
    output: &mut [f32],
    scale: &[f32],
    shift: &[f32],
    epsilon: f32,
) -> f32 {
    let columns = row.len() as f32;
    let mean = simd::sum(
        row,
        #[inline(always)]
        |value| value,
    ) / columns;
    let variance = simd::sum(
        row,
        #[inline(always)]
        |value| (value - mean) * (value - mean),
    ) / columns;
    let inverse_deviation = 1.0 / (variance + epsilon).sqrt();
    for ((value, output), (&scale, &shift)) in
        row.iter_mut().zip(output).zip(scale.iter().zip(shift))
    {
        *value = (*value - mean) * inverse_deviation;
        *output = value.mul_add(scale, shift);
    }
    inverse_deviation
}

/// One row's gradient: with `g = gradient · scale`, `(g − mean(g) − x̂·mean(g·x̂)) / deviation`.
#[inline(always)]
fn differentiate(
    output: &mut [f32],
    gradient: &[f32],
    normalised: &[f32],
    scale: &[f32],
    inverse_deviation: f32,
    weight_sums: &mut [f32],
    bias_sums: &mut [f32],
) {
    let columns = gradient.len();
    let (mut sums, mut products) = ([0.0f32; LANES], [0.0f32; LANES]);
    let mut start = 0;
    while start < columns {
        let width = LANES.min(columns - start);
        let block = start..start + width;
        for (lane, (((&gradient, &normalised), &scale), (weight_sum, bias_sum))) in gradient
            [block.clone()]
        .iter()
        .zip(&normalised[block.clone()])
        .zip(&scale[block.clone()])
        .zip(weight_sums[block.clone()].iter_mut().zip(&mut bias_sums[block]))
        .enumerate()
        {
            *weight_sum = gradient.mul_add(normalised, *weight_sum);
            *bias_sum += gradient;
            let scaled = gradient * scale;
            sums[lane] += scaled;
            products[lane] = scaled.mul_add(normalised, products[lane]);
        }
        start += width;
    }
    let mean = simd::add_lanes(sums) / columns as f32;
    let projection = simd::add_lanes(products) / columns as f32;
    for ((output, (&gradient, &normalised)), &scale) in
        output.iter_mut().zip(gradient.iter().zip(normalised)).zip(scale)
    {
        *output = (gradient * scale - mean - normalised * projection) * inverse_deviation;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, random};

    #[test]
    fn equals_the_composed_path() {
        for (rows, columns) in [(1, 1), (5, 3), (7, 16), (300, 64), (1000, 257)] {
            // One column normalises to zero whatever the input: nothing but the shift is left.
            let weight = random([1, columns]);
            let bias = random([1, columns]);
            let inputs = [random([rows, columns]), random([rows, columns]), weight, bias];
            let with = |function: fn(
                Tensor<2>,
                Option<Tensor<2>>,
                Tensor<1>,
                Tensor<1>,
                f64,
            ) -> Tensor<2>| {
                move |[x, residual, weight, bias]: [Tensor<2>; 4]| {
                    function(x, Some(residual), weight.squeeze_dim(0), bias.squeeze_dim(0), 1e-5)
                }
            };
            testing::same(inputs.clone(), with(layer_norm), with(composed));
            let [x, _, weight, bias] = inputs;
            let without = |function: fn(
                Tensor<2>,
                Option<Tensor<2>>,
                Tensor<1>,
                Tensor<1>,
                f64,
            ) -> Tensor<2>| {
                move |[x, weight, bias]: [Tensor<2>; 3]| {
                    function(x, None, weight.squeeze_dim(0), bias.squeeze_dim(0), 1e-12)
                }
            };
            testing::same(
                [x.mul_scalar(50.0).add_scalar(3.0), weight, bias],
                without(layer_norm),
                without(composed),
            );
        }
    }

    #[test]
    fn special_values_behave_as_the_composed_path() {
        let inputs = [random([40, 20]), random([40, 20]), random([1, 20]), random([1, 20])];
        testing::same_with_special_values(
            inputs,
            |[x, residual, weight, bias]| {
                layer_norm(x, Some(residual), weight.squeeze_dim(0), bias.squeeze_dim(0), 1e-5)
            },
            |[x, residual, weight, bias]| {
                composed(x, Some(residual), weight.squeeze_dim(0), bias.squeeze_dim(0), 1e-5)
            },
        );
    }

    #[test]
    fn does_not_depend_on_the_number_of_threads() {
        testing::same_bits_for_any_threads(
            [random([3001, 40]), random([3001, 40]), random([1, 40]), random([1, 40])],
            |[x, residual, weight, bias]| {
                layer_norm(x, Some(residual), weight.squeeze_dim(0), bias.squeeze_dim(0), 1e-5)
            },
        );
    }
}
