//! `train` and `evaluate` on labelled data, good and malformed; `generate`.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::fixture::{Fixture, command, finish, finish_with_stdin, keys, metrics, read_json};

const MODEL: &str = "seed = 5\n\
    [model]\nhidden_size = 16\nnum_hidden_layers = 1\nnum_attention_heads = 2\nintermediate_size = 32\n\
    max_position_embeddings = 32\nnum_landmarks = 4\nconv_kernel_size = 3\npooling = \"mean\"\n\
    [data]\nseq_len = 32\n\
    [trainer]\nmax_steps = 4\nbatch_size = 6\nmicro_batch_size = 3\neval_every = 2\neval_examples = 0\n";

/// Writes `tone.toml`, whose task is to tell in the rows of the folder `data` the glad ones from the sad ones.
pub(crate) fn prepare_tone(fixture: &Fixture) {
    let words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "all", "day", "we", "sing", "weep"];
    fs::write(fixture.path("vocab.txt"), words.join("\n")).unwrap();
    fs::create_dir(fixture.path("data")).unwrap();
    let rows = |count: usize| -> String {
        let row = |number| match number % 3 {
            0 => format!("we weep{},sad\n", " all day".repeat(number % 4)),
            _ => format!("we sing{},glad\n", " all day".repeat(number % 5)),
        };
        (0..count).map(row).collect()
    };
    for (part, count) in [("train", 30), ("validation", 12), ("test", 9)] {
        let path = fixture.path(&format!("data/{part}.csv"));
        fs::write(path, format!("sentence,label\n{}", rows(count))).unwrap();
    }
    write_config(fixture, "tone", "labelled", "data");
}

/// Writes the experiment `name.toml` on a task whose files are at `path`.
fn write_config(fixture: &Fixture, name: &str, task: &str, path: &str) {
    let (path, vocabulary) = (fixture.text(path), fixture.text("vocab.txt"));
    let table = format!("name = \"{task}\"\npath = \"{path}\"\n");
    let task = crate::known_tasks().read(&table.parse().unwrap()).unwrap();
    let tokenizer = match task.task().vocabulary() {
        Some(_) => String::new(),
        None => format!("[tokenizer]\npath = \"{vocabulary}\"\n"),
    };
    let config = format!("{MODEL}{tokenizer}[task]\n{table}");
    fs::write(fixture.path(&format!("{name}.toml")), config).unwrap();
}

pub(crate) fn train(fixture: &Fixture, config: &str, run: &str, settings: &[&str]) -> Command {
    let mut train = command("train");
    train.arg(fixture.text(&format!("{config}.toml"))).args(["--run-dir", &fixture.text(run)]);
    train.args(settings.iter().flat_map(|setting| ["--set", setting]));
    train
}

#[test]
fn train_on_a_table_reports_and_evaluate_repeats_it() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    let said = finish(train(&fixture, "tone", "run", &[])).succeeded().stdout;
    for part in ["validation: loss ", "test: loss ", "accuracy ", "(constant predictor 0.6667)"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let run = fixture.path("run");
    let verdict = &read_json(&run.join("summary.json"))["verdict"];
    assert_eq!(verdict["best_by"], "accuracy");
    assert_eq!(verdict["classes"]["test"]["labels"], json!(["glad", "sad"]));
    assert_eq!(verdict["constant_predictor"]["test"]["accuracy"], 6.0 / 9.0);

    let evaluate = |split: &str| {
        let mut evaluate = command("evaluate");
        evaluate.args(["--model", &fixture.text("run"), "--config", &fixture.text("tone.toml")]);
        evaluate.args(["--split", split]);
        finish(evaluate).succeeded()
    };
    for (split, examples) in [("validation", 12), ("test", 9)] {
        let found = evaluate(split);
        assert!(!found.stderr.contains("warning"), "{}", found.stderr);
        let found = found.json();
        assert_eq!(keys(&found), ["accuracy", "examples", "f1_macro", "loss", "split"]);
        assert_eq!((&found["split"], &found["examples"]), (&json!(split), &json!(examples)));
        for name in ["loss", "accuracy", "f1_macro"] {
            assert_eq!(found[name], verdict["evaluations"][split][name], "{split} {name}");
        }
    }
}

