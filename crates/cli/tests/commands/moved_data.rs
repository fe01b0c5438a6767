//! What a run knows from its training data, when that data is gone or lies elsewhere: `predict --input-file` and `evaluate` of the
//! run alone.

use std::fs;

use serde_json::{Value, json};

use crate::fixture::{Fixture, command, finish, read_json};

const MODEL: &str = "seed = 5\n\
    [model]\nhidden_size = 16\nnum_hidden_layers = 1\nnum_attention_heads = 2\nintermediate_size = 32\n\
    max_position_embeddings = 32\nnum_landmarks = 4\nconv_kernel_size = 3\ninitializer_range = 0.1\n\
    [data]\nseq_len = 16\n\
    [trainer]\nmax_steps = 3\nbatch_size = 6\nmicro_batch_size = 6\neval_every = 3\neval_examples = 0\n";

const WORDS: [&str; 12] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "all", "day", "we", "sing", "weep", "what", "do",
];

/// A data set, and what its run keeps of it.
struct Case {
    task: &'static str,
    predict: &'static str,
    /// A file of examples, by the number of the first; its extension.
    examples: fn(usize) -> String,
    extension: &'static str,
    /// A line of the run's `config.toml` that the data answered.
    answered: Option<&'static str>,
}

fn text(number: usize) -> String {
    let said = if number.is_multiple_of(3) { "weep" } else { "sing" };
    format!("{}we {said}", "all day ".repeat(number % 4))
}

fn lines(first: usize, row: impl Fn(usize) -> Value) -> String {
    (first..first + 12).map(|number| row(number).to_string() + "\n").collect()
}

/// Every third question has no answer.
fn questions(first: usize) -> String {
    lines(first, |number| {
        let context = text(number);
        let answers = match context.find("sing") {
            Some(start) => json!({"text": ["sing"], "answer_start": [start]}),
            None => json!({"text": [], "answer_start": []}),
        };
        json!({"id": format!("q{number}"), "question": "what do we do", "context": context, "answers": answers})
    })
}

/// Tags in BIOES.
fn tagged(first: usize) -> String {
    let tag = |word: &str| match word {
        "all" => "B-TIME",
        "day" => "E-TIME",
        "sing" => "S-JOY",
        _ => "O",
    };
    let sentence = |number: usize| -> String {
        let text = text(number);
        let lines: Vec<String> =
            text.split(' ').map(|word| format!("{word} {}\n", tag(word))).collect();
        lines.concat() + "\n"
    };
    let sentences: Vec<String> = (first..first + 12).map(sentence).collect();
    sentences.concat()
}

/// Any number of labels, which the lists say.
fn labelled(first: usize) -> String {
    lines(first, |number| {
        let labels: &[&str] = [&[][..], &["joy"], &["joy", "time"]][number % 3];
        json!({"sentence": text(number), "label": labels})
    })
}

/// Labels −1 and 1, between semicolons.
fn verdicts(first: usize) -> String {
    let row = |number: usize| {
        let verdict = if number.is_multiple_of(3) { -1 } else { 1 };
        format!("{};{verdict}\n", text(number))
    };
    "sentence;label\n".to_owned() + &(first..first + 12).map(row).collect::<String>()
}

/// The right choice is named by its letter.
fn choices(first: usize) -> String {
    let row = |number: usize| {
        let right = ["A", "B"][number % 2];
        format!("{right},what do we do,we sing,{}\n", text(number))
    };
    "label,question,choice1,choice2\n".to_owned()
        + &(first..first + 12).map(row).collect::<String>()
}

const CASES: [Case; 5] = [
    Case {
        task: "qa",
        predict: "qa",
        examples: questions,
        extension: "jsonl",
        answered: Some("version_2_with_negative = true"),
    },
    Case { task: "ner", predict: "tokens", examples: tagged, extension: "conll", answered: None },
    Case {
        task: "labelled",
        predict: "classify",
        examples: labelled,
        extension: "jsonl",
        answered: Some("multi_label = true"),
    },
    Case {
        task: "labelled",
        predict: "classify",
        examples: verdicts,
        extension: "csv",
        answered: Some("multi_label = false"),
    },
    Case {
        task: "choice",
        predict: "choice",
        examples: choices,
        extension: "csv",
        answered: Some("label_form = \"letter\""),
    },
];

