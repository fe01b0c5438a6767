//! GLUE's own: MNLI with its two validation sets, and the submission.

use std::fs;
use std::process::Command;

use crate::fixture::{Fixture, command, finish, metrics, read_json};

/// A fixture with the vocabulary of the made-up pairs, and an empty folder `glue`.
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "it", "all", "rains", "shines"];
    fs::write(fixture.path("vocab.txt"), words.join("\n")).unwrap();
    fixture
}

/// Writes a table of `count` pairs, each with the next of `labels`, or without labels if there are none.
fn write_pairs(fixture: &Fixture, file: &str, label: &str, labels: &[&str], count: usize) {
    let path = fixture.path(&format!("glue/{file}.tsv"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let label = if labels.is_empty() { String::new() } else { format!("\t{label}") };
    let row = |index: usize| {
        let weather = ["it rains", "it shines all"][index % 2];
        let answer = labels.get(index % labels.len().max(1));
        let answer = answer.map_or(String::new(), |answer| format!("\t{answer}"));
        format!("{index}\t{weather}\tit \" rains{answer}\n")
    };
    let rows: String = (0..count).map(row).collect();
    let table = format!("index\tsentence1\tsentence2{label}\n{rows}");
    fs::write(path, table).unwrap();
}

fn train(fixture: &Fixture, task: &str, run: &str) -> Command {
    let mut train = command("train");
    train.arg(format!("configs/glue/{task}.toml")).args(["--run-dir", &fixture.text(run)]);
    let (glue, vocabulary) = (fixture.text("glue"), fixture.text("vocab.txt"));
    for setting in [
        &format!("task.path={glue}"),
        &format!("tokenizer.path={vocabulary}"),
        "model.hidden_size=16",
        "model.num_hidden_layers=1",
        "model.num_attention_heads=2",
        "model.intermediate_size=32",
        "model.max_position_embeddings=32",
        "model.num_landmarks=4",
        "model.conv_kernel_size=3",
        "model.type_vocab_size=2",
        "data.seq_len=32",
        "trainer.batch_size=6",
        "trainer.max_epochs=1",
        "trainer.eval_every=1",
    ] {
        train.args(["--set", setting]);
    }
    train
}

#[test]
fn mnli_is_measured_on_both_its_validation_sets_and_chosen_by_the_matched_one() {
    let fixture = fixture();
    let labels = ["entailment", "neutral", "contradiction"];
    for (file, count) in [("train", 12), ("dev_matched", 9), ("dev_mismatched", 7)] {
        write_pairs(&fixture, &format!("MNLI/{file}"), "gold_label", &labels, count);
    }
    finish(train(&fixture, "mnli", "run")).succeeded();
    let run = fixture.path("run");
    let metrics = metrics(&run);
    let evaluations: Vec<_> =
        metrics.iter().filter(|record| record["split"] == "validation").collect();
    assert_eq!(evaluations.len(), 2);
    for key in ["loss", "accuracy", "loss_mismatched", "accuracy_mismatched"] {
        assert!(evaluations.iter().all(|record| record[key].is_number()), "{key}: {metrics:?}");
    }
    let verdict = &read_json(&run.join("summary.json"))["verdict"];
    assert_eq!(verdict["best_by"], "accuracy");
    for (split, examples) in [("validation", 9), ("validation_mismatched", 7)] {
        let rows = verdict["classes"][split]["confusion_matrix"].as_array().unwrap();
        let counted = rows.iter().flat_map(|row| row.as_array().unwrap());
        assert_eq!(counted.map(|count| count.as_u64().unwrap()).sum::<u64>(), examples, "{split}");
    }

    let mut evaluate = command("evaluate");
    evaluate.args(["--model", &fixture.text("run"), "--config", "configs/glue/mnli.toml"]);
    let glue = format!("task.path={}", fixture.text("glue"));
    evaluate.args(["--set", &glue, "--set", "data.seq_len=32"]);
    let found = finish(evaluate).succeeded().json();
    for (name, split) in
        [("accuracy", "validation"), ("accuracy_mismatched", "validation_mismatched")]
    {
        assert_eq!(found[name], verdict["evaluations"][split]["accuracy"], "{name}");
    }
}

#[test]
fn a_submission_is_complete_or_refused() {
    let fixture = fixture();
    for (file, labels, count) in
        [("train", &["0", "1"][..], 12), ("dev", &["0", "1"], 6), ("test", &[], 146)]
    {
        write_pairs(&fixture, &format!("WNLI/{file}"), "label", labels, count);
    }
    finish(train(&fixture, "wnli", "run")).succeeded();
    let predict = |model: &str, further: &[&str]| {
        let mut predict = command("predict");
        predict.args(["glue", "--model", &format!("{model}={}", fixture.text("run"))]);
        predict.args(["--glue", &fixture.text("glue"), "--output", &fixture.text("sent.zip")]);
        predict.args(further);
        finish(predict)
    };

    // A model of one task does not answer another.
    let message = predict("cola", &[]).refused(2);
    assert!(message.contains("cola wants unacceptable, acceptable"), "{message}");

    // A test set with a row too few.
    write_pairs(&fixture, "WNLI/test", "label", &[], 145);
    let message = predict("wnli", &[]).refused(3);
    assert!(message.contains("`145`") && message.contains("`146`"), "{message}");
    write_pairs(&fixture, "WNLI/test", "label", &[], 146);

    // The other ten tables are not there.
    let incomplete = predict("wnli", &[]);
    assert_eq!(incomplete.code, Some(3), "{}", incomplete.stderr);
    assert!(incomplete.stderr.contains("AX.tsv"), "{}", incomplete.stderr);
    assert!(!fixture.path("sent.zip").exists());

    let lines = predict("wnli", &["--fill-missing"]).succeeded().json_lines();
    assert_eq!(lines.len(), 1 + 10 + 1);
    assert_eq!(lines[0]["file"], "WNLI.tsv");
    assert_eq!(lines[11]["submission"], fixture.text("sent.zip"));
    // Answers that say nothing are in the zip only: they do not become a model's by a second call.
    assert_eq!(fixture.listing("sent"), ["WNLI.tsv"]);
    assert_eq!(predict("wnli", &[]).code, Some(3));
    let answers = fs::read_to_string(fixture.path("sent/WNLI.tsv")).unwrap();
    let rows: Vec<Vec<&str>> = answers.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows[0], ["index", "prediction"]);
    assert_eq!(rows.len(), 1 + 146);
    for (index, row) in rows[1..].iter().enumerate() {
        assert_eq!(row[0], index.to_string());
        assert!(["0", "1"].contains(&row[1]), "{row:?}");
        // Rows two apart are the same pair.
        assert_eq!(row[1], rows[1 + index % 2][1]);
    }

    // A model that others trained without naming its classes: by their places, which is said.
    let mut export = command("export");
    export.args(["--model", &fixture.text("run"), "--output", &fixture.text("unnamed")]);
    finish(export).succeeded();
    let path = fixture.path("unnamed/config.json");
    let mut config = read_json(&path);
    config["id2label"] = serde_json::json!({ "0": "LABEL_0", "1": "LABEL_1" });
    config["label2id"] = serde_json::json!({ "LABEL_0": 0, "LABEL_1": 1 });
    fs::write(&path, config.to_string()).unwrap();
    let mut unnamed = command("predict");
    unnamed.args([
        "glue",
        "--model",
        &format!("wnli={}", fixture.text("unnamed")),
        "--fill-missing",
    ]);
    unnamed.args(["--glue", &fixture.text("glue"), "--output", &fixture.text("answers.zip")]);
    let said = finish(unnamed).succeeded().stderr;
    assert!(said.contains("LABEL_0, LABEL_1 are taken for not_entailment, entailment"), "{said}");
    assert_eq!(fs::read_to_string(fixture.path("answers/WNLI.tsv")).unwrap(), answers);
}
