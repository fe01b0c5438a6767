//! The optimizer's pass over every parameter, and the sums of squares that clipping needs.

#[cfg(all(feature = "cube", not(feature = "fused")))]
mod cube;
mod norm;
mod rows;

use burn::{
    backend::{Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor},
    tensor::Tensor,
};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::{
    kernel, simd,
    trace::{self, Pass},
};

pub use norm::sums_of_squares;
pub use rows::{adam_w_missed, adam_w_of_rows, updates_rows};

/// The scalars of one AdamW step (Loshchilov & Hutter 2019, algorithm 2, as PyTorch computes it).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    /// What the gradient is multiplied with first: the factor of clipping.
    pub gradient_scale: f64,
    /// Decay of the first moment.
    pub beta_1: f64,
    /// Decay of the second moment.
    pub beta_2: f64,
    /// What the parameter is multiplied with: `1 − learning_rate · weight_decay`.
    pub decay: f64,
    /// `learning_rate / (1 − beta_1^step)`.
    pub step_size: f64,
    /// `√(1 − beta_2^step)`.
    pub bias_correction_2_root: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
}

/// Parameter and moments after one step; the memory of those given is reused where nobody else holds it.
///
/// # Shapes
/// - all: `[length]`
///
/// # Panics
/// If a tensor records gradients, or lengths differ.
pub fn adam_w(
    step: AdamWStep,
    value: Tensor<1>,
    gradient: Tensor<1>,
    exp_avg: Tensor<1>,
    exp_avg_sq: Tensor<1>,
) -> [Tensor<1>; 3] {
    let all = [&value, &gradient, &exp_avg, &exp_avg_sq];
    for tensor in all {
        assert!(!tensor.device().is_autodiff(), "an optimizer's step is not recorded");
        assert_eq!(tensor.dims(), value.dims(), "moments and gradient are those of the parameter");
    }
    if !all.into_iter().all(kernel::takes) {
        return composed(step, value, gradient, exp_avg, exp_avg_sq);
    }
    let _span = trace::kernel("AdamW", Pass::Update, || vec![value.dims().to_vec()]);
    let (value, exp_avg, exp_avg_sq) = Dispatch::adam_w(
        value.into_dispatch(),
        gradient.into_dispatch(),
        exp_avg.into_dispatch(),
        exp_avg_sq.into_dispatch(),
        step,
    );
    [value, exp_avg, exp_avg_sq].map(Tensor::from_dispatch)
}

/// The same by Burn's elementary operations.
fn composed(
    step: AdamWStep,
    value: Tensor<1>,
    gradient: Tensor<1>,
    exp_avg: Tensor<1>,
    exp_avg_sq: Tensor<1>,
) -> [Tensor<1>; 3] {
    let AdamWStep { beta_1, beta_2, gradient_scale, bias_correction_2_root: root, .. } = step;
    let exp_avg_sq = exp_avg_sq.mul_scalar(beta_2).add(
        gradient.clone().square().mul_scalar((1.0 - beta_2) * gradient_scale * gradient_scale),
    );
    let exp_avg =
        exp_avg.mul_scalar(beta_1).add(gradient.mul_scalar((1.0 - beta_1) * gradient_scale));
    // m / (√v / r + ε) = r m / (√v + r ε): one pass fewer.
    let denominator = exp_avg_sq.clone().sqrt().add_scalar(root * step.epsilon);
    let value = if step.decay == 1.0 { value } else { value.mul_scalar(step.decay) };
    let value = value.sub(exp_avg.clone().div(denominator).mul_scalar(step.step_size * root));
    [value, exp_avg, exp_avg_sq]
}

