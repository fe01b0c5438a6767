//! Micro-batches that are made while a device computes the step before.
//!
//! Beside a GPU the CPU would make them while the GPU waits, and then wait itself. On the CPU all cores compute already, and nothing is made ahead. What a step
//! reads is a pure function of its number, so it does not matter when it is made.

use std::ops::Range;
use std::panic::resume_unwind;
use std::thread;

use burn::tensor::Device;
use nystromformer_kernels::is_flex;

use crate::batch::{Batch, BatchSource};
use crate::error::Result;

/// The micro-batches of one step, by all that they depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) step: usize,
    pub(super) batch_size: usize,
    pub(super) micro_batch_size: usize,
    /// Which of them.
    pub(super) share: Range<usize>,
}

impl Order {
    fn filled<B: Batch>(&self, data: &dyn BatchSource<Batch = B>) -> Result<Vec<B>> {
        data.micro_batches(self.step, self.batch_size, self.micro_batch_size, self.share.clone())
    }
}

/// What was made for the step to come.
pub(super) struct Ahead<B> {
    /// Whether anything is made ahead.
    pub(super) is_on: bool,
    made: Option<(Order, Result<Vec<B>>)>,
}

impl<B: Batch> Ahead<B> {
    /// Beside a device that is not the CPU.
    pub(super) fn beside(device: &Device) -> Self {
        Self { is_on: !is_flex(device), made: None }
    }

    /// What was made for `order`, or is made now.
    ///
    /// # Errors
    /// Those of the data.
    pub(super) fn take(
        &mut self,
        order: &Order,
        data: &dyn BatchSource<Batch = B>,
    ) -> Result<Vec<B>> {
        match self.made.take() {
            Some((made, batches)) if made == *order => batches,
            _ => order.filled(data),
        }
    }

    #[cfg(test)]
    pub(super) fn step_made(&self) -> Option<usize> {
        self.made.as_ref().map(|(order, _)| order.step)
    }

    /// Keeps what was made while something else was done ([`made_beside`]).
    pub(super) fn keep(&mut self, made: (Order, Result<Vec<B>>)) {
        self.made = Some(made);
    }
}

/// Does `work`, and makes what is ordered meanwhile. An error in that is for whoever takes it.
pub(super) fn made_beside<B: Batch, T>(
    order: Order,
    data: &dyn BatchSource<Batch = B>,
    work: impl FnOnce() -> T,
) -> (T, (Order, Result<Vec<B>>)) {
    let (done, made) = thread::scope(|scope| {
        let making = scope.spawn(|| order.filled(data));
        (work(), making.join())
    });
    match made {
        Ok(batches) => (done, (order, batches)),
        Err(panic) => resume_unwind(panic),
    }
}
