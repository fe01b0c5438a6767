//! The derivative. With `P` the weights and `D` of each query the product of its output and that output's gradient `G`, it is
//! `dQ = scale · (P ∘ (G Vᵀ − D)) K`, `dK = scale · (P ∘ (G Vᵀ − D))ᵀ Q`, `dV = Pᵀ G`.

use burn_cubecl::{
    cubecl::{self, calculate_cube_count_elemwise, prelude::*},
    tensor::CubeTensor,
};

use super::{
    problem::{Parts, Problem, Rows, STATISTICS, Sizes},
    tile::{add_scaled, dot, load, no_row, own_row, tile_rows},
};
use crate::cube::{
    MOST_UNITS,
    place::{Place, row_start},
};

/// Notes `D` of each query among the statistics.
pub(crate) fn dots(
    problem: &Problem<'_>,
    gradient: Rows<'_>,
    output: Rows<'_>,
    statistics: &CubeTensor,
) {
    let Sizes { heads, queries, width, .. } = problem.sizes;
    let client = &statistics.client;
    let (rows, dim) = (problem.all_heads() * queries, CubeDim::new_1d(MOST_UNITS as u32));
    attention_dots::launch(
        client,
        calculate_cube_count_elemwise(client, rows, dim),
        dim,
        gradient.buffer(),
        output.buffer(),
        statistics.clone().into_buffer_arg(),
        gradient.place.launch(),
        output.place.launch(),
        heads,
        queries,
        rows,
        width,
    );
}

#[cube(launch)]
fn attention_dots(
    gradient: &[f32],
    output: &[f32],
    statistics: &mut [f32],
    gradient_place: &Place,
    output_place: &Place,
    heads: usize,
    queries: usize,
    rows: usize,
    width: usize,
) {
    let row = ABSOLUTE_POS;
    if row < rows {
        let one_of_all = row / queries;
        let (batch, head) = (one_of_all / heads, one_of_all % heads);
        let left = row_start(gradient_place, batch, head, row % queries);
        let right = row_start(output_place, batch, head, row % queries);
        let mut sum = 0.0f32;
        for column in 0..width {
            sum = fma(gradient[left + column], output[right + column], sum);
        }
        statistics[row * STATISTICS + 2usize] = sum;
    }
}

/// Writes the gradient of the queries, in parts of the keys: `target` is laid out as the queries' rows, once for each part. `D` is among
/// the statistics, or is found here and noted there; for that, all keys have to be one part.
pub(crate) fn query_gradient(
    problem: &Problem<'_>,
    gradient: Rows<'_>,
    statistics: &CubeTensor,
    target: Rows<'_>,
    parts: Parts,
    dot_is_known: bool,
) {
    assert!(dot_is_known || parts.count == 1, "the product goes over all keys");
    let Sizes { batch, heads, queries, keys, width } = problem.sizes;
    let (count, dim, units) = problem.cubes(queries, parts.count);
    attention_query_gradient::launch(
        &statistics.client,
        count,
        dim,
        problem.query.buffer(),
        problem.key.buffer(),
        problem.value.buffer(),
        problem.bias(),
        gradient.buffer(),
        statistics.clone().into_buffer_arg(),
        target.buffer(),
        problem.query.place.launch(),
        problem.key.place.launch(),
        problem.value.place.launch(),
        gradient.place.launch(),
        target.place.launch(),
        heads,
        queries,
        keys,
        parts.rows,
        batch * heads * queries * width,
        problem.scale,
        width,
        units,
        problem.key_bias.is_some(),
        dot_is_known,
    );
}

#[cube(launch)]
fn attention_query_gradient(
    query: &[f32],
    key: &[f32],
    value: &[f32],
    key_bias: &[f32],
    gradient: &[f32],
    statistics: &mut [f32],
    target: &mut [f32],
    query_place: &Place,
    key_place: &Place,
    value_place: &Place,
    gradient_place: &Place,
    target_place: &Place,
    heads: usize,
    queries: usize,
    keys: usize,
    keys_of_part: usize,
    length_of_part: usize,
    scale: f32,
    #[comptime] width: usize,
    #[comptime] units: usize,
    #[comptime] has_bias: bool,
    #[comptime] dot_is_known: bool,
) {
    let one_of_all = CUBE_POS_Y as usize;
    let (batch, head) = (one_of_all / heads, one_of_all % heads);
    let row = CUBE_POS_X as usize * units + UNIT_POS as usize;
    // A unit behind the last query computes that once more, and writes nothing.
    let own = min(row, queries - 1usize);
    let own_query = own_row(query, row_start(query_place, batch, head, own), scale, width);
    let own_gradient =
        own_row(gradient, row_start(gradient_place, batch, head, own), 1.0f32, width);
    let known = (one_of_all * queries + own) * STATISTICS;
    let largest = statistics[known];
    let inverse = statistics[known + 1usize];
    let mut product = 0.0f32;
    if dot_is_known {
        product = statistics[known + 2usize];
    }
    let mut sums = no_row(width);

    let tile = comptime!(tile_rows(width));
    let mut key_tile = Shared::<[f32]>::new_slice(comptime!(tile_rows(width) * width));
    let mut value_tile = Shared::<[f32]>::new_slice(comptime!(tile_rows(width) * width));
    let first_key = row_start(key_place, batch, head, 0usize);
    let first_value = row_start(value_place, batch, head, 0usize);
    let part = CUBE_POS_Z as usize;
    let first = part * keys_of_part;
    let end = min(first + keys_of_part, keys);
    let passes = comptime!(if dot_is_known { 1usize } else { 2usize });
    #[unroll]
    for pass in 0..passes {
        let is_last = comptime!(pass + 1 == passes);
        let mut start = first;
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
            for number in 0..min(end - start, tile) {
                let mut score = dot(&own_query, &key_tile, number * width, width);
                if has_bias {
                    score += key_bias[batch * keys + start + number];
                }
                let weight = (score - largest).exp() * inverse;
                let slope = dot(&own_gradient, &value_tile, number * width, width);
                if is_last {
                    let factor = weight * (slope - product) * scale;
                    add_scaled(&mut sums, factor, &key_tile, number * width, width);
                } else {
                    product = fma(weight, slope, product);
                }
            }
            start += tile;
        }
    }

    if row < queries {
        let place = part * length_of_part + row_start(target_place, batch, head, row);
        #[unroll]
        for column in 0..width {
            target[place + column] = sums[column];
        }
        if !dot_is_known {
            statistics[known + 2usize] = product;
        }
    }
}

