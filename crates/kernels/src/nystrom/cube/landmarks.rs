//! Means over segments, and kernel 2: each landmark over the landmarks.

use burn_cubecl::{
    cubecl::{self, calculate_cube_count_elemwise, prelude::*},
    tensor::CubeTensor,
};

use super::Sizes;
use crate::{
    cube::{MOST_UNITS, cubes, room, units_for},
    pinv::{
        Pinv, PinvScale,
        cube::divisor::{SUMS, gradient_of_divisors, note_largest},
    },
};

/// The first token of a segment; of the segment after the last one, the sequence's length. The first segments are shorter by one token
/// where the length does not divide.
#[cube]
pub(super) fn segment_start(segment: usize, seq_len: usize, count: usize) -> usize {
    let short = seq_len / count;
    let num_short = (short + 1usize) * count - seq_len;
    segment * short + max(segment, num_short) - num_short
}

/// The segment of a token.
#[cube]
pub(super) fn segment_of(token: usize, seq_len: usize, count: usize) -> usize {
    let short = seq_len / count;
    let num_short = (short + 1usize) * count - seq_len;
    let border = num_short * short;
    // The other one's number means nothing.
    let in_short = token / short;
    let in_long = num_short + (max(token, border) - border) / (short + 1usize);
    select(token < border, in_short, in_long)
}

/// The landmarks of queries and keys, `[2, batch, landmarks, hidden_size]`.
pub(super) fn means(sizes: Sizes, query: &CubeTensor, key: &CubeTensor) -> CubeTensor {
    let landmarks = room(query, [2, sizes.batch, sizes.landmarks, sizes.hidden_size()]);
    let dim = CubeDim::new_1d(MOST_UNITS as u32);
    nystrom_landmarks::launch(
        &query.client,
        calculate_cube_count_elemwise(&query.client, sizes.half(), dim),
        dim,
        query.clone().into_buffer_arg(),
        key.clone().into_buffer_arg(),
        landmarks.clone().into_buffer_arg(),
        sizes.half(),
        sizes.seq_len,
        sizes.landmarks,
        sizes.hidden_size(),
    );
    landmarks
}

/// A unit has a channel of a landmark of queries, and of one of keys.
#[cube(launch)]
fn nystrom_landmarks(
    query: &[f32],
    key: &[f32],
    landmarks: &mut [f32],
    half: usize,
    seq_len: usize,
    count: usize,
    hidden_size: usize,
) {
    let place = ABSOLUTE_POS;
    if place < half {
        let column = place % hidden_size;
        let landmark = place / hidden_size % count;
        let first = place / hidden_size / count * seq_len * hidden_size + column;
        let start = segment_start(landmark, seq_len, count);
        let end = segment_start(landmark + 1usize, seq_len, count);
        let mut query_sum = 0.0f32;
        let mut key_sum = 0.0f32;
        for token in start..end {
            query_sum += query[first + token * hidden_size];
            key_sum += key[first + token * hidden_size];
        }
        let length = (end - start) as f32;
        landmarks[place] = query_sum / length;
        landmarks[half + place] = key_sum / length;
    }
}

/// Kernel 2, `[batch · heads, landmarks, landmarks]`, and what the inverse needs to know of its columns.
pub(super) fn kernel_2(sizes: Sizes, landmarks: &CubeTensor) -> (CubeTensor, CubeTensor) {
    let (count, all_heads) = (sizes.landmarks, sizes.all_heads());
    let matrices = room(landmarks, [all_heads, count, count]);
    let sums = room(landmarks, [all_heads, SUMS]);
    let units = units_for(count);
    nystrom_kernel_2::launch(
        &landmarks.client,
        cubes(&landmarks.client, all_heads),
        CubeDim::new_1d(units as u32),
        landmarks.clone().into_buffer_arg(),
        matrices.clone().into_buffer_arg(),
        sums.clone().into_buffer_arg(),
        all_heads,
        sizes.heads,
        sizes.half(),
        sizes.scale(),
        count,
        sizes.width,
        units,
    );
    (matrices, sums)
}

