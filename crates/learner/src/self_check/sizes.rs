//! At which sizes a device is compared with the CPU: the run's own, as far as that takes seconds.

use std::fmt;

use nystromformer::NystromformerConfig;

use crate::experiment::Experiment;
use crate::memory_estimate::estimate_bytes;

/// Layers that are compared at most: the second one has the first one's output for input.
const MAX_LAYERS: usize = 2;

/// Tokens of the vocabulary at most. Its rows are alike.
const MAX_VOCABULARY: usize = 8192;

/// Operations on the CPU at most: half a minute on two cores, some seconds on sixteen.
const MAX_OPERATIONS: f64 = 1.5e12;

/// Memory that the comparison may take, by the estimate for trainings.
const MAX_BYTES: u64 = 4 << 30;

/// Rows of the batch without padding, and of the one with it.
pub(super) const ROWS: [usize; 2] = [1, 2];

/// The sizes of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sizes {
    /// The run's model without dropout, with fewer layers and a smaller vocabulary where that saves time.
    pub(super) model: NystromformerConfig,
    /// Tokens of a row.
    pub(super) seq_len: usize,
    /// What is smaller than in the run.
    caps: Vec<String>,
}

impl Sizes {
    /// Those for the device of an experiment.
    pub(super) fn of(experiment: &Experiment) -> Self {
        let run = &experiment.model;
        let model = run.clone().with(|model| {
            model.embeddings.vocab_size = run.embeddings.vocab_size.min(MAX_VOCABULARY);
            // A token that is never drawn, so that its row counts as any other's.
            model.embeddings.pad_token_id = 0;
            // Rows of token ids are compared, by a model of at least a layer.
            model.vectors.num_features = 0;
            model.encoder.num_hidden_layers = run.encoder.num_hidden_layers.clamp(1, MAX_LAYERS);
            model.encoder.num_hidden_groups = 0;
            model.embeddings.max_position_embeddings =
                run.embeddings.max_position_embeddings.max(experiment.data.seq_len);
            if let Some((_, longest)) = model.attention.options().longest_len(&model.shared) {
                let positions = &mut model.embeddings.max_position_embeddings;
                *positions = longest.min(*positions);
            }
            model.shared.hidden_dropout_prob = 0.0;
            model.attention.softmax.attention_probs_dropout_prob = 0.0;
            // Wide enough, at any width, that attention is not uniform and every gradient far from rounding.
            let width = run.shared.hidden_size.max(1) as f64;
            model.shared.weights.initializer_range = 0.3 * (32.0 / width).sqrt();
        });
        let mut sizes = Self { model, seq_len: experiment.data.seq_len, caps: Vec::new() };
        let least = (2 * run.attention.nystrom.num_landmarks).max(32).min(experiment.data.seq_len);
        while !sizes.fits(experiment) && sizes.seq_len > least {
            sizes.shorten(least);
        }
        if !sizes.fits(experiment) {
            sizes.model.encoder.num_hidden_layers = 1;
        }
        for (what, compared, of_run) in [
            ("length", sizes.seq_len, experiment.data.seq_len),
            ("layers", sizes.model.encoder.num_hidden_layers, run.encoder.num_hidden_layers),
            ("vocabulary", sizes.model.embeddings.vocab_size, run.embeddings.vocab_size),
        ] {
            if compared < of_run {
                sizes.caps.push(format!("{what} {compared} of {of_run}"));
            }
        }
        sizes
    }

    /// Halves the length, to a multiple of the landmarks. transformers' semantics have one length per configuration.
    fn shorten(&mut self, least: usize) {
        let landmarks = self.model.attention.nystrom.num_landmarks.max(1);
        let half = (self.seq_len / 2).max(least);
        self.seq_len = (half / landmarks * landmarks).max(least);
        if self.model.required_seq_len().is_some() {
            self.model.attention.nystrom.segment_means_seq_len = self.seq_len;
        }
    }

