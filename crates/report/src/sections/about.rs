//! What the run is: its task, its model, where and when it ran.

use crate::html::Html;
use crate::number::{bytes, duration, moment, short};
use crate::run::{Run, Summary};
use crate::section::{Outcome, Section};

pub(crate) const SECTION: Section<Run> = Section { id: "about", title: "The run", write };

#[expect(clippy::unnecessary_wraps, reason = "as every section")]
fn write(run: &Run, html: &mut Html) -> Outcome {
    html.element("dl", &[("class", &"facts")], |html| {
        fact(html, "State", &state(run));
        fact(html, "Task", &task(run));
        fact(html, "Model", &model(run));
        if let Some(seed) = run.seed() {
            fact(html, "Seed", &seed.to_string());
        }
        if let Some(summary) = &run.summary {
            of_summary(html, summary);
        } else if let Some(device) = run.config.text("device") {
            fact(html, "Device", device);
        }
        for (number, (step, began)) in run.resources.sessions.iter().enumerate() {
            let name = if number == 0 { "Began" } else { "Went on" };
            let when = moment(*began);
            fact(html, name, &if *step == 0 { when } else { format!("{when}, after step {step}") });
        }
        fact(html, "Directory", &run.path.display().to_string());
    });
    if let Some(summary) = &run.summary {
        if !summary.notes.is_empty() {
            html.leaf("h3", &[], "Notes");
            html.element("ul", &[], |html| {
                for note in &summary.notes {
                    html.element("li", &[], |html| html.quote(note));
                }
            });
        }
        hashes(html, summary);
    }
    Ok(())
}

fn fact(html: &mut Html, name: &str, value: &str) {
    html.element("div", &[], |html| {
        html.leaf("dt", &[], name);
        html.element("dd", &[], |html| html.quote(value));
    });
}

/// How far the run has come, in words.
pub(super) fn state(run: &Run) -> String {
    let step = run.step();
    match run.summary.as_ref().map(|summary| summary.ended_by.as_str()) {
        Some("finished") => format!("finished after {step} steps"),
        Some("early_stopping") => {
            format!("finished after {step} steps: evaluations stopped getting better")
        }
        Some("interrupt" | "terminate") => {
            format!("stopped after step {step}; `--resume` goes on from there")
        }
        Some(other) => format!("`{other}` after step {step}"),
        None => match run.config.number("trainer.max_steps").filter(|most| *most > 0.0) {
            Some(most) => format!("not ended: at step {step} of {most}"),
            None => format!("not ended: at step {step}"),
        },
    }
}

fn task(run: &Run) -> String {
    let text = |key| run.config.text(key);
    match (text("task.name"), text("data.objective")) {
        (Some(task), _) => match text("task.path") {
            Some(path) => format!("{task}, on {path}"),
            None => task.to_owned(),
        },
        (None, Some("mlm_sop")) => {
            format!(
                "masked language modelling and sentence order, on {}",
                text("data.corpus").unwrap_or("?")
            )
        }
        (None, _) => {
            format!("masked language modelling, on {}", text("data.corpus").unwrap_or("?"))
        }
    }
}

fn model(run: &Run) -> String {
    let number = |key, words: &str| {
        let value = run.config.number(&format!("model.{key}"))?;
        Some(format!("{} {words}", short(value)))
    };
    let attention = run.config.text("model.attention");
    let mut parts: Vec<String> =
        attention.map(|kind| format!("{kind} attention")).into_iter().collect();
    parts.extend(number("num_hidden_layers", "layers"));
    parts.extend(number("hidden_size", "hidden"));
    parts.extend(number("num_attention_heads", "heads"));
    if attention == Some("nystrom") {
        parts.extend(number("num_landmarks", "landmarks"));
    }
    let seq_len = run.config.number("data.seq_len");
    parts.extend(seq_len.map(|length| format!("sequences of {}", short(length))));
    if parts.is_empty() { "its configuration is not recorded".to_owned() } else { parts.join(", ") }
}

fn of_summary(html: &mut Html, summary: &Summary) {
    let trained = summary.trained_parameters;
    let trained = trained.map(|count| format!(", of which {} were trained", short(count as f64)));
    let parameters = short(summary.parameters as f64) + trained.as_deref().unwrap_or_default();
    fact(html, "Parameters", &parameters);
    fact(html, "Device", &format!("{}, {}", summary.device, summary.dtype));
    for computed in &summary.computed_with {
        let of = |key: &str| match computed.get(key) {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => "?".to_owned(),
        };
        let words = format!(
            "{}, products {}, {}, {} threads",
            of("cpu"),
            of("products"),
            of("precision"),
            of("threads")
        );
        fact(html, "Computed with", &words);
    }
    fact(html, "Training", &duration(summary.wall_seconds));
    let tokens = short(summary.tokens as f64);
    fact(
        html,
        "Tokens",
        &format!("{tokens}, {} a second", short(summary.tokens_per_second.round())),
    );
    if summary.peak_rss_bytes > 0 {
        fact(html, "Peak memory", &bytes(summary.peak_rss_bytes as f64));
    }
    if summary.skipped_steps > 0 {
        fact(
            html,
            "Skipped steps",
            &format!("{}: loss or gradient was not finite", summary.skipped_steps),
        );
    }
    if summary.steps_without_targets > 0 {
        fact(html, "Steps without targets", &summary.steps_without_targets.to_string());
    }
    if let Some(loss) = summary.final_train_loss {
        fact(html, "Last training loss", &short(loss));
    }
}

fn hashes(html: &mut Html, summary: &Summary) {
    html.element("details", &[], |html| {
        html.leaf("summary", &[], "Versions and hashes");
        html.element("dl", &[("class", &"facts")], |html| {
            for (name, value) in summary.versions.iter().chain(&summary.fingerprints) {
                html.element("div", &[], |html| {
                    html.element("dt", &[], |html| html.quote(name));
                    html.element("dd", &[], |html| {
                        html.element("code", &[], |html| html.quote(value));
                    });
                });
            }
        });
    });
}
