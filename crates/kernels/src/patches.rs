//! A picture whose pixels are the tokens, cut into patches.

use std::ops::Range;

use burn::tensor::Tensor;

/// Patches of one size that cover a picture, whose pixels are the tokens, row by row. Patches count row by row too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patches {
    picture: [usize; 2],
    patch: [usize; 2],
}

impl Patches {
    /// Patches of `patch` pixels of a `picture`, both `[height, width]`; `None` if they do not cover it.
    pub fn new(picture: [usize; 2], patch: [usize; 2]) -> Option<Self> {
        let covers = |(picture, patch): (usize, usize)| {
            picture > 0 && patch > 0 && picture.is_multiple_of(patch)
        };
        picture.into_iter().zip(patch).all(covers).then_some(Self { picture, patch })
    }

    /// Height and width of a patch, in pixels.
    pub fn patch(self) -> [usize; 2] {
        self.patch
    }

    /// Pixels of the picture.
    pub fn num_pixels(self) -> usize {
        self.picture.iter().product()
    }

    /// Patches of the picture.
    pub fn count(self) -> usize {
        self.num_pixels() / self.num_pixels_of_patch()
    }

    /// Pixels of a patch.
    pub(crate) fn num_pixels_of_patch(self) -> usize {
        self.patch.iter().product()
    }

    /// The patch of a pixel.
    #[inline(always)]
    pub fn of(self, pixel: usize) -> usize {
        let [_, picture_width] = self.picture;
        let [height, width] = self.patch;
        let (row, column) = (pixel / picture_width, pixel % picture_width);
        row / height * (picture_width / width) + column / width
    }

    /// The pixels of one row of a patch.
    #[inline(always)]
    pub(crate) fn row(self, patch: usize, row: usize) -> Range<usize> {
        let [_, picture_width] = self.picture;
        let [height, width] = self.patch;
        let across = picture_width / width;
        let (band, place) = (patch / across, patch % across);
        let start = (band * height + row) * picture_width + place * width;
        start..start + width
    }
}

/// The means over patches by Burn's elementary operations. Shapes are those of [`patch_means`](crate::patch_means()).
pub(crate) fn composed(tokens: Tensor<4>, patches: Patches) -> Tensor<4> {
    let [batch, heads, _, head_dim] = tokens.dims();
    let Patches { picture: [picture_height, picture_width], patch: [height, width] } = patches;
    let (bands, across) = (picture_height / height, picture_width / width);
    tokens
        .reshape([batch * heads * bands, height, across, width, head_dim])
        .mean_dim(3)
        .mean_dim(1)
        .reshape([batch, heads, bands * across, head_dim])
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Int, TensorData};

    use super::*;
    use crate::{
        patch_means, segment_means,
        testing::{self, random},
    };

    const SIZES: [([usize; 2], [usize; 2]); 6] = [
        ([1, 1], [1, 1]),
        ([4, 6], [2, 3]),
        ([6, 4], [3, 1]),
        ([3, 8], [1, 4]),
        ([5, 7], [5, 7]),
        ([32, 32], [4, 4]),
    ];

    fn patches(picture: [usize; 2], patch: [usize; 2]) -> Patches {
        Patches::new(picture, patch).unwrap()
    }

    #[test]
    fn means_by_hand() {
        let pixels = Tensor::<1, Int>::arange(0..8, &Device::flex()).float().reshape([1, 1, 8, 1]);
        // 0 1 | 2 3
        // 4 5 | 6 7
        let means = patch_means(pixels, patches([2, 4], [2, 2]));
        means.to_data().assert_eq(&TensorData::from([[[[2.5f32], [4.5]]]]), true);
    }

    #[test]
    fn what_does_not_cover_a_picture_is_none() {
        for (picture, patch) in [
            ([4, 6], [3, 3]),
            ([4, 6], [2, 4]),
            ([0, 6], [1, 1]),
            ([4, 6], [0, 2]),
            ([2, 2], [4, 1]),
        ] {
            assert_eq!(Patches::new(picture, patch), None);
        }
    }

    #[test]
    fn each_pixel_is_of_one_patch() {
        for (picture, patch) in SIZES {
            let patches = patches(picture, patch);
            let mut found = vec![0; patches.num_pixels()];
            for number in 0..patches.count() {
                for pixel in (0..patch[0]).flat_map(|row| patches.row(number, row)) {
                    assert_eq!(patches.of(pixel), number);
                    found[pixel] += 1;
                }
            }
            assert!(found.iter().all(|&times| times == 1));
        }
    }

    #[test]
    fn equals_the_composed_path() {
        for (picture, patch) in SIZES {
            let patches = patches(picture, patch);
            for (heads, head_dim) in [(1, 1), (2, 3), (3, 64)] {
                testing::same(
                    [random([2, patches.num_pixels(), heads, head_dim])],
                    |[tokens]| patch_means(tokens.swap_dims(1, 2), patches),
                    |[tokens]| composed(tokens.swap_dims(1, 2), patches),
                );
            }
        }
    }

    #[test]
    fn special_values_behave_as_the_composed_path() {
        let patches = patches([6, 4], [3, 2]);
        testing::same_with_special_values(
            [random([2, 3, 24, 4])],
            |[tokens]| patch_means(tokens, patches),
            |[tokens]| composed(tokens, patches),
        );
    }

    /// One row high, they are segments.
    #[test]
    fn patches_of_one_row_are_segments_to_the_bit() {
        let tokens = random([2, 3, 24, 5]).inner();
        let segments = segment_means(tokens.clone(), 6);
        let patches = patch_means(tokens, patches([3, 8], [1, 4]));
        patches.into_data().assert_eq(&segments.into_data(), true);
    }

    #[test]
    fn does_not_depend_on_the_number_of_threads() {
        testing::same_bits_for_any_threads([random([2, 3, 1024, 33])], |[tokens]| {
            patch_means(tokens, patches([32, 32], [4, 4]))
        });
    }
}
