//! Nyströmformer: self-attention in O(n) by the Nyström method, as [Burn](burn) modules.
//!
//! Self-attention compares every token with every other token. [Xiong et al. 2021][paper] compare each
//! token with a few *landmarks* instead (means over segments of the sequence) and join the two halves by
//! the pseudo-inverse of the landmark-to-landmark kernel, so time and memory grow linearly with the
//! sequence.
//!
//! This crate is the architecture and its maths. It reads no files, knows no tokens but their ids, and
//! trains nothing: see `nystromformer-data`, `nystromformer-interop` and `nystromformer-learner`.
//!
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use nystromformer::{ModelClass, NystromformerConfig, NystromformerForMaskedLm, NystromformerInput};
//!
//! # fn main() -> Result<(), nystromformer::ModelError> {
//! let device = Device::flex();
//! let config = NystromformerConfig::default().with(|config| {
//!     config.embeddings.vocab_size = 100;
//!     config.shared.hidden_size = 16;
//!     config.shared.num_attention_heads = 2;
//!     config.encoder.num_hidden_layers = 2;
//!     config.feed_forward.intermediate_size = 32;
//!     config.attention.nystrom.num_landmarks = 8;
//!     config.attention.convolution.conv_kernel_size = 5;
//! });
//! let model = NystromformerForMaskedLm::init(&config, &device)?;
//!
//! // Any length will do: here 50 tokens over 8 landmarks.
//! let input_ids = Tensor::<2, Int>::ones([1, 50], &device);
//! let logits = model.forward(NystromformerInput::new(input_ids))?;
//! assert_eq!(logits.dims(), [1, 50, 100]);
//! # Ok(())
//! # }
//! ```
//!
//! Every part has a configuration of its own keys, and can be built by itself from that and what all parts
//! [share](SharedConfig):
//!
//! ```
//! use burn::tensor::{Device, Distribution, Tensor};
//! use nystromformer::{
//!     AttentionConfig, AttentionKind, ClassifierConfig, EncoderConfig, FeedForwardConfig, LayerConfig, LayerNormConfig,
//!     LinearConfig, Pooling, SharedConfig,
//! };
//!
//! let device = Device::flex();
//! let shared = SharedConfig { hidden_size: 16, num_attention_heads: 2, ..Default::default() };
//! let mut attention = AttentionConfig { kind: AttentionKind::Nystrom, ..Default::default() };
//! attention.nystrom.num_landmarks = 8;
//! let states = Tensor::<3>::random([1, 50, 16], Distribution::Normal(0.0, 1.0), &device);
//!
//! let self_attention = attention.init(&shared, &device);
//! assert_eq!(self_attention.forward(states.clone(), None).dims(), [1, 50, 16]);
//!
//! let feed_forward = FeedForwardConfig { intermediate_size: 32, ..Default::default() };
//! assert_eq!(feed_forward.init(&shared, &device).forward(states.clone()).dims(), [1, 50, 32]);
//!
//! let layer = LayerConfig { shared: shared.clone(), attention, feed_forward, picture: None };
//! assert_eq!(layer.init(&device).forward(states.clone(), None).dims(), [1, 50, 16]);
//!
//! let encoder = EncoderConfig { num_hidden_layers: 2, ..Default::default() }.init(&layer, &device);
//! let states = encoder.forward(states, None);
//! let classifier = ClassifierConfig { pooling: Pooling::Mean, ..Default::default() };
//! let pooled = classifier.pooling.init(&shared, &device).forward(states, None);
//! let scores = classifier.init(&shared, 16, &device).forward(pooled);
//! assert_eq!(scores.dims(), [1, 2]);
//!
//! let linear = LinearConfig::new(16, 4).init(&device);
//! let normalise = LayerNormConfig::new(4).init(&device);
//! assert_eq!(normalise.forward(linear.forward(Tensor::<2>::ones([3, 16], &device))).dims(), [3, 4]);
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | [`NystromformerConfig`]: Hugging Face's keys and defaults, plus ours, by part |
//! | [`component`], [`shared`], [`weights`] | what a part's configuration is; what all parts share; fresh weights |
//! | [`attention`] | the kinds of attention, the Nyström method first of all; the convolution skip |
//! | [`embeddings`], [`vector_embeddings`], [`vector_positions`], [`input_embeddings`] | what stands at each place: token ids or feature vectors |
//! | [`positions`], [`stem`] | what says where a token stands; convolutions between embeddings and layers |
//! | [`linear`], [`layer_norm`], [`feed_forward`], [`layer`], [`encoder`] | the encoder's other parts |
//! | [`nystromformer`](mod@nystromformer) | embeddings and encoder together |
//! | [`wanted_tokens`] | which tokens' last hidden states a head reads, and the last layer computes |
//! | [`classifier`] | classes, pooling and the head of sequence classifiers |
//! | [`heads`] | transformers' classes, each the encoder with a head and its loss; [`Model`] is any of them |
//!
//! [paper]: https://arxiv.org/abs/2102.03902
#![recursion_limit = "256"]

pub mod activation;
pub mod attention;
pub mod classifier;
pub mod component;
pub mod config;
pub mod embeddings;
pub mod encoder;
pub mod error;
pub mod feed_forward;
pub mod heads;
pub mod input_embeddings;
pub mod layer;
pub mod layer_norm;
pub mod linear;
pub mod nystromformer;
pub mod picture;
pub mod positions;
pub mod shared;
pub mod stem;
pub mod vector_embeddings;
pub mod vector_positions;
pub mod wanted_tokens;
pub mod weights;

pub use activation::HiddenAct;
pub use attention::{
    AgentConfig, AttentionConfig, AttentionKind, ConvolutionConfig, LandmarkRule,
    LinearAttentionConfig, LinformerConfig, LongformerConfig, NoAttentionConfig, NystromConfig,
    NystromFactors, PerformerConfig, PinvInit, PinvMethod, ReformerConfig, SoftmaxConfig,
};
pub use classifier::{ClassifierConfig, Labels, Pooling, ProblemType, Standardization};
pub use config::NystromformerConfig;
pub use embeddings::{EmbeddingsConfig, InputTokens};
pub use encoder::EncoderConfig;
pub use error::ModelError;
pub use feed_forward::{FeedForwardConfig, FeedForwardKind};
pub use heads::*;
pub use input_embeddings::InputEmbeddings;
pub use layer::LayerConfig;
pub use layer_norm::LayerNormConfig;
pub use linear::LinearConfig;
pub use nystromformer::{Nystromformer, NystromformerInput};
/// Everything random in a model, its fresh weights and its dropout, follows from the seed in whose scope it is drawn.
pub use nystromformer_kernels::Seed;
/// In its scope no row of a batch depends in any bit on how many others there are, on the CPU. Under `semantics = "paper"` with
/// Nyström attention none depends on their lengths either.
pub use nystromformer_kernels::batch_invariant;
pub use picture::Picture;
pub use positions::PositionEmbeddingType;
pub use shared::{Semantics, SharedConfig};
pub use stem::StemConfig;
pub use vector_embeddings::VectorEmbeddingsConfig;
pub use vector_positions::VectorPositions;
pub use wanted_tokens::WantedTokens;
pub use weights::{WeightInit, WeightsConfig};
