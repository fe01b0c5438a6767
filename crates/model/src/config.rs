//! [`NystromformerConfig`]: the shape of a model, in Hugging Face's words.

use crate::{
    attention::AttentionConfig,
    classifier::{ClassifierConfig, ProblemType},
    component::{Component, Problems, component},
    embeddings::EmbeddingsConfig,
    encoder::EncoderConfig,
    error::ModelError,
    feed_forward::FeedForwardConfig,
    layer::LayerConfig,
    picture::Picture,
    positions::PositionEmbeddingType,
    shared::{Semantics, SharedConfig},
    vector_embeddings::VectorEmbeddingsConfig,
    vector_positions::VectorPositions,
};

component! {
    /// Sizes and switches of a Nyströmformer, by the part of the model that they configure.
    ///
    /// In a file all keys stand in one table. Their names and defaults are those of transformers' `NystromformerConfig`,
    /// and a few that it does not have.
    pub struct NystromformerConfig {
    } with {
        /// Token, position and type embeddings.
        embeddings: EmbeddingsConfig,
        /// Feature vectors in place of token ids.
        vectors: VectorEmbeddingsConfig,
        /// What all parts share.
        shared: SharedConfig,
        /// The stack of layers.
        encoder: EncoderConfig,
        /// The attention of a layer.
        attention: AttentionConfig,
        /// The feed-forward block of a layer.
        feed_forward: FeedForwardConfig,
        /// Classifiers on top.
        classifier: ClassifierConfig,
    }
}

impl NystromformerConfig {
    // What holds between parts.
    fn check(&self, problems: &mut Problems) {
        let attention = self.attention.options();
        problems.check(
            self.shared.semantics == Semantics::Paper || attention.is_of_transformers(),
            "attention",
            &self.attention.kind.name(),
            "semantics = \"hf\" is what transformers' Nyströmformer computes, which has no such attention: take semantics = \
             \"paper\", or attention = \"nystrom\"",
        );
        attention.check_with(&self.shared, problems);
        self.embeddings.check_with(&self.shared, problems);
        self.check_positions(problems);
        self.check_picture(problems);
        self.attention.convolution.check_with(&self.shared, problems);
        self.classifier.pooling.check_with(&self.shared, problems);
        self.check_length_of_attention(problems);
        let layers = self.encoder.num_hidden_layers;
        if !self.vectors.is_used() {
            problems.check_size("num_hidden_layers", layers, 1);
            self.vectors.check_unused(problems);
            return;
        }
        let hidden_size = self.shared.hidden_size;
        problems.check(
            self.shared.semantics == Semantics::Paper,
            "semantics",
            &"hf",
            "transformers has no model of feature vectors; leave it out, or set it to \"paper\"",
        );
        problems.check(
            self.vectors.vector_positions != VectorPositions::Grid || hidden_size.is_multiple_of(4),
            "hidden_size",
            &hidden_size,
            "must be a multiple of 4 with vector_positions = \"grid\"",
        );
        problems.check(
            layers > 0 || !self.classifier.pooling.reads_few_tokens(),
            "num_hidden_layers",
            &layers,
            "without layers the first token knows nothing of the others: set pooling = \"mean\" or \"attention\"",
        );
    }

    /// Rotary positions are of queries and keys, and positions of tokens not of vectors.
    fn check_positions(&self, problems: &mut Problems) {
        let kind = self.shared.position_embedding_type;
        let is_rotary = kind == PositionEmbeddingType::Rotary;
        let (hidden_size, heads) = (self.shared.hidden_size, self.shared.num_attention_heads);
        problems.check(
            !is_rotary || self.attention.options().has_inner_products(),
            "position_embedding_type",
            &kind.name(),
            format!(
                "attention = \"{}\" scores by no inner products of queries and keys, which is what the turns are for",
                self.attention.kind.name()
            ),
        );
        problems.check(
            !is_rotary || hidden_size.is_multiple_of((2 * heads).max(1)),
            "hidden_size",
            &hidden_size,
            format!(
                "position_embedding_type = \"rotary\" turns pairs of channels: it must be a multiple of twice num_attention_heads = {heads}",
            ),
        );
        if self.vectors.is_used() {
            const REASON: &str =
                "it is of models that read token ids (num_features = 0); leave it out";
            let is_default = kind == PositionEmbeddingType::Absolute;
            problems.check(is_default, "position_embedding_type", &kind.name(), REASON);
            let layers = self.embeddings.stem.stem_layers;
            problems.check(layers == 0, "stem_layers", &layers, REASON);
        }
    }

