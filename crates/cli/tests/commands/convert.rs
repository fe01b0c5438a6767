//! `convert`: a tiny BERT in, a Nyströmformer out that is nearer to it than the swap alone.

use std::{fs, path::PathBuf, process::Command};

use serde_json::{Value, json};

use crate::fixture::{Fixture, command, finish, read_json, repository};

/// A BERT whose folder says how texts were read in its training.
fn bert(fixture: &Fixture) -> PathBuf {
    let (fixed, copy) =
        (repository().join("crates/interop/tests/fixtures/bert"), fixture.path("bert"));
    if !copy.exists() {
        fs::create_dir(&copy).unwrap();
        for entry in fs::read_dir(fixed).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
        let path = copy.join("tokenizer_config.json");
        let mut keys: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        keys["trained_truncation"] = json!({"max_length": 8, "keep": "tail"});
        fs::write(path, keys.to_string()).unwrap();
    }
    copy
}

fn convert(fixture: &Fixture, output: &str, further: &[&str]) -> Command {
    let mut convert = command("convert");
    convert.arg("--from").arg(bert(fixture)).args(["--output", &fixture.text(output)]);
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

    assert_eq!(result["num_landmarks"], 3);
    assert_eq!(result["text"], fixture.text("text.txt").as_str());
    // How texts were read before goes along.
    let keys = read_json(&fixture.path("converted/tokenizer_config.json"));
    assert_eq!(keys["trained_truncation"]["keep"], "tail");

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

    // A start that was made otherwise is not gone on with.
    let mut other = command("convert");
    other.arg("--from").arg(bert(&fixture)).args(["--output", &fixture.text("other"), "--resume"]);
    other.args(["--num-landmarks", "4", "--conv-kernel-size", "3"]);
    other.args(["--text", &fixture.text("text.txt"), "--run-dir", &fixture.text("conversion")]);
    let told = finish(other).refused(2);
    assert!(told.contains("`--num-landmarks` 3, and 4 is asked for"), "{told}");

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
    for (setting, advice) in
        [("trainer.max_steps=3", "give `--tokens`"), ("model.num_landmarks=4", "`--num-landmarks`")]
    {
        assert!(finish(convert(&fixture, "out", &[setting])).refused(2).contains(advice));
    }
    let mut tokens = convert(&fixture, "out", &[]);
    tokens.args(["--tokens", "many"]);
    assert!(finish(tokens).refused(2).contains("500k"));
}
