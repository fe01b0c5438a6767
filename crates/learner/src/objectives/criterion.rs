//! [`Criterion`]: what judges a model's answers to a batch in place of its head's own losses. It travels with the batch.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor};
use nystromformer::heads::LossTerm;
use nystromformer::{Head, ModelError, Nystromformer};

use crate::batch::TokenBatch;
use crate::error::Result;
use crate::ranks::words::{WordReader, Words};
use crate::trainable::MetricName;

/// What judges a model's answers to a batch in place of its head's own losses.
pub trait Criterion: Debug + Send + Sync {
    /// How many targets count in each term of the loss.
    fn num_targets(&self, batch: &TokenBatch) -> Vec<usize>;

    /// The terms of the loss, as [`Trainable::loss_terms`](crate::trainable::Trainable::loss_terms) has them.
    ///
    /// # Errors
    /// What a model refuses of the batch.
    fn loss_terms(
        &self,
        model: &Judged<'_>,
        batch: TokenBatch,
        device: &Device,
    ) -> Result<Vec<LossTerm>>;

    /// The same in an evaluation, with what its metrics are made of.
    ///
    /// # Errors
    /// As [`Self::loss_terms`], and of the device.
    fn evaluate(
        &self,
        model: &Judged<'_>,
        batch: TokenBatch,
        device: &Device,
        measured: &mut Measured,
    ) -> Result<Vec<LossTerm>>;

    /// Names of what [`Self::evaluate`] measures.
    fn metric_names(&self) -> Vec<MetricName>;

    /// Hashes of what it judges by, by name: a run is resumed only with the same.
    fn fingerprints(&self) -> BTreeMap<String, String>;
}

/// The criterion of a batch.
#[derive(Debug, Clone)]
pub struct BatchCriterion(Arc<dyn Criterion>);

impl BatchCriterion {
    /// To be given to many batches.
    pub fn new(criterion: impl Criterion + 'static) -> Self {
        Self(Arc::new(criterion))
    }
}

impl std::ops::Deref for BatchCriterion {
    type Target = dyn Criterion;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// The same one, not an equal one.
impl PartialEq for BatchCriterion {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// A model as a criterion sees it: an encoder, and a head that makes scores of last hidden states.
#[derive(Clone, Copy)]
pub struct Judged<'a> {
    /// The encoder.
    pub encoder: &'a Nystromformer,
    scores: &'a ScoresOfStates<'a>,
}

type ScoresOfStates<'a> = dyn Fn(Tensor<3>, Option<Tensor<2, Int>>, Tensor<1, Int>) -> Result<Option<Tensor<2>>, ModelError>
    + 'a;

impl Judged<'_> {
    /// Shows `model` to `judge`.
    pub(crate) fn show<M: Head, R>(model: &M, judge: impl FnOnce(&Judged<'_>) -> R) -> R {
        let scores = |states, mask, positions| model.scores_of_states(states, mask, positions);
        judge(&Judged { encoder: model.nystromformer(), scores: &scores })
    }

    /// As [`Head::scores_of_states`].
    ///
    /// # Errors
    /// As there.
    pub fn scores(
        &self,
        states: Tensor<3>,
        attention_mask: Option<Tensor<2, Int>>,
        positions: Tensor<1, Int>,
    ) -> Result<Option<Tensor<2>>, ModelError> {
        (self.scores)(states, attention_mask, positions)
    }
}

/// What an evaluation has summed up over its batches, by the metric's name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured(BTreeMap<String, Quotient>);

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Quotient {
    sum: f64,
    of: f64,
    is_root: bool,
}

impl Measured {
    /// Adds to a mean: `sum` over `count` of what it is a mean of.
    pub fn mean(&mut self, name: &str, sum: f64, count: f64) {
        self.add(name, Quotient { sum, of: count, is_root: false });
    }

    /// Adds to a relative error, the root of a sum of squared errors over the sum of squares that they are measured by.
    pub fn relative_error(&mut self, name: &str, squared_errors: f64, squares: f64) {
        self.add(name, Quotient { sum: squared_errors, of: squares, is_root: true });
    }

    fn add(&mut self, name: &str, more: Quotient) {
        let quotient = self.0.entry(name.to_owned()).or_default();
        quotient.sum += more.sum;
        quotient.of += more.of;
        quotient.is_root = more.is_root;
    }

    /// Adds what was measured of further batches.
    pub(crate) fn merge(&mut self, more: Self) {
        for (name, quotient) in more.0 {
            self.add(&name, quotient);
        }
    }

    /// As words, for other processes.
    pub(crate) fn write(&self, words: &mut Words) {
        words.count(self.0.len());
        for (name, Quotient { sum, of, is_root }) in &self.0 {
            words.text(name);
            words.number(*sum);
            words.number(*of);
            words.count(usize::from(*is_root));
        }
    }

    /// From such words; `None` if they are none.
    pub(crate) fn read(words: &mut WordReader<'_>) -> Option<Self> {
        let mut measured = Self::default();
        for _ in 0..words.count()? {
            let name = words.text()?;
            let (sum, of) = (words.number()?, words.number()?);
            measured.0.insert(name, Quotient { sum, of, is_root: words.count()? > 0 });
        }
        Some(measured)
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The metrics; one over nothing is left out.
    pub fn values(&self) -> Vec<(String, f64)> {
        let measured = self.0.iter().filter(|(_, quotient)| quotient.of > 0.0);
        let value = |quotient: &Quotient| {
            let value = quotient.sum / quotient.of;
            if quotient.is_root { value.sqrt() } else { value }
        };
        measured.map(|(name, quotient)| (name.clone(), value(quotient))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_of_other_sizes_count_by_what_is_in_them() {
        let mut measured = Measured::default();
        assert!(measured.is_empty());
        measured.mean("cosine", 3.0, 4.0);
        measured.mean("cosine", 1.0, 1.0);
        measured.relative_error("error", 1.0, 30.0);
        measured.relative_error("error", 3.0, 70.0);
        measured.mean("nothing", 0.0, 0.0);
        let values = measured.values();
        assert_eq!(values, [("cosine".to_owned(), 0.8), ("error".to_owned(), 0.2)]);
    }
}
