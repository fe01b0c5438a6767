//! Depthwise convolution along the sequence, with a filter for each head or for each channel.

pub(crate) mod chosen;
#[cfg(all(feature = "cube", not(feature = "fused")))]
pub(crate) mod cube;
mod sliding;
#[cfg(test)]
mod tests;

use burn::{
    backend::Flex,
    tensor::{Int, Tensor},
};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::{
    kernel::{self, Kernel},
    scratch::Scratch,
    simd,
    view::{self, HeadIndex, View},
};
use sliding::{CHUNK, FilterGradient, Slide, packed_filters_length, packed_length};

/// Slides filters along the sequence, and adds `residual`: one filter for each head, the same for all of its channels, or one
/// for each channel.
///
/// The ends are padded with zeros, and filters are not mirrored: with `r = taps / 2`,
/// `outputᵢ = Σₜ filterₜ · valueᵢ₊ₜ₋ᵣ`.
///
/// # Shapes
/// - `value`, `residual`, output: `[batch, heads, seq_len, head_dim]`
/// - `filter`: `[heads, taps]` or `[heads · head_dim, taps]`, an odd number of taps
pub fn depthwise_convolution(
    value: Tensor<4>,
    filter: Tensor<2>,
    residual: Option<Tensor<4>>,
) -> Tensor<4> {
    let [_, heads, _, head_dim] = value.dims();
    require_filters(filter.dims(), heads, head_dim);
    if let Some(residual) = &residual {
        assert_eq!(residual.dims(), value.dims(), "the residual is added value by value");
    }
    match residual {
        Some(residual) if kernel::runs_on::<DepthwiseConvolution, 3, 4>(&value) => {
            kernel::run_3(DepthwiseConvolution, (value, filter, residual))
        }
        None if kernel::runs_on::<DepthwiseConvolution, 2, 4>(&value) => {
            kernel::run_2(DepthwiseConvolution, (value, filter))
        }
        residual => composed(value, filter, residual),
    }
}

/// Asserts that these are filters of `heads` heads of `head_dim` channels.
pub(crate) fn require_filters([filters, taps]: [usize; 2], heads: usize, head_dim: usize) {
    assert!(
        filters == heads || filters == heads * head_dim,
        "one filter per head, or one per channel"
    );
    assert_eq!(taps % 2, 1, "a filter has a middle");
}

/// The same by Burn's elementary operations.
fn composed(value: Tensor<4>, filter: Tensor<2>, residual: Option<Tensor<4>>) -> Tensor<4> {
    let [batch, heads, seq_len, head_dim] = value.dims();
    let [filters, _] = filter.dims();
    let output = if filters == heads {
        banded(value, filter)
    } else {
        // As if each channel were a head, and the rows of the batch its channels.
        let channels = value.permute([1, 3, 2, 0]).reshape([1, filters, seq_len, batch]);
        let output = banded(channels, filter).reshape([heads, head_dim, seq_len, batch]);
        output.permute([3, 0, 2, 1])
    };
    match residual {
        Some(residual) => residual + output,
        None => output,
    }
}

/// One filter for each head, as products.
///
/// A sliding filter is a banded matrix. Cut into blocks of rows, the same small matrix applies to every
/// block, so the convolution becomes two batched matrix products: on every backend these run near the
/// machine's peak, forward and backward, where grouped convolutions do not.
fn banded(value: Tensor<4>, filter: Tensor<2>) -> Tensor<4> {
    let [batch, heads, seq_len, head_dim] = value.dims();
    let [_, taps] = filter.dims();
    let device = value.device();
    let half = taps / 2;

    // Block `i` of the output reads rows `i·rows .. i·rows + rows + taps − 1` of the padded values:
    // all of block `i` and the first `taps − 1` rows of block `i + 1`.
    let rows =
        (taps - 1).next_power_of_two().max(32).min(seq_len.next_power_of_two().max(taps - 1));
    let blocks = seq_len.div_ceil(rows);
    let tail = (blocks + 1) * rows - seq_len - half;
    let padded = Tensor::cat(
        vec![
            Tensor::zeros([batch, heads, half, head_dim], &device),
            value,
            Tensor::zeros([batch, heads, tail, head_dim], &device),
        ],
        2,
    )
    .reshape([batch, heads, blocks + 1, rows, head_dim]);

    let band = band(filter, rows);
    let own = padded.clone().narrow(2, 0, blocks);
    let mut output = band.clone().narrow(4, 0, rows).matmul(own);
    if taps > 1 {
        let next = padded.narrow(2, 1, blocks).narrow(3, 0, taps - 1);
        output = output + band.narrow(4, rows, taps - 1).matmul(next);
    }
    output.reshape([batch, heads, blocks * rows, head_dim]).narrow(2, 0, seq_len)
}

