//! Evaluation: the same batches every time, without dropout.

use burn::tensor::Device;
use nystromformer::NystromformerForMaskedLm;

use crate::error::{LearnerError, Result};
use crate::masked_lm::{BatchSource, Predictions, predict, scalar};
use crate::metrics_log::EvaluationRecord;

/// Loss, accuracy and perplexity of `model` over the validation split.
///
/// `model` has no autodiff (`model.valid()`) and lives on `device`. Examples go through in batches
/// of `batch_size`, the first `batches` of them, or all if that is 0. Every predicted token weighs
/// the same. `step` is only noted.
///
/// # Errors
/// [`LearnerError::Data`] if there is nothing to predict; errors of the data, the model and the
/// device.
pub fn evaluate(
    model: &NystromformerForMaskedLm,
    data: &dyn BatchSource,
    device: &Device,
    batch_size: usize,
    batches: usize,
    step: usize,
) -> Result<EvaluationRecord> {
    let available = data.validation_examples();
    let examples =
        if batches == 0 { available } else { available.min(batches.saturating_mul(batch_size)) };
    let (mut loss, mut correct, mut predicted) = (0.0, 0.0, 0);
    for first in (0..examples).step_by(batch_size) {
        let rows = data.validation_rows(first, batch_size.min(examples - first))?;
        let batch = rows.into_batch(device);
        if batch.num_masked == 0 {
            continue;
        }
        let Predictions { losses, logits } = predict(model, &batch)?;
        let hits = logits.argmax(1).squeeze_dim::<1>(1).equal(batch.masked_labels);
        loss += scalar(losses.sum(), device)?;
        correct += scalar(hits.float().sum(), device)?;
        predicted += batch.num_masked;
    }
    if predicted == 0 {
        return Err(LearnerError::Data(format!(
            "none of the `{examples}` validation examples has a token to predict; raise \
             `data.validation_fraction` or `data.mlm_probability`, or set `trainer.eval_every = 0`"
        )));
    }
    let loss = loss / predicted as f64;
    Ok(EvaluationRecord {
        step,
        loss,
        accuracy: correct / predicted as f64,
        perplexity: loss.exp(),
    })
}
