//! The named workloads: model, batch and sequence length.

use clap::ValueEnum;
use nystromformer::{Labels, NystromformerConfig, PinvInit, Semantics};

/// A workload. Names and shapes are those of the PyTorch peer that the project is measured against, where not said
/// otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// Masked-LM training step of a BERT-base-sized model, 4 × 512 tokens.
    #[value(name = "mlm-base-512")]
    MlmBase512,
    /// Masked-LM training step of a BERT-base-sized model, 1 × 4096 tokens.
    #[value(name = "mlm-base-4096")]
    MlmBase4096,
    /// Masked-LM training step of a 4-layer model of width 256, 8 × 512 tokens.
    #[value(name = "mlm-small-512")]
    MlmSmall512,
    /// Masked-LM training step of a 2-layer model of width 128, 2 × 128 tokens: smaller than the peer's, for devices that are programs.
    #[value(name = "mlm-tiny-128")]
    MlmTiny128,
    /// Classification training step of the Long Range Arena's model, 32 × 2048 tokens.
    #[value(name = "lra-2048")]
    Lra2048,
    /// Classification training step of the Long Range Arena's model, 16 × 4096 tokens.
    #[value(name = "lra-4096")]
    Lra4096,
    /// Classification training step of the Long Range Arena's model, 1 × 262144 tokens: longer than the peer goes.
    #[value(name = "lra-262144")]
    Lra262144,
    /// Forward pass of a BERT-base-sized model with logits everywhere, 1 × 512 tokens.
    #[value(name = "infer-base-512")]
    InferBase512,
    /// Forward pass of a BERT-base-sized model with logits everywhere, 1 × 4096 tokens.
    #[value(name = "infer-base-4096")]
    InferBase4096,
    /// Classification training step of a BERT-base-sized model, 16 × 128 tokens, rows of 13 to 128.
    #[value(name = "glue-128-padded")]
    Glue128Padded,
    /// Classification training step of a 4-layer model of width 256, 16 × 512 tokens, rows of 51 to 512.
    #[value(name = "imdb-512-padded")]
    Imdb512Padded,
    /// Classification training step of the Long Range Arena's model, 32 × 2048 tokens, rows of 205 to 2048.
    #[value(name = "lra-2048-padded")]
    Lra2048Padded,
}

/// The shortest row of a padded workload, as a share of the longest.
const SHORTEST: f64 = 0.1;

/// What one step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Forward, masked-LM loss, backward, AdamW.
    MaskedLmTraining,
    /// Forward, classification loss, backward, AdamW.
    ClassificationTraining,
    /// Forward without gradients, logits at every position.
    MaskedLmInference,
}

/// A workload spelled out.
#[derive(Debug, Clone)]
pub struct Shape {
    /// The model, all dropout off.
    pub model: NystromformerConfig,
    /// What one step does.
    pub work: Work,
    /// Sequences per step.
    pub batch: usize,
    /// Tokens per sequence, padding included.
    pub seq_len: usize,
    /// Tokens of each sequence, if some of it is padding.
    pub lengths: Option<Vec<usize>>,
}

impl Shape {
    /// Tokens per step that are no padding.
    pub fn num_tokens(&self) -> usize {
        self.lengths.as_ref().map_or(self.batch * self.seq_len, |lengths| lengths.iter().sum())
    }
}

impl Workload {
    /// The name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Whether rows have padding, as those of fine-tuning do.
    pub fn is_padded(self) -> bool {
        matches!(self, Self::Glue128Padded | Self::Imdb512Padded | Self::Lra2048Padded)
    }

    /// What the model computes unless asked otherwise: of padding, what the peer does.
    pub fn default_semantics(self) -> Semantics {
        if self.is_padded() { Semantics::Hf } else { Semantics::Paper }
    }

