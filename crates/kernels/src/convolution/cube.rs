//! The convolution in CubeCL: one launch forward, three backward.

use burn::backend::{Cube, TensorMetadata};
use burn_cubecl::{
    cubecl::{self, prelude::*},
    tensor::CubeTensor,
};

use super::DepthwiseConvolution;
use crate::{
    cube::{
        contiguous, cubes,
        place::{Distances, Place, readable, room_of_tokens, row_start},
        room,
        sums::sum_over_cube,
        unit_for_each,
    },
    kernel::Kernel,
};

/// Channels, and taps, that a cube sums up the gradient of.
const CHANNELS: usize = 32;
const TAPS: usize = 8;

/// Units of a cube that adds up the parts of one tap's gradient.
const UNITS: usize = 64;

/// Parts of the tokens, at most, unless the batch has more rows; and tokens of a part, at least.
const PARTS: usize = 64;
const TOKENS: usize = 128;

/// Tokens, and filters that slide along them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) batch: usize,
    pub(crate) heads: usize,
    pub(crate) seq_len: usize,
    pub(crate) width: usize,
    pub(crate) filters: usize,
    pub(crate) taps: usize,
}

impl Sizes {
    /// Of a `filter` that slides along so many tokens.
    pub(crate) fn new([batch, heads, seq_len, width]: [usize; 4], filter: &CubeTensor) -> Self {
        let [filters, taps] = filter.shape().dims();
        Self { batch, heads, seq_len, width, filters, taps }
    }
}

/// A tensor, and where its rows lie.
pub(crate) type Placed<'a> = (&'a CubeTensor, Distances);

/// Writes `value` convolved with `filter`, which may be mirrored, on top of `residual`, which may be the output.
pub(crate) fn convolve(
    sizes: Sizes,
    value: Placed<'_>,
    filter: &CubeTensor,
    residual: Option<Placed<'_>>,
    output: Placed<'_>,
    is_mirrored: bool,
) {
    let client = &value.0.client;
    let (count, dim) = unit_for_each(output.0);
    let (base, base_place) = residual.unwrap_or(value);
    convolution_forward::launch(
        client,
        count,
        dim,
        value.0.clone().into_buffer_arg(),
        filter.clone().into_buffer_arg(),
        base.clone().into_buffer_arg(),
        output.0.clone().into_buffer_arg(),
        value.1.launch(),
        base_place.launch(),
        output.1.launch(),
        sizes.batch,
        sizes.heads,
        sizes.seq_len,
        sizes.taps,
        sizes.width,
        sizes.filters != sizes.heads,
        residual.is_some(),
        is_mirrored,
    );
}

/// A unit has a value.
#[cube(launch)]
fn convolution_forward(
    value: &[f32],
    filter: &[f32],
    residual: &[f32],
    output: &mut [f32],
    value_place: &Place,
    residual_place: &Place,
    output_place: &Place,
    batches: usize,
    heads: usize,
    seq_len: usize,
    taps: usize,
    #[comptime] width: usize,
    #[comptime] is_per_channel: bool,
    #[comptime] has_residual: bool,
    #[comptime] is_mirrored: bool,
) {
    let column = ABSOLUTE_POS % width;
    let head = ABSOLUTE_POS / width % heads;
    let token = ABSOLUTE_POS / width / heads % seq_len;
    let batch = ABSOLUTE_POS / width / heads / seq_len;
    if batch < batches {
        let mut sum = 0.0f32;
        if has_residual {
            sum = residual[row_start(residual_place, batch, head, token) + column];
        }
        let first_value = row_start(value_place, batch, head, 0usize) + column;
        let sums = sum_of_taps(
            value,
            filter,
            first_value,
            value_place.row,
            head,
            column,
            token,
            seq_len,
            taps,
            width,
            is_per_channel,
            is_mirrored,
        );
        output[row_start(output_place, batch, head, token) + column] = sum + sums;
    }
}

/// What a filter gathers at a token of one channel, whose first value is at `first`, the next `distance` further.
#[cube]
pub(crate) fn sum_of_taps(
    value: &[f32],
    filter: &[f32],
    first: usize,
    distance: usize,
    head: usize,
    column: usize,
    token: usize,
    seq_len: usize,
    taps: usize,
    #[comptime] width: usize,
    #[comptime] is_per_channel: bool,
    #[comptime] is_mirrored: bool,
) -> f32 {
    let half = taps / 2usize;
    let mut first_tap = head * taps;
    if is_per_channel {
        first_tap = (head * width + column) * taps;
    }
    let mut sum = 0.0f32;
    for place in max(token, half) - half..min(token + half + 1usize, seq_len) {
        let mut tap = place + half - token;
        if is_mirrored {
            tap = token + half - place;
        }
        sum = fma(filter[first_tap + tap], value[first + place * distance], sum);
    }
    sum
}

