//! What says where a token stands.

use serde::{Deserialize, Serialize};

/// What says where a token stands: transformers' key, with its words for the first two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionEmbeddingType {
    /// A learned vector for each column, added to the token's.
    #[default]
    Absolute,
    /// Queries and keys of every layer are turned by angles in proportion to the column (Su et al. 2021), before landmarks are made
    /// of them; nothing is added. Scores then depend on how far tokens are apart.
    Rotary,
    /// As `absolute`, and a learned vector for each column counted from the sequence's last token backwards.
    BothEnds,
    /// Tokens are pixels of a picture, row by row: a learned vector for each row and one for each column are added, as Reformer's
    /// axial positions that are summed up.
    Axial,
}

impl PositionEmbeddingType {
    /// Its name in a configuration file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Absolute => "absolute",
            Self::Rotary => "rotary",
            Self::BothEnds => "both_ends",
            Self::Axial => "axial",
        }
    }

    /// Whether there is a table of columns counted from the start.
    pub(crate) fn counts_from_the_start(self) -> bool {
        matches!(self, Self::Absolute | Self::BothEnds)
    }
}
