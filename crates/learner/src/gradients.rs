//! Gradients of a step: accumulation over micro-batches, global norm, clipping.
//!
//! A batch's loss is the mean over all of its answers (predicted tokens, say). Split into micro-batches, it is the
//! sum of their mean losses, each weighted by its share of those answers: the trainer scales each
//! micro-batch's loss by that share before the backward pass, and the gradients only need to be
//! added. The result is the big batch's gradient up to rounding, however unevenly the answers fall. In which order they are
//! added, `ranks/share.rs` says.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use nystromformer_kernels::{add, sum_of_squares};

use crate::error::{LearnerError, Result};

/// Adds gradients of a module, on all cores: Burn's `GradientsAccumulator` adds on one. Each is weighted already by its
/// share of the step's answers.
pub fn sum_of<M: Module>(
    module: &M,
    left: GradientsParams,
    right: GradientsParams,
) -> GradientsParams {
    struct Visitor {
        sum: GradientsParams,
        gradients: GradientsParams,
    }
    impl ModuleVisitor for Visitor {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.remove::<D>(parameter.id) {
                let sum = match self.sum.remove::<D>(parameter.id) {
                    Some(sum) => add(sum, gradient),
                    None => gradient,
                };
                self.sum.register(parameter.id, sum);
            }
        }
    }
    let mut visitor = Visitor { sum: left, gradients: right };
    module.visit(&mut visitor);
    visitor.sum
}

/// The L2 norm over all gradients as if they were one vector.
///
/// Each tensor's squares are summed on the device; the sums come back in one transfer, in the order
/// of the module's fields, and are added in `f64`. Not finite if any gradient is not (or if
/// one exceeds 1.8e19, whose square is no longer an `f32`).
///
/// # Errors
/// [`LearnerError::Device`] if the device fails to answer.
pub fn global_norm<M: Module>(module: &M, gradients: &GradientsParams) -> Result<f64> {
    struct Visitor<'a> {
        gradients: &'a GradientsParams,
        sums: Vec<Tensor<1>>,
    }
    impl ModuleVisitor for Visitor<'_> {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.get::<D>(parameter.id) {
                self.sums.push(sum_of_squares(gradient));
            }
        }
    }
    let mut visitor = Visitor { gradients, sums: Vec::new() };
    module.visit(&mut visitor);
    if visitor.sums.is_empty() {
        return Ok(0.0);
    }
    let sums = Tensor::cat(visitor.sums, 0);
    let device = sums.device();
    let sums = sums.try_into_vec_as::<f32>().map_err(|error| LearnerError::Device {
        device: format!("{device:?}"),
        message: format!("reading back the gradient norm failed: {error}"),
    })?;
    Ok(sums.into_iter().map(f64::from).sum::<f64>().sqrt())
}

/// The factor that brings a gradient of this norm down to `max_norm`, or 1 if it is no larger (or
/// `max_norm` is 0).
///
/// PyTorch's `clip_grad_norm_`, its 1e-6 included.
pub fn clip_factor(norm: f64, max_norm: f64) -> f64 {
    if max_norm > 0.0 { (max_norm / (norm + 1e-6)).min(1.0) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    use super::*;

    fn gradients(linear: &Linear, weight: [[f32; 2]; 2]) -> GradientsParams {
        let device = Device::flex();
        let mut gradients = GradientsParams::new();
        gradients.register(linear.weight.id, Tensor::<2>::from_data(weight, &device));
        gradients
    }

    #[test]
    fn the_norm_is_that_of_one_long_vector() {
        let linear = LinearConfig::new(2, 2).init(&Device::flex().autodiff());
        let mut gradients = gradients(&linear, [[1.0, 2.0], [2.0, 0.0]]);
        let bias = linear.bias.as_ref().unwrap();
        gradients.register(bias.id, Tensor::<1>::from_data([4.0, 0.0], &Device::flex()));
        assert_eq!(global_norm(&linear, &gradients).unwrap(), 5.0);
    }

    #[test]
    fn one_nan_makes_the_norm_nan_and_one_infinity_infinite() {
        let linear = LinearConfig::new(2, 2).init(&Device::flex().autodiff());
        let norm = |value: f32| {
            global_norm(&linear, &gradients(&linear, [[1.0, value], [0.0, 0.0]])).unwrap()
        };
        assert!(norm(f32::NAN).is_nan());
        assert_eq!(norm(f32::NEG_INFINITY), f64::INFINITY);
    }

    #[test]
    fn sums_of_two_micro_batches_are_added() {
        let linear = LinearConfig::new(2, 2).init(&Device::flex().autodiff());
        let first = gradients(&linear, [[1.0, 0.0], [0.0, 0.0]]);
        let second = gradients(&linear, [[2.0, 4.0], [0.0, 0.0]]);
        let sum = sum_of(&linear, first, second);
        assert_eq!(global_norm(&linear, &sum).unwrap(), 5.0);
        let none = sum_of(&linear, GradientsParams::new(), GradientsParams::new());
        assert_eq!(global_norm(&linear, &none).unwrap(), 0.0);
    }

    #[test]
    fn clipping_only_ever_shrinks() {
        assert_eq!(clip_factor(0.5, 1.0), 1.0);
        assert_eq!(clip_factor(4.0, 0.0), 1.0);
        assert!((clip_factor(4.0, 1.0) - 0.25).abs() < 1e-6);
    }
}
