//! Questions in every form that people have them in, and what is malformed.

use std::fs;
use std::io::Write;
use std::path::Path;

use nystromformer_data::DataError;
use nystromformer_tasks::{Example, GoldAnswer, Input, Label, Split, Targets, TaskConfig, tasks};

use crate::{memory, parquet_file};

const CONTEXT: &str = "The Ünder river runs for 300 km, and the other river for 20 km.";

fn config(path: &Path, keys: &str) -> TaskConfig {
    let table = format!("name = \"qa\"\npath = {:?}\n{keys}", path.display().to_string());
    tasks().read(&table.parse().unwrap()).unwrap()
}

fn examples(config: &TaskConfig, split: Split) -> Result<Vec<Example>, DataError> {
    let targets = config.targets(64)?;
    config.examples(split, &targets, 64)?.unwrap().collect()
}

fn question(id: &str, question: &str, answers: Option<&[(&str, usize)]>) -> Example {
    let gold =
        |(text, start): &(&str, usize)| GoldAnswer { text: (*text).to_owned(), start: *start };
    Example {
        row: None,
        id: Some(id.to_owned()),
        input: Input::Question { question: question.to_owned(), context: CONTEXT.to_owned() },
        label: answers.map(|answers| Label::Answers(answers.iter().map(gold).collect())),
    }
}

/// What each form below holds.
fn expected() -> Vec<Example> {
    vec![
        question("1", "How long is it?", Some(&[("300 km", 25), ("300", 25)])),
        question("x2", "Who?", Some(&[])),
    ]
}

fn squad_v2() -> String {
    serde_json::json!({"version": "v2.0", "data": [
        {"title": "Rivers", "paragraphs": [
            {"context": CONTEXT, "qas": [
                {"id": 1, "question": "  How long is it?", "is_impossible": false, "answers": [
                    {"text": "300 km", "answer_start": 25}, {"text": "300", "answer_start": 25}]},
            ]},
            {"context": CONTEXT, "qas": [
                {"id": "x2", "question": "Who?", "is_impossible": true, "answers": [],
                 "plausible_answers": [{"text": "river", "answer_start": 10}]},
            ]},
        ]},
    ]})
    .to_string()
}

#[test]
fn every_form_gives_the_same_questions() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| fs::write(folder.path().join(name), content).unwrap();
    write("squad.json", &squad_v2());
    let row = |id: serde_json::Value, question: &str, answers: serde_json::Value| {
        serde_json::json!({"id": id, "question": question, "context": CONTEXT, "answers": answers})
            .to_string()
    };
    let lists = [
        row(
            "1".into(),
            "How long is it?",
            serde_json::json!({"text": ["300 km", "300"], "answer_start": [25, 25]}),
        ),
        row("x2".into(), "Who?", serde_json::json!({"text": [], "answer_start": []})),
    ];
    write("lists.jsonl", &lists.join("\n"));
    write("array.json", &format!("[{}]", lists.join(",\n")));
    let flat: Vec<String> = [("1", "How long is it?", vec!["300 km", "300"], vec![25, 25]), ("x2", "Who?", vec![], vec![])]
        .into_iter()
        .map(|(id, question, texts, starts)| {
            serde_json::json!({"id": id, "question": question, "context": CONTEXT, "answers.text": texts,
                               "answers.answer_start": starts}).to_string()
        })
        .collect();
    write("flattened.jsonl", &flat.join("\n"));
    // Of a list of texts an empty one is one too.
    let texts: Vec<String> = [
        ("1", "How long is it?", vec!["300 km", "300"], vec![25, 25]),
        ("x2", "Who?", vec![], vec![]),
    ]
    .into_iter()
    .map(|(id, question, texts, starts)| {
        serde_json::json!({"id": id, "question": question, "context": CONTEXT, "answers": texts,
                               "answer_start": starts})
        .to_string()
    })
    .collect();
    write("texts.jsonl", &texts.join("\n"));
    parquet_file::write_questions(
        &folder.path().join("rows.parquet"),
        &[
            ("1", "How long is it?", CONTEXT, Some(&[("300 km", 25), ("300", 25)])),
            ("x2", "Who?", CONTEXT, Some(&[])),
        ],
    );
    for name in [
        "squad.json",
        "lists.jsonl",
        "array.json",
        "flattened.jsonl",
        "texts.jsonl",
        "rows.parquet",
    ] {
        let config = config(&folder.path().join(name), "");
        assert_eq!(examples(&config, Split::Train).unwrap(), expected(), "{name}");
        let Targets::Answers(search) = config.targets(64).unwrap() else { panic!("answers") };
        assert!(search.version_2_with_negative, "{name}");
    }
}

