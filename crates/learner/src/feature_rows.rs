//! [`FeatureRows`]: rows of feature vectors, which are read when they are moved to a device.
//!
//! A bag can have hundreds of megabytes, and a step many bags: no more of them are in memory than a micro-batch has.

use burn::tensor::{Device, Tensor, TensorData};
use nystromformer::{InputTokens, NystromformerInput};
use nystromformer_data::{DataError, Truncation};
use nystromformer_tasks::{VectorRows, Vectors};

/// The feature vectors of each row of a batch, yet to be read.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureRows {
    /// Of each row.
    pub vectors: Vec<Vectors>,
    /// What is kept of rows that are too long.
    pub truncation: Truncation,
}

impl FeatureRows {
    /// Reads them, each row padded with zeros to `seq_len` vectors.
    ///
    /// # Errors
    /// [`DataError`] if a file of them cannot be read or holds a number that is not finite.
    pub fn read(&self, seq_len: usize) -> Result<VectorRows, DataError> {
        let mut rows = VectorRows::default();
        for (number, vectors) in self.vectors.iter().enumerate() {
            let width = vectors.num_features();
            let read = vectors.read(self.truncation)?;
            if self.vectors.len() == 1 && read.features.len() == seq_len * width {
                // A bag alone is not copied.
                return Ok(read);
            }
            if number == 0 {
                rows.features.reserve_exact(self.vectors.len() * seq_len * width);
            }
            rows.features.extend(read.features);
            rows.features.resize((number + 1) * seq_len * width, 0.0);
            if let Some(places) = read.coordinates {
                let coordinates = rows.coordinates.get_or_insert_default();
                coordinates.extend(places);
                coordinates.resize((number + 1) * seq_len * 2, 0.0);
            }
        }
        Ok(rows)
    }

    /// The same on `device`, as a model reads them; without a mask.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn into_input(
        self,
        seq_len: usize,
        device: &Device,
    ) -> Result<NystromformerInput, DataError> {
        let VectorRows { features, coordinates } = self.read(seq_len)?;
        let rows = self.vectors.len();
        let num_features = self.vectors.first().map_or(0, Vectors::num_features);
        let table = |values: Vec<f32>, width: usize| {
            Tensor::<3>::from_data(TensorData::new(values, [rows, seq_len, width]), device)
        };
        Ok(NystromformerInput {
            tokens: InputTokens::Vectors {
                features: table(features, num_features),
                coordinates: coordinates.map(|places| table(places, 2)),
            },
            attention_mask: None,
            token_type_ids: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_padded_and_cut() {
        let bag = |len: u8| {
            let features = (0..2 * len).map(f32::from).collect();
            let coordinates = Some(vec![f32::from(len); 2 * usize::from(len)]);
            Vectors::new(2, VectorRows { features, coordinates })
        };
        let rows =
            |vectors: &[Vectors], truncation| FeatureRows { vectors: vectors.to_vec(), truncation };
        let bags = [bag(1), bag(4)];
        let found = rows(&bags, Truncation::head(3)).read(3).unwrap();
        assert_eq!(found.features, [0., 1., 0., 0., 0., 0., 0., 1., 2., 3., 4., 5.]);
        assert_eq!(found.coordinates.unwrap(), [1., 1., 0., 0., 0., 0., 4., 4., 4., 4., 4., 4.]);
        let alone = rows(&bags[1..], Truncation::tail(2)).read(2).unwrap();
        assert_eq!(alone.features, [4., 5., 6., 7.]);
        let padded = rows(&bags[..1], Truncation::head(9)).read(2).unwrap();
        assert_eq!(padded.features, [0., 1., 0., 0.]);
    }
}
