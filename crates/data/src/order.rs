//! The order in which training visits its examples.

use std::sync::{Arc, Mutex, PoisonError};

use crate::random::{Purpose, generator, shuffle};

/// One visit of one example: the pass over the data it belongs to, and the block's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Visit {
    /// Passes over the data completed before; masks depend on it.
    pub epoch: u64,
    /// Number of the block in its dataset.
    pub index: usize,
}

/// The example with the number `index` of `count` that are spread evenly over `len`, in their order: all of them where there are as
/// many.
///
/// ```
/// use nystromformer_data::spread;
///
/// assert_eq!((0..4).map(|index| spread(index, 4, 10)).collect::<Vec<_>>(), [0, 2, 5, 7]);
/// ```
pub fn spread(index: usize, count: usize, len: usize) -> usize {
    (index as u128 * len as u128 / count.max(1) as u128) as usize
}

/// An epoch and its examples in order.
type EpochOrder = (u64, Arc<[u32]>);

/// Maps optimizer steps to examples. A pure function of `(len, seed, shuffle)`: nothing has to be
/// saved to go on at any step.
///
/// ```
/// use nystromformer_data::ExampleOrder;
///
/// let order = ExampleOrder::new(5, 1, true);
/// // Steps of 4 over 5 examples: the second step ends the first epoch and begins the next.
/// let visits = order.batch(1, 4);
/// assert_eq!(visits.iter().map(|visit| visit.epoch).collect::<Vec<_>>(), [0, 1, 1, 1]);
/// ```
#[derive(Debug)]
pub struct ExampleOrder {
    len: usize,
    seed: u64,
    shuffle: bool,
    /// The epochs used last; only saves time. Two, for a batch may cross from one to the next.
    recent: Mutex<[Option<EpochOrder>; 2]>,
}

impl ExampleOrder {
    /// The order of `len` examples under `seed`; without `shuffle` that of the corpus.
    ///
    /// # Panics
    ///
    /// If there are no examples, or more than 2³².
    pub fn new(len: usize, seed: u64, shuffle: bool) -> Self {
        assert!(len > 0, "an order needs examples");
        assert!(u32::try_from(len).is_ok(), "{len} examples are more than 32 bits count");
        Self { len, seed, shuffle, recent: Mutex::default() }
    }

    /// The examples of one epoch in their order: each number below `len` once.
    pub fn epoch(&self, epoch: u64) -> Arc<[u32]> {
        // A panic elsewhere cannot leave the cache half written.
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = (epoch % 2) as usize;
        if let Some((cached, order)) = &recent[slot]
            && *cached == epoch
        {
            return Arc::clone(order);
        }
        let mut order: Vec<u32> = (0..self.len as u32).collect();
        if self.shuffle {
            shuffle(&mut order, &mut generator(self.seed, Purpose::Order, epoch, 0));
        }
        let order: Arc<[u32]> = order.into();
        recent[slot] = Some((epoch, Arc::clone(&order)));
        order
    }

    /// The examples of optimizer step `step` (from 0) with `batch_size` examples a step.
    ///
    /// Batches run on over the end of an epoch, so that no example is left out and all are full.
    pub fn batch(&self, step: u64, batch_size: usize) -> Vec<Visit> {
        self.visits(step * batch_size as u64, batch_size)
    }

    /// So many visits from number `first` (from 0) on.
    pub fn visits(&self, first: u64, count: usize) -> Vec<Visit> {
        (first..first + count as u64)
            .map(|position| {
                let epoch = position / self.len as u64;
                let index = self.epoch(epoch)[(position % self.len as u64) as usize] as usize;
                Visit { epoch, index }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn epochs_differ_and_seeds_differ() {
        let order = ExampleOrder::new(100, 1, true);
        assert_ne!(order.epoch(0), order.epoch(1));
        assert_ne!(order.epoch(0), ExampleOrder::new(100, 2, true).epoch(0));
        assert_eq!(order.epoch(0), ExampleOrder::new(100, 1, true).epoch(0));
    }

    #[test]
    fn without_shuffling_the_order_is_that_of_the_corpus() {
        let order = ExampleOrder::new(4, 1, false);
        let indices: Vec<usize> = order.batch(1, 3).iter().map(|visit| visit.index).collect();
        assert_eq!(indices, [3, 0, 1]);
    }

    proptest! {
        #[test]
        fn every_epoch_visits_each_example_once(len in 1usize..80, batch_size in 1usize..30, seed: u64) {
            let order = ExampleOrder::new(len, seed, true);
            let steps = (3 * len as u64).div_ceil(batch_size as u64);
            let visits: Vec<Visit> = (0..steps).flat_map(|step| order.batch(step, batch_size)).collect();
            for epoch in 0..3 {
                let mut seen: Vec<usize> =
                    visits.iter().filter(|visit| visit.epoch == epoch).map(|visit| visit.index).collect();
                seen.sort_unstable();
                prop_assert_eq!(seen, (0..len).collect::<Vec<_>>());
            }
        }

        #[test]
        fn a_step_is_the_same_whatever_came_before(len in 1usize..50, step in 0u64..100) {
            let fresh = ExampleOrder::new(len, 9, true).batch(step, 7);
            let used = ExampleOrder::new(len, 9, true);
            for earlier in 0..step {
                used.batch(earlier, 7);
            }
            prop_assert_eq!(fresh, used.batch(step, 7));
        }
    }
}
