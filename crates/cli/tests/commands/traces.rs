//! `train --profile` and `trainer.tensorboard`: what a run leaves for other programs to draw.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::Value;

use crate::fixture::{Fixture, assert_same_run, finish, read_json};

/// A span of the trace, in nanoseconds.
#[derive(Debug)]
struct Span {
    name: String,
    category: String,
    start: i64,
    end: i64,
    arguments: Value,
}

/// The complete events of a trace, each checked for its keys.
fn spans(trace: &Value) -> Vec<Span> {
    let events = trace["traceEvents"].as_array().unwrap();
    let mut spans = Vec::new();
    for event in events {
        let text = |key: &str| event[key].as_str().unwrap_or_else(|| panic!("{key}: {event}"));
        assert!(event["pid"].is_u64() && event["tid"].is_u64(), "{event}");
        match text("ph") {
            "M" => assert!(event["args"]["name"].is_string(), "{event}"),
            "X" => {
                let nanoseconds = |key: &str| {
                    let value = event[key].as_f64().unwrap();
                    assert!(value >= 0.0, "{event}");
                    (value * 1e3).round() as i64
                };
                let start = nanoseconds("ts");
                spans.push(Span {
                    name: text("name").to_owned(),
                    category: text("cat").to_owned(),
                    start,
                    end: start + nanoseconds("dur"),
                    arguments: event["args"].clone(),
                });
            }
            other => panic!("{other}"),
        }
    }
    spans
}

#[test]
fn a_trace_has_every_phase_layer_and_kernel_of_its_steps_and_changes_nothing() {
    let fixture = Fixture::new();
    let settings = ["trainer.max_steps=12", "trainer.eval_every=5", "trainer.checkpoint_every=5"];
    finish(fixture.train("plain", &settings)).succeeded();
    let mut profiled = fixture.train("profiled", &settings);
    profiled.args(["--profile", "4"]);
    finish(profiled).succeeded();
    assert_same_run(&fixture.path("plain"), &fixture.path("profiled"), 12);
    assert!(!fixture.path("plain/trace.json").exists());

    let trace = read_json(&fixture.path("profiled/trace.json"));
    assert_eq!(trace["otherData"]["steps"], 4);
    let spans = spans(&trace);
    // Each lies in those that are open, or behind them.
    let mut open: Vec<&Span> = Vec::new();
    for span in &spans {
        while open.last().is_some_and(|outer| outer.end <= span.start && outer.end < span.end) {
            open.pop();
        }
        if let Some(outer) = open.last() {
            assert!(outer.start <= span.start && span.end <= outer.end, "{span:?} {outer:?}");
        }
        open.push(span);
    }
    let of = |category: &'static str| spans.iter().filter(move |span| span.category == category);
    let named = |category: &'static str| -> BTreeSet<&str> {
        of(category).map(|span| span.name.as_str()).collect()
    };
    assert_eq!(
        named("phase"),
        BTreeSet::from([
            "accumulation",
            "backward",
            "checkpoint",
            "data",
            "evaluation",
            "forward",
            "gradient_norm",
            "optimizer",
            "step"
        ])
    );
    // After the warm-up of three.
    let steps: Vec<&Span> = of("phase").filter(|span| span.name == "step").collect();
    let numbers: Vec<u64> =
        steps.iter().map(|step| step.arguments["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [4, 5, 6, 7]);
    for step in &steps {
        let count = |name: &str| {
            let inside =
                of("phase").filter(|span| span.start >= step.start && span.end <= step.end);
            inside.filter(|span| span.name == name).count()
        };
        // Two micro-batches of four rows.
        assert_eq!(["data", "forward", "backward", "gradient_norm"].map(count), [1, 2, 2, 1]);
    }
    let parts = named("part");
    for layer in [0, 1] {
        for part in
            ["", ".attention", ".attention.self", ".attention.output", ".intermediate", ".output"]
        {
            let part = format!("encoder.layer.{layer}{part}");
            assert!(parts.contains(part.as_str()), "{part}: {parts:?}");
        }
    }
    assert!(
        parts.contains("embeddings") && parts.contains("cls") && parts.len() == 1 + 1 + 1 + 2 * 6,
        "{parts:?}"
    );

    let mut passes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for kernel in of("kernel") {
        passes.entry(kernel.arguments["pass"].as_str().unwrap()).or_default().insert(&kernel.name);
        let shapes = kernel.arguments["shapes"].as_array().unwrap();
        assert!(!shapes.is_empty() && shapes.iter().all(Value::is_array), "{kernel:?}");
    }
    let model = BTreeSet::from([
        "CrossEntropy",
        "Dropout",
        "Embed",
        "Gelu",
        "LayerNorm",
        "Linear",
        "NystromAttention",
    ]);
    for pass in ["forward", "backward"] {
        let missing: Vec<_> = model.difference(&passes[pass]).collect();
        assert!(missing.is_empty(), "{pass}: {missing:?} of {:?}", passes[pass]);
    }
    let known = BTreeSet::from(["Add", "PlaceRows", "SelectRows"]);
    let with_others: BTreeSet<&str> = model.union(&known).copied().collect();
    for pass in ["forward", "backward", "inference"] {
        let unknown: Vec<_> = passes[pass].difference(&with_others).collect();
        assert!(unknown.is_empty(), "{pass}: {unknown:?}");
    }
    assert!(
        passes["update"].iter().all(|name| name.starts_with("AdamW") || *name == "SumsOfSquares"),
        "{:?}",
        passes["update"]
    );
    // A product's derivative is found in its layer.
    let in_layer = of("kernel").filter(|kernel| {
        kernel.name == "Linear"
            && kernel.arguments["pass"] == "backward"
            && kernel.arguments["part"] == "encoder.layer.1.attention.self"
    });
    assert_eq!(in_layer.count(), 4 * 2 * 3); // steps, micro-batches, query, key and value
}

#[test]
fn a_run_that_is_too_short_for_its_trace_says_so() {
    let fixture = Fixture::new();
    let train = |run: &str, steps: &str, profile: &str| {
        let mut train = fixture.train(run, &[steps]);
        train.args(["--profile", profile]);
        finish(train)
    };
    let short = train("short", "trainer.max_steps=5", "9").succeeded();
    assert!(short.stderr.contains("the trace has `2` steps"), "{}", short.stderr);
    assert_eq!(read_json(&fixture.path("short/trace.json"))["otherData"]["steps"], 2);
    let none = train("none", "trainer.max_steps=3", "1").succeeded();
    assert!(none.stderr.contains("the trace has `0` steps"), "{}", none.stderr);
    assert!(!fixture.path("none/trace.json").exists());
    let zero = train("zero", "trainer.max_steps=3", "0");
    assert_eq!(zero.code, Some(2), "{}", zero.stderr);
}

#[test]
fn event_files_are_written_where_they_are_asked_for_one_for_each_session() {
    let fixture = Fixture::new();
    let files =
        |run: &str| fs::read_dir(fixture.path(run).join("tensorboard")).map_or(0, Iterator::count);
    finish(fixture.train("run", &[])).succeeded();
    assert_eq!(files("run"), 0);
    // To be watched is no other run.
    for sessions in [1, 2] {
        finish(fixture.resume("run", &["trainer.tensorboard=true"])).succeeded();
        assert_eq!(files("run"), sessions);
    }
}
