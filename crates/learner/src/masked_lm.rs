//! The task: batches of masked sequences, and a model's loss on them.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Device, Tensor};
use nystromformer::masked_lm::cross_entropy;
use nystromformer::{NystromformerConfig, NystromformerForMaskedLm, NystromformerInput};
use nystromformer_data::{
    ExampleOrder, MaskedLmBatch, MaskedLmBatcher, MaskedLmData, MaskedRows, Progress, Split, Visit,
    prepare, prepare_aside,
};

use crate::error::Result;
use crate::experiment::Experiment;
use crate::tokenizer_files::write_tokenizer;

/// Where batches come from. A batch is a pure function of its place in the run.
pub trait BatchSource: Send + Sync {
    /// Training examples in one epoch; at least one.
    fn training_examples(&self) -> usize;

    /// Validation examples; 0 if there is no validation split.
    fn validation_examples(&self) -> usize;

    /// The micro-batches of the step after `completed_steps`, in main memory: `batch_size` examples
    /// in batches of `micro_batch_size`, the last perhaps smaller. Examples are counted on through
    /// all epochs, so that each epoch sees each of them once.
    ///
    /// # Errors
    /// [`LearnerError::Config`](crate::LearnerError::Config) if a micro-batch is too large to
    /// index.
    fn training_step(
        &self,
        completed_steps: usize,
        batch_size: usize,
        micro_batch_size: usize,
    ) -> Result<Vec<MaskedRows>>;

    /// The validation examples `first..first + count`, masked the same way every time.
    ///
    /// # Errors
    /// As [`Self::training_step`].
    fn validation_rows(&self, first: usize, count: usize) -> Result<MaskedRows>;

    /// Hashes of what the batches are made of, by name.
    fn fingerprints(&self) -> BTreeMap<String, String>;

    /// Writes the tokenizer's files into a checkpoint, which is thereby a model that can be used.
    ///
    /// # Errors
    /// [`LearnerError::Io`](crate::LearnerError::Io).
    fn write_tokenizer(&self, directory: &Path, model: &NystromformerConfig) -> Result<()>;
}

/// The batches of an experiment's corpus.
#[derive(Debug)]
pub struct CorpusBatches {
    data: MaskedLmData,
    order: ExampleOrder,
    batcher: MaskedLmBatcher,
}

impl CorpusBatches {
    /// Reads the corpus, or the cache of an earlier reading, and finds or trains the tokenizer.
    ///
    /// # Errors
    /// [`LearnerError::Config`](crate::LearnerError::Config),
    /// [`LearnerError::Data`](crate::LearnerError::Data) and
    /// [`LearnerError::Io`](crate::LearnerError::Io), as the data crate sorts them.
    pub fn prepare(experiment: &Experiment, progress: &dyn Progress) -> Result<Self> {
        let Experiment { data, tokenizer, seed, .. } = experiment;
        Ok(Self::of(experiment, prepare(data, tokenizer, *seed, progress)?))
    }

    /// The same without writing to `data.cache_dir`: what is not there yet is made in `scratch`.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub fn prepare_aside(
        experiment: &Experiment,
        scratch: &Path,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let Experiment { data, tokenizer, seed, .. } = experiment;
        Ok(Self::of(experiment, prepare_aside(data, tokenizer, *seed, scratch, progress)?))
    }

    fn of(experiment: &Experiment, prepared: MaskedLmData) -> Self {
        let Experiment { data, seed, .. } = experiment;
        Self {
            order: ExampleOrder::new(prepared.train.len(), *seed, data.shuffle),
            batcher: MaskedLmBatcher::new(&prepared.tokenizer, data, *seed),
            data: prepared,
        }
    }

    /// Tokenizer, blocks and facts.
    pub fn data(&self) -> &MaskedLmData {
        &self.data
    }

    /// What masks the blocks.
    pub fn batcher(&self) -> &MaskedLmBatcher {
        &self.batcher
    }
}

impl BatchSource for CorpusBatches {
    fn training_examples(&self) -> usize {
        self.data.train.len()
    }

    fn validation_examples(&self) -> usize {
        self.data.validation.len()
    }

    fn training_step(
        &self,
        completed_steps: usize,
        batch_size: usize,
        micro_batch_size: usize,
    ) -> Result<Vec<MaskedRows>> {
        self.order
            .batch(completed_steps as u64, batch_size)
            .chunks(micro_batch_size)
            .map(|visits| Ok(self.batcher.rows(&self.data.train, Split::Train, visits)?))
            .collect()
    }

    fn validation_rows(&self, first: usize, count: usize) -> Result<MaskedRows> {
        let visits: Vec<Visit> =
            (first..first + count).map(|index| Visit { epoch: 0, index }).collect();
        Ok(self.batcher.rows(&self.data.validation, Split::Validation, &visits)?)
    }

    fn fingerprints(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("data".to_owned(), self.data.fingerprint.clone()),
            ("tokenizer".to_owned(), self.data.tokenizer.hash()),
        ])
    }

    fn write_tokenizer(&self, directory: &Path, model: &NystromformerConfig) -> Result<()> {
        write_tokenizer(&self.data.tokenizer, model, directory)
    }
}

/// A model's answer to a batch, at the tokens to predict.
#[derive(Debug, Clone)]
pub struct Predictions {
    /// Cross-entropy of each, in nats: `[num_masked]`.
    pub losses: Tensor<1>,
    /// Scores of every vocabulary entry: `[num_masked, vocab_size]`.
    pub logits: Tensor<2>,
}

/// Predicts the masked tokens of `batch`, of which there is at least one.
///
/// # Errors
/// [`LearnerError::Config`](crate::LearnerError::Config) if the model cannot read sequences of this
/// length.
pub fn predict(model: &NystromformerForMaskedLm, batch: &MaskedLmBatch) -> Result<Predictions> {
    let mut input = NystromformerInput::new(batch.input_ids.clone());
    if let Some(mask) = &batch.attention_mask {
        input = input.with_attention_mask(mask.clone());
    }
    let logits = model.forward_at(input, batch.masked_positions.clone())?;
    let losses = cross_entropy(logits.clone(), batch.masked_labels.clone());
    Ok(Predictions { losses, logits })
}

/// Reads one number back from the device.
pub(crate) fn scalar(tensor: Tensor<1>, device: &Device) -> Result<f64> {
    tensor.try_into_scalar::<f32>().map(f64::from).map_err(|error| crate::LearnerError::Device {
        device: format!("{device:?}"),
        message: format!("reading a result back failed: {error}"),
    })
}
