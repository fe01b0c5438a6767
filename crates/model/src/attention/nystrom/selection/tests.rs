//! Each rule, stated again in 64-bit floats.

use burn::tensor::Distribution;
use nystromformer_kernels::{Seed, random};

use super::*;

const TOKENS: usize = 13;
const HEAD_DIM: usize = 3;
const STEPS: usize = 2;
const MASKS: [[i64; TOKENS]; 5] = [
    [1; TOKENS],
    [1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
    [0, 0, 1, 0, 1, 1, 1, 1, 1, 0, 1, 1, 0],
    [0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
];
const RULES: [LandmarkRule; 5] = [
    LandmarkRule::SegmentMeans,
    LandmarkRule::Weighted,
    LandmarkRule::Strided,
    LandmarkRule::KMeans,
    // Of no picture.
    LandmarkRule::Patches,
];

type Rows = Vec<Vec<f64>>;

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

fn mean(rows: &[Vec<f64>], weight: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let total: f64 = rows.iter().map(|row| weight(row)).sum();
    let channel = |channel: usize| -> f64 {
        rows.iter().map(|row| weight(row) * row[channel]).sum::<f64>() / total
    };
    (0..HEAD_DIM).map(channel).collect()
}

/// The rules in 64-bit floats, for the tokens of one row and head.
fn expected(
    tokens: &[Vec<f64>],
    rule: LandmarkRule,
    count: usize,
    keeps_ends: bool,
    score: &[f64],
) -> Rows {
    if keeps_ends {
        let Some((first, rest)) = tokens.split_first() else { return Rows::new() };
        let Some((last, between)) = rest.split_last() else { return vec![first.clone()] };
        let between = expected(between, rule, count - 2, false, score);
        return [vec![first.clone(), last.clone()], between].concat();
    }
    let count = count.min(tokens.len());
    let mut rest = tokens;
    let segments: Vec<&[Vec<f64>]> = (0..count)
        .map(|segment| {
            let num_long = tokens.len() % count;
            let size = tokens.len() / count + usize::from(segment >= count - num_long);
            let (own, others) = rest.split_at(size);
            rest = others;
            own
        })
        .collect();
    let means = |weight: &dyn Fn(&[f64]) -> f64| -> Rows {
        segments.iter().map(|segment| mean(segment, weight)).collect()
    };
    match rule {
        LandmarkRule::SegmentMeans | LandmarkRule::Patches => means(&|_| 1.0),
        LandmarkRule::Weighted => means(&|row| dot(row, score).exp()),
        LandmarkRule::Strided => {
            segments.iter().map(|segment| segment[segment.len() / 2].clone()).collect()
        }
        LandmarkRule::KMeans => (0..STEPS).fold(means(&|_| 1.0), |means, _| {
            let distance = |left: &[f64], right: &[f64]| -> f64 {
                left.iter().zip(right).map(|(left, right)| (left - right).powi(2)).sum()
            };
            let nearest = |token: &[f64]| -> usize {
                let of = |landmark: usize| distance(token, &means[landmark]);
                (0..means.len()).min_by(|a, b| of(*a).total_cmp(&of(*b))).unwrap()
            };
            let of_landmark = |landmark: usize| -> Vec<f64> {
                let near = tokens.iter().filter(|token| nearest(token) == landmark);
                let near: Rows = near.cloned().collect();
                if near.is_empty() { means[landmark].clone() } else { mean(&near, |_| 1.0) }
            };
            (0..means.len()).map(of_landmark).collect()
        }),
    }
}

fn selection(
    rule: LandmarkRule,
    count: usize,
    keeps_ends: bool,
    shared: &SharedConfig,
) -> LandmarkSelection {
    let options = NystromConfig {
        num_landmarks: count,
        landmarks: rule,
        k_means_steps: STEPS,
        keep_ends: keeps_ends,
        ..NystromConfig::default()
    };
    LandmarkSelection::of(&options, shared, &Device::flex())
}

#[test]
fn landmarks_are_what_their_rule_says_of_the_valid_tokens() {
    let device = Device::flex();
    let shared = SharedConfig {
        hidden_size: 2 * HEAD_DIM,
        num_attention_heads: 2,
        ..SharedConfig::default()
    };
    let normal = Distribution::Normal(0.0, 1.5);
    let shape = [MASKS.len(), 2, TOKENS, HEAD_DIM];
    let (tokens, score) = Seed::new(21).scope(|| {
        (random::<4>(shape, normal, &device), random::<2>([2, HEAD_DIM], normal, &device))
    });
    let rows_of = |x: &Tensor<4>, row: usize, head: usize| -> Rows {
        let one = x.clone().narrow(0, row, 1).narrow(1, head, 1);
        let numbers: Vec<f64> = one.into_data().iter::<f64>().collect();
        numbers.chunks(HEAD_DIM).map(<[f64]>::to_vec).collect()
    };
    let scores: Vec<f64> = score.clone().into_data().iter::<f64>().collect();
    for rule in RULES {
        for (count, keeps_ends) in [(1, false), (4, false), (20, false), (5, true), (3, true)] {
            let mut selection = selection(rule, count, keeps_ends, &shared);
            assert_eq!(selection.key_score.is_some(), rule == LandmarkRule::Weighted);
            if rule == LandmarkRule::Weighted {
                selection.key_score = Some(Param::from_tensor(score.clone()));
            }
            let mask = Tensor::<2, Int>::from_ints(MASKS, &device);
            let padding = Padding::new(mask, Some(count), true);
            for padding in [None, Some(&padding)] {
                let chosen = selection.choose(tokens.clone(), tokens.clone(), padding);
                for (row, mask) in MASKS.iter().enumerate() {
                    let used: Option<Vec<f64>> = chosen.spare.as_ref().map(|spare| {
                        spare.keep.clone().narrow(0, row, 1).into_data().iter::<f64>().collect()
                    });
                    for head in 0..2 {
                        let all = rows_of(&tokens, row, head).into_iter().zip(mask);
                        let valid = all.filter(|(_, kept)| padding.is_none() || **kept == 1);
                        let valid: Rows = valid.map(|(token, _)| token).collect();
                        let score = &scores[head * HEAD_DIM..][..HEAD_DIM];
                        let expected = expected(&valid, rule, count, keeps_ends, score);
                        let found = rows_of(&chosen.key, row, head).into_iter().enumerate();
                        let is_used =
                            |place: usize| used.as_ref().is_none_or(|used| used[place] == 1.0);
                        let found: Rows =
                            found.filter(|(place, _)| is_used(*place)).map(|(_, x)| x).collect();
                        let name = format!("{rule:?} {count} {keeps_ends} {row}");
                        assert_eq!(found.len(), expected.len(), "{name}");
                        for (found, expected) in found.iter().zip(&expected) {
                            for (found, expected) in found.iter().zip(expected) {
                                assert!((found - expected).abs() < 1e-5, "{name}");
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Of a picture of 3 x 5 pixels without the last two; then of one of which all are there.
#[test]
fn patches_average_over_their_valid_pixels() {
    let device = Device::flex();
    let shared = SharedConfig { hidden_size: 3, num_attention_heads: 1, ..SharedConfig::default() };
    let normal = Distribution::Normal(0.0, 1.5);
    let tokens =
        Seed::new(4).scope(|| random::<4>([MASKS.len(), 1, TOKENS, HEAD_DIM], normal, &device));
    let numbers: Vec<f64> = tokens.clone().into_data().iter::<f64>().collect();
    let mask = Tensor::<2, Int>::from_ints(MASKS, &device);
    for (picture, count, [high, wide]) in [
        (Picture { height: 3, width: 5 }, 5, [3, 1]),
        (Picture { height: 5, width: 3 }, 5, [1, 3]),
        (Picture { height: 1, width: 13 }, 1, [1, 13]),
        (Picture { height: 1, width: 13 }, 13, [1, 1]),
    ] {
        let mut selection = selection(LandmarkRule::Patches, count, false, &shared);
        selection.set_picture(picture);
        let padding = Padding::new(mask.clone(), Some(count), true);
        for padding in [None, Some(&padding)] {
            let chosen = selection.choose(tokens.clone(), tokens.clone(), padding);
            let found: Vec<f64> = chosen.key.into_data().iter::<f64>().collect();
            let used = chosen.spare.map(|spare| spare.keep.into_data().iter::<f64>().collect());
            let used: Vec<f64> = used.unwrap_or_else(|| vec![1.0; MASKS.len() * count]);
            for (place, found) in found.chunks(HEAD_DIM).enumerate() {
                let (row, patch) = (place / count, place % count);
                let across = picture.width / wide;
                let is_inside = |pixel: usize| {
                    let (y, x) = (pixel / picture.width, pixel % picture.width);
                    y / high == patch / across && x / wide == patch % across
                };
                let is_valid = |pixel: usize| padding.is_none() || MASKS[row][pixel] == 1;
                let pixels: Rows = (0..TOKENS)
                    .filter(|pixel| is_inside(*pixel) && is_valid(*pixel))
                    .map(|pixel| numbers[(row * TOKENS + pixel) * HEAD_DIM..][..HEAD_DIM].to_vec())
                    .collect();
                assert_eq!(used[place] == 1.0, !pixels.is_empty());
                let expected =
                    if pixels.is_empty() { vec![0.0; HEAD_DIM] } else { mean(&pixels, |_| 1.0) };
                for (found, expected) in found.iter().zip(expected) {
                    assert!((found - expected).abs() < 1e-5, "{picture:?} {row} {patch}");
                }
            }
        }
    }
}

#[test]
fn scores_of_zero_give_the_means() {
    let device = Device::flex();
    let shared = SharedConfig { hidden_size: 8, num_attention_heads: 2, ..SharedConfig::default() };
    let normal = Distribution::Normal(0.0, 1.0);
    let tokens = Seed::new(3).scope(|| random::<4>([1, 2, 11, 4], normal, &device));
    let [means, weighted] = [LandmarkRule::SegmentMeans, LandmarkRule::Weighted].map(|rule| {
        selection(rule, 4, false, &shared).choose(tokens.clone(), tokens.clone(), None)
    });
    let error = (means.query - weighted.query).abs().max().into_scalar::<f32>();
    assert!(error < 1e-6, "{error}");
}

/// Scores so far apart that exponentials of them are zero, or are not finite.
#[test]
fn scores_far_apart_stay_finite_with_their_gradients() {
    let device = Device::flex().autodiff();
    let tokens = Tensor::<1, Int>::arange(0..24, &device).float().mul_scalar(40.0);
    let tokens = tokens.reshape([1, 1, 12, 2]).require_grad();
    let score = Tensor::<2>::ones([1, 2], &device).require_grad();
    let found = weighted_means(tokens.clone(), &score, 3, None);
    let gradients = found.clone().sum().backward();
    for x in [tokens.grad(&gradients).unwrap(), found.inner()] {
        assert!(x.is_finite().all().into_scalar::<bool>());
    }
    assert!(score.grad(&gradients).unwrap().is_finite().all().into_scalar::<bool>());
}
