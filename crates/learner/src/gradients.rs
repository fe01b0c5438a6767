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
use nystromformer_kernels::{add, sums_of_squares};

use crate::device::floats;
use crate::error::Result;

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

/// What a step has to know of the device before it updates weights: its losses, and how large its gradient is. They come back in one transfer, the only one of
/// a step, for a device has done all that it was asked for when it answers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StepNumbers {
    /// The losses given, in their order.
    pub losses: Vec<f64>,
    /// The L2 norm over all gradients as if they were one vector; 0 of none.
    ///
    /// Each tensor's squares are summed on the device, and the sums are added in `f64`, in the order of the module's fields. Not finite if any gradient is not
    /// (or if one exceeds 1.8e19, whose square is no longer an `f32`).
    pub grad_norm: f64,
}

impl StepNumbers {
    /// Reads `losses`, `[1]` each and without autodiff, and the norm of the gradients of `module`.
    ///
    /// # Errors
    /// [`LearnerError::Device`](crate::LearnerError::Device) if the device fails to answer.
    pub fn read<M: Module>(
        module: &M,
        gradients: &GradientsParams,
        losses: Vec<Tensor<1>>,
    ) -> Result<Self> {
        struct Visitor<'a> {
            gradients: &'a GradientsParams,
            found: Vec<Tensor<1>>,
        }
        impl ModuleVisitor for Visitor<'_> {
            fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
                if let Some(gradient) = self.gradients.get::<D>(parameter.id) {
                    self.found.push(gradient.reshape([-1]));
                }
            }
        }
        let num_losses = losses.len();
        let mut visitor = Visitor { gradients, found: Vec::new() };
        module.visit(&mut visitor);
        let mut numbers = losses;
        if !visitor.found.is_empty() {
            numbers.push(sums_of_squares(visitor.found));
        }
        let Some(device) = numbers.first().map(Tensor::device) else {
            return Ok(Self::default());
        };
        let numbers = floats(Tensor::cat(numbers, 0), &device)?;
        let (losses, squares) = numbers.split_at(num_losses.min(numbers.len()));
        Ok(Self {
            losses: losses.iter().copied().map(f64::from).collect(),
            grad_norm: squares.iter().fold(0.0, |sum, squares| sum + f64::from(*squares)).sqrt(),
        })
    }
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

    fn norm(linear: &Linear, gradients: &GradientsParams) -> f64 {
        StepNumbers::read(linear, gradients, Vec::new()).unwrap().grad_norm
    }

    #[test]
    fn the_norm_is_that_of_one_long_vector() {
        let linear = LinearConfig::new(2, 2).init(&Device::flex().autodiff());
        let mut gradients = gradients(&linear, [[1.0, 2.0], [2.0, 0.0]]);
        let bias = linear.bias.as_ref().unwrap();
        gradients.register(bias.id, Tensor::<1>::from_data([4.0, 0.0], &Device::flex()));
        assert_eq!(norm(&linear, &gradients), 5.0);
    }

    #[test]
    fn losses_come_back_beside_the_norm_and_alone() {
        let linear = LinearConfig::new(2, 2).init(&Device::flex().autodiff());
        let losses =
            || [0.25, f32::NAN].map(|loss| Tensor::<1>::from_floats([loss], &Device::flex()));
        for (gradients, norm) in
            [(gradients(&linear, [[3.0, 4.0], [0.0, 0.0]]), 5.0), (GradientsParams::new(), 0.0)]
        {
            let found = StepNumbers::read(&linear, &gradients, losses().to_vec()).unwrap();
            assert_eq!((found.losses[0], found.grad_norm), (0.25, norm));
            assert!(found.losses.len() == 2 && found.losses[1].is_nan());
        }
    }

    #[test]
    fn one_nan_makes_the_norm_nan_and_one_infinity_infinite() {
        let linear = LinearConfig::new(2, 2).init(&Device::flex().autodiff());
        let with = |value: f32| norm(&linear, &gradients(&linear, [[1.0, value], [0.0, 0.0]]));
        assert!(with(f32::NAN).is_nan());
        assert_eq!(with(f32::NEG_INFINITY), f64::INFINITY);
    }

    #[test]
    fn sums_of_two_micro_batches_are_added() {
        let linear = LinearConfig::new(2, 2).init(&Device::flex().autodiff());
        let first = gradients(&linear, [[1.0, 0.0], [0.0, 0.0]]);
        let second = gradients(&linear, [[2.0, 4.0], [0.0, 0.0]]);
        let sum = sum_of(&linear, first, second);
        assert_eq!(norm(&linear, &sum), 5.0);
        let none = sum_of(&linear, GradientsParams::new(), GradientsParams::new());
        assert_eq!(norm(&linear, &none), 0.0);
    }

    #[test]
    fn clipping_only_ever_shrinks() {
        assert_eq!(clip_factor(0.5, 1.0), 1.0);
        assert_eq!(clip_factor(4.0, 0.0), 1.0);
        assert!((clip_factor(4.0, 1.0) - 0.25).abs() < 1e-6);
    }
}
