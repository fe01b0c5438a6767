//! An object of a JSON file.

use serde_json::{Map, Value};

/// An object, and its line from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonObject {
    /// The line that it begins at.
    pub line: u64,
    /// Its keys and values.
    pub fields: Map<String, Value>,
}
