//! `trace.json`: the spans of some steps in the format of Chrome's tracing, which `chrome://tracing` and Perfetto open.
//!
//! Phases lie in their steps, parts of the model in the phases, kernels in the parts. Of the derivatives only kernels are noted,
//! each with its part: what follows one another in a part is put together here.

use nystromformer_kernels::trace::{Event, EventKind, Pass};
use serde_json::{Value, json};

/// The phase in which derivatives run.
pub(crate) const BACKWARD: &str = "backward";

/// The file's bytes; `facts` say what was run.
pub(crate) fn render(mut events: Vec<Event>, facts: Value) -> Vec<u8> {
    events.extend(parts_of_derivatives(&events));
    // Whoever began first, and of those the longest, lies around the others.
    events.sort_by_key(|event| (event.start, std::cmp::Reverse(event.duration), rank(event)));
    let name = |kind: &str, name: &str| json!({"name": kind, "ph": "M", "pid": PROCESS, "tid": THREAD, "args": {"name": name}});
    let head = [name("process_name", "nystromformer"), name("thread_name", "training")];
    let events: Vec<Value> = head.into_iter().chain(events.iter().map(entry)).collect();
    let file = json!({"displayTimeUnit": "ms", "otherData": facts, "traceEvents": events});
    file.to_string().into_bytes()
}

/// The process and the thread that did it all: a kernel's own threads are inside of it.
const PROCESS: u32 = 1;
const THREAD: u32 = 1;

/// Of spans of the same time, the outer one first.
fn rank(event: &Event) -> u8 {
    match event.kind {
        EventKind::Phase(_) => 0,
        EventKind::Part => 1,
        EventKind::Kernel { .. } => 2,
    }
}

fn entry(event: &Event) -> Value {
    let (category, arguments) = match &event.kind {
        EventKind::Phase(None) => ("phase", json!({})),
        EventKind::Phase(Some(number)) => ("phase", json!({"number": number})),
        EventKind::Part => ("part", json!({})),
        EventKind::Kernel { pass, part, shapes } => {
            ("kernel", json!({"pass": pass.name(), "part": part.as_deref(), "shapes": shapes}))
        }
    };
    json!({
        "name": event.name,
        "cat": category,
        "ph": "X",
        "ts": microseconds(event.start),
        "dur": microseconds(event.duration),
        "pid": PROCESS,
        "tid": THREAD,
        "args": arguments,
    })
}

/// With three decimals, which lose nothing.
fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e3
}

/// A part of the model whose derivatives follow one another.
struct Open<'a> {
    path: &'a str,
    start: u64,
}

/// Closes all but the `kept` outermost of the parts that are open.
fn close(open: &mut Vec<Open<'_>>, kept: usize, end: u64) -> Vec<Event> {
    let span = |Open { path, start }: Open<'_>| Event {
        name: path.to_owned().into(),
        kind: EventKind::Part,
        start,
        duration: end - start,
    };
    open.drain(kept..).map(span).collect()
}

/// Spans of the parts of the model over their derivatives, in each backward pass.
fn parts_of_derivatives(events: &[Event]) -> Vec<Event> {
    let is_backward =
        |event: &&Event| matches!(event.kind, EventKind::Phase(_)) && event.name == BACKWARD;
    let mut derivatives: Vec<(&Event, Option<&str>)> = events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Kernel { pass: Pass::Backward, part, .. } => Some((event, part.as_deref())),
            _ => None,
        })
        .collect();
    derivatives.sort_by_key(|(event, _)| event.start);
    let mut found = Vec::new();
    for backward in events.iter().filter(is_backward) {
        let inside = |(event, _): &&(&Event, Option<&str>)| {
            event.start >= backward.start && end(event) <= end(backward)
        };
        let mut open: Vec<Open<'_>> = Vec::new();
        let mut last_end = backward.start;
        for (event, part) in derivatives.iter().filter(inside) {
            let levels = levels(part.unwrap_or_default());
            let common = open.iter().zip(&levels).take_while(|(open, path)| open.path == **path);
            let common = common.count();
            found.extend(close(&mut open, common, last_end));
            let start = event.start;
            open.extend(levels[common..].iter().map(|path| Open { path, start }));
            last_end = end(event);
        }
        found.extend(close(&mut open, 0, last_end));
    }
    found
}

