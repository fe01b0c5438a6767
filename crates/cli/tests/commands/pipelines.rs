//! `predict` for every head, on the models that transformers answered with (`crates/pipelines/tests/fixtures`).

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::fixture::{Finished, command, finish, finish_with_stdin, keys, read_json, repository};

/// `predict TASK --model MODEL …` for a model of the fixtures.
fn predict(task: &str, model: &str, arguments: &[&str]) -> Command {
    let folder = repository().join("crates/pipelines/tests/fixtures").join(model);
    let mut predict = command("predict");
    predict.arg(task).arg("--model").arg(folder).args(arguments);
    predict
}

fn answers(task: &str, model: &str, arguments: &[&str]) -> Vec<Value> {
    finish(predict(task, model, arguments)).succeeded().json_lines()
}

/// Asserts that two values differ in their fractions at most, and there by little.
pub(crate) fn assert_close(found: &Value, expected: &Value) {
    match (found, expected) {
        (Value::Object(left), Value::Object(_)) => {
            assert_eq!(keys(found), keys(expected));
            left.iter().for_each(|(key, value)| assert_close(value, &expected[key]));
        }
        (Value::Array(left), Value::Array(right)) => {
            assert_eq!(left.len(), right.len(), "{found} is not {expected}");
            left.iter().zip(right).for_each(|(left, right)| assert_close(left, right));
        }
        (Value::Number(left), Value::Number(right)) if right.is_f64() => {
            let difference = left.as_f64().unwrap() - right.as_f64().unwrap();
            assert!(difference.abs() < 1e-4, "{found} is not {expected}");
        }
        _ => assert_eq!(found, expected),
    }
}

/// Each command, with the options of a case, reads the case's requests and prints its answers.
#[test]
fn every_head_answers_lines_of_json_as_transformers_does() {
    let scratch = tempfile::tempdir().unwrap();
    let requests = scratch.path().join("requests.jsonl");
    for (task, model, case, arguments) in [
        ("fill-mask", "fill_mask", 1, vec!["--top-k", "2"]),
        ("classify", "multi_label", 1, vec!["--top-k", "3"]),
        ("classify", "nystrom", 0, vec![]),
        ("tokens", "tokens", 0, vec!["--aggregation", "none"]),
        ("tokens", "tokens", 3, vec!["--aggregation", "simple", "--stride", "5"]),
        ("tokens", "tokens", 5, vec!["--aggregation", "first"]),
        ("qa", "qa", 2, vec!["--top-k", "3", "--max-answer-len", "2"]),
        ("qa", "qa", 3, vec!["--handle-impossible-answer"]),
        ("qa", "qa", 5, vec!["--top-k", "2", "--max-seq-len", "18", "--doc-stride", "4"]),
        ("choice", "choice", 0, vec![]),
        ("features", "features", 0, vec![]),
        ("features", "features", 2, vec!["--pooling", "mean"]),
    ] {
        let folder = repository().join("crates/pipelines/tests/fixtures").join(model);
        let case = &read_json(&folder.join("answers.json"))[case];
        let lines = case["requests"].as_array().unwrap();
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        fs::write(&requests, lines.join("\n")).unwrap();
        let file = ["--input-file", requests.to_str().unwrap()];
        let found = answers(task, model, &[&arguments[..], &file].concat());
        assert_close(&Value::Array(found), &case["answers"]);
    }
}

#[test]
fn texts_are_the_same_as_arguments_and_as_lines() {
    let texts = ["Anna lives in Paris.", "", "Café 😀"];
    let expected = answers("classify", "single_label", &texts);
    assert_eq!(expected.len(), 3);
    assert_eq!(keys(&expected[0]), ["label", "score"]);
    let lines = texts.join("\n");
    let classify = |arguments| predict("classify", "single_label", arguments);
    let from_stdin = finish_with_stdin(classify(&[]), lines.as_bytes()).succeeded();
    assert_eq!(from_stdin.json_lines(), expected);
    let json: Vec<String> =
        texts.iter().map(|text| serde_json::json!({ "text": text }).to_string()).collect();
    let from_json = finish_with_stdin(classify(&["--jsonl"]), json.join("\n").as_bytes());
    assert_eq!(from_json.succeeded().json_lines(), expected);
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("texts.txt");
    fs::write(&file, lines).unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(answers("classify", "single_label", &["--input-file", file]), expected);
}

