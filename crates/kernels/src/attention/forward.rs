//! The forward pass: an online softmax over tiles of keys.

use std::{f32::consts::LOG2_E, ops::Range};

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::{
    problem::{Problem, Splits},
    sink::Sink,
    tile::{self, BLOCK, KEYS, Left, QUERIES, Right},
};
use crate::{scratch::Scratch, simd, view::HeadIndex};

/// What the backward pass wants of each query: the largest score (times log₂e) and the inverse of
/// `Σ exp(score − largest)`.
pub(crate) const STATISTICS: usize = 2;

/// Attention of `problem`: writes the output, `[batch, queries, heads, value_dim]` in memory, and the [`STATISTICS`] of
/// each query, `[batch, heads, queries, 2]`.
pub(crate) fn forward(problem: &Problem<'_>, output: &mut [f32], statistics: &mut [f32]) {
    let [batch, heads, queries, _] = problem.query.shape();
    let width = problem.value.width;
    let places = batch * heads;
    let tiles = queries.div_ceil(QUERIES);
    let splits = Splits::new(problem.alongside * tiles, problem.key.rows, KEYS)
        .at_most(if problem.sight.is_all() { usize::MAX } else { 1 });
    // Parts of the keys give partial results, which have the same form.
    let mut partial_output =
        simd::room(if splits.count > 1 { splits.count * output.len() } else { 0 });
    let mut partial_statistics =
        simd::room(if splits.count > 1 { splits.count * statistics.len() } else { 0 });
    {
        let (output, statistics) = if splits.count > 1 {
            let heads = heads * splits.count;
            (
                Sink::heads_outside(&mut partial_output, heads, queries, width),
                Sink::heads_outside(&mut partial_statistics, heads, queries, STATISTICS),
            )
        } else {
            (
                Sink::heads_inside(output, heads, queries, width),
                Sink::heads_outside(statistics, heads, queries, STATISTICS),
            )
        };
        (0..places * tiles * splits.count).into_par_iter().for_each(|task| {
            let (task, split) = (task / splits.count, task % splits.count);
            let (place, tile) = (task / tiles, task % tiles);
            let place = HeadIndex { batch: place / heads, head: place % heads };
            Scratch::kept(|scratch| {
                simd::dispatch(Tile {
                    problem,
                    place,
                    queries: tile * QUERIES..queries.min((tile + 1) * QUERIES),
                    keys: splits.range(split),
                    to: HeadIndex { head: place.head * splits.count + split, ..place },
                    partial: splits.count > 1,
                    output: &output,
                    statistics: &statistics,
                    scratch,
                });
            });
        });
    }
    if splits.count > 1 {
        merge(problem, splits.count, [&partial_output, &partial_statistics], [output, statistics]);
    }
}

/// The task of one tile of queries and one range of keys.
struct Tile<'a> {
    problem: &'a Problem<'a>,
    place: HeadIndex,
    queries: Range<usize>,
    keys: Range<usize>,
    /// Where the results go.
    to: HeadIndex,
    /// Whether the results are those of part of the keys: unnormalised sums, with the sum instead of its inverse.
    partial: bool,
    output: &'a Sink<'a>,
    statistics: &'a Sink<'a>,
    scratch: &'a mut Scratch,
}

