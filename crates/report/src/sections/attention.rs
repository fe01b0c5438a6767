//! What the first place of an example takes of each: a heat map of one row of every layer's attention matrix.

use serde_json::json;

use crate::html::{Html, shortened};
use crate::number::short;
use crate::run::{LayerRows, Run};
use crate::section::{Outcome, Section, missing};
use crate::svg::Matrix;

/// Places that the drawing of all layers shows, and vectors that are listed.
const MOST_DRAWN: usize = 96;
const MOST_LISTED: usize = 20;

pub(crate) const SECTION: Section<Run> = Section { id: "attention", title: "Attention", write };

fn write(run: &Run, html: &mut Html) -> Outcome {
    let attention = run
        .diagnosis
        .as_ref()
        .and_then(|diagnosis| Some((diagnosis, diagnosis.attention.as_ref()?)));
    let Some((diagnosis, attention)) = attention else {
        return missing(if run.is_finished() {
            "the model of this run was not looked at (`diagnosis.json`): it has no layers, its attention is `none`, or the run is of an earlier version"
        } else {
            "a run's model is looked at when it ends"
        });
    };
    html.element("p", &[], |html| {
        html.text("What the first place takes of each, of the first example of ");
        html.quote(&diagnosis.split);
        html.text(format_args!(
            ", by the model after step {}. Colour: the weight as a share of the largest; below zero, as the Nyström method can \
             be, the other colour.",
            diagnosis.step
        ));
        let shown = attention.layers.first().and_then(|layer| layer.heads.first()).map_or(0, Vec::len);
        if shown < attention.places {
            html.text(format_args!(" The first {shown} of {} places are shown.", attention.places));
        }
    });
    let places = match attention.tokens.as_slice() {
        [] => Place::Vectors(attention.places),
        tokens => Place::Tokens(tokens),
    };
    attention_map(html, places, &attention.layers);
    Ok(())
}

/// What the weights are of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// Tokens of a text, in their order.
    Tokens(&'a [String]),
    /// So many vectors, drawn row by row in a square.
    Vectors(usize),
}

/// Draws the map. What it shows without a script is the mean over the heads of its last layer, and the mean of each layer.
pub(crate) fn attention_map(html: &mut Html, places: Place<'_>, layers: &[LayerRows]) {
    let shown = layers.last().map(|layer| mean(&layer.heads)).unwrap_or_default();
    let largest = shown.iter().fold(f64::MIN_POSITIVE, |most, weight| most.max(weight.abs()));
    html.element("div", &[("class", &"attention")], |html| {
        html.element("p", &[("class", &"choice"), ("hidden", &"")], |html| {
            for name in ["Layer", "Head"] {
                html.element("label", &[], |html| {
                    html.text(format_args!("{name} "));
                    html.element("select", &[("class", &name.to_lowercase())], |_| ());
                });
                html.text(" ");
            }
        });
        match places {
            Place::Tokens(tokens) => {
                html.element("p", &[("class", &"tokens")], |html| {
                    for (token, weight) in tokens.iter().zip(&shown) {
                        let class = if *weight < 0.0 { "below" } else { "" };
                        let share = format!("--w:{:.3}", weight.abs() / largest);
                        html.element(
                            "span",
                            &[("class", &class), ("style", &share), ("title", &short(*weight))],
                            |html| html.quote_most(token, 60),
                        );
                        html.text(" ");
                    }
                });
            }
            Place::Vectors(count) => vectors(html, count, &shown),
        }
        let rounded: Vec<_> = layers
            .iter()
            .map(|layer| {
                let heads: Vec<Vec<f64>> = layer
                    .heads
                    .iter()
                    .map(|head| head.iter().map(|weight| digits(*weight)).collect())
                    .collect();
                json!({"layer": layer.layer, "heads": heads})
            })
            .collect();
        html.data(&rounded);
    });
    if let Place::Tokens(tokens) = places {
        all_layers(html, tokens, layers);
    }
}

fn vectors(html: &mut Html, count: usize, shown: &[f64]) {
    let mut order: Vec<usize> = (0..shown.len()).collect();
    order.sort_by(|left, right| shown[*right].total_cmp(&shown[*left]));
    let spoken = format!("{count} vectors, row by row in a square");
    html.element("canvas", &[("role", &"img"), ("aria-label", &spoken)], |_| ());
    html.leaf(
        "p",
        &[],
        format_args!("{count} vectors; those with the largest weights, counted from 0:"),
    );
    html.element("ol", &[], |html| {
        for place in order.into_iter().take(MOST_LISTED) {
            html.leaf("li", &[], format_args!("{place}: {}", short(shown[place])));
        }
    });
}

/// The mean over heads of each layer, layer under layer.
fn all_layers(html: &mut Html, tokens: &[String], layers: &[LayerRows]) {
    if layers.len() < 2 {
        return;
    }
    let names: Vec<String> = layers.iter().map(|layer| format!("layer {}", layer.layer)).collect();
    let columns = &tokens[..tokens.len().min(MOST_DRAWN)];
    let values: Vec<Vec<f64>> = layers.iter().map(|layer| mean(&layer.heads)).collect();
    let matrix = Matrix {
        spoken: format!(
            "Attention of {} layers to {} tokens, means over heads",
            layers.len(),
            columns.len()
        ),
        rows: &names,
        columns,
        values: &values,
        words: &|row, column, weight| {
            let token = shortened(&columns[column], 60);
            format!("{}, {token} ({column}): {}", names[row], short(weight))
        },
        row_height: 18.0,
    };
    html.element("figure", &[("class", &"wide")], |html| {
        html.element("figcaption", &[], |html| {
            html.text(format_args!(
                "Every layer, means over heads, the first {} tokens",
                columns.len()
            ));
        });
        matrix.draw(html);
    });
}

/// The mean over heads of each place.
fn mean(heads: &[Vec<f64>]) -> Vec<f64> {
    let places = heads.iter().map(Vec::len).min().unwrap_or_default();
    let count = heads.len().max(1) as f64;
    (0..places).map(|place| heads.iter().map(|head| head[place]).sum::<f64>() / count).collect()
}

/// To four digits, which is more than a colour shows.
fn digits(weight: f64) -> f64 {
    format!("{weight:.3e}").parse().unwrap_or(0.0)
}
