//! [`NystromformerConfig`]: the shape of a model, in Hugging Face's words.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

mod labels;
mod variants;

pub use labels::{Labels, ProblemType};
pub use variants::{Pooling, WeightInit};

use crate::{
    activation::HiddenAct,
    attention::PinvInit,
    error::ModelError,
    heads::{
        Architecture, Model, ModelClass, NystromformerForMaskedLm, NystromformerForMultipleChoice,
        NystromformerForPreTraining, NystromformerForQuestionAnswering,
        NystromformerForSequenceClassification, NystromformerForTokenClassification,
    },
    nystromformer::Nystromformer,
};

/// The largest size or id: ids are 32-bit numbers on every device.
const LARGEST: usize = i32::MAX as usize;

/// Which attention every layer computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttentionKind {
    /// Landmarks and the iterative pseudo-inverse: O(n).
    #[default]
    Nystrom,
    /// Exact softmax attention: O(n²), the baseline.
    Softmax,
}

/// How padding and lengths are treated; stored with the model, because weights trained under one meaning
/// compute something else under the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Semantics {
    /// Padding is masked out of landmarks, keys and convolution, and segments are laid over each row's own
    /// valid tokens: any length works, and a prediction never depends on its batch neighbours or on how
    /// far its row was padded.
    #[default]
    Paper,
    /// Exactly what transformers 4.56.2 computes, including what looks like a bug there: padding leaks
    /// into landmarks and convolution, the pseudo-inverse is scaled by the whole batch, and
    /// `num_landmarks == segment_means_seq_len` means full softmax attention.
    Hf,
}

/// Sizes and switches of a Nyströmformer.
///
/// Field names and defaults are those of transformers' `NystromformerConfig`; the keys that it does not
/// have are `attention` and those that follow it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NystromformerConfig {
    /// Rows of the token embedding. Default: 30000.
    pub vocab_size: usize,
    /// Width of the residual stream, a multiple of `num_attention_heads`. Default: 768.
    pub hidden_size: usize,
    /// Encoder layers. Default: 12.
    pub num_hidden_layers: usize,
    /// Attention heads per layer. Default: 12.
    pub num_attention_heads: usize,
    /// Width inside the feed-forward block. Default: 3072.
    pub intermediate_size: usize,
    /// Activation of the feed-forward block and of the prediction head. Default: `gelu_new`.
    pub hidden_act: HiddenAct,
    /// Dropout after the embeddings and after each block's output, in [0, 1). Default: 0.1.
    pub hidden_dropout_prob: f64,
    /// Dropout on attention probabilities, in [0, 1). Only softmax attention under
    /// `semantics = "paper"` has such probabilities to drop: neither the authors' Nyström attention nor
    /// transformers applies it. Default: 0.1.
    pub attention_probs_dropout_prob: f64,
    /// Longest sequence, in tokens. The table has two more rows, since ids start at 2. Default: 510.
    pub max_position_embeddings: usize,
    /// Rows of the token-type embedding. Default: 2.
    pub type_vocab_size: usize,
    /// Standard deviation of fresh weights. Default: 0.02.
    pub initializer_range: f64,
    /// Added to the variance in every layer normalisation. Default: 1e-5.
    pub layer_norm_eps: f64,
    /// Id of the padding token; its embedding starts at zero. Default: 1.
    pub pad_token_id: usize,
    /// Id of the first token of a sequence. Default: 0.
    pub bos_token_id: usize,
    /// Id of the last token of a sequence. Default: 2.
    pub eos_token_id: usize,
    /// Causal use. Must be false: a landmark averages over tokens of the future. Default: false.
    pub is_decoder: bool,
    /// Tokens that go through the feed-forward block at a time, which bounds the memory of its widened
    /// values; without dropout it changes results by rounding only. 0 means all. Default: 0.
    pub chunk_size_feed_forward: usize,
    /// Names of the classes of a classification head; their number is that of the head's outputs, and of the
    /// sentence-order head's (multiple choice and question answering have a fixed number and ignore it).
    /// Default: `LABEL_0`, `LABEL_1`.
    pub id2label: Labels,
    /// What a sequence classifier answers. Default: numbers if it has one class, else one of its classes.
    pub problem_type: Option<ProblemType>,

    /// Attention of every layer. Default: `nystrom`.
    pub attention: AttentionKind,
    /// Treatment of padding and lengths. Default: `paper`.
    pub semantics: Semantics,
    /// Landmarks per head. Default: 64.
    pub num_landmarks: usize,
    /// Tokens per input under `semantics = "hf"`, where it fixes the length; not read otherwise.
    /// Default: 64.
    pub segment_means_seq_len: usize,
    /// Taps of the convolution skip over the values, odd; 0 means no convolution. Default: 65.
    pub conv_kernel_size: usize,
    /// Iterations of the pseudo-inverse. Default: 6.
    pub pinv_iterations: usize,
    /// Start of the pseudo-inverse. Default: `exact`; transformers computes `original`.
    pub pinv_init: PinvInit,
    /// Groups of consecutive layers that share one layer's weights, as in ALBERT (whose key this is); it
    /// must divide `num_hidden_layers`. 0 means that every layer has its own. Default: 0.
    pub num_hidden_groups: usize,

    /// Normalise before each half of a layer and after the last layer (pre-LN, PyTorch's word) instead of after
    /// each sum; the embeddings are then not normalised. The authors' Long Range Arena models. Default: false.
    pub norm_first: bool,
    /// How fresh weights of linear layers and convolutions are drawn. Default: `normal`.
    pub weight_init: WeightInit,
    /// Dropout between the two linear layers of the feed-forward block (BART's word), in [0, 1). Default: 0.
    pub activation_dropout: f64,
    /// What a sequence classifier reads of a sequence. Default: `first`.
    pub pooling: Pooling,
    /// Width inside a sequence classifier; 0 means `hidden_size`. Default: 0.
    pub classifier_hidden_size: usize,
    /// Activation of a sequence classifier. Default: `hidden_act`.
    pub classifier_act: Option<HiddenAct>,
    /// Both dropouts of a sequence classifier, in [0, 1). Default: `hidden_dropout_prob`.
    pub classifier_dropout_prob: Option<f64>,
}