impl WithSimd for Tile<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { problem, queries, .. } = self;
        let ([query, key, value], bias) = problem.at(self.place);
        let panel = tile::panel::<S>();
        let lanes = tile::lanes::<S>(queries.len());
        let value_stride = value.width.next_multiple_of(panel);
        let [
            rows,
            query_panels,
            key_rows,
            value_rows,
            bias_rows,
            scores,
            sums,
            largest,
            total,
            shrink,
        ] = self.scratch.pieces([
            lanes * query.width,
            lanes * query.width,
            KEYS * key.width,
            KEYS * value_stride,
            KEYS,
            KEYS * lanes,
            lanes * value_stride,
            lanes,
            lanes,
            lanes,
        ]);
        let factor = problem.scale * LOG2_E;
        tile::pack(rows, query.width, query, queries.clone(), |_| factor);
        tile::transpose(query_panels, panel, rows, query.width, query.width);
        largest.fill(f32::NEG_INFINITY);
        total.fill(0.0);

        let sight = problem.sight;
        for (index, keys) in sight.tiles(&queries, &self.keys).enumerate() {
            let is_first = index == 0;
            tile::pack(key_rows, key.width, key, keys.clone(), |_| 1.0);
            tile::pack(value_rows, value_stride, value, keys.clone(), |_| 1.0);
            tile::pack_bias(bias_rows, bias, keys.clone());

            for first in (0..lanes).step_by(panel) {
                let right = Right { values: &query_panels[first * query.width..], stride: panel };
                let before: [S::f32s; 2] = tile::pair::<S>(&largest[first..]);
                let mut after = before;
                let places = queries.start + first..queries.start + first + panel;
                let seen = sight.seen(&tile::group_of::<S>(queries.start, first), &keys, BLOCK);
                for row in seen.clone().step_by(BLOCK) {
                    let left = Left {
                        values: &key_rows[row * key.width..],
                        row_stride: key.width,
                        depth_stride: 1,
                    };
                    let bias = sight.biases(simd, &bias_rows[row..], keys.start + row, &places);
                    let block = tile::product(simd, key.width, left, right, bias);
                    for (index, block) in block.iter().enumerate() {
                        tile::store::<S>(&mut scores[(row + index) * lanes + first..], *block);
                        after[0] = simd.max_f32s(after[0], block[0]);
                        after[1] = simd.max_f32s(after[1], block[1]);
                    }
                }
                tile::store::<S>(&mut largest[first..], after);
                let mut sums = tile::pair::<S>(&total[first..]);
                let mut factors = before;
                let mut shift = after;
                for half in 0..2 {
                    shift[half] = finite(simd, after[half]);
                    factors[half] = tile::exp2(simd, simd.sub_f32s(before[half], shift[half]));
                    sums[half] = simd.mul_f32s(sums[half], factors[half]);
                }
                for row in scores.chunks_exact_mut(lanes).take(seen.end).skip(seen.start) {
                    let mut pair = tile::pair::<S>(&row[first..]);
                    for half in 0..2 {
                        pair[half] = tile::exp2(simd, simd.sub_f32s(pair[half], shift[half]));
                        sums[half] = simd.add_f32s(sums[half], pair[half]);
                    }
                    tile::store::<S>(&mut row[first..], pair);
                }
                tile::store::<S>(&mut total[first..], sums);
                tile::store::<S>(&mut shrink[first..], factors);
            }

            for column in (0..value_stride).step_by(panel) {
                for lane in (0..lanes).step_by(BLOCK) {
                    let seen = sight.seen(&tile::group_of::<S>(queries.start, lane), &keys, BLOCK);
                    let mut block = tile::zeros(simd);
                    if !is_first {
                        for (index, block) in block.iter_mut().enumerate() {
                            let lane = lane + index;
                            let factor = simd.splat_f32s(shrink[lane]);
                            let sum = tile::pair::<S>(&sums[lane * value_stride + column..]);
                            *block = [simd.mul_f32s(sum[0], factor), simd.mul_f32s(sum[1], factor)];
                        }
                    }
                    let left = Left {
                        values: &scores[seen.start * lanes + lane..],
                        row_stride: 1,
                        depth_stride: lanes,
                    };
                    let right = Right {
                        values: &value_rows[seen.start * value_stride + column..],
                        stride: value_stride,
                    };
                    let block = tile::product(simd, seen.len(), left, right, block);
                    for (index, block) in block.iter().enumerate() {
                        tile::store::<S>(
                            &mut sums[(lane + index) * value_stride + column..],
                            *block,
                        );
                    }
                }
            }
        }

        for (lane, query) in queries.enumerate() {
            #[expect(unsafe_code, reason = "see `Sink`")]
            // SAFETY: every query of every place and every part of the keys belongs to one task.
            let (output, statistics) =
                unsafe { (self.output.row(self.to, query), self.statistics.row(self.to, query)) };
            let (largest, total) = (largest[lane], total[lane]);
            let inverse = if self.partial { 1.0 } else { total.recip() };
            for (output, sum) in output.iter_mut().zip(&sums[lane * value_stride..]) {
                *output = sum * inverse;
            }
            statistics.copy_from_slice(&if self.partial {
                [largest, total]
            } else {
                [if largest == f32::NEG_INFINITY { 0.0 } else { largest }, inverse]
            });
        }
    }
}

/// `largest` score, or 0 where there is none yet: so that `−∞ − largest` is `−∞`.
#[inline(always)]
fn finite<S: Simd>(simd: S, largest: S::f32s) -> S::f32s {
    let none = simd.equal_f32s(largest, simd.splat_f32s(f32::NEG_INFINITY));
    simd.select_f32s(none, simd.splat_f32s(0.0), largest)
}

/// Joins the partial results of `splits` parts of the keys.
fn merge(problem: &Problem<'_>, splits: usize, partial: [&[f32]; 2], whole: [&mut [f32]; 2]) {
    let [batch, heads, queries, _] = problem.query.shape();
    let width = problem.value.width;
    let [partial_output, partial_statistics] = partial;
    let [output, statistics] = whole;
    let output = Sink::heads_inside(output, heads, queries, width);
    let statistics = Sink::heads_outside(statistics, heads, queries, STATISTICS);
    (0..batch * heads * queries).into_par_iter().with_min_len(64).for_each(|row| {
        let (place, query) = (row / queries, row % queries);
        let parts = (0..splits).map(|split| (place * splits + split) * queries + query);
        let statistics_of = |part: usize| {
            let part = &partial_statistics[part * STATISTICS..];
            (part[0], part[1])
        };
        let largest =
            parts.clone().map(|part| statistics_of(part).0).fold(f32::NEG_INFINITY, f32::max);
        let largest = if largest == f32::NEG_INFINITY { 0.0 } else { largest };
        let place = HeadIndex { batch: place / heads, head: place % heads };
        #[expect(unsafe_code, reason = "see `Sink`")]
        // SAFETY: every row is joined by one task.
        let (output, statistics) =
            unsafe { (output.row(place, query), statistics.row(place, query)) };
        output.fill(0.0);
        let mut total = 0.0;
        for part in parts {
            let (part_largest, part_total) = statistics_of(part);
            let weight = (part_largest - largest).exp2();
            total += weight * part_total;
            for (output, &sum) in output.iter_mut().zip(&partial_output[part * width..]) {
                *output += weight * sum;
            }
        }
        let inverse = total.recip();
        for output in output.iter_mut() {
            *output *= inverse;
        }
        statistics.copy_from_slice(&[largest, inverse]);
    });
}
