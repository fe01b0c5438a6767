//! Numbers in JSON, where `null` stands for what is not a number.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// For `#[serde(deserialize_with = …)]`: a number, `null` as NaN.
///
/// # Errors
/// Those of `deserializer`, for what is neither.
pub fn null_as_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// The same for numbers by name.
///
/// # Errors
/// Those of `deserializer`, for anything else.
pub fn nulls_as_nan<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, f64>, D::Error> {
    let numbers = BTreeMap::<String, Option<f64>>::deserialize(deserializer)?;
    Ok(numbers.into_iter().map(|(name, number)| (name, number.unwrap_or(f64::NAN))).collect())
}
