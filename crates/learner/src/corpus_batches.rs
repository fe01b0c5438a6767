//! The batches of pretraining: an experiment's corpus, tokenised, masked.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use nystromformer::NystromformerConfig;
use nystromformer_data::{
    CorpusSplit, MaskedLmBatcher, MaskedLmData, MaskedRows, ProgressListener, TrainedReading,
    Visit, prepare, prepare_aside, spread,
};

use nystromformer_tasks::Split;

use crate::batch::{BatchSource, TokenBatch};
use crate::corpus_stages::{CorpusStages, StepVisits};
use crate::error::Result;
use crate::experiment::Experiment;
use crate::objectives::{self, criterion::BatchCriterion};
use crate::tokenizer_files::write_tokenizer;
use crate::trainable::MetricName;

/// The batches of an experiment's corpus.
#[derive(Debug)]
pub struct CorpusBatches {
    data: MaskedLmData,
    stages: CorpusStages,
    batcher: MaskedLmBatcher,
    /// Steps of the whole run: how much is masked may depend on how far it is.
    total_steps: usize,
    /// What judges the model in place of its head's own losses, where the objective has such.
    criterion: Option<BatchCriterion>,
}

impl CorpusBatches {
    /// Reads the corpus, or the cache of an earlier reading, and finds or trains the tokenizer.
    ///
    /// # Errors
    /// [`LearnerError::Config`](crate::LearnerError::Config),
    /// [`LearnerError::Data`](crate::LearnerError::Data) and
    /// [`LearnerError::Io`](crate::LearnerError::Io), as the data crate sorts them; those of the objective, as of a teacher that
    /// cannot be used.
    pub fn prepare(experiment: &Experiment, progress: &dyn ProgressListener) -> Result<Self> {
        let Experiment { data, tokenizer, seed, .. } = experiment;
        Self::of(experiment, prepare(data, tokenizer, *seed, progress)?)
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
        Self::of(experiment, prepare_aside(data, tokenizer, *seed, scratch, progress)?)
    }

    fn of(experiment: &Experiment, prepared: MaskedLmData) -> Result<Self> {
        let Experiment { data, seed, .. } = experiment;
        let objective = objectives::of(data.objective);
        Ok(Self {
            criterion: objective.criterion(experiment, &prepared.tokenizer)?,
            stages: CorpusStages::new(experiment, &prepared),
            batcher: MaskedLmBatcher::new(&prepared.tokenizer, data, *seed),
            total_steps: experiment.trainer.total_steps(prepared.train.len()),
            data: prepared,
        })
    }

    fn batch(&self, rows: MaskedRows) -> TokenBatch {
        TokenBatch { criterion: self.criterion.clone(), ..rows.into() }
    }

    /// How far the step after `completed_steps` is on the way from a run's first step, 0, to its last, 1.
    fn progress(&self, completed_steps: usize) -> f64 {
        completed_steps as f64 / self.total_steps.saturating_sub(1).max(1) as f64
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
        self.micro_batches(completed_steps, batch_size, micro_batch_size, 0..usize::MAX)
    }

    fn micro_batches(
        &self,
        completed_steps: usize,
        batch_size: usize,
        micro_batch_size: usize,
        range: Range<usize>,
    ) -> Result<Vec<TokenBatch>> {
        let progress = self.progress(completed_steps);
        let StepVisits { examples, visits, micro_batch_size } =
            self.stages.visits(completed_steps, batch_size, micro_batch_size);
        visits
            .chunks(micro_batch_size)
            .take(range.end)
            .skip(range.start)
            .map(|visits| Ok(self.batch(self.batcher.training_rows(examples, visits, progress)?)))
            .collect()
    }

    fn evaluation_batch(&self, split: Split, first: usize, count: usize) -> Result<TokenBatch> {
        self.sample_batch(split, self.data.validation.len(), first, count)
    }

    /// Spread evenly: blocks lie in the order of the files, which may be of one kind each.
    fn sample_batch(
        &self,
        _: Split,
        sample: usize,
        first: usize,
        count: usize,
    ) -> Result<TokenBatch> {
        let all = self.data.validation.len();
        let visit = |index| Visit { epoch: 0, index: spread(index, sample, all) };
        let visits: Vec<Visit> = (first..first + count).map(visit).collect();
        let rows = self.batcher.rows(&self.data.validation, CorpusSplit::Validation, &visits)?;
        Ok(self.batch(rows))
    }

    fn criterion_metrics(&self) -> Option<Vec<MetricName>> {
        self.criterion.as_ref().map(|criterion| criterion.metric_names())
    }

    fn fingerprints(&self) -> BTreeMap<String, String> {
        let of_criterion = self.criterion.iter().flat_map(|criterion| criterion.fingerprints());
        let mut fingerprints: BTreeMap<String, String> = of_criterion.collect();
        fingerprints.insert("data".to_owned(), self.data.fingerprint.clone());
        fingerprints.insert("tokenizer".to_owned(), self.data.tokenizer.hash());
        fingerprints
    }

    fn source_fingerprint(&self) -> Option<String> {
        Some(self.data.corpus_fingerprint.clone())
    }

    fn write_tokenizer(&self, directory: &Path, model: &NystromformerConfig) -> Result<()> {
        // Blocks are cut from a stream: no text was too long.
        write_tokenizer(&self.data.tokenizer, TrainedReading::default(), model, directory)
    }
}

#[cfg(test)]
mod tests {
    use nystromformer_data::{DataConfig, TokenizerConfig};

    use super::*;

    #[test]
    fn a_sample_of_the_held_out_blocks_is_spread_over_all_files() {
        let folder = tempfile::tempdir().unwrap();
        let experiment = Experiment {
            data: DataConfig {
                seq_len: 32,
                validation_fraction: 0.5,
                cache_dir: folder.path().to_owned(),
                ..DataConfig::default()
            },
            tokenizer: TokenizerConfig { vocab_size: 300, ..TokenizerConfig::default() },
            ..Experiment::default()
        };
        let batches = CorpusBatches::prepare(&experiment, &|_| {}).unwrap();
        let split = Split::Validation;
        let all = batches.evaluation_examples(split);
        let sample = all / 3;
        for index in [0, 1, sample / 2, sample - 1] {
            let found = batches.sample_batch(split, sample, index, 1).unwrap();
            let wanted = batches.evaluation_batch(split, index * all / sample, 1).unwrap();
            assert_eq!(found, wanted, "{index}");
        }
        assert!((sample - 1) * all / sample > all - 6, "the last ones are of the end");
        // A sample of all is all, in their order.
        let every = batches.sample_batch(split, all, 2, 3).unwrap();
        assert_eq!(every, batches.evaluation_batch(split, 2, 3).unwrap());
    }
}