/// The gradient of the filter, from that of the output.
pub(crate) fn filter_gradient(sizes: Sizes, value: Placed<'_>, gradient: Placed<'_>) -> CubeTensor {
    let Sizes { batch, heads, seq_len, width, filters, taps } = sizes;
    let client = &value.0.client;
    let channels = heads * width;
    let parts_of_row = PARTS.div_ceil(batch.max(1)).min(seq_len.div_ceil(TOKENS)).max(1);
    let tokens_of_part = seq_len.div_ceil(parts_of_row).max(1);
    let parts = batch * parts_of_row;
    let sums = room(value.0, [parts, taps, channels]);
    let blocks = channels.div_ceil(CHANNELS) * taps.div_ceil(TAPS);
    convolution_filter_parts::launch(
        client,
        cubes(client, blocks * parts),
        CubeDim::new_2d(CHANNELS as u32, TAPS as u32),
        value.0.clone().into_buffer_arg(),
        gradient.0.clone().into_buffer_arg(),
        sums.clone().into_buffer_arg(),
        value.1.launch(),
        gradient.1.launch(),
        parts,
        parts_of_row,
        tokens_of_part,
        seq_len,
        channels,
        taps,
        width,
    );
    let output = room(value.0, [filters, taps]);
    convolution_filter_gradient::launch(
        client,
        cubes(client, filters * taps),
        CubeDim::new_1d(UNITS as u32),
        sums.into_buffer_arg(),
        output.clone().into_buffer_arg(),
        parts,
        channels / filters.max(1),
        channels,
        taps,
        filters,
    );
    output
}

/// A unit has a channel and a tap, and goes through some tokens.
#[cube(launch)]
fn convolution_filter_parts(
    value: &[f32],
    gradient: &[f32],
    sums: &mut [f32],
    value_place: &Place,
    gradient_place: &Place,
    parts: usize,
    parts_of_row: usize,
    tokens_of_part: usize,
    seq_len: usize,
    channels: usize,
    taps: usize,
    #[comptime] width: usize,
) {
    let blocks_of_channels = channels.div_ceil(CHANNELS);
    let blocks = blocks_of_channels * taps.div_ceil(TAPS);
    let part = CUBE_POS / blocks;
    let block = CUBE_POS % blocks;
    let channel = block % blocks_of_channels * CHANNELS + UNIT_POS_X as usize;
    let tap = block / blocks_of_channels * TAPS + UNIT_POS_Y as usize;
    if part < parts && channel < channels && tap < taps {
        let half = taps / 2usize;
        let (batch, head) = (part / parts_of_row, channel / width);
        let first_value = row_start(value_place, batch, head, 0usize) + channel % width;
        let first_gradient = row_start(gradient_place, batch, head, 0usize) + channel % width;
        let first_token = part % parts_of_row * tokens_of_part;
        // Where this tap is beside a value.
        let start = max(first_token, max(half, tap) - tap);
        let end = min(min(first_token + tokens_of_part, seq_len), max(seq_len + half, tap) - tap);
        let mut sum = 0.0f32;
        for token in start..end {
            sum = fma(
                gradient[first_gradient + token * gradient_place.row],
                value[first_value + (token + tap - half) * value_place.row],
                sum,
            );
        }
        sums[(part * taps + tap) * channels + channel] = sum;
    }
}

/// A cube adds up one tap of a filter.
#[cube(launch)]
fn convolution_filter_gradient(
    sums: &[f32],
    output: &mut [f32],
    parts: usize,
    channels_of_filter: usize,
    channels: usize,
    taps: usize,
    filters: usize,
) {
    let filter = CUBE_POS / taps;
    let tap = CUBE_POS % taps;
    if filter >= filters {
        terminate!();
    }
    let mut shared = Shared::<[f32]>::new_slice(UNITS);
    let mut sum = 0.0f32;
    let mut number = UNIT_POS as usize;
    while number < parts * channels_of_filter {
        let (part, channel) = (number / channels_of_filter, number % channels_of_filter);
        sum += sums[(part * taps + tap) * channels + filter * channels_of_filter + channel];
        number += UNITS;
    }
    let total = sum_over_cube(&mut shared, sum);
    if UNIT_POS == 0u32 {
        output[filter * taps + tap] = total;
    }
}

/// What the derivative needs.
#[derive(Debug, Clone)]
pub(super) struct Saved {
    value: CubeTensor,
    filter: CubeTensor,
}

