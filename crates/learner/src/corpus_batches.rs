//! The batches of pretraining: an experiment's corpus, tokenised, masked.

use std::collections::BTreeMap;
use std::path::Path;

use nystromformer::NystromformerConfig;
use nystromformer_data::{
    CorpusSplit, ExampleOrder, MaskedLmBatcher, MaskedLmData, ProgressListener, Visit, prepare,
    prepare_aside,
};

use nystromformer_tasks::Split;

use crate::batch::{BatchSource, TokenBatch};
use crate::error::Result;
use crate::experiment::Experiment;
use crate::tokenizer_files::write_tokenizer;

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
    pub fn prepare(experiment: &Experiment, progress: &dyn ProgressListener) -> Result<Self> {
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
        progress: &dyn ProgressListener,
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
    type Batch = TokenBatch;

    fn training_examples(&self) -> usize {
        self.data.train.len()
    }

    fn evaluation_examples(&self, split: Split) -> usize {
        match split {
            Split::Validation => self.data.validation.len(),
            _ => 0,
        }
    }

    fn training_step(
        &self,
        completed_steps: usize,
        batch_size: usize,
        micro_batch_size: usize,
    ) -> Result<Vec<TokenBatch>> {
        self.order
            .batch(completed_steps as u64, batch_size)
            .chunks(micro_batch_size)
            .map(|visits| {
                Ok(self.batcher.rows(&self.data.train, CorpusSplit::Train, visits)?.into())
            })
            .collect()
    }

    fn evaluation_batch(&self, _: Split, first: usize, count: usize) -> Result<TokenBatch> {
        let visits: Vec<Visit> =
            (first..first + count).map(|index| Visit { epoch: 0, index }).collect();
        Ok(self.batcher.rows(&self.data.validation, CorpusSplit::Validation, &visits)?.into())
    }

    fn fingerprints(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("data".to_owned(), self.data.fingerprint.clone()),
            ("tokenizer".to_owned(), self.data.tokenizer.hash()),
        ])
    }

    fn write_tokenizer(&self, directory: &Path, model: &NystromformerConfig) -> Result<()> {
        // Blocks are cut from a stream: no text was too long.
        write_tokenizer(&self.data.tokenizer, None, model, directory)
    }
}
