//! What has come of a backward pass so far, and what of it may be sent.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use burn::tensor::Tensor;
use nystromformer_kernels::is_same;

use super::gradient_sum::{Own, Share, Vectors};
use super::overlap::Plan;

/// What came of a parameter.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// How often something was added to its gradient.
    pub(super) times: usize,
    /// Which of all that came was the last of it, from 1.
    pub(super) place: usize,
    /// The gradient as it was sent, or without a plan as it came last.
    pub(super) gradient: Option<Tensor<1>>,
}

/// The parameters of a backward pass that goes on.
pub(super) struct Arrivals {
    own: Own,
    /// Without one, nothing is sent.
    plan: Option<Arc<Plan>>,
    seen: Vec<Seen>,
    came: usize,
    /// Buckets that were sent.
    sent: usize,
    /// To whom sends them, until the last one was.
    buckets: Option<Sender<Vec<Share>>>,
}

/// A backward pass that is over.
pub(super) struct Passed {
    /// With all gradients.
    pub(super) own: Own,
    /// Buckets that were sent before it was over.
    pub(super) sent_early: usize,
    /// Parameters that were sent with another gradient than the pass found in the end.
    pub(super) late: Vec<bool>,
    /// Without a plan, and if there was a pass: what came of each parameter; nothing of those that got more after the last that came.
    pub(super) seen: Option<Vec<Seen>>,
}

impl Arrivals {
    /// Before the pass. `own` has no gradients of it yet.
    pub(super) fn new(own: Own, plan: Option<Arc<Plan>>, buckets: Sender<Vec<Share>>) -> Self {
        let seen = vec![Seen::default(); own.sizes.len()];
        Self { own, plan, seen, came: 0, sent: 0, buckets: Some(buckets) }
    }

    /// Something was added to the gradient of a parameter, which is now this.
    pub(super) fn come(&mut self, parameter: usize, gradient: Tensor<1>) {
        self.came += 1;
        let seen = &mut self.seen[parameter];
        seen.times += 1;
        seen.place = self.came;
        match &self.plan {
            None => seen.gradient = Some(gradient),
            Some(plan) if plan.is_complete_after(parameter, seen.times) => {
                seen.gradient = Some(gradient);
                self.send_what_is_complete();
            }
            Some(_) => {}
        }
    }

    /// Buckets go in the order of the plan, which is that of all ranks.
    fn send_what_is_complete(&mut self) {
        let Some(plan) = self.plan.clone() else { return };
        while let Some(bucket) = plan.buckets().get(self.sent)
            && bucket.iter().all(|parameter| self.seen[*parameter].gradient.is_some())
        {
            let gradient = |parameter: usize| self.seen[parameter].gradient.clone();
            self.send(bucket, gradient);
            self.sent += 1;
        }
    }

    fn send(&self, bucket: &[usize], gradient: impl Fn(usize) -> Option<Tensor<1>>) {
        let share = |parameter: &usize| self.own.share_with(*parameter, gradient(*parameter));
        if let Some(buckets) = &self.buckets {
            // Nobody hears it who met an error, which comes with the end of the pass.
            let _ = buckets.send(bucket.iter().map(share).collect());
        }
    }

    /// The pass is over and found `last`; `None` if there was none, as no micro-batch of this rank has a target. Sends the buckets that are left.
    pub(super) fn end(&mut self, last: Option<Vectors>) -> Passed {
        let was_watched = last.is_some();
        if let Some(last) = last {
            self.own.last = last;
        }
        let sent_early = self.sent;
        let mut late = vec![false; self.seen.len()];
        if let Some(plan) = self.plan.clone() {
            let (early, rest) = plan.buckets().split_at(sent_early);
            for parameter in early.iter().flatten() {
                late[*parameter] = !self.is_final(*parameter);
            }
            for bucket in rest {
                self.send(bucket, |parameter| self.own.last[parameter].clone());
            }
        }
        self.buckets = None;
        let seen = (self.plan.is_none() && was_watched).then(|| self.complete_ones());
        Passed { own: std::mem::take(&mut self.own), sent_early, late, seen }
    }

    /// Whether what came of a parameter is what the pass found in the end.
    fn is_final(&self, parameter: usize) -> bool {
        match (&self.seen[parameter].gradient, &self.own.last[parameter]) {
            (Some(came), Some(last)) => is_same(came, last),
            _ => false,
        }
    }

    fn complete_ones(&self) -> Vec<Seen> {
        let seen = |parameter: usize| {
            let Seen { times, place, .. } = self.seen[parameter];
            let is_final = self.is_final(parameter);
            #[cfg(test)]
            let (is_final, times) = super::overlap::fault::seen(is_final, times);
            if is_final { Seen { times, place, gradient: None } } else { Seen::default() }
        };
        (0..self.seen.len()).map(seen).collect()
    }
}