    /// Positions and landmarks of a picture need its columns, and landmarks patches that cover it.
    fn check_picture(&self, problems: &mut Problems) {
        let has_patches = self.attention.options().reads_picture();
        let is_axial = self.shared.position_embedding_type == PositionEmbeddingType::Axial;
        let width = self.embeddings.image_width;
        let is_read = is_axial || has_patches;
        problems.check(
            is_read == (width > 0),
            "image_width",
            &width,
            if is_read {
                "position_embedding_type = \"axial\" and landmarks = \"patches\" need the columns of a picture"
            } else {
                "nothing reads it without position_embedding_type = \"axial\" or landmarks = \"patches\": leave it out"
            },
        );
        if !has_patches {
            return;
        }
        problems.check(
            !self.vectors.is_used(),
            "landmarks",
            &self.attention.nystrom.landmarks.name(),
            "patches are of pictures whose pixels are the tokens, and the model reads vectors (num_features): leave it out",
        );
        if width == 0 {
            return;
        }
        let Some(picture) = self.embeddings.picture() else {
            let reason = format!(
                "landmarks = \"patches\" needs the pixels of a picture, a multiple of image_width = {width}"
            );
            let pixels = self.embeddings.max_position_embeddings;
            return problems.check(false, "max_position_embeddings", &pixels, reason);
        };
        let Picture { height, width } = picture;
        let landmarks = self.attention.nystrom.num_landmarks;
        problems.check(
            landmarks == 0 || picture.patches(landmarks).is_some(),
            "num_landmarks",
            &landmarks,
            format!(
                "a picture of {height} x {width} pixels (rows: max_position_embeddings / image_width) is not covered by so many \
                 patches of one size: take the product of a divisor of {height} and a divisor of {width}"
            ),
        );
    }

    /// Attention of limited length must reach as far as positions do.
    fn check_length_of_attention(&self, problems: &mut Problems) {
        let of_attention = self.attention.options().longest_len(&self.shared);
        if let (Some((key, longest)), Some(positions)) = (of_attention, self.num_positions()) {
            let needed = positions.saturating_add(self.vectors.tokens_before());
            let reason = format!(
                "must be at least {needed}, as max_position_embeddings = {positions}: raise this, or lower that"
            );
            problems.check(longest >= needed, key, &longest, reason);
        }
    }

