//! [`Examples`]: data of one's own in main memory, for a model of one's own.

use std::collections::BTreeMap;

use nystromformer_data::{ExampleOrder, spread};
use nystromformer_tasks::Split;
use serde::Serialize;

use crate::batch::{Batch, BatchSource};
use crate::error::{LearnerError, Result};

/// Examples to train on, visited in another order in every epoch, and examples to validate with. Its batches are
/// `Vec<T>`; the model makes tensors of them.
#[derive(Debug)]
pub struct Examples<T> {
    train: Vec<T>,
    validation: Vec<T>,
    order: ExampleOrder,
    fingerprint: String,
}

/// Examples with a target each, all in one term of the loss. Each counts as one token.
impl<T: Send> Batch for Vec<T> {
    fn num_targets(&self) -> Vec<usize> {
        vec![self.len()]
    }

    fn num_tokens(&self) -> usize {
        self.len()
    }
}

impl<T: Clone + Serialize + Send + Sync> Examples<T> {
    /// Examples whose order in training comes from `seed`. Without validation examples nothing is measured.
    ///
    /// # Errors
    /// [`LearnerError::Data`] if there is nothing to train on, or if an example cannot be written as JSON, of which the
    /// hash is made that a resumed run must still have.
    pub fn new(train: Vec<T>, validation: Vec<T>, seed: u64) -> Result<Self> {
        if train.is_empty() {
            return Err(LearnerError::Data("there are no examples to train on".to_owned()));
        }
        let json = serde_json::to_vec(&(&train, &validation)).map_err(|error| {
            LearnerError::Data(format!("an example cannot be written as JSON: {error}"))
        })?;
        let order = ExampleOrder::new(train.len(), seed, true);
        let fingerprint = blake3::hash(&json).to_hex().to_string();
        Ok(Self { train, validation, order, fingerprint })
    }
}

impl<T: Clone + Serialize + Send + Sync> BatchSource for Examples<T> {
    type Batch = Vec<T>;

    fn training_examples(&self) -> usize {
        self.train.len()
    }

    fn evaluation_examples(&self, split: Split) -> usize {
        if split == Split::Validation { self.validation.len() } else { 0 }
    }

    fn training_step(
        &self,
        completed_steps: usize,
        batch_size: usize,
        micro_batch_size: usize,
    ) -> Result<Vec<Vec<T>>> {
        let visits = self.order.batch(completed_steps as u64, batch_size);
        let examples: Vec<T> =
            visits.into_iter().map(|visit| self.train[visit.index].clone()).collect();
        Ok(examples.chunks(micro_batch_size).map(<[T]>::to_vec).collect())
    }

    fn evaluation_batch(&self, _: Split, first: usize, count: usize) -> Result<Vec<T>> {
        Ok(self.validation[first..first + count].to_vec())
    }

    fn sample_batch(&self, _: Split, sample: usize, first: usize, count: usize) -> Result<Vec<T>> {
        let place = |index| spread(index, sample, self.validation.len());
        Ok((first..first + count).map(|index| self.validation[place(index)].clone()).collect())
    }

    fn fingerprints(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("data".to_owned(), self.fingerprint.clone())])
    }
}