#[test]
fn texts_in_tables_and_objects_are_read_by_their_columns() {
    let texts = ["Anna lives in Paris.", "Bob, too"];
    let expected = answers("classify", "single_label", &texts);
    let scratch = tempfile::tempdir().unwrap();
    let [first, second] = texts;
    for (name, content, arguments) in [
        ("a.csv", format!("\u{feff}label,Review\r\n1,{first}\r\n0,\"{second}\"\r\n"), vec![]),
        ("a.tsv", format!("body\tlabel\n{first}\t1\n{second}\t0\n"), vec!["--text-column", "body"]),
        (
            "a.json",
            format!("{{\"data\": [{{\"text\": \"{first}\"}},\n {{\"text\": \"{second}\"}}]}}"),
            vec![],
        ),
        (
            "a.jsonl",
            format!("\u{feff}{{\"text\": \"{first}\"}}\r\n{{\"text\": \"{second}\"}}\r\n"),
            vec![],
        ),
        ("a.txt", format!("\u{feff}{first}\r\n{second}\r\n"), vec![]),
    ] {
        let path = scratch.path().join(name);
        fs::write(&path, content).unwrap();
        let file = ["--input-file", path.to_str().unwrap()];
        let found = answers("classify", "single_label", &[&file[..], &arguments].concat());
        assert_eq!(found, expected, "{name}");
    }
    for (name, content, parts) in [
        ("a.csv", "id,label\n1,2\n", ["a.csv:1: ", "--text-column"]),
        ("a.xlsx", "PK", ["a.xlsx`", "save the sheet as CSV"]),
        ("a.txt", "version https://git-lfs.github.com/spec/v1\n", ["a.txt`", "git lfs pull"]),
    ] {
        let path = scratch.path().join(name);
        fs::write(&path, content).unwrap();
        let classify =
            predict("classify", "single_label", &["--input-file", path.to_str().unwrap()]);
        let finished = finish(classify);
        assert_eq!(finished.code, Some(3), "{}", finished.stderr);
        for part in parts {
            assert!(finished.stderr.contains(part), "{}", finished.stderr);
        }
    }
    let lines = scratch.path().join("lines.txt");
    fs::write(&lines, "a text\n").unwrap();
    let column = ["--input-file", lines.to_str().unwrap(), "--text-column", "body"];
    let refused = finish(predict("classify", "single_label", &column));
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("`--text-column body`"), "{}", refused.stderr);
}

/// As a run reads them.
#[test]
fn texts_that_are_null_or_empty_are_answered_and_counted() {
    let expected = answers("classify", "single_label", &["Anna", "", ""]);
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("a.jsonl");
    fs::write(&path, "{\"text\": \"Anna\"}\n{\"text\": null}\n{\"text\": \"\"}\n").unwrap();
    let file = ["--input-file", path.to_str().unwrap()];
    let finished = finish(predict("classify", "single_label", &file)).succeeded();
    assert_eq!(finished.json_lines(), expected);
    for part in [
        "1 row with a text that is null, which is read as an empty one",
        "1 row with a text that is empty",
    ] {
        assert!(finished.stderr.contains(part), "{}", finished.stderr);
    }
}

#[test]
fn a_question_comes_as_arguments_too() {
    let asked = ["--question", "Where does Anna live?", "--context", "Anna lives in Paris."];
    let answer = &answers("qa", "qa", &asked)[0];
    assert_eq!(keys(answer), ["answer", "end", "score", "start"]);
    let several = answers("qa", "qa", &[&asked[..], &["--top-k", "2"]].concat());
    assert_eq!(several[0].as_array().unwrap().len(), 2);
    finish(predict("qa", "qa", &asked[..2])).refused(2);
    finish(predict("qa", "qa", &[&asked[..], &["--top-k", "0"]].concat())).refused(2);
}

