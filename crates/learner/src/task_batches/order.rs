//! Which examples a step visits, if batches are to be of about the same length.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use nystromformer_data::ExampleOrder;
use nystromformer_data::random::{shuffle, stream};

use super::imbalance::BalancedOrder;

/// Most steps among whose examples batches of the same length are made, as in transformers' `LengthGroupedSampler`.
const MOST_STEPS: usize = 50;

/// In which order examples come, before batches are made of them.
#[derive(Debug)]
pub(super) enum Visits {
    /// Each once in an epoch.
    Natural(ExampleOrder),
    /// Each class equally often.
    Balanced(BalancedOrder),
}

/// The examples of every step.
#[derive(Debug)]
pub(super) struct StepOrder {
    visits: Visits,
    /// The length of each example, if batches are grouped by it.
    lengths: Option<Vec<u32>>,
    seed: u64,
    /// The groups made last. Only saves time.
    recent: Mutex<Option<Groups>>,
}

/// The examples of every step of a window.
#[derive(Debug, Clone)]
struct Groups {
    window: usize,
    batch_size: usize,
    steps: Arc<Vec<Vec<usize>>>,
}

impl StepOrder {
    pub(super) fn new(visits: Visits, lengths: Option<Vec<u32>>, seed: u64) -> Self {
        Self { visits, lengths, seed, recent: Mutex::default() }
    }

    /// The examples of the step after `completed_steps`.
    pub(super) fn batch(&self, completed_steps: usize, batch_size: usize) -> Vec<usize> {
        let Some(lengths) = &self.lengths else {
            return self.plain(completed_steps, batch_size);
        };
        // A quarter of an epoch at most, so that an example rarely meets itself.
        let steps = (lengths.len() / (4 * batch_size)).clamp(1, MOST_STEPS);
        let (window, place) = (completed_steps / steps, completed_steps % steps);
        // A panic elsewhere cannot leave the groups half written.
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let known = recent
            .take()
            .filter(|groups| (groups.window, groups.batch_size) == (window, batch_size));
        let groups = known.unwrap_or_else(|| {
            let steps =
                Arc::new(self.groups(lengths, window * steps..(window + 1) * steps, batch_size));
            Groups { window, batch_size, steps }
        });
        let batch = groups.steps[place].clone();
        *recent = Some(groups);
        batch
    }

    fn plain(&self, completed_steps: usize, batch_size: usize) -> Vec<usize> {
        match &self.visits {
            Visits::Natural(order) => {
                let visits = order.batch(completed_steps as u64, batch_size);
                visits.into_iter().map(|visit| visit.index).collect()
            }
            Visits::Balanced(order) => order.batch(completed_steps, batch_size),
        }
    }

    /// The examples of some steps, sorted by length and cut into batches, which come in random order.
    fn groups(&self, lengths: &[u32], steps: Range<usize>, batch_size: usize) -> Vec<Vec<usize>> {
        let first = steps.start as u64;
        let mut examples: Vec<usize> =
            steps.flat_map(|step| self.plain(step, batch_size)).collect();
        examples.sort_by_key(|example| lengths[*example]);
        let mut batches: Vec<Vec<usize>> =
            examples.chunks(batch_size).map(<[usize]>::to_vec).collect();
        shuffle(&mut batches, &mut stream(self.seed, "length groups", first));
        batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(grouped: bool) -> StepOrder {
        let lengths: Vec<u32> = (0..1000u32).map(|example| example * 7919 % 101).collect();
        let visits = Visits::Natural(ExampleOrder::new(1000, 3, true));
        StepOrder::new(visits, grouped.then_some(lengths), 3)
    }

    #[test]
    fn groups_hold_the_same_examples_in_batches_of_like_length() {
        let (grouped, plain) = (order(true), order(false));
        let mut spread = [0, 0];
        let mut seen = [vec![], vec![]];
        for step in 0..1000 / 32 {
            for (index, order) in [&grouped, &plain].into_iter().enumerate() {
                let batch = order.batch(step, 8);
                let lengths = batch.iter().map(|example| example * 7919 % 101);
                spread[index] += lengths.clone().max().unwrap() - lengths.min().unwrap();
                seen[index].extend(batch);
            }
        }
        for examples in &mut seen {
            examples.sort_unstable();
        }
        assert_eq!(seen[0], seen[1]);
        assert!(spread[0] * 10 < spread[1], "{spread:?}");
    }

    #[test]
    fn a_step_is_the_same_whatever_came_before() {
        let used = order(true);
        for step in [170, 3, 30, 31, 62] {
            assert_eq!(used.batch(step, 8), order(true).batch(step, 8));
        }
    }
}