/// The banded matrix of one block: entry `(i, j)` is tap `j − i`, or zero outside the filter.
///
/// # Shapes
/// - `filter`: `[heads, taps]`
/// - output: `[1, heads, 1, rows, rows + taps − 1]`
fn band(filter: Tensor<2>, rows: usize) -> Tensor<5> {
    let [heads, taps] = filter.dims();
    let columns = rows + taps - 1;
    let device = filter.device();
    let offset = |length: usize| Tensor::<1, Int>::arange(0..length as i64, &device);
    let tap = offset(columns).unsqueeze_dim::<2>(0) - offset(rows).unsqueeze_dim::<2>(1);
    let outside = tap.clone().lower_elem(0).bool_or(tap.clone().greater_equal_elem(taps as i64));
    let tap = tap.mask_fill(outside, taps as i64); // the column of zeros added below

    let filter = Tensor::cat(vec![filter, Tensor::zeros([heads, 1], &device)], 1);
    filter.select(1, tap.reshape([rows * columns])).reshape([1, heads, 1, rows, columns])
}

/// The filters of all heads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filters<'a> {
    /// `[heads, of_head, taps]`.
    values: &'a [f32],
    pub(crate) taps: usize,
    /// Filters of a head: one, or one for each channel.
    pub(crate) of_head: usize,
}

impl<'a> Filters<'a> {
    /// Reads a contiguous tensor `[filters, taps]`.
    pub(crate) fn new(filters: &'a FlexTensor, heads: usize) -> Self {
        let [count, taps] = filters.layout().shape().dims();
        Self { values: simd::values(filters), taps, of_head: count / heads }
    }

    /// Values of all filters.
    pub(crate) fn len(self) -> usize {
        self.values.len()
    }

    /// The filters of one head, `[of_head, taps]`.
    #[inline(always)]
    pub(crate) fn head(self, head: usize) -> &'a [f32] {
        let length = self.of_head * self.taps;
        &self.values[head * length..][..length]
    }

    /// The filters turned round: the gradient of the values is the gradient of the output convolved with them.
    pub(crate) fn mirrored(self) -> Vec<f32> {
        let filters = self.values.chunks_exact(self.taps);
        filters.flat_map(|filter| filter.iter().rev().copied()).collect()
    }

    /// Other filters of the same sizes.
    pub(crate) fn with(self, values: &[f32]) -> Filters<'_> {
        assert_eq!(values.len(), self.values.len(), "as many filters");
        Filters { values, taps: self.taps, of_head: self.of_head }
    }
}

#[derive(Debug)]
struct DepthwiseConvolution;

/// What the derivative needs.
#[derive(Debug, Clone)]
struct Saved {
    value: FlexTensor,
    filter: FlexTensor,
}

impl DepthwiseConvolution {
    fn apply(
        value: FlexTensor,
        filter: FlexTensor,
        residual: Option<FlexTensor>,
    ) -> (FlexTensor, Saved) {
        let (value, filter) = (view::readable(value), simd::contiguous(filter));
        let view = View::new(&value);
        let output = slide(view, Filters::new(&filter, view.heads), residual);
        (output, Saved { value, filter })
    }

    /// The gradients of values and filter, as far as they are wanted; that of a residual is `gradient` itself.
    fn gradients(
        Saved { value, filter }: Saved,
        gradient: FlexTensor,
        wanted: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        let gradient = view::readable(gradient);
        let gradient = View::new(&gradient);
        let filters = Filters::new(&filter, gradient.heads);
        let value_gradient =
            wanted[0].then(|| slide(gradient, filters.with(&filters.mirrored()), None));
        let filter_gradient = wanted[1].then(|| {
            let gradient = filter_gradient(View::new(&value), gradient, filters);
            simd::tensor(gradient, filter.layout().shape().clone())
        });
        [value_gradient, filter_gradient]
    }
}

/// With a residual.
impl Kernel<Flex, 3> for DepthwiseConvolution {
    type Saved = Saved;

    fn forward(&self, [value, filter, residual]: [FlexTensor; 3]) -> (FlexTensor, Saved) {
        Self::apply(value, filter, Some(residual))
    }

    fn backward(
        &self,
        saved: Saved,
        gradient: FlexTensor,
        [value, filter, _]: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let [value, filter] = Self::gradients(saved, gradient.clone(), [value, filter]);
        [value, filter, Some(gradient)]
    }
}

/// Without a residual.
impl Kernel<Flex, 2> for DepthwiseConvolution {
    type Saved = Saved;

