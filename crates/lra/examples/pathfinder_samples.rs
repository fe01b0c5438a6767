//! Draws a sheet of Pathfinder pictures: joined on the left, not joined on the right.
//!
//! ```text
//! cargo run --release --example pathfinder_samples -- SHEET.png
//! ```
//!
//! Rows: 32, 64 and 128 pixels at 14 dashes, 128 pixels at 9 and at 6. Small pictures are enlarged.

use std::fs::File;
use std::io::BufWriter;

use nystromformer_lra::pathfinder::{ContourLength, PathfinderConfig, draw};

/// Pictures of a label in a row.
const COLUMNS: usize = 4;
/// Pixels of a side on the sheet, and between pictures.
const SIDE: usize = 128;
const GAP: usize = 6;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: pathfinder_samples SHEET.png")?;
    let rows = [
        (32, ContourLength::Fourteen),
        (64, ContourLength::Fourteen),
        (128, ContourLength::Fourteen),
        (128, ContourLength::Nine),
        (128, ContourLength::Six),
    ];
    let width = 2 * COLUMNS * (SIDE + GAP) + GAP;
    let height = rows.len() * (SIDE + GAP) + GAP;
    let mut sheet = vec![96u8; width * height];
    for (row, (side, contour)) in rows.into_iter().enumerate() {
        let config = PathfinderConfig { side, contour, ..PathfinderConfig::default() };
        for column in 0..2 * COLUMNS {
            // Even numbers are joined.
            let number = 2 * (column % COLUMNS) + column / COLUMNS;
            let picture = draw(config, 0, number as u64).pixels;
            let left = GAP + column * (SIDE + GAP);
            let top = GAP + row * (SIDE + GAP);
            for (line, across) in (0..SIDE).flat_map(|line| (0..SIDE).map(move |x| (line, x))) {
                let pixel = picture[line * side / SIDE * side + across * side / SIDE];
                sheet[(top + line) * width + left + across] = pixel;
            }
        }
    }
    let mut encoder =
        png::Encoder::new(BufWriter::new(File::create(path)?), width as u32, height as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&sheet)?;
    Ok(())
}