#[test]
fn one_answer_may_stand_in_columns_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let csv = format!(
        "id,question,context,answer,answer_start\n1,How long is it?,\"{CONTEXT}\",300 km,25\nx2,Who?,\"{CONTEXT}\",,\n"
    );
    fs::write(folder.path().join("train.csv"), csv).unwrap();
    let renamed = format!(
        "{{\"q\": \"How long is it?\", \"text\": \"{CONTEXT}\", \"a\": \"20 km\", \"at\": 57.0}}\n"
    );
    fs::write(folder.path().join("dev.jsonl"), renamed).unwrap();
    let found = examples(&config(folder.path(), ""), Split::Train).unwrap();
    let first = question("1", "How long is it?", Some(&[("300 km", 25)]));
    assert_eq!(found, [first, question("x2", "Who?", Some(&[]))]);
    let keys = "question = \"q\"\ncontext = \"text\"\nanswers = \"a\"\nanswer_start = \"at\"";
    let task = tasks();
    let table = format!(
        "name = \"qa\"\npath = {:?}\nversion_2_with_negative = false\n{keys}",
        folder.path()
    );
    let config = task.read(&table.parse().unwrap()).unwrap();
    let found = examples(&config, Split::Validation).unwrap();
    let expected = Example { id: None, ..question("", "How long is it?", Some(&[("20 km", 57)])) };
    assert_eq!(found, [expected]);
}

#[test]
fn answers_that_stand_elsewhere_are_found_and_those_nowhere_keep_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let row = |id: &str, text: &str, start: Option<i64>| {
        serde_json::json!({"id": id, "question": "q", "context": CONTEXT, "answer": text, "answer_start": start})
            .to_string()
    };
    let rows = [
        row("there", "300 km", Some(25)),
        row("off by one", "300 km", Some(26)),
        row("blank", " 300 km ", Some(24)),
        row("without a place", "20 km", None),
        row("nowhere", "3000 km", Some(25)),
        row("far", "river", Some(500)),
    ];
    for name in ["train.jsonl", "dev.jsonl"] {
        fs::write(folder.path().join(name), rows.join("\n")).unwrap();
    }
    let config = config(folder.path(), "");
    let starts = |split| -> Vec<(String, usize)> {
        let start = |example: Example| match example.label {
            Some(Label::Answers(answers)) => (example.id.unwrap(), answers[0].start),
            other => panic!("{other:?}"),
        };
        examples(&config, split).unwrap().into_iter().map(start).collect()
    };
    let placed = [("there", 25), ("off by one", 25), ("blank", 25), ("without a place", 57)]
        .map(|(id, start)| (id.to_owned(), start));
    for split in [Split::Train, Split::Validation] {
        let all = starts(split);
        assert_eq!(all[..4], placed);
        assert_eq!(all[4..], [("nowhere".to_owned(), 25), ("far".to_owned(), 500)]);
    }
}

/// Places outside the text, and places in bytes: neither ends in a panic or in another answer.
#[test]
fn places_that_are_no_characters_of_the_text_are_read_or_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.jsonl");
    // Each word stands twice, far apart, so that only its place tells which is meant.
    let context = format!("été la mer. {} été la mer.", "ô".repeat(60));
    let (byte, character) = (context.rfind("mer").unwrap(), 12 + 60 + 1 + 7);
    assert!(byte > character + 60);
    let row = |id: &str, start: i64| {
        serde_json::json!({"id": id, "question": "q", "context": context, "answer": "mer", "answer_start": start})
            .to_string()
    };
    let far = i64::MAX;
    let rows =
        [row("characters", character as i64), row("bytes", byte as i64), row("outside", far)];
    fs::write(&path, rows.join("\n")).unwrap();
    let found = examples(&config(&path, ""), Split::Train).unwrap();
    let start = |example: &Example| match &example.label {
        Some(Label::Answers(answers)) => (example.id.clone().unwrap(), answers[0].start),
        other => panic!("{other:?}"),
    };
    let expected = ["characters", "bytes"].map(|id| (id.to_owned(), character));
    let found: Vec<_> = found.iter().map(start).collect();
    assert_eq!(found[..2], expected);
    assert!(found.len() == 3 && found[2].1 > context.len(), "{found:?}");
    fs::write(&path, row("negative", -2)).unwrap();
    let message = examples(&config(&path, ""), Split::Train).unwrap_err().to_string();
    assert!(message.contains("train.jsonl:1: `-2` is no place of an answer"), "{message}");
}

