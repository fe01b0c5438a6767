//! Which keys a query sees.

use std::ops::Range;

use pulp::Simd;

use super::tile::{self, Block, KEYS};

/// Which keys a query sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Every query sees every key.
    All,
    /// Every query sees the first `further` keys. Those behind them have a place each, as queries have, and a query sees those
    /// that are at most `reach` places from its own.
    Near {
        /// Keys that every query sees.
        further: usize,
        /// Places on each side of a query's own.
        reach: usize,
    },
}

impl Sight {
    pub(super) fn is_all(self) -> bool {
        self == Self::All
    }

    /// Tiles of the keys of `part` that some of `queries` see. No tile holds both keys that all see and keys that only some see.
    pub(super) fn tiles(
        self,
        queries: &Range<usize>,
        part: &Range<usize>,
    ) -> impl Iterator<Item = Range<usize>> + use<> {
        let parts = match self {
            Self::All => [part.clone(), 0..0],
            Self::Near { further, reach } => {
                let near = around(queries, reach);
                let place = |place: usize| further.saturating_add(place).min(part.end);
                [0..further, place(near.start)..place(near.end)]
            }
        };
        parts.into_iter().flat_map(|part| {
            let end = part.end;
            part.step_by(KEYS).map(move |start| start..end.min(start + KEYS))
        })
    }

    /// The keys of a tile that some of `queries` see, counted from the tile's first, from the start of a `block` of keys on.
    #[inline(always)]
    pub(super) fn seen(
        self,
        queries: &Range<usize>,
        tile: &Range<usize>,
        block: usize,
    ) -> Range<usize> {
        match self {
            Self::Near { further, reach } if tile.start >= further => {
                let places = tile.start - further..tile.end - further;
                let seen = within(&places, &around(queries, reach));
                seen.start / block * block..seen.end
            }
            _ => 0..tile.len(),
        }
    }

    /// The queries of a tile that see some of `keys`, counted from the tile's first, in whole `groups` of queries.
    #[inline(always)]
    pub(super) fn seeing(
        self,
        keys: &Range<usize>,
        tile: &Range<usize>,
        group: usize,
    ) -> Range<usize> {
        match self {
            Self::Near { further, reach } if keys.start >= further => {
                let places = keys.start - further..keys.end - further;
                let seeing = within(tile, &around(&places, reach));
                let end = seeing.end.next_multiple_of(group).min(tile.len());
                seeing.start / group * group..end
            }
            _ => 0..tile.len(),
        }
    }

    /// What the scores of a register block start from: the bias of each key from the one at place `first` on, or `−∞` for the
    /// queries of the panel that do not see it.
    #[inline(always)]
    pub(super) fn biases<S: Simd>(
        self,
        simd: S,
        biases: &[f32],
        first: usize,
        panel: &Range<usize>,
    ) -> Block<S> {
        let mut block = tile::rows(simd, biases);
        if !self.is_all() {
            for (key, bias) in (first..).zip(&mut block) {
                tile::hide::<S>(bias, self.seeing(&(key..key + 1), panel, 1));
            }
        }
        block
    }
}

/// The places at most `reach` from some of `places`.
#[inline(always)]
fn around(places: &Range<usize>, reach: usize) -> Range<usize> {
    places.start.saturating_sub(reach)..places.end.saturating_add(reach)
}

/// Those of `tile` that are of `places`, counted from the tile's first; `0..0` if there are none.
#[inline(always)]
fn within(tile: &Range<usize>, places: &Range<usize>) -> Range<usize> {
    let start = places.start.clamp(tile.start, tile.end) - tile.start;
    let end = places.end.clamp(tile.start, tile.end) - tile.start;
    if start < end { start..end } else { 0..0 }
}
