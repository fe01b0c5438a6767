//! Does this device compute what the CPU computes?
//!
//! GPU backends compile and tune their kernels on the user's machine, and have been silently wrong
//! there. Before a training that may take days, a small model's forward and backward pass on the
//! device is compared with the CPU's.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use nystromformer::heads::Losses;
use nystromformer::{Architecture, Head, Model, NystromformerConfig};

use crate::batch::{Answers, Rows};
use crate::device::DeviceKind;
use crate::error::{LearnerError, Result};
use crate::parameters::Path;

/// The largest difference that passes, relative to the largest magnitude of the same quantity.
///
/// Two correct devices differ by rounding, below 1e-5 here; by 4e-4 where one of them derives gelu
/// from its tanh approximation; and by up to 2e-3 where matrix products round their inputs to 10
/// bits (TF32). A wrong kernel is off by its whole result.
pub const TOLERANCE: f64 = 5e-3;

/// How the names of gradients begin.
const GRADIENT: &str = "gradient of ";

/// The comparison that came out worst.
#[derive(Debug, Clone, PartialEq)]
pub struct SelfCheckReport {
    /// What was compared, as in `logits` or `gradient of
    /// nystromformer.embeddings.word_embeddings.weight`.
    pub quantity: String,
    /// Largest difference over its largest magnitude; for a gradient at least over a hundredth of the
    /// model's largest gradient.
    pub difference: f64,
}

/// One named list of numbers.
type Quantity = (String, Vec<f32>);

/// Compares a small Nyströmformer's losses, logits and all gradients on `device` with the CPU's.
///
/// # Errors
/// [`LearnerError::SelfCheck`] if they differ by more than [`TOLERANCE`], [`LearnerError::Device`]
/// if the device fails to answer.
pub fn self_check(kind: DeviceKind, device: &Device) -> Result<SelfCheckReport> {
    let config = NystromformerConfig::default().with(|config| {
        config.embeddings.vocab_size = 60;
        config.shared.hidden_size = 32;
        config.encoder.num_hidden_layers = 2;
        config.shared.num_attention_heads = 2;
        config.feed_forward.intermediate_size = 64;
        config.shared.hidden_dropout_prob = 0.0;
        config.attention.softmax.attention_probs_dropout_prob = 0.0;
        config.embeddings.max_position_embeddings = 32;
        config.attention.nystrom.num_landmarks = 8;
        config.attention.convolution.conv_kernel_size = 5;
        // Wide enough that attention is not uniform and every gradient is far from rounding.
        config.shared.weights.initializer_range = 0.3;
    });
    let cpu = Device::flex();
    let model = config.init_model(Architecture::MaskedLm, &cpu.clone().autodiff())?;
    let reference = quantities(&model, &cpu, kind)?;
    let found = quantities(&model.fork(&device.clone().autodiff()), device, kind)?;
    judge(kind, &reference, &found)
}

fn judge(kind: DeviceKind, reference: &[Quantity], found: &[Quantity]) -> Result<SelfCheckReport> {
    // A key bias has no gradient (softmax ignores shifts): what there is of it is rounding, on every
    // device another, and is measured by the model's largest gradient instead of by itself.
    let floor = reference
        .iter()
        .filter(|(name, _)| name.starts_with(GRADIENT))
        .map(|(_, gradient)| largest(gradient))
        .fold(f32::MIN_POSITIVE, f32::max)
        / 100.0;
    let report = reference
        .iter()
        .zip(found)
        .map(|((name, expected), (_, found))| SelfCheckReport {
            quantity: name.clone(),
            difference: relative_difference(
                expected,
                found,
                if name.starts_with(GRADIENT) { floor } else { f32::MIN_POSITIVE },
            ),
        })
        .max_by(|left, right| left.difference.total_cmp(&right.difference))
        .expect("losses and logits are always compared");
    if report.difference <= TOLERANCE {
        return Ok(report);
    }
    Err(LearnerError::SelfCheck {
        device: kind.to_string(),
        quantity: report.quantity,
        difference: report.difference,
        tolerance: TOLERANCE,
    })
}

