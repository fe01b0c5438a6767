//! The linear layer: a product with a weight and a bias, over all rows of its input.

#[cfg(all(feature = "cube", not(feature = "fused")))]
mod cube;

use std::cell::Cell;

use burn::{
    backend::Flex,
    tensor::{DType, FloatDType, Shape, Tensor},
};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::{
    batch_invariance::is_batch_invariant,
    kernel::{self, Kernel, on_top_of},
    precision::Precision,
    product::{Matrix, Threads, fewest_alike_rows, product},
    scratch::Scratch,
    simd,
};

/// How a weight lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightLayout {
    /// `[inputs, outputs]`, as Burn keeps it.
    InputsFirst,
    /// `[outputs, inputs]`, as PyTorch keeps it, and as an embedding table lies that serves as decoder.
    OutputsFirst,
}

/// `x W + b` over the last axis.
///
/// # Shapes
/// - `x`: `[..., inputs]`
/// - `weight`: as `layout` says
/// - `bias`: `[outputs]`
/// - output: `[..., outputs]`
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    layout: WeightLayout,
) -> Tensor<D> {
    let [first, second] = weight.dims();
    let (inputs, outputs) = match layout {
        WeightLayout::InputsFirst => (first, second),
        WeightLayout::OutputsFirst => (second, first),
    };
    assert_eq!(x.dims()[D - 1], inputs, "the weight takes what the input has");
    if let Some(bias) = &bias {
        assert_eq!(bias.dims(), [outputs], "one bias per output");
    }
    // Of tensors in another type nothing is rounded.
    let precision = if x.dtype() == DType::F32 { Precision::current() } else { Precision::F32 };
    let kernel = Linear { layout, precision };
    let (x_shape, weight_shape) = (x.dims(), weight.dims());
    match bias {
        Some(bias) if kernel::runs(&kernel, &x, [&x_shape, &weight_shape, &[outputs]]) => {
            kernel::run_3(kernel, (x, weight, bias))
        }
        None if kernel::runs(&kernel, &x, [&x_shape, &weight_shape]) => {
            kernel::run_2(kernel, (x, weight))
        }
        bias => composed(x, weight, bias, kernel),
    }
}

/// The same by Burn's own operation. In half precision that rounds the product once more, to half precision.
fn composed<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    Linear { layout, precision }: Linear,
) -> Tensor<D> {
    let weight = match layout {
        WeightLayout::InputsFirst => weight,
        WeightLayout::OutputsFirst => weight.transpose(),
    };
    let Some(half) = precision.half() else {
        return burn::tensor::module::linear(x, weight, bias);
    };
    let product = burn::tensor::module::linear(x.cast(half), weight.cast(half), None);
    let product = product.cast(FloatDType::F32);
    match bias {
        Some(bias) => product + bias.unsqueeze(),
        None => product,
    }
}

#[derive(Debug, Clone, Copy)]
struct Linear {
    layout: WeightLayout,
    precision: Precision,
}

/// Rows that one task sums up in the gradient of a small weight. Fixed, so that sums do not depend on the number of
/// threads.
const ROWS: usize = 4096;

/// `left · right` over all cores, where `left` has many rows, on top of `bias` in each row.
fn product_of_rows(
    left: Matrix<'_>,
    right: Matrix<'_>,
    bias: Option<&[f32]>,
    precision: Precision,
) -> Vec<f32> {
    debug_assert!(!left.is_transposed(), "tasks take rows as they lie");
    if is_batch_invariant() {
        return product_of_independent_rows(left, right, bias, precision);
    }
    let mut output = simd::room(left.rows * right.columns);
    if right.values.len() > SMALL {
        product(&mut output, left, right, bias, precision, Threads::All);
        return output;
    }
    // A small weight is read again by every task at little cost, and rows stay in the core's cache.
    output
        .par_chunks_mut(TASK_ROWS * right.columns)
        .zip(left.values.par_chunks(TASK_ROWS * left.columns))
        .for_each(|(output, values)| {
            let left = Matrix::new(values, values.len() / left.columns, left.columns);
            product(output, left, right, bias, precision, Threads::One);
        });
    output
}

