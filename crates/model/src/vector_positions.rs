//! Where feature vectors stand: not at all, in a row, or on a grid.

use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// Base of the wavelengths of [`VectorPositions::Grid`], as in "Attention is all you need".
const WAVELENGTHS: f64 = 10_000.0;

/// What says where a vector stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VectorPositions {
    /// Nothing: vectors are a bag.
    #[default]
    None,
    /// A learned vector for each place of the sequence, up to `max_position_embeddings`.
    Learned,
    /// Sines and cosines of a row and a column, half of the channels each, as in masked autoencoders (He et al. 2022). Rows
    /// and columns are the vectors' coordinates; without any, vectors fill a square row by row, as `TransMIL` lays them.
    Grid,
}

/// Row and column of each vector, `[batch or 1, seq_len]`.
pub(crate) struct Places {
    rows: Tensor<2>,
    columns: Tensor<2>,
}

impl Places {
    /// Those that the data gives.
    pub(crate) fn given(coordinates: Tensor<3>) -> Self {
        let of = |index| coordinates.clone().narrow(2, index, 1).squeeze_dim(2);
        Self { rows: of(0), columns: of(1) }
    }

    /// Row by row in the smallest square that holds each sequence's own vectors.
    pub(crate) fn in_a_square(
        seq_len: usize,
        attention_mask: Option<&Tensor<2, Int>>,
        device: &Device,
    ) -> Self {
        let (count, index) = if let Some(mask) = attention_mask {
            let index = mask.clone().cumsum(1).sub_scalar(1).clamp_min(0);
            (mask.clone().sum_dim(1).clamp_min(1).float(), index.float())
        } else {
            let index = Tensor::<1, Int>::arange(0..seq_len as i64, device).float();
            (Tensor::full([1, 1], seq_len as f64, device), index.unsqueeze_dim(0))
        };
        // Whole numbers below 2²⁴, so their quotients round to the right side of the next whole one.
        let side = count.sqrt().ceil();
        let rows = (index.clone() / side.clone()).floor();
        let columns = index - rows.clone() * side;
        Self { rows, columns }
    }

    /// `[sin, cos]` of the row, then of the column, a quarter of the channels each.
    pub(crate) fn embedded(self, hidden_size: usize) -> Tensor<3> {
        let quarter = hidden_size / 4;
        let frequencies: Vec<f32> = (0..quarter)
            .map(|channel| WAVELENGTHS.powf(-(channel as f64) / quarter as f64) as f32)
            .collect();
        let data = TensorData::new(frequencies, [1, 1, quarter]);
        let frequencies = Tensor::<3>::from_data(data, &self.rows.device());
        let waves = |places: Tensor<2>| {
            let angles = places.unsqueeze_dim::<3>(2) * frequencies.clone();
            [angles.clone().sin(), angles.cos()]
        };
        let [row_sin, row_cos] = waves(self.rows);
        let [column_sin, column_cos] = waves(self.columns);
        Tensor::cat(vec![row_sin, row_cos, column_sin, column_cos], 2)
    }
}
