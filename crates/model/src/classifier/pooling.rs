//! From a sequence of hidden states to the one that a classifier reads.

use burn::{
    module::Module,
    tensor::{
        Device, Int, Tensor,
        activation::{sigmoid, softmax, tanh},
    },
};
use serde::{Deserialize, Serialize};

use crate::{
    attention::padding::bias,
    component::Problems,
    linear::Linear,
    shared::{Semantics, SharedConfig},
    wanted_tokens::WantedTokens,
};

/// What a sequence classifier reads of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The hidden state of the first token, as transformers' class does.
    #[default]
    First,
    /// The mean over the sequence's tokens.
    Mean,
    /// The sum over the sequence's tokens, divided by the length of the padded row: what the authors' Long Range
    /// Arena code computes. It makes an answer depend on how far its row was padded.
    MeanPadded,
    /// A weighted mean over the sequence's tokens, the weights learned by gated attention (Ilse, Tomczak and Welling 2018):
    /// the classifier of bags that Nyström attention is compared with.
    Attention,
    /// The hidden states of the sequence's first and last token side by side, twice as wide as one.
    FirstLast,
    /// The mean over the sequence's tokens, and beside it the largest value of each channel among them: twice as wide as one.
    MeanMax,
}

impl Pooling {
    /// Features of what it makes of hidden states of `hidden_size`.
    pub fn width(self, hidden_size: usize) -> usize {
        match self {
            Self::First | Self::Mean | Self::MeanPadded | Self::Attention => hidden_size,
            Self::FirstLast | Self::MeanMax => 2 * hidden_size,
        }
    }

    /// Whether it reads some tokens alone, and not what all hold.
    pub(crate) fn reads_few_tokens(self) -> bool {
        matches!(self, Self::First | Self::FirstLast)
    }

    /// Adds what is wrong between it and what all parts share.
    pub(crate) fn check_with(self, shared: &SharedConfig, problems: &mut Problems) {
        let name = match self {
            Self::FirstLast => "first_last",
            Self::MeanMax => "mean_max",
            Self::First | Self::Mean | Self::MeanPadded | Self::Attention => return,
        };
        problems.check(
            shared.semantics == Semantics::Paper,
            "pooling",
            &name,
            "semantics = \"hf\" is what transformers computes, whose classifiers read the first token: take semantics = \
             \"paper\", or leave it out",
        );
    }

    /// Fresh weights on `device`, of the one kind that has some.
    pub fn init(self, shared: &SharedConfig, device: &Device) -> Pooler {
        let attention = (self == Self::Attention).then(|| GatedAttention::new(shared, device));
        Pooler { attention, pooling: self }
    }
}

/// Makes one state of a sequence's.
#[derive(Module, Debug)]
pub struct Pooler {
    /// Of [`Pooling::Attention`] only.
    pub attention: Option<GatedAttention>,
    #[module(skip)]
    pooling: Pooling,
}

impl Pooler {
    /// The tokens whose states it reads, of a batch of so many rows and columns.
    ///
    /// # Shapes
    /// - `attention_mask`: `[batch, seq_len]`, 1 for a token and 0 for padding; `None`: all are tokens
    pub fn wanted_tokens(
        &self,
        shape: [usize; 2],
        attention_mask: Option<&Tensor<2, Int>>,
        device: &Device,
    ) -> WantedTokens {
        match self.pooling {
            Pooling::First => WantedTokens::First,
            Pooling::Mean | Pooling::MeanPadded | Pooling::Attention | Pooling::MeanMax => {
                WantedTokens::Tokens
            }
            Pooling::FirstLast => WantedTokens::At(ends(shape, attention_mask, device)),
        }
    }

    /// Pools every row.
    ///
    /// # Shapes
    /// - `hidden_states`: those of the [wanted tokens](Self::wanted_tokens); where these are not at chosen places,
    ///   `[batch, seq_len, hidden_size]` will do
    /// - `attention_mask`: `[batch, seq_len]`, 1 for a token and 0 for padding; `None`: all are tokens
    /// - output: `[batch, hidden_size]`, or [wider](Pooling::width)
    pub fn forward(
        &self,
        hidden_states: Tensor<3>,
        attention_mask: Option<Tensor<2, Int>>,
    ) -> Tensor<2> {
        if let Some(attention) = &self.attention {
            let weights = attention.weights(hidden_states.clone(), attention_mask);
            return weights.unsqueeze_dim::<3>(1).matmul(hidden_states).squeeze_dim(1);
        }
        match (self.pooling, attention_mask) {
            (Pooling::First, _) => first_tokens(hidden_states),
            (Pooling::FirstLast, _) => {
                let [_, ends, hidden_size] = hidden_states.dims();
                hidden_states.reshape([ends / 2, 2 * hidden_size])
            }
            (Pooling::MeanMax, mask) => {
                let mean = Self { attention: None, pooling: Pooling::Mean };
                let mean = mean.forward(hidden_states.clone(), mask.clone());
                Tensor::cat(vec![mean, largest(hidden_states, mask)], 1)
            }
            (_, None) => hidden_states.mean_dim(1).squeeze_dim(1),
            (_, Some(mask)) => {
                let [_, seq_len, _] = hidden_states.dims();
                let keep = mask.float(); // [batch, seq_len]
                let tokens = keep.clone().sum_dim(1).clamp_min(1.0); // [batch, 1]
                // A product with weights instead of a masked sum: nothing as large as the states is made.
                let weights = match self.pooling {
                    Pooling::MeanPadded => keep.div_scalar(seq_len as f64),
                    _ => keep / tokens,
                };
                weights.unsqueeze_dim::<3>(1).matmul(hidden_states).squeeze_dim(1)
            }
        }
    }
}

