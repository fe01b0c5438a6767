//! Feature vectors in place of token ids: the patches of a slide, the steps of a sensor, the instances of a bag.
//!
//! Each vector is projected to the width of the model. Positions are added, or not: a bag has no order. A learned class token
//! can begin the sequence, as in vision transformers, for classifiers to read.

use burn::{
    module::{Module, Param},
    nn::Embedding,
    tensor::{Device, Int, Tensor, TensorData},
};
use nystromformer_kernels::dropout;

use crate::{
    component::{Problems, component},
    layer_norm::LayerNorm,
    linear::Linear,
    shared::SharedConfig,
    vector_positions::{Places, VectorPositions},
};

component! {
    /// Options of models that read feature vectors.
    pub struct VectorEmbeddingsConfig {
        /// Features of each vector; 0 means that the model reads token ids, and the other keys here are not read. Default: 0.
        num_features: usize = 0,
        /// Begin each sequence with a learned class token, for `pooling = "first"` to read. Default: true.
        use_cls_token: bool = true,
        /// What says where a vector stands. Default: `none`.
        vector_positions: VectorPositions = VectorPositions::default(),
        /// Subtracted from each feature before the projection, usually its mean in training. Default: nothing.
        feature_mean: Vec<f64> = Vec::new(),
        /// Each feature is divided by this after `feature_mean` is subtracted, usually its standard deviation in training.
        /// Default: nothing.
        feature_std: Vec<f64> = Vec::new(),
        /// What the features are called, in their order: other tables of vectors are read by these names. Of a table without a
        /// header they are the places of its columns, from 0. Default: nothing, features are told by their order.
        feature_names: Vec<String> = Vec::new(),
    }
}

impl VectorEmbeddingsConfig {
    fn check(&self, problems: &mut Problems) {
        problems.check_size("num_features", self.num_features, 0);
        for (key, count, what) in [
            ("feature_mean", self.feature_mean.len(), "number"),
            ("feature_std", self.feature_std.len(), "number"),
            ("feature_names", self.feature_names.len(), "name"),
        ] {
            problems.check(
                count == 0 || count == self.num_features,
                key,
                &format!("{count} {what}s"),
                format!(
                    "must have one {what} for each of num_features = {}, or none",
                    self.num_features
                ),
            );
        }
        if let Some(value) = self.feature_mean.iter().find(|value| !value.is_finite()) {
            problems.check(false, "feature_mean", value, "must be finite numbers");
        }
        if let Some(value) =
            self.feature_std.iter().find(|value| !(value.is_finite() && **value > 0.0))
        {
            problems.check(false, "feature_std", value, "must be positive numbers");
        }
    }

    /// Notes the keys that nothing reads in a model of token ids.
    pub(crate) fn check_unused(&self, problems: &mut Problems) {
        const REASON: &str = "it is of models that read feature vectors (num_features above 0, the task `bags`); leave it out";
        problems.check(self.use_cls_token, "use_cls_token", &self.use_cls_token, REASON);
        let is_none = self.vector_positions == VectorPositions::None;
        let name = format!("{:?}", self.vector_positions).to_lowercase();
        problems.check(is_none, "vector_positions", &name, REASON);
    }

    /// Whether the model reads vectors.
    pub fn is_used(&self) -> bool {
        self.num_features > 0
    }

    /// Tokens that the model puts before the vectors: its class token, if it has one.
    pub fn tokens_before(&self) -> usize {
        usize::from(self.is_used() && self.use_cls_token)
    }

    /// Fresh weights on `device`; `positions` is the longest sequence, of which only learned positions need to know.
    pub fn init(
        &self,
        shared: &SharedConfig,
        positions: usize,
        device: &Device,
    ) -> VectorEmbeddings {
        let numbers = |values: &[f64]| values.iter().map(|value| *value as f32).collect();
        VectorEmbeddings {
            projection: shared.linear(self.num_features, shared.hidden_size).init(device),
            cls_token: self.use_cls_token.then(|| shared.weights.token(shared.hidden_size, device)),
            position_embeddings: (self.vector_positions == VectorPositions::Learned)
                .then(|| shared.weights.embedding(positions, shared.hidden_size, device)),
            layer_norm: (!shared.norm_first).then(|| shared.layer_norm().init(device)),
            hidden_dropout_prob: shared.hidden_dropout_prob,
            positions: self.vector_positions,
            mean: numbers(&self.feature_mean),
            scale: numbers(&self.feature_std.iter().map(|std| std.recip()).collect::<Vec<_>>()),
        }
    }
}

