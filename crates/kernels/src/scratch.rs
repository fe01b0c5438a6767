//! Memory to compute in.

use std::{cell::Cell, thread::LocalKey};

/// Bytes of a cache line.
const LINE: usize = 64;

/// Memory of one thread that grows as needed and is used again by its next task.
#[derive(Debug)]
pub(crate) struct Scratch<T = f32>(Vec<T>);

impl Scratch {
    /// Lends what this thread keeps for good, for a task that waits for no other.
    pub(crate) fn kept<R>(body: impl FnOnce(&mut Self) -> R) -> R {
        thread_local! {
            static KEPT: Cell<Scratch> = const { Cell::new(Scratch::new()) };
        }
        let mut scratch = KEPT.take();
        let result = body(&mut scratch);
        KEPT.set(scratch);
        result
    }
}

impl<T> Scratch<T> {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }
}

impl<T> Default for Scratch<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Copy + Default> Scratch<T> {
    /// One piece of each length. They start with cache lines, so that no vector straddles two; their content is
    /// arbitrary.
    #[inline(always)]
    pub(crate) fn pieces<const N: usize>(&mut self, lengths: [usize; N]) -> [&mut [T]; N] {
        let line = LINE / size_of::<T>();
        let whole_lines = lengths.map(|length| length.next_multiple_of(line));
        let needed = whole_lines.iter().sum::<usize>() + line;
        if self.0.len() < needed {
            self.0 = vec![T::default(); needed];
        }
        let first = self.0.as_ptr().align_offset(LINE);
        let mut rest = &mut self.0[first..];
        std::array::from_fn(|index| {
            let (piece, behind) = std::mem::take(&mut rest).split_at_mut(whole_lines[index]);
            rest = behind;
            &mut piece[..lengths[index]]
        })
    }

    /// Lends one piece of what a thread keeps for good.
    pub(crate) fn lend<R>(
        kept: &'static LocalKey<Cell<Self>>,
        length: usize,
        body: impl FnOnce(&mut [T]) -> R,
    ) -> R {
        // Taken, not borrowed: a thread that waits for others may meanwhile be handed another task.
        let mut scratch = kept.take();
        let [piece] = scratch.pieces([length]);
        let result = body(piece);
        kept.set(scratch);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_start_with_cache_lines_and_do_not_overlap() {
        let mut scratch = Scratch::<f32>::new();
        for lengths in [[0, 1, 100], [7, 16, 17], [300, 0, 5]] {
            let pieces = scratch.pieces(lengths);
            for (number, (piece, length)) in pieces.into_iter().zip(lengths).enumerate() {
                assert_eq!((piece.len(), piece.as_ptr().align_offset(LINE)), (length, 0));
                piece.fill(number as f32);
            }
            let pieces = scratch.pieces(lengths);
            for (number, piece) in pieces.into_iter().enumerate() {
                assert!(piece.iter().all(|&value| value == number as f32));
            }
        }
    }

    #[test]
    fn what_is_lent_may_be_lent_again_meanwhile() {
        thread_local! {
            static KEPT: Cell<Scratch<u16>> = const { Cell::new(Scratch::new()) };
        }
        Scratch::lend(&KEPT, 40, |outer| {
            outer.fill(1);
            Scratch::lend(&KEPT, 40, |inner| inner.fill(2));
            assert_eq!(outer, [1; 40]);
        });
    }
}
