//! How far the pseudo-inverse of each layer is from an inverse.

use crate::html::Html;
use crate::run::Run;
use crate::section::{Outcome, Section, missing, number_cell, row, table};

pub(crate) const SECTION: Section<Run> =
    Section { id: "pinv", title: "Pseudo-inverse residual", write };

fn write(run: &Run, html: &mut Html) -> Outcome {
    let residual = run.diagnosis.as_ref().and_then(|diagnosis| diagnosis.pinv_residual.as_ref());
    let Some(residual) = residual else {
        let attention = run.config.text("model.attention").unwrap_or("nystrom");
        return missing(match (attention, run.is_finished()) {
            ("nystrom", false) => "a run's model is looked at when it ends".to_owned(),
            ("nystrom", true) => {
                "no layer approximates its attention for examples this short, or the run is of an earlier version".to_owned()
            }
            (kind, _) => format!("`{kind}` attention has none"),
        });
    };
    let words = format!(
        "‖A Z A − A‖ / ‖A‖ in the Frobenius norm, of each layer over {} examples and all heads. Large values mean that the \
         iteration needs more steps (`model.pinv_iterations`).",
        residual.examples
    );
    html.element("p", &[], |html| html.prose(&words));
    let largest =
        residual.layers.iter().flatten().fold(f64::MIN_POSITIVE, |most, value| most.max(*value));
    table(html, &["layer"], &["mean", "largest head", "heads"], |html| {
        for (layer, heads) in residual.layers.iter().enumerate() {
            row(html, &layer.to_string(), |html| {
                let mean = heads.iter().sum::<f64>() / heads.len().max(1) as f64;
                number_cell(html, mean);
                number_cell(html, heads.iter().copied().fold(f64::NAN, f64::max));
                html.element("td", &[("class", &"bars")], |html| {
                    for value in heads {
                        let height = format!("--w:{:.3}", value / largest);
                        html.element("i", &[("style", &height)], |_| ());
                    }
                });
            });
        }
    });
    Ok(())
}