/// `LayerNorm([class token; projection((x − mean) / std) + position])`, then dropout; in pre-LN without the normalisation.
#[derive(Module, Debug)]
pub struct VectorEmbeddings {
    /// From `num_features` to `hidden_size`.
    pub projection: Linear,
    /// `[1, 1, hidden_size]`, if sequences begin with it.
    pub cls_token: Option<Param<Tensor<3>>>,
    /// `[max_position_embeddings, hidden_size]`, if positions are learned.
    pub position_embeddings: Option<Embedding>,
    /// Over `hidden_size`; in post-LN only.
    pub layer_norm: Option<LayerNorm>,
    hidden_dropout_prob: f64,
    #[module(skip)]
    positions: VectorPositions,
    #[module(skip)]
    mean: Vec<f32>,
    #[module(skip)]
    scale: Vec<f32>,
}

impl VectorEmbeddings {
    /// Embeds a batch of sequences of vectors.
    ///
    /// # Shapes
    /// - `vectors`: `[batch, seq_len, num_features]`
    /// - `coordinates`: `[batch, seq_len, 2]`, row and column of each vector; only [`VectorPositions::Grid`] reads them
    /// - `attention_mask`: `[batch, seq_len]`
    /// - output: `[batch, seq_len, hidden_size]`, or `seq_len + 1` with a class token
    pub fn forward(
        &self,
        vectors: Tensor<3>,
        coordinates: Option<Tensor<3>>,
        attention_mask: Option<&Tensor<2, Int>>,
    ) -> Tensor<3> {
        let [batch, seq_len, _] = vectors.dims();
        let projected = self.projection.forward(self.standardized(vectors));
        let [_, _, hidden_size] = projected.dims();
        let placed = match (self.positions, &self.position_embeddings) {
            (VectorPositions::Learned, Some(table)) => {
                projected + table.weight.val().narrow(0, 0, seq_len).unsqueeze_dim(0)
            }
            (VectorPositions::Grid, _) => {
                let places = match coordinates {
                    Some(coordinates) => Places::given(coordinates),
                    None => Places::in_a_square(seq_len, attention_mask, &projected.device()),
                };
                projected + places.embedded(hidden_size)
            }
            (VectorPositions::None | VectorPositions::Learned, _) => projected,
        };
        let begun = match &self.cls_token {
            Some(token) => {
                Tensor::cat(vec![token.val().expand([batch, 1, hidden_size]), placed], 1)
            }
            None => placed,
        };
        let normalised = match &self.layer_norm {
            Some(layer_norm) => layer_norm.forward(begun),
            None => begun,
        };
        dropout(normalised, self.hidden_dropout_prob)
    }

