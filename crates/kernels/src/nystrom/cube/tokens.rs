//! The gradients of tokens.

use burn::backend::TensorMetadata;
use burn_cubecl::{
    cubecl::{self, prelude::*},
    tensor::CubeTensor,
};

use super::{
    Sizes,
    landmarks::{segment_of, segment_start},
};
use crate::{
    convolution::cube::sum_of_taps,
    cube::{room, unit_for_each},
};

/// Adds to the gradient of the queries what their landmarks give them, and returns those of keys and values: `both` as kernel 3 gives
/// them, with what the landmarks and the convolution give.
pub(super) fn differentiate(
    sizes: Sizes,
    query: &CubeTensor,
    both: &CubeTensor,
    landmarks: &CubeTensor,
    gradient: &CubeTensor,
    filter: Option<&CubeTensor>,
) -> (CubeTensor, CubeTensor) {
    let key = room(query, query.shape());
    let value = room(query, query.shape());
    let [filters, taps] = filter.map_or([0, 1], |filter| filter.shape().dims());
    let (count, dim) = unit_for_each(query);
    nystrom_token_gradients::launch(
        &query.client,
        count,
        dim,
        query.clone().into_buffer_arg(),
        both.clone().into_buffer_arg(),
        landmarks.clone().into_buffer_arg(),
        gradient.clone().into_buffer_arg(),
        filter.unwrap_or(gradient).clone().into_buffer_arg(),
        key.clone().into_buffer_arg(),
        value.clone().into_buffer_arg(),
        sizes.batch * sizes.seq_len * sizes.hidden_size(),
        sizes.half(),
        sizes.seq_len,
        sizes.landmarks,
        sizes.hidden_size(),
        taps,
        sizes.width,
        filter.is_some(),
        filters != sizes.heads,
    );
    (key, value)
}

/// A unit has a channel of a token.
#[cube(launch)]
fn nystrom_token_gradients(
    query: &mut [f32],
    both: &[f32],
    landmarks: &[f32],
    gradient: &[f32],
    filter: &[f32],
    key: &mut [f32],
    value: &mut [f32],
    length: usize,
    half: usize,
    seq_len: usize,
    count: usize,
    hidden_size: usize,
    taps: usize,
    #[comptime] width: usize,
    #[comptime] has_filter: bool,
    #[comptime] is_per_channel: bool,
) {
    let place = ABSOLUTE_POS;
    if place < length {
        let channel = place % hidden_size;
        let token = place / hidden_size % seq_len;
        let batch = place / hidden_size / seq_len;
        let segment = segment_of(token, seq_len, count);
        let tokens = segment_start(segment + 1usize, seq_len, count)
            - segment_start(segment, seq_len, count);
        let share = 1.0f32 / tokens as f32;
        let landmark = (batch * count + segment) * hidden_size + channel;
        query[place] += landmarks[landmark] * share;
        key[place] = fma(landmarks[half + landmark], share, both[place]);
        let mut of_value = both[length + place];
        if has_filter {
            of_value += sum_of_taps(
                gradient,
                filter,
                batch * seq_len * hidden_size + channel,
                hidden_size,
                channel / width,
                channel % width,
                token,
                seq_len,
                taps,
                width,
                is_per_channel,
                true,
            );
        }
        value[place] = of_value;
    }
}
