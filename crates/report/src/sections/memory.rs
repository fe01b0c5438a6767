//! Memory of the process over the steps.

use super::marks;
use crate::html::Html;
use crate::run::Run;
use crate::section::{Outcome, Section, missing};
use crate::svg::{Chart, Style};

pub(crate) const SECTION: Section<Run> = Section { id: "memory", title: "Memory", write };

fn write(run: &Run, html: &mut Html) -> Outcome {
    if run.resources.memory.is_empty() {
        return missing(
            "it was not recorded (`resources.jsonl`): the run is of an earlier version, or the system does not say",
        );
    }
    let gigabytes = run.resources.memory.iter().map(|(step, bytes)| (*step, bytes / 1e9)).collect();
    html.element("div", &[("class", &"charts")], |html| {
        let memory = Chart::of("Resident memory, GB", Style::Line, gigabytes);
        Chart { marks: marks(run), ..memory }.draw(html);
    });
    html.leaf(
        "p",
        &[],
        "Main memory of the process after each step. The memory of a GPU is no part of it.",
    );
    Ok(())
}