/// The paths of a part and of all that it lies in, the outermost first: a number belongs to the name before it.
fn levels(path: &str) -> Vec<&str> {
    let is_number =
        |rest: &str| rest.split('.').next().is_some_and(|name| name.parse::<u32>().is_ok());
    let mut ends: Vec<usize> = path
        .match_indices('.')
        .map(|(end, _)| end)
        .filter(|end| !is_number(&path[end + 1..]))
        .collect();
    ends.extend((!path.is_empty()).then_some(path.len()));
    ends.into_iter().map(|end| &path[..end]).collect()
}

fn end(event: &Event) -> u64 {
    event.start + event.duration
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &'static str, kind: EventKind, start: u64, end: u64) -> Event {
        Event { name: name.into(), kind, start, duration: end - start }
    }

    fn derivative(part: Option<&str>, start: u64, end: u64) -> Event {
        let kind = EventKind::Kernel {
            pass: Pass::Backward,
            part: part.map(Into::into),
            shapes: vec![vec![2, 3]],
        };
        event("Linear", kind, start, end)
    }

    #[test]
    fn a_number_is_of_the_name_before_it() {
        assert_eq!(
            levels("encoder.layer.11.attention.self"),
            [
                "encoder",
                "encoder.layer.11",
                "encoder.layer.11.attention",
                "encoder.layer.11.attention.self"
            ]
        );
        assert_eq!(levels("cls"), ["cls"]);
        assert!(levels("").is_empty());
    }

    #[test]
    fn derivatives_that_follow_one_another_in_a_part_are_put_together() {
        let events = [
            event("backward", EventKind::Phase(None), 10, 100),
            derivative(None, 12, 14),
            derivative(Some("encoder.layer.1.output"), 20, 30),
            derivative(Some("encoder.layer.1.attention"), 31, 40),
            derivative(Some("encoder.layer.1.attention"), 45, 50),
            derivative(Some("encoder.layer.0.output"), 50, 60),
            derivative(Some("embeddings"), 61, 70),
            // Of another pass.
            event("backward", EventKind::Phase(None), 200, 300),
            derivative(Some("embeddings"), 210, 220),
        ];
        let mut found: Vec<(String, u64, u64)> = parts_of_derivatives(&events)
            .into_iter()
            .map(|event| (event.name.to_string(), event.start, end(&event)))
            .collect();
        found.sort_by_key(|(_, start, end)| (*start, std::cmp::Reverse(*end)));
        let expected = [
            ("encoder", 20, 60),
            ("encoder.layer.1", 20, 50),
            ("encoder.layer.1.output", 20, 30),
            ("encoder.layer.1.attention", 31, 50),
            ("encoder.layer.0", 50, 60),
            ("encoder.layer.0.output", 50, 60),
            ("embeddings", 61, 70),
            ("embeddings", 210, 220),
        ];
        assert_eq!(found, expected.map(|(name, start, end)| (name.to_owned(), start, end)));
    }

    #[test]
    fn entries_have_the_keys_of_complete_events() {
        let events = vec![
            derivative(Some("cls"), 1_500, 2_250),
            event("step", EventKind::Phase(Some(3)), 1_000, 9_000),
        ];
        let file: Value = serde_json::from_slice(&render(events, json!({"version": "1"}))).unwrap();
        assert_eq!(file["otherData"], json!({"version": "1"}));
        let entries = file["traceEvents"].as_array().unwrap();
        assert_eq!(entries.iter().filter(|entry| entry["ph"] == "M").count(), 2);
        assert_eq!(
            entries[2..],
            [
                json!({"name": "step", "cat": "phase", "ph": "X", "ts": 1.0, "dur": 8.0, "pid": 1, "tid": 1, "args": {"number": 3}}),
                json!({"name": "Linear", "cat": "kernel", "ph": "X", "ts": 1.5, "dur": 0.75, "pid": 1, "tid": 1,
                       "args": {"pass": "backward", "part": "cls", "shapes": [[2, 3]]}}),
            ]
        );
    }
}