fn placed(tensor: &CubeTensor) -> Placed<'_> {
    (tensor, Distances::of(tensor))
}

impl DepthwiseConvolution {
    fn apply_on_cube(
        value: CubeTensor,
        filter: CubeTensor,
        residual: Option<CubeTensor>,
    ) -> (CubeTensor, Saved) {
        let (value, filter) = (readable(value), contiguous(filter));
        let residual = residual.map(readable);
        let output = room_of_tokens(&value, value.shape());
        let sizes = Sizes::new(value.shape().dims(), &filter);
        let residual = residual.as_ref().map(placed);
        convolve(sizes, placed(&value), &filter, residual, placed(&output), false);
        (output, Saved { value, filter })
    }

    /// The gradients of values and filter; that of a residual is `gradient` itself.
    fn gradients_on_cube(Saved { value, filter }: Saved, gradient: CubeTensor) -> [CubeTensor; 2] {
        let gradient = readable(gradient);
        let sizes = Sizes::new(value.shape().dims(), &filter);
        let output = room_of_tokens(&value, value.shape());
        convolve(sizes, placed(&gradient), &filter, None, placed(&output), true);
        [output, filter_gradient(sizes, placed(&value), placed(&gradient))]
    }
}

/// With a residual.
impl Kernel<Cube, 3> for DepthwiseConvolution {
    type Saved = Saved;

    fn forward(&self, [value, filter, residual]: [CubeTensor; 3]) -> (CubeTensor, Saved) {
        Self::apply_on_cube(value, filter, Some(residual))
    }

    fn backward(
        &self,
        saved: Saved,
        gradient: CubeTensor,
        _wanted: [bool; 3],
    ) -> [Option<CubeTensor>; 3] {
        let [value, filter] = Self::gradients_on_cube(saved, gradient.clone());
        [Some(value), Some(filter), Some(gradient)]
    }
}

/// Without a residual.
impl Kernel<Cube, 2> for DepthwiseConvolution {
    type Saved = Saved;

    fn forward(&self, [value, filter]: [CubeTensor; 2]) -> (CubeTensor, Saved) {
        Self::apply_on_cube(value, filter, None)
    }

    fn backward(
        &self,
        saved: Saved,
        gradient: CubeTensor,
        _wanted: [bool; 2],
    ) -> [Option<CubeTensor>; 2] {
        Self::gradients_on_cube(saved, gradient).map(Some)
    }
}

#[cfg(all(test, feature = "wgpu"))]
mod tests {
    use burn::tensor::Tensor;
    use proptest::prelude::*;

    use super::super::{composed, depthwise_convolution};
    use crate::testing::{cube, random};

    fn same([batch, heads, seq_len, width]: [usize; 4], taps: usize, is_per_channel: bool) {
        let filters = if is_per_channel { heads * width } else { heads };
        let [value, residual] = [(); 2].map(|()| random([batch, seq_len, heads, width]));
        let filter = random([1, 1, filters, taps]);
        let with =
            |function: fn(_, _, _) -> Tensor<4>, inputs: Vec<Tensor<4>>, filter: Tensor<4>| {
                let mut inputs = inputs.into_iter().map(|x| x.swap_dims(1, 2));
                let (value, residual) = (inputs.next().unwrap(), inputs.next());
                function(value, filter.reshape([filters, taps]), residual)
            };
        cube::same(
            [value.clone(), filter.clone(), residual],
            |[value, filter, residual]| with(depthwise_convolution, vec![value, residual], filter),
            |[value, filter, residual]| with(composed, vec![value, residual], filter),
        );
        cube::same(
            [value, filter],
            |[value, filter]| with(depthwise_convolution, vec![value], filter),
            |[value, filter]| with(composed, vec![value], filter),
        );
    }

    #[test]
    fn equals_the_composed_path() {
        for is_per_channel in [false, true] {
            same([1, 1, 1, 1], 1, is_per_channel);
            same([2, 3, 40, 5], 7, is_per_channel);
            // A filter that is longer than the sequence, and more tokens than a part has.
            same([2, 2, 9, 4], 65, is_per_channel);
            same([1, 2, 300, 4], 9, is_per_channel);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_shape_equals_the_composed_path(
            batch in 1usize..4,
            heads in 1usize..4,
            seq_len in 1usize..160,
            width in prop::sample::select(vec![1usize, 4, 7]),
            half in 0usize..20,
            is_per_channel: bool,
        ) {
            same([batch, heads, seq_len, width], 2 * half + 1, is_per_channel);
        }
    }
}
