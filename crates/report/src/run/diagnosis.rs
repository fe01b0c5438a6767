//! `diagnosis.json`: what a finished run's best model does inside with some examples.

use std::path::Path;

use serde::{Deserialize, Deserializer};

use super::json;
use crate::error::Result;

const FILE: &str = "diagnosis.json";

/// A look into a model.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Diagnosis {
    /// The step of the model.
    pub(crate) step: usize,
    /// The split that the examples are of.
    pub(crate) split: String,
    /// The attention of its first example.
    pub(crate) attention: Option<Attention>,
    /// How far the pseudo-inverses are from inverses; of the Nyström method alone.
    pub(crate) pinv_residual: Option<PinvResidual>,
}

/// What the first place of an example takes of each.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Attention {
    /// The tokens; none of feature vectors.
    pub(crate) tokens: Vec<String>,
    /// Places of the example, of which the first are shown.
    pub(crate) places: usize,
    pub(crate) layers: Vec<LayerRows>,
}

/// One row of a layer's attention matrix.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct LayerRows {
    /// From 0.
    pub(crate) layer: usize,
    /// For each head a weight for each place.
    #[serde(deserialize_with = "nulls_as_nan")]
    pub(crate) heads: Vec<Vec<f64>>,
}

/// `‖A Z A − A‖ / ‖A‖` of each layer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PinvResidual {
    /// Examples that it was measured on.
    pub(crate) examples: usize,
    /// For each layer and head its mean over the examples.
    #[serde(deserialize_with = "nulls_as_nan")]
    pub(crate) layers: Vec<Vec<f64>>,
}

/// What is not finite is `null` in JSON.
fn nulls_as_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<f64>>, D::Error> {
    let rows = Vec::<Vec<Option<f64>>>::deserialize(deserializer)?;
    let row = |row: Vec<Option<f64>>| row.into_iter().map(|value| value.unwrap_or(f64::NAN));
    Ok(rows.into_iter().map(|found| row(found).collect()).collect())
}

impl Diagnosis {
    /// Reads that of the run in `path`; `None` if there is none.
    pub(super) fn read(path: &Path) -> Result<Option<Self>> {
        json::value(&path.join(FILE), "diagnosis of a run's model")
    }
}
