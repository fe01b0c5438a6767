//! Scenes as grey pixels.

use super::config::PathfinderConfig;
use super::curve::{Curve, Point};
use super::scene::scene;

/// Radius of a disc; the picture's side is 1.
const DISC_RADIUS: f64 = 0.042;

/// A picture and its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawing {
    /// Grey pixels row by row, 0 for black ground and 255 for white curves.
    pub pixels: Vec<u8>,
    /// Whether one curve joins the two discs.
    pub joined: bool,
}

/// The picture of a number, a function of the config, the seed and the number. Every second one is joined, so the labels
/// are balanced; a set of them has to be shuffled.
pub fn draw(config: PathfinderConfig, seed: u64, number: u64) -> Drawing {
    let joined = number.is_multiple_of(2);
    let scene = scene(config, seed, number, joined);
    let mut canvas = Canvas::new(config.side);
    // A line of one pixel at 32 pixels; larger pictures show finer lines.
    let half_width = 0.5 * (32.0 / config.side as f64).sqrt() / 32.0;
    for dash in scene.curves.iter().flat_map(Curve::dashes) {
        canvas.stroke(dash, half_width);
    }
    for disc in scene.discs {
        canvas.stroke([disc, disc], DISC_RADIUS);
    }
    Drawing { pixels: canvas.pixels, joined }
}

/// Pixels of the unit square.
struct Canvas {
    side: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    fn new(side: usize) -> Self {
        Self { side, pixels: vec![0; side * side] }
    }

    /// Whitens what lies within `radius` of a line. A pixel that the edge passes through is as bright as the part of it
    /// that the edge leaves inside, judged by the distance of its centre.
    fn stroke(&mut self, line: [Point; 2], radius: f64) {
        let side = self.side as f64;
        let [across, down] = [|point: Point| point.x, |point: Point| point.y].map(|axis| {
            let [start, end] = line.map(|point| axis(point) * side);
            let reach = radius * side + 1.0;
            let (least, most) = (start.min(end) - reach, start.max(end) + reach);
            least.max(0.0) as usize..(most.max(0.0).ceil() as usize).min(self.side)
        });
        for row in down {
            for column in across.clone() {
                let centre =
                    Point { x: (column as f64 + 0.5) / side, y: (row as f64 + 0.5) / side };
                let inside = (radius - distance_to_line(centre, line)) * side + 0.5;
                let brightness = (inside.clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
                let pixel = &mut self.pixels[row * self.side + column];
                *pixel = brightness.max(*pixel);
            }
        }
    }
}

/// The distance of a place from the nearest point between two ends.
fn distance_to_line(place: Point, [start, end]: [Point; 2]) -> f64 {
    let length = start.distance(end);
    if length == 0.0 {
        return place.distance(start);
    }
    let direction = start.towards(end);
    let along = Point { x: place.x - start.x, y: place.y - start.y }.dot(direction);
    place.distance(start.step(direction, along.clamp(0.0, length)))
}

#[cfg(test)]
mod tests {
    use super::super::config::ContourLength;
    use super::*;

    fn config(side: usize) -> PathfinderConfig {
        PathfinderConfig { side, ..PathfinderConfig::default() }
    }

    #[test]
    fn a_picture_is_a_function_of_seed_and_number() {
        assert_eq!(draw(config(32), 1, 5), draw(config(32), 1, 5));
        assert_ne!(draw(config(32), 1, 5), draw(config(32), 1, 7));
        assert_ne!(draw(config(32), 1, 5), draw(config(32), 2, 5));
        // What is drawn does not depend on where: no operation is used that computers round differently.
        let digest = blake3::hash(&draw(config(32), 1, 5).pixels).to_hex();
        assert_eq!(&digest[..16], "68b0369c09047ead");
    }

    /// The label read off the pixels: whether brightness spreads from one disc to the other, across gaps of dashes but
    /// not from curve to curve.
    fn joined_by_pixels(config: PathfinderConfig, number: u64, reach: usize) -> bool {
        let side = config.side;
        let pixels = draw(config, 4, number).pixels;
        let [from, to] = scene(config, 4, number, number.is_multiple_of(2))
            .discs
            .map(|disc| (disc.y * side as f64) as usize * side + (disc.x * side as f64) as usize);
        let mut seen = vec![false; pixels.len()];
        let mut open = vec![from];
        while let Some(place) = open.pop() {
            let (row, column) = (place / side, place % side);
            for row in row.saturating_sub(reach)..=(row + reach).min(side - 1) {
                for column in column.saturating_sub(reach)..=(column + reach).min(side - 1) {
                    let next = row * side + column;
                    if pixels[next] > 127 && !std::mem::replace(&mut seen[next], true) {
                        open.push(next);
                    }
                }
            }
        }
        seen[to]
    }

    #[test]
    fn pixels_bear_the_label_out() {
        for contour in ContourLength::ALL {
            let config = PathfinderConfig { contour, ..config(128) };
            for number in 0..40 {
                assert_eq!(
                    joined_by_pixels(config, number, 4),
                    number.is_multiple_of(2),
                    "{contour:?} {number}"
                );
            }
        }
    }

    #[test]
    fn brightness_does_not_tell_the_label() {
        let brightness = |number| {
            let pixels = draw(config(32), 9, number).pixels;
            pixels.iter().map(|pixel| f64::from(*pixel)).sum::<f64>() / 255.0
        };
        let pictures = 2_000;
        let of = |label: u64| -> Vec<f64> {
            (0..pictures).map(|picture| brightness(2 * picture + label)).collect()
        };
        let [joined, apart] = [of(0), of(1)];
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let variance = |values: &[f64]| {
            let centre = mean(values);
            values.iter().map(|value| (value - centre) * (value - centre)).sum::<f64>()
                / values.len() as f64
        };
        let error = ((variance(&joined) + variance(&apart)) / pictures as f64).sqrt();
        let difference = mean(&joined) - mean(&apart);
        assert!(difference.abs() < 3.0 * error, "{difference} ± {error}");
        // The best threshold is no better than a coin.
        let mut all: Vec<(f64, bool)> = joined
            .iter()
            .map(|value| (*value, true))
            .chain(apart.iter().map(|value| (*value, false)))
            .collect();
        all.sort_by(|left, right| left.0.total_cmp(&right.0));
        let mut lead = 0i64;
        let best = all
            .iter()
            .map(|(_, joined)| {
                lead += if *joined { 1 } else { -1 };
                lead.abs()
            })
            .max()
            .unwrap();
        let accuracy = 0.5 + best as f64 / all.len() as f64;
        assert!(accuracy < 0.53, "{accuracy}");
    }
}
