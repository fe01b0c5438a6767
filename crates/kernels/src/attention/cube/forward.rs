//! The forward pass. Of each query it notes statistics: its largest score, the inverse of the sum of exponentials (of a part the sum
//! itself), and room for what the backward pass needs.

use burn_cubecl::{
    cubecl::{self, calculate_cube_count_elemwise, prelude::*},
    tensor::CubeTensor,
};

use super::{
    problem::{Parts, Problem, Rows, STATISTICS, Sizes},
    tile::{GROUP, add_scaled, dot, load, no_row, own_row, tile_rows},
};
use crate::cube::{
    MOST_UNITS,
    place::{Place, row_start},
    room,
};

/// What cubes found that went through a part of the keys each.
#[derive(Debug)]
pub(crate) struct Found {
    /// `[parts, batch · heads, queries, width]`: sums of weighted values.
    pub(crate) sums: CubeTensor,
    /// `[parts, batch · heads, queries, STATISTICS]`.
    pub(crate) statistics: CubeTensor,
    pub(crate) parts: usize,
}

/// Writes the output, and returns the statistics, `[batch · heads, queries, STATISTICS]`.
pub(crate) fn forward(problem: &Problem<'_>, output: Rows<'_>) -> CubeTensor {
    let Sizes { queries, keys, .. } = problem.sizes;
    let statistics = room(output.tensor, [problem.all_heads(), queries, STATISTICS]);
    launch(problem, output, &statistics, Parts::one(keys), false);
    statistics
}

/// The same of parts of the keys.
pub(crate) fn forward_in_parts(problem: &Problem<'_>) -> Found {
    let Sizes { queries, width, .. } = problem.sizes;
    let parts = problem.parts_of_keys();
    let like = problem.query.tensor;
    let sums = room(like, [parts.count, problem.all_heads(), queries, width]);
    let statistics = room(like, [parts.count, problem.all_heads(), queries, STATISTICS]);
    let output = Rows { tensor: &sums, place: problem.query.place };
    launch(problem, output, &statistics, parts, true);
    Found { sums, statistics, parts: parts.count }
}

fn launch(
    problem: &Problem<'_>,
    output: Rows<'_>,
    statistics: &CubeTensor,
    parts: Parts,
    is_part: bool,
) {
    let Sizes { heads, queries, keys, width, .. } = problem.sizes;
    let (count, dim, units) = problem.cubes(queries, parts.count);
    attention_forward::launch(
        &output.tensor.client,
        count,
        dim,
        problem.query.buffer(),
        problem.key.buffer(),
        problem.value.buffer(),
        problem.bias(),
        output.buffer(),
        statistics.clone().into_buffer_arg(),
        problem.query.place.launch(),
        problem.key.place.launch(),
        problem.value.place.launch(),
        output.place.launch(),
        heads,
        queries,
        keys,
        parts.rows,
        problem.scale,
        width,
        units,
        problem.key_bias.is_some(),
        is_part,
    );
}

#[cube(launch)]
fn attention_forward(
    query: &[f32],
    key: &[f32],
    value: &[f32],
    key_bias: &[f32],
    output: &mut [f32],
    statistics: &mut [f32],
    query_place: &Place,
    key_place: &Place,
    value_place: &Place,
    output_place: &Place,
    heads: usize,
    queries: usize,
    keys: usize,
    keys_of_part: usize,
    scale: f32,
    #[comptime] width: usize,
    #[comptime] units: usize,
    #[comptime] has_bias: bool,
    #[comptime] is_part: bool,
) {
    let one_of_all = CUBE_POS_Y as usize;
    let (batch, head) = (one_of_all / heads, one_of_all % heads);
    let row = CUBE_POS_X as usize * units + UNIT_POS as usize;
    // A unit behind the last query computes that once more, and writes nothing.
    let start = row_start(query_place, batch, head, min(row, queries - 1usize));
    let own = own_row(query, start, scale, width);
    let mut sums = no_row(width);
    let mut sum = 0.0f32;
    let mut largest = f32::new(-3.0e38f32);

    let tile = comptime!(tile_rows(width));
    let mut key_tile = Shared::<[f32]>::new_slice(comptime!(tile_rows(width) * width));
    let mut value_tile = Shared::<[f32]>::new_slice(comptime!(tile_rows(width) * width));
    let first_key = row_start(key_place, batch, head, 0usize);
    let first_value = row_start(value_place, batch, head, 0usize);
    let part = CUBE_POS_Z as usize;
    let mut start = part * keys_of_part;
    let end = min(start + keys_of_part, keys);
    while start < end {
        sync_cube();
        load(&mut key_tile, key, first_key, key_place.row, start, end, 1.0f32, width, units);
        load(
            &mut value_tile,
            value,
            first_value,
            value_place.row,
            start,
            end,
            1.0f32,
            width,
            units,
        );
        sync_cube();
        let count = min(end - start, tile);
        let mut group = 0usize;
        while group < count {
            let mut scores = Array::<f32>::new(GROUP);
            let mut larger = largest;
            #[unroll]
            for index in 0..GROUP {
                let number = group + index;
                let mut score = dot(&own, &key_tile, number * width, width);
                if has_bias {
                    score += key_bias[batch * keys + min(start + number, keys - 1usize)];
                }
                scores[index] = score;
                larger = select(number < count, max(larger, score), larger);
            }
            let factor = (largest - larger).exp();
            sum *= factor;
            #[unroll]
            for column in 0..width {
                sums[column] *= factor;
            }
            #[unroll]
            for index in 0..GROUP {
                let number = group + index;
                let weight = select(number < count, (scores[index] - larger).exp(), 0.0f32);
                sum += weight;
                add_scaled(&mut sums, weight, &value_tile, number * width, width);
            }
            largest = larger;
            group += GROUP;
        }
        start += tile;
    }

    if row < queries {
        if is_part {
            let place = (part * CUBE_COUNT_Y as usize + one_of_all) * queries + row;
            #[unroll]
            for column in 0..width {
                output[place * width + column] = sums[column];
            }
            statistics[place * STATISTICS] = largest;
            statistics[place * STATISTICS + 1usize] = sum;
        } else {
            let inverse = 1.0f32 / sum;
            let target = row_start(output_place, batch, head, row);
            #[unroll]
            for column in 0..width {
                output[target + column] = sums[column] * inverse;
            }
            let place = one_of_all * queries + row;
            statistics[place * STATISTICS] = largest;
            statistics[place * STATISTICS + 1usize] = inverse;
        }
    }
}

