//! A curve as a random walk of equal steps, each bearing a dash.
//!
//! Only sums, products, quotients and square roots are used, which every computer rounds alike; sines are not, and a
//! picture would then depend on where it was drawn.

use nystromformer_tasks::random::unit;
use rand_chacha::rand_core::Rng;

/// Length of a step, of which [`DASH`] is drawn and the rest is a gap; the picture's side is 1.
pub(super) const STEP: f64 = 0.07;
/// The part of a step that is drawn, in its middle.
const DASH: f64 = 0.62;
/// Least distance of vertices of different curves, or of one that comes back to itself. Above [`STEP`], so that curves
/// cannot cross between two vertices.
const CLEARANCE: f64 = 0.11;
/// Curves stay this far from the border.
const MARGIN: f64 = 0.08;
/// Tangent of half the largest turn from step to step (about 36 degrees), and of half the largest change of the turn.
const MAX_TURN: f64 = 0.32;
const TURN_CHANGE: f64 = 0.2;
/// Turns that are tried for a step before the curve is given up.
const TURNS: usize = 12;

/// A place in the unit square, or a direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

impl Point {
    /// The place `length` away from here in a direction.
    pub(super) fn step(self, direction: Self, length: f64) -> Self {
        Self { x: self.x + direction.x * length, y: self.y + direction.y * length }
    }

    pub(super) fn distance(self, other: Self) -> f64 {
        ((self.x - other.x) * (self.x - other.x) + (self.y - other.y) * (self.y - other.y)).sqrt()
    }

    /// The direction from here to another place.
    pub(super) fn towards(self, other: Self) -> Self {
        let distance = self.distance(other);
        Self { x: (other.x - self.x) / distance, y: (other.y - self.y) / distance }
    }

    pub(super) fn dot(self, other: Self) -> f64 {
        self.x * other.x + self.y * other.y
    }

    /// A direction turned by the angle whose half has this tangent.
    fn turned(self, half_tangent: f64) -> Self {
        let square = half_tangent * half_tangent;
        let (cosine, sine) = ((1.0 - square) / (1.0 + square), 2.0 * half_tangent / (1.0 + square));
        Self { x: self.x * cosine - self.y * sine, y: self.x * sine + self.y * cosine }
    }

    fn inside(self) -> bool {
        let range = MARGIN..1.0 - MARGIN;
        range.contains(&self.x) && range.contains(&self.y)
    }
}

/// The vertices of a curve, one more than its dashes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Curve {
    vertices: Vec<Point>,
}

impl Curve {
    /// Tries to grow a curve in free space that keeps its distance from `taken` places and from itself, and where it
    /// begins and goes is random. `None` if there was no way on.
    pub(super) fn grow(dashes: usize, taken: &[Point], random: &mut impl Rng) -> Option<Self> {
        let clear = |place: Point, others: &[Point]| {
            place.inside() && others.iter().all(|other| place.distance(*other) >= CLEARANCE)
        };
        let start = Point { x: unit(random), y: unit(random) };
        if !clear(start, taken) {
            return None;
        }
        let mut direction = random_direction(random);
        let mut turn = symmetric(random) * MAX_TURN;
        let mut vertices = vec![start];
        for _ in 0..dashes {
            let last = vertices[vertices.len() - 1];
            // The two vertices before are nearer than the clearance by construction.
            let older = &vertices[..vertices.len().saturating_sub(2)];
            let next = (0..TURNS).find_map(|_| {
                let turn = (turn + symmetric(random) * TURN_CHANGE).clamp(-MAX_TURN, MAX_TURN);
                let direction = direction.turned(turn);
                let place = last.step(direction, STEP);
                (clear(place, taken) && clear(place, older)).then_some((turn, direction, place))
            })?;
            (turn, direction) = (next.0, next.1);
            vertices.push(next.2);
        }
        Some(Self { vertices })
    }

    /// The places that other curves keep away from.
    pub(super) fn vertices(&self) -> &[Point] {
        &self.vertices
    }

    /// The first and last dash's outer ends, each with the direction in which the curve leaves it.
    pub(super) fn ends(&self) -> [(Point, Point); 2] {
        let end = |outer: Point, inner: Point| {
            let direction = outer.towards(inner);
            (outer.step(direction, STEP * (1.0 - DASH) / 2.0), direction)
        };
        let last = self.vertices.len() - 1;
        [end(self.vertices[0], self.vertices[1]), end(self.vertices[last], self.vertices[last - 1])]
    }

    /// Both ends of each dash.
    pub(super) fn dashes(&self) -> impl Iterator<Item = [Point; 2]> {
        self.vertices.windows(2).map(|step| {
            let direction = step[0].towards(step[1]);
            let start = step[0].step(direction, STEP * (1.0 - DASH) / 2.0);
            [start, start.step(direction, STEP * DASH)]
        })
    }
}

/// Uniform in `[-1, 1)`.
fn symmetric(random: &mut impl Rng) -> f64 {
    2.0 * unit(random) - 1.0
}

/// A direction, all alike: that of a uniform place in the unit disc.
fn random_direction(random: &mut impl Rng) -> Point {
    let centre = Point { x: 0.0, y: 0.0 };
    loop {
        let place = Point { x: symmetric(random), y: symmetric(random) };
        if (0.01..1.0).contains(&place.dot(place)) {
            return centre.towards(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use nystromformer_tasks::random::stream;

    use super::*;

    #[test]
    fn curves_keep_their_length_their_distance_and_inside() {
        let mut grown = 0;
        for number in 0..200 {
            let random = &mut stream(1, "test", number);
            let taken = [Point { x: 0.5, y: 0.5 }];
            let Some(curve) = Curve::grow(9, &taken, random) else { continue };
            grown += 1;
            assert_eq!(curve.dashes().count(), 9);
            for (place, vertex) in curve.vertices().iter().enumerate() {
                assert!(vertex.inside() && vertex.distance(taken[0]) >= CLEARANCE);
                for older in &curve.vertices()[..place.saturating_sub(2)] {
                    assert!(vertex.distance(*older) >= CLEARANCE);
                }
            }
            for [start, end] in curve.dashes() {
                assert!((start.distance(end) - STEP * DASH).abs() < 1e-12);
            }
        }
        assert!(grown > 20, "{grown}");
    }
}
