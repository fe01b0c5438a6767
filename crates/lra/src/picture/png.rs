//! PNG, read and written.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, Encoder, Transformations};

use super::{Samples, wrong_size};

/// Decodes a PNG of any colour type; its size is checked before its pixels are read.
pub(super) fn decode(bytes: &[u8], side: usize) -> Result<Samples, String> {
    let problem = |error| format!("PNG: {error}");
    let mut decoder = Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(problem)?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    if (width, height) != (side, side) {
        return Err(wrong_size(width, height, side));
    }
    let (colour, _) = reader.output_color_type();
    let bytes = reader.output_buffer_size().ok_or("PNG: larger than memory")?;
    let mut values = vec![0; bytes];
    reader.next_frame(&mut values).map_err(problem)?;
    Ok(Samples { width, height, channels: colour.samples(), values })
}

/// Grey pixels as a PNG file.
pub(crate) fn encode(width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, width, height);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::Eight);
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(pixels))
        .expect("memory takes any number of bytes, and there is one for each pixel");
    file
}