/// Writes the output from its parts, and returns its statistics.
pub(crate) fn join(problem: &Problem<'_>, found: &Found, output: Rows<'_>) -> CubeTensor {
    let Sizes { heads, queries, width, .. } = problem.sizes;
    let statistics = room(output.tensor, [problem.all_heads(), queries, STATISTICS]);
    let client = &output.tensor.client;
    let (rows, dim) = (problem.all_heads() * queries, CubeDim::new_1d(MOST_UNITS as u32));
    attention_join::launch(
        client,
        calculate_cube_count_elemwise(client, rows * width, dim),
        dim,
        found.sums.clone().into_buffer_arg(),
        found.statistics.clone().into_buffer_arg(),
        output.buffer(),
        statistics.clone().into_buffer_arg(),
        output.place.launch(),
        heads,
        queries,
        rows,
        found.parts,
        width,
    );
    statistics
}

/// A unit has a value.
#[cube(launch)]
fn attention_join(
    sums: &[f32],
    parts_statistics: &[f32],
    output: &mut [f32],
    statistics: &mut [f32],
    output_place: &Place,
    heads: usize,
    queries: usize,
    rows: usize,
    parts: usize,
    #[comptime] width: usize,
) {
    let row = ABSOLUTE_POS / width;
    let column = ABSOLUTE_POS % width;
    if row < rows {
        let largest = largest_of_parts(parts_statistics, row, rows, parts);
        let inverse = 1.0f32 / sum_of_all_parts(parts_statistics, row, rows, parts, largest);
        let one_of_all = row / queries;
        let target = row_start(output_place, one_of_all / heads, one_of_all % heads, row % queries);
        let value =
            value_of_parts(sums, parts_statistics, row, rows, parts, largest, column, width);
        output[target + column] = value * inverse;
        if column == 0usize {
            statistics[row * STATISTICS] = largest;
            statistics[row * STATISTICS + 1usize] = inverse;
        }
    }
}

/// The largest score of a row.
#[cube]
pub(crate) fn largest_of_parts(statistics: &[f32], row: usize, rows: usize, parts: usize) -> f32 {
    let mut largest = statistics[row * STATISTICS];
    for part in 1..parts {
        largest = max(largest, statistics[(part * rows + row) * STATISTICS]);
    }
    largest
}

/// The sum of exponentials of a row.
#[cube]
pub(crate) fn sum_of_all_parts(
    statistics: &[f32],
    row: usize,
    rows: usize,
    parts: usize,
    largest: f32,
) -> f32 {
    let mut sum = 0.0f32;
    for part in 0..parts {
        let place = (part * rows + row) * STATISTICS;
        sum = fma((statistics[place] - largest).exp(), statistics[place + 1usize], sum);
    }
    sum
}

/// A column of a row, before it is divided by the sum of exponentials.
#[cube]
pub(crate) fn value_of_parts(
    sums: &[f32],
    statistics: &[f32],
    row: usize,
    rows: usize,
    parts: usize,
    largest: f32,
    column: usize,
    #[comptime] width: usize,
) -> f32 {
    let mut value = 0.0f32;
    for part in 0..parts {
        let place = part * rows + row;
        let factor = (statistics[place * STATISTICS] - largest).exp();
        value = fma(factor, sums[place * width + column], value);
    }
    value
}
