//! Every key that a configuration takes, asked of serde itself.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// A name that no key has.
const NOBODY: &str = "\u{0}";

/// The dotted keys of `T` and of its tables, with those of all kinds where a table has kinds.
///
/// A struct that knows its keys lists them when it is asked for one that it does not have.
pub(super) fn known_keys<T: DeserializeOwned>() -> Vec<String> {
    let sections = names_in::<T>("");
    let keys = sections.iter().flat_map(|section| {
        names_in::<T>(section).into_iter().map(move |name| join(section, &name))
    });
    keys.collect::<Vec<_>>().into_iter().chain(sections.clone()).collect()
}

/// The names that a table of `T` takes; none if there is no such table.
fn names_in<T: DeserializeOwned>(section: &str) -> Vec<String> {
    let mut table = Table::from_iter([(NOBODY.to_owned(), Value::Boolean(true))]);
    if !section.is_empty() {
        table = Table::from_iter([(section.to_owned(), Value::Table(table))]);
    }
    let Err(error) = T::deserialize(table) else { return Vec::new() };
    let message = error.message().lines().next().unwrap_or_default();
    if !message.starts_with("unknown field") {
        return Vec::new();
    }
    message.split('`').skip(1).step_by(2).skip(1).map(str::to_owned).collect()
}

/// The dotted key of a name in a table.
pub(super) fn join(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

pub(super) fn section_of(key: &str) -> &str {
    key.rsplit_once('.').map_or("", |(section, _)| section)
}