/// How many examples there are of what, and what was chosen where several readings were possible.
#[test]
fn what_is_read_as_what_is_told_once() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    // Labels of the test split are places, one table is of no split, and one validates by a name that others test by.
    let test = "sentence,label\nwe sing,0\nwe weep,1\n";
    fs::write(fixture.path("data/test.csv"), test).unwrap();
    fs::write(fixture.path("data/train_extra.csv"), test).unwrap();
    fs::rename(fixture.path("data/validation.csv"), fixture.path("data/eval.csv")).unwrap();
    let told = finish(train(&fixture, "tone", "run", &[])).succeeded().stderr;
    for part in [
        "`30` train, `12` validation, `2` test examples; `2` classes: `glad`, `sad`",
        "no split is read from `train_extra.csv`",
        "eval.csv` is the validation split",
        "`label` holds numbers, which are read as the places of classes: `0` is `glad`, `1` is `sad`",
    ] {
        assert_eq!(told.matches(part).count(), 1, "{part}: {told}");
    }
    let data = fixture.path("data/train.csv");
    let table = fs::read_to_string(&data).unwrap();
    fs::write(&data, table.clone() + "we sing,nan\n").unwrap();
    let message = finish(train(&fixture, "tone", "nan", &[])).refused(3);
    assert!(message.contains("`nan` `1` times") && message.contains("task.labels"), "{message}");
    fs::write(&data, table.clone() + "we sing,\"['sad', 'glad']\"\n").unwrap();
    let message = finish(train(&fixture, "tone", "list", &[])).refused(3);
    assert!(message.contains("train.csv:32: ") && message.contains("Parquet"), "{message}");
    fs::write(&data, table).unwrap();
    let by_place = ["task.header=false", "task.sentence1=0", "task.label=1"];
    let told = finish(train(&fixture, "tone", "by-place", &by_place)).succeeded().stderr;
    let part = "the first line is read as a row, and no other has its label `label`";
    assert_eq!(told.matches(part).count(), 1, "{told}");
    let message = finish(train(&fixture, "tone", "key", &["task.sentence2=label"])).refused(2);
    assert!(message.contains("`task.sentence2`"), "{message}");
    let message = finish(train(
        &fixture,
        "tone",
        "threshold",
        &["task.labels=[\"glad\", \"sad\"]", "task.threshold=0.9"],
    ))
    .refused(2);
    assert!(message.contains("`task.threshold`") && message.contains("multi_label"), "{message}");
}

/// The file is read by the run's columns, without the data that it was trained on.
#[test]
fn a_file_is_predicted_as_the_run_measured_it() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    finish(train(&fixture, "tone", "run", &["data.seq_len=8"])).succeeded();
    let written = fs::read_to_string(fixture.path("run/predictions/test.jsonl")).unwrap();
    let summary = read_json(&fixture.path("run/summary.json"));
    fs::rename(fixture.path("data/test.csv"), fixture.path("kept.csv")).unwrap();
    fs::remove_dir_all(fixture.path("data")).unwrap();
    let predict = |more: &[&str]| {
        let mut predict = command("predict");
        predict.args(["classify", "--model", &fixture.text("run")]);
        predict.args(["--input-file", &fixture.text("kept.csv")]).args(more);
        finish(predict).succeeded()
    };
    let found = predict(&[]);
    assert_eq!(found.stdout, written);
    predict(&["--output", &fixture.text("out.jsonl"), "--batch-size", "1"]);
    assert_eq!(fs::read_to_string(fixture.path("out.jsonl")).unwrap(), written);
    let table = fs::read_to_string(fixture.path("kept.csv")).unwrap();
    let lines = found.json_lines();
    let right = lines
        .iter()
        .zip(table.lines().skip(1))
        .filter(|(line, row)| row.ends_with(line["label"].as_str().unwrap()));
    let accuracy = &summary["verdict"]["evaluations"]["test"]["accuracy"];
    assert_eq!(*accuracy, right.count() as f64 / 9.0);
    // Other columns are named, or found.
    fs::write(fixture.path("other.csv"), table.replace("sentence", "body")).unwrap();
    let other = |more: &[&str]| {
        let mut predict = command("predict");
        predict.args(["classify", "--model", &fixture.text("run")]);
        predict.args(["--input-file", &fixture.text("other.csv")]).args(more);
        finish(predict)
    };
    assert_eq!(other(&["--set", "task.sentence1=body"]).succeeded().stdout, written);
    let found = other(&["--text-column", "body"]).succeeded();
    assert_eq!(found.json_lines().len(), 9);
}

