//! Convolution of all channels along the sequence, PyTorch's `Conv1d`.

use burn::{
    backend::{Flex, TensorMetadata},
    tensor::{Int, Shape, Tensor, module::conv1d, ops::ConvOptions},
};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::{
    batch_invariance::is_batch_invariant,
    kernel::{self, Kernel},
    precision::Precision,
    product::{Matrix, Threads, product},
    scratch::Scratch,
    select_rows::row_indices,
    simd,
};

/// Convolves each sequence with filters that read all channels: `outputᵢ = bias + Σₜ weightₜ · xᵢ₊ₜ₋ᵣ` with `r = taps / 2`.
///
/// Beyond the ends of a sequence, and where the mask is 0, what is read is 0. Filters are not mirrored.
///
/// # Shapes
/// - `x`: `[batch, seq_len, inputs]`
/// - `weight`: `[outputs, inputs, taps]`, as PyTorch keeps it; an odd number of taps
/// - `bias`: `[outputs]`
/// - `mask`: `[batch, seq_len]`, 1 for a token and 0 for padding; `None`: all are tokens
/// - output: `[batch, seq_len, outputs]`
pub fn sequence_convolution(
    x: Tensor<3>,
    weight: Tensor<3>,
    bias: Tensor<1>,
    mask: Option<Tensor<2, Int>>,
) -> Tensor<3> {
    let [batch, seq_len, inputs] = x.dims();
    let [outputs, read, taps] = weight.dims();
    assert_eq!(read, inputs, "filters read all channels");
    assert_eq!(bias.dims(), [outputs], "one bias per output");
    assert_eq!(taps % 2, 1, "a filter has a middle");
    if let Some(mask) = &mask {
        assert_eq!(mask.dims(), [batch, seq_len], "the mask is of the same tokens");
    }
    if !kernel::runs_on::<SequenceConvolution, 3, 3>(&x) {
        return composed(x, weight, bias, mask);
    }
    let keep = mask.map(|mask| row_indices(mask, 2).into_iter().map(|kept| kept == 1).collect());
    let kernel = SequenceConvolution { keep, precision: Precision::current() };
    kernel::run_3(kernel, (x, weight, bias))
}

/// The same by Burn's own operation.
fn composed(
    x: Tensor<3>,
    weight: Tensor<3>,
    bias: Tensor<1>,
    mask: Option<Tensor<2, Int>>,
) -> Tensor<3> {
    let [_, _, taps] = weight.dims();
    let x = match mask {
        Some(mask) => x * mask.float().unsqueeze_dim(2),
        None => x,
    };
    let options = ConvOptions::new([1], [taps / 2], [1], 1);
    conv1d(x.swap_dims(1, 2), weight, Some(bias), options).swap_dims(1, 2)
}

/// Rows of one task: what they read lies in the core's cache.
const ROWS: usize = 128;

/// Parts that the weight's gradient is summed up from, at most, and their values together.
const PARTS: usize = 32;
const VALUES_OF_PARTS: usize = 1 << 24;

#[derive(Debug)]
struct SequenceConvolution {
    /// Of each row, whether it is read; `None`: all are.
    keep: Option<Vec<bool>>,
    precision: Precision,
}

kernel::lacking!(SequenceConvolution: 3);

/// What the derivative needs.
#[derive(Debug, Clone)]
struct Saved {
    x: FlexTensor,
    weight: FlexTensor,
}

/// Sequences whose rows are convolved.
#[derive(Clone, Copy)]
struct Rows<'a> {
    /// `[batch, seq_len, width]`.
    values: &'a [f32],
    keep: Option<&'a [bool]>,
    seq_len: usize,
    width: usize,
}

