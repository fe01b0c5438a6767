//! Means and worst over heads, samples and layers.

use serde::{Deserialize, Serialize};

use super::block::{Block, Errors};
use super::bounds::{Bound, Ranks};
use super::setting::Setting;

/// Means and worst.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Of each source of tokens.
    pub sources: Vec<OfSource>,
}

/// Of the tokens of one source and length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OfSource {
    /// `random`, or the model and the file of texts that it read.
    pub source: String,
    /// Tokens.
    pub seq_len: usize,
    /// Heads of a layer.
    pub heads: usize,
    /// Channels per head.
    pub head_dim: usize,
    /// Seed of the rows, and of landmarks that are drawn.
    pub seed: u64,
    /// Rows of each matrix that are compared.
    pub rows: usize,
    /// Sequences.
    pub samples: usize,
    /// Layers.
    pub layers: usize,
    /// Matrices: heads of all layers and sequences.
    pub matrices: usize,
    /// By number of landmarks: the least error at this rank, and that of landmarks drawn at random.
    pub bounds: Vec<BoundSpread>,
    /// By setting.
    pub settings: Vec<SettingSpread>,
    /// Of each layer: the ranks that hold the energy, and the error of the paper's way.
    pub by_layer: Vec<OfLayer>,
}

/// Mean and worst of some errors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// Matrices that it is the mean of.
    pub count: usize,
    /// The largest.
    pub worst: f64,
}

impl Spread {
    /// Of some errors; `None` without any.
    pub fn of(errors: impl IntoIterator<Item = f64>) -> Option<Self> {
        let (mut count, mut sum, mut worst) = (0_usize, 0.0, f64::NEG_INFINITY);
        for error in errors {
            count += 1;
            sum += error;
            // A NaN is the worst of all, and stays.
            worst = if error > worst || error.is_nan() { error } else { worst };
        }
        (count > 0).then(|| Self { mean: sum / count as f64, count, worst })
    }
}

/// Bounds at a number of landmarks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoundSpread {
    /// Landmarks, and the rank.
    pub num_landmarks: usize,
    /// The least error at this rank.
    pub svd: Spread,
    /// With landmarks drawn at random.
    pub random: Spread,
    /// The same, of the output.
    pub random_output: Spread,
}

/// Errors of a setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SettingSpread {
    /// The options.
    pub setting: Setting,
    /// Of the matrix.
    pub matrix: Spread,
    /// Of the output.
    pub output: Spread,
}

/// What is known of a layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OfLayer {
    /// The layer, from 0.
    pub layer: usize,
    /// Mean rank that holds 90 % of the energy, over heads and samples.
    pub rank_90: f64,
    /// The same of 99 %.
    pub rank_99: f64,
    /// The same of 99.9 %.
    pub rank_99_9: f64,
    /// Of each number of landmarks: the least error at this rank, and the paper's of matrix and output.
    pub errors: Vec<LayerErrors>,
}

/// Errors of a layer at a number of landmarks, means over heads and samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerErrors {
    /// Landmarks.
    pub num_landmarks: usize,
    /// The least error at this rank.
    pub svd: Option<f64>,
    /// The paper's way: of the matrix.
    pub matrix: Option<f64>,
    /// The same of the output.
    pub output: Option<f64>,
}

impl Summary {
    /// Of all blocks; those of another source, of other sizes, or with other rows apart.
    pub fn of(blocks: &[Block]) -> Self {
        let mut groups: Vec<Vec<&Block>> = Vec::new();
        for block in blocks {
            let of = |block: &Block| (block.source.clone(), block.sizes(), block.rows, block.seed);
            let is_same = |group: &Vec<&Block>| group.iter().any(|other| of(other) == of(block));
            match groups.iter().position(is_same) {
                Some(place) => groups[place].push(block),
                None => groups.push(vec![block]),
            }
        }
        Self { sources: groups.iter().filter_map(|blocks| OfSource::of(blocks)).collect() }
    }
}

impl OfSource {
    fn of(blocks: &[&Block]) -> Option<Self> {
        let first = *blocks.first()?;
        let settings =
            distinct(blocks.iter().flat_map(|block| &block.measured).map(|found| &found.setting));
        let landmarks = landmarks(blocks);
        let layers = distinct(blocks.iter().map(|block| &block.layer));
        let [heads, seq_len, head_dim] = first.sizes();
        Some(Self {
            source: first.source.clone(),
            seq_len,
            heads,
            head_dim,
            seed: first.seed,
            rows: first.rows,
            samples: distinct(blocks.iter().map(|block| &block.sample)).len(),
            layers: layers.len(),
            matrices: blocks.iter().map(|block| block.ranks.len()).sum(),
            bounds: landmarks.iter().filter_map(|count| bound(blocks, *count)).collect(),
            settings: settings.into_iter().filter_map(|setting| spread(blocks, setting)).collect(),
            by_layer: layers.into_iter().map(|layer| of_layer(blocks, *layer)).collect(),
        })
    }
}