#[test]
fn a_column_of_names_that_is_named_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.jsonl");
    let row = format!(
        "{{\"key\": 1.0, \"question\": \"q\", \"context\": \"{CONTEXT}\", \"answers\": [\"20 km\", \"\"]}}\n"
    );
    fs::write(&path, row).unwrap();
    let named = examples(&config(&path, "id = \"key\""), Split::Train).unwrap();
    assert_eq!(named[0].id.as_deref(), Some("1"));
    assert_eq!(
        named[0].label,
        Some(Label::Answers(vec![GoldAnswer { text: "20 km".to_owned(), start: 57 }]))
    );
    assert_eq!(examples(&config(&path, ""), Split::Train).unwrap()[0].id, None);
    let message = examples(&config(&path, "id = \"kay\""), Split::Train).unwrap_err().to_string();
    assert!(message.contains("kay") && message.contains("`task.id`"), "{message}");
    let message = config(&path, "truncation = \"tail\"").problems();
    assert_eq!(message.len(), 1, "{message:?}");
}

#[test]
fn a_test_file_needs_no_answers() {
    let folder = tempfile::tempdir().unwrap();
    let row = format!("{{\"id\": \"1\", \"question\": \"q\", \"context\": \"{CONTEXT}\"}}\n");
    fs::write(folder.path().join("test.jsonl"), &row).unwrap();
    fs::write(folder.path().join("train.jsonl"), &row).unwrap();
    let known = config(folder.path(), "version_2_with_negative = false");
    assert_eq!(examples(&known, Split::Test).unwrap(), [question("1", "q", None)]);
    let file = folder.path().join("train.jsonl");
    let targets = known.targets(64).unwrap();
    let read: Result<Vec<Example>, _> = known.file_examples(&file, &targets, 64).unwrap().collect();
    assert_eq!(read.unwrap(), [question("1", "q", None)]);
    // Nor does it need those that the keys name, or that can be read.
    let named = config(
        folder.path(),
        "version_2_with_negative = false\nanswers = \"gold\"\nanswer_start = \"at\"",
    );
    let wrong = row.replace('}', ", \"gold\": [1.5], \"at\": [0]}");
    for content in [&row, &wrong] {
        fs::write(&file, content).unwrap();
        let read: Result<Vec<Example>, _> =
            named.file_examples(&file, &targets, 64).unwrap().collect();
        assert_eq!(read.unwrap(), [question("1", "q", None)]);
    }
    let message = examples(&named, Split::Train).unwrap_err().to_string();
    assert!(message.contains("train.jsonl:1: an answer in `gold` is no text"), "{message}");
    fs::write(&file, &row).unwrap();
    let message = examples(&known, Split::Train).unwrap_err().to_string();
    assert!(message.contains("train.jsonl:1: no column `answers` or `answer`"), "{message}");
    assert!(message.contains("`task.answers`"), "{message}");
}

/// The message of reading a file to train on.
fn refused(name: &str, content: &[u8], keys: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    let keys = format!("version_2_with_negative = true\n{keys}");
    examples(&config(&path, &keys), Split::Train).unwrap_err().to_string()
}

