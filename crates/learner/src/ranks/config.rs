//! `[ranks]`: how processes that train together talk.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::wire::Wire;

/// `[ranks]`. How many there are is said by what starts them, as `mpirun -n 4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RanksConfig {
    /// Seconds for which a rank waits for another before the training ends with an error that names it: longer than the slowest rank may be late, and than rank 0
    /// takes to write a checkpoint. Default: 600.
    pub timeout_seconds: u64,
    /// Whether gradients are sent while the backward pass goes on, as far as they are complete by then; otherwise after it. The result is the same. On the CPU
    /// (`flex`). Default: true.
    pub overlap: bool,
    /// In which form gradients travel: `f32`, or `bf16` for half the bytes, with which the result depends on the number of ranks. Default: `f32`.
    pub wire: Wire,
}

impl Default for RanksConfig {
    fn default() -> Self {
        Self { timeout_seconds: 600, overlap: true, wire: Wire::F32 }
    }
}

impl RanksConfig {
    /// The same as a time.
    pub(crate) fn limit(self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Everything wrong with the values, as (key, sentence).
    pub(crate) fn problems(self) -> Vec<(String, String)> {
        if self.timeout_seconds > 0 {
            return Vec::new();
        }
        vec![("ranks.timeout_seconds".to_owned(), "`0` is not 1 or more".to_owned())]
    }
}