/// The weights of a sequence's tokens: `softmax(w · (tanh(V h) ⊙ sigmoid(U h)))` over its tokens, equation 9 of Ilse et al.
#[derive(Module, Debug)]
pub struct GatedAttention {
    /// `V`: `hidden_size → hidden_size`.
    pub value: Linear,
    /// `U`: `hidden_size → hidden_size`.
    pub gate: Linear,
    /// `w`: `hidden_size → 1`.
    pub score: Linear,
}

impl GatedAttention {
    fn new(shared: &SharedConfig, device: &Device) -> Self {
        let width = shared.hidden_size;
        Self {
            value: shared.linear(width, width).init(device),
            gate: shared.linear(width, width).init(device),
            score: shared.linear(width, 1).init(device),
        }
    }

    /// The weight of every token, 0 for padding; those of a row sum to 1.
    ///
    /// # Shapes
    /// - `hidden_states`: `[batch, seq_len, hidden_size]`
    /// - `attention_mask`, output: `[batch, seq_len]`
    pub fn weights(
        &self,
        hidden_states: Tensor<3>,
        attention_mask: Option<Tensor<2, Int>>,
    ) -> Tensor<2> {
        let gated = tanh(self.value.forward(hidden_states.clone()))
            * sigmoid(self.gate.forward(hidden_states));
        let scores: Tensor<2> = self.score.forward(gated).squeeze_dim(2);
        softmax(
            match attention_mask {
                Some(mask) => scores + bias(mask.float()),
                None => scores,
            },
            1,
        )
    }
}

/// The places of each row's first and last token, `row · seq_len + column`: `[2 · batch]`. A row without any has its ends
/// somewhere.
fn ends(
    [batch, seq_len]: [usize; 2],
    attention_mask: Option<&Tensor<2, Int>>,
    device: &Device,
) -> Tensor<1, Int> {
    let end = seq_len as i64;
    let row = Tensor::<1, Int>::arange(0..batch as i64, device).mul_scalar(end);
    let row = row.unsqueeze_dim::<2>(1);
    let (first, last) = match attention_mask {
        None => (row.zeros_like(), row.zeros_like().add_scalar(end - 1)),
        Some(mask) => {
            let column = Tensor::<1, Int>::arange(0..end, device).unsqueeze_dim::<2>(0);
            // From the end, and from before the beginning, that padding is 0 and the outermost token the largest.
            let from_end = mask.clone() * column.clone().neg().add_scalar(end);
            let from_start = mask.clone() * column.add_scalar(1);
            (
                from_end.max_dim(1).neg().add_scalar(end).clamp_max(end - 1),
                from_start.max_dim(1).sub_scalar(1).clamp_min(0),
            )
        }
    };
    Tensor::cat(vec![row.clone() + first, row + last], 1).reshape([2 * batch])
}

/// The largest value of each channel among a row's tokens, 0 in a row without any: `[batch, hidden_size]`.
fn largest(hidden_states: Tensor<3>, attention_mask: Option<Tensor<2, Int>>) -> Tensor<2> {
    let Some(mask) = attention_mask else {
        return hidden_states.max_dim(1).squeeze_dim(1);
    };
    let keep = mask.float();
    let has_tokens = keep.clone().max_dim(1);
    let masked = hidden_states + bias(keep).unsqueeze_dim::<3>(2);
    masked.max_dim(1).squeeze_dim::<2>(1) * has_tokens
}

