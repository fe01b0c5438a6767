//! The backward pass: every tile of scores is computed again.

use std::{
    f32::consts::{LN_2, LOG2_E},
    ops::Range,
};

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::{
    problem::{Problem, Splits},
    sink::Sink,
    tile::{self, BLOCK, KEYS, Left, QUERIES, Right},
};
use crate::{
    scratch::Scratch,
    simd,
    view::{HeadIndex, View},
};

/// What the forward pass left, and the gradient of its output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) output: View<'a>,
    pub(crate) statistics: View<'a>,
    pub(crate) gradient: View<'a>,
}

/// Writes the gradients of query, key and value, as far as there are targets; `[batch, rows, heads, width]` in memory.
pub(crate) fn backward(
    problem: &Problem<'_>,
    known: Known<'_>,
    mut targets: [Option<&mut [f32]>; 3],
) {
    let heads = problem.query.heads;
    let places = problem.query.batch * heads;
    let tasks = problem.alongside;
    let query_splits = Splits::new(tasks, problem.query.rows, QUERIES)
        .at_most(problem.query.rows.div_ceil(problem.key.rows));
    if !problem.sight.is_all() {
        // Not every tile of queries adds to a key.
        targets.iter_mut().flatten().for_each(|target| target.fill(0.0));
    }
    let most = if problem.sight.is_all() { usize::MAX } else { 1 };
    let key_splits = Splits::new(tasks, problem.key.rows, KEYS)
        .at_most(problem.key.rows.div_ceil(problem.query.rows).min(most));
    // Parts of the queries give partial gradients of keys and values; parts of the keys, of queries.
    let parts = [key_splits.count, query_splits.count, query_splits.count];
    let views = [problem.query, problem.key, problem.value];
    let mut partial: [Option<Vec<f32>>; 3] = std::array::from_fn(|input| {
        let length = targets[input].as_ref().map_or(0, |target| target.len());
        (length > 0 && parts[input] > 1).then(|| simd::room(length * parts[input]))
    });
    {
        let mut index = 0;
        let mut whole = targets.iter_mut();
        let sinks = partial.each_mut().map(|partial| {
            let (view, parts) = (views[index], parts[index]);
            index += 1;
            match (partial, whole.next()) {
                (Some(partial), _) => {
                    Some(Sink::heads_outside(partial, heads * parts, view.rows, view.width))
                }
                (None, Some(Some(whole))) => {
                    Some(Sink::heads_inside(whole, heads, view.rows, view.width))
                }
                (None, _) => None,
            }
        });
        let splits = query_splits.count * key_splits.count;
        (0..places * splits).into_par_iter().for_each(|task| {
            let (place, split) = (task / splits, task % splits);
            let (query_split, key_split) = (split / key_splits.count, split % key_splits.count);
            Scratch::kept(|scratch| {
                simd::dispatch(Part {
                    problem,
                    known,
                    place: HeadIndex { batch: place / heads, head: place % heads },
                    queries: query_splits.range(query_split),
                    keys: key_splits.range(key_split),
                    sinks: &sinks,
                    parts,
                    splits: [key_split, query_split, query_split],
                    scratch,
                });
            });
        });
    }
    for (input, partial) in partial.iter().enumerate() {
        if let (Some(partial), Some(target)) = (partial, &mut targets[input]) {
            sum(partial, views[input], parts[input], target);
        }
    }
}

/// Writes the sum of the gradients that `parts` tasks computed.
fn sum(partial: &[f32], view: View<'_>, parts: usize, gradient: &mut [f32]) {
    let [_, heads, rows, width] = view.shape();
    gradient.par_chunks_mut(heads * width).enumerate().for_each(|(index, target)| {
        let (batch, row) = (index / rows, index % rows);
        for (head, target) in target.chunks_exact_mut(width).enumerate() {
            let part = |part| {
                &partial[(((batch * heads + head) * parts + part) * rows + row) * width..][..width]
            };
            target.copy_from_slice(part(0));
            for source in (1..parts).map(part) {
                target.iter_mut().zip(source).for_each(|(target, source)| *target += source);
            }
        }
    });
}