/// Writes the gradients of keys and values, in parts of the queries: `target` is laid out as the keys' rows, twice for each part, for
/// keys and then for values.
pub(crate) fn key_gradients(
    problem: &Problem<'_>,
    gradient: Rows<'_>,
    statistics: &CubeTensor,
    target: Rows<'_>,
    parts: Parts,
) {
    let Sizes { batch, heads, queries, keys, width } = problem.sizes;
    let (count, dim, units) = problem.cubes(keys, parts.count);
    attention_key_gradients::launch(
        &statistics.client,
        count,
        dim,
        problem.query.buffer(),
        problem.key.buffer(),
        problem.value.buffer(),
        problem.bias(),
        gradient.buffer(),
        statistics.clone().into_buffer_arg(),
        target.buffer(),
        problem.query.place.launch(),
        problem.key.place.launch(),
        problem.value.place.launch(),
        gradient.place.launch(),
        target.place.launch(),
        heads,
        queries,
        keys,
        parts.rows,
        batch * heads * keys * width,
        problem.scale,
        width,
        units,
        problem.key_bias.is_some(),
    );
}

#[cube(launch)]
fn attention_key_gradients(
    query: &[f32],
    key: &[f32],
    value: &[f32],
    key_bias: &[f32],
    gradient: &[f32],
    statistics: &[f32],
    target: &mut [f32],
    query_place: &Place,
    key_place: &Place,
    value_place: &Place,
    gradient_place: &Place,
    target_place: &Place,
    heads: usize,
    queries: usize,
    keys: usize,
    queries_of_part: usize,
    length_of_half: usize,
    scale: f32,
    #[comptime] width: usize,
    #[comptime] units: usize,
    #[comptime] has_bias: bool,
) {
    let one_of_all = CUBE_POS_Y as usize;
    let (batch, head) = (one_of_all / heads, one_of_all % heads);
    let row = CUBE_POS_X as usize * units + UNIT_POS as usize;
    // A unit behind the last key computes that once more, and writes nothing.
    let own = min(row, keys - 1usize);
    let own_key = own_row(key, row_start(key_place, batch, head, own), 1.0f32, width);
    let own_value = own_row(value, row_start(value_place, batch, head, own), 1.0f32, width);
    let mut bias = 0.0f32;
    if has_bias {
        bias = key_bias[batch * keys + own];
    }
    let mut key_sums = no_row(width);
    let mut value_sums = no_row(width);

    let tile = comptime!(tile_rows(width));
    let mut query_tile = Shared::<[f32]>::new_slice(comptime!(tile_rows(width) * width));
    let mut gradient_tile = Shared::<[f32]>::new_slice(comptime!(tile_rows(width) * width));
    let first_query = row_start(query_place, batch, head, 0usize);
    let first_gradient = row_start(gradient_place, batch, head, 0usize);
    let part = CUBE_POS_Z as usize;
    let mut start = part * queries_of_part;
    let end = min(start + queries_of_part, queries);
    while start < end {
        sync_cube();
        // Times the scale, as in the scores, which the gradient of a key has too.
        load(&mut query_tile, query, first_query, query_place.row, start, end, scale, width, units);
        load(
            &mut gradient_tile,
            gradient,
            first_gradient,
            gradient_place.row,
            start,
            end,
            1.0f32,
            width,
            units,
        );
        sync_cube();
        for number in 0..min(end - start, tile) {
            let known = (one_of_all * queries + start + number) * STATISTICS;
            let score = dot(&own_key, &query_tile, number * width, width) + bias;
            let weight = (score - statistics[known]).exp() * statistics[known + 1usize];
            let slope = dot(&own_value, &gradient_tile, number * width, width);
            let factor = weight * (slope - statistics[known + 2usize]);
            add_scaled(&mut key_sums, factor, &query_tile, number * width, width);
            add_scaled(&mut value_sums, weight, &gradient_tile, number * width, width);
        }
        start += tile;
    }

    if row < keys {
        let place = part * 2usize * length_of_half + row_start(target_place, batch, head, row);
        #[unroll]
        for column in 0..width {
            target[place + column] = key_sums[column];
            target[place + length_of_half + column] = value_sums[column];
        }
    }
}
