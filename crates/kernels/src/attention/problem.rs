//! What is to be computed, and how it is split into tasks.

use std::ops::Range;

use super::sight::Sight;
use crate::view::{Head, HeadIndex, View};

/// `softmax(scale · query · keyᵀ + bias) · value` for every batch element and head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Problem<'a> {
    pub(crate) query: View<'a>,
    pub(crate) key: View<'a>,
    pub(crate) value: View<'a>,
    /// `[batch, 1, 1, keys]`.
    pub(crate) key_bias: Option<View<'a>>,
    pub(crate) scale: f32,
    /// Which keys a query sees.
    pub(crate) sight: Sight,
    /// Heads of sequences that are computed at the same time, those of this problem included: work is cut finer where there
    /// are few. Under [`batch_invariant`](crate::batch_invariant) those of one sequence, whatever others there are.
    pub(crate) alongside: usize,
}

impl<'a> Problem<'a> {
    /// The rows of query, key and value, and the bias of every key, at one place.
    #[inline(always)]
    pub(super) fn at(&self, place: HeadIndex) -> ([Head<'a>; 3], Option<&'a [f32]>) {
        let heads = [self.query, self.key, self.value].map(|view| view.head(place));
        (heads, self.key_bias.map(|bias| bias.head(HeadIndex { head: 0, ..place }).row(0)))
    }
}

/// Equal parts of a range of rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Splits {
    rows: usize,
    /// Parts start at multiples of it.
    tile: usize,
    pub(super) count: usize,
}

impl Splits {
    /// Splits `rows` where there are few `tasks` otherwise: a rule that does not know the number of threads, on
    /// which no result shall depend.
    pub(super) fn new(tasks: usize, rows: usize, tile: usize) -> Self {
        const ENOUGH_TASKS: usize = 32;
        const FEWEST_ROWS: usize = 1024;
        Self { rows, tile, count: 1 }
            .into(ENOUGH_TASKS.div_ceil(tasks.max(1)).min(rows / FEWEST_ROWS))
    }

    /// No more than `count` parts.
    pub(super) fn at_most(self, count: usize) -> Self {
        self.into(self.count.min(count))
    }

    /// About `count` parts, none of them empty.
    fn into(self, count: usize) -> Self {
        let tiles = self.rows.div_ceil(self.tile);
        let tiles_of_part = tiles.div_ceil(count.max(1)).max(1);
        Self { count: tiles.div_ceil(tiles_of_part).max(1), ..self }
    }

    pub(super) fn range(&self, part: usize) -> Range<usize> {
        let tiles_of_part = self.rows.div_ceil(self.tile).div_ceil(self.count);
        let length = tiles_of_part * self.tile;
        part * length..self.rows.min((part + 1) * length)
    }
}