impl Rows<'_> {
    /// What the rows from `first` on of sequence `batch` see, one row after the other: `[rows, taps, width]`. Rows beyond the
    /// sequence see nothing.
    fn unfold(self, batch: usize, first: usize, taps: usize, unfolded: &mut [f32]) {
        let sequence =
            &self.values[batch * self.seq_len * self.width..][..self.seq_len * self.width];
        let keep = self.keep.map(|keep| &keep[batch * self.seq_len..][..self.seq_len]);
        let half = taps / 2;
        for (row, seen) in (first..).zip(unfolded.chunks_exact_mut(taps * self.width)) {
            let before = half.saturating_sub(row).min(taps);
            let start = (row + before - half).min(self.seq_len);
            let count = (taps - before).min(self.seq_len - start);
            let count = if row < self.seq_len { count } else { 0 };
            let (ahead, rest) = seen.split_at_mut(before * self.width);
            let (inside, behind) = rest.split_at_mut(count * self.width);
            ahead.fill(0.0);
            behind.fill(0.0);
            inside.copy_from_slice(&sequence[start * self.width..][..count * self.width]);
            let Some(keep) = keep else { continue };
            for (values, keep) in inside.chunks_exact_mut(self.width).zip(&keep[start..]) {
                if !keep {
                    values.fill(0.0);
                }
            }
        }
    }
}

impl SequenceConvolution {
    /// Convolves every row with `filters`, `[taps · width, outputs]`, on top of `bias`.
    fn convolve(&self, rows: Rows<'_>, filters: Matrix<'_>, bias: Option<&[f32]>) -> Vec<f32> {
        let (outputs, taps) = (filters.columns, filters.rows / rows.width);
        let batch = rows.values.len() / (rows.seq_len * rows.width).max(1);
        let mut output = simd::room(batch * rows.seq_len * outputs);
        // A whole task each: how many rows a product has decides how it rounds.
        let is_invariant = is_batch_invariant();
        let sequences = output.par_chunks_mut((rows.seq_len * outputs).max(1));
        sequences.enumerate().for_each(|(sequence, output)| {
            output.par_chunks_mut(ROWS * outputs).enumerate().for_each(|(task, output)| {
                let own = output.len() / outputs;
                let count = if is_invariant { ROWS } else { own };
                let extra = if count == own { 0 } else { count * outputs };
                Scratch::kept(|scratch| {
                    let lengths = [count * filters.rows, extra];
                    let [unfolded, whole] = scratch.pieces(lengths);
                    rows.unfold(sequence, task * ROWS, taps, unfolded);
                    let left = Matrix::new(unfolded, count, filters.rows);
                    let to = if count == own { &mut *output } else { &mut *whole };
                    product(to, left, filters, bias, self.precision, Threads::One);
                    if count != own {
                        output.copy_from_slice(&whole[..output.len()]);
                    }
                });
            });
        });
        output
    }

    /// The gradient of the filters, `[taps · width, outputs]`.
    fn filter_gradient(&self, rows: Rows<'_>, gradient: &[f32], taps: usize) -> Vec<f32> {
        let seen = taps * rows.width;
        let batch = rows.values.len() / (rows.seq_len * rows.width).max(1);
        let outputs = gradient.len() / (batch * rows.seq_len).max(1);
        let size = seen * outputs;
        // By sizes alone, so that sums do not depend on the number of threads.
        let parts = (VALUES_OF_PARTS / size.max(1)).clamp(1, PARTS).min(batch.max(1));
        let threads = if parts == 1 { Threads::All } else { Threads::One };
        let sums: Vec<Vec<f32>> = (0..parts)
            .into_par_iter()
            .map(|part| {
                let mut sum = vec![0.0; size];
                let mut term = simd::room(size);
                let mut unfolded = simd::room(GRADIENT_ROWS.min(rows.seq_len) * seen);
                for sequence in part * batch / parts..(part + 1) * batch / parts {
                    for first in (0..rows.seq_len).step_by(GRADIENT_ROWS) {
                        let count = GRADIENT_ROWS.min(rows.seq_len - first);
                        let unfolded = &mut unfolded[..count * seen];
                        rows.unfold(sequence, first, taps, unfolded);
                        let start = (sequence * rows.seq_len + first) * outputs;
                        let gradient = &gradient[start..][..count * outputs];
                        let left = Matrix::new(unfolded, count, seen).transpose();
                        let right = Matrix::new(gradient, count, outputs);
                        product(&mut term, left, right, None, self.precision, threads);
                        simd::add_on_this_thread(&mut sum, &term);
                    }
                }
                sum
            })
            .collect();
        simd::sum_in_order(&sums, size)
    }
}