#[test]
fn what_is_malformed_is_told_with_its_line() {
    let row =
        |rest: &str| format!("{{\"id\": \"a\", \"question\": \"q\", \"context\": \"c\"{rest}}}\n");
    let good = row(", \"answers\": {\"text\": [\"c\"], \"answer_start\": [0]}");
    for (rest, part) in [
        (
            ", \"answers\": {\"text\": [\"c\"], \"answer_start\": [0, 1]}",
            "`1` answers, and `answers.answer_start` has `2` places",
        ),
        (", \"answers\": {\"text\": [[\"c\"]], \"answer_start\": [0]}", "is no text"),
        (", \"answers\": {\"text\": [\"c\"], \"answer_start\": [-5]}", "`-5` is no place"),
        (", \"answers\": {\"text\": [\"c\"], \"answer_start\": [\"x\"]}", "`x` is no place"),
        (", \"answers\": null", "nothing is said of the answers (of the question `a`)"),
        (", \"answers\": {\"text\": [\"c\"", "not JSON"),
    ] {
        let message = refused("a.jsonl", format!("{good}{}", row(rest)).as_bytes(), "");
        assert!(message.contains("a.jsonl:2: ") && message.contains(part), "{rest}: {message}");
    }
    let message = refused("a.jsonl", b"{\"id\": 1, \"Question\": \"q\", \"context\": \"c\"}\n", "");
    assert!(message.contains("a.jsonl:1: no column `question`"), "{message}");
    assert!(message.contains("set `task.question = \"Question\"`"), "{message}");
    let message =
        refused("a.jsonl", b"{\"question\": 7, \"context\": \"c\", \"answers\": []}\n", "");
    assert!(message.contains("a.jsonl:1: `question` is a number"), "{message}");
    let squad = "{\"data\": [{\"title\": \"t\", \"paragraphs\": [{\"context\": \"c\", \"qas\": []}, {\"qas\": []}]}]}";
    let message = refused("a.json", squad.as_bytes(), "");
    assert!(message.contains("a.json:1: a paragraph has no text `context`"), "{message}");
    let unclosed = squad_v2();
    let message = refused("a.json", &unclosed.as_bytes()[..unclosed.len() - 3], "");
    assert!(message.contains("a.json:1: ") && message.contains("ends within"), "{message}");
    let message = refused("a.json", &unclosed.as_bytes()[..unclosed.len() / 2], "");
    assert!(message.contains("a.json:1: not JSON"), "{message}");
}

#[test]
fn long_lines_and_many_answers_do_not_fill_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.json");
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(b"{\"data\": [{\"paragraphs\": [{\"context\": \"").unwrap();
    let piece = "x".repeat(1 << 20);
    for _ in 0..100 {
        file.write_all(piece.as_bytes()).unwrap();
    }
    drop(file);
    let config_of = |keys: &str| config(&path, &format!("version_2_with_negative = true\n{keys}"));
    let message = examples(&config_of(""), Split::Train).unwrap_err().to_string();
    assert!(message.contains("train.json:1: longer than `max_line_bytes = 16777216`"), "{message}");
    let short = config_of("max_line_bytes = 1000000");
    let (refused, growth) = memory::growth(|| examples(&short, Split::Train).is_err());
    assert!(refused && growth < 8_000_000, "{growth}");

    let answers = vec!["{\"text\":\"c\",\"answer_start\":9}"; 100_000].join(",");
    let row = format!("{{\"question\": \"q\", \"context\": \"c\", \"answers\": [{answers}]}}");
    fs::write(&path, row).unwrap();
    let message = examples(&config_of("max_line_bytes = 1000"), Split::Train).unwrap_err();
    assert!(message.to_string().contains("longer than `max_line_bytes = 1000`"), "{message}");
    let Some(Label::Answers(found)) =
        examples(&config_of(""), Split::Train).unwrap()[0].label.clone()
    else {
        panic!("answers")
    };
    assert_eq!((found.len(), found[0].start), (100_000, 0));
}

#[test]
fn keys_out_of_range_are_told() {
    let config = config(Path::new("x"), "max_line_bytes = 0\nnull_score_diff_threshold = inf");
    let problems: Vec<String> = config.problems().iter().map(ToString::to_string).collect();
    assert!(problems[0].contains("`task.max_line_bytes` is `0`"), "{problems:?}");
    assert!(problems[1].contains("`task.null_score_diff_threshold` is `inf`"), "{problems:?}");
    let table = "name = \"qa\"\nn_best_size = 0".parse().unwrap();
    assert!(tasks().read(&table).unwrap_err().to_string().contains("nonzero"));
}
