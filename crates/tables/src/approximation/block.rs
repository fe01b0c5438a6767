//! The queries, keys and values of one layer, and all that is measured on them.

use burn::tensor::{Int, Tensor};
use nystromformer::SharedConfig;
use nystromformer::attention::AttentionMechanism;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::bounds::{Bound, ExactHead, Ranks, least_errors, random_errors};
use super::setting::{Grid, Setting};
use crate::error::{Result, TableError};
use crate::exact::attention_rows;
use crate::matrix::Matrix;

/// What a layer's attention reads of one sequence, and where it comes from.
#[derive(Debug, Clone)]
pub struct Heads {
    /// `random`, or the model and the file of texts that it reads.
    pub source: String,
    /// The text's line, or the seed.
    pub sample: u64,
    /// The layer, from 0.
    pub layer: usize,
    /// `[1, heads, seq_len, head_dim]` each: queries, keys and values.
    tensors: [Tensor<4>; 3],
    /// The same numbers.
    numbers: [Vec<f32>; 3],
}

impl Heads {
    /// Reads the tensors back.
    ///
    /// # Shapes
    /// - `tensors`: `[1, heads, seq_len, head_dim]` each
    ///
    /// # Errors
    /// Those of the device.
    pub fn new(source: &str, sample: u64, layer: usize, tensors: [Tensor<4>; 3]) -> Result<Self> {
        let [query, key, value] = &tensors;
        let numbers = [floats(query)?, floats(key)?, floats(value)?];
        Ok(Self { source: source.to_owned(), sample, layer, tensors, numbers })
    }

    /// Heads, tokens and channels.
    pub(super) fn sizes(&self) -> [usize; 3] {
        let [_, heads, seq_len, head_dim] = self.tensors[0].dims();
        [heads, seq_len, head_dim]
    }

    /// Tokens.
    pub fn seq_len(&self) -> usize {
        self.sizes()[1]
    }

    /// By which the same numbers are known again.
    pub(super) fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for size in self.sizes() {
            hasher.update(&(size as u64).to_le_bytes());
        }
        for number in self.numbers.iter().flatten() {
            hasher.update(&number.to_le_bytes());
        }
        hasher.finalize().to_hex().as_str()[..32].to_owned()
    }

    /// Every head in double precision, with its exact attention.
    fn exact(&self, rows: &[usize]) -> Vec<ExactHead> {
        let [heads, seq_len, head_dim] = self.sizes();
        let size = seq_len * head_dim;
        let numbers = &self.numbers;
        let one = |head: usize| {
            let [query, key, value] = numbers.each_ref().map(|numbers| {
                Matrix::of_singles(seq_len, head_dim, &numbers[head * size..(head + 1) * size])
            });
            let matrix = attention_rows(&query.select(rows), &key);
            let output = matrix.times(&value);
            ExactHead { query, key, value, matrix, output }
        };
        (0..heads).into_par_iter().map(one).collect()
    }
}

fn floats(tensor: &Tensor<4>) -> Result<Vec<f32>> {
    tensor.clone().try_into_vec_as().map_err(|error| TableError::Device(format!("{error}")))
}

/// All that was measured on one layer's tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// `random`, or the model and the file of texts that it read.
    pub source: String,
    /// The text's line, or the seed.
    pub sample: u64,
    /// The layer, from 0.
    pub layer: usize,
    /// Heads.
    pub heads: usize,
    /// Tokens.
    pub seq_len: usize,
    /// Channels per head.
    pub head_dim: usize,
    /// Rows of the matrix that are compared.
    pub rows: usize,
    /// Seed of the rows, and of landmarks that are drawn.
    pub seed: u64,
    /// Of queries, keys and values.
    pub hash: String,
    /// Of each head.
    pub ranks: Vec<Ranks>,
    /// By number of landmarks.
    pub bounds: Vec<Bound>,
    /// By setting.
    pub measured: Vec<Errors>,
}

/// How far a setting is from exact attention: of each head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Errors {
    /// The options.
    pub setting: Setting,
    /// `‖Â − A‖ / ‖A‖`, of the rows that are compared.
    pub matrix: Vec<f64>,
    /// `‖ÂV − AV‖ / ‖AV‖`, of the same rows.
    pub output: Vec<f64>,
}

impl Block {
    /// Heads, tokens and channels.
    pub(super) fn sizes(&self) -> [usize; 3] {
        [self.heads, self.seq_len, self.head_dim]
    }

    /// Whether it says that it is of the same tokens, by their name: `hash` says whether it is.
    pub(super) fn is_named_as(&self, heads: &Heads) -> bool {
        (&self.source, self.sample, self.layer, self.sizes())
            == (&heads.source, heads.sample, heads.layer, heads.sizes())
    }