impl Default for NystromformerConfig {
    fn default() -> Self {
        Self {
            vocab_size: 30000,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: HiddenAct::default(),
            hidden_dropout_prob: 0.1,
            attention_probs_dropout_prob: 0.1,
            max_position_embeddings: 510,
            type_vocab_size: 2,
            initializer_range: 0.02,
            layer_norm_eps: 1e-5,
            pad_token_id: 1,
            bos_token_id: 0,
            eos_token_id: 2,
            is_decoder: false,
            chunk_size_feed_forward: 0,
            id2label: Labels::default(),
            problem_type: None,
            attention: AttentionKind::default(),
            semantics: Semantics::default(),
            num_landmarks: 64,
            segment_means_seq_len: 64,
            conv_kernel_size: 65,
            pinv_iterations: 6,
            pinv_init: PinvInit::default(),
            num_hidden_groups: 0,
            norm_first: false,
            weight_init: WeightInit::default(),
            activation_dropout: 0.0,
            pooling: Pooling::default(),
            classifier_hidden_size: 0,
            classifier_act: None,
            classifier_dropout_prob: None,
        }
    }
}

impl NystromformerConfig {
    /// Channels per attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// Outputs of a classification head.
    pub fn num_labels(&self) -> usize {
        self.id2label.len()
    }

    /// What a sequence classifier answers: as stated, or else by transformers' rule for integer labels.
    pub fn problem_type(&self) -> ProblemType {
        self.problem_type.unwrap_or(match self.num_labels() {
            1 => ProblemType::Regression,
            _ => ProblemType::SingleLabelClassification,
        })
    }

    /// Width inside a sequence classifier.
    pub fn classifier_width(&self) -> usize {
        match self.classifier_hidden_size {
            0 => self.hidden_size,
            width => width,
        }
    }

    /// Layers that have weights of their own.
    pub fn num_own_layers(&self) -> usize {
        match self.num_hidden_groups {
            0 => self.num_hidden_layers,
            groups => groups,
        }
    }

    /// Consecutive layers that share one layer's weights.
    pub fn layers_per_group(&self) -> usize {
        self.num_hidden_layers / self.num_own_layers().max(1)
    }

