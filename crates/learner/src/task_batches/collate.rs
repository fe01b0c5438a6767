//! From units to a batch: rows side by side, padded no further than needed.

use nystromformer::heads::LossOptions;

use super::TaskBatches;
use super::encoded::EncodedSplit;
use crate::batch::TokenBatch;
use crate::error::{LearnerError, Result};
use crate::feature_rows::FeatureRows;

impl TaskBatches {
    /// A batch of these units.
    pub(super) fn batch(
        &self,
        split: &EncodedSplit,
        units: &[usize],
        evaluates: bool,
    ) -> Result<TokenBatch> {
        let rows_of_units = || units.iter().flat_map(|unit| split.rows_of(*unit));
        let longest = rows_of_units().map(|row| split.row_len(row)).max().unwrap_or(0);
        let seq_len = self.row_len.unwrap_or_else(|| {
            longest.max(1).next_multiple_of(self.task.options.pad_to_multiple_of)
        });
        let cells = rows_of_units().count() * seq_len;
        if i32::try_from(cells).is_err() {
            return Err(LearnerError::Config(format!(
                "`trainer.micro_batch_size` rows of `{seq_len}` tokens are over 2147483647; use fewer"
            )));
        }
        let targets = split.targets(units, seq_len, evaluates);
        let loss_options =
            LossOptions { row_weights: split.row_weights(units), ..LossOptions::default() };
        if !split.vectors().is_empty() {
            let vectors = rows_of_units().map(|row| split.vectors()[row].clone()).collect();
            return Ok(TokenBatch {
                input_ids: Vec::new(),
                features: Some(FeatureRows { vectors, truncation: self.truncation }),
                token_type_ids: None,
                lengths: rows_of_units().map(|row| split.row_len(row)).collect(),
                hidden_id: None,
                seq_len,
                targets,
                loss_options,
                criterion: None,
            });
        }
        let mut rows = TokenBatch {
            input_ids: Vec::with_capacity(cells),
            features: None,
            token_type_ids: None,
            lengths: Vec::new(),
            hidden_id: self.task.task().masked_id().map(i32::from),
            seq_len,
            targets,
            loss_options,
            criterion: None,
        };
        let mut types = Vec::with_capacity(cells);
        for row in rows_of_units() {
            split.append(row, &mut rows.input_ids, &mut types);
            let length = split.row_len(row);
            rows.lengths.push(length);
            let padding = seq_len - length;
            rows.input_ids.extend(std::iter::repeat_n(self.vocabulary.pad as i32, padding));
            types.extend(std::iter::repeat_n(0, padding));
        }
        rows.token_type_ids = (self.has_types && types.contains(&1)).then_some(types);
        Ok(rows)
    }
}
