//! The named workloads: model, batch and sequence length.

use clap::ValueEnum;
use nystromformer::{Labels, NystromformerConfig};

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
}

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
    /// Tokens per sequence.
    pub seq_len: usize,
}

impl Workload {
    /// The name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Model, batch and length.
    pub fn shape(self) -> Shape {
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
            Self::Lra2048 => (lra, Work::ClassificationTraining, 32, 2048),
            Self::Lra4096 => (lra, Work::ClassificationTraining, 16, 4096),
            Self::Lra262144 => (lra, Work::ClassificationTraining, 1, 262_144),
            Self::InferBase512 => (base, Work::MaskedLmInference, 1, 512),
            Self::InferBase4096 => (base, Work::MaskedLmInference, 1, 4096),
        };
        let model = model.with(|config| config.embeddings.max_position_embeddings = seq_len);
        Shape { model, work, batch, seq_len }
    }
}