    /// The same with a change, as in `config.with(|config| config.shared.hidden_size = 256)`.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Every key of a configuration file.
    pub fn keys() -> &'static [&'static str] {
        <Self as Component>::keys()
    }

    /// What each layer is built from.
    pub fn layer(&self) -> LayerConfig {
        LayerConfig {
            shared: self.shared.clone(),
            attention: self.attention.clone(),
            feed_forward: self.feed_forward.clone(),
            picture: self.embeddings.picture().filter(|_| !self.vectors.is_used()),
        }
    }

    /// Outputs of a classification head.
    pub fn num_labels(&self) -> usize {
        self.classifier.num_labels()
    }

    /// What a sequence classifier answers: as stated, or else by transformers' rule for integer labels.
    pub fn problem_type(&self) -> ProblemType {
        self.classifier.problem_type()
    }

    /// Whether layers compute exact softmax attention: by choice, or by transformers' rule that
    /// `num_landmarks == segment_means_seq_len` switches the approximation off.
    pub fn is_full_attention(&self) -> bool {
        self.attention.options().is_exact(&self.shared)
    }

    /// The longest sequence that the model has positions for, and its attention weights; `None`: any, of vectors whose positions are
    /// not learned.
    pub fn longest_sequence(&self) -> Option<usize> {
        let before = self.vectors.tokens_before();
        let of_attention = self.attention.options().longest_len(&self.shared);
        let of_attention = of_attention.map(|(_, longest)| longest.saturating_sub(before));
        self.num_positions().into_iter().chain(of_attention).min()
    }

    /// The places that the model has positions for; `None`: any number.
    fn num_positions(&self) -> Option<usize> {
        let is_free =
            self.vectors.is_used() && self.vectors.vector_positions != VectorPositions::Learned;
        (!is_free).then_some(self.embeddings.max_position_embeddings)
    }

    /// The only length that the model reads, in tokens; `None`: any up to [`Self::longest_sequence`].
    pub fn required_seq_len(&self) -> Option<usize> {
        self.attention.options().required_len(&self.shared)
    }

    /// Checks every value and every relation between values.
    ///
    /// # Errors
    /// [`ModelError::Config`] for the first one that no model can be built from.
    pub fn validate(&self) -> Result<(), ModelError> {
        self.problems().into_iter().next().map_or(Ok(()), Err)
    }

    /// A [`ModelError::Config`] for every value, and every relation between values, that no model can be
    /// built from.
    pub fn problems(&self) -> Vec<ModelError> {
        Problems::of(self).into_errors()
    }

    /// Checks that a model of this configuration can read sequences of `seq_len` tokens.
    ///
    /// # Errors
    /// [`ModelError::SequenceTooLong`], and what the kind of attention needs: [`ModelError::SegmentMeansLength`],
    /// [`ModelError::AttentionLength`].
    pub fn validate_seq_len(&self, seq_len: usize) -> Result<(), ModelError> {
        if let Some(max_position_embeddings) = self.num_positions()
            && seq_len > max_position_embeddings
        {
            return Err(ModelError::SequenceTooLong { seq_len, max_position_embeddings });
        }
        let states = seq_len.saturating_add(self.vectors.tokens_before());
        self.attention.options().check_len(states, &self.shared)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        attention::{AttentionKind, LandmarkRule, PinvMethod},
        classifier::Pooling,
    };

    fn config(change: impl FnOnce(&mut NystromformerConfig)) -> NystromformerConfig {
        NystromformerConfig::default().with(change)
    }

    #[test]
    fn defaults_are_valid() {
        assert_eq!(NystromformerConfig::default().validate(), Ok(()));
    }

    /// A table with every key reads back, and no key belongs to two parts.
    #[test]
    fn every_key_has_one_part() {
        let keys = NystromformerConfig::keys();
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "{keys:?}");
        let config = config(|config| {
            config.shared.weights.initializer_range = 0.3;
            config.attention.nystrom.num_landmarks = 8;
            config.classifier.classifier_dropout_prob = Some(0.25);
        });
        let table = serde_json::to_value(&config).unwrap();
        let written: BTreeSet<&str> =
            table.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(written, keys.iter().copied().collect());
        assert_eq!(serde_json::from_value::<NystromformerConfig>(table).unwrap(), config);
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_refused() {
        for (text, words) in [
            (
                r#"{"num_landmark": 3}"#,
                "unknown field `num_landmark`, expected one of `vocab_size`",
            ),
            (r#"{"num_landmarks": "3"}"#, "invalid type: string \"3\", expected usize"),
            (
                r#"{"attention": "sparse"}"#,
                "unknown variant `sparse`, expected one of `nystrom`, `softmax`, `linear`",
            ),
            ("3", "expected struct NystromformerConfig"),
        ] {
            let error = serde_json::from_str::<NystromformerConfig>(text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn refusals_name_key_and_value() {
        let hf = |change: fn(&mut NystromformerConfig)| {
            config(|config| {
                config.shared.semantics = Semantics::Hf;
                change(config);
            })
        };
        let patches = |change: fn(&mut NystromformerConfig)| {
            config(|config| {
                config.attention.nystrom.landmarks = LandmarkRule::Patches;
                config.embeddings.max_position_embeddings = 1024;
                config.embeddings.image_width = 32;
                change(config);
            })
        };
        assert_eq!(patches(|_| {}).validate(), Ok(()));
        let cases = [
            ("conv_per_channel", hf(|config| config.attention.convolution.conv_per_channel = true)),
            (
                "conv_per_channel",
                config(|config| {
                    config.attention.convolution.conv_kernel_size = 0;
                    config.attention.convolution.conv_per_channel = true;
                }),
            ),
            ("pooling", hf(|config| config.classifier.pooling = Pooling::FirstLast)),
            ("pooling", hf(|config| config.classifier.pooling = Pooling::MeanMax)),
            (
                "position_embedding_type",
                hf(|config| {
                    config.shared.position_embedding_type = PositionEmbeddingType::BothEnds;
                }),
            ),
            (
                "position_embedding_type",
                config(|config| {
                    config.shared.position_embedding_type = PositionEmbeddingType::Rotary;
                    config.attention.kind = AttentionKind::Linear;
                }),
            ),
            (
                "hidden_size",
                config(|config| {
                    config.shared.position_embedding_type = PositionEmbeddingType::Rotary;
                    config.shared.hidden_size = 12 * 5;
                }),
            ),
            ("image_width", config(|config| config.embeddings.image_width = 32)),
            (
                "image_width",
                config(|config| {
                    config.shared.position_embedding_type = PositionEmbeddingType::Axial;
                }),
            ),
            ("image_width", patches(|config| config.embeddings.image_width = 0)),
            ("image_width", patches(|config| config.attention.kind = AttentionKind::Softmax)),
            ("max_position_embeddings", patches(|config| config.embeddings.image_width = 100)),
            ("num_landmarks", patches(|config| config.attention.nystrom.num_landmarks = 60)),
            ("keep_ends", patches(|config| config.attention.nystrom.keep_ends = true)),
            ("landmarks", patches(|config| config.shared.semantics = Semantics::Hf)),
            ("landmarks", patches(|config| config.vectors.num_features = 3)),
            ("stem_layers", hf(|config| config.embeddings.stem.stem_layers = 1)),
            ("stem_kernel_size", config(|config| config.embeddings.stem.stem_kernel_size = 4)),
            (
                "stem_layers",
                config(|config| {
                    config.vectors.num_features = 3;
                    config.embeddings.stem.stem_layers = 1;
                }),
            ),
            ("hidden_size", config(|config| config.shared.hidden_size = 770)),
            ("num_landmarks", config(|config| config.attention.nystrom.num_landmarks = 0)),
            (
                "conv_kernel_size",
                config(|config| config.attention.convolution.conv_kernel_size = 64),
            ),
            ("hidden_dropout_prob", config(|config| config.shared.hidden_dropout_prob = f64::NAN)),
            ("is_decoder", config(|config| config.encoder.is_decoder = true)),
            (
                "segment_means_seq_len",
                config(|config| {
                    config.shared.semantics = Semantics::Hf;
                    config.attention.nystrom.segment_means_seq_len = 100;
                }),
            ),
            ("pinv_ridge", config(|config| config.attention.nystrom.pinv_ridge = 0.0)),
            (
                "pinv",
                config(|config| {
                    config.shared.semantics = Semantics::Hf;
                    config.attention.nystrom.segment_means_seq_len = 128;
                    config.attention.nystrom.pinv = PinvMethod::Solve;
                }),
            ),
        ];
        for (key, config) in cases {
            let error = config.validate().expect_err(key).to_string();
            assert!(error.starts_with(key), "{error}");
        }
    }

    #[test]
    fn every_mistake_is_told_but_none_twice() {
        let config = config(|config| {
            config.embeddings.vocab_size = 0;
            config.embeddings.pad_token_id = 0;
            config.shared.num_attention_heads = 0;
            config.shared.layer_norm_eps = f64::INFINITY;
        });
        let keys: Vec<String> = config
            .problems()
            .iter()
            .map(|problem| problem.to_string().split(' ').next().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(keys, ["vocab_size", "num_attention_heads", "layer_norm_eps"]);
    }

    #[test]
    fn hf_refuses_lengths_that_it_would_mix_up() {
        let config = config(|config| {
            config.shared.semantics = Semantics::Hf;
            config.attention.nystrom.segment_means_seq_len = 128;
        });
        assert_eq!(config.validate_seq_len(128), Ok(()));
        assert!(matches!(
            config.validate_seq_len(64),
            Err(ModelError::SegmentMeansLength { seq_len: 64, segment_means_seq_len: 128 })
        ));
    }
}
