//! `convert`: a tiny BERT in, a Nyströmformer out that is nearer to it than the swap alone.

use std::{fs, process::Command};

use serde_json::Value;

use crate::fixture::{Fixture, command, finish, repository};

fn convert(fixture: &Fixture, output: &str, further: &[&str]) -> Command {
    let bert = repository().join("crates/interop/tests/fixtures/bert");
    let mut convert = command("convert");
    convert.arg("--from").arg(bert).args(["--output", &fixture.text(output)]);
    convert.args(["--num-landmarks", "3", "--conv-kernel-size", "3"]);
    convert.args(["--text", &fixture.text("text.txt"), "--run-dir", &fixture.text("conversion")]);
    convert.args(further.iter().flat_map(|setting| ["--set", setting]));
    convert
}

/// Documents of the BERT's own words, a line each.
fn write_text(fixture: &Fixture) {
    let words = ["cat", "dog", "mat", "capital", "paris", "france"];
    let line = |index: usize| {
        let [first, second, third] = [1, 5, 7].map(|factor| words[index * factor % 6]);
        format!("the {first} sat on the {second} of a {third} . the {third} is the {first}\n")
    };
    fs::write(fixture.path("text.txt"), (0..60).map(line).collect::<String>()).unwrap();
}

#[test]
fn a_conversion_comes_nearer_and_its_result_is_a_model_like_any() {
    let fixture = Fixture::new();
    write_text(&fixture);
    let settings =
        ["data.document=line", "data.validation_fraction=0.2", "optimizer.learning_rate=3e-3"];
    let mut first = convert(&fixture, "converted", &settings);
    first.args(["--tokens", "20k"]);
    let finished = finish(first).succeeded();
    assert!(finished.stderr.contains("cosine to exact attention"), "{}", finished.stderr);
    let result: Value = serde_json::from_str(finished.stdout.lines().last().unwrap()).unwrap();
    let number = |key: &str| result[key].as_f64().unwrap();
    assert!(number("relative_error") < 0.7 * number("relative_error_before"), "{result}");
    assert!(number("cosine") > number("cosine_before"), "{result}");

    let mut features = command("predict");
    let model = fixture.text("converted");
    features.args(["features", "--model", &model, "--pooling", "mean", "the cat sat on the mat"]);
    finish(features).succeeded();

    // It is measured against the teacher again, whole, by the run's own configuration.
    let mut evaluate = command("evaluate");
    evaluate.args(["--model", &fixture.text("conversion/network")]);
    let measured: Value = serde_json::from_str(&finish(evaluate).succeeded().stdout).unwrap();
    assert!((measured["cosine"].as_f64().unwrap() - number("cosine")).abs() < 1e-6, "{measured}");

    // Neither the result nor the conversion is written over.
    let mut again = convert(&fixture, "converted", &settings);
    again.args(["--tokens", "20k"]);
    assert!(finish(again).refused(2).contains("not empty"));
    let mut beside = convert(&fixture, "other", &settings);
    beside.args(["--tokens", "20k"]);
    assert!(finish(beside).refused(2).contains("`--resume`"));

    // What is finished is not done again.
    let mut resumed = convert(&fixture, "other", &settings);
    resumed.args(["--tokens", "20k", "--resume"]);
    finish(resumed).succeeded();
    let weights = |folder: &str| fs::read(fixture.path(folder).join("model.safetensors")).unwrap();
    assert!(weights("converted") == weights("other"));
}

#[test]
fn what_cannot_be_converted_is_refused_with_a_line() {
    let fixture = Fixture::new();
    write_text(&fixture);
    let mut nothing = command("convert");
    nothing.args(["--from", &fixture.text("nowhere"), "--output", &fixture.text("out")]);
    nothing.args(["--run-dir", &fixture.text("run")]);
    assert!(finish(nothing).refused(4).contains("nowhere"));
    let mut tokens = convert(&fixture, "out", &[]);
    tokens.args(["--tokens", "many"]);
    assert!(finish(tokens).refused(2).contains("500k"));
}
