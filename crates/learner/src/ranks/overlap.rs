//! Sums of gradients that travel while a backward pass goes on.
//!
//! The backward pass of a rank's last micro-batch is watched: each time a kernel has added to a parameter's gradient, that one comes
//! ([`watch_gradients`](nystromformer_kernels::watch_gradients)). Nobody says then whether it is complete: a tied weight gets a gradient from each of its uses. So the first step of a
//! session only looks on, and the ranks agree on a [`Plan`]: after how many arrivals each parameter is complete, and what is sent together, in which order. Later
//! steps follow it: a thread of its own sends a bucket as soon as all of it has come, and after the pass whatever has not come. So all ranks send the same
//! buckets in the same order, also a rank without a backward pass, whose micro-batches have no target.
//!
//! A plan is no promise. So what was sent is compared with what the pass found in the end: what differs on any rank is summed once more, and is sent after the
//! pass from then on. No bit of the result depends on the plan.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::{panic, thread};

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use nystromformer_kernels::{GradientListener, is_flex, trace};

use super::Ranks;
use super::arrivals::{Arrivals, Passed, Seen};
use super::gradient_sum::{Own, Share, buckets, sum_bucket, sum_rest, vectors};
use crate::error::{LearnerError, Result};

/// What of a training's sums travels early, and how that went so far.
#[derive(Debug, Default)]
pub(crate) struct Overlap {
    /// Absent before the first step.
    plan: Option<Arc<Plan>>,
    counts: OverlapCounts,
    /// Whether it was said that there is none.
    told_of_none: bool,
}

/// How many buckets of gradients were sent, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct OverlapCounts {
    /// Steps with a plan.
    pub(crate) steps: usize,
    /// Buckets of their plans.
    pub(crate) buckets: usize,
    /// Those that were sent before this rank's backward pass had ended.
    pub(crate) sent_early: usize,
    /// Those whose sum was there by then.
    pub(crate) summed_early: usize,
    /// Gradients that were sent too early, and summed once more.
    pub(crate) late: usize,
}

/// What is sent while a backward pass goes on. The same on all ranks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// After how many arrivals the gradient of a parameter is complete; 0 if it is in no bucket.
    complete_after: Vec<usize>,
    /// Parameters that are sent together, in the order of sending.
    buckets: Vec<Vec<usize>>,
}

impl Plan {
    /// That of all ranks, of which `seen` is what came of this one's parameters in a pass, if it had one. A parameter is planned that was complete on all
    /// ranks that had one, after as many arrivals on each. Buckets have `most` numbers or more.
    fn agreed(ranks: &Ranks, sizes: &[usize], seen: Option<&[Seen]>) -> Result<Self> {
        let words = seen.into_iter().flatten().flat_map(|seen| [seen.times, seen.place]);
        let words = words.map(|count| count as u64).collect();
        let all = ranks.gather("which gradients are complete early", words)?;
        if let Some(rank) = all.iter().position(|seen| ![0, 2 * sizes.len()].contains(&seen.len()))
        {
            return Err(LearnerError::unreadable_rank(rank));
        }
        let mut watched = all.iter().filter(|seen| !seen.is_empty());
        let first = watched.next().map_or(&[][..], Vec::as_slice);
        let mut complete_after = vec![0; sizes.len()];
        for (times, seen) in complete_after.iter_mut().zip(first.chunks(2)) {
            *times = seen[0] as usize;
        }
        for other in watched {
            for (times, seen) in complete_after.iter_mut().zip(other.chunks(2)) {
                if *times as u64 != seen[0] {
                    *times = 0;
                }
            }
        }
        let mut order: Vec<usize> =
            (0..sizes.len()).filter(|parameter| complete_after[*parameter] > 0).collect();
        order.sort_by_key(|parameter| first[2 * parameter + 1]);
        Ok(Self { complete_after, buckets: buckets(sizes, order, ranks.bucket) })
    }

    /// The same without these parameters.
    fn without(mut self, late: &[bool]) -> Self {
        for (times, late) in self.complete_after.iter_mut().zip(late) {
            if *late {
                *times = 0;
            }
        }
        for bucket in &mut self.buckets {
            bucket.retain(|parameter| !late[*parameter]);
        }
        self.buckets.retain(|bucket| !bucket.is_empty());
        self
    }

    /// Whether the gradient of a parameter is to be sent when something was added to it as many times.
    pub(super) fn is_complete_after(&self, parameter: usize, times: usize) -> bool {
        self.complete_after[parameter] == times
    }

