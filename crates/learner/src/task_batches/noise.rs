//! What is done to a task's own ids before a model reads them: in training pictures are mirrored and ids dropped; and with
//! `task.objective = "masked_inputs"`, evaluations included, some are hidden, which are then what a model is to answer.
//!
//! All of it is a function of the seed and of the row's place in the run, so that a resume is exact and micro-batches of any size
//! give the same.

use nystromformer::heads::TargetsData;
use nystromformer_data::Masking;
use nystromformer_data::random::{stream, unit};
use nystromformer_tasks::{Augmentation, TaskConfig};

use crate::batch::TokenBatch;
use crate::experiment::Vocabulary;

/// What is done to ids.
#[derive(Debug)]
pub(super) struct InputNoise {
    seed: u64,
    augmentation: Augmentation,
    /// The id that no example has: what is dropped or hidden becomes it.
    mask: usize,
    /// The id that begins each sequence, if one does; it stays.
    cls: Option<usize>,
    /// How inputs are hidden, if they are to be predicted.
    masking: Option<Masking>,
}

impl InputNoise {
    /// That of a task whose examples have ids of `own` vocabulary; `None` if they are read as they are.
    pub(super) fn of(task: &TaskConfig, own: Vocabulary, seed: u64) -> Option<Self> {
        let (augmentation, share) = (task.task().augmentation(), task.masked_share());
        if share.is_none() && augmentation == Augmentation::default() {
            return None;
        }
        let hidden = task.task().masked_id().map(usize::from);
        let special = (0..own.size).map(|id| [own.cls, hidden].contains(&Some(id))).collect();
        let masking = share.map(|share| Masking::of_ids(share, own.size as u32, special));
        Some(Self { seed, augmentation, mask: own.size, cls: own.cls, masking })
    }

    /// The vocabulary with the id that stands for what is dropped or hidden, if anything is.
    pub(super) fn vocabulary(&self, own: Vocabulary) -> Vocabulary {
        let has_mask = self.masking.is_some() || self.augmentation.dropout > 0.0;
        Vocabulary { size: own.size + usize::from(has_mask), ..own }
    }

    /// Whether inputs are what is to be predicted.
    pub(super) fn hides(&self) -> bool {
        self.masking.is_some()
    }

    /// A batch of the step after `completed_steps`, whose rows come after `rows_before` others of it.
    pub(super) fn in_training(
        &self,
        batch: TokenBatch,
        completed_steps: usize,
        rows_before: usize,
    ) -> TokenBatch {
        let of_step = (completed_steps as u64) << 32;
        self.applied(batch, "training inputs", of_step + rows_before as u64, self.augmentation)
    }

    /// A batch of an evaluation, whose rows come after `rows_before` others of the split.
    pub(super) fn in_evaluation(&self, batch: TokenBatch, rows_before: usize) -> TokenBatch {
        let plain = Augmentation::default();
        self.applied(batch, "evaluated inputs", rows_before as u64, plain)
    }

    fn applied(
        &self,
        mut batch: TokenBatch,
        purpose: &str,
        first: u64,
        augmentation: Augmentation,
    ) -> TokenBatch {
        let (mut positions, mut labels) = (Vec::new(), Vec::new());
        let rows = batch.input_ids.chunks_mut(batch.seq_len.max(1)).zip(&batch.lengths);
        for (row, (ids, length)) in rows.enumerate() {
            let ids = &mut ids[..*length];
            let mut random = stream(self.seed, purpose, first + row as u64);
            self.augment(ids, augmentation, &mut || unit(&mut random));
            let Some(masking) = &self.masking else { continue };
            let mut hidden: Vec<u32> = ids.iter().map(|id| *id as u32).collect();
            for token in masking.apply(&mut hidden, &mut random) {
                positions.push((row * batch.seq_len + token.position) as i32);
                labels.push(token.label as i32);
            }
            ids.iter_mut().zip(hidden).for_each(|(id, hidden)| *id = hidden as i32);
        }
        if self.masking.is_some() {
            batch.targets = TargetsData::Tokens { positions, labels };
        }
        batch
    }