/// Trained on 16 tokens of a model of 32 positions, a run is asked for rows of 25 words: evaluated, predicted with, and
/// exported, it reads the same 14 of them.
#[test]
fn a_model_reads_what_it_was_trained_on_wherever_it_goes() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    let words: Vec<&str> = ["we", "sing", "all", "day"].into_iter().cycle().take(24).collect();
    let row = |number: usize| {
        let (first, label) =
            if number.is_multiple_of(3) { ("weep", "sad") } else { ("sing", "glad") };
        // The neighbours of both ends differ from row to row.
        let rest = words.iter().cycle().skip(number).take(24).copied();
        let text: Vec<&str> = std::iter::once(first).chain(rest).collect();
        (text, label)
    };
    for (part, count) in [("train", 30), ("validation", 12), ("test", 9)] {
        let lines =
            (0..count).map(row).map(|(text, label)| format!("{},{label}\n", text.join(" ")));
        let table = format!("sentence,label\n{}", lines.collect::<String>());
        fs::write(fixture.path(&format!("data/{part}.csv")), table).unwrap();
    }
    for keep in ["head", "tail", "head_tail"] {
        let truncation = format!("task.truncation={keep}");
        // transformers has the usual pooling only.
        let settings = ["data.seq_len=16", "model.pooling=first", &truncation];
        let trained = finish(train(&fixture, "tone", keep, &settings)).succeeded();
        let told =
            "`30` of the `30` examples of the train split are longer than `data.seq_len` = `16`";
        assert!(trained.stderr.contains(told), "{}", trained.stderr);
        let exported = format!("{keep}-exported");
        let mut export = command("export");
        export.args(["--model", &fixture.text(keep), "--output", &fixture.text(&exported)]);
        finish(export).succeeded();
        let ask = |model: &str, texts: &[String]| {
            let mut predict = command("predict");
            predict.args(["classify", "--model", &fixture.text(model)]).args(texts);
            finish(predict).succeeded()
        };
        let rows: Vec<_> = (0..12).map(row).collect();
        let texts: Vec<String> = rows.iter().map(|(text, _)| text.join(" ")).collect();
        let kept = |(text, _): &(Vec<&str>, &str)| match keep {
            "head" => text[..14].join(" "),
            "tail" => text[11..].join(" "),
            _ => [&text[..7], &text[18..]].concat().join(" "),
        };
        let cut: Vec<String> = rows.iter().map(kept).collect();
        let expected = ask(keep, &cut).json_lines();
        for model in [keep, &exported] {
            let found = ask(model, &texts);
            assert_eq!(found.json_lines(), expected, "{model}");
            let note = format!("`trained_truncation` in `{}", fixture.text(keep));
            assert!(model != keep || found.stderr.contains(&note), "{}", found.stderr);
        }
        let mut evaluate = command("evaluate");
        evaluate.args(["--model", &fixture.text(keep), "--config", &fixture.text("tone.toml")]);
        evaluate.args(settings.iter().flat_map(|setting| ["--set", setting]));
        let accuracy = finish(evaluate).succeeded().json()["accuracy"].as_f64().unwrap();
        let right =
            expected.iter().zip(&rows).filter(|(found, (_, label))| found["label"] == *label);
        assert!((accuracy - right.count() as f64 / 12.0).abs() < 1e-9, "{keep}");
    }
}

/// Trained on windows of 10 tokens, a run is asked for texts of 4 to 24 words: its own predictions, `predict` with the run and with its
/// export, and `evaluate` with both give one answer a text, the same.
#[test]
fn windows_are_read_wherever_a_model_goes() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    // What decides stands anywhere.
    let row = |number: usize| {
        let mut words: Vec<&str> =
            ["we", "all", "day"].into_iter().cycle().take(3 + number * 7 % 21).collect();
        let (tone, label) =
            if number.is_multiple_of(3) { ("weep", "sad") } else { ("sing", "glad") };
        words.insert(number * 5 % words.len(), tone);
        (words.join(" "), label)
    };
    for (part, numbers) in [("train", 0..60), ("validation", 60..80), ("test", 80..100)] {
        let lines = numbers.map(row).map(|(text, label)| format!("{text},{label}\n"));
        let table = format!("sentence,label\n{}", lines.collect::<String>());
        fs::write(fixture.path(&format!("data/{part}.csv")), table).unwrap();
    }
    let settings = [
        "data.seq_len=10",
        "model.pooling=first",
        "task.truncation=windows",
        "task.stride=3",
        "trainer.max_steps=30",
        "optimizer.learning_rate=0.01",
    ];
    let trained = finish(train(&fixture, "tone", "run", &settings)).succeeded();
    assert!(
        trained.stderr.contains("are read in windows (`task.truncation`)"),
        "{}",
        trained.stderr
    );
    let mut export = command("export");
    export.args(["--model", &fixture.text("run"), "--output", &fixture.text("exported")]);
    finish(export).succeeded();
    let card = fs::read_to_string(fixture.path("exported/README.md")).unwrap();
    assert!(card.contains("of more than 10 tokens in overlapping windows"), "{card}");
    let written = fs::read_to_string(fixture.path("run/predictions/test.jsonl")).unwrap();
    let written: Vec<Value> =
        written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let rows: Vec<(String, &str)> = (80..100).map(row).collect();
    assert!(rows.iter().filter(|(text, _)| text.split(' ').count() > 8).count() > 9);
    let right = written.iter().zip(&rows).filter(|(line, (_, label))| line["label"] == *label);
    let accuracy = right.count() as f64 / 20.0;
    for model in ["run", "exported"] {
        let mut predict = command("predict");
        predict.args(["classify", "--model", &fixture.text(model)]);
        let found = finish(predict_texts(predict, &rows)).succeeded();
        assert!(!found.stderr.contains("cut"), "{}", found.stderr);
        for (found, expected) in found.json_lines().iter().zip(&written) {
            assert_eq!(found["label"], expected["label"]);
            let [found, expected] = [found, expected].map(|line| line["score"].as_f64().unwrap());
            assert!((found - expected).abs() < 1e-5, "{model}: {found} {expected}");
        }
        // The export's configuration file says nothing of windows, and its tokenizer does.
        let mut evaluate = command("evaluate");
        evaluate.args(["--model", &fixture.text(model), "--split", "test"]);
        if model == "exported" {
            evaluate.args(["--config", &fixture.text("tone.toml"), "--set", "data.seq_len=10"]);
            evaluate.args(["--set", &format!("tokenizer.path={}", fixture.text("exported"))]);
            evaluate.args(["--set", "model.pooling=first"]);
        }
        let found = finish(evaluate).succeeded().json();
        assert!((found["accuracy"].as_f64().unwrap() - accuracy).abs() < 1e-9, "{model}: {found}");
        assert_eq!(found["examples"], 20);
    }
    let bounded = [&settings[..], &["task.max_windows=2", "trainer.max_steps=2"]].concat();
    let told = finish(train(&fixture, "tone", "bounded", &bounded)).succeeded().stderr;
    assert!(told.contains("more than `task.max_windows` = `2` windows"), "{told}");
    let refused = finish(train(&fixture, "tone", "none", &["task.stride=3"])).refused(2);
    for part in ["task.stride", "`3`", "is read with `task.truncation = \"windows\"` alone"] {
        assert!(refused.contains(part), "{refused}");
    }
}