/// The largest magnitude in a list.
fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

/// The largest difference over the largest expected magnitude, or over `floor` if that is larger. Not a
/// number if anything is; infinite if the lengths differ.
fn relative_difference(expected: &[f32], found: &[f32], floor: f32) -> f64 {
    if expected.len() != found.len() {
        return f64::INFINITY;
    }
    let scale = largest(expected).max(floor);
    expected.iter().zip(found).fold(0.0, |worst: f64, (expected, found)| {
        let difference = f64::from((expected - found).abs()) / f64::from(scale);
        if difference.is_nan() || difference > worst { difference } else { worst }
    })
}

fn quantities(model: &Model, device: &Device, kind: DeviceKind) -> Result<Vec<Quantity>> {
    let (input, targets) = sample_rows().into_batch(&device.clone().autodiff());
    let Losses { mut terms, mut logits } = model.losses(input, targets)?;
    let (losses, logits) = (terms.remove(0).losses, logits.remove(0));
    let gradients = GradientsParams::from_grads(losses.clone().mean().backward(), model);
    let mut collector = Collector {
        path: Path::default(),
        gradients,
        found: vec![
            ("losses".to_owned(), losses.inner().try_into_vec_as::<f32>().ok()),
            ("logits".to_owned(), logits.inner().try_into_vec_as::<f32>().ok()),
        ],
    };
    model.visit(&mut collector);
    collector
        .found
        .into_iter()
        .map(|(name, values)| match values {
            Some(values) => Ok((name, values)),
            None => Err(LearnerError::Device {
                device: kind.to_string(),
                message: format!("reading back {name} in the self-check failed"),
            }),
        })
        .collect()
}

/// Two sequences, one of them padded, six tokens to predict.
fn sample_rows() -> Rows {
    let seq_len = 24;
    Rows {
        input_ids: (0..2 * seq_len as i32).map(|index| 3 + index * 7 % 50).collect(),
        lengths: vec![seq_len, 17],
        token_type_ids: None,
        seq_len,
        hidden_id: None,
        answers: Answers::Tokens {
            positions: vec![1, 5, 20, 24, 30, 39],
            labels: vec![9, 11, 40, 5, 6, 58],
        },
    }
}

struct Collector {
    path: Path,
    gradients: GradientsParams,
    found: Vec<(String, Option<Vec<f32>>)>,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(parameter.id) {
            let name = format!("{GRADIENT}{}", self.path.dotted());
            self.found.push((name, gradient.try_into_vec_as::<f32>().ok()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_agrees_with_itself() {
        let report = self_check(DeviceKind::Flex, &Device::flex()).unwrap();
        assert!(report.difference < 1e-5, "{report:?}");
    }

    #[test]
    fn one_wrong_number_anywhere_is_named_and_exits_with_eight() {
        let model = NystromformerConfig::default()
            .with(|config| {
                config.embeddings.vocab_size = 60;
                config.shared.hidden_size = 8;
                config.encoder.num_hidden_layers = 1;
                config.shared.num_attention_heads = 2;
                config.feed_forward.intermediate_size = 8;
                config.attention.nystrom.num_landmarks = 4;
                config.attention.convolution.conv_kernel_size = 3;
            })
            .init_model(Architecture::MaskedLm, &Device::flex().autodiff())
            .unwrap();
        let right = quantities(&model, &Device::flex(), DeviceKind::Flex).unwrap();
        assert!(right.len() > 20, "every parameter's gradient is compared");
        for index in 0..right.len() {
            for wrong_value in [f32::NAN, 1e3] {
                let mut wrong = right.clone();
                wrong[index].1[0] = wrong_value;
                let error = judge(DeviceKind::Wgpu, &right, &wrong).unwrap_err();
                assert_eq!(error.exit_code(), 8);
                assert!(error.to_string().contains(&right[index].0), "{error}");
            }
        }
    }
}
