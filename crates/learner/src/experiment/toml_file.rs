//! A TOML file as values, and the line that each key stands in.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Table;

use crate::error::{LearnerError, Result};

/// Parses a file into values and the line of every key.
pub(super) fn parse(path: &Path, text: &str) -> Result<(Table, BTreeMap<String, usize>)> {
    let failed = |error: toml::de::Error| {
        let line = error.span().map_or(1, |span| line_at(text, span.start));
        let reason = error.message().lines().next().unwrap_or_default();
        // TOML's whole numbers have 64 bits; a longer one is read as something that has no place in a table.
        let is_too_long = ["too large", "as i128", "as u128", "overflowed"]
            .iter()
            .any(|part| reason.contains(part));
        if is_too_long {
            return LearnerError::Config(format!(
                "{}:{line}: a number is out of range ({reason}); the largest whole number is `{}`",
                path.display(),
                i64::MAX
            ));
        }
        LearnerError::Config(format!("{}:{line}: not valid TOML: {reason}", path.display()))
    };
    let table = toml::from_str::<Table>(text).map_err(failed)?;
    let spanned = toml::de::DeTable::parse(text).map_err(failed)?;
    let mut lines = BTreeMap::new();
    collect_lines(text, spanned.get_ref(), "", &mut lines);
    Ok((table, lines))
}

fn collect_lines(
    text: &str,
    table: &toml::de::DeTable<'_>,
    prefix: &str,
    lines: &mut BTreeMap<String, usize>,
) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name.get_ref().to_string()
        } else {
            format!("{prefix}.{}", name.get_ref())
        };
        lines.insert(key.clone(), line_at(text, name.span().start));
        if let Some(inner) = value.get_ref().as_table() {
            collect_lines(text, inner, &key, lines);
        }
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    text[..text.floor_char_boundary(offset)].matches('\n').count() + 1
}