    /// Parameters that are sent together, in the order of sending.
    pub(super) fn buckets(&self) -> &[Vec<usize>] {
        &self.buckets
    }
}

impl Overlap {
    /// Whether sums of these ranks travel while the backward pass goes on, where the model is on `device`. Says once if they cannot.
    pub(crate) fn is_on(&mut self, ranks: &Ranks, device: &Device) -> bool {
        if ranks.is_alone() || !ranks.overlaps {
            return false;
        }
        let is_on = is_flex(device);
        if !is_on && !std::mem::replace(&mut self.told_of_none, true) {
            tracing::info!(
                "gradients are sent after the backward pass: `ranks.overlap` is for the CPU (`device = \"flex\"`)"
            );
        }
        is_on
    }

    /// The sum of the gradients of `module` over all ranks. On this one `waiting` is added to what the backward pass of its last micro-batch finds, from the
    /// last to the first; there is no `pass` if none of its micro-batches has a target.
    ///
    /// # Errors
    /// As [`sum_gradients`](super::gradient_sum::sum_gradients), and those of `pass`.
    pub(crate) fn sum<M: Module>(
        &mut self,
        ranks: &Ranks,
        module: &M,
        device: &Device,
        waiting: Vec<GradientsParams>,
        pass: Option<impl FnOnce(GradientListener) -> Result<GradientsParams>>,
    ) -> Result<GradientsParams> {
        let own = Own::waiting(module, waiting);
        let summed = AtomicUsize::new(0);
        let (passed, sums, summed_early) = thread::scope(|scope| {
            let (sender, queue) = channel();
            let sending = scope.spawn(|| sum_all(ranks, queue, device, &summed));
            let arrivals = Rc::new(RefCell::new(Arrivals::new(own, self.plan.clone(), sender)));
            let last = match pass {
                None => None,
                Some(pass) => {
                    let arrivals = arrivals.clone();
                    let listener: GradientListener = Box::new(move |parameter, gradient| {
                        arrivals.borrow_mut().come(parameter, gradient);
                    });
                    Some(vectors(module, pass(listener)?))
                }
            };
            let summed_early = summed.load(Ordering::Relaxed);
            let _span = trace::phase("ranks");
            let passed = arrivals.borrow_mut().end(last);
            let sums = sending.join().unwrap_or_else(|cause| panic::resume_unwind(cause))?;
            Ok::<_, LearnerError>((passed, sums, summed_early))
        })?;
        let _span = trace::phase("ranks");
        let Passed { own, sent_early, late, seen } = passed;
        #[cfg(test)]
        let late = fault::late(late);
        let count = own.sizes.len();
        let flags = ranks.any("which gradients there are", &[own.presence(), late].concat())?;
        let (is_present, late) = flags.split_at(count);
        let mut all = vec![None; count];
        for (parameter, sum) in sums {
            all[parameter] = (!late[parameter]).then_some(sum);
        }
        match self.plan.take() {
            None => self.begin(Plan::agreed(ranks, &own.sizes, seen.as_deref())?),
            Some(plan) => self.count(plan, sent_early, summed_early, late),
        }
        sum_rest(ranks, module, own, is_present, all, device)
    }

    fn begin(&mut self, plan: Plan) {
        if plan.buckets.is_empty() {
            tracing::info!(
                "gradients are sent after the backward pass: none of this model's is known to be complete before it ends"
            );
        }
        self.plan = Some(Arc::new(plan));
    }

    /// Notes how a step went.
    fn count(&mut self, plan: Arc<Plan>, sent_early: usize, summed_early: usize, late: &[bool]) {
        let buckets = plan.buckets.len();
        let is_first = self.counts.steps == 0;
        self.counts.steps += 1;
        self.counts.buckets += buckets;
        self.counts.sent_early += sent_early;
        self.counts.summed_early += summed_early;
        if is_first && buckets > 0 {
            tracing::info!(
                buckets,
                sent_early,
                summed_early,
                "gradients travel between ranks while the backward pass goes on; early is what was sent, and summed, before it ended"
            );
        } else {
            tracing::debug!(buckets, sent_early, summed_early, "gradients travelled");
        }
        let count = late.iter().filter(|late| **late).count();
        self.plan = Some(if count == 0 {
            plan
        } else {
            self.counts.late += count;
            tracing::warn!(
                "gradients of `{count}` parameters were not complete when they were sent: they were summed once more, and are sent after the backward \
                 pass from now on"
            );
            Arc::new(Plan::clone(&plan).without(late))
        });
    }

