//! A picture whose pixels are the tokens of a sequence.

use nystromformer_kernels::Patches;

/// The sizes of a picture whose pixels are the tokens, row by row. A shorter sequence is a picture that lacks its last pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Picture {
    /// `count` patches of one size that cover it: those nearest to squares, of two alike the wider ones. `None`: there are none.
    pub fn patches(self, count: usize) -> Option<Patches> {
        let Self { height, width } = self;
        let pixels = height.checked_mul(width)?;
        let size = pixels.checked_div(count).filter(|size| size * count == pixels)?;
        let shorter = (1..=size.isqrt()).rev().filter(|side| size.is_multiple_of(*side));
        let mut sizes = shorter.flat_map(|side| [[side, size / side], [size / side, side]]);
        sizes.find_map(|patch| Patches::new([height, width], patch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_as_square_as_the_picture_allows() {
        for (height, width, count, patch) in [
            (32, 32, 64, Some([4, 4])),
            (32, 32, 128, Some([2, 4])),
            (32, 32, 1024, Some([1, 1])),
            (32, 32, 1, Some([32, 32])),
            (3, 8, 6, Some([1, 4])),
            (8, 3, 6, Some([4, 1])),
            (6, 8, 8, Some([3, 2])),
            (16, 64, 16, Some([8, 8])),
            (32, 32, 60, None),
            (5, 7, 5, Some([1, 7])),
            (5, 7, 2, None),
            (9, 4, 18, Some([1, 2])),
            (4, 4, 0, None),
            (0, 4, 1, None),
        ] {
            let found = Picture { height, width }.patches(count);
            assert_eq!(found.map(Patches::patch), patch, "{height} x {width}, {count}");
            assert!(found.is_none_or(|patches| patches.count() == count));
        }
    }
}