/// One pass that writes three tensors does not fit the shape of a kernel, and needs no derivative.
#[backend_extension(Flex, Cube: cfg(all(feature = "cube", not(feature = "fused"))))]
pub(crate) trait OptimizerBackend: Backend {
    /// Value, first and second moment after the step.
    fn adam_w(
        value: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        exp_avg: FloatTensor<Self>,
        exp_avg_sq: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

impl OptimizerBackend for Flex {
    fn adam_w(
        value: FlexTensor,
        gradient: FlexTensor,
        exp_avg: FlexTensor,
        exp_avg_sq: FlexTensor,
        step: AdamWStep,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let gradient = simd::contiguous(gradient);
        let [mut value, mut exp_avg, mut exp_avg_sq] = [value, exp_avg, exp_avg_sq];
        let scalars = Scalars::from(step);
        simd::update(&mut value, |value| {
            simd::update(&mut exp_avg, |exp_avg| {
                simd::update(&mut exp_avg_sq, |exp_avg_sq| {
                    value
                        .par_chunks_mut(simd::TASK)
                        .zip(simd::values(&gradient).par_chunks(simd::TASK))
                        .zip(exp_avg.par_chunks_mut(simd::TASK))
                        .zip(exp_avg_sq.par_chunks_mut(simd::TASK))
                        .for_each(|(((value, gradient), exp_avg), exp_avg_sq)| {
                            simd::vectorised(
                                #[inline(always)]
                                || scalars.apply(value, gradient, exp_avg, exp_avg_sq),
                            );
                        });
                });
            });
        });
        (value, exp_avg, exp_avg_sq)
    }
}

/// [`AdamWStep`], multiplied out and rounded once.
#[derive(Clone, Copy)]
struct Scalars {
    keep_1: f32,
    take_1: f32,
    keep_2: f32,
    take_2: f32,
    decay: f32,
    step_size: f32,
    epsilon: f32,
}

impl From<AdamWStep> for Scalars {
    fn from(step: AdamWStep) -> Self {
        let scale = step.gradient_scale;
        // m / (√v / r + ε) = r m / (√v + r ε) with r the root of the bias correction.
        let root = step.bias_correction_2_root;
        Self {
            keep_1: step.beta_1 as f32,
            take_1: ((1.0 - step.beta_1) * scale) as f32,
            keep_2: step.beta_2 as f32,
            take_2: ((1.0 - step.beta_2) * scale * scale) as f32,
            decay: step.decay as f32,
            step_size: (step.step_size * root) as f32,
            epsilon: (root * step.epsilon) as f32,
        }
    }
}

impl Scalars {
    #[inline(always)]
    fn apply(
        self,
        value: &mut [f32],
        gradient: &[f32],
        exp_avg: &mut [f32],
        exp_avg_sq: &mut [f32],
    ) {
        for ((value, &gradient), (exp_avg, exp_avg_sq)) in
            value.iter_mut().zip(gradient).zip(exp_avg.iter_mut().zip(exp_avg_sq))
        {
            *exp_avg_sq = self.keep_2.mul_add(*exp_avg_sq, gradient * gradient * self.take_2);
            *exp_avg = self.keep_1.mul_add(*exp_avg, gradient * self.take_1);
            let change = *exp_avg / (exp_avg_sq.sqrt() + self.epsilon);
            *value = self.decay.mul_add(*value, -self.step_size * change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, random};

    pub(super) const STEP: AdamWStep = AdamWStep {
        gradient_scale: 0.7,
        beta_1: 0.9,
        beta_2: 0.999,
        decay: 0.9999,
        step_size: 1e-2,
        bias_correction_2_root: 0.1,
        epsilon: 1e-6,
    };

    #[test]
    fn equals_the_composed_path() {
        let [value, gradient, exp_avg, root] = std::array::from_fn(|_| random([40_001]).inner());
        let exp_avg_sq = root.square();
        let ours =
            adam_w(STEP, value.clone(), gradient.clone(), exp_avg.clone(), exp_avg_sq.clone());
        let before = value.clone().into_data();
        let composed = composed(STEP, value.clone(), gradient, exp_avg, exp_avg_sq);
        for (ours, composed) in ours.into_iter().zip(composed) {
            testing::close(&ours.into_data(), &composed.into_data());
        }
        // A tensor that somebody else holds is not written to.
        value.into_data().assert_eq(&before, true);
    }
}
