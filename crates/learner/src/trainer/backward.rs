//! Loss and gradient of a step: its micro-batches one after the other, and those of all ranks together.

use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use nystromformer_kernels::{GradientListener, gradient_checkpointing, trace, watch_gradients};

use super::learner::Learner;
use crate::batch::Batch;
use crate::error::{LearnerError, Result};
use crate::gradients::{StepNumbers, sum_of};
use crate::random::{Purpose, seeded};
use crate::ranks::gradient_sum::sum_gradients;
use crate::ranks::overlap::Overlap;
use crate::ranks::share::{sum_in_pairs, sums_before};
use crate::ranks::step_facts::has_targets;
use crate::trace_file::BACKWARD;
use crate::trainable::Trainable;

/// What the backward passes of a step give.
pub(super) struct StepGradient {
    /// Mean loss over all targets of the step.
    pub(super) loss: f64,
    /// L2 norm of the gradient.
    pub(super) grad_norm: f64,
    /// The gradient, times [`Learner::loss_factor`].
    pub(super) gradients: GradientsParams,
}

impl StepGradient {
    /// Of a step without targets.
    pub(super) fn none() -> Self {
        Self { loss: f64::NAN, grad_norm: 0.0, gradients: GradientsParams::new() }
    }
}

impl<M: Trainable> Learner<'_, M> {
    /// The micro-batches of a step with their labels smoothed, where that is asked for.
    pub(super) fn smoothed(&self, mut batches: Vec<M::Batch>) -> Result<Vec<M::Batch>> {
        let share = self.experiment.trainer.label_smoothing_factor;
        if share > 0.0 && !batches.iter_mut().all(|batch| batch.smooth_labels(share)) {
            return Err(LearnerError::Config(format!(
                "`trainer.label_smoothing_factor` = `{share}`, and the targets here are not one class of several, whose labels \
                 could be smoothed; leave it out"
            )));
        }
        Ok(batches)
    }

    /// Mean loss and gradient over all targets of the step, which weigh `weights` in each term. The micro-batches of this rank
    /// are those from number `first` on. Their losses stay on the device until the gradient is there: it is waited for once. With
    /// other ranks, gradients of the last one may travel while its backward pass goes on.
    pub(super) fn accumulate(
        &self,
        overlap: &mut Overlap,
        step: usize,
        first: usize,
        batches: Vec<M::Batch>,
        weights: &[f64],
    ) -> Result<StepGradient> {
        let mut losses = Vec::with_capacity(batches.len());
        let count = batches.len();
        // Of those that have a backward pass.
        let last = batches.iter().rposition(has_targets);
        let mut batches = (first..).zip(batches);
        let mut next = |listener: Option<GradientListener>| -> Result<Option<GradientsParams>> {
            let Some((micro_batch, batch)) = batches.next().filter(|(_, batch)| has_targets(batch))
            else {
                return Ok(None);
            };
            #[cfg(test)]
            let micro_batch = super::tests::fault::number(micro_batch, first);
            let dropout = Purpose::Dropout { step, micro_batch };
            let (share, gradients) = seeded(self.state.seed, dropout, &self.device, || {
                self.forward_backward_watched(batch, weights, listener)
            })?;
            losses.push(share);
            Ok(Some(gradients))
        };
        let mut add = |left, right| {
            let _span = trace::phase("accumulation");
            sum_of(self.model(), left, right)
        };
        let among_ranks = || (!self.ranks.is_alone()).then(|| trace::phase("ranks"));
        let gradients = if overlap.is_on(&self.ranks, &self.device) {
            let waiting = match last {
                Some(last) => sums_before(count, last, &mut || next(None), &mut add)?,
                None => Vec::new(),
            };
            let pass = last.is_some().then_some(|listener: GradientListener| {
                next(Some(listener)).map(Option::unwrap_or_default)
            });
            overlap.sum(&self.ranks, self.model(), &self.device, waiting, pass)?
        } else {
            let own = sum_in_pairs(count, &mut || next(None), &mut add)?;
            let _span = among_ranks();
            sum_gradients(&self.ranks, self.model(), own, &self.device)?
        };
        let span = trace::phase("gradient_norm");
        let StepNumbers { losses, grad_norm } =
            StepNumbers::read(self.model(), &gradients, losses)?;
        drop(span);
        let _span = among_ranks();
        let losses = losses.into_iter().map(f64::to_bits).collect();
        let mut loss = 0.0;
        for share in self.ranks.gather("losses", losses)?.into_iter().flatten() {
            loss += f64::from_bits(share);
        }
        let grad_norm = grad_norm / self.loss_factor();
        Ok(StepGradient { loss, grad_norm, gradients })
    }

    /// A micro-batch's share in the mean loss over targets that weigh `weights` in each term, `[1]` on the device, and in its
    /// gradient, times [`Self::loss_factor`]. It has a target itself.
    pub(super) fn forward_backward(
        &self,
        batch: M::Batch,
        weights: &[f64],
    ) -> Result<(Tensor<1>, GradientsParams)> {
        self.forward_backward_watched(batch, weights, None)
    }

    /// The same, where `listener` is told of gradients while the backward pass goes on.
    fn forward_backward_watched(
        &self,
        batch: M::Batch,
        weights: &[f64],
        listener: Option<GradientListener>,
    ) -> Result<(Tensor<1>, GradientsParams)> {
        let device = self.device.clone().autodiff();
        let precision = nystromformer_kernels::Precision::from(self.experiment.trainer.precision);
        let forward = trace::phase("forward");
        let terms = gradient_checkpointing(self.experiment.trainer.gradient_checkpointing, || {
            precision.scope(|| self.model().loss_terms(batch, &device))
        })?;
        if terms.len() != weights.len() {
            return Err(LearnerError::Config(format!(
                "the model's loss has `{}` terms, and its batches count the targets of `{}`: `Batch::num_targets` must give \
                 a number for each term of `Trainable::loss_terms`",
                terms.len(),
                weights.len()
            )));
        }
        let share = terms
            .into_iter()
            .zip(weights)
            // Of a term with targets in other micro-batches there may be none here.
            .filter(|(term, total)| **total > 0.0 && term.losses.dims() != [0])
            .map(|(term, total)| term.losses.sum() / (*total / term.weight))
            .reduce(|sum, share| sum + share)
            .ok_or_else(|| {
                LearnerError::Config(
                    "a batch that has targets weighs nothing: `Batch::target_weights` must be above 0 where \
                     `Batch::num_targets` is"
                        .to_owned(),
                )
            })?;
        #[cfg(test)]
        let share = super::tests::fault::poison(share, self.state.step);
        // What is told of a step is not scaled.
        let scaled = match self.state.loss_scale {
            None => share.clone(),
            Some(scale) => share.clone().mul_scalar(scale.factor),
        };
        drop(forward);
        let backward = trace::phase(BACKWARD);
        let gradients = match listener {
            None => scaled.backward(),
            Some(listener) => watch_gradients(self.model(), listener, || scaled.backward()),
        };
        let gradients = GradientsParams::from_grads(gradients, self.model());
        drop(backward);
        Ok((share.inner(), gradients))
    }
}
