//! What a model is to answer to some units.

use std::sync::Arc;

use nystromformer::heads::TargetsData;

use super::EncodedSplit;
use crate::task_batches::forms::Target;

impl EncodedSplit {
    /// What each of some units weighs, of which a text in windows has several with one label: together as much as a text of one.
    /// `None` if each weighs 1.
    pub(in crate::task_batches) fn row_weights(&self, units: &[usize]) -> Option<Arc<[f32]>> {
        let weight = |unit: &usize| match self.units[*unit].target {
            Target::Class(_) | Target::Values(_) => {
                1.0 / self.units_of(self.example_of(*unit)).len() as f32
            }
            Target::Span(_) | Target::Tokens { .. } | Target::Choice(_) => 1.0,
        };
        let weights: Arc<[f32]> = units.iter().map(weight).collect();
        weights.iter().any(|weight| *weight < 1.0).then_some(weights)
    }

    /// The targets of some units, which become a batch of rows of `seq_len` tokens. In evaluations tokens without a class are
    /// asked for, behind all others.
    pub(in crate::task_batches) fn targets(
        &self,
        units: &[usize],
        seq_len: usize,
        evaluates: bool,
    ) -> TargetsData {
        let targets = || units.iter().map(|unit| &self.units[*unit].target);
        let classes = || {
            targets().filter_map(|target| match target {
                Target::Class(class) | Target::Choice(class) => Some(i32::from(*class)),
                _ => None,
            })
        };
        match targets().next() {
            Some(Target::Tokens { .. }) => tokens(targets(), seq_len, evaluates),
            Some(Target::Values(_)) => {
                let values = targets().flat_map(|target| match target {
                    Target::Values(values) => values.iter().copied(),
                    _ => [].iter().copied(),
                });
                TargetsData::Values(values.collect())
            }
            Some(Target::Span(_)) => {
                let (mut start, mut end) = (Vec::new(), Vec::new());
                for target in targets() {
                    if let Target::Span([first, last]) = target {
                        start.push(*first);
                        end.push(*last);
                    }
                }
                TargetsData::Span { start, end }
            }
            Some(Target::Choice(_)) => TargetsData::Choice {
                labels: classes().collect(),
                num_choices: units.iter().map(|unit| self.rows_of(*unit).len()).collect(),
            },
            Some(Target::Class(_)) | None => TargetsData::Class(classes().collect()),
        }
    }
}

/// Classes of tokens, of units of one row each.
fn tokens<'a>(
    targets: impl Iterator<Item = &'a Target>,
    seq_len: usize,
    evaluates: bool,
) -> TargetsData {
    let (mut positions, mut labels, mut unlabelled) = (Vec::new(), Vec::new(), Vec::new());
    for (row, target) in targets.enumerate() {
        let Target::Tokens { labelled, others } = target else { continue };
        let position = |column: u32| (row * seq_len + column as usize) as i32;
        for (column, class) in labelled {
            positions.push(position(*column));
            labels.push(i32::from(*class));
        }
        if evaluates {
            unlabelled.extend(others.iter().map(|column| position(*column)));
        }
    }
    positions.extend(unlabelled);
    TargetsData::Tokens { positions, labels }
}
