//! A matrix of counts or weights as colours.

use super::frame::rounded;
use crate::html::Html;

/// Width of a drawing, and the room for the names of rows.
const WIDTH: f64 = 640.0;
const NAMES: f64 = 84.0;
/// Columns that are named.
const MOST_NAMED: usize = 10;

/// A matrix to draw.
pub(crate) struct Matrix<'a> {
    /// What it is, in words.
    pub(crate) spoken: String,
    /// A name for each row.
    pub(crate) rows: &'a [String],
    /// A name for each column.
    pub(crate) columns: &'a [String],
    /// Row after row.
    pub(crate) values: &'a [Vec<f64>],
    /// What a cell holds, in words, from its row, column and value.
    pub(crate) words: &'a dyn Fn(usize, usize, f64) -> String,
    /// Height of a row, in units of which the drawing is 640 wide.
    pub(crate) row_height: f64,
}

impl Matrix<'_> {
    /// Draws it: each cell's colour is its value as a share of the largest of its row, below zero in the other colour. Cells of
    /// nothing are left out.
    pub(crate) fn draw(&self, html: &mut Html) {
        let columns = self.columns.len().max(1);
        let width = (WIDTH - NAMES) / columns as f64;
        // Where they fit, columns are named below.
        let names_columns = self.columns.len() <= MOST_NAMED;
        let body = self.row_height * self.rows.len() as f64;
        let height = if names_columns { body + 18.0 } else { body };
        let view = format!("0 0 {WIDTH} {}", rounded(height));
        html.element(
            "svg",
            &[
                ("class", &"matrix"),
                ("viewBox", &view),
                ("role", &"img"),
                ("aria-label", &self.spoken),
            ],
            |html| {
                for (column, name) in self.columns.iter().enumerate().filter(|_| names_columns) {
                    html.leaf(
                        "text",
                        &[
                            ("x", &rounded(NAMES + width * (column as f64 + 0.5))),
                            ("y", &rounded(body + 13.0)),
                            ("text-anchor", &"middle"),
                        ],
                        beginning(name),
                    );
                }
                for (row, (name, values)) in self.rows.iter().zip(self.values).enumerate() {
                    let y = self.row_height * row as f64;
                    html.leaf(
                        "text",
                        &[
                            ("x", &(NAMES - 6.0)),
                            ("y", &rounded(y + self.row_height / 2.0 + 4.0)),
                            ("text-anchor", &"end"),
                        ],
                        beginning(name),
                    );
                    let largest = values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
                    for (column, value) in values.iter().enumerate().take(columns) {
                        let share = value.abs() / largest.max(f64::MIN_POSITIVE);
                        if share < 0.005 || !share.is_finite() {
                            continue;
                        }
                        let class = if *value < 0.0 { "cell below" } else { "cell" };
                        html.element(
                            "rect",
                            &[
                                ("class", &class),
                                ("x", &rounded(NAMES + width * column as f64)),
                                ("y", &rounded(y)),
                                ("width", &rounded(width.max(0.5))),
                                ("height", &rounded(self.row_height - 1.0)),
                                ("fill-opacity", &(0.05 + 0.95 * (100.0 * share).round() / 100.0)),
                            ],
                            |html| html.leaf("title", &[], (self.words)(row, column, *value)),
                        );
                    }
                }
            },
        );
    }
}

/// What of a name fits beside a row.
fn beginning(name: &str) -> String {
    name.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_shares_of_the_largest_and_nothing_is_left_out() {
        let names = ["a", "<b>"].map(str::to_owned);
        let values = [vec![1.0, 0.0], vec![-2.0, 1.0]];
        let matrix = Matrix {
            spoken: "two by two".to_owned(),
            rows: &names,
            columns: &names,
            values: &values,
            words: &|row, column, value| format!("{}, {}: {value}", names[row], names[column]),
            row_height: 20.0,
        };
        let mut html = Html::default();
        matrix.draw(&mut html);
        let page = html.into_string();
        assert_eq!(page.matches("<rect").count(), 3, "{page}");
        assert!(page.contains("cell below") && page.contains("&lt;b&gt;, a: -2"), "{page}");
        assert!(page.contains("fill-opacity=\"0.525\""), "{page}");
    }
}
