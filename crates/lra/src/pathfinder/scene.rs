//! What a picture shows, in the unit square.

use nystromformer_tasks::random::{below, stream};
use rand_chacha::rand_core::Rng;

use super::config::PathfinderConfig;
use super::curve::{Curve, Point};

/// How much the distances of the two discs may differ between the labels.
const DISTANCE_TOLERANCE: f64 = 0.05;
/// How much the alignments of the discs with their curves may; an alignment is between -2 and 2.
const ALIGNMENT_TOLERANCE: f64 = 0.4;
/// Starts that are tried for a distractor before the picture goes without it.
const DISTRACTOR_ATTEMPTS: usize = 30;
/// Starts that are tried for the second long curve before the first is drawn anew.
const TARGET_ATTEMPTS: usize = 30;

/// Curves and discs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scene {
    /// The two long curves, then the distractors.
    pub(super) curves: Vec<Curve>,
    /// Where the two discs lie.
    pub(super) discs: [Point; 2],
}

/// The scene of a number. Curves are a function of the seed and the number; `joined` only says which end the second disc
/// marks: the other one of the first disc's curve, or one of the other long curve.
pub(super) fn scene(config: PathfinderConfig, seed: u64, number: u64, joined: bool) -> Scene {
    let random = &mut stream(seed, "pathfinder scene", number);
    let (targets, [first, same, other]) = loop {
        if let Some(targets) = targets(config.contour.dashes(), random)
            && let Some(discs) = places(&targets, random)
        {
            break (targets, discs);
        }
    };
    let mut curves = Vec::from(targets);
    let mut taken: Vec<Point> = curves.iter().flat_map(Curve::vertices).copied().collect();
    let dashes = config.contour.dashes() / 3;
    for _ in 0..config.distractor_dashes / dashes {
        let grown = (0..DISTRACTOR_ATTEMPTS).find_map(|_| Curve::grow(dashes, &taken, random));
        if let Some(curve) = grown {
            taken.extend(curve.vertices());
            curves.push(curve);
        }
    }
    Scene { curves, discs: [first, if joined { same } else { other }] }
}

/// Two long curves.
fn targets(dashes: usize, random: &mut impl Rng) -> Option<[Curve; 2]> {
    let first = Curve::grow(dashes, &[], random)?;
    let second =
        (0..TARGET_ATTEMPTS).find_map(|_| Curve::grow(dashes, first.vertices(), random))?;
    Some([first, second])
}

/// Where the first disc lies, and the second under either label: any of the eight choices of ends of which neither
/// distance nor direction tells the label; `None` if there is no such choice.
fn places(targets: &[Curve; 2], random: &mut impl Rng) -> Option<[Point; 3]> {
    let ends = targets.each_ref().map(Curve::ends);
    let choices: Vec<[Point; 3]> = (0..8)
        .map(|choice| [choice & 1, choice >> 1 & 1, choice >> 2])
        .map(|[curve, end, other]| [ends[curve][end], ends[curve][1 - end], ends[1 - curve][other]])
        .filter(|[first, same, other]| alike(*first, *same, *other))
        .map(|choice| choice.map(|(place, _)| place))
        .collect();
    let count = u32::try_from(choices.len()).expect("there are eight at most");
    (count > 0).then(|| choices[below(random, count) as usize])
}

/// Whether two ends are alike as seen from a first one.
fn alike(first: (Point, Point), same: (Point, Point), other: (Point, Point)) -> bool {
    let distance = |to: (Point, Point)| first.0.distance(to.0);
    // How far the curves at both discs set out towards the other disc.
    let alignment =
        |to: (Point, Point)| first.1.dot(first.0.towards(to.0)) + to.1.dot(to.0.towards(first.0));
    (distance(same) - distance(other)).abs() <= DISTANCE_TOLERANCE
        && (alignment(same) - alignment(other)).abs() <= ALIGNMENT_TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::super::config::ContourLength;
    use super::*;

    #[test]
    fn both_labels_show_the_same_curves_and_the_first_disc() {
        for contour in ContourLength::ALL {
            let config = PathfinderConfig { contour, ..PathfinderConfig::default() };
            let mut distractors = 0;
            for number in 0..20 {
                let [joined, apart] = [true, false].map(|label| scene(config, 3, number, label));
                assert_eq!(joined.curves, apart.curves);
                assert_eq!(joined.discs[0], apart.discs[0]);
                assert_ne!(joined.discs[1], apart.discs[1]);
                let [near, far] =
                    [&joined, &apart].map(|scene| scene.discs[0].distance(scene.discs[1]));
                assert!((near - far).abs() <= DISTANCE_TOLERANCE);
                distractors += joined.curves.len() - 2;
            }
            let most = 20 * (config.distractor_dashes / (contour.dashes() / 3));
            assert!(distractors > most / 2, "{contour:?}: {distractors}");
        }
    }
}