fn predict_texts(mut predict: Command, rows: &[(String, &str)]) -> Command {
    predict.args(rows.iter().map(|(text, _)| text));
    predict
}

#[test]
fn several_seeds_in_one_directory_are_summed_up_and_resumed() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    let seeds = ["seeds=[3, 4]"];
    let said = finish(train(&fixture, "tone", "runs", &seeds)).succeeded().stdout;
    for part in ["validation, 2 seeds:", "test, 2 seeds:", " ± ", "best seed: "] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let summary = read_json(&fixture.path("runs/summary.json"));
    assert_eq!(summary["seeds"], json!([3, 4]));
    assert_ne!(metrics(&fixture.path("runs/seed-3")), metrics(&fixture.path("runs/seed-4")));
    finish(train(&fixture, "tone", "runs", &seeds)).refused(2);

    // What is lost is made again, and only that.
    fs::remove_dir_all(fixture.path("runs/seed-4")).unwrap();
    fs::remove_file(fixture.path("runs/summary.json")).unwrap();
    let mut resume = train(&fixture, "tone", "runs", &[]);
    resume.arg("--resume");
    let resumed = finish(resume).succeeded();
    assert!(resumed.stderr.contains("seed 4") && !resumed.stderr.contains("seed 3"));
    let again = read_json(&fixture.path("runs/summary.json"));
    assert_eq!(again["statistics"], summary["statistics"]);
    // Beside a single run in a table: a line each, the series with deviations.
    finish(train(&fixture, "tone", "alone", &[])).succeeded();
    let mut compare = command("compare");
    compare.args([fixture.text("runs"), fixture.text("alone")]);
    let table = finish(compare).succeeded().stdout;
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows.len(), 3, "{table}");
    assert!(
        rows[0].contains("validation accuracy") && rows[0].contains("test f1_macro"),
        "{table}"
    );
    assert!(rows[1].starts_with("runs ") && rows[1].contains(" ± "), "{table}");
    assert!(rows[2].starts_with("alone ") && !rows[2].contains('±'), "{table}");
    // As a model it is its best seed's.
    let mut evaluate = command("evaluate");
    evaluate.args(["--model", &fixture.text("runs"), "--config", &fixture.text("tone.toml")]);
    let accuracy = finish(evaluate).succeeded().json()["accuracy"].clone();
    let best = format!("runs/seed-{}/summary.json", summary["best_seed"]);
    let best = read_json(&fixture.path(&best));
    assert_eq!(accuracy, best["verdict"]["evaluations"]["validation"]["accuracy"]);
}

