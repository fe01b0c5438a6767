//! A page of heat maps: one file, which loads nothing and shows light and dark.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::Context;
use nystromformer_pipelines::LayerAttention;
use serde_json::json;

const STYLE: &str = include_str!("heat_map.css");
const SCRIPT: &str = include_str!("heat_map.js");

/// Instances of a bag that are listed by number.
const LISTED: usize = 20;

/// What the weights are of.
pub(super) enum Places {
    /// Tokens of a text, which are shown in their order.
    Tokens(Vec<String>),
    /// So many vectors, which are shown row by row in a square.
    Instances(usize),
}

/// The maps of a page.
#[derive(Default)]
pub(super) struct Page {
    body: String,
    /// Of each map its layers' numbers, and of each layer its heads.
    data: Vec<serde_json::Value>,
}

impl Page {
    /// Maps so far.
    pub(super) fn len(&self) -> usize {
        self.data.len()
    }

    /// Adds a map. What it shows without a script is the mean over the heads of its last layer.
    pub(super) fn add(&mut self, title: &str, places: Places, layers: Vec<LayerAttention>) {
        let shown = layers.last().map(|layer| mean(&layer.heads)).unwrap_or_default();
        let scale = largest(&shown);
        let number = self.data.len();
        let body = &mut self.body;
        let _ = write!(body, "<section data-map=\"{number}\"><h2>{}</h2>", escaped(title));
        match places {
            Places::Tokens(tokens) => {
                body.push_str("<p class=\"tokens\">");
                for (token, weight) in tokens.iter().zip(&shown) {
                    let class = if *weight < 0.0 { " class=\"below\"" } else { "" };
                    let _ = write!(
                        body,
                        "<span{class} style=\"--w:{:.3}\" title=\"{weight:.5}\">{}</span> ",
                        weight.abs() / scale,
                        escaped(token)
                    );
                }
                body.push_str("</p>");
            }
            Places::Instances(count) => {
                let mut order: Vec<usize> = (0..shown.len()).collect();
                order.sort_by(|left, right| shown[*right].total_cmp(&shown[*left]));
                let _ = write!(
                    body,
                    "<canvas data-count=\"{count}\" role=\"img\" aria-label=\"{count} vectors, row by row in a square\"></canvas>\
                     <p>{count} vectors; those with the largest weights, counted from 0:</p><ol>"
                );
                for place in order.into_iter().take(LISTED) {
                    let _ = write!(body, "<li>{place}: {:.5}</li>", shown[place]);
                }
                body.push_str("</ol>");
            }
        }
        body.push_str("</section>");
        let layers: Vec<serde_json::Value> = layers
            .iter()
            .map(|layer| {
                let heads: Vec<Vec<f64>> = layer
                    .heads
                    .iter()
                    .map(|head| head.iter().map(|weight| rounded(*weight)).collect())
                    .collect();
                json!({ "layer": layer.layer, "heads": heads })
            })
            .collect();
        self.data.push(json!(layers));
    }

    /// Writes the page.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        fs::write(path, self.html()).with_context(|| format!("cannot write `{}`", path.display()))
    }

    fn html(&self) -> String {
        // Within a script only `<` could end it.
        let data = json!(self.data).to_string().replace('<', "\\u003c");
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Attention</title>\n\
             <style>\n{STYLE}</style>\n<header><h1>Attention</h1>\n\
             <p>What the first token takes of each place. Colour: the weight as a share of the largest; below zero the other \
             colour.</p>\n<p class=\"choice\" hidden><label>Layer <select id=\"layer\"></select></label>\n\
             <label>Head <select id=\"head\"></select></label></p></header>\n<main>{}</main>\n\
             <script type=\"application/json\" id=\"maps\">{data}</script>\n<script>\n{SCRIPT}</script>\n</html>\n",
            self.body
        )
    }
}

/// The mean over heads of each place.
fn mean(heads: &[Vec<f32>]) -> Vec<f32> {
    let count = heads.len().max(1) as f32;
    let places = heads.first().map_or(0, Vec::len);
    (0..places).map(|place| heads.iter().map(|head| head[place]).sum::<f32>() / count).collect()
}

/// The largest weight, to divide by.
fn largest(weights: &[f32]) -> f32 {
    weights.iter().fold(0.0_f32, |most, weight| most.max(weight.abs())).max(f32::MIN_POSITIVE)
}

/// To four digits, which is more than a colour shows.
fn rounded(weight: f32) -> f64 {
    format!("{weight:.3e}").parse().unwrap_or(0.0)
}

/// Text that is not taken for markup.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_text_and_never_markup_and_nothing_is_loaded() {
        let mut page = Page::default();
        let tokens = ["[CLS]", "</script><script>alert(1)</script>", "a&b", "\"'"];
        let heads = vec![vec![0.5, 0.25, -0.125, 0.0], vec![0.5, 0.75, 0.125, 0.0]];
        let layers = vec![LayerAttention { layer: 3, heads }];
        let tokens = Places::Tokens(tokens.map(str::to_owned).to_vec());
        page.add("<b>one</b>", tokens, layers.clone());
        page.add("two", Places::Instances(4), layers);
        let html = page.html();
        assert_eq!(html.matches("<script").count(), 2, "{html}");
        assert!(!html.contains("<b>") && html.contains("&lt;b&gt;one"));
        for part in
            ["a&amp;b", "&quot;&#39;", "--w:1.000", "title=\"0.50000\"", "<li>0: 0.50000</li>"]
        {
            assert!(html.contains(part), "{part}: {html}");
        }
        for loader in ["http:", "https:", "src=", "href=", "@import", "url("] {
            assert!(!html.contains(loader), "{loader}");
        }
        let data = html.split("id=\"maps\">").nth(1).unwrap().split("</script>").next().unwrap();
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(data[0][0]["heads"][0][2], json!(-0.125));
        assert!(html.contains("prefers-color-scheme: dark"));
    }
}
