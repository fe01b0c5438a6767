//! Which models are compared, on which rows.

use burn::tensor::Device;
use nystromformer::heads::{LossOptions, TargetsData};
use nystromformer::{Architecture, Labels, Model, NystromformerConfig};

use super::sizes::{ROWS, Sizes};
use crate::batch::TokenBatch;
use crate::error::Result;
use crate::random::{Purpose, seeded};

/// A model, and what it reads.
pub(super) struct Comparison {
    architecture: Architecture,
    config: NystromformerConfig,
    /// Rows by a name.
    pub(super) batches: Vec<(&'static str, TokenBatch)>,
}

/// What is compared for a run of this class: a model with scores of tokens, without padding and with it; and if the run's is a
/// classifier, whose outputs may be of width one, a model of one layer with a single number a row.
pub(super) fn comparisons(of_run: Architecture, sizes: &Sizes) -> Vec<Comparison> {
    let mut comparisons = vec![Comparison {
        architecture: Architecture::MaskedLm,
        config: sizes.model.clone(),
        batches: vec![
            ("rows without padding", sample_rows(sizes, ROWS[0])),
            ("padded rows", sample_rows(sizes, ROWS[1])),
        ],
    }];
    if of_run == Architecture::SequenceClassification {
        let numbers = (0..ROWS[1]).map(|row| 0.5 - 1.5 * row as f32).collect();
        let rows =
            TokenBatch { targets: TargetsData::Values(numbers), ..sample_rows(sizes, ROWS[1]) };
        comparisons.push(Comparison {
            architecture: of_run,
            config: sizes.model.clone().with(|model| {
                model.encoder.num_hidden_layers = 1;
                let classifier = &mut model.classifier;
                classifier.id2label = Labels::numbered(1);
                classifier.problem_type = None;
                (classifier.label_mean, classifier.label_std) = (None, None);
                classifier.classifier_dropout_prob = Some(0.0);
            }),
            batches: vec![("numbers of padded rows", rows)],
        });
    }
    comparisons
}

impl Comparison {
    /// The model with weights of this seed.
    pub(super) fn model(&self, seed: u64, device: &Device) -> Result<Model> {
        let of_model = device.clone().autodiff();
        Ok(seeded(seed, Purpose::SelfCheck, device, || {
            Model::init(self.architecture, &self.config, &of_model)
        })?)
    }
}

/// Rows of different tokens. Of several, the later ones are padded, each more than the one before; some tokens of each are
/// to be predicted.
fn sample_rows(sizes: &Sizes, rows: usize) -> TokenBatch {
    let Sizes { model, seq_len, .. } = sizes;
    let vocabulary = model.embeddings.vocab_size.max(4) as i32;
    // Multiples of a prime, so that neighbours differ and all of the vocabulary is seen.
    let token = |place: usize| 3 + (place as i32).wrapping_mul(7919).rem_euclid(vocabulary - 3);
    let lengths: Vec<usize> = (0..rows).map(|row| (seq_len * (rows - row) / rows).max(1)).collect();
    let predicted = |length: usize| (0..length).step_by(length.div_ceil(8));
    let positions: Vec<i32> = lengths
        .iter()
        .enumerate()
        .flat_map(|(row, length)| {
            predicted(*length).map(move |place| (row * seq_len + place) as i32)
        })
        .collect();
    let labels = positions.iter().map(|position| token(*position as usize + 1)).collect();
    let input_ids = lengths
        .iter()
        .enumerate()
        .flat_map(|(row, length)| {
            let pad = model.embeddings.pad_token_id as i32;
            (0..*seq_len).map(move |place| if place < *length { token(row + place) } else { pad })
        })
        .collect();
    TokenBatch {
        input_ids,
        lengths,
        token_type_ids: None,
        seq_len: *seq_len,
        features: None,
        hidden_id: None,
        targets: TargetsData::Tokens { positions, labels },
        loss_options: LossOptions::default(),
        criterion: None,
    }
}
