//! Which tokens' last hidden states are read. A head says so, and the last layer computes no others: it attends from them alone as
//! far as its attention can, and projects, widens, narrows and normalises nothing else.

use burn::tensor::{Int, Tensor};
use nystromformer_kernels::{dropout, dropout_of_rows, is_flex, select_rows};

use crate::attention::Padding;

/// The tokens of a batch whose last hidden states are wanted.
#[expect(clippy::large_enum_variant, reason = "there is one in a forward pass")]
#[derive(Debug, Clone, Default)]
pub enum WantedTokens {
    /// All of them, padding too.
    #[default]
    All,
    /// All but padding, whose states then mean nothing.
    Tokens,
    /// The first of each row.
    First,
    /// Those at flat indices `row · seq_len + column`: `[positions]`.
    At(Tensor<1, Int>),
}

impl WantedTokens {
    /// The states of these tokens.
    ///
    /// # Shapes
    /// - `states`: `[batch, seq_len, width]`
    /// - output: the same for all, `[batch, 1, width]` for the first, `[1, positions, width]` for chosen ones
    ///
    /// # Panics
    /// If a position is no token.
    pub fn of(&self, states: Tensor<3>) -> Tensor<3> {
        let [_, _, width] = states.dims();
        match self {
            Self::All | Self::Tokens => states,
            Self::First => states.narrow(1, 0, 1),
            Self::At(_) if self.are_none() => Tensor::zeros([1, 0, width], &states.device()),
            Self::At(positions) => states_at(states, positions.clone()).unsqueeze_dim(0),
        }
    }

    /// Whether no token is wanted, as where nothing is masked in a batch: then nothing need be computed.
    pub(crate) fn are_none(&self) -> bool {
        matches!(self, Self::At(positions) if positions.dims() == [0])
    }

    /// The flat indices of these tokens in the batch that `states` are of, padding counted, or `None` for all.
    pub(crate) fn places(&self, states: &Tensor<3>, padding: Option<&Padding>) -> Places {
        let [batch, seq_len, _] = states.dims();
        let rows = match self {
            Self::All | Self::Tokens => None,
            Self::First => {
                let rows = Tensor::arange(0..batch as i64, &states.device());
                Some(rows.mul_scalar(seq_len as i64))
            }
            Self::At(positions) => Some(positions.clone()),
        };
        Places(match (padding.and_then(Padding::places), rows) {
            (Some(places), Some(rows)) => Some(places.clone().select(0, rows)),
            (Some(places), None) => Some(places.clone()),
            (None, rows) => rows,
        })
    }

    /// The flat indices of these tokens among `batch · seq_len`, where they are not all and the CPU knows them.
    pub(crate) fn rows(&self, [batch, seq_len]: [usize; 2]) -> Option<Vec<usize>> {
        match self {
            Self::All | Self::Tokens => None,
            Self::First => Some((0..batch).map(|row| row * seq_len).collect()),
            Self::At(positions) => {
                let positions = is_flex(&positions.device()).then(|| positions.clone())?;
                let positions = positions.try_into_vec_as::<i64>().ok()?;
                let of = |position| {
                    let row = usize::try_from(position).ok().filter(|&row| row < batch * seq_len);
                    row.unwrap_or_else(|| {
                        panic!("`{position}` is no position of {batch} rows of {seq_len} tokens")
                    })
                };
                Some(positions.into_iter().map(of).collect())
            }
        }
    }

    /// What [`Self::of`] gives, of states at `ascending` indices alone; `rows` are the [indices](Self::rows) wanted.
    ///
    /// # Shapes
    /// - `states`: `[1, ascending, width]`
    pub(crate) fn in_order(
        &self,
        states: Tensor<3>,
        ascending: &[usize],
        rows: &[usize],
    ) -> Tensor<3> {
        let [_, _, width] = states.dims();
        match self {
            Self::All | Self::Tokens => states,
            Self::First => states.reshape([rows.len(), 1, width]),
            Self::At(_) if ascending == rows => states,
            Self::At(positions) => {
                let index: Vec<i64> = rows
                    .iter()
                    .map(|row| ascending.partition_point(|at| at < row) as i64)
                    .collect();
                let index = Tensor::from_ints(index.as_slice(), &positions.device());
                select_rows(states.squeeze_dim(0), index).unsqueeze_dim(0)
            }
        }
    }
}

