//! `config.toml`, and what of it came from which file.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use super::json;
use crate::error::{ReportError, Result};

const FILE: &str = "config.toml";
const LAYERS: &str = "config_layers.json";

/// The resolved configuration of a run.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// As it is in the file; empty if there is none.
    pub(crate) source: String,
    /// Each value under its dotted key.
    pub(crate) values: BTreeMap<String, Value>,
    /// The files that it was made of, the first one below the others, and the command line; `None` of earlier versions.
    pub(crate) layers: Option<Vec<Layer>>,
}

/// A file of a configuration, or the command line.
#[derive(Debug, Deserialize)]
pub(crate) struct Layer {
    /// The path of the file as it was named, or `--set`.
    pub(crate) source: String,
    values: serde_json::Value,
}

impl Layer {
    /// What it states, each value under its dotted key.
    pub(crate) fn values(&self) -> BTreeMap<String, String> {
        let table = serde_json::from_value::<Table>(self.values.clone()).unwrap_or_default();
        let values = flattened(&table).into_iter();
        values.map(|(key, value)| (key, value.to_string())).collect()
    }
}

impl Config {
    /// Reads that of the run in `path`; nothing if there is none.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let layers = json::value(&path.join(LAYERS), "list of a configuration's files")?;
        let path = path.join(FILE);
        let Some(source) = json::text(&path)? else {
            return Ok(Self { layers, ..Self::default() });
        };
        let table: Table = source.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| source[..span.start].lines().count().max(1));
            let reason = format!("line {line}: {}", error.message().replace('\n', " "));
            ReportError::damaged(&path, "configuration of a run", reason)
        })?;
        Ok(Self { values: flattened(&table), source, layers })
    }

    /// A text of it.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key)?.as_str()
    }

    /// A number of it.
    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        let value = self.values.get(key)?;
        value.as_float().or_else(|| value.as_integer().map(|number| number as f64))
    }
}

/// The values of a table and of the tables in it, each under its dotted key.
pub(crate) fn flattened(table: &Table) -> BTreeMap<String, Value> {
    fn collect(table: &Table, prefix: &str, found: &mut BTreeMap<String, Value>) {
        for (name, value) in table {
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            match value {
                Value::Table(table) => collect(table, &key, found),
                value => {
                    found.insert(key, value.clone());
                }
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(table, "", &mut found);
    found
}
