//! The keys of the configurations that are not the same.

use std::collections::BTreeSet;

use crate::html::Html;
use crate::run::Entry;
use crate::section::{Outcome, Section, missing, row, table};

/// Keys that are listed, and characters of a value.
const MOST_KEYS: usize = 200;
const MOST_OF_VALUE: usize = 80;

pub(crate) const SECTION: Section<[Entry]> =
    Section { id: "differences", title: "Differences of configuration", write };

fn write(entries: &[Entry], html: &mut Html) -> Outcome {
    if entries.len() < 2 {
        return missing("there is one run or series alone");
    }
    // Runs of a series differ by seed and fold, which is told elsewhere.
    let value =
        |entry: &Entry, key: &str| entry.runs[0].config.values.get(key).map(ToString::to_string);
    let keys: BTreeSet<&String> =
        entries.iter().flat_map(|entry| entry.runs[0].config.values.keys()).collect();
    let differing: Vec<&str> = keys
        .into_iter()
        .map(String::as_str)
        // The form of a file is no setting.
        .filter(|key| *key != "config_version")
        .filter(|key| {
            !(["seed", "task.fold"].contains(key) && entries.iter().all(|entry| entry.is_series))
        })
        .filter(|key| entries.iter().any(|entry| value(entry, key) != value(&entries[0], key)))
        .collect();
    if differing.is_empty() {
        return missing("the configurations are the same");
    }
    let mut columns = vec!["key"];
    columns.extend(entries.iter().map(|entry| entry.label.as_str()));
    table(html, &columns, &[], |html| {
        for key in differing.iter().take(MOST_KEYS) {
            row(html, key, |html| {
                for entry in entries {
                    html.element("td", &[], |html| match value(entry, key) {
                        None => html.text("–"),
                        Some(value) => {
                            html.element("code", &[], |html| {
                                html.quote_most(&value, MOST_OF_VALUE);
                            });
                        }
                    });
                }
            });
        }
    });
    if differing.len() > MOST_KEYS {
        let left = differing.len() - MOST_KEYS;
        html.element("p", &[], |html| {
            html.prose(&format!("{left} more keys differ; each run's `config.toml` has them."));
        });
    }
    Ok(())
}