/// Each once, in the order in which they come.
fn distinct<'a, T: PartialEq + 'a>(all: impl Iterator<Item = &'a T>) -> Vec<&'a T> {
    let mut found: Vec<&T> = Vec::new();
    for one in all {
        if !found.contains(&one) {
            found.push(one);
        }
    }
    found
}

fn landmarks(blocks: &[&Block]) -> Vec<usize> {
    let mut all: Vec<usize> =
        blocks.iter().flat_map(|block| &block.bounds).map(|bound| bound.num_landmarks).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn bounds_at<'a>(blocks: &'a [&Block], count: usize) -> impl Iterator<Item = &'a Bound> {
    let all = blocks.iter().flat_map(|block| &block.bounds);
    all.filter(move |bound| bound.num_landmarks == count)
}

fn errors_of<'a>(blocks: &'a [&Block], setting: &'a Setting) -> impl Iterator<Item = &'a Errors> {
    blocks.iter().flat_map(|block| &block.measured).filter(move |found| found.setting == *setting)
}

fn bound(blocks: &[&Block], count: usize) -> Option<BoundSpread> {
    let of = |values: fn(&Bound) -> &Vec<f64>| {
        Spread::of(bounds_at(blocks, count).flat_map(values).copied())
    };
    Some(BoundSpread {
        num_landmarks: count,
        svd: of(|bound| &bound.svd)?,
        random: of(|bound| &bound.random)?,
        random_output: of(|bound| &bound.random_output)?,
    })
}

fn spread(blocks: &[&Block], setting: &Setting) -> Option<SettingSpread> {
    let of = |values: fn(&Errors) -> &Vec<f64>| {
        Spread::of(errors_of(blocks, setting).flat_map(values).copied())
    };
    let (matrix, output) = (of(|found| &found.matrix)?, of(|found| &found.output)?);
    Some(SettingSpread { setting: setting.clone(), matrix, output })
}

fn of_layer(blocks: &[&Block], layer: usize) -> OfLayer {
    let blocks: Vec<&Block> = blocks.iter().filter(|block| block.layer == layer).copied().collect();
    let rank = |of: fn(&Ranks) -> usize| {
        let ranks = blocks.iter().flat_map(|block| &block.ranks).map(|ranks| of(ranks) as f64);
        Spread::of(ranks).map_or(f64::NAN, |spread| spread.mean)
    };
    let errors = landmarks(&blocks).into_iter().map(|count| {
        let paper = spread(&blocks, &Setting::paper(count));
        LayerErrors {
            num_landmarks: count,
            svd: bound(&blocks, count).map(|bound| bound.svd.mean),
            matrix: paper.as_ref().map(|spread| spread.matrix.mean),
            output: paper.as_ref().map(|spread| spread.output.mean),
        }
    });
    OfLayer {
        layer,
        rank_90: rank(|ranks| ranks.of_90),
        rank_99: rank(|ranks| ranks.of_99),
        rank_99_9: rank(|ranks| ranks.of_99_9),
        errors: errors.collect(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two layers of two heads, whose errors are theirs by hand.
    pub(crate) fn blocks() -> Vec<Block> {
        let block = |layer: usize, errors: [f64; 2]| Block {
            source: "random".to_owned(),
            sample: 0,
            layer,
            heads: 2,
            seq_len: 16,
            head_dim: 4,
            rows: 16,
            seed: 0,
            hash: layer.to_string(),
            ranks: vec![
                Ranks { of_90: 1, of_99: 2, of_99_9: 3 },
                Ranks { of_90: 3, of_99: 4, of_99_9: 5 },
            ],
            bounds: vec![Bound {
                num_landmarks: 8,
                svd: vec![0.1, 0.3],
                random: vec![0.5, 0.7],
                random_output: vec![0.4, 0.4],
            }],
            measured: vec![Errors {
                setting: Setting::paper(8),
                matrix: errors.to_vec(),
                output: vec![0.25, 0.75],
            }],
        };
        vec![block(0, [0.2, 0.4]), block(1, [0.6, 1.2])]
    }

    #[test]
    fn means_and_worst_by_hand() {
        let summary = Summary::of(&blocks());
        let [source] = summary.sources.as_slice() else { panic!("{summary:?}") };
        assert_eq!((source.samples, source.layers, source.matrices), (1, 2, 4));
        let found = &source.settings[0];
        assert!((found.matrix.mean - 0.6).abs() < 1e-12 && found.matrix.worst == 1.2);
        assert_eq!(found.output, Spread { mean: 0.5, count: 4, worst: 0.75 });
        assert!((source.bounds[0].svd.mean - 0.2).abs() < 1e-12);
        assert_eq!((source.by_layer[1].rank_90, source.by_layer[1].rank_99_9), (2.0, 4.0));
        assert!((source.by_layer[0].errors[0].matrix.unwrap() - 0.3).abs() < 1e-12);
        let changes: [fn(&mut Block); 6] = [
            |block| block.source.push('2'),
            |block| block.heads = 3,
            |block| block.seq_len = 32,
            |block| block.head_dim = 8,
            |block| block.rows = 8,
            |block| block.seed = 1,
        ];
        for change in changes {
            let mut other = blocks();
            change(&mut other[1]);
            assert_eq!(Summary::of(&other).sources.len(), 2);
        }
    }

    #[test]
    fn what_is_no_number_is_the_worst() {
        assert!(Spread::of([0.1, f64::NAN, 0.3]).unwrap().worst.is_nan());
        assert_eq!(Spread::of([]), None);
    }
}
