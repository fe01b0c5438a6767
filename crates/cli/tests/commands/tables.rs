//! `table`: small tables from end to end, broken off and gone on with, and what it refuses.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::fixture::{Fixture, command, finish, read_json, signal};

fn table(arguments: &[&str]) -> Command {
    let mut table = command("table");
    table.args(arguments);
    table
}

/// Sizes that take milliseconds.
const SMALL: [&str; 8] =
    ["--heads", "2", "--head-dim", "8", "--num-landmarks", "8", "--repeats", "1"];

/// Models that are trained in milliseconds.
const SMALL_MODEL: [&str; 6] = [
    "model.hidden_size=8",
    "model.intermediate_size=8",
    "model.classifier_hidden_size=8",
    "trainer.batch_size=4",
    "trainer.micro_batch_size=4",
    "trainer.eval_every=1",
];

fn efficiency(output: &str, further: &[&str]) -> Command {
    let mut table = table(&["efficiency", "--output", output]);
    table.args(SMALL).args(further);
    table
}

/// The entries of a list in a file of measurements.
fn list<'a>(file: &'a Value, name: &str) -> &'a [Value] {
    file[name].as_array().unwrap()
}

fn is_drawing(path: &Path) -> bool {
    let text = fs::read_to_string(path).unwrap();
    text.starts_with("<svg ") && text.ends_with("</svg>\n") && text.contains("<circle")
}

#[test]
fn every_kind_is_measured_and_nothing_twice() {
    let fixture = Fixture::new();
    let output = fixture.text("table");
    let kinds = "softmax,nystrom,nystrom:num_landmarks=4+pinv=solve,linear,linformer,performer,reformer,\
                 longformer:attention_window=8,agent,none";
    let all = ["--kinds", kinds, "--lengths", "32", "--backward", "--conv-kernel-size", "5"];
    let printed = finish(efficiency(&output, &all)).succeeded().stdout;
    let file = read_json(&fixture.path("table/efficiency.json"));
    let measured = list(&file, "measured");
    assert_eq!((measured.len(), list(&file, "left_out").len()), (20, 0));
    for found in measured {
        assert!(found["seconds_min"].as_f64() <= found["seconds_median"].as_f64(), "{found}");
        assert!(found["peak_rss_bytes"].as_u64() >= found["rss_before_bytes"].as_u64(), "{found}");
    }
    assert_eq!(list(&file["summary"], "fastest").len(), 2);
    let markdown = fs::read_to_string(fixture.path("table/efficiency.md")).unwrap();
    assert_eq!(printed, markdown);
    assert!(markdown.contains("| `nystrom:num_landmarks=4+pinv=solve` | "), "{markdown}");
    for name in ["time-forward", "time-backward", "memory-forward", "memory-backward"] {
        assert!(is_drawing(&fixture.path(&format!("table/{name}.svg"))), "{name}");
    }

    // All is there: no time of it changes. A further length adds to it.
    let again = finish(efficiency(&output, &all)).succeeded();
    assert!(again.stderr.contains("`20` of 20 measurements are there already"), "{}", again.stderr);
    assert_eq!(read_json(&fixture.path("table/efficiency.json")), file);
    let longer = ["--kinds", "softmax", "--lengths", "32,48", "--conv-kernel-size", "5"];
    finish(efficiency(&output, &longer)).succeeded();
    let more = read_json(&fixture.path("table/efficiency.json"));
    assert_eq!(list(&more, "measured").len(), 21);
    assert_eq!(&list(&more, "measured")[..20], measured);
}

#[test]
fn a_table_that_was_killed_goes_on_and_keeps_its_measurements() {
    let fixture = Fixture::new();
    let output = fixture.text("table");
    let arguments = ["--kinds", "softmax,linear,nystrom", "--lengths", "16,32,48,64", "--backward"];
    let mut child = fixture.start(efficiency(&output, &arguments), "log");
    fixture.wait_for("table/efficiency.json", "seconds_median");
    signal(&child, "KILL");
    child.wait().unwrap();
    let before = read_json(&fixture.path("table/efficiency.json"));
    let kept = list(&before, "measured").len();
    finish(efficiency(&output, &arguments)).succeeded();
    let after = read_json(&fixture.path("table/efficiency.json"));
    assert_eq!(list(&after, "measured").len(), 24);
    assert_eq!(&list(&after, "measured")[..kept], list(&before, "measured"));
}

