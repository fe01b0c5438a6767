//! Work that waits for a model: bounded, first come first served, and taken in batches of one kind.

use std::{
    any::Any,
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use nystromformer_pipelines::BatchLimits;

/// What waits. Only the lane that made it knows what it is.
pub(crate) trait Job: Any + Send {
    /// Whether nobody waits for its answer any more.
    fn is_abandoned(&self) -> bool;
}

/// A job and its size.
pub(crate) struct Entry {
    /// Which of the model's lanes computes it.
    pub(crate) lane: usize,
    /// Rows of the model.
    pub(crate) rows: usize,
    /// Tokens of all rows.
    pub(crate) tokens: usize,
    pub(crate) job: Box<dyn Job>,
}

/// Jobs of one lane that are computed together.
pub(crate) struct Taken {
    pub(crate) lane: usize,
    pub(crate) jobs: Vec<Box<dyn Job>>,
}

/// The queue of a model.
pub(crate) struct Queue {
    state: Mutex<State>,
    bell: Condvar,
    /// Most rows that wait.
    capacity: usize,
    batch: BatchLimits,
    wait: Duration,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    rows: usize,
    is_closed: bool,
    /// Jobs that were taken last.
    last_taken: usize,
}

impl Queue {
    pub(crate) fn new(capacity: usize, batch: BatchLimits, wait: Duration) -> Self {
        Self { state: Mutex::default(), bell: Condvar::new(), capacity, batch, wait }
    }

    /// No code that can panic runs while the lock is held.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rows that wait.
    pub(crate) fn rows(&self) -> usize {
        self.lock().rows
    }

    /// Lets all of `entries` wait, or none of them if there are too many already.
    pub(crate) fn push(&self, entries: Vec<Entry>) -> Result<(), Full> {
        let rows: usize = entries.iter().map(|entry| entry.rows).sum();
        let mut state = self.lock();
        if state.rows + rows > self.capacity {
            state.leave_out_abandoned();
        }
        if state.is_closed || state.rows + rows > self.capacity {
            return Err(Full { waiting: state.rows });
        }
        state.rows += rows;
        state.entries.extend(entries);
        drop(state);
        self.bell.notify_one();
        Ok(())
    }

    /// Waits for work and takes a batch of it; `None` once the queue is closed and empty.
    pub(crate) fn take(&self) -> Option<Taken> {
        let mut state = self.lock();
        loop {
            state.leave_out_abandoned();
            if !state.entries.is_empty() {
                break;
            }
            if state.is_closed {
                return None;
            }
            state = self.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        // Clients that were answered together ask again at nearly the same time.
        let deadline = Instant::now() + self.wait;
        while state.last_taken > 1
            && state.entries.len() < state.last_taken
            && !state.is_closed
            && let Some(left) = deadline.checked_duration_since(Instant::now())
            && !left.is_zero()
        {
            let waited = self.bell.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let taken = state.take(self.batch);
        state.last_taken = taken.jobs.len();
        Some(taken)
    }

    /// Takes no more work; what waits is still computed.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.bell.notify_all();
    }
}

impl State {
    fn leave_out_abandoned(&mut self) {
        self.entries.retain(|entry| !entry.job.is_abandoned());
        self.rows = self.entries.iter().map(|entry| entry.rows).sum();
    }

    /// The first entry, and those of its lane that fit beside it.
    fn take(&mut self, limits: BatchLimits) -> Taken {
        let lane = self.entries.front().map_or(0, |entry| entry.lane);
        let (mut rows, mut tokens, mut is_full) = (0, 0, false);
        let mut jobs = Vec::new();
        let mut left = VecDeque::with_capacity(self.entries.len());
        for entry in self.entries.drain(..) {
            let fits = jobs.is_empty()
                || (rows + entry.rows <= limits.rows && tokens + entry.tokens <= limits.tokens);
            if entry.lane != lane || is_full || !fits {
                // Nobody of a lane overtakes another.
                is_full |= entry.lane == lane;
                left.push_back(entry);
                continue;
            }
            rows += entry.rows;
            tokens += entry.tokens;
            jobs.push(entry.job);
        }
        self.entries = left;
        self.rows -= rows;
        Taken { lane, jobs }
    }
}

/// Too much waits already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full {
    /// Rows.
    pub(crate) waiting: usize,
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use super::*;

    struct Numbered {
        number: usize,
        is_abandoned: Arc<AtomicBool>,
    }

    impl Job for Numbered {
        fn is_abandoned(&self) -> bool {
            self.is_abandoned.load(Ordering::Relaxed)
        }
    }

    fn entry(number: usize, lane: usize, rows: usize, tokens: usize) -> Entry {
        let is_abandoned = Arc::default();
        Entry { lane, rows, tokens, job: Box::new(Numbered { number, is_abandoned }) }
    }

    fn queue(capacity: usize) -> Queue {
        Queue::new(capacity, BatchLimits { rows: 4, tokens: 100 }, Duration::ZERO)
    }

    fn numbers(taken: Taken) -> (usize, Vec<usize>) {
        let number = |job: Box<dyn Job>| {
            let job: Box<dyn Any> = job;
            job.downcast::<Numbered>().unwrap().number
        };
        (taken.lane, taken.jobs.into_iter().map(number).collect())
    }

    #[test]
    fn batches_are_of_one_lane_in_order_and_within_their_limits() {
        let queue = queue(100);
        queue
            .push(vec![
                entry(0, 1, 1, 10),
                entry(1, 0, 1, 10),
                entry(2, 1, 2, 10),
                entry(3, 1, 2, 10),
                entry(4, 1, 1, 10),
                entry(5, 0, 1, 95),
                entry(6, 0, 9, 900),
            ])
            .unwrap();
        assert_eq!(queue.rows(), 17);
        let next = || numbers(queue.take().unwrap());
        assert_eq!(next(), (1, vec![0, 2]));
        assert_eq!(next(), (0, vec![1]));
        assert_eq!(next(), (1, vec![3, 4]));
        assert_eq!(next(), (0, vec![5]));
        assert_eq!(next(), (0, vec![6]));
        assert_eq!(queue.rows(), 0);
        queue.close();
        assert!(queue.take().is_none());
        assert!(queue.push(vec![entry(7, 0, 1, 1)]).is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused_whole_and_the_abandoned_make_room() {
        let queue = queue(3);
        let given_up = Arc::new(AtomicBool::new(false));
        let job = Box::new(Numbered { number: 0, is_abandoned: Arc::clone(&given_up) });
        queue.push(vec![Entry { lane: 0, rows: 2, tokens: 2, job }]).unwrap();
        let two = || vec![entry(1, 0, 1, 1), entry(2, 0, 1, 1)];
        assert_eq!(queue.push(two()), Err(Full { waiting: 2 }));
        assert_eq!(queue.rows(), 2);
        given_up.store(true, Ordering::Relaxed);
        queue.push(two()).unwrap();
        assert_eq!(numbers(queue.take().unwrap()), (0, vec![1, 2]));
    }

    #[test]
    fn what_waits_when_the_queue_closes_is_still_taken() {
        let queue = queue(9);
        queue.push(vec![entry(0, 0, 1, 1)]).unwrap();
        queue.close();
        assert_eq!(numbers(queue.take().unwrap()), (0, vec![0]));
        assert!(queue.take().is_none());
    }
}
