//! Which column is meant: by name or by place.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A column of a table; in a config a string or a whole number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Column {
    /// By its name in the header, the keys of the objects, or the schema.
    Name(String),
    /// By its place, from 0, in a file without a header.
    Index(usize),
}

impl From<&str> for Column {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<usize> for Column {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// As errors name it: the name in backticks, or `column 4`, counted from 1 as people do.
impl fmt::Display for Column {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(formatter, "`{name}`"),
            Self::Index(index) => write!(formatter, "column {}", index + 1),
        }
    }
}

/// A few names, for an error: "`a`, `b`, …".
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    const LONGEST: usize = 40;
    let mut names = names.into_iter();
    let mut shown: Vec<String> = (&mut names)
        .take(SHOWN)
        .map(|name| match name.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("`{}…`", &name[..end]),
            None => format!("`{name}`"),
        })
        .collect();
    if names.next().is_some() {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_kept_short() {
        assert_eq!(listed(["a", "b"]), "`a`, `b`");
        let long = "é".repeat(50);
        assert_eq!(listed([long.as_str()]), format!("`{}…`", "é".repeat(40)));
        assert!(listed(std::iter::repeat_n("x", 13)).ends_with("`x`, …"));
    }
}
