//! The optimizer's pass over all parameters, and the sums of squares that clipping needs.

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
    kernel::{self, Tensors},
    simd,
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

/// What a step makes a tensor's values of, and by which scalars.
///
/// # Shapes
/// - all: `[length]`
#[derive(Debug, Clone)]
pub struct AdamWUpdate {
    /// The scalars of the step.
    pub step: AdamWStep,
    /// The parameter.
    pub value: Tensor<1>,
    /// Its gradient.
    pub gradient: Tensor<1>,
    /// Its first moment.
    pub exp_avg: Tensor<1>,
    /// Its second moment.
    pub exp_avg_sq: Tensor<1>,
}

impl AdamWUpdate {
    fn tensors(&self) -> [&Tensor<1>; 4] {
        [&self.value, &self.gradient, &self.exp_avg, &self.exp_avg_sq]
    }
}

/// Values, first and second moments after a step of all these tensors, which are on one device. The memory given is reused where nobody else
/// holds it. A GPU takes as many tensors a launch as it binds at once; the CPU one after the other, and gives each one's gradient back before the next.
///
/// # Shapes
/// - output: for each update `[length]` three times
///
/// # Panics
/// If a tensor records gradients, or lengths of an update differ.
pub fn adam_w(updates: Vec<AdamWUpdate>) -> Vec<[Tensor<1>; 3]> {
    for update in &updates {
        for tensor in update.tensors() {
            assert!(!tensor.device().is_autodiff(), "an optimizer's step is not recorded");
            assert_eq!(
                tensor.dims(),
                update.value.dims(),
                "moments and gradient are those of the parameter"
            );
        }
    }
    if updates.is_empty() || !updates.iter().flat_map(AdamWUpdate::tensors).all(kernel::takes) {
        return updates.into_iter().map(composed).collect();
    }
    let _span = trace::kernel("AdamW", Pass::Update, || {
        updates.iter().map(|update| update.value.dims().to_vec()).collect()
    });
    let mut steps = Vec::new();
    let [mut values, mut gradients, mut exp_avgs, mut exp_avg_sqs] = [const { Vec::new() }; 4];
    for update in updates {
        steps.push(update.step);
        values.push(update.value);
        gradients.push(update.gradient);
        exp_avgs.push(update.exp_avg);
        exp_avg_sqs.push(update.exp_avg_sq);
    }
    let [values, gradients, exp_avgs, exp_avg_sqs] =
        [values, gradients, exp_avgs, exp_avg_sqs].map(|tensors| tensors.into_iter().collect());
    let (values, exp_avgs, exp_avg_sqs) =
        Dispatch::adam_w(values, gradients, exp_avgs, exp_avg_sqs, steps);
    values
        .into_iter()
        .zip(exp_avgs.into_iter().zip(exp_avg_sqs))
        .map(|(value, (first, second))| [value, first, second].map(Tensor::from_dispatch))
        .collect()
}

/// One update by Burn's elementary operations.
fn composed(update: AdamWUpdate) -> [Tensor<1>; 3] {
    let AdamWUpdate { step, value, gradient, exp_avg, exp_avg_sq } = update;
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

/// What writes three tensors for each of many does not fit the shape of a kernel, and needs no derivative.
#[backend_extension(Flex, Cube: cfg(all(feature = "cube", not(feature = "fused"))))]
pub(crate) trait OptimizerBackend: Backend {
    /// Values, first and second moments after the steps, one for each tensor.
    #[allow(clippy::type_complexity, reason = "Burn's macro reads tuples, and no names for them")]
    fn adam_w(
        #[extension_type] values: Tensors<Self>,
        #[extension_type] gradients: Tensors<Self>,
        #[extension_type] exp_avgs: Tensors<Self>,
        #[extension_type] exp_avg_sqs: Tensors<Self>,
        steps: Vec<AdamWStep>,
    ) -> (Vec<FloatTensor<Self>>, Vec<FloatTensor<Self>>, Vec<FloatTensor<Self>>);
}

impl OptimizerBackend for Flex {
    fn adam_w(
        Tensors(mut values): Tensors<Self>,
        Tensors(gradients): Tensors<Self>,
        Tensors(mut exp_avgs): Tensors<Self>,
        Tensors(mut exp_avg_sqs): Tensors<Self>,
        steps: Vec<AdamWStep>,
    ) -> (Vec<FlexTensor>, Vec<FlexTensor>, Vec<FlexTensor>) {
        let moments = exp_avgs.iter_mut().zip(&mut exp_avg_sqs);
        for (((value, gradient), moments), step) in
            values.iter_mut().zip(gradients).zip(moments).zip(steps)
        {
            update(Scalars::from(step), value, gradient, moments);
        }
        (values, exp_avgs, exp_avg_sqs)
    }
}

/// One tensor's step, on all cores.
fn update(
    scalars: Scalars,
    value: &mut FlexTensor,
    gradient: FlexTensor,
    (exp_avg, exp_avg_sq): (&mut FlexTensor, &mut FlexTensor),
) {
    let gradient = simd::contiguous(gradient);
    simd::update(value, |value| {
        simd::update(exp_avg, |exp_avg| {
            simd::update(exp_avg_sq, |exp_avg_sq| {
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

    const STEP: AdamWStep = AdamWStep {
        gradient_scale: 0.7,
        beta_1: 0.9,
        beta_2: 0.999,
        decay: 0.9999,
        step_size: 1e-2,
        bias_correction_2_root: 0.1,
        epsilon: 1e-6,
    };

    /// An update of so many values, which nobody else holds.
    pub(super) fn update_of(length: usize) -> AdamWUpdate {
        let [value, gradient, exp_avg, root] = std::array::from_fn(|_| random([length]).inner());
        AdamWUpdate { step: STEP, value, gradient, exp_avg, exp_avg_sq: root.square() }
    }

    #[test]
    fn equals_the_composed_path() {
        let updates: Vec<AdamWUpdate> = [40_001, 1, 77].map(update_of).to_vec();
        let before: Vec<_> = updates.iter().map(|update| update.value.to_data()).collect();
        let ours = adam_w(updates.clone());
        for (ours, update) in ours.into_iter().zip(updates.clone()) {
            for (ours, composed) in ours.into_iter().zip(composed(update)) {
                testing::close(&ours.into_data(), &composed.into_data());
            }
        }
        // A tensor that somebody else holds is not written to.
        for (update, before) in updates.into_iter().zip(before) {
            update.value.into_data().assert_eq(&before, true);
        }
        assert!(adam_w(Vec::new()).is_empty());
    }
}
