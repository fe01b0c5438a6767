//! Numbers of any size as numbers around 0, and back.

use burn::tensor::{Device, Tensor};

use crate::linear::Linear;

/// Mean and standard deviation of each number to predict, over the training examples.
///
/// A model learns numbers of about 1 as soon as any others; of thousands it would first have to learn their size.
#[derive(Debug, Clone, PartialEq)]
pub struct Standardization {
    /// Of each number.
    pub mean: Vec<f32>,
    /// Of each number; above 0.
    pub std: Vec<f32>,
}

impl Standardization {
    /// Numbers in the units of the data, less their mean, over their deviation: `[batch, numbers]`.
    pub fn standardize(&self, values: Tensor<2>) -> Tensor<2> {
        let device = values.device();
        (values - row(&self.mean, &device)) / row(&self.std, &device)
    }

    /// The inverse: `[batch, numbers]`.
    pub fn undo(&self, values: Tensor<2>) -> Tensor<2> {
        let device = values.device();
        values * row(&self.std, &device) + row(&self.mean, &device)
    }

    /// The last layer of a classifier, changed so that it answers in the units of the data by itself.
    #[must_use]
    pub fn fold_into(&self, layer: Linear) -> Linear {
        let weight = layer.weight.val();
        let device = weight.device();
        let (mean, std) = (row(&self.mean, &device), row(&self.std, &device));
        let bias = layer.bias.val() * std.clone().squeeze_dim::<1>(0) + mean.squeeze_dim::<1>(0);
        Linear { weight: layer.weight.map(|_| weight * std), bias: layer.bias.map(|_| bias) }
    }
}

fn row(values: &[f32], device: &Device) -> Tensor<2> {
    Tensor::<1>::from_floats(values, device).unsqueeze_dim(0)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{TensorData, Tolerance};

    use super::*;
    use crate::shared::SharedConfig;

    #[test]
    fn undoing_gives_the_numbers_back_and_a_layer_can_do_it_itself() {
        let device = Device::flex();
        let scale = Standardization { mean: vec![100.0, -2.0], std: vec![50.0, 0.5] };
        let values = Tensor::<2>::from_floats([[150.0, -1.0], [0.0, -2.0]], &device);
        let standardized = scale.standardize(values.clone());
        standardized.to_data().assert_approx_eq::<f32>(
            &TensorData::from([[1.0, 2.0], [-2.0, 0.0]]),
            Tolerance::default(),
        );
        scale
            .undo(standardized)
            .to_data()
            .assert_approx_eq::<f32>(&values.to_data(), Tolerance::default());
        let layer = SharedConfig::default().linear(3, 2).init(&device);
        let features = Tensor::<2>::from_floats([[0.5, -1.0, 2.0]], &device);
        let expected = scale.undo(layer.forward(features.clone()));
        scale
            .fold_into(layer)
            .forward(features)
            .to_data()
            .assert_approx_eq::<f32>(&expected.to_data(), Tolerance::relative(1e-5));
    }
}
