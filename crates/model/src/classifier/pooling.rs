//! From a sequence of hidden states to the one that a classifier reads.

use burn::tensor::{Int, Tensor};

use serde::{Deserialize, Serialize};

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
}

impl Pooling {
    /// Pools every row.
    ///
    /// # Shapes
    /// - `hidden_states`: `[batch, seq_len, hidden_size]`
    /// - `attention_mask`: `[batch, seq_len]`, 1 for a token and 0 for padding; `None`: all are tokens
    /// - output: `[batch, hidden_size]`
    pub fn pool(
        self,
        hidden_states: Tensor<3>,
        attention_mask: Option<Tensor<2, Int>>,
    ) -> Tensor<2> {
        match (self, attention_mask) {
            (Self::First, _) => first_tokens(hidden_states),
            (_, None) => hidden_states.mean_dim(1).squeeze_dim(1),
            (_, Some(mask)) => {
                let [_, seq_len, _] = hidden_states.dims();
                let keep = mask.float(); // [batch, seq_len]
                let tokens = keep.clone().sum_dim(1).clamp_min(1.0); // [batch, 1]
                // A product with weights instead of a masked sum: nothing as large as the states is made.
                let weights = match self {
                    Self::MeanPadded => keep.div_scalar(seq_len as f64),
                    Self::First | Self::Mean => keep / tokens,
                };
                weights.unsqueeze_dim::<3>(1).matmul(hidden_states).squeeze_dim(1)
            }
        }
    }
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
    use burn::tensor::{Device, TensorData};

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
            let pooled = pooling.pool(states.clone(), mask);
            pooled.to_data().assert_eq(&TensorData::from(expected), true);
        }
    }
}