#[test]
fn a_run_keeps_what_its_data_answered() {
    for case in CASES {
        let fixture = Fixture::new();
        fs::write(fixture.path("vocab.txt"), WORDS.join("\n")).unwrap();
        fs::create_dir(fixture.path("data")).unwrap();
        for (split, first) in [("train", 0), ("dev", 12), ("test", 24)] {
            let path = fixture.path(&format!("data/{split}.{}", case.extension));
            fs::write(path, (case.examples)(first)).unwrap();
        }
        let config = format!(
            "{MODEL}[tokenizer]\npath = \"{}\"\n[task]\nname = \"{}\"\npath = \"{}\"\n",
            fixture.text("vocab.txt"),
            case.task,
            fixture.text("data")
        );
        fs::write(fixture.path("task.toml"), config).unwrap();
        let train = |further: &[&str]| {
            let mut train = command("train");
            train.args([&fixture.text("task.toml"), "--run-dir", &fixture.text("run")]);
            train.args(further);
            finish(train).succeeded()
        };
        train(&[]);
        let resolved = fs::read_to_string(fixture.path("run/config.toml")).unwrap();
        if let Some(line) = case.answered {
            assert!(resolved.lines().any(|found| found == line), "{line}: {resolved}");
        }
        // The experiment's file still says nothing of it, and is that of the run.
        train(&["--resume"]);

        let new = format!("new.{}", case.extension);
        fs::write(fixture.path(&new), (case.examples)(40)).unwrap();
        let answers = || {
            let mut predict = command("predict");
            predict.args([case.predict, "--model", &fixture.text("run")]);
            predict.args(["--input-file", &fixture.text(&new)]);
            finish(predict).succeeded().stdout
        };
        let before = answers();
        assert_eq!(before.lines().count(), 12, "{before}");
        fs::rename(fixture.path("data"), fixture.path("elsewhere")).unwrap();
        assert_eq!(answers(), before, "{}", case.task);

        let mut evaluate = command("evaluate");
        evaluate.args(["--model", &fixture.text("run"), "--split", "test"]);
        evaluate.args(["--set", &format!("task.path={}", fixture.text("elsewhere"))]);
        let found = finish(evaluate).succeeded().json();
        let summary = read_json(&fixture.path("run/summary.json"));
        for (name, value) in summary["verdict"]["evaluations"]["test"].as_object().unwrap() {
            if name != "step" {
                assert_eq!(&found[name], value, "{}: {name}", case.task);
            }
        }
    }
}

/// Questions that may have no answer are still such when nothing but the run is left.
#[test]
fn no_answer_is_still_an_answer_when_the_training_questions_are_gone() {
    let fixture = Fixture::new();
    fs::write(fixture.path("vocab.txt"), WORDS.join("\n")).unwrap();
    fs::create_dir(fixture.path("data")).unwrap();
    fs::write(fixture.path("data/train.jsonl"), questions(0)).unwrap();
    fs::write(fixture.path("data/dev.jsonl"), questions(12)).unwrap();
    fs::write(fixture.path("new.jsonl"), questions(24)).unwrap();
    let config = format!(
        "{MODEL}[tokenizer]\npath = \"{}\"\n[task]\nname = \"qa\"\npath = \"{}\"\n",
        fixture.text("vocab.txt"),
        fixture.text("data")
    );
    fs::write(fixture.path("task.toml"), config).unwrap();
    let mut train = command("train");
    train.args([&fixture.text("task.toml"), "--run-dir", &fixture.text("run")]);
    finish(train).succeeded();
    fs::remove_dir_all(fixture.path("data")).unwrap();
    let mut predict = command("predict");
    predict.args(["qa", "--model", &fixture.text("run")]);
    predict.args(["--input-file", &fixture.text("new.jsonl")]);
    predict.args(["--output", &fixture.text("out.json")]);
    finish(predict).succeeded();
    let odds = read_json(&fixture.path("out.null_odds.json"));
    assert_eq!(odds.as_object().unwrap().len(), 12);
}

/// A table with a vector a row is read as one, also when the table that was trained on is gone.
#[test]
fn a_table_of_vectors_is_read_as_one_when_the_training_table_is_gone() {
    let fixture = Fixture::new();
    let rows = |numbers: std::ops::Range<usize>| -> String {
        let row = |number: usize| {
            let (bag, label) = (number / 3, ["large", "small"][number / 3 % 2]);
            let split = ["train", "train", "val", "test"][number / 3 % 8 / 2];
            let feature = (number as f64 * 0.83).sin() + if label == "large" { 2.0 } else { 0.0 };
            format!("{bag},{label},{split},{feature},{}\n", 1.0 - feature)
        };
        "bag,label,split,x,y\n".to_owned() + &numbers.map(row).collect::<String>()
    };
    fs::write(fixture.path("bags.csv"), rows(0..96)).unwrap();
    fs::write(fixture.path("new.csv"), rows(96..120)).unwrap();
    let config =
        format!("{MODEL}[task]\nname = \"bags\"\npath = \"{}\"\n", fixture.text("bags.csv"));
    fs::write(fixture.path("task.toml"), config).unwrap();
    let mut train = command("train");
    train.args([&fixture.text("task.toml"), "--run-dir", &fixture.text("run")]);
    finish(train).succeeded();
    let answers = || {
        let mut predict = command("predict");
        predict.args(["classify", "--model", &fixture.text("run")]);
        predict.args(["--input-file", &fixture.text("new.csv")]);
        finish(predict).succeeded().stdout
    };
    let before = answers();
    assert_eq!(before.lines().count(), 8, "{before}");
    fs::remove_file(fixture.path("bags.csv")).unwrap();
    assert_eq!(answers(), before);
}