/// Rows of one term of the filters' gradient.
const GRADIENT_ROWS: usize = 1024;

/// `[outputs, inputs, taps]` in another order: what `place` says of each output, input and tap.
fn reordered(
    weight: &[f32],
    [_, inputs, taps]: [usize; 3],
    place: impl Fn(usize, usize, usize) -> usize,
) -> Vec<f32> {
    let mut found = vec![0.0; weight.len()];
    for (index, value) in weight.iter().enumerate() {
        let (output, input, tap) = (index / (inputs * taps), index / taps % inputs, index % taps);
        found[place(output, input, tap)] = *value;
    }
    found
}

impl Kernel<Flex, 3> for SequenceConvolution {
    type Saved = Saved;

    fn forward(&self, [x, weight, bias]: [FlexTensor; 3]) -> (FlexTensor, Saved) {
        let [x, weight, bias] = [x, weight, bias].map(simd::contiguous);
        let [batch, seq_len, width] = x.shape().dims();
        let shape @ [outputs, inputs, taps] = weight.shape().dims();
        let keep = self.keep.as_deref();
        let rows = Rows { values: simd::values(&x), keep, seq_len, width };
        let filters = reordered(simd::values(&weight), shape, |output, input, tap| {
            (tap * inputs + input) * outputs + output
        });
        let filters = Matrix::new(&filters, taps * inputs, outputs);
        let output = self.convolve(rows, filters, Some(simd::values(&bias)));
        (simd::tensor(output, Shape::new([batch, seq_len, outputs])), Saved { x, weight })
    }

    fn backward(
        &self,
        Saved { x, weight }: Saved,
        gradient: FlexTensor,
        wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let gradient = simd::contiguous(gradient);
        let [_, seq_len, width] = x.shape().dims();
        let shape @ [outputs, inputs, taps] = weight.shape().dims();
        let values = simd::values(&gradient);
        let x_gradient = wanted[0].then(|| {
            // The gradient convolved with the filters turned round.
            let rows = Rows { values, keep: None, seq_len, width: outputs };
            let back = reordered(simd::values(&weight), shape, |output, input, tap| {
                ((taps - 1 - tap) * outputs + output) * inputs + input
            });
            let back = Matrix::new(&back, taps * outputs, inputs);
            let mut found = self.convolve(rows, back, None);
            if let Some(keep) = &self.keep {
                for (row, keep) in found.chunks_exact_mut(width.max(1)).zip(keep) {
                    if !keep {
                        row.fill(0.0);
                    }
                }
            }
            simd::tensor(found, x.shape())
        });
        let weight_gradient = wanted[1].then(|| {
            let keep = self.keep.as_deref();
            let rows = Rows { values: simd::values(&x), keep, seq_len, width };
            let found = self.filter_gradient(rows, values, taps);
            let mut ordered = vec![0.0; found.len()];
            for (index, value) in found.into_iter().enumerate() {
                let (seen, output) = (index / outputs, index % outputs);
                let (tap, input) = (seen / inputs, seen % inputs);
                ordered[(output * inputs + input) * taps + tap] = value;
            }
            simd::tensor(ordered, weight.shape())
        });
        let bias_gradient = wanted[2].then(|| {
            let parts: Vec<Vec<f32>> = values
                .par_chunks((seq_len * outputs).max(1))
                .map(|rows| {
                    let mut sum = vec![0.0; outputs];
                    rows.chunks_exact(outputs)
                        .for_each(|row| simd::add_on_this_thread(&mut sum, row));
                    sum
                })
                .collect();
            simd::tensor(simd::sum_in_order(&parts, outputs), Shape::new([outputs]))
        });
        [x_gradient, weight_gradient, bias_gradient]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        batch_invariant,
        testing::{self, instructions::Instructions, random},
    };
    use burn::tensor::Device;

    /// The mask of rows of these lengths, the first of which has a hole.
    fn mask(lengths: &[usize], seq_len: usize) -> Tensor<2, Int> {
        let rows = lengths.iter().enumerate().flat_map(|(row, &length)| {
            (0..seq_len).map(move |column| i64::from(column < length && (row > 0 || column != 2)))
        });
        let kept: Vec<i64> = rows.collect();
        let device = Device::flex().autodiff();
        Tensor::<1, Int>::from_ints(kept.as_slice(), &device).reshape([lengths.len(), seq_len])
    }

