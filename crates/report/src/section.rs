//! What a page is made of.

use crate::html::Html;

/// A part of a page about `S`. To add one, write a file with a constant of this type and name it in the list of its folder.
pub(crate) struct Section<S: ?Sized> {
    /// Its anchor.
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// Writes it, or says why there is nothing to write.
    pub(crate) write: fn(&S, &mut Html) -> Outcome,
}

/// Whether a section was written.
pub(crate) type Outcome = Result<(), Missing>;

/// Why there is nothing to show: the rest of a sentence that begins with the section's title.
#[derive(Debug)]
pub(crate) struct Missing(pub(crate) String);

/// For sections: there is nothing to show, for this reason.
pub(crate) fn missing(reason: impl Into<String>) -> Outcome {
    Err(Missing(reason.into()))
}

/// Writes all that have something to show, each under its title, and then what is missing and why.
pub(crate) fn write_all<S: ?Sized>(sections: &[Section<S>], subject: &S, html: &mut Html) {
    let mut left_out = Vec::new();
    for section in sections {
        let mut content = Html::default();
        match (section.write)(subject, &mut content) {
            Ok(()) => html.element("section", &[("id", &section.id)], |html| {
                html.leaf("h2", &[], section.title);
                html.append(content);
            }),
            Err(Missing(reason)) => left_out.push((section, reason)),
        }
    }
    if left_out.is_empty() {
        return;
    }
    html.element("section", &[("id", &"missing")], |html| {
        html.leaf("h2", &[], "Not here");
        html.element("ul", &[], |html| {
            for (section, reason) in left_out {
                html.element("li", &[("id", &section.id)], |html| {
                    html.leaf("strong", &[], section.title);
                    html.text(": ");
                    html.prose(&reason);
                    html.text(".");
                });
            }
        });
    });
}

/// A table whose first row names its columns, those of texts and then those of numbers, and whose first column names its rows.
pub(crate) fn table(
    html: &mut Html,
    texts: &[&str],
    numbers: &[&str],
    rows: impl FnOnce(&mut Html),
) {
    html.element("div", &[("class", &"wide"), ("tabindex", &"0")], |html| {
        html.element("table", &[], |html| {
            html.element("thead", &[], |html| {
                html.element("tr", &[], |html| {
                    for (names, class) in [(texts, "text"), (numbers, "number")] {
                        for name in names {
                            html.element("th", &[("scope", &"col"), ("class", &class)], |html| {
                                html.quote_most(name, 60);
                            });
                        }
                    }
                });
            });
            html.element("tbody", &[], rows);
        });
    });
}

/// A row of a table: the name in its first cell, the others by `cells`.
pub(crate) fn row(html: &mut Html, name: &str, cells: impl FnOnce(&mut Html)) {
    html.element("tr", &[], |html| {
        html.element("th", &[("scope", &"row")], |html| html.quote(name));
        cells(html);
    });
}

/// A cell with a number.
pub(crate) fn number_cell(html: &mut Html, value: f64) {
    html.element("td", &[("class", &"number")], |html| html.number(value));
}

/// A cell with a text from data.
pub(crate) fn text_cell(html: &mut Html, text: &str) {
    let class = if text.len() > 40 { "long" } else { "text" };
    html.element("td", &[("class", &class)], |html| html.quote(text));
}
