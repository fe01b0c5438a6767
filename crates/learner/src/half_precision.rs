//! Products in half precision: which devices compute in it, and what is said where nothing is gained.

use burn::tensor::Device;
use nystromformer_kernels::{Precision, instruction_set};
use nystromformer_tasks::say_once;

use crate::device::DeviceKind;
use crate::error::{LearnerError, Result};
use crate::experiment::Experiment;

/// Refuses a device that does not compute in the precision of `experiment`. Says once if the CPU does and is no faster for it.
///
/// # Errors
/// [`LearnerError::Device`].
pub(crate) fn require_precision(experiment: &Experiment, device: &Device) -> Result<()> {
    let precision = Precision::from(experiment.trainer.precision);
    let name = precision.name();
    if !precision.is_supported_by(device) {
        let others = [Precision::Bf16, Precision::F16, Precision::F32].into_iter();
        let others: Vec<_> = others
            .filter(|other| other.is_supported_by(device))
            .map(|other| format!("`\"{}\"`", other.name()))
            .collect();
        return Err(LearnerError::Device {
            device: experiment.device.to_string(),
            message: format!(
                "it does not compute in `{name}`, as `trainer.precision` asks; set `trainer.precision` to {}, or `device` to \
                 `\"flex\"` to compute in `{name}` on the CPU",
                others.join(" or ")
            ),
        });
    }
    if experiment.device == DeviceKind::Flex
        && let Some(sentence) = nothing_gained(precision, instruction_set().products)
    {
        say_once(sentence);
    }
    Ok(())
}

/// What is said on a CPU that multiplies by these instructions, if it computes in half precision no sooner than in single.
fn nothing_gained(precision: Precision, products: &str) -> Option<String> {
    let has_unit = products == "amx";
    let name = precision.name();
    match precision {
        Precision::F32 => None,
        Precision::Bf16 if has_unit => None,
        Precision::Bf16 | Precision::F16 => Some(format!(
            "`trainer.precision` = `{name}` saves no time on this CPU, which has no matrix unit for it: factors of products are \
             rounded to `{name}` and multiplied in f32, so that losses are as on a device that has one"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_takes_every_precision_and_says_where_nothing_is_gained() {
        use crate::experiment::Precision as Asked;
        for precision in [Asked::F32, Asked::Bf16, Asked::F16] {
            let mut experiment = Experiment::default();
            experiment.trainer.precision = precision;
            require_precision(&experiment, &Device::flex()).unwrap();
        }
        let told = |precision, products| nothing_gained(precision, products).is_some();
        assert!(!told(Precision::F32, "avx2") && !told(Precision::F32, "amx"));
        assert!(told(Precision::Bf16, "avx512") && !told(Precision::Bf16, "amx"));
        assert!(told(Precision::F16, "avx512") && told(Precision::F16, "amx"));
        assert!(
            nothing_gained(Precision::Bf16, "neon")
                .unwrap()
                .contains("`trainer.precision` = `bf16`")
        );
    }
}