    /// Mirrors a picture, and drops ids, in `ids` themselves.
    fn augment(&self, ids: &mut [i32], augmentation: Augmentation, draw: &mut dyn FnMut() -> f64) {
        let begins = self.cls.is_some_and(|cls| ids.first() == Some(&(cls as i32)));
        let ids = &mut ids[usize::from(begins)..];
        if let Some(width) = augmentation.flipped_width
            && draw() < 0.5
        {
            ids.chunks_exact_mut(width.max(1)).for_each(<[i32]>::reverse);
        }
        // What is dropped could not be predicted.
        if augmentation.dropout > 0.0 && self.masking.is_none() {
            for id in ids {
                if draw() < augmentation.dropout {
                    *id = self.mask as i32;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use nystromformer::heads::LossOptions;

    use super::*;

    /// Rows of `1, 2, 3 …` of these lengths, padded with zeros.
    fn batch(lengths: &[usize]) -> TokenBatch {
        let seq_len = *lengths.iter().max().unwrap();
        let of_row = |length: usize| (0..seq_len).map(move |place| place < length).zip(1..);
        let rows = lengths.iter().flat_map(|length| of_row(*length));
        TokenBatch {
            input_ids: rows.map(|(inside, id)| if inside { id } else { 0 }).collect(),
            features: None,
            token_type_ids: None,
            lengths: lengths.to_vec(),
            hidden_id: None,
            seq_len,
            targets: TargetsData::Class(vec![0; lengths.len()]),
            loss_options: LossOptions::default(),
            criterion: None,
        }
    }

    fn noise(augmentation: Augmentation, share: Option<f64>) -> InputNoise {
        let special = (0..5000).map(|id| id == 7).collect();
        let masking = share.map(|share| Masking::of_ids(share, 5000, special));
        InputNoise { seed: 3, augmentation, mask: 5000, cls: Some(1), masking }
    }

    #[test]
    fn half_of_the_pictures_are_mirrored_row_by_row_behind_the_first_token() {
        let flips = Augmentation { flipped_width: Some(3), ..Augmentation::default() };
        let noise = noise(flips, None);
        let plain = batch(&[7; 400]);
        let found = noise.in_training(plain.clone(), 5, 0);
        let mirrored = [1, 4, 3, 2, 7, 6, 5];
        let count = found.input_ids.chunks(7).filter(|row| **row == mirrored).count();
        let as_it_was = found.input_ids.chunks(7).filter(|row| **row == [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(count + as_it_was.count(), 400);
        assert!((150..250).contains(&count), "{count}");
        assert_eq!(found.targets, plain.targets);
        assert_eq!(noise.in_evaluation(plain.clone(), 0), plain);
        assert_eq!(noise.vocabulary(Vocabulary { size: 5000, ..Vocabulary::default() }).size, 5000);
    }

    #[test]
    fn a_share_of_the_ids_is_dropped_and_padding_never() {
        let dropout = Augmentation { dropout: 0.1, ..Augmentation::default() };
        let noise = noise(dropout, None);
        let found = noise.in_training(batch(&[4000, 900]), 5, 0);
        let dropped = found.input_ids.iter().filter(|id| **id == 5000).count();
        assert!((400..580).contains(&dropped), "{dropped}");
        assert!(found.input_ids[4000 + 900..].iter().all(|id| *id == 0));
        assert_eq!(noise.vocabulary(Vocabulary { size: 5000, ..Vocabulary::default() }).size, 5001);
    }

    #[test]
    fn what_is_hidden_is_what_is_to_be_answered() {
        let noise = noise(Augmentation::default(), Some(0.5));
        let plain = batch(&[4000, 900]);
        let found = noise.in_training(plain.clone(), 5, 0);
        let TargetsData::Tokens { positions, labels } = &found.targets else { panic!("tokens") };
        assert!((2300..2600).contains(&positions.len()), "{}", positions.len());
        let mut restored = found.input_ids.clone();
        for (position, label) in positions.iter().zip(labels) {
            restored[*position as usize] = *label;
        }
        assert_eq!(restored, plain.input_ids);
        assert!(positions.is_sorted() && !labels.contains(&7));
        let share = |what: i32| {
            let hidden = positions.iter().filter(|place| found.input_ids[**place as usize] == what);
            hidden.count() as f64 / positions.len() as f64
        };
        assert!((share(5000) - 0.8).abs() < 0.03, "{}", share(5000));
    }

    /// Other steps and rows hide others; how rows are cut into batches changes nothing.
    #[test]
    fn a_row_is_hidden_by_its_place_in_the_run() {
        let noise = noise(Augmentation { dropout: 0.2, ..Augmentation::default() }, Some(0.3));
        let rows = |batches: Vec<TokenBatch>| -> Vec<Vec<i32>> {
            let of = |batch: &TokenBatch| {
                batch.input_ids.chunks(batch.seq_len).map(<[i32]>::to_vec).collect::<Vec<_>>()
            };
            batches.iter().flat_map(of).collect()
        };
        let one = rows(vec![noise.in_training(batch(&[50; 4]), 2, 0)]);
        let parts =
            vec![noise.in_training(batch(&[50; 3]), 2, 0), noise.in_training(batch(&[50]), 2, 3)];
        assert_eq!(rows(parts), one);
        assert_ne!(rows(vec![noise.in_training(batch(&[50; 4]), 3, 0)]), one);
        let evaluated = rows(vec![noise.in_evaluation(batch(&[50; 4]), 0)]);
        let parts =
            vec![noise.in_evaluation(batch(&[50]), 0), noise.in_evaluation(batch(&[50; 3]), 1)];
        assert_eq!(rows(parts), evaluated);
        assert_ne!(evaluated, one);
    }
}