    fn forward(&self, [value, filter]: [FlexTensor; 2]) -> (FlexTensor, Saved) {
        Self::apply(value, filter, None)
    }

    fn backward(
        &self,
        saved: Saved,
        gradient: FlexTensor,
        wanted: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        Self::gradients(saved, gradient, wanted)
    }
}

/// Convolves `value`, and adds `residual`: in place if nobody else holds it.
fn slide(value: View<'_>, filters: Filters<'_>, residual: Option<FlexTensor>) -> FlexTensor {
    let run = |output: &mut [f32], onto: Onto<'_>| {
        let length = value.rows * value.hidden_size();
        output
            .par_chunks_mut(length.max(1))
            .enumerate()
            .for_each(|(batch, output)| slide_sequence(value, batch, filters, onto, output));
    };
    let mut residual = residual;
    if let Some(residual) = &mut residual
        && let Some(output) = view::own_rows(residual)
    {
        run(output, Onto::Output);
    } else {
        let residual = residual.take().map(view::readable);
        let residual = residual.as_ref().map(View::new);
        let mut output = simd::room(value.batch * value.rows * value.hidden_size());
        run(&mut output, residual.map_or(Onto::Nothing, Onto::Rows));
        return view::from_rows(output, value.shape());
    }
    residual.expect("the output was written over it")
}

/// What a convolution is added to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Onto<'a> {
    /// To nothing.
    Nothing,
    /// To what the output holds.
    Output,
    /// To these rows, as many as there are values.
    Rows(View<'a>),
}

/// Convolves one batch element of `value`; `output` holds its rows `[seq_len, heads, head_dim]`.
pub(crate) fn slide_sequence(
    value: View<'_>,
    batch: usize,
    filters: Filters<'_>,
    onto: Onto<'_>,
    output: &mut [f32],
) {
    let (width, hidden_size) = (value.width, value.hidden_size());
    let taps = filters.taps;
    let filters_length = if filters.of_head == 1 { 0 } else { packed_filters_length(width, taps) };
    output.par_chunks_mut(CHUNK * hidden_size).enumerate().for_each(|(index, output)| {
        let (first, rows) = (index * CHUNK, output.len() / hidden_size);
        Scratch::kept(|scratch| {
            let lengths = [packed_length(width, taps), filters_length];
            let [packed, packed_filters] = scratch.pieces(lengths);
            for head in 0..value.heads {
                let output = &mut output[head * width..];
                let place = HeadIndex { batch, head };
                if let Onto::Rows(residual) = onto {
                    let residual = residual.head(place);
                    for row in 0..rows {
                        output[row * hidden_size..][..width]
                            .copy_from_slice(residual.row(first + row));
                    }
                }
                simd::dispatch(Slide {
                    packed,
                    packed_filters,
                    input: value.head(place),
                    filter: filters.head(head),
                    taps,
                    first,
                    rows,
                    output,
                    stride: hidden_size,
                    accumulate: !matches!(onto, Onto::Nothing),
                });
            }
        });
    });
}

/// The gradient of `filters`: products of the gradient with shifted values, summed over batch, positions and the channels of a
/// filter.
fn filter_gradient(value: View<'_>, gradient: View<'_>, filters: Filters<'_>) -> Vec<f32> {
    let parts: Vec<Vec<f32>> = (0..value.batch)
        .into_par_iter()
        .flat_map(|batch| filter_gradients(value, gradient, batch, filters))
        .collect();
    simd::sum_in_order(&parts, filters.len())
}

/// The gradient of `filters` from each part of one batch element's rows.
pub(crate) fn filter_gradients(
    value: View<'_>,
    gradient: View<'_>,
    batch: usize,
    filters: Filters<'_>,
) -> Vec<Vec<f32>> {
    let (chunks, taps) = (value.rows.div_ceil(CHUNK), filters.taps);
    let parts = (0..chunks).into_par_iter().map(|chunk| {
        let first = chunk * CHUNK;
        Scratch::kept(|scratch| {
            let lengths = [taps, 1].map(|taps| packed_length(value.width, taps));
            let [packed, packed_gradient] = scratch.pieces(lengths);
            let mut output = vec![0.0; filters.len()];
            let of_head = filters.of_head * taps;
            for (head, output) in output.chunks_exact_mut(of_head).enumerate() {
                let place = HeadIndex { batch, head };
                simd::dispatch(FilterGradient {
                    packed,
                    input: value.head(place),
                    packed_gradient,
                    gradient: gradient.head(place),
                    first,
                    rows: CHUNK.min(value.rows - first),
                    taps,
                    output,
                });
            }
            output
        })
    });
    parts.collect()
}
