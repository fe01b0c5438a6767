//! JPEG, read.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::Samples;

/// Decodes a JPEG to red, green and blue; a side above `side` is refused before pixels are read.
pub(super) fn decode(bytes: &[u8], side: usize) -> Result<Samples, String> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(side)
        .set_max_height(side)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let values = decoder.decode().map_err(|error| format!("JPEG: {error}"))?;
    let info = decoder.info().ok_or("JPEG: no size in the file")?;
    Ok(Samples { width: info.width.into(), height: info.height.into(), channels: 3, values })
}