    /// How it went so far.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> OverlapCounts {
        self.counts
    }

    /// Says how it went, if there was anything to send early.
    pub(crate) fn tell(&self) {
        let OverlapCounts { steps, buckets, sent_early, summed_early, late } = self.counts;
        if buckets > 0 {
            tracing::info!(
                "in `{steps}` steps `{sent_early}` of `{buckets}` buckets of gradients were sent before the backward pass ended, and `{summed_early}` were \
                 summed by then; `{late}` gradients had to be summed once more"
            );
        }
    }
}

/// Sums buckets over all ranks as they come, until there is none to come.
fn sum_all(
    ranks: &Ranks,
    queue: Receiver<Vec<Share>>,
    device: &Device,
    summed: &AtomicUsize,
) -> Result<Vec<(usize, Vec<f32>)>> {
    let mut sums = Vec::new();
    for bucket in queue {
        sums.extend(sum_bucket(ranks, bucket, device)?);
        summed.fetch_add(1, Ordering::Relaxed);
    }
    Ok(sums)
}

/// What would come of gradients that are sent before they are complete.
#[cfg(test)]
pub(crate) mod fault {
    use std::cell::Cell;

    thread_local! {
        static TRUSTS_FIRST: Cell<bool> = const { Cell::new(false) };
        static MENDS: Cell<bool> = const { Cell::new(true) };
    }

    /// Takes every gradient as complete when something was added to it for the first time.
    pub(crate) fn trust_first(trusts: bool) {
        TRUSTS_FIRST.set(trusts);
    }

    /// Whether what was sent too early is summed once more.
    pub(crate) fn mend(mends: bool) {
        MENDS.set(mends);
    }

    pub(in crate::ranks) fn seen(is_final: bool, times: usize) -> (bool, usize) {
        if TRUSTS_FIRST.get() { (times > 0, times.min(1)) } else { (is_final, times) }
    }

    pub(super) fn late(late: Vec<bool>) -> Vec<bool> {
        if MENDS.get() { late } else { vec![false; late.len()] }
    }
}

#[cfg(test)]
mod tests {
    use super::super::in_process::InProcess;
    use super::*;

    const SIZES: [usize; 4] = [10, 10, 5, 40];

    /// The plan of ranks that saw as many arrivals of each parameter, and which was the last.
    fn agreed<const N: usize>(all_seen: [Option<[(usize, usize); 4]>; N]) -> Vec<Result<Plan>> {
        thread::scope(|scope| {
            let ranks: Vec<_> = InProcess::world(N)
                .into_iter()
                .zip(all_seen)
                .map(|(transport, seen)| {
                    scope.spawn(move || {
                        let ranks = Ranks::over(transport).with_buckets_of(12);
                        let seen = seen.map(|seen| {
                            seen.map(|(times, place)| Seen { times, place, ..Seen::default() })
                        });
                        Plan::agreed(&ranks, &SIZES, seen.as_ref().map(<[Seen; 4]>::as_slice))
                    })
                })
                .collect();
            ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
        })
    }

    #[test]
    fn all_ranks_plan_the_same_and_what_any_saw_otherwise_waits_for_the_end_of_the_pass() {
        let first = [(1, 3), (2, 4), (1, 1), (1, 2)];
        for seen in [
            [None, Some(first), Some([(1, 9), (1, 8), (1, 7), (1, 6)])],
            [Some(first), None, Some([(1, 9), (0, 0), (1, 7), (1, 6)])],
            [Some(first), Some([(1, 3), (0, 0), (1, 7), (1, 6)]), Some(first)],
        ] {
            for plan in agreed(seen) {
                let plan = plan.unwrap();
                assert_eq!(plan.complete_after, [1, 0, 1, 1]);
                assert_eq!(plan.buckets, [vec![2, 3], vec![0]]);
            }
        }
        for plan in agreed([None, None]) {
            assert_eq!(plan.unwrap(), Plan { complete_after: vec![0; 4], buckets: Vec::new() });
        }
    }

    #[test]
    fn what_was_sent_too_early_leaves_the_plan() {
        let plan = Plan { complete_after: vec![1, 2, 1, 1], buckets: vec![vec![2, 3], vec![0, 1]] };
        let plan = plan.without(&[true, true, false, false]);
        assert_eq!(plan, Plan { complete_after: vec![0, 0, 1, 1], buckets: vec![vec![2, 3]] });
        assert!(!plan.is_complete_after(0, 1) && plan.is_complete_after(2, 1));
    }
}