#[test]
fn malformed_data_is_told_with_its_file_and_line_and_exits_with_three() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    let long = [b"sentence,label\nwe sing,glad\n\"".as_slice(), &vec![b'x'; 17 << 20], b"\",sad\n"]
        .concat();
    for (content, parts) in [
        (&b"text,label\nwe sing,glad\n"[..], &["train.csv", "`sentence`", "`text`"][..]),
        (b"sentence,tone\nwe sing,glad\n", &["train.csv", "`label`", "`tone`"]),
        (b"sentence,label\nwe sing,glad\nwe weep\n", &["train.csv:3: "]),
        (b"sentence,label\nwe sing,glad\nwe,weep,sad\n", &["train.csv:3: "]),
        (b"sentence,label\nwe sing,glad\nwe weep,\n", &["train.csv:3: ", "label"]),
        (b"sentence,label\nwe sing,glad\nwe w\xe9ep,sad\n", &["train.csv:3: ", "`0xe9`", "UTF-8"]),
        (b"sentence,label\nwe sing,glad\n\"we weep,sad\n", &["train.csv:3: ", "quote"]),
        (&long, &["train.csv:3: ", "max_line_bytes"]),
        (b"", &["train.csv"]),
        (b"sentence,label\n", &["train.csv"]),
        (b"sentence,label\nwe sing,glad\nwe sing,glad\n", &["data`", "all `2`", "`glad`"]),
    ] {
        fs::write(fixture.path("data/train.csv"), content).unwrap();
        let message = finish(train(&fixture, "tone", "run", &[])).refused(3);
        for part in parts {
            assert!(message.contains(part), "{part} is not in: {message}");
        }
        assert!(message.len() < 1000, "{message}");
    }
    // A byte order mark and CRLF are no fault.
    let crlf =
        b"\xef\xbb\xbfsentence,label\r\nwe sing,glad\r\n\"we\r\nweep\",sad\r\nwe sing,glad\r\n";
    fs::write(fixture.path("data/train.csv"), crlf).unwrap();
    fs::write(fixture.path("data/validation.csv"), "sentence,label\nwe sing,angry\n").unwrap();
    let message = finish(train(&fixture, "tone", "run", &[])).refused(3);
    for part in ["validation.csv:2: ", "`angry`", "`glad`, `sad`"] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    fs::remove_file(fixture.path("data/validation.csv")).unwrap();
    // None of these began a run.
    finish(train(&fixture, "tone", "run", &[])).succeeded();
}

#[test]
fn settings_of_a_task_that_cannot_be_exit_with_two() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    for (setting, parts) in [
        ("task.name=sst", &["`sst`", "sst2"][..]),
        ("task.validation_fraction=1", &["`task.validation_fraction`", "`1`"]),
        ("task.pad_to_multiple_of=0", &["`task.pad_to_multiple_of`", "`0`"]),
        ("task.pad_to_multiple_of=64", &["`task.pad_to_multiple_of`: `64`, for `data.seq_len = "]),
        ("task.mask_black_pixels=true", &["`task.mask_black_pixels`", "pathfinder"]),
        ("task.contour=\"6\"", &["`task.contour`", "pathfinder"]),
        ("task.sentence1=3", &["`task.sentence1`", "`3`", "task.header = true"]),
        ("task.lables=[\"a\"]", &["`task.lables`", "`task.labels`"]),
        (
            "trainer.metric_for_best_model=mse",
            &["`trainer.metric_for_best_model`", "`mse`", "f1_macro"],
        ),
        ("seeds=[1, 1]", &["`seeds`", "twice"]),
        ("model.id2label=[\"a\", \"b\", \"c\"]", &["`model.id2label`", "`3`", "`2`", "glad, sad"]),
        ("model.id2label=[\"sad\", \"glad\"]", &["`model.id2label`", "another order", "glad, sad"]),
        ("model.problem_type=\"regression\"", &["`model.problem_type`", "`regression`"]),
    ] {
        let message = finish(train(&fixture, "tone", "run", &[setting])).refused(2);
        for part in parts {
            assert!(message.contains(part), "{part} is not in: {message}");
        }
    }
    assert!(!fixture.path("run/config.toml").exists());
}

