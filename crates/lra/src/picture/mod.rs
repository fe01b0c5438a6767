//! Small square pictures: files of PNG and JPEG as grey pixels, and grey pixels as PNG.
//!
//! | module | idea |
//! |---|---|
//! | `grayscale` | TensorFlow's rule from colours to grey |
//! | `jpeg`, `png` | the two formats |

mod grayscale;
mod jpeg;
mod png;

use std::fs;
use std::path::Path;

use nystromformer_tasks::{DataError, OwnVocabulary, git_lfs};

pub(super) use grayscale::luminance;
pub(super) use png::encode;

/// Ids of grey values, and one more for a padding that no picture has: 0 is black.
pub(super) const VOCABULARY: OwnVocabulary = OwnVocabulary::new(257, 256);

/// Bytes of a picture file that is still read; one of 256 × 256 pixels has fewer whatever it shows.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Samples of a decoded picture, row by row.
struct Samples {
    width: usize,
    height: usize,
    /// Samples of a pixel: 1 or 2 for grey, 3 or 4 for red, green, blue; an even number has transparency, which is
    /// ignored.
    channels: usize,
    values: Vec<u8>,
}

/// The grey pixels of a picture file of `side` × `side` pixels, row by row.
///
/// # Errors
///
/// [`DataError::Dataset`] for a file that is no such picture, [`DataError::Io`].
pub(super) fn read_grayscale(path: &Path, side: usize) -> Result<Vec<u8>, DataError> {
    let bytes = fs::metadata(path).map_err(DataError::io("read", path))?.len();
    if bytes > MAX_FILE_BYTES {
        let problem = format!("{bytes} bytes are no picture of {side} × {side} pixels");
        return Err(DataError::dataset(path, problem));
    }
    git_lfs::check(path)?;
    let bytes = fs::read(path).map_err(DataError::io("read", path))?;
    decode(&bytes, side).map_err(|problem| DataError::dataset(path, problem))
}

/// The grey pixels of a picture, whose first bytes tell its format.
fn decode(bytes: &[u8], side: usize) -> Result<Vec<u8>, String> {
    let samples = if bytes.starts_with(b"\x89PNG") {
        png::decode(bytes, side)?
    } else if bytes.starts_with(b"\xff\xd8") {
        jpeg::decode(bytes, side)?
    } else {
        return Err("neither PNG nor JPEG by its first bytes".to_owned());
    };
    let Samples { width, height, channels, values } = samples;
    if (width, height) != (side, side) {
        return Err(wrong_size(width, height, side));
    }
    Ok(match channels {
        3 | 4 => values
            .chunks_exact(channels)
            .map(|pixel| luminance([pixel[0], pixel[1], pixel[2]]))
            .collect(),
        _ => values.into_iter().step_by(channels).collect(),
    })
}

fn wrong_size(width: usize, height: usize, side: usize) -> String {
    format!("the picture has {width} × {height} pixels, expected {side} × {side}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_pixels_survive_png() {
        let pixels: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(16, 16, &pixels), 16).unwrap(), pixels);
    }

    /// A JPEG of 8 × 8 pixels of one grey: its only coefficient is 8 · (100 - 128).
    const GREY_JPEG: &[&[u8]] = &[
        b"\xff\xd8",
        b"\xff\xdb\x00\x43\x00", // a table of 64 quantisation steps, all 1
        &[1; 64],
        b"\xff\xc0\x00\x0b\x08\x00\x08\x00\x08\x01\x01\x11\x00", // 8 × 8, one component
        b"\xff\xc4\x00\x14\x00\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x08", // code 0: 8 bits follow
        b"\xff\xc4\x00\x14\x10\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x00", // code 0: the block ends
        b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00",
        b"\x0f\xbf", // 0, 00011111 for -224, 0, and padding
        b"\xff\xd9",
    ];

    #[test]
    fn a_grey_jpeg_is_decoded() {
        assert_eq!(decode(&GREY_JPEG.concat(), 8).unwrap(), [100; 64]);
        assert!(decode(&GREY_JPEG.concat(), 9).unwrap_err().contains("8 × 8 pixels, expected"));
        assert!(decode(&GREY_JPEG.concat(), 7).unwrap_err().contains("JPEG: "));
    }

    #[test]
    fn what_is_no_picture_is_told() {
        let whole = encode(4, 4, &[7; 16]);
        for (bytes, side, message) in [
            (&whole[..], 5, "4 × 4 pixels, expected 5 × 5"),
            (&whole[..40], 4, "PNG: "),
            (&b"GIF89a"[..], 4, "neither PNG nor JPEG"),
            (&b"\xff\xd8\xff"[..], 4, "JPEG: "),
            (&b""[..], 4, "neither PNG nor JPEG"),
        ] {
            let problem = decode(bytes, side).unwrap_err();
            assert!(problem.contains(message), "{problem}");
        }
    }
}
