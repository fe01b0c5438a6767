//! What is computed, and how it is split into parts.

use burn_cubecl::{cubecl::prelude::*, tensor::CubeTensor};

use crate::cube::place::Distances;

/// Units of a cube at most: each has a query or a key in registers.
const MOST_UNITS: usize = 64;

/// The largest number of values of a row that a unit holds.
const MOST_WIDTH: usize = 128;

/// Cubes that keep a device busy.
const CUBES: usize = 1024;

/// Rows of a part, at least.
const ROWS: usize = 128;

/// Cubes in one direction, at most.
const MOST_CUBES: usize = 65_535;

/// Values of [statistics](super::forward) of a query.
pub(crate) const STATISTICS: usize = 3;

/// Rows of heads, in a tensor of any shape.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) tensor: &'a CubeTensor,
    pub(crate) place: Distances,
}

impl<'a> Rows<'a> {
    /// Of `[batch, heads, rows, width]`.
    pub(crate) fn of(tensor: &'a CubeTensor) -> Self {
        Self { tensor, place: Distances::of(tensor) }
    }

    pub(crate) fn buffer(self) -> BufferArg {
        self.tensor.clone().into_buffer_arg()
    }
}

/// Numbers of what there is; keys are as wide as values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) batch: usize,
    pub(crate) heads: usize,
    pub(crate) queries: usize,
    pub(crate) keys: usize,
    pub(crate) width: usize,
}

/// `softmax(scale · query · keyᵀ + key_bias) · value`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Problem<'a> {
    pub(crate) query: Rows<'a>,
    pub(crate) key: Rows<'a>,
    pub(crate) value: Rows<'a>,
    /// `[batch, 1, 1, keys]`.
    pub(crate) key_bias: Option<&'a CubeTensor>,
    pub(crate) sizes: Sizes,
    pub(crate) scale: f32,
}

/// Parts of rows that several cubes go through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts {
    pub(crate) count: usize,
    /// Rows of each but the last, which may have fewer.
    pub(crate) rows: usize,
}

impl Parts {
    /// All rows in one part.
    pub(crate) fn one(rows: usize) -> Self {
        Self { count: 1, rows }
    }

    /// Of `rows`, for each of so many `cubes`.
    fn of(rows: usize, cubes: usize) -> Self {
        let count = CUBES.div_ceil(cubes.max(1)).min(rows.div_ceil(ROWS)).max(1);
        let rows_of_part = rows.div_ceil(count).max(1);
        Self { count: rows.div_ceil(rows_of_part).max(1), rows: rows_of_part }
    }
}

impl Problem<'_> {
    /// Heads of all rows of the batch.
    pub(crate) fn all_heads(&self) -> usize {
        self.sizes.batch * self.sizes.heads
    }

    /// The parts of keys that a query is computed in.
    pub(crate) fn parts_of_keys(&self) -> Parts {
        let Sizes { queries, keys, .. } = self.sizes;
        Parts::of(keys, self.all_heads() * queries.div_ceil(units_for(queries)))
    }

    /// The parts of queries that the gradients of a key are computed in.
    pub(crate) fn parts_of_queries(&self) -> Parts {
        let Sizes { queries, keys, .. } = self.sizes;
        Parts::of(queries, self.all_heads() * keys.div_ceil(units_for(keys)))
    }

    /// The bias, or what stands in its place unread.
    pub(crate) fn bias(&self) -> BufferArg {
        self.key_bias.unwrap_or(self.query.tensor).clone().into_buffer_arg()
    }

    /// Cubes with a unit for each of `rows`, for each head and part; and units of a cube.
    pub(crate) fn cubes(&self, rows: usize, parts: usize) -> (CubeCount, CubeDim, usize) {
        let units = units_for(rows);
        let blocks = rows.div_ceil(units) as u32;
        let count = CubeCount::Static(blocks, self.all_heads() as u32, parts as u32);
        (count, CubeDim::new_1d(units as u32), units)
    }
}

/// Units of a cube, each of which has one of `rows`.
fn units_for(rows: usize) -> usize {
    rows.next_power_of_two().min(MOST_UNITS)
}

/// Whether so many heads, of rows of this width, can be computed.
pub(crate) fn fits(all_heads: usize, width: usize) -> bool {
    all_heads <= MOST_CUBES && width <= MOST_WIDTH
}