#[test]
fn what_would_take_too_long_is_left_out_and_named() {
    let fixture = Fixture::new();
    let arguments = ["--kinds", "softmax", "--lengths", "32,64,128", "--limit-seconds", "1e-9"];
    let finished = finish(efficiency(&fixture.text("table"), &arguments)).succeeded();
    let file = read_json(&fixture.path("table/efficiency.json"));
    assert_eq!((list(&file, "measured").len(), list(&file, "left_out").len()), (1, 2));
    assert!(
        finished.stderr.contains("left out: `softmax`, 128 tokens, forward"),
        "{}",
        finished.stderr
    );
    assert!(finished.stdout.contains(" | time | time |"), "{}", finished.stdout);
}

#[test]
fn efficiency_refuses_what_it_cannot_measure_before_it_measures() {
    let fixture = Fixture::new();
    let output = fixture.text("table");
    for (further, part) in [
        (&["--kinds", "fourier"][..], "`fourier` is no kind of attention"),
        (
            &["--kinds", "softmax:num_landmarks=3"],
            "`num_landmarks` is no key of attention `softmax`",
        ),
        (&["--kinds", "none"], "give --conv-kernel-size"),
        (&["--kinds", "linformer:linformer_seq_len=16", "--lengths", "32"], "linformer_seq_len"),
        (&["--conv-kernel-size", "4"], "must be odd"),
        (&["--lengths", "0"], "'0'"),
    ] {
        let refused = finish(efficiency(&output, further));
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{}", refused.stderr);
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
        assert!(!fixture.path("table").exists());
    }
    let softmax = ["--kinds", "softmax", "--lengths", "16"];
    finish(efficiency(&output, &softmax)).succeeded();
    let mut other = efficiency(&output, &softmax);
    other.args(["--batch", "3"]);
    let told = finish(other).refused(2);
    assert!(told.contains("`batch = 1`") && told.contains("`batch = 3`"), "{told}");
    fs::write(fixture.path("table/efficiency.json"), "{\"settings\": 3}").unwrap();
    assert!(finish(efficiency(&output, &softmax)).refused(3).contains("no file of measurements"));
    fs::write(fixture.path("file"), "").unwrap();
    finish(efficiency(&fixture.text("file"), &softmax)).refused(7);
}

#[test]
fn errors_of_random_tokens_and_of_a_models_layers() {
    let fixture = Fixture::new();
    let run = fixture.trained("run").display().to_string();
    let output = fixture.text("table");
    let (corpus, small) = (fixture.text("corpus.txt"), fixture.text("small.txt"));
    let arguments = |iterations: &'static str| {
        let mut table = table(&["approximation", "--output", &output, "--model", &run, "--text"]);
        table.args([&corpus, "--texts", "2", "--seq-len", "16", "--landmarks", "4,16,32"]);
        table.args(["--num-landmarks", "4", "--heads", "2", "--head-dim", "8", "--samples", "1"]);
        table.args(["--iterations", iterations]);
        table
    };
    let first = finish(arguments("1,6")).succeeded();
    assert!(first.stderr.contains("--landmarks `[32]` are left out"), "{}", first.stderr);
    let file = read_json(&fixture.path("table/approximation.json"));
    let blocks = list(&file, "blocks");
    let layers = blocks.len() - 1;
    assert!(layers > 0 && layers.is_multiple_of(2), "{layers}");
    let sources = list(&file["summary"], "sources");
    let source = format!("{run} on {corpus}");
    assert_eq!(sources[0]["source"], "random");
    assert_eq!(sources[1]["source"], source.as_str());
    assert_eq!(sources[1]["samples"], 2);
    for block in blocks {
        // The rank of the whole matrix.
        let bound = list(block, "bounds").iter().find(|bound| bound["num_landmarks"] == 16);
        for least in list(bound.unwrap(), "svd") {
            assert!(least.as_f64().unwrap() < 1e-12, "{block}");
        }
    }
    let title = format!("Is attention of low rank? {source}, 16 tokens");
    assert!(first.stdout.contains(&title), "{}", first.stdout);
    for name in ["landmarks-1", "iterations-1", "landmarks-2", "iterations-2"] {
        assert!(is_drawing(&fixture.path(&format!("table/{name}.svg"))), "{name}");
    }

    let again = finish(arguments("1,6")).succeeded();
    assert_eq!(again.stderr.matches("all settings are there already").count(), layers + 1);
    assert_eq!(read_json(&fixture.path("table/approximation.json")), file);
    let more = finish(arguments("1,6,9")).succeeded();
    assert_eq!(more.stderr.matches(": 2 settings").count(), layers + 1, "{}", more.stderr);

    fs::write(&small, "a few words\n").unwrap();
    let mut short = table(&["approximation", "--output", &output, "--model", &run]);
    short.args(["--text", &small, "--seq-len", "16", "--num-landmarks", "4", "--samples", "1"]);
    short.args(["--heads", "1", "--head-dim", "4", "--landmarks", "4", "--iterations", "6"]);
    assert!(finish(short).refused(3).contains("has no text of `16` tokens"));
}

