//! Evaluation: the same batches every time, without dropout.

use burn::tensor::{Device, Int, Tensor, TensorData};
use nystromformer::NystromformerForMaskedLm;

use crate::error::{LearnerError, Result};
use crate::masked_lm::MaskedLmData;
use crate::metrics_log::EvaluationRecord;

/// Loss, accuracy and perplexity of `model` over the validation split.
///
/// `model` has no autodiff (`model.valid()`) and lives on `device`. Examples go through in batches of `batch_size`, the
/// first `batches` of them, or all if that is 0. Every predicted token weighs the same. `step` is only noted.
///
/// # Errors
/// [`LearnerError::Data`] if there is nothing to predict; errors of the data, the model and the device.
pub fn evaluate(
    model: &NystromformerForMaskedLm,
    data: &dyn MaskedLmData,
    device: &Device,
    batch_size: usize,
    batches: usize,
    step: usize,
) -> Result<EvaluationRecord> {
    let available = data.validation_examples();
    let examples = if batches == 0 { available } else { available.min(batches * batch_size) };
    let (mut loss, mut correct, mut predicted) = (0.0, 0_u64, 0_u64);
    for start in (0..examples).step_by(batch_size) {
        let batch = data.validation_batch(start..(start + batch_size).min(examples))?;
        if batch.predicted() == 0 {
            continue;
        }
        let (losses, logits) = batch.forward(model, device)?;
        let labels = TensorData::new(batch.labels.clone(), [batch.predicted(), 1]);
        let hits = logits.argmax(1).equal(Tensor::<2, Int>::from_data(labels, device));
        let failed = |error| LearnerError::Device {
            device: format!("{device:?}"),
            message: format!("reading back an evaluation failed: {error}"),
        };
        loss += f64::from(losses.sum().try_into_scalar::<f32>().map_err(failed)?);
        correct += hits.int().sum().try_into_scalar::<i64>().map_err(failed)? as u64;
        predicted += batch.predicted() as u64;
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
        accuracy: correct as f64 / predicted as f64,
        perplexity: loss.exp(),
    })
}