/// The same such that how many rows there are changes no bit of any.
///
/// A row is summed up in another order where there are fewer than [`fewest_alike_rows`], and where there are up to
/// [`FEW_COLUMNS`] it depends on how many rows there are. So there, rows of zeros are added.
fn product_of_independent_rows(
    left: Matrix<'_>,
    right: Matrix<'_>,
    bias: Option<&[f32]>,
    precision: Precision,
) -> Vec<f32> {
    let mut output = simd::room(left.rows * right.columns);
    let (task_rows, fewest) = if right.columns <= FEW_COLUMNS {
        (FEW_COLUMNS, FEW_COLUMNS)
    } else {
        (left.rows.max(1), fewest_alike_rows())
    };
    let task = |(output, values): (&mut [f32], &[f32]), threads| {
        let rows = values.len() / left.columns;
        if rows >= fewest {
            let left = Matrix::new(values, rows, left.columns);
            return product(output, left, right, bias, precision, threads);
        }
        let mut padded = vec![0.0; fewest * left.columns];
        padded[..values.len()].copy_from_slice(values);
        let mut padded_output = simd::room(fewest * right.columns);
        let left = Matrix::new(&padded, fewest, left.columns);
        product(&mut padded_output, left, right, bias, precision, threads);
        output.copy_from_slice(&padded_output[..output.len()]);
    };
    if task_rows >= left.rows {
        task((&mut output, left.values), Threads::All);
        return output;
    }
    output
        .par_chunks_mut(task_rows * right.columns)
        .zip(left.values.par_chunks(task_rows * left.columns))
        .for_each(|rows| task(rows, Threads::One));
    output
}

/// Columns up to which `gemm` looks at the number of rows.
const FEW_COLUMNS: usize = 64;

/// Rows of one task where the weight is small.
const TASK_ROWS: usize = 512;

/// Weights up to this many values (64 KiB) are small.
const SMALL: usize = 16 * 1024;

/// `leftᵀ · right`, both with many rows and few columns: tasks of [`ROWS`] rows each, summed up in order.
fn product_over_rows(left: Matrix<'_>, right: Matrix<'_>, precision: Precision) -> Vec<f32> {
    let size = left.columns * right.columns;
    if size > SMALL || left.rows < 2 * ROWS {
        let mut output = simd::room(size);
        product(&mut output, left.transpose(), right, None, precision, Threads::All);
        return output;
    }
    let parts: Vec<Vec<f32>> = left
        .values
        .par_chunks(ROWS * left.columns)
        .zip(right.values.par_chunks(ROWS * right.columns))
        .map(|(left_values, right_values)| {
            let rows = left_values.len() / left.columns;
            let mut part = simd::room(size);
            product(
                &mut part,
                Matrix::new(left_values, rows, left.columns).transpose(),
                Matrix::new(right_values, rows, right.columns),
                None,
                precision,
                Threads::One,
            );
            part
        })
        .collect();
    simd::sum_in_order(&parts, size)
}

/// The sum over rows.
fn column_sums(values: &[f32], columns: usize) -> Vec<f32> {
    let parts: Vec<_> = values
        .par_chunks(summed_rows(columns) * columns.max(1))
        .map(|rows| sum_of_rows(rows, columns))
        .collect();
    simd::sum_in_order(&parts, columns)
}

/// Rows that one task sums up: at least as many as keep its result small beside them.
fn summed_rows(columns: usize) -> usize {
    (simd::TASK / columns.max(1)).max(256)
}

fn sum_of_rows(rows: &[f32], columns: usize) -> Vec<f32> {
    let mut sums = vec![0.0; columns];
    simd::vectorised(
        #[inline(always)]
        || {
            for row in rows.chunks_exact(columns) {
                for (sum, &value) in sums.iter_mut().zip(row) {
                    *sum += value;
                }
            }
        },
    );
    sums
}

impl Linear {
    /// The weight as `[inputs, outputs]`.
    fn weight(self, weight: &FlexTensor) -> Matrix<'_> {
        let [rows, columns] = weight.layout().shape().dims();
        let matrix = Matrix::new(simd::values(weight), rows, columns);
        match self.layout {
            WeightLayout::InputsFirst => matrix,
            WeightLayout::OutputsFirst => matrix.transpose(),
        }
    }
}

