//! Runs of earlier versions: what they wrote in their `config.toml` is read as it was meant, and keeps nobody from measuring or asking
//! their models.

use std::fs;

use serde_json::Value;

use crate::fixture::{Finished, Fixture, command, finish};
use crate::tasks::{prepare_tone, train};

/// Rewrites the `config.toml` of `run` as a version wrote it that gave its form no number: what `edits` name is replaced.
fn write_as_before(fixture: &Fixture, run: &str, edits: &[(&str, &str)]) {
    let path = fixture.path(&format!("{run}/config.toml"));
    let mut text = fs::read_to_string(&path).unwrap();
    for (of_today, of_before) in [&[("config_version = 2\n", "")], edits].concat() {
        assert!(text.contains(of_today), "{of_today}: {text}");
        text = text.replace(of_today, of_before);
    }
    fs::write(path, text).unwrap();
}

fn evaluate(fixture: &Fixture, run: &str, settings: &[&str]) -> Finished {
    let mut evaluate = command("evaluate");
    evaluate.args(["--model", &fixture.text(run), "--split", "test"]);
    evaluate.args(settings.iter().flat_map(|setting| ["--set", setting]));
    finish(evaluate)
}

fn predict(fixture: &Fixture, run: &str, settings: &[&str]) -> Finished {
    let mut predict = command("predict");
    predict.args(["classify", "--model", &fixture.text(run)]);
    predict.args(["--input-file", &fixture.text("data/test.csv")]);
    predict.args(settings.iter().flat_map(|setting| ["--set", setting]));
    finish(predict)
}

/// `truncation = "head"` was the default, stood in every such file, and left it to the tokenizer which end is read.
#[test]
fn a_text_is_read_as_the_run_was_trained() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    let experiment = fs::read_to_string(fixture.path("tone.toml")).unwrap();
    let tokenizer = format!("[tokenizer]\npath = \"{}\"\n", fixture.text("vocab.txt"));
    assert!(experiment.contains(&tokenizer));
    fs::write(fixture.path("tuned.toml"), experiment.replace(&tokenizer, "")).unwrap();
    let short = "data.seq_len=8";
    for (start, reading) in [
        ("tail", &[short, "task.truncation=tail"][..]),
        ("windows", &[short, "task.truncation=windows", "task.stride=2"]),
    ] {
        finish(train(&fixture, "tone", start, reading)).succeeded();
        let run = format!("from-{start}");
        let from = format!("model.init_from={}", fixture.text(start));
        finish(train(&fixture, "tuned", &run, &[short, &from])).succeeded();
        let answers = || (evaluate(&fixture, &run, &[]), predict(&fixture, &run, &[]));
        let written = |(measured, predicted): (Finished, Finished)| {
            (measured.succeeded().stdout, predicted.succeeded().stdout)
        };
        let expected = written(answers());
        write_as_before(&fixture, &run, &[("[task]\n", "[task]\ntruncation = \"head\"\n")]);
        assert_eq!(written(answers()), expected, "{start}");
        // It is another reading, which can be asked for.
        let loss = |json: &str| serde_json::from_str::<Value>(json).unwrap()["loss"].clone();
        let of_head = evaluate(&fixture, &run, &["task.truncation=head"]).succeeded();
        assert_ne!(loss(&of_head.stdout), loss(&expected.0), "{start}");
    }
}

/// Such keys were passed over once. In a run's own file they still are; whoever sets one now is told.
#[test]
fn keys_that_nothing_follows_make_no_run_unusable() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    finish(train(&fixture, "tone", "run", &[])).succeeded();
    let expected = evaluate(&fixture, "run", &[]).succeeded().stdout;
    let predicted = predict(&fixture, "run", &[]).succeeded().stdout;
    write_as_before(
        &fixture,
        "run",
        &[
            ("[task]\n", "[task]\nthreshold = 0.9\ncontour = \"6\"\nsentence2 = \"label\"\n"),
            ("[data]\n", "[data]\nvalidation_fraction = 0.3\ncorpus = \"/nowhere\"\n"),
            ("[tokenizer]\n", "[tokenizer]\nvocab_size = 77\n"),
        ],
    );
    // The second text changes what is computed, so it is taken out again once it was seen to be no hindrance.
    let found = evaluate(&fixture, "run", &[]).succeeded();
    for part in [
        "`task.threshold` = `0.9` of the run's configuration goes with any number of classes",
        "`task.sentence2` = `label` of the run's configuration is the column of the labels too",
    ] {
        assert_eq!(found.stderr.matches(part).count(), 1, "{part}: {}", found.stderr);
    }
    let path = fixture.path("run/config.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("sentence2 = \"label\"\n", "")).unwrap();
    assert_eq!(evaluate(&fixture, "run", &[]).succeeded().stdout, expected);
    assert_eq!(predict(&fixture, "run", &[]).succeeded().stdout, predicted);
    for (setting, part) in [
        ("task.threshold=0.8", "`task.multi_label = true`"),
        ("task.contour=\"6\"", "is read by `pathfinder`"),
        ("data.validation_fraction=0.2", "`task.validation_fraction`"),
        ("task.sentence2=label", "is the column of the labels too"),
    ] {
        let message = evaluate(&fixture, "run", &[setting]).refused(2);
        assert!(message.contains(part), "{setting}: {message}");
    }
    // What is to be predicted has no labels, and its text may stand in a column that is called as theirs elsewhere.
    let told = predict(&fixture, "run", &["task.sentence1=label"]).succeeded();
    assert_eq!(told.json_lines().len(), 9);
}

/// A class that a model has by name is one, although such labels are asked about where nobody has named them.
#[test]
fn a_class_that_looks_like_a_missing_label_is_one_of_the_model() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    for part in ["train", "validation", "test"] {
        let path = fixture.path(&format!("data/{part}.csv"));
        let table = fs::read_to_string(&path).unwrap().replace(",sad\n", ",null\n");
        fs::write(path, table).unwrap();
    }
    let message = finish(train(&fixture, "tone", "run", &[])).refused(3);
    assert!(message.contains("holds `null`"), "{message}");
    let named = ["task.labels=[\"glad\", \"null\"]"];
    finish(train(&fixture, "tone", "run", &named)).succeeded();
    let expected = evaluate(&fixture, "run", &[]).succeeded().stdout;
    // A run of before had collected the names.
    write_as_before(&fixture, "run", &[("labels = [\"glad\", \"null\"]", "labels = []")]);
    let found = evaluate(&fixture, "run", &[]).succeeded();
    assert_eq!(found.stdout, expected);
    assert_eq!(found.stderr.matches("`null`, which stands in").count(), 1, "{}", found.stderr);
}