#[test]
fn a_model_is_measured_on_its_own_classes_only_and_gives_others_no_answers() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    finish(train(&fixture, "tone", "run", &[])).succeeded();
    let swapped = "task.labels=[\"sad\", \"glad\"]";
    for (labels, part) in [
        (swapped, "classes in another order (glad, sad) than the task has (sad, glad)"),
        (
            "task.labels=[\"sad\", \"glad\", \"so\"]",
            "`2` classes (glad, sad), and the task has `3`",
        ),
    ] {
        let mut evaluate = command("evaluate");
        evaluate.args(["--model", &fixture.text("run"), "--config", &fixture.text("tone.toml")]);
        evaluate.args(["--set", labels]);
        let message = finish(evaluate).refused(2);
        assert!(message.contains(part), "{message}");
    }
    // A run that starts from it takes its answers by name, and learns answers of its own to other classes.
    let from = format!("model.init_from={}", fixture.text("run"));
    let more = "task.labels=[\"sad\", \"glad\", \"so\"]";
    for (run, settings, told) in [
        ("same", vec![&*from], None),
        ("swapped", vec![&*from, swapped], Some("taken class by class, by name")),
        ("more", vec![&*from, more], Some("drawn anew")),
    ] {
        let said = finish(train(&fixture, "tone", run, &settings)).succeeded().stderr;
        let summary = read_json(&fixture.path(run).join("summary.json"));
        let notes = summary["notes"].to_string();
        for words in ["class by class", "drawn anew"] {
            let is_told = told.is_some_and(|told| told.contains(words));
            assert_eq!(notes.contains(words), is_told, "{run}: {notes}");
        }
        assert!(told.is_none_or(|told| notes.contains(told)), "{notes}");
        assert_eq!(said.contains("class by class"), run == "swapped", "{said}");
    }
}

#[test]
fn a_part_of_a_test_set_is_not_left_out_silently() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    let rows = "sentence,label\nwe sing,glad\nwe weep,\n";
    fs::write(fixture.path("data/test.csv"), rows).unwrap();
    let message = finish(train(&fixture, "tone", "run", &[])).refused(3);
    for part in ["`1` of the `2` examples of the test split", "have no label, first example `2`"] {
        assert!(message.contains(part), "{message}");
    }

    for file in ["train/glad/1.txt", "train/sad/1.txt", "test/glad/1.txt", "test/Sad/1.txt"] {
        let path = fixture.path(&format!("folders/{file}"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "we sing").unwrap();
    }
    write_config(&fixture, "folders", "labelled", "folders");
    let message =
        finish(train(&fixture, "folders", "run", &["task.validation_fraction=0.5"])).refused(3);
    for part in ["folders/test", "`Sad`", "`glad`, `sad`"] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
}

