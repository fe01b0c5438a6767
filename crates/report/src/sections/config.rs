//! The configuration: what differs from the experiment it is made from, and, folded away, all of it.

use std::collections::BTreeMap;

use crate::html::Html;
use crate::run::{Layer, Run};
use crate::section::{Outcome, Section, missing, row, table};

/// Characters of the whole configuration, and of a value.
const MOST_OF_SOURCE: usize = 100_000;
const MOST_OF_VALUE: usize = 200;

pub(crate) const SECTION: Section<Run> = Section { id: "config", title: "Configuration", write };

fn write(run: &Run, html: &mut Html) -> Outcome {
    if run.config.source.is_empty() {
        return missing("the directory has no `config.toml`");
    }
    match run.config.layers.as_deref() {
        Some(layers) if !layers.is_empty() => changes(html, layers),
        _ => html.element("p", &[], |html| {
            html.prose(
                "Which file states what is not recorded (`config_layers.json`): the run is of an earlier version.",
            );
        }),
    }
    html.element("details", &[], |html| {
        html.leaf("summary", &[], "All of it, as resolved");
        html.element("pre", &[("tabindex", &"0")], |html| {
            html.quote_most(&run.config.source, MOST_OF_SOURCE);
        });
    });
    Ok(())
}

/// A table for each layer, the last one first. What the lowest file states is folded away if there are others.
fn changes(html: &mut Html, layers: &[Layer]) {
    let mut below: BTreeMap<String, String> = BTreeMap::new();
    let mut changes = Vec::new();
    for layer in layers {
        let values = layer.values();
        let rows: Vec<(String, String, Option<String>)> = values
            .iter()
            .map(|(key, value)| (key.clone(), value.clone(), below.get(key).cloned()))
            .filter(|(_, value, before)| before.as_ref() != Some(value))
            .collect();
        below.extend(values);
        changes.push((layer.source.as_str(), rows));
    }
    let base = changes.remove(0);
    if changes.iter().all(|(_, rows)| rows.is_empty()) {
        html.element("p", &[], |html| {
            html.text("The run is ");
            html.element("code", &[], |html| html.quote(base.0));
            html.text(" as it is; beside what it states, the defaults.");
        });
    }
    for (source, rows) in changes.iter().rev().filter(|(_, rows)| !rows.is_empty()) {
        html.element("h3", &[], |html| {
            html.text("Changed by ");
            html.element("code", &[], |html| html.quote(source));
        });
        list(html, rows);
    }
    html.element("details", &[], |html| {
        html.element("summary", &[], |html| {
            html.text("What ");
            html.element("code", &[], |html| html.quote(base.0));
            html.text(" states");
        });
        list(html, &base.1);
    });
}

fn list(html: &mut Html, rows: &[(String, String, Option<String>)]) {
    table(html, &["key", "value", "instead of"], &[], |html| {
        for (key, value, before) in rows {
            row(html, key, |html| {
                for text in [value.as_str(), before.as_deref().unwrap_or("the default")] {
                    html.element("td", &[], |html| match before {
                        None if text == "the default" => html.text(text),
                        _ => html.element("code", &[], |html| html.quote_most(text, MOST_OF_VALUE)),
                    });
                }
            });
        }
    });
}