/// All axes but the last as one.
fn as_matrix(tensor: &FlexTensor) -> Matrix<'_> {
    let values = simd::values(tensor);
    let shape = tensor.layout().shape();
    let columns = shape[shape.num_dims() - 1];
    Matrix::new(values, values.len() / columns, columns)
}

/// `shape` with another last axis.
fn with_columns(shape: &Shape, columns: usize) -> Shape {
    let mut shape = shape.clone();
    let last = shape.num_dims() - 1;
    shape[last] = columns;
    shape
}

/// What the derivative needs.
#[derive(Debug, Clone)]
struct Saved {
    x: FlexTensor,
    weight: FlexTensor,
}

impl Linear {
    fn apply(
        self,
        x: FlexTensor,
        weight: FlexTensor,
        bias: Option<FlexTensor>,
    ) -> (FlexTensor, Saved) {
        let [x, weight] = [x, weight].map(simd::contiguous);
        let bias = bias.map(simd::contiguous);
        let matrix = self.weight(&weight);
        let output =
            product_of_rows(as_matrix(&x), matrix, bias.as_ref().map(simd::values), self.precision);
        let output = simd::tensor(output, with_columns(x.layout().shape(), matrix.columns));
        (output, Saved { x, weight })
    }

    /// The gradients of input, weight and bias, as far as they are wanted; that of the input on top of `sum`.
    fn gradients(
        self,
        Saved { x, weight }: Saved,
        gradient: FlexTensor,
        wanted: [bool; 3],
        sum: Option<FlexTensor>,
    ) -> [Option<FlexTensor>; 3] {
        let gradient = simd::contiguous(gradient);
        let gradient = as_matrix(&gradient);
        let back = self.weight(&weight).transpose();
        let mut bias_gradient = None;
        let x_gradient = wanted[0].then(|| {
            if back.values.len() > SMALL {
                let values = product_of_rows(gradient, back, None, self.precision);
                let values = simd::tensor(values, x.layout().shape().clone());
                return match sum {
                    Some(sum) => simd::add(sum, values),
                    None => values,
                };
            }
            let adds = sum.is_some();
            let mut values = sum.unwrap_or_else(|| {
                simd::tensor(simd::room(gradient.rows * back.columns), x.layout().shape().clone())
            });
            let mut sums = Vec::new();
            simd::update(&mut values, |values| {
                sums = self.of_small_weight(values, adds, gradient, back, wanted[2]);
            });
            bias_gradient = (!sums.is_empty()).then(|| simd::sum_in_order(&sums, gradient.columns));
            values
        });
        let weight_gradient = wanted[1].then(|| {
            let x = as_matrix(&x);
            let values = match self.layout {
                WeightLayout::InputsFirst => product_over_rows(x, gradient, self.precision),
                WeightLayout::OutputsFirst => product_over_rows(gradient, x, self.precision),
            };
            simd::tensor(values, weight.layout().shape().clone())
        });
        let bias_gradient = wanted[2].then(|| {
            let sums =
                bias_gradient.unwrap_or_else(|| column_sums(gradient.values, gradient.columns));
            simd::tensor(sums, Shape::new([gradient.columns]))
        });
        [x_gradient, weight_gradient, bias_gradient]
    }