/// The task of one range of queries and one range of keys.
struct Part<'a> {
    problem: &'a Problem<'a>,
    known: Known<'a>,
    place: HeadIndex,
    queries: Range<usize>,
    keys: Range<usize>,
    /// Where the gradients of query, key and value go.
    sinks: &'a [Option<Sink<'a>>; 3],
    /// How many parts each gradient has, and which of them are these.
    parts: [usize; 3],
    splits: [usize; 3],
    scratch: &'a mut Scratch,
}

impl WithSimd for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { problem, known, place, .. } = self;
        let ([query, key, value], bias) = problem.at(place);
        let [output, statistics, gradient] =
            [known.output, known.statistics, known.gradient].map(|view| view.head(place));
        let panel = tile::panel::<S>();
        let lanes = tile::lanes::<S>(self.queries.len().min(QUERIES));
        let stride = query.width.next_multiple_of(panel);
        let value_stride = value.width.next_multiple_of(panel);
        let [
            query_rows,
            query_panels,
            gradient_rows,
            gradient_panels,
            key_rows,
            value_rows,
            bias_rows,
            weights,
            slopes,
            sums,
            largest,
            inverse,
            delta,
        ] = self.scratch.pieces([
            lanes * stride,
            lanes * query.width,
            lanes * value_stride,
            lanes * value.width,
            KEYS * stride,
            KEYS * value_stride,
            KEYS,
            KEYS * lanes,
            KEYS * lanes,
            lanes * stride,
            lanes,
            lanes,
            lanes,
        ]);
        let to = std::array::from_fn::<_, 3, _>(|input| HeadIndex {
            head: place.head * self.parts[input] + self.splits[input],
            ..place
        });
        let [query_sink, key_sink, value_sink] = self.sinks;

        let sight = problem.sight;
        let group = tile::group::<S>();
        for start in self.queries.clone().step_by(QUERIES) {
            let queries = start..self.queries.end.min(start + QUERIES);
            let lanes = tile::lanes::<S>(queries.len());
            for (lane, query) in queries.clone().enumerate() {
                let statistics = statistics.row(query);
                (largest[lane], inverse[lane]) = (statistics[0], statistics[1]);
                delta[lane] = inverse[lane] * simd::dot(gradient.row(query), output.row(query));
            }
            largest[queries.len()..].fill(0.0);
            delta[queries.len()..].fill(0.0);
            let factor = problem.scale * LOG2_E;
            let rows = &mut query_rows[..lanes * stride];
            tile::pack(rows, stride, query, queries.clone(), |_| factor);
            tile::transpose(query_panels, panel, rows, stride, query.width);
            // The softmax is exp2(score − largest) · inverse; the inverse is multiplied into the gradient.
            let rows = &mut gradient_rows[..lanes * value_stride];
            tile::pack(rows, value_stride, gradient, queries.clone(), |lane| inverse[lane]);
            tile::transpose(gradient_panels, panel, rows, value_stride, value.width);

            let is_single = sight.is_all() && self.keys.len() <= KEYS;
            for (index, keys) in sight.tiles(&queries, &self.keys).enumerate() {
                let (is_first_tile, count) = (index == 0, keys.len());
                // A single tile of keys stays packed for all tiles of queries.
                if start == self.queries.start || !is_single {
                    tile::pack(key_rows, stride, key, keys.clone(), |_| 1.0);
                    tile::pack(value_rows, value_stride, value, keys.clone(), |_| 1.0);
                    tile::pack_bias(bias_rows, bias, keys.clone());
                }

                for first in (0..lanes).step_by(panel) {
                    let query_panel =
                        Right { values: &query_panels[first * query.width..], stride: panel };
                    let gradient_panel =
                        Right { values: &gradient_panels[first * value.width..], stride: panel };
                    let largest = tile::pair::<S>(&largest[first..]);
                    let delta = tile::pair::<S>(&delta[first..]);
                    let places = queries.start + first..queries.start + first + panel;
                    let seen = sight.seen(&tile::group_of::<S>(queries.start, first), &keys, BLOCK);
                    for row in seen.step_by(BLOCK) {
                        let left = Left {
                            values: &key_rows[row * stride..],
                            row_stride: stride,
                            depth_stride: 1,
                        };
                        let bias = sight.biases(simd, &bias_rows[row..], keys.start + row, &places);
                        let block = tile::product(simd, key.width, left, query_panel, bias);
                        for (index, block) in block.iter().enumerate() {
                            let weight = [
                                tile::exp2(simd, simd.sub_f32s(block[0], largest[0])),
                                tile::exp2(simd, simd.sub_f32s(block[1], largest[1])),
                            ];
                            tile::store::<S>(&mut weights[(row + index) * lanes + first..], weight);
                        }
                        let left = Left {
                            values: &value_rows[row * value_stride..],
                            row_stride: value_stride,
                            depth_stride: 1,
                        };
                        let block = tile::product(
                            simd,
                            value.width,
                            left,
                            gradient_panel,
                            tile::zeros(simd),
                        );
                        for (index, block) in block.iter().enumerate() {
                            let at = (row + index) * lanes + first;
                            let weight = tile::pair::<S>(&weights[at..]);
                            let slope = [
                                simd.mul_f32s(weight[0], simd.sub_f32s(block[0], delta[0])),
                                simd.mul_f32s(weight[1], simd.sub_f32s(block[1], delta[1])),
                            ];
                            tile::store::<S>(&mut slopes[at..], slope);
                        }
                    }
                }

                let is_first = start == self.queries.start && sight.is_all();
                let rows_of = [
                    (key_sink, &*slopes, &*query_rows, stride, LN_2, to[1]),
                    (value_sink, &*weights, &*gradient_rows, value_stride, 1.0, to[2]),
                ];
                for (sink, left, right, stride, factor, to) in rows_of {
                    let Some(sink) = sink else { continue };
                    for row in (0..count).step_by(BLOCK) {
                        let block = keys.start + row..keys.end.min(keys.start + row + BLOCK);
                        let seeing = sight.seeing(&block, &queries, group);
                        if seeing.is_empty() {
                            continue;
                        }
                        let left = Left {
                            values: &left[row * lanes + seeing.start..],
                            row_stride: lanes,
                            depth_stride: 1,
                        };
                        for column in (0..stride).step_by(panel) {
                            let right =
                                Right { values: &right[seeing.start * stride + column..], stride };
                            let block =
                                tile::product(simd, seeing.len(), left, right, tile::zeros(simd));
                            for (index, block) in block.iter().enumerate() {
                                if row + index == count {
                                    break;
                                }
                                #[expect(unsafe_code, reason = "see `Sink`")]
                                // SAFETY: every key of every place and part belongs to one task.
                                let target = unsafe { sink.row(to, keys.start + row + index) };
                                tile::add_scaled(simd, target, column, *block, factor, is_first);
                            }
                        }
                    }
                }

                if query_sink.is_some() {
                    for column in (0..stride).step_by(panel) {
                        for lane in (0..lanes).step_by(BLOCK) {
                            let seen =
                                sight.seen(&tile::group_of::<S>(queries.start, lane), &keys, BLOCK);
                            let mut block = tile::zeros(simd);
                            if !is_first_tile {
                                for (index, block) in block.iter_mut().enumerate() {
                                    *block =
                                        tile::pair::<S>(&sums[(lane + index) * stride + column..]);
                                }
                            }
                            let left = Left {
                                values: &slopes[seen.start * lanes + lane..],
                                row_stride: 1,
                                depth_stride: lanes,
                            };
                            let right =
                                Right { values: &key_rows[seen.start * stride + column..], stride };
                            let block = tile::product(simd, seen.len(), left, right, block);
                            for (index, block) in block.iter().enumerate() {
                                tile::store::<S>(
                                    &mut sums[(lane + index) * stride + column..],
                                    *block,
                                );
                            }
                        }
                    }
                }
            }

            if let Some(sink) = query_sink {
                for (sums, query) in sums.chunks_exact(stride).zip(queries) {
                    #[expect(unsafe_code, reason = "see `Sink`")]
                    // SAFETY: every query of every place and part belongs to one task.
                    let target = unsafe { sink.row(to[0], query) };
                    target
                        .iter_mut()
                        .zip(sums)
                        .for_each(|(target, sum)| *target = sum * problem.scale);
                }
            }
        }
    }
}
