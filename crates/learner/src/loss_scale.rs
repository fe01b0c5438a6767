//! Dynamic loss scaling (Micikevicius et al. 2018, "Mixed precision training"): a gradient in `f16` is 0 below 2⁻²⁵ and infinite from
//! 65,520 on. So the loss is multiplied before the backward pass, by as much as gradients bear, and the update divides by the same.

use nystromformer_kernels::Precision;
use serde::{Deserialize, Serialize};

/// What losses are multiplied by before the backward pass, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossScale {
    /// A power of two, so that no digit changes.
    pub factor: f64,
    /// Updates in a row by this factor.
    pub updates: usize,
}

/// The first factor.
const START: f64 = 65_536.0;

/// Updates by one factor after which it is doubled.
const UPDATES: usize = 2_000;

impl LossScale {
    /// That of a run in this precision as it begins. Only `f16` needs one.
    pub fn start(precision: Precision) -> Option<Self> {
        (precision == Precision::F16).then_some(Self { factor: START, updates: 0 })
    }

    /// After an update: doubles what went well 2,000 times in a row.
    pub(crate) fn updated(&mut self) {
        self.updates += 1;
        if self.updates == UPDATES {
            *self = Self { factor: 2.0 * self.factor, updates: 0 };
        }
    }

    /// After a gradient that was not finite: halves it. Returns whether it could: 1 is no scale.
    pub(crate) fn overflowed(&mut self) -> bool {
        self.updates = 0;
        let halves = self.factor > 1.0;
        if halves {
            self.factor /= 2.0;
        }
        halves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_f16_is_scaled() {
        assert_eq!(LossScale::start(Precision::F32), None);
        assert_eq!(LossScale::start(Precision::Bf16), None);
        assert_eq!(LossScale::start(Precision::F16).unwrap().factor, 65_536.0);
    }

    #[test]
    fn it_doubles_after_two_thousand_updates_and_halves_down_to_one() {
        let mut scale = LossScale::start(Precision::F16).unwrap();
        (0..1_999).for_each(|_| scale.updated());
        assert_eq!(scale.factor, 65_536.0);
        assert!(scale.overflowed());
        assert_eq!(scale, LossScale { factor: 32_768.0, updates: 0 });
        (0..4_000).for_each(|_| scale.updated());
        assert_eq!(scale, LossScale { factor: 131_072.0, updates: 0 });
        assert_eq!((0..20).filter(|_| scale.overflowed()).count(), 17);
        assert_eq!(scale.factor, 1.0);
    }
}