    /// Model, batch and lengths.
    pub fn shape(self, semantics: Semantics) -> Shape {
        let base = NystromformerConfig::default().with(|config| {
            config.embeddings.vocab_size = 30000;
            config.attention.nystrom.num_landmarks = 64;
            config.attention.convolution.conv_kernel_size = 65;
            config.shared.hidden_dropout_prob = 0.0;
            config.attention.softmax.attention_probs_dropout_prob = 0.0;
        });
        let small = base.clone().with(|config| {
            config.shared.hidden_size = 256;
            config.encoder.num_hidden_layers = 4;
            config.shared.num_attention_heads = 4;
            config.feed_forward.intermediate_size = 1024;
        });
        let tiny = base.clone().with(|config| {
            config.embeddings.vocab_size = 4000;
            config.shared.hidden_size = 128;
            config.encoder.num_hidden_layers = 2;
            config.shared.num_attention_heads = 2;
            config.feed_forward.intermediate_size = 512;
        });
        let lra = base.clone().with(|config| {
            config.embeddings.vocab_size = 512;
            config.shared.hidden_size = 64;
            config.encoder.num_hidden_layers = 2;
            config.shared.num_attention_heads = 2;
            config.feed_forward.intermediate_size = 128;
            config.attention.nystrom.num_landmarks = 128;
            config.attention.convolution.conv_kernel_size = 35;
            config.classifier.id2label = Labels::numbered(10);
        });
        let (model, work, batch, seq_len) = match self {
            Self::MlmBase512 => (base, Work::MaskedLmTraining, 4, 512),
            Self::MlmBase4096 => (base, Work::MaskedLmTraining, 1, 4096),
            Self::MlmSmall512 => (small, Work::MaskedLmTraining, 8, 512),
            Self::MlmTiny128 => (tiny, Work::MaskedLmTraining, 2, 128),
            Self::Lra2048 | Self::Lra2048Padded => (lra, Work::ClassificationTraining, 32, 2048),
            Self::Lra4096 => (lra, Work::ClassificationTraining, 16, 4096),
            Self::Lra262144 => (lra, Work::ClassificationTraining, 1, 262_144),
            Self::InferBase512 => (base, Work::MaskedLmInference, 1, 512),
            Self::InferBase4096 => (base, Work::MaskedLmInference, 1, 4096),
            Self::Glue128Padded => (ten_classes(base), Work::ClassificationTraining, 16, 128),
            Self::Imdb512Padded => (ten_classes(small), Work::ClassificationTraining, 16, 512),
        };
        let model = model.with(|config| {
            config.embeddings.max_position_embeddings = seq_len;
            if semantics == Semantics::Hf {
                config.shared.semantics = Semantics::Hf;
                config.attention.nystrom.segment_means_seq_len = seq_len;
                config.attention.nystrom.pinv_init = PinvInit::Original;
            }
        });
        let lengths = self.is_padded().then(|| padded_lengths(batch, seq_len));
        Shape { model, work, batch, seq_len, lengths }
    }
}

fn ten_classes(model: NystromformerConfig) -> NystromformerConfig {
    model.with(|config| config.classifier.id2label = Labels::numbered(10))
}

/// Lengths of `batch` rows (two or more), evenly from [`SHORTEST`] to `seq_len`, rounded as Python does.
fn padded_lengths(batch: usize, seq_len: usize) -> Vec<usize> {
    let share = |row| SHORTEST + (1.0 - SHORTEST) * row as f64 / (batch - 1) as f64;
    (0..batch).map(|row| (seq_len as f64 * share(row)).round_ties_even() as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padded_rows_are_as_long_as_the_peers() {
        // `[round(n * (0.1 + 0.9 * i / (b - 1))) for i in range(b)]` in Python.
        let glue = [13, 20, 28, 36, 44, 51, 59, 67, 74, 82, 90, 97, 105, 113, 120, 128];
        assert_eq!(padded_lengths(16, 128), glue);
        let lengths = |workload: Workload| {
            let shape = workload.shape(workload.default_semantics());
            let lengths = shape.lengths.clone().unwrap();
            (lengths[0], lengths[lengths.len() - 1], shape.num_tokens())
        };
        assert_eq!(lengths(Workload::Glue128Padded), (13, 128, 1127));
        assert_eq!(lengths(Workload::Imdb512Padded), (51, 512, 4506));
        assert_eq!(lengths(Workload::Lra2048Padded), (205, 2048, 36046));
    }

    #[test]
    fn only_padded_workloads_have_lengths() {
        for workload in Workload::value_variants() {
            let shape = workload.shape(Semantics::Paper);
            assert_eq!(shape.lengths.is_some(), workload.name().ends_with("-padded"));
            assert!(shape.num_tokens() <= shape.batch * shape.seq_len);
            assert_eq!(shape.model.shared.semantics, Semantics::Paper);
        }
    }
}