    #[test]
    fn equals_the_composed_path() {
        for ([batch, seq_len, inputs, outputs, taps], lengths) in [
            ([1, 1, 1, 1, 1], vec![]),
            ([2, 5, 3, 4, 7], vec![5, 2]),
            ([3, 300, 16, 16, 5], vec![300, 129, 1]),
            ([2, 130, 40, 33, 3], vec![]),
            ([1, 1100, 8, 4, 9], vec![1050]),
        ] {
            let x = random([batch * seq_len, inputs, 1]);
            let inputs_of = [x, random([outputs, inputs, taps]), random([outputs, 1, 1])];
            let mask = (!lengths.is_empty()).then(|| mask(&lengths, seq_len));
            let with = |function: fn(
                Tensor<3>,
                Tensor<3>,
                Tensor<1>,
                Option<Tensor<2, Int>>,
            ) -> Tensor<3>| {
                let mask = mask.clone();
                move |[x, weight, bias]: [Tensor<3>; 3]| {
                    let x = x.reshape([batch, seq_len, inputs]);
                    function(x, weight, bias.reshape([outputs]), mask.clone())
                }
            };
            testing::same(inputs_of.clone(), with(sequence_convolution), with(composed));
            testing::same_bits_for_any_threads(inputs_of, with(sequence_convolution));
        }
    }

    /// Each number again in 64-bit floats, of a row with padding at its end and a hole.
    #[test]
    fn equals_the_formula() {
        let (seq_len, inputs, outputs, taps) = (8, 3, 2, 5);
        let (x, weight, bias) =
            (random([1, seq_len, inputs]), random([outputs, inputs, taps]), random([outputs]));
        let [x64, weight64]: [Vec<f64>; 2] =
            [&x, &weight].map(|tensor| tensor.to_data().iter::<f64>().collect());
        let bias64: Vec<f64> = bias.to_data().iter::<f64>().collect();
        let kept = [true, true, false, true, true, true, false, false];
        let found = sequence_convolution(x, weight, bias, Some(mask(&[6], seq_len)));
        for (index, found) in found.into_data().iter::<f64>().enumerate() {
            let (row, output) = (index / outputs, index % outputs);
            let mut expected = bias64[output];
            for tap in 0..taps {
                let Some(source) = (row + tap).checked_sub(taps / 2).filter(|row| *row < seq_len)
                else {
                    continue;
                };
                for input in (0..inputs).filter(|_| kept[source]) {
                    let weight = weight64[(output * inputs + input) * taps + tap];
                    expected += x64[source * inputs + input] * weight;
                }
            }
            assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
        }
    }

    #[test]
    fn a_row_has_the_same_bits_in_every_company() {
        let (x, weight, bias) = (random([3, 150, 24]), random([24, 24, 7]), random([24]));
        let of = |batch: usize, seq_len: usize| {
            let x = x.clone().narrow(0, 0, batch).narrow(1, 0, seq_len);
            let mask = mask(&[20, 150, 100][..batch], seq_len);
            let run = || sequence_convolution(x, weight.clone(), bias.clone(), Some(mask));
            let output = batch_invariant(run).narrow(0, 0, 1).narrow(1, 0, 20);
            let values: Vec<f32> = output.into_data().try_into_vec().unwrap();
            values.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        for set in Instructions::all_products() {
            set.run(2, || {
                let alone = of(1, 20);
                for (batch, seq_len) in [(1, 150), (3, 150), (2, 40)] {
                    assert_eq!(of(batch, seq_len), alone);
                }
            });
        }
    }

    #[test]
    fn special_values_reach_the_rows_that_see_them() {
        let (weight, bias) = (random([4, 3, 3]), random([4]));
        testing::same_with_special_values(
            [random([2, 40, 3])],
            |[x]| sequence_convolution(x, weight.clone(), bias.clone(), None),
            |[x]| composed(x, weight.clone(), bias.clone(), None),
        );
    }
}