#[test]
fn a_data_set_that_is_not_there_is_told_by_where_it_is_expected() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    fs::create_dir(fixture.path("empty")).unwrap();
    for (task, parts) in [
        ("labelled", &["train.csv"][..]),
        ("sst2", &["train.tsv"]),
        ("mnli", &["train.tsv"]),
        ("imdb", &["aclImdb"]),
        ("text", &["aclImdb"]),
        ("listops", &["basic_train.tsv", "generate listops"]),
        ("retrieval", &["new_aan_pairs.train.tsv", "generate retrieval"]),
        ("image", &["data_batch_1"]),
        ("pathfinder", &["metadata", "generate pathfinder"]),
    ] {
        for folder in ["empty", "nowhere"] {
            write_config(&fixture, "absent", task, folder);
            let mut dry_run = train(&fixture, "absent", "run", &[]);
            dry_run.arg("--dry-run");
            for command in [train(&fixture, "absent", "run", &[]), dry_run] {
                let message = finish(command).refused(3);
                assert!(message.contains(&fixture.text(folder)), "{task}: {message}");
                if (task, folder) != ("labelled", "nowhere") {
                    for part in parts {
                        assert!(message.contains(part), "{task}: {part} is not in: {message}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_dry_run_of_a_task_sizes_it_up_and_makes_no_run() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    let mut dry_run =
        train(&fixture, "tone", "run", &["trainer.max_steps=0", "trainer.max_epochs=2"]);
    dry_run.arg("--dry-run");
    let sizes = finish(dry_run).succeeded().json();
    assert_eq!(
        (&sizes["training_examples"], &sizes["validation_examples"]),
        (&json!(30), &json!(12))
    );
    assert_eq!((&sizes["total_steps"], &sizes["runs"]), (&json!(10), &json!(1)));
    // Of a series its first run, which is tested on a third of what there is to train on.
    let folds = ["trainer.max_steps=0", "trainer.max_epochs=2", "task.folds=3", "seeds=[1, 2]"];
    let mut dry_run = train(&fixture, "tone", "run", &folds);
    dry_run.arg("--dry-run");
    let sized = finish(dry_run).succeeded();
    let sizes = sized.json();
    assert_eq!((&sizes["training_examples"], &sizes["runs"]), (&json!(20), &json!(6)));
    assert!(sized.stderr.contains("the 6 runs of this series"), "{}", sized.stderr);
    assert!(!fixture.path("run").exists());
}

/// All labels of the validation split are of one class, so that a curve over both has no area: the run goes to its end, and says so.
#[test]
fn a_metric_that_is_no_number_stops_no_run() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    let table = fixture.path("data/validation.csv");
    fs::write(&table, format!("sentence,label\n{}", "we sing,glad\n".repeat(6))).unwrap();
    let settings = [
        "task.metrics=[\"roc_auc\", \"accuracy\"]",
        "trainer.max_steps=4",
        "trainer.eval_every=1",
        "trainer.early_stopping_patience=2",
    ];
    let trained = finish(train(&fixture, "tone", "run", &settings)).succeeded();
    let told = "`roc_auc` is not a number on the validation split";
    assert!(trained.stderr.contains(told), "{}", trained.stderr);
    let summary = read_json(&fixture.path("run/summary.json"));
    assert_eq!((&summary["ended_by"], &summary["steps"]), (&json!("finished"), &json!(4)));
    // A sweep over such runs has no best trial, and does not send anybody to train further.
    let mut sweep = settings.to_vec();
    sweep.push("sweep.parameters.optimizer.learning_rate=[1e-3, 1e-2]");
    finish(train(&fixture, "tone", "sweep", &sweep)).succeeded();
    let mut evaluate = command("evaluate");
    evaluate.args(["--model", &fixture.text("sweep")]);
    let message = finish(evaluate).refused(4);
    assert!(message.contains("no trial of the sweep has a number to compare"), "{message}");
}

#[test]
fn the_test_file_beside_folds_is_named() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    let mut dry_run = train(&fixture, "tone", "run", &["task.folds=3", "task.fold=1"]);
    dry_run.arg("--dry-run");
    let told = finish(dry_run).succeeded().stderr;
    assert!(told.contains("parts of the training examples: the test split"), "{told}");
}

#[test]
fn generated_expressions_are_trained_on_and_not_replaced() {
    let fixture = Fixture::new();
    let generate = |seed: &str| {
        let mut generate = command("generate");
        generate.args(["listops", "--output", &fixture.text("listops"), "--seed", seed]);
        generate.args(["--train", "8", "--validation", "4", "--test", "3"]);
        finish(generate)
    };
    let made = generate("1").succeeded().json();
    assert_eq!(made["sizes"], json!({ "train": 8, "validation": 4, "test": 3 }));
    assert_eq!(made["seed"], 1);
    let files = ["basic_test.tsv", "basic_train.tsv", "basic_val.tsv", "generated.json"];
    assert_eq!(fixture.listing("listops"), files);
    assert_eq!(read_json(&fixture.path("listops/generated.json")), made);
    let train_set = fs::read_to_string(fixture.path("listops/basic_train.tsv")).unwrap();
    assert_eq!(train_set.lines().count(), 1 + 8);

    let message = generate("2").refused(3);
    assert!(message.contains("already") && message.contains("listops/basic_"), "{message}");
    assert_eq!(fs::read_to_string(fixture.path("listops/basic_train.tsv")).unwrap(), train_set);

    // Symbols that a row has no room for are told, as those of texts are.
    write_config(&fixture, "listops", "listops", "listops");
    let mut dry_run =
        train(&fixture, "listops", "run", &["data.seq_len=8", "trainer.batch_size=20"]);
    dry_run.arg("--dry-run");
    let told = finish(dry_run).succeeded().stderr;
    let cut = "`8` of the `8` examples of the train split are longer than `data.seq_len` = `8`";
    assert!(told.contains(cut), "{told}");
    let repeated = "there are `8` training examples: each step reads every one of them `2.5` times";
    assert!(told.contains(repeated), "{told}");

    // Shorter ones, for a first lesson.
    let mut generate = command("generate");
    generate.args(["listops", "--output", &fixture.text("short"), "--max-depth", "2"]);
    generate.args(["--above-length", "4", "--below-length", "9"]);
    generate.args(["--train", "8", "--validation", "4", "--test", "3"]);
    let config = finish(generate).succeeded().json()["config"].clone();
    assert_eq!((&config["max_depth"], &config["below_length"]), (&json!(2), &json!(9)));
    for line in fs::read_to_string(fixture.path("short/basic_train.tsv")).unwrap().lines().skip(1) {
        let (expression, _) = line.split_once('\t').unwrap();
        let symbols = expression.split(' ').filter(|symbol| !matches!(*symbol, "(" | ")")).count();
        assert!((5..9).contains(&symbols) && expression.matches('[').count() == 1, "{expression}");
    }

    // The recipe that is shipped runs on them.
    let mut train = command("train");
    train.arg("configs/lra/paper/listops.toml").args(["--run-dir", &fixture.text("run")]);
    let path = format!("task.path={}", fixture.text("listops"));
    for setting in [&path, "trainer.max_steps=1", "trainer.batch_size=2"] {
        train.args(["--set", setting]);
    }
    finish(train).succeeded();
    let summary = read_json(&fixture.path("run/summary.json"));
    assert_eq!(summary["verdict"]["classes"]["test"]["labels"].as_array().unwrap().len(), 10);
}

#[test]
fn pictures_and_pairs_are_generated_once() {
    let fixture = Fixture::new();
    for (arguments, made, files) in [
        (
            &["pathfinder", "--examples", "10", "--dashes", "6"][..],
            json!(fixture.text("pathfinder/pathfinder32/curv_baseline")),
            "pathfinder32/curv_baseline/imgs/0/sample_9.png",
        ),
        (
            &["retrieval", "--train", "2", "--validation", "2", "--test", "2"],
            json!(fixture.text("retrieval")),
            "new_aan_pairs.eval.tsv",
        ),
    ] {
        let output = fixture.text(arguments[0]);
        let generate = || {
            let mut generate = command("generate");
            generate.args(arguments).args(["--output", &output]);
            finish(generate)
        };
        assert_eq!(generate().succeeded().json()["folder"], made);
        assert!(fixture.path(arguments[0]).join(files).is_file(), "{files}");
        let message = generate().refused(3);
        assert!(message.contains("already") && message.contains(&output), "{message}");
    }
    let mut generate = command("generate");
    generate.args(["pathfinder", "--dashes", "7", "--output", &fixture.text("other")]);
    let refused = finish(generate);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("6, 9 or 14"), "{}", refused.stderr);
}

/// `evaluate` and `predict choice` on the same rows agree, question by question.
#[test]
fn questions_are_predicted_as_they_are_evaluated() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    fs::create_dir(fixture.path("questions")).unwrap();
    let row = |number: usize| {
        let right = number % (2 + number % 2);
        let choice = |place| if place == right { "we sing" } else { "we weep" };
        let third = if number.is_multiple_of(2) { String::new() } else { choice(2).to_owned() };
        (
            format!(
                "{},all{},{},{},{third}\n",
                right + 1,
                " day".repeat(number % 5),
                choice(0),
                choice(1)
            ),
            right,
        )
    };
    for (part, numbers) in [("train", 0..30), ("validation", 30..42), ("test", 42..55)] {
        let rows: String = numbers.map(|number| row(number).0).collect();
        let path = fixture.path(&format!("questions/{part}.csv"));
        fs::write(path, format!("label,question,choice1,choice2,choice3\n{rows}")).unwrap();
    }
    write_config(&fixture, "questions", "choice", "questions");
    let trained = finish(train(&fixture, "questions", "run", &[])).succeeded();
    for part in [
        "prompt `question`, choices `choice1`, `choice2`, `choice3`, label `label`",
        "labels are numbers from 1",
    ] {
        assert!(trained.stderr.contains(part), "{}", trained.stderr);
    }
    let run = fixture.text("run");
    let mut evaluate = command("evaluate");
    evaluate.args(["--model", &run, "--split", "test"]);
    let measured = finish(evaluate).succeeded().json();
    assert_eq!(keys(&measured), ["accuracy", "examples", "loss", "split"]);

    let mut predict = command("predict");
    predict.args(["choice", "--model", &run, "--input-file", &fixture.text("questions/test.csv")]);
    let answers = finish(predict).succeeded().json_lines();
    let written = fs::read_to_string(fixture.path("run/predictions/test.jsonl")).unwrap();
    let written = written.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut correct = 0;
    for ((answer, written), number) in answers.iter().zip(written).zip(42..) {
        assert_eq!((&answer["choice"], &answer["label"]), (&written["choice"], &written["label"]));
        let gap = answer["score"].as_f64().unwrap() - written["score"].as_f64().unwrap();
        assert!(gap.abs() < 1e-5, "{answer} {written}");
        correct += usize::from(answer["choice"].as_u64() == Some(row(number).1 as u64));
    }
    assert_eq!(answers.len(), 13);
    assert_eq!(measured["accuracy"], json!(correct as f64 / 13.0));

    // The same questions without the task's columns, as anybody asks a model.
    let asked = (42..55).map(|number| {
        let right = row(number).1;
        let choices: Vec<&str> = (0..2 + number % 2)
            .map(|place| if place == right { "we sing" } else { "we weep" })
            .collect();
        json!({"prompt": format!("all{}", " day".repeat(number % 5)), "choices": choices})
    });
    let asked: Vec<String> = asked.map(|request| request.to_string()).collect();
    let mut predict = command("predict");
    predict.args(["choice", "--model", &run]);
    let asked = finish_with_stdin(predict, asked.join("\n").as_bytes()).succeeded().json_lines();
    for (answer, asked) in answers.iter().zip(&asked) {
        assert_eq!((&answer["choice"], &answer["label"]), (&asked["choice"], &asked["label"]));
    }
    assert_eq!(asked.len(), 13);
}