    /// Writes `gradient · back` to `values`, or adds it to them, where the weight is small: task by task, while its rows are
    /// in the core's cache. Returns parts of the sum of the gradient's rows, if they are wanted and tasks are made of whole
    /// parts.
    fn of_small_weight(
        self,
        values: &mut [f32],
        adds: bool,
        gradient: Matrix<'_>,
        back: Matrix<'_>,
        wants_sums: bool,
    ) -> Vec<Vec<f32>> {
        thread_local! {
            static TERM: Cell<Scratch> = const { Cell::new(Scratch::new()) };
        }
        let columns = gradient.columns;
        let summed_rows = summed_rows(columns);
        let wants_sums = wants_sums && TASK_ROWS.is_multiple_of(summed_rows);
        values
            .par_chunks_mut(TASK_ROWS * back.columns)
            .zip(gradient.values.par_chunks(TASK_ROWS * columns))
            .map(|(values, rows)| {
                let left = Matrix::new(rows, rows.len() / columns, columns);
                let write = |values: &mut [f32]| {
                    product(values, left, back, None, self.precision, Threads::One);
                };
                if adds {
                    Scratch::lend(&TERM, values.len(), |term| {
                        write(term);
                        simd::add_on_this_thread(values, term);
                    });
                } else {
                    write(values);
                }
                let parts = rows.chunks(summed_rows * columns).filter(|_| wants_sums);
                parts.map(|rows| sum_of_rows(rows, columns)).collect::<Vec<_>>()
            })
            .collect::<Vec<_>>()
            .concat()
    }
}

/// With a bias.
impl Kernel<Flex, 3> for Linear {
    type Saved = Saved;

    fn forward(&self, [x, weight, bias]: [FlexTensor; 3]) -> (FlexTensor, Saved) {
        self.apply(x, weight, Some(bias))
    }

    fn backward(
        &self,
        saved: Saved,
        gradient: FlexTensor,
        wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        self.gradients(saved, gradient, wanted, None)
    }

    fn backward_onto(
        &self,
        saved: Saved,
        gradient: FlexTensor,
        wanted: [bool; 3],
        [x, weight, bias]: [Option<FlexTensor>; 3],
    ) -> [Option<FlexTensor>; 3] {
        let [x, weight_gradient, bias_gradient] = self.gradients(saved, gradient, wanted, x);
        [x, on_top_of::<Flex>(weight, weight_gradient), on_top_of::<Flex>(bias, bias_gradient)]
    }
}

/// Without a bias.
impl Kernel<Flex, 2> for Linear {
    type Saved = Saved;

    fn forward(&self, [x, weight]: [FlexTensor; 2]) -> (FlexTensor, Saved) {
        self.apply(x, weight, None)
    }

    fn backward(
        &self,
        saved: Saved,
        gradient: FlexTensor,
        wanted: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        Kernel::<Flex, 2>::backward_onto(self, saved, gradient, wanted, [None, None])
    }

