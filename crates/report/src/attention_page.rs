//! The page of `predict attention --html`: a heat map of each text or bag.

use crate::html::Html;
use crate::page::frame;
use crate::run::LayerRows;
use crate::sections::{Place, attention_map};

/// What the weights are of.
#[derive(Debug, Clone)]
pub enum Places {
    /// Tokens of a text, which are shown in their order.
    Tokens(Vec<String>),
    /// So many vectors, which are shown row by row in a square.
    Vectors(usize),
}

/// A page of heat maps: one file, which loads nothing.
#[derive(Debug, Default)]
pub struct AttentionPage {
    maps: Html,
    count: usize,
}

impl AttentionPage {
    /// Maps so far.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a map: of each layer its number and for each head a weight for each place.
    pub fn add(&mut self, title: &str, places: &Places, layers: Vec<(usize, Vec<Vec<f64>>)>) {
        let layers: Vec<LayerRows> =
            layers.into_iter().map(|(layer, heads)| LayerRows { layer, heads }).collect();
        let place = match places {
            Places::Tokens(tokens) => Place::Tokens(tokens),
            Places::Vectors(count) => Place::Vectors(*count),
        };
        self.count += 1;
        self.maps.element("section", &[], |html| {
            html.element("h2", &[], |html| html.quote(title));
            attention_map(html, place, &layers);
        });
    }

    /// The page.
    pub fn into_html(self) -> String {
        frame("Attention", |html| {
            html.leaf(
                "p",
                &[],
                "What the first token takes of each place. Colour: the weight as a share of the largest; below zero the other \
                 colour.",
            );
            html.element("main", &[], |html| html.append(self.maps));
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{loads_nothing, require_balanced};

    #[test]
    fn tokens_are_text_and_never_markup_and_nothing_is_loaded() {
        let mut page = AttentionPage::default();
        let tokens = ["[CLS]", "</script><script>alert(1)</script>", "a&b", "\"'"];
        let heads = vec![vec![0.5, 0.25, -0.125, 0.0], vec![0.5, 0.75, 0.125, 0.0]];
        let layers = vec![(2, heads.clone()), (3, heads)];
        let places = Places::Tokens(tokens.map(str::to_owned).to_vec());
        page.add("<b>one</b>", &places, layers.clone());
        page.add("two", &Places::Vectors(4), layers);
        assert_eq!(page.len(), 2);
        let html = page.into_html();
        require_balanced(&html);
        assert!(loads_nothing(&html));
        assert!(!html.contains("<b>") && html.contains("&lt;b&gt;one"));
        for part in
            ["a&amp;b", "&quot;&#39;", "--w:1.000", "title=\"0.5000\"", "<li>0: 0.5000</li>"]
        {
            assert!(html.contains(part), "{part}: {html}");
        }
        let data = html.split("type=\"application/json\">").nth(1).unwrap();
        let data: serde_json::Value =
            serde_json::from_str(data.split("</script>").next().unwrap()).unwrap();
        assert_eq!(data[1]["heads"][0][2], -0.125);
    }

    #[test]
    fn a_model_without_layers_is_no_fault() {
        let mut page = AttentionPage::default();
        page.add("none", &Places::Tokens(Vec::new()), Vec::new());
        require_balanced(&page.into_html());
    }
}
