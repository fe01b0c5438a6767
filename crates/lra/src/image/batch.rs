//! A batch of CIFAR-10: the pictures of one file.

use nystromformer_tasks::Example;

use super::{SIDE, example};
use crate::picture::luminance;

/// Pixels of a picture.
const PIXELS: usize = SIDE * SIDE;
/// Bytes of a picture: its red, its green, its blue pixels.
pub(super) const PICTURE_BYTES: usize = 3 * PIXELS;

/// The pictures of a file.
pub(super) struct CifarBatch {
    pub(super) labels: Vec<u8>,
    /// [`PICTURE_BYTES`] for each label.
    pub(super) pictures: Vec<u8>,
}

impl CifarBatch {
    pub(super) fn example(&self, picture: usize) -> Example {
        let bytes = &self.pictures[picture * PICTURE_BYTES..][..PICTURE_BYTES];
        let (red, rest) = bytes.split_at(PIXELS);
        let (green, blue) = rest.split_at(PIXELS);
        let colours = red.iter().zip(green).zip(blue);
        let pixels = colours.map(|((red, green), blue)| luminance([*red, *green, *blue]));
        example(pixels, self.labels[picture].into())
    }
}