    /// Whether layers compute exact softmax attention: by choice, or by transformers' rule that
    /// `num_landmarks == segment_means_seq_len` switches the approximation off.
    pub fn is_full_attention(&self) -> bool {
        self.attention == AttentionKind::Softmax
            || (self.semantics == Semantics::Hf && self.num_landmarks == self.segment_means_seq_len)
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
        let mut problems = Vec::new();
        let mut check = |holds: bool, key: &'static str, value: &dyn ToString, reason: &str| {
            if !holds {
                let (value, reason) = (value.to_string(), reason.to_owned());
                problems.push(ModelError::Config { key, value, reason });
            }
        };
        for (key, value, least) in [
            ("vocab_size", self.vocab_size, 1),
            ("hidden_size", self.hidden_size, 1),
            ("num_hidden_layers", self.num_hidden_layers, 1),
            ("num_attention_heads", self.num_attention_heads, 1),
            ("intermediate_size", self.intermediate_size, 1),
            ("max_position_embeddings", self.max_position_embeddings, 1),
            ("type_vocab_size", self.type_vocab_size, 1),
            ("num_landmarks", self.num_landmarks, 1),
            ("pinv_iterations", self.pinv_iterations, 1),
            ("segment_means_seq_len", self.segment_means_seq_len, 0),
            ("conv_kernel_size", self.conv_kernel_size, 0),
            ("chunk_size_feed_forward", self.chunk_size_feed_forward, 0),
            ("classifier_hidden_size", self.classifier_hidden_size, 0),
            ("bos_token_id", self.bos_token_id, 0),
            ("eos_token_id", self.eos_token_id, 0),
        ] {
            check(value >= least, key, &value, &format!("must be at least {least}"));
            check(value <= LARGEST, key, &value, &format!("must be at most {LARGEST}"));
        }
        // A size of 0 is told above; what would have to fit it is not another mistake.
        let fits = |size: usize, part: usize| part == 0 || size.is_multiple_of(part);
        check(
            fits(self.hidden_size, self.num_attention_heads),
            "hidden_size",
            &self.hidden_size,
            &format!("must be a multiple of num_attention_heads = {}", self.num_attention_heads),
        );
        for (key, value) in [
            ("hidden_dropout_prob", self.hidden_dropout_prob),
            ("attention_probs_dropout_prob", self.attention_probs_dropout_prob),
            ("activation_dropout", self.activation_dropout),
            ("classifier_dropout_prob", self.classifier_dropout_prob.unwrap_or_default()),
        ] {
            let in_range = (0.0..1.0).contains(&value);
            check(in_range, key, &value, "must be at least 0 and below 1");
        }
        for (key, value) in
            [("initializer_range", self.initializer_range), ("layer_norm_eps", self.layer_norm_eps)]
        {
            check(value.is_finite() && value > 0.0, key, &value, "must be a positive number");
        }
        check(
            self.conv_kernel_size == 0 || !self.conv_kernel_size.is_multiple_of(2),
            "conv_kernel_size",
            &self.conv_kernel_size,
            "must be odd, so that the output has the input's length, or 0 for no convolution",
        );
        check(
            self.num_hidden_groups <= self.num_hidden_layers
                && fits(self.num_hidden_layers, self.num_hidden_groups),
            "num_hidden_groups",
            &self.num_hidden_groups,
            &format!("must divide num_hidden_layers = {}, or be 0", self.num_hidden_layers),
        );
        check(
            !self.id2label.is_empty(),
            "id2label",
            &self.id2label.len(),
            "a classifier needs at least one class",
        );
        check(
            self.pad_token_id < self.vocab_size.max(1),
            "pad_token_id",
            &self.pad_token_id,
            &format!("must be below vocab_size = {}", self.vocab_size),
        );
        check(
            !self.is_decoder,
            "is_decoder",
            &self.is_decoder,
            "Nyström attention cannot be causal (a landmark averages over future tokens); set it to false",
        );
        check(
            self.semantics == Semantics::Paper
                || self.is_full_attention()
                || (self.segment_means_seq_len >= self.num_landmarks
                    && fits(self.segment_means_seq_len, self.num_landmarks)),
            "segment_means_seq_len",
            &self.segment_means_seq_len,
            &format!(
                "with semantics = \"hf\" it must be a multiple of num_landmarks = {}",
                self.num_landmarks
            ),
        );
        problems
    }

    /// Checks that a model of this configuration can read sequences of `seq_len` tokens.
    ///
    /// # Errors
    /// [`ModelError::SequenceTooLong`] and [`ModelError::SegmentMeansLength`].
    pub fn validate_seq_len(&self, seq_len: usize) -> Result<(), ModelError> {
        if seq_len > self.max_position_embeddings {
            return Err(ModelError::SequenceTooLong {
                seq_len,
                max_position_embeddings: self.max_position_embeddings,
            });
        }
        if self.semantics == Semantics::Hf
            && !self.is_full_attention()
            && seq_len != self.segment_means_seq_len
        {
            return Err(ModelError::SegmentMeansLength {
                seq_len,
                segment_means_seq_len: self.segment_means_seq_len,
            });
        }
        Ok(())
    }

    /// Builds a model of any architecture with fresh weights on `device`.
    ///
    /// # Errors
    /// See [`Self::validate`].
    pub fn init_model(
        &self,
        architecture: Architecture,
        device: &Device,
    ) -> Result<Model, ModelError> {
        Model::init(architecture, self, device)
    }

    /// Builds the bare encoder with fresh weights on `device`.
    ///
    /// # Errors
    /// See [`Self::validate`].
    pub fn init(&self, device: &Device) -> Result<Nystromformer, ModelError> {
        ModelClass::init(self, device)
    }

    /// Builds the encoder with a masked-language-modelling head and fresh weights on `device`.
    ///
    /// # Errors
    /// See [`Self::validate`].
    pub fn init_masked_lm(&self, device: &Device) -> Result<NystromformerForMaskedLm, ModelError> {
        ModelClass::init(self, device)
    }

    /// Builds the encoder with the two heads of pretraining and fresh weights on `device`.
    ///
    /// # Errors
    /// See [`Self::validate`].
    pub fn init_pre_training(
        &self,
        device: &Device,
    ) -> Result<NystromformerForPreTraining, ModelError> {
        ModelClass::init(self, device)
    }

    /// Builds the encoder with a sequence classifier of [`Self::num_labels`] classes and fresh weights on
    /// `device`.
    ///
    /// # Errors
    /// See [`Self::validate`].
    pub fn init_sequence_classification(
        &self,
        device: &Device,
    ) -> Result<NystromformerForSequenceClassification, ModelError> {
        ModelClass::init(self, device)
    }

    /// Builds the encoder with a multiple-choice head and fresh weights on `device`.
    ///
    /// # Errors
    /// See [`Self::validate`].
    pub fn init_multiple_choice(
        &self,
        device: &Device,
    ) -> Result<NystromformerForMultipleChoice, ModelError> {
        ModelClass::init(self, device)
    }

    /// Builds the encoder with a token classifier of [`Self::num_labels`] classes and fresh weights on
    /// `device`.
    ///
    /// # Errors
    /// See [`Self::validate`].
    pub fn init_token_classification(
        &self,
        device: &Device,
    ) -> Result<NystromformerForTokenClassification, ModelError> {
        ModelClass::init(self, device)
    }

    /// Builds the encoder with a question-answering head and fresh weights on `device`.
    ///
    /// # Errors
    /// See [`Self::validate`].
    pub fn init_question_answering(
        &self,
        device: &Device,
    ) -> Result<NystromformerForQuestionAnswering, ModelError> {
        ModelClass::init(self, device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        assert_eq!(NystromformerConfig::default().validate(), Ok(()));
    }

    #[test]
    fn refusals_name_key_and_value() {
        let cases: [(&str, NystromformerConfig); 6] = [
            ("hidden_size", NystromformerConfig { hidden_size: 770, ..Default::default() }),
            ("num_landmarks", NystromformerConfig { num_landmarks: 0, ..Default::default() }),
            (
                "conv_kernel_size",
                NystromformerConfig { conv_kernel_size: 64, ..Default::default() },
            ),
            (
                "hidden_dropout_prob",
                NystromformerConfig { hidden_dropout_prob: f64::NAN, ..Default::default() },
            ),
            ("is_decoder", NystromformerConfig { is_decoder: true, ..Default::default() }),
            (
                "segment_means_seq_len",
                NystromformerConfig {
                    semantics: Semantics::Hf,
                    segment_means_seq_len: 100,
                    ..Default::default()
                },
            ),
        ];
        for (key, config) in cases {
            let error = config.validate().expect_err(key).to_string();
            assert!(error.starts_with(key), "{error}");
        }
    }

    #[test]
    fn every_mistake_is_told_but_none_twice() {
        let config = NystromformerConfig {
            vocab_size: 0,
            pad_token_id: 0,
            num_attention_heads: 0,
            layer_norm_eps: f64::INFINITY,
            ..Default::default()
        };
        let keys: Vec<String> = config
            .problems()
            .iter()
            .map(|problem| problem.to_string().split(' ').next().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(keys, ["vocab_size", "num_attention_heads", "layer_norm_eps"]);
    }

    #[test]
    fn hf_refuses_lengths_that_it_would_mix_up() {
        let config = NystromformerConfig {
            semantics: Semantics::Hf,
            segment_means_seq_len: 128,
            ..Default::default()
        };
        assert_eq!(config.validate_seq_len(128), Ok(()));
        assert!(matches!(
            config.validate_seq_len(64),
            Err(ModelError::SegmentMeansLength { seq_len: 64, segment_means_seq_len: 128 })
        ));
    }
}
