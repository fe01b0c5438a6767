//! Size and difficulty of pictures.

use nystromformer_tasks::DataError;
use serde::{Deserialize, Serialize};

/// How long the two long curves are, and so how hard the task is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ContourLength {
    #[serde(rename = "6")]
    /// 6 dashes: `curv_baseline`, easy.
    Six,
    #[serde(rename = "9")]
    /// 9 dashes: `curv_contour_length_9`, intermediate.
    Nine,
    #[serde(rename = "14")]
    #[default]
    /// 14 dashes: `curv_contour_length_14`, hard; the one that the Long Range Arena measures.
    Fourteen,
}

impl ContourLength {
    /// All of them, the easiest first.
    pub const ALL: [Self; 3] = [Self::Six, Self::Nine, Self::Fourteen];

    /// Dashes of each of the two long curves.
    pub fn dashes(self) -> usize {
        match self {
            Self::Six => 6,
            Self::Nine => 9,
            Self::Fourteen => 14,
        }
    }

    /// The folder that the Long Range Arena keeps such pictures in.
    pub fn folder_name(self) -> &'static str {
        match self {
            Self::Six => "curv_baseline",
            Self::Nine => "curv_contour_length_9",
            Self::Fourteen => "curv_contour_length_14",
        }
    }
}

/// Which pictures to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathfinderConfig {
    /// Pixels of a side: 32, 64 or 128. Default 32.
    pub side: usize,
    /// The length of the long curves. Default 14 dashes.
    pub contour: ContourLength,
    /// Most dashes of all distractors together, each of which is a third as long as a long curve; fewer where there is no
    /// room. Default 20, as in the Long Range Arena.
    pub distractor_dashes: usize,
}

impl Default for PathfinderConfig {
    fn default() -> Self {
        Self { side: 32, contour: ContourLength::Fourteen, distractor_dashes: 20 }
    }
}

impl PathfinderConfig {
    pub(super) fn validate(&self) -> Result<(), DataError> {
        if [32, 64, 128].contains(&self.side) {
            Ok(())
        } else {
            Err(DataError::config("--side", self.side, "must be 32, 64 or 128"))
        }
    }
}