    /// The same measurements by the name of these tokens, whose numbers are the same.
    pub(super) fn named_as(&self, heads: &Heads) -> Self {
        let (source, sample, layer) = (heads.source.clone(), heads.sample, heads.layer);
        Self { source, sample, layer, ..self.clone() }
    }

    /// Nothing measured yet.
    pub(super) fn new(of: &Heads, hash: String, rows: usize, seed: u64) -> Self {
        let [heads, seq_len, head_dim] = of.sizes();
        Self {
            source: of.source.clone(),
            sample: of.sample,
            layer: of.layer,
            heads,
            seq_len,
            head_dim,
            rows,
            seed,
            hash,
            ranks: Vec::new(),
            bounds: Vec::new(),
            measured: Vec::new(),
        }
    }

    /// Measures what is not there yet; returns how many settings that were.
    pub(super) fn complete(&mut self, heads: &Heads, grid: &Grid, rows: &[usize]) -> Result<usize> {
        let mut settings = grid.settings(self.seq_len);
        settings.retain(|setting| !self.measured.iter().any(|found| found.setting == *setting));
        let mut ranks = grid.ranks(self.seq_len);
        ranks.retain(|rank| !self.bounds.iter().any(|found| found.num_landmarks == *rank));
        if settings.is_empty() && ranks.is_empty() {
            return Ok(0);
        }
        let exact = heads.exact(rows);
        if !ranks.is_empty() {
            self.add_bounds(&exact, &ranks, rows);
        }
        let count = settings.len();
        for setting in settings {
            self.measured.push(measure(heads, &exact, rows, setting)?);
        }
        Ok(count)
    }

    fn add_bounds(&mut self, exact: &[ExactHead], ranks: &[usize], rows: &[usize]) {
        let of_heads: Vec<(Ranks, Vec<f64>)> =
            exact.par_iter().map(|head| least_errors(&head.matrix, ranks)).collect();
        self.ranks = of_heads.iter().map(|(ranks, _)| *ranks).collect();
        for (place, rank) in ranks.iter().enumerate() {
            let of_head = |(number, head): (usize, &ExactHead)| {
                let key = [self.seed, self.sample, self.layer as u64, number as u64, *rank as u64];
                random_errors(head, rows, *rank, &key)
            };
            let drawn: Vec<[f64; 2]> = exact.par_iter().enumerate().map(of_head).collect();
            self.bounds.push(Bound {
                num_landmarks: *rank,
                svd: of_heads.iter().map(|(_, errors)| errors[place]).collect(),
                random: drawn.iter().map(|[matrix, _]| *matrix).collect(),
                random_output: drawn.iter().map(|[_, output]| *output).collect(),
            });
        }
        self.bounds.sort_by_key(|bound| bound.num_landmarks);
    }
}