/// A cube has a head, and a unit rows of its matrix.
#[cube(launch)]
fn nystrom_kernel_2(
    landmarks: &[f32],
    matrices: &mut [f32],
    sums: &mut [f32],
    all_heads: usize,
    heads: usize,
    half: usize,
    scale: f32,
    #[comptime] count: usize,
    #[comptime] width: usize,
    #[comptime] units: usize,
) {
    let matrix = CUBE_POS;
    if matrix >= all_heads {
        terminate!();
    }
    let hidden_size = heads * width;
    let first_query = matrix / heads * count * hidden_size + matrix % heads * width;
    let first_key = half + first_query;
    // Rows that lie so columns are read without two units meeting.
    let distance = comptime!(count + 1);
    let mut kernel = Shared::<[f32]>::new_slice(comptime!(count * (count + 1)));
    let mut column_sums = Shared::<[f32]>::new_slice(count);

    let mut row = UNIT_POS as usize;
    while row < count {
        let start = row * distance;
        let mut largest = f32::new(-3.0e38f32);
        for column in 0..count {
            let mut score = 0.0f32;
            for channel in 0..width {
                score = fma(
                    landmarks[first_query + row * hidden_size + channel] * scale,
                    landmarks[first_key + column * hidden_size + channel],
                    score,
                );
            }
            kernel[start + column] = score;
            largest = max(largest, score);
        }
        let mut sum = 0.0f32;
        for column in 0..count {
            let weight = (kernel[start + column] - largest).exp();
            kernel[start + column] = weight;
            sum += weight;
        }
        let inverse = 1.0f32 / sum;
        for column in 0..count {
            let weight = kernel[start + column] * inverse;
            kernel[start + column] = weight;
            matrices[(matrix * count + row) * count + column] = weight;
        }
        row += units;
    }
    sync_cube();

    let mut column = UNIT_POS as usize;
    while column < count {
        let mut sum = 0.0f32;
        for row in 0..count {
            sum += kernel[row * distance + column];
        }
        column_sums[column] = sum;
        column += units;
    }
    sync_cube();
    if UNIT_POS == 0u32 {
        note_largest(&column_sums, sums, matrix, count);
    }
}

/// The gradients of the landmarks, laid out as these: of kernel 2, whose `matrices`, gradients at constant divisors and column sums
/// these are; of kernel 3 those of queries, in parts; and of kernel 1 those of keys, each head by itself.
pub(super) fn differentiate(
    sizes: Sizes,
    pinv: Pinv,
    [matrices, gradients, sums]: [&CubeTensor; 3],
    landmarks: &CubeTensor,
    (queries, parts): (&CubeTensor, usize),
    keys: &CubeTensor,
) -> CubeTensor {
    let (count, all_heads) = (sizes.landmarks, sizes.all_heads());
    let output = room(landmarks, [2, sizes.batch, count, sizes.hidden_size()]);
    let units = units_for(count * sizes.width);
    nystrom_landmark_gradients::launch(
        &landmarks.client,
        cubes(&landmarks.client, all_heads),
        CubeDim::new_1d(units as u32),
        matrices.clone().into_buffer_arg(),
        gradients.clone().into_buffer_arg(),
        sums.clone().into_buffer_arg(),
        landmarks.clone().into_buffer_arg(),
        queries.clone().into_buffer_arg(),
        keys.clone().into_buffer_arg(),
        output.clone().into_buffer_arg(),
        all_heads,
        sizes.heads,
        sizes.half(),
        parts,
        sizes.scale(),
        count,
        sizes.width,
        units,
        pinv.scale() == PinvScale::OfTheBatch,
    );
    output
}

/// A cube has a head.
#[cube(launch)]
fn nystrom_landmark_gradients(
    matrices: &[f32],
    gradients: &[f32],
    sums: &[f32],
    landmarks: &[f32],
    queries: &[f32],
    keys: &[f32],
    output: &mut [f32],
    all_heads: usize,
    heads: usize,
    half: usize,
    parts: usize,
    scale: f32,
    #[comptime] count: usize,
    #[comptime] width: usize,
    #[comptime] units: usize,
    #[comptime] is_of_batch: bool,
) {
    let matrix = CUBE_POS;
    if matrix >= all_heads {
        terminate!();
    }
    let hidden_size = heads * width;
    let distance = comptime!(count + 1);
    // The gradients of the scores.
    let mut scores = Shared::<[f32]>::new_slice(comptime!(count * (count + 1)));
    let of_divisors = gradient_of_divisors(sums, matrix, all_heads, is_of_batch);
    let column_of_divisor = sums[matrix * SUMS + 1usize] as usize;
    let mut row = UNIT_POS as usize;
    while row < count {
        let first = (matrix * count + row) * count;
        let mut product = 0.0f32;
        for column in 0..count {
            let more = select(column == column_of_divisor, of_divisors, 0.0f32);
            product = fma(matrices[first + column], gradients[first + column] + more, product);
        }
        for column in 0..count {
            let more = select(column == column_of_divisor, of_divisors, 0.0f32);
            let slope = gradients[first + column] + more - product;
            scores[row * distance + column] = matrices[first + column] * slope * scale;
        }
        row += units;
    }
    sync_cube();

    let first = matrix / heads * count * hidden_size + matrix % heads * width;
    let mut place = UNIT_POS as usize;
    while place < comptime!(count * width) {
        let (landmark, channel) = (place / width, place % width);
        let target = first + landmark * hidden_size + channel;
        let mut of_query = 0.0f32;
        for part in 0..parts {
            of_query += queries[part * half + target];
        }
        let mut of_key = keys[matrix * comptime!(count * width) + place];
        for other in 0..count {
            let source = first + other * hidden_size + channel;
            of_query = fma(scores[landmark * distance + other], landmarks[half + source], of_query);
            of_key = fma(scores[other * distance + landmark], landmarks[source], of_key);
        }
        output[target] = of_query;
        output[half + target] = of_key;
        place += units;
    }
}