/// The states of chosen tokens, of which there may be none.
///
/// # Shapes
/// - `states`: `[batch, seq_len, width]`
/// - `positions`: `[positions]`, flat indices `row · seq_len + column`
/// - output: `[positions, width]`
///
/// # Panics
/// If a position is no token.
pub(crate) fn states_at(states: Tensor<3>, positions: Tensor<1, Int>) -> Tensor<2> {
    let [batch, seq_len, width] = states.dims();
    // A 0 in a new shape means to Burn "as it was", and devices have no work of size 0.
    if positions.dims() == [0] {
        return Tensor::zeros([0, width], &states.device());
    }
    select_rows(states.reshape([batch * seq_len, width]), positions)
}

/// Where the tokens at hand stand in the whole batch: `[tokens]`, or `None` if they are the whole batch.
#[derive(Debug, Clone)]
pub(crate) struct Places(Option<Tensor<1, Int>>);

impl Places {
    /// Dropout that does to a token what it would do to it in the whole batch (by this library's kernels; elsewhere it draws
    /// anew).
    ///
    /// # Shapes
    /// - `x`, output: `[batch, seq_len, width]`, or of the tokens at hand
    pub(crate) fn dropout(&self, x: Tensor<3>, probability: f64) -> Tensor<3> {
        match &self.0 {
            None => dropout(x, probability),
            Some(rows) => dropout_of_rows(x, probability, rows.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, TensorData, Tolerance};
    use nystromformer_kernels::{Seed, random};

    use super::*;
    use crate::{
        Nystromformer, NystromformerConfig, PositionEmbeddingType, attention::AttentionKind,
        encoder::Encoder, nystromformer::NystromformerInput, shared::Semantics,
        weights::draw_weights,
    };

    const ROWS: usize = 3;
    const SEQ_LEN: usize = 12;

    /// What computes the last layer differently.
    fn configs() -> Vec<(&'static str, NystromformerConfig)> {
        let kinds = AttentionKind::ALL
            .iter()
            .map(|&kind| (kind.name(), base().with(|config| config.attention.kind = kind)));
        kinds.chain(variants()).collect()
    }

    fn base() -> NystromformerConfig {
        NystromformerConfig::default().with(|config| {
            config.embeddings.vocab_size = 20;
            config.shared.hidden_size = 16;
            config.shared.num_attention_heads = 2;
            config.shared.hidden_dropout_prob = 0.2;
            config.shared.weights.initializer_range = 0.3;
            config.encoder.num_hidden_layers = 2;
            config.feed_forward.intermediate_size = 24;
            config.feed_forward.activation_dropout = 0.1;
            config.attention.nystrom.num_landmarks = 4;
            config.attention.nystrom.segment_means_seq_len = SEQ_LEN;
            config.attention.convolution.conv_kernel_size = 5;
            config.attention.linformer.linformer_k = 3;
            config.attention.performer.performer_features = 6;
            config.attention.longformer.attention_window = 4;
            config.attention.agent.num_agents = 4;
            config.attention.reformer.num_buckets = 4;
            config.attention.reformer.lsh_attn_chunk_length = 4;
        })
    }

    fn variants() -> Vec<(&'static str, NystromformerConfig)> {
        let base = base();
        let with = |change: fn(&mut NystromformerConfig)| base.clone().with(change);
        vec![
            ("hf", with(|config| config.shared.semantics = Semantics::Hf)),
            ("pre-LN", with(|config| config.shared.norm_first = true)),
            ("exact", with(|config| config.attention.kind = AttentionKind::Softmax)),
            (
                "exact without dropped probabilities",
                with(|config| {
                    config.attention.kind = AttentionKind::Softmax;
                    config.attention.softmax.attention_probs_dropout_prob = 0.0;
                }),
            ),
            ("no convolution", with(|config| config.attention.convolution.conv_kernel_size = 0)),
            (
                "a convolution longer than a row",
                with(|config| config.attention.convolution.conv_kernel_size = 65),
            ),
            (
                "a filter for each channel",
                with(|config| config.attention.convolution.conv_per_channel = true),
            ),
            (
                "rotary positions",
                with(|config| {
                    config.shared.position_embedding_type = PositionEmbeddingType::Rotary;
                }),
            ),
            ("chunks", with(|config| config.feed_forward.chunk_size_feed_forward = 5)),
            ("shared layers", with(|config| config.encoder.num_hidden_groups = 1)),
            (
                "no layers",
                with(|config| {
                    config.shared.norm_first = true;
                    config.encoder.num_hidden_layers = 0;
                }),
            ),
        ]
    }

    fn wanted(device: &Device) -> [WantedTokens; 2] {
        // Out of order, one of them twice, a row without any, and padding.
        let positions = Tensor::from_ints([30, 0, 3, 11, 3, 35], device);
        [WantedTokens::First, WantedTokens::At(positions)]
    }

    fn mask(device: &Device) -> Tensor<2, Int> {
        let lengths = [SEQ_LEN, 5, 9];
        let mask =
            lengths.map(|length| std::array::from_fn::<i64, SEQ_LEN, _>(|i| i64::from(i < length)));
        Tensor::from_ints(mask, device)
    }

    /// The same bits, dropout included, where attention is this library's kernels, and the same gradients but for the order of sums.
    #[test]
    fn the_last_layer_gives_what_it_would_give_for_all_tokens() {
        let device = Device::flex().autodiff();
        for (name, config) in configs() {
            let encoder: Encoder = Seed::new(2).scope(|| {
                let encoder = config.encoder.init(&config.layer(), &device);
                draw_weights(&encoder);
                encoder
            });
            for wanted in wanted(&device) {
                for padding in [None, Some(config.attention.padding(mask(&device), &config.shared))]
                {
                    let run = |of_all: bool| -> [TensorData; 3] {
                        let shape = [ROWS, SEQ_LEN, config.shared.hidden_size];
                        let normal = Distribution::Normal(0.0, 1.0);
                        let input = Seed::new(4).scope(|| random::<3>(shape, normal, &device));
                        let input = input.require_grad();
                        let states = Seed::new(5).scope(|| {
                            if of_all {
                                wanted.of(encoder.forward(input.clone(), padding.as_ref()))
                            } else {
                                encoder.forward_wanted(input.clone(), padding.as_ref(), &wanted)
                            }
                        });
                        let gradients = (states.clone() * states.clone().sin()).sum().backward();
                        let weight = encoder.layer.first().map_or_else(
                            || encoder.layer_norm.as_ref().unwrap().gamma.val().grad(&gradients),
                            |layer| {
                                layer.attention.self_attention.value.bias.val().grad(&gradients)
                            },
                        );
                        [
                            states.into_data(),
                            input.grad(&gradients).unwrap().into_data(),
                            weight.unwrap().into_data(),
                        ]
                    };
                    let ([all, input, weight], [few, input_of_few, weight_of_few]) =
                        (run(true), run(false));
                    let tolerance = Tolerance::relative(1e-4).set_absolute(2e-5);
                    if matches!(
                        config.attention.kind,
                        AttentionKind::Nystrom | AttentionKind::Softmax
                    ) {
                        assert_eq!(all, few, "{name}, {wanted:?}");
                    } else {
                        // Burn's products round by how many rows they have.
                        few.assert_approx_eq::<f32>(&all, tolerance);
                    }
                    input_of_few.assert_approx_eq::<f32>(&input, tolerance);
                    weight_of_few.assert_approx_eq::<f32>(&weight, tolerance);
                }
            }
        }
    }

    /// Without autodiff, with the class token of a model of vectors.
    #[test]
    fn a_whole_model_gives_the_states_that_are_wanted() {
        let device = Device::flex();
        let config = base().with(|config| {
            config.vectors.num_features = 3;
            config.vectors.use_cls_token = true;
        });
        let model: Nystromformer = Seed::new(3).scope(|| config.init(&device)).unwrap();
        let normal = Distribution::Normal(0.0, 1.0);
        let features = Seed::new(4).scope(|| random::<3>([ROWS, SEQ_LEN, 3], normal, &device));
        let full = NystromformerInput::from_features(features);
        let padded = full.clone().with_attention_mask(mask(&device));
        for wanted in wanted(&device) {
            let run = |input: &NystromformerInput| {
                let few = model.forward_wanted(input.clone(), &wanted).unwrap();
                [few, wanted.of(model.forward(input.clone()).unwrap())].map(Tensor::into_data)
            };
            let [few, all] = run(&full);
            assert_eq!(few, all, "{wanted:?}");
            // Padding is left out where nobody reads it, and computed with the rest where all is read: sums round differently.
            let [few, all] = run(&padded);
            few.assert_approx_eq::<f32>(&all, Tolerance::relative(1e-5).set_absolute(1e-5));
        }
    }
}