    fn fits(&self, experiment: &Experiment) -> bool {
        let mut compared = experiment.clone();
        compared.model = self.model.clone();
        compared.data.seq_len = self.seq_len;
        compared.task = None;
        compared.trainer.micro_batch_size = ROWS[1];
        compared.trainer.batch_size = ROWS[1];
        let hidden = self.model.shared.hidden_size;
        let of_layer = 4 * hidden * (hidden + self.model.feed_forward.intermediate_size);
        let parameters = self.model.embeddings.vocab_size * hidden
            + self.model.encoder.num_hidden_layers * of_layer;
        self.operations() <= MAX_OPERATIONS
            && estimate_bytes(&compared, parameters.into(), 1) <= MAX_BYTES
    }

    /// Multiplications and additions of all passes, forwards and backwards.
    fn operations(&self) -> f64 {
        let model = &self.model;
        let [hidden, intermediate, seq_len] =
            [model.shared.hidden_size, model.feed_forward.intermediate_size, self.seq_len]
                .map(|size| size as f64);
        let products = 2.0 * hidden * (4.0 * hidden + 2.0 * intermediate);
        let attention = model.attention.options().operations(self.seq_len, &model.shared);
        let tokens = ROWS.iter().sum::<usize>() as f64 * seq_len;
        3.0 * tokens * model.encoder.num_hidden_layers as f64 * (products + attention)
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model = &self.model;
        write!(
            formatter,
            "width {}, {} heads, {} landmarks, length {}",
            model.shared.hidden_size,
            model.shared.num_attention_heads,
            model.attention.nystrom.num_landmarks,
            self.seq_len
        )?;
        if !self.caps.is_empty() {
            write!(formatter, " (to save time, {})", self.caps.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use nystromformer::{AttentionKind, Semantics};

    use super::*;
    use crate::device::DeviceKind;

    fn base(seq_len: usize) -> Experiment {
        let mut experiment = Experiment { device: DeviceKind::Cuda, ..Experiment::default() };
        experiment.model.embeddings.max_position_embeddings = seq_len;
        experiment.model.attention.nystrom.segment_means_seq_len = seq_len;
        experiment.data.seq_len = seq_len;
        experiment
    }

    #[test]
    fn the_runs_own_sizes_are_compared_and_what_is_smaller_is_told() {
        let experiment = base(512);
        let sizes = Sizes::of(&experiment);
        assert_eq!(sizes.seq_len, 512);
        let (ours, theirs) = (&sizes.model, &experiment.model);
        assert_eq!(ours.shared.hidden_size, theirs.shared.hidden_size);
        assert_eq!(ours.shared.num_attention_heads, theirs.shared.num_attention_heads);
        assert_eq!(ours.attention.nystrom.num_landmarks, theirs.attention.nystrom.num_landmarks);
        assert_eq!(
            sizes.to_string(),
            "width 768, 12 heads, 64 landmarks, length 512 (to save time, layers 2 of 12, vocabulary 8192 of 30000)"
        );
    }

    #[test]
    fn what_would_take_too_long_or_too_much_is_shorter() {
        for (attention, semantics, longest) in [
            (AttentionKind::Nystrom, Semantics::Paper, 4096),
            (AttentionKind::Nystrom, Semantics::Hf, 4096),
            (AttentionKind::Softmax, Semantics::Paper, 2048),
        ] {
            let mut experiment = base(16_384);
            (experiment.model.attention.kind, experiment.model.shared.semantics) =
                (attention, semantics);
            let sizes = Sizes::of(&experiment);
            assert!(sizes.seq_len >= 512 && sizes.seq_len <= longest, "{attention:?} {sizes}");
            assert!(sizes.fits(&experiment) && sizes.to_string().contains(" of 16384"), "{sizes}");
            sizes.model.validate().unwrap();
            sizes.model.validate_seq_len(sizes.seq_len).unwrap();
        }
        let mut huge = base(4096);
        (huge.model.shared.hidden_size, huge.model.feed_forward.intermediate_size) =
            (12_288, 49_152);
        let sizes = Sizes::of(&huge);
        assert_eq!((sizes.model.encoder.num_hidden_layers, sizes.seq_len), (1, 128));
    }
}