/// The errors of the model's own attention under a setting.
fn measure(heads: &Heads, exact: &[ExactHead], rows: &[usize], setting: Setting) -> Result<Errors> {
    let [num_heads, seq_len, head_dim] = heads.sizes();
    let [query, key, value] = heads.tensors.clone();
    let device = query.device();
    let shared = SharedConfig {
        hidden_size: num_heads * head_dim,
        num_attention_heads: num_heads,
        ..SharedConfig::default()
    };
    let mechanism = setting.config().init(&shared, &device);
    let wanted: Vec<i64> = rows.iter().map(|row| *row as i64).collect();
    let wanted = Tensor::<1, Int>::from_ints(wanted.as_slice(), &device);
    let Some(factors) = mechanism.factors(query.clone(), key.clone(), None) else {
        return Err(TableError::Asked(format!("`{setting}` has no factors to compare")));
    };
    let kernel_1 = factors.kernel_1.select(2, wanted.clone());
    let matrix = floats(&kernel_1.matmul(factors.pinv.matmul(factors.kernel_3)))?;
    let output = mechanism.forward(query, key, value, None, seq_len).select(2, wanted);
    let output = floats(&output)?;
    let errors: Vec<[f64; 2]> = exact
        .par_iter()
        .enumerate()
        .map(|(head, exact)| {
            let of = |numbers: &[f32], columns: usize| {
                let size = rows.len() * columns;
                Matrix::of_singles(rows.len(), columns, &numbers[head * size..(head + 1) * size])
            };
            [
                of(&matrix, seq_len).relative_error(&exact.matrix),
                of(&output, head_dim).relative_error(&exact.output),
            ]
        })
        .collect();
    Ok(Errors {
        setting,
        matrix: errors.iter().map(|[matrix, _]| *matrix).collect(),
        output: errors.iter().map(|[_, output]| *output).collect(),
    })
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};
    use nystromformer::{LandmarkRule, Seed};
    use nystromformer_kernels::random;

    use super::*;
    use crate::exact::{nystrom_rows, segment_means};

    fn heads(seq_len: usize) -> Heads {
        let device = Device::flex();
        let tensors = Seed::new(3).scope(|| {
            [(); 3].map(|()| random([1, 2, seq_len, 8], Distribution::Normal(0.0, 1.0), &device))
        });
        Heads::new("random", 3, 0, tensors).unwrap()
    }

    fn grid() -> Grid {
        let (landmarks, iterations) = (vec![4, 24], vec![1, 6, 20]);
        Grid { landmarks, num_landmarks: 8, iterations, most_rows: 10, seed: 1 }
    }

    #[test]
    fn the_models_matrix_is_that_of_the_independent_arithmetic() {
        let heads = heads(24);
        let rows: Vec<usize> = (0..24).collect();
        let exact = heads.exact(&rows);
        for count in [4, 8] {
            let found = measure(&heads, &exact, &rows, Setting::paper(count)).unwrap();
            for (head, exact) in exact.iter().enumerate() {
                let landmarks = [&exact.query, &exact.key].map(|of| segment_means(of, count));
                let landmarks = [&landmarks[0], &landmarks[1]];
                let ours = nystrom_rows(&exact.query, &exact.key, landmarks, 6);
                let error = ours.relative_error(&exact.matrix);
                assert!((found.matrix[head] / error - 1.0).abs() < 1e-3, "{found:?} {error}");
                let error = ours.times(&exact.value).relative_error(&exact.output);
                assert!((found.output[head] / error - 1.0).abs() < 1e-3, "{found:?} {error}");
            }
        }
    }

    /// A row that is a landmark itself is nearly exact, so rows and landmarks must not be drawn by the same numbers.
    #[test]
    fn random_landmarks_are_no_better_on_rows_that_are_drawn() {
        let heads = heads(24);
        let error = |most_rows: usize| {
            let grid = Grid { landmarks: vec![6], num_landmarks: 6, most_rows, ..grid() };
            let rows = grid.rows_of(24);
            let of = |sample: u64| {
                let heads = Heads { sample, ..heads.clone() };
                let mut block = Block::new(&heads, heads.hash(), rows.len(), grid.seed);
                block.add_bounds(&heads.exact(&rows), &[6], &rows);
                block.bounds[0].random.iter().sum::<f64>()
            };
            (0..20).map(of).sum::<f64>()
        };
        let (of_drawn, of_all) = (error(6), error(24));
        assert!((0.8..1.25).contains(&(of_drawn / of_all)), "{of_drawn} {of_all}");
    }

    #[test]
    fn as_many_landmarks_as_tokens_are_exact_but_for_the_inverse() {
        let heads = heads(24);
        let rows = grid().rows_of(24);
        let exact = heads.exact(&rows);
        let worst = |iterations: usize| {
            let setting = Setting { pinv_iterations: iterations, ..Setting::paper(24) };
            let found = measure(&heads, &exact, &rows, setting).unwrap();
            found.matrix.into_iter().chain(found.output).fold(0.0, f64::max)
        };
        assert!(worst(20) < 0.02 && worst(20) < worst(3), "{} {}", worst(3), worst(20));
    }

    #[test]
    fn no_setting_is_below_the_bound_and_nothing_is_measured_twice() {
        let heads = heads(24);
        let grid = Grid { most_rows: 24, ..grid() };
        let rows = grid.rows_of(24);
        let mut block = Block::new(&heads, heads.hash(), rows.len(), grid.seed);
        let all = grid.settings(24).len();
        assert_eq!(block.complete(&heads, &grid, &rows).unwrap(), all);
        for errors in &block.measured {
            let rank = errors.setting.num_landmarks;
            let bound = block.bounds.iter().find(|bound| bound.num_landmarks == rank).unwrap();
            for (error, bound) in errors.matrix.iter().zip(&bound.svd) {
                assert!(*error >= bound - 1e-5, "{}: {error} {bound}", errors.setting);
            }
        }
        let of = |setting: &Setting| {
            block.measured.iter().find(|found| found.setting == *setting).unwrap().matrix.clone()
        };
        // Scores begin at zero, where it is the mean.
        let weighted = Setting { landmarks: LandmarkRule::Weighted, ..Setting::paper(8) };
        for (left, right) in of(&weighted).iter().zip(of(&Setting::paper(8))) {
            assert!((left / right - 1.0).abs() < 1e-4);
        }
        let text = serde_json::to_string(&block).unwrap();
        let mut again: Block = serde_json::from_str(&text).unwrap();
        assert_eq!(again, block);
        assert_eq!(again.complete(&heads, &grid, &rows).unwrap(), 0);
        assert_eq!(again, block);
        let more = Grid { iterations: vec![1, 2, 6, 20], ..grid };
        assert_eq!(again.complete(&heads, &more, &rows).unwrap(), 2);
    }
}