/// Answers to the lines before it are printed.
#[test]
fn a_bad_line_exits_with_three_and_its_number() {
    let stopped = |finished: Finished, parts: &[&str]| {
        assert_eq!(finished.code, Some(3), "{}", finished.stderr);
        assert_eq!(finished.json_lines().len(), 1);
        for part in parts {
            assert!(finished.stderr.contains(part), "{}", finished.stderr);
        }
    };
    let lines = b"{\"text\": \"Anna\"}\n{\"text\": 3}\n{\"text\": \"Bob\"}\n";
    let classify = predict("classify", "single_label", &["--jsonl"]);
    stopped(finish_with_stdin(classify, lines), &["stdin:2: ", "invalid type", "text_pair"]);
    let classify = predict("classify", "single_label", &[]);
    stopped(finish_with_stdin(classify, b"Anna\nB\xf6b\n"), &["stdin:2: ", "UTF-8"]);

    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("questions.jsonl");
    let short = r#"{"question": "Who?", "context": "Anna."}"#;
    let question = "who ".repeat(40);
    let context = "anna ".repeat(40);
    fs::write(
        &file,
        format!("{short}\n{{\"question\": \"{question}\", \"context\": \"{context}\"}}"),
    )
    .unwrap();
    let answer = predict("qa", "qa", &["--input-file", file.to_str().unwrap()]);
    stopped(finish(answer), &["questions.jsonl:2: ", "shorten the question"]);

    // In a file too, if the answers go there; an older file stays where there are none.
    let output = scratch.path().join("answers.jsonl");
    let files = ["--input-file", file.to_str().unwrap(), "--output", output.to_str().unwrap()];
    let stopped = finish(predict("qa", "qa", &files));
    let told = "holds the answers before the error: `1` of them";
    assert!(stopped.stderr.contains(told), "{}", stopped.stderr);
    assert!(stopped.refused(3).contains("questions.jsonl:2: "));
    assert_eq!(fs::read_to_string(&output).unwrap().lines().count(), 1);
    fs::write(&file, "{\"question\": 3}").unwrap();
    finish(predict("qa", "qa", &files)).refused(3);
    assert_eq!(fs::read_to_string(&output).unwrap().lines().count(), 1);

    let nowhere = predict("choice", "choice", &["--input-file", "nowhere.jsonl"]);
    assert!(finish(nowhere).refused(3).contains("nowhere.jsonl"));
}

#[test]
fn texts_that_are_too_long_are_cut_and_that_is_told_once_and_counted() {
    let long = "the river ".repeat(30);
    let classify = finish(predict("classify", "single_label", &[&long, "Anna", &long])).succeeded();
    assert_eq!(classify.json_lines().len(), 3);
    assert_eq!(classify.stderr.matches("62 tokens").count(), 1, "{}", classify.stderr);
    assert!(classify.stderr.contains("`max_position_embeddings` in "), "{}", classify.stderr);
    assert!(classify.stderr.contains("2 texts were cut"), "{}", classify.stderr);
    assert_eq!(classify.stderr.lines().count(), 2, "{}", classify.stderr);
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let mut classify = predict("classify", "single_label", &["--batch-size", "1"]);
    classify.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = classify.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    // Every line is answered before the next is written.
    for text in ["Anna\n", "Bob\n"] {
        stdin.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        stdout.read_line(&mut answer).unwrap();
        assert!(answer.contains("label"), "{answer}");
    }
    drop(stdout);
    stdin.write_all(b"Paris\n").unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn a_model_of_another_class_exits_with_four() {
    for (task, class) in [
        ("fill-mask", "MaskedLM"),
        ("classify", "SequenceClassification"),
        ("tokens", "TokenClassification"),
        ("qa", "QuestionAnswering"),
        ("choice", "MultipleChoice"),
    ] {
        let message = finish(predict(task, "features", &[])).refused(4);
        assert!(message.contains(&format!("is no NystromformerFor{class}")), "{message}");
    }
}

#[test]
fn features_are_of_texts_or_of_a_file() {
    let pooled = answers("features", "qa", &["--pooling", "cls", "Anna works."]);
    let all = answers("features", "qa", &["Anna works."]);
    assert_eq!(pooled[0], all[0][0]);
    for arguments in [
        &["--input", "in", "--output", "out", "Anna"][..],
        &["--input", "in", "--output", "out", "--pooling", "mean"],
        &["--input", "in"],
        &["--output", "out"],
        &["--hidden-states", "Anna"],
    ] {
        finish(predict("features", "qa", arguments)).refused(2);
    }
    assert!(!Path::new("out").exists());
}

#[test]
fn windows_that_cannot_overlap_so_far_are_refused() {
    let tokens = |arguments| finish(predict("tokens", "tokens", arguments)).refused(2);
    assert!(tokens(&["--stride", "4", "Anna"]).contains("aggregation"));
    assert!(tokens(&["--stride", "40", "--aggregation", "max", "Anna"]).contains("`40`"));
}