#[test]
fn approximation_refuses_what_does_not_go_together() {
    let fixture = Fixture::new();
    let output = fixture.text("table");
    let refused = |further: &[&str]| {
        let mut table = table(&["approximation", "--output", &output]);
        let refused = finish({
            table.args(further);
            table
        });
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{}", refused.stderr);
        refused.stderr
    };
    assert!(
        refused(&["--seq-len", "16"]).contains("--num-landmarks `64` is more than the `16` tokens")
    );
    assert!(refused(&["--model", "somewhere"]).contains("--text"));
    assert!(refused(&["--rows", "0"]).contains("--rows"));
}

#[test]
fn kinds_are_trained_side_by_side_and_none_twice() {
    let fixture = Fixture::new();
    let output = fixture.text("table");
    let expressions = |seed: &str| {
        let folder = fixture.text(&format!("expressions-{seed}"));
        let mut generate = command("generate");
        generate.args(["listops", "--output", &folder, "--seed", seed, "--train", "24"]);
        generate.args(["--validation", "8", "--test", "8"]);
        generate.args(["--above-length", "4", "--below-length", "40"]);
        finish(generate).succeeded();
        folder
    };
    let data = expressions("0");
    let lra = |data: &str, kinds: &str, seeds: &str, steps: &str, further: &[&str]| {
        let mut table = table(&["lra", "--output", &output, "--tasks", "listops_short"]);
        table.args(["--kinds", kinds, "--seeds", seeds, "--steps", steps]);
        table.args(["--data", &format!("listops_short={data}")]);
        table.args(SMALL_MODEL.iter().flat_map(|setting| ["--set", setting])).args(further);
        table
    };
    let three = |steps: &str, further: &[&str]| {
        lra(&data, "softmax,none,nystrom:num_landmarks=4", "2", steps, further)
    };
    // Broken off as soon as the first run has begun.
    let mut child = three("2", &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    fixture.wait_for("table/listops_short/softmax/seed-0/metrics.jsonl", "validation");
    signal(&child, "KILL");
    child.wait().unwrap();
    let finished = finish(three("2", &[])).succeeded();
    assert!(finished.stdout.contains("## listops_short, 2 steps"), "{}", finished.stdout);
    let file = read_json(&fixture.path("table/lra.json"));
    let rows = list(&file["tasks"][0], "rows");
    let names: Vec<&str> = rows.iter().map(|row| row["attention"].as_str().unwrap()).collect();
    assert_eq!(names, ["softmax", "none", "nystrom:num_landmarks=4"]);
    for row in rows {
        assert_eq!(row["seeds"], serde_json::json!([0, 1]));
        assert_eq!(row["mean"]["count"], 2);
        assert_eq!(row["beside_exact"].is_null(), row["attention"] == "softmax");
    }
    // Nothing is trained again.
    let metrics = fixture.path("table/listops_short/none/seed-1/metrics.jsonl");
    let before = fs::read(&metrics).unwrap();
    finish(three("2", &[])).succeeded();
    assert_eq!(fs::read(&metrics).unwrap(), before);
    assert_eq!(read_json(&fixture.path("table/lra.json")), file);
    assert!(is_drawing(&fixture.path("table/lra-listops_short.svg")));
    let told = finish(three("3", &[])).refused(2);
    assert!(told.contains("`--steps 2 --set") && told.contains("`--steps 3 --set"), "{told}");

    // A further seed and a further row leave the others as they are; what no row can be compared with is refused.
    let rows_of = |file: &Value| list(&file["tasks"][0], "rows").to_vec();
    finish(lra(&data, "linear,none", "3", "2", &[])).succeeded();
    let more = rows_of(&read_json(&fixture.path("table/lra.json")));
    assert_eq!((more.len(), &more[0], &more[2]), (4, &rows[0], &rows[2]));
    for row in [&more[1], &more[3]] {
        assert_eq!(row["seeds"], serde_json::json!([0, 1, 2]));
    }
    assert_eq!(more[1]["accuracy"].as_array().unwrap()[..2], list(&rows[1], "accuracy")[..]);
    assert_eq!(fs::read(&metrics).unwrap(), before);
    let others = lra(&expressions("5"), "agent", "1", "2", &[]);
    assert!(finish(others).refused(2).contains("reads other data"));
    // Of a row whose runs are all finished too.
    let told = finish(lra(&expressions("6"), "softmax", "2", "2", &[])).refused(2);
    assert!(told.contains("expressions-0`") && told.contains("expressions-6`"), "{told}");
    let options = lra(&data, "nystrom:pinv_ridge=0.1", "1", "2", &[]);
    assert!(finish(options).refused(2).contains("`pinv_ridge` changes nothing"));
    for (arguments, part) in [
        (&["--set", "model.attention=linear"][..], "`model.attention`: the table sets it itself"),
        (&["--set", "model.num_landmarks=8"], "the row `nystrom:num_landmarks=4` sets it too"),
        (&["--data", "text_1k=x"], "--tasks does not name `text_1k`"),
        (&["--data", "listops_short=x"], "--data names `listops_short` twice"),
        (&["--set", "sweep.parameters.seed=[1,2]"], "a table has no sweep"),
        (&["--set", "model.hidden_size=16"], "--set model.hidden_size=16 --set"),
    ] {
        let told = finish(three("2", arguments)).refused(2);
        assert!(told.contains(part), "{part}: {told}");
    }
    // A seed that diverges does not keep the others from being trained.
    let broken = fixture.text("broken");
    let diverging = || {
        let mut diverging = table(&["lra", "--output", &broken, "--tasks", "listops_short"]);
        diverging.args(["--kinds", "linear", "--seeds", "2", "--steps", "6"]);
        diverging.args(["--data", &format!("listops_short={data}")]);
        let settings = [
            "optimizer.learning_rate=1e38",
            "trainer.max_skipped_steps=2",
            "trainer.max_grad_norm=0",
        ];
        diverging.args(SMALL_MODEL.iter().chain(&settings).flat_map(|setting| ["--set", setting]));
        finish(diverging).succeeded()
    };
    for told in ["linear diverged with seed 1: ", "linear diverged with seed 1 before; remove"] {
        let said = diverging();
        assert!(said.stderr.contains(told), "{}", said.stderr);
        assert!(said.stdout.contains("| `linear` | – | – | 0 of 2 |"), "{}", said.stdout);
    }
    // A run that was begun otherwise, and is in no table yet.
    fs::remove_file(fixture.path("table/lra.json")).unwrap();
    let told = finish(three("2", &["--set", "model.hidden_size=16"])).refused(2);
    assert!(
        told.contains("`model.hidden_size=8`") && told.contains("`model.hidden_size=16`"),
        "{told}"
    );
    let mut missing = table(&["lra", "--output", &output, "--data", "text_1k"]);
    missing.args(["--tasks", "text_1k"]);
    let missing = finish(missing);
    assert!(missing.code == Some(2) && missing.stderr.contains("TASK=PATH"), "{}", missing.stderr);
}