    fn backward_onto(
        &self,
        saved: Saved,
        gradient: FlexTensor,
        [x, weight]: [bool; 2],
        [x_sum, weight_sum]: [Option<FlexTensor>; 2],
    ) -> [Option<FlexTensor>; 2] {
        let [x, weight, _] = self.gradients(saved, gradient, [x, weight, false], x_sum);
        [x, on_top_of::<Flex>(weight_sum, weight)]
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::{
        product::rounding::tests::{Rounding, nearest_bf16, nearest_f16},
        testing::{self, instructions::Instructions, random},
    };

    /// The composed path in single precision.
    fn single<const D: usize>(
        x: Tensor<D>,
        weight: Tensor<2>,
        bias: Option<Tensor<1>>,
        layout: WeightLayout,
    ) -> Tensor<D> {
        composed(x, weight, bias, Linear { layout, precision: Precision::F32 })
    }

    #[test]
    fn equals_the_composed_path() {
        for (rows, inputs, outputs) in
            [(1, 1, 1), (7, 3, 5), (9001, 12, 20), (130, 300, 257), (20_000, 33, 1)]
        {
            for layout in [WeightLayout::InputsFirst, WeightLayout::OutputsFirst] {
                let weight = match layout {
                    WeightLayout::InputsFirst => random([inputs, outputs]),
                    WeightLayout::OutputsFirst => random([outputs, inputs]),
                };
                let x = random([rows, inputs]);
                let bias = random([1, outputs]);
                testing::same(
                    [x.clone(), weight.clone(), bias],
                    |[x, weight, bias]| linear(x, weight, Some(bias.squeeze_dim(0)), layout),
                    |[x, weight, bias]| single(x, weight, Some(bias.squeeze_dim(0)), layout),
                );
                testing::same(
                    [x, weight],
                    |[x, weight]| linear(x, weight, None, layout),
                    |[x, weight]| single(x, weight, None, layout),
                );
            }
        }
    }

    /// A tensor that three layers and a sum read, as in a layer of the encoder.
    #[test]
    fn gradients_of_layers_that_read_the_same_add_up() {
        for (rows, inputs, outputs) in [(1300, 20, 70), (1300, 20, 5), (70, 200, 130)] {
            let with =
                |linear: fn(Tensor<2>, Tensor<2>, Option<Tensor<1>>, WeightLayout) -> Tensor<2>| {
                    move |[x, one, two, bias]: [Tensor<2>; 4]| {
                        let x = x.mul_scalar(1.0); // no leaf
                        let layout = WeightLayout::InputsFirst;
                        let bias = bias.squeeze_dim::<1>(0);
                        let two = linear(x.clone(), two, Some(bias.clone()), layout)
                            + x.clone().narrow(1, 0, 1);
                        let three = linear(x.clone(), one.clone() * 2.0, None, layout);
                        linear(x, one, Some(bias), layout) * two + three
                    }
                };
            let weights = [random([inputs, outputs]), random([inputs, outputs])];
            let [one, two] = weights;
            let inputs = [random([rows, inputs]), one, two, random([1, outputs])];
            testing::same(inputs.clone(), with(linear), with(single));
            testing::same_bits_for_any_threads(inputs, with(linear));
        }
    }

    #[test]
    fn special_values_behave_as_the_composed_path() {
        for rows in [5, 70] {
            testing::same_with_special_values(
                [random([rows, 40]), random([40, 50]), random([1, 50])],
                |[x, weight, bias]| {
                    linear(x, weight, Some(bias.squeeze_dim(0)), WeightLayout::InputsFirst)
                },
                |[x, weight, bias]| {
                    single(x, weight, Some(bias.squeeze_dim(0)), WeightLayout::InputsFirst)
                },
            );
        }
    }

    /// Output, and gradients of input, weight and bias, in 64 bits: all products are of factors that `nearest` rounds.
    fn stated(
        [rows, inputs, outputs]: [usize; 3],
        [x, weight, bias, gradient]: [&[f32]; 4],
        layout: WeightLayout,
        nearest: fn(f32) -> f64,
    ) -> [Vec<f64>; 4] {
        let [x, weight, rounded] = [x, weight, gradient]
            .map(|values| values.iter().map(|&value| nearest(value)).collect());
        let (x, weight, rounded): (Vec<f64>, Vec<f64>, Vec<f64>) = (x, weight, rounded);
        let place = |input: usize, output: usize| match layout {
            WeightLayout::InputsFirst => input * outputs + output,
            WeightLayout::OutputsFirst => output * inputs + input,
        };
        let bias = bias.iter().map(|&bias| f64::from(bias));
        let mut found = [
            (0..rows).flat_map(|_| bias.clone()).collect(),
            vec![0.0; rows * inputs],
            vec![0.0; inputs * outputs],
            vec![0.0; outputs],
        ];
        for row in 0..rows {
            for output in 0..outputs {
                let at = row * outputs + output;
                for input in 0..inputs {
                    let (x_at, weight_at) = (row * inputs + input, place(input, output));
                    found[0][at] += x[x_at] * weight[weight_at];
                    found[1][x_at] += rounded[at] * weight[weight_at];
                    found[2][weight_at] += rounded[at] * x[x_at];
                }
                found[3][output] += f64::from(gradient[at]);
            }
        }
        found
    }

    /// The same of `layer`, given input, weight and bias on this device.
    pub(super) fn found(
        inputs: &[TensorData; 4],
        device: &Device,
        layer: impl Fn(Tensor<3>, Tensor<2>, Tensor<1>) -> Tensor<3>,
    ) -> [Vec<f32>; 4] {
        let [x, weight, bias, gradient] = inputs.clone();
        let x = Tensor::<3>::from_data(x, device).require_grad();
        let weight = Tensor::<2>::from_data(weight, device).require_grad();
        let bias = Tensor::<1>::from_data(bias, device).require_grad();
        let output = layer(x.clone(), weight.clone(), bias.clone());
        let gradient = Tensor::<3>::from_data(gradient, device);
        let gradients = (output.clone() * gradient).sum().backward();
        let values = |data: TensorData| data.try_into_vec().unwrap();
        [
            values(output.into_data()),
            values(x.grad(&gradients).unwrap().into_data()),
            values(weight.grad(&gradients).unwrap().into_data()),
            values(bias.grad(&gradients).unwrap().into_data()),
        ]
    }

    /// What rounds factors, and by which statement.
    pub(super) const HALVES: [Rounding; 2] =
        [(Precision::Bf16, nearest_bf16), (Precision::F16, nearest_f16)];

    /// Asserts that `run`, which gets inputs and layout, finds within `share` of the largest what is stated of products in half
    /// precision, and that single precision gives something at least `apart` from it.
    pub(super) fn is_as_stated(
        nearest: fn(f32) -> f64,
        share: f64,
        apart: f64,
        run: impl Fn(&[TensorData; 4], WeightLayout) -> [Vec<f32>; 4],
    ) {
        for (batch, seq_len, inputs, outputs) in [(1, 1, 3, 2), (3, 30, 40, 50), (2, 260, 72, 33)] {
            let rows = batch * seq_len;
            for layout in [WeightLayout::InputsFirst, WeightLayout::OutputsFirst] {
                let weight = match layout {
                    WeightLayout::InputsFirst => [inputs, outputs],
                    WeightLayout::OutputsFirst => [outputs, inputs],
                };
                let data = [
                    random([batch, seq_len, inputs]).into_data(),
                    random(weight).into_data(),
                    random([outputs]).into_data(),
                    random([batch, seq_len, outputs]).into_data(),
                ];
                let values = data.each_ref().map(|data| data.as_slice::<f32>().unwrap());
                let stated = |nearest| stated([rows, inputs, outputs], values, layout, nearest);
                let (half, single) = (stated(nearest), stated(f64::from));
                for (which, found) in run(&data, layout).iter().enumerate() {
                    let scale = half[which].iter().fold(0f64, |most, value| most.max(value.abs()));
                    let most = |expected: &[f64]| {
                        let pairs = found.iter().zip(expected);
                        pairs.fold(0f64, |most, (found, expected)| {
                            most.max((f64::from(*found) - expected).abs() / scale)
                        })
                    };
                    let (error, rounded) = (most(&half[which]), most(&single[which]));
                    assert!(error <= share, "result {which} of {rows} rows: {error:e}");
                    // The sum over the rows that is the bias's gradient has no factors.
                    let has_factors = which < 3;
                    assert!(!has_factors || rounded > apart, "result {which}: {rounded:e}");
                }
            }
        }
    }

    #[test]
    fn half_precision_is_that_of_rounded_factors_forwards_and_backwards() {
        let device = Device::flex().autodiff();
        for (precision, nearest) in HALVES {
            for set in Instructions::all_products() {
                is_as_stated(nearest, 2e-6, 2e-6, |inputs, layout| {
                    let run = |x, weight, bias| linear(x, weight, Some(bias), layout);
                    set.run(2, || precision.scope(|| found(inputs, &device, run)))
                });
            }
        }
    }

    /// By Burn's own operations the product is rounded too, to 8 or to 11 bits, before the bias that may be as large.
    #[test]
    fn the_composed_path_rounds_the_same_factors() {
        let device = Device::flex().autodiff();
        for ((precision, nearest), share) in HALVES.into_iter().zip([2f64.powi(-7), 2f64.powi(-9)])
        {
            is_as_stated(nearest, share, 1e-5, |inputs, layout| {
                let kernel = Linear { layout, precision };
                found(inputs, &device, |x, weight, bias| composed(x, weight, Some(bias), kernel))
            });
        }
    }

    #[test]
    fn does_not_depend_on_the_number_of_threads() {
        testing::same_bits_for_any_threads(
            [random([9001, 70]), random([70, 90])],
            |[x, weight]| linear(x, weight, None, WeightLayout::InputsFirst),
        );
        testing::same_bits_for_any_threads(
            [random([600, 300]), random([400, 300])],
            |[x, weight]| linear(x, weight, None, WeightLayout::OutputsFirst),
        );
    }
}