/// The hidden state of every row's first token, which classifiers read.
///
/// # Shapes
/// - `hidden_states`: `[batch, seq_len, hidden_size]`
/// - output: `[batch, hidden_size]`
pub(crate) fn first_tokens(hidden_states: Tensor<3>) -> Tensor<2> {
    hidden_states.narrow(1, 0, 1).squeeze_dim(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;
    use nystromformer_kernels::Seed;

    #[test]
    fn means_by_hand() {
        let device = Device::flex();
        let states = Tensor::<3>::from_floats(
            [[[1.0, 2.0], [3.0, 6.0], [50.0, 70.0], [90.0, 8.0]]],
            &device,
        );
        let mask = Tensor::<2, Int>::from_ints([[1, 1, 0, 0]], &device);
        for (pooling, mask, expected) in [
            (Pooling::First, Some(mask.clone()), [[1.0f32, 2.0]]),
            (Pooling::Mean, Some(mask.clone()), [[2.0, 4.0]]),
            (Pooling::MeanPadded, Some(mask), [[1.0, 2.0]]),
            (Pooling::Mean, None, [[36.0, 21.5]]),
            (Pooling::MeanPadded, None, [[36.0, 21.5]]),
        ] {
            let pooler = pooling.init(&SharedConfig::default(), &device);
            let pooled = pooler.forward(states.clone(), mask);
            pooled.to_data().assert_eq(&TensorData::from(expected), true);
        }
    }

    /// Rows with padding behind, before, among their tokens, with a single token and without any.
    #[test]
    fn two_states_side_by_side_by_hand() {
        let device = Device::flex();
        let numbers: Vec<f32> = (0..40u8).map(|i| f32::from(i * 7 % 40) - 20.0).collect();
        let states = Tensor::<1>::from_floats(numbers.as_slice(), &device).reshape([5, 4, 2]);
        let masks = [[1, 1, 0, 0], [0, 1, 1, 1], [1, 0, 0, 1], [0, 0, 1, 0], [0; 4]];
        let at = |row: usize, column: usize| [0, 1].map(|i| numbers[(row * 4 + column) * 2 + i]);
        for masked in [true, false] {
            let mask = masked.then(|| Tensor::<2, Int>::from_ints(masks, &device));
            let pool = |pooling: Pooling| -> Vec<f32> {
                let pooler = pooling.init(&SharedConfig::default(), &device);
                let wanted = pooler.wanted_tokens([5, 4], mask.as_ref(), &device);
                let pooled = pooler.forward(wanted.of(states.clone()), mask.clone());
                assert_eq!(pooled.dims(), [5, pooling.width(2)]);
                pooled.try_into_vec_as().unwrap()
            };
            let (ends, means) = (pool(Pooling::FirstLast), pool(Pooling::MeanMax));
            for (row, mask) in masks.iter().enumerate() {
                let columns: Vec<usize> =
                    (0..4).filter(|&column| !masked || mask[column] == 1).collect();
                let Some((&first, &last)) = columns.first().zip(columns.last()) else {
                    assert_eq!(means[4 * row..4 * row + 4], [0.0; 4]);
                    continue;
                };
                assert_eq!(ends[4 * row..4 * row + 4], [at(row, first), at(row, last)].concat());
                for channel in 0..2 {
                    let values = columns.iter().map(|&column| at(row, column)[channel]);
                    let mean = values.clone().sum::<f32>() / columns.len() as f32;
                    assert!((means[4 * row + channel] - mean).abs() < 1e-5);
                    let largest = values.fold(f32::NEG_INFINITY, f32::max);
                    assert_eq!(means[4 * row + 2 + channel], largest);
                }
            }
        }
    }

    /// Every number again in 64-bit floats; padding has no part.
    #[test]
    fn gated_attention_is_its_formula() {
        let device = Device::flex();
        let mut shared = SharedConfig { hidden_size: 2, ..SharedConfig::default() };
        shared.weights.initializer_range = 0.7;
        let pooler = Seed::new(3).scope(|| {
            let pooler = Pooling::Attention.init(&shared, &device);
            crate::weights::draw_weights(&pooler);
            pooler
        });
        let attention = pooler.attention.as_ref().unwrap();
        let numbers =
            |weight: Tensor<2>| -> Vec<f64> { weight.into_data().iter::<f64>().collect() };
        let [value, gate, score] = [&attention.value, &attention.gate, &attention.score]
            .map(|layer| numbers(layer.weight.val()));
        let states = [[1.0f64, 2.0], [-3.0, 0.5], [50.0, 70.0]];
        let weights: Vec<f64> = states[..2]
            .iter()
            .map(|state| {
                let through = |weight: &[f64], unit: usize| {
                    state[0] * weight[unit] + state[1] * weight[2 + unit]
                };
                let gated =
                    |unit| through(&value, unit).tanh() / (1.0 + (-through(&gate, unit)).exp());
                (score[0] * gated(0) + score[1] * gated(1)).exp()
            })
            .collect();
        let total: f64 = weights.iter().sum();
        let expected: Vec<f64> = (0..2)
            .map(|channel| {
                (0..2).map(|token| weights[token] / total * states[token][channel]).sum()
            })
            .collect();
        let states = states.map(|state| state.map(|number| number as f32));
        let states = Tensor::<3>::from_floats([states], &device);
        let mask = Tensor::<2, Int>::from_ints([[1, 1, 0]], &device);
        for pooled in [
            pooler.forward(states.clone(), Some(mask)),
            pooler.forward(states.narrow(1, 0, 2), None),
        ] {
            for (found, expected) in numbers(pooled).into_iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
            }
        }
    }
}