    fn standardized(&self, vectors: Tensor<3>) -> Tensor<3> {
        let row = |values: &[f32], device: &Device| {
            let data = TensorData::new(values.to_vec(), [1, 1, values.len()]);
            Tensor::<3>::from_data(data, device)
        };
        let device = vectors.device();
        let centred =
            if self.mean.is_empty() { vectors } else { vectors - row(&self.mean, &device) };
        if self.scale.is_empty() { centred } else { centred * row(&self.scale, &device) }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tolerance;
    use nystromformer_kernels::Seed;

    use super::*;

    fn shared(norm_first: bool) -> SharedConfig {
        let mut shared = SharedConfig { hidden_size: 8, norm_first, ..SharedConfig::default() };
        shared.weights.initializer_range = 0.5;
        shared
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
        tensor.into_data().iter::<f64>().collect()
    }

    /// Two sequences of five vectors of three features, the second with three of its own.
    fn vectors() -> Tensor<3> {
        let numbers: Vec<f32> =
            (0..30_u8).map(|i| (f32::from(i) * 0.7).sin() * 3.0 + 1.0).collect();
        Tensor::from_data(TensorData::new(numbers, [2, 5, 3]), &Device::flex())
    }

    /// Everything again in 64-bit floats, number by number.
    #[test]
    fn equals_the_formula() {
        let device = Device::flex();
        let mask = Tensor::<2, Int>::from_ints([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], &device);
        let coordinates: Vec<f32> = (0..20_u8).map(|i| f32::from(i * 7 % 11)).collect();
        for positions in [VectorPositions::None, VectorPositions::Learned, VectorPositions::Grid] {
            for (use_cls_token, given) in [(true, false), (false, false), (true, true)] {
                let config = VectorEmbeddingsConfig {
                    num_features: 3,
                    use_cls_token,
                    vector_positions: positions,
                    feature_mean: vec![0.5, -1.0, 2.0],
                    feature_std: vec![2.0, 0.25, 1.5],
                    feature_names: Vec::new(),
                };
                let module = Seed::new(5).scope(|| {
                    let module = config.init(&shared(false), 7, &device);
                    crate::weights::draw_weights(&module);
                    module
                });
                let data = TensorData::new(coordinates.clone(), [2, 5, 2]);
                let places = given.then(|| Tensor::from_data(data, &device));
                let found = values(module.forward(vectors(), places, Some(&mask)));

                let x = values(vectors());
                let weight = values(module.projection.weight.val()); // [features, hidden]
                let cls = module.cls_token.as_ref().map(|token| values(token.val()));
                let table =
                    module.position_embeddings.as_ref().map(|table| values(table.weight.val()));
                let mut expected = Vec::new();
                for (row, count) in [5_u8, 3].into_iter().enumerate() {
                    expected.extend(cls.as_deref().map(normalised).unwrap_or_default());
                    for place in 0..5_u8 {
                        let side = f64::from(count).sqrt().ceil();
                        let index = f64::from(place.min(count - 1));
                        let at = row * 5 + usize::from(place);
                        let (y, z) = if given {
                            (f64::from(coordinates[2 * at]), f64::from(coordinates[2 * at + 1]))
                        } else {
                            ((index / side).floor(), index % side)
                        };
                        let state: Vec<f64> = (0..8)
                            .map(|channel| {
                                let projected: f64 = (0..3)
                                    .map(|feature| {
                                        let mean = config.feature_mean[feature];
                                        let std = config.feature_std[feature];
                                        (x[at * 3 + feature] - mean) / std
                                            * weight[feature * 8 + channel]
                                    })
                                    .sum();
                                let placed = match positions {
                                    VectorPositions::None => 0.0,
                                    VectorPositions::Learned => {
                                        table.as_ref().unwrap()[usize::from(place) * 8 + channel]
                                    }
                                    VectorPositions::Grid => {
                                        let angle = if channel < 4 { y } else { z }
                                            * 10_000f64.powf(-((channel % 2) as f64) / 2.0);
                                        if channel % 4 < 2 { angle.sin() } else { angle.cos() }
                                    }
                                };
                                projected + placed
                            })
                            .collect();
                        expected.extend(normalised(&state));
                    }
                }
                assert_eq!(found.len(), expected.len());
                for (found, expected) in found.iter().zip(expected) {
                    assert!(
                        (found - expected).abs() < 2e-5,
                        "{positions:?}: {found} for {expected}"
                    );
                }
            }
        }
    }

    fn normalised(state: &[f64]) -> Vec<f64> {
        let mean = state.iter().sum::<f64>() / state.len() as f64;
        let variance = state.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / state.len() as f64;
        state.iter().map(|x| (x - mean) / (variance + 1e-5).sqrt()).collect()
    }

    /// How far a row was padded does not show in its vectors, wherever they are laid.
    #[test]
    fn padding_changes_no_vector() {
        let device = Device::flex();
        for positions in [VectorPositions::None, VectorPositions::Learned, VectorPositions::Grid] {
            let config = VectorEmbeddingsConfig {
                num_features: 3,
                vector_positions: positions,
                ..VectorEmbeddingsConfig::default()
            };
            let module = Seed::new(5).scope(|| {
                let module = config.init(&shared(true), 5, &device);
                crate::weights::draw_weights(&module);
                module
            });
            let mask = Tensor::<2, Int>::from_ints([[1, 1, 1, 0, 0]], &device);
            let row = vectors().narrow(0, 1, 1);
            let padded = module.forward(row.clone(), None, Some(&mask)).narrow(1, 0, 4);
            let alone = module.forward(row.narrow(1, 0, 3), None, None);
            padded
                .into_data()
                .assert_approx_eq::<f32>(&alone.into_data(), Tolerance::absolute(1e-6));
        }
    }

    #[test]
    fn statistics_must_be_of_each_feature() {
        let config = VectorEmbeddingsConfig {
            num_features: 2,
            feature_mean: vec![f64::NAN, 0.0],
            feature_std: vec![1.0, 0.0, 2.0],
            feature_names: vec!["a".to_owned()],
            ..VectorEmbeddingsConfig::default()
        };
        let problems: Vec<String> =
            Problems::of(&config).into_errors().iter().map(ToString::to_string).collect();
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(problems[0].starts_with("feature_std = `3 numbers`"), "{problems:?}");
        assert!(problems[1].starts_with("feature_names = `1 names`"), "{problems:?}");
    }
}
