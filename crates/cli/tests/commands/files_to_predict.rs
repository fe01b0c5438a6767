//! `predict --input-file`: what a file may be, and what is written of it.

use std::fs;

use serde_json::Value;

use crate::fixture::{Finished, Fixture, command, finish, read_json};
use crate::tasks::{prepare_tone, train};

fn predict(fixture: &Fixture, task: &str, file: &str, more: &[&str]) -> Finished {
    let mut predict = command("predict");
    predict.args([task, "--model", &fixture.text("run"), "--input-file", &fixture.text(file)]);
    finish({
        predict.args(more);
        predict
    })
}

/// A run that tells glad rows from sad ones.
fn of_tone() -> Fixture {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    finish(train(&fixture, "tone", "run", &[])).succeeded();
    fixture
}

/// Predictions need no labels, so one that nobody knows stops nothing; it is told once, and the others are scored.
#[test]
fn labels_that_cannot_be_read_are_none_and_the_others_are_scored() {
    let fixture = of_tone();
    let rows = ["we sing,glad", "we weep,angry", "we weep,", "we sing all day,9", "we weep,sad"];
    let write = |name: &str, rows: &[&str]| {
        fs::write(fixture.path(name), format!("sentence,label\n{}\n", rows.join("\n"))).unwrap();
    };
    write("new.csv", &rows);
    let texts: Vec<String> =
        rows.iter().map(|row| row.split(',').next().unwrap().to_owned() + ",").collect();
    write("bare.csv", &texts.iter().map(String::as_str).collect::<Vec<_>>());
    let found = predict(&fixture, "classify", "new.csv", &[]).succeeded();
    assert_eq!(found.json_lines().len(), 5);
    for part in [
        "`2` labels cannot be read",
        "`task.label`",
        "new.csv:3: ",
        "`angry`",
        "note: of the examples of the file `2` have a label: accuracy ",
    ] {
        assert_eq!(found.stderr.matches(part).count(), 1, "{part}: {}", found.stderr);
    }
    let bare = predict(&fixture, "classify", "bare.csv", &[]).succeeded();
    assert_eq!(bare.stdout, found.stdout);
    assert!(!bare.stderr.contains("label"), "{}", bare.stderr);
    // As data to measure on the same file is refused.
    fs::copy(fixture.path("new.csv"), fixture.path("data/test.csv")).unwrap();
    let mut evaluate = command("evaluate");
    evaluate.args(["--model", &fixture.text("run"), "--split", "test"]);
    assert!(finish(evaluate).refused(3).contains("test.csv:3: "));
}

/// A column for each class, of which the file to predict has some, or all but with words in them.
#[test]
fn label_columns_may_be_missing_or_hold_something_else() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    for (part, count) in [("train", 30), ("validation", 12), ("test", 9)] {
        let row = |number: usize| {
            let said = if number.is_multiple_of(3) { "weep,0,1" } else { "sing,1,0" };
            format!("we {said}\n")
        };
        let rows: String = (0..count).map(row).collect();
        fs::write(fixture.path(&format!("data/{part}.csv")), format!("sentence,glad,sad\n{rows}"))
            .unwrap();
    }
    finish(train(&fixture, "tone", "run", &["task.label=[\"glad\",\"sad\"]"])).succeeded();
    fs::write(fixture.path("some.csv"), "sad,sentence\n1,we weep\n0,we sing\n").unwrap();
    let found = predict(&fixture, "classify", "some.csv", &[]).succeeded();
    assert!(found.stderr.contains("there is no column `glad`"), "{}", found.stderr);
    fs::write(fixture.path("words.csv"), "sentence,glad,sad\nwe weep,,1\nwe sing,yes,perhaps\n")
        .unwrap();
    let words = predict(&fixture, "classify", "words.csv", &[]).succeeded();
    assert_eq!(words.stdout, found.stdout);
    assert!(words.stderr.contains("`2` labels cannot be read"), "{}", words.stderr);
}

/// Before anything is read: the files could not be.
#[test]
fn an_output_of_another_format_is_refused_before_anything_is_computed() {
    let fixture = of_tone();
    fs::copy(fixture.path("data/test.csv"), fixture.path("new.csv")).unwrap();
    fs::write(fixture.path("lines.txt"), "we sing\nwe weep\n").unwrap();
    let written = |file: &str, output: &str, more: &[&str]| {
        let output = fixture.text(output);
        let arguments = [&["--output", &output], more].concat();
        predict(&fixture, "classify", file, &arguments)
    };
    // By the task of the run, and by the pipeline, which reads lines of text and is asked for several classes.
    let lines = predict(&fixture, "classify", "new.csv", &[]).succeeded().json_lines();
    written("new.csv", "out.csv", &[]).succeeded();
    let table = fs::read_to_string(fixture.path("out.csv")).unwrap();
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!((rows.len(), rows[0]), (10, "index,label,score,scores.glad,scores.sad"));
    assert!(rows[1].starts_with(&format!("0,{},", lines[0]["label"].as_str().unwrap())));
    // What was written is a table as any other.
    fs::write(fixture.path("ids.csv"), "sentence,key\nwe sing,a\nwe weep,b\n").unwrap();
    written("ids.csv", "out.parquet", &["--set", "task.id=key"]).succeeded();
    let again = ["--set", "task.sentence1=label", "--set", "task.id=id"];
    let again = predict(&fixture, "classify", "out.parquet", &again).succeeded().json_lines();
    assert_eq!(
        again.iter().map(|line| line["id"].as_str().unwrap()).collect::<Vec<_>>(),
        ["a", "b"]
    );
    written("lines.txt", "lines.tsv", &[]).succeeded();
    let table = fs::read_to_string(fixture.path("lines.tsv")).unwrap();
    assert!(table.starts_with("label\tscore\n") && table.lines().count() == 3, "{table}");
    fs::write(fixture.path("new.csv"), "sentence,label\nwe,weep,sad\n").unwrap();
    fs::write(fixture.path("lines.txt"), b"we sing\xe9\n").unwrap();
    for file in ["new.csv", "lines.txt"] {
        written(file, "out.jsonl", &[]).refused(3);
    }
    for (file, output, more, formats) in [
        ("new.csv", "out.xlsx", &[][..], "`.csv`, `.jsonl`, `.parquet`, `.tsv`"),
        ("new.csv", "out.json", &[], "`.csv`, `.jsonl`, `.parquet`, `.tsv`"),
        ("lines.txt", "out.txt", &[], "`.csv`, `.jsonl`, `.parquet`, `.tsv`"),
        ("lines.txt", "out.csv", &["--top-k", "2"], "written as `.jsonl`;"),
    ] {
        let message = written(file, output, more).refused(2);
        assert!(
            message.contains(&format!("{output}`: ")) && message.contains(formats),
            "{message}"
        );
        assert!(!fixture.path(output).exists() || output == "out.csv");
    }
}

/// The command says what is asked for; the run's own task does not.
#[test]
fn a_model_of_another_head_is_refused() {
    let fixture = of_tone();
    fs::copy(fixture.path("data/test.csv"), fixture.path("new.csv")).unwrap();
    for (task, class) in [
        ("tokens", "TokenClassification"),
        ("qa", "QuestionAnswering"),
        ("choice", "MultipleChoice"),
    ] {
        let message = predict(&fixture, task, "new.csv", &[]).refused(4);
        assert!(message.contains(class), "{message}");
    }
}

/// A line of predictions for each row, whatever the row lacks.
#[test]
fn predictions_are_for_all_rows_in_their_order() {
    let fixture = of_tone();
    let rows = "{\"key\": \"a\", \"sentence\": \"we sing\"}\n{\"key\": \"a\", \"sentence\": null}\n{\"sentence\": \"we weep\"}\n";
    fs::write(fixture.path("new.jsonl"), rows).unwrap();
    let found = predict(&fixture, "classify", "new.jsonl", &[]).succeeded();
    let places: Vec<_> = found.json_lines().iter().map(|line| line["index"].clone()).collect();
    assert_eq!(places, [0, 1, 2]);
    for part in ["1 row with a text that is null", "the file `"] {
        assert!(found.stderr.contains(part), "{part}: {}", found.stderr);
    }
    let by_key = ["--set", "task.id=key"];
    let found = predict(&fixture, "classify", "new.jsonl", &by_key).succeeded();
    let ids: Vec<_> = found.json_lines().iter().map(|line| line["id"].clone()).collect();
    assert_eq!(ids, ["a".into(), "a".into(), Value::Null]);
    assert!(found.stderr.contains("`1` examples have the `id` of another"), "{}", found.stderr);
    // Without such a column rows are named by their place.
    fs::write(fixture.path("new.csv"), "sentence\nwe sing\n").unwrap();
    let found = predict(&fixture, "classify", "new.csv", &by_key).succeeded();
    assert_eq!(found.json()["index"], 0);
    assert!(found.stderr.contains("no column `key` (`task.id`)"), "{}", found.stderr);
}

#[test]
fn the_file_that_is_read_is_not_written_over() {
    let fixture = of_tone();
    let rows = "sentence,label\nwe sing,glad\n";
    fs::write(fixture.path("new.csv"), rows).unwrap();
    let output = ["--output", &fixture.text("./new.csv")];
    for more in [&output[..], &["--output", output[1], "--text-column", "sentence"]] {
        let message = predict(&fixture, "classify", "new.csv", more).refused(2);
        assert!(message.contains("is the file that is read"), "{message}");
    }
    assert_eq!(fs::read_to_string(fixture.path("new.csv")).unwrap(), rows);
}

/// Numbers are no classes of which examples could be missing.
#[test]
fn of_numbers_no_class_is_missing() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    for (part, count) in [("train", 30), ("validation", 12), ("test", 9)] {
        let row =
            |number: usize| format!("we sing{},{}.5\n", " all".repeat(number % 3), number % 3);
        let rows: String = (0..count).map(row).collect();
        fs::write(fixture.path(&format!("data/{part}.csv")), format!("sentence,label\n{rows}"))
            .unwrap();
    }
    let said = finish(train(&fixture, "tone", "run", &["task.regression=true"])).succeeded().stderr;
    assert!(!said.contains("of the class"), "{said}");
}

/// Hours of answers would be lost where there is no such folder: it is made, or refused before a model is read.
#[test]
fn the_folder_of_an_output_is_made_or_refused_before_anything_is_computed() {
    let fixture = of_tone();
    fs::copy(fixture.path("data/test.csv"), fixture.path("new.csv")).unwrap();
    fs::write(fixture.path("lines.txt"), "we sing\nwe weep\n").unwrap();
    for (file, output, rows) in [("new.csv", "a/b/out.csv", 10), ("lines.txt", "c/d/out.jsonl", 2)]
    {
        let output = fixture.text(output);
        predict(&fixture, "classify", file, &["--output", &output]).succeeded();
        assert_eq!(fs::read_to_string(&output).unwrap().lines().count(), rows, "{output}");
    }
    // A file stands where the folder is to be.
    let nowhere = fixture.text("new.csv/out");
    let message = predict(&fixture, "classify", "new.csv", &["--output", &nowhere]).refused(7);
    assert!(
        message.contains(&format!("`--output {nowhere}`: no file can be written there")),
        "{message}"
    );
    let gone = fixture.text("gone");
    for arguments in [
        &[
            "predict",
            "fill-mask",
            "--model",
            &gone,
            "--input-file",
            &fixture.text("lines.txt"),
            "--output",
            &nowhere,
        ][..],
        &["predict", "attention", "--model", &gone, "--html", &nowhere, "we sing"],
        &["predict", "features", "--model", &gone, "--input", &gone, "--output", &nowhere],
        &[
            "predict",
            "glue",
            "--model",
            &format!("sst2={gone}"),
            "--output",
            &format!("{nowhere}.zip"),
        ],
        &["report", &gone, "--output", &nowhere],
    ] {
        let mut command = command(arguments[0]);
        command.args(&arguments[1..]);
        let message = finish(command).refused(7);
        assert!(message.contains("no file can be written there, name another"), "{message}");
    }
    let folder = predict(&fixture, "classify", "new.csv", &["--output", &fixture.text("data")]);
    assert!(folder.refused(2).contains("it is a folder"));
}

/// An option that the task does not answer is the pipeline's to answer, and what is then not read is refused.
#[test]
fn no_option_is_dropped_without_a_word() {
    let fixture = of_tone();
    fs::copy(fixture.path("data/test.csv"), fixture.path("new.csv")).unwrap();
    let lines =
        predict(&fixture, "classify", "new.csv", &["--top-k", "2"]).succeeded().json_lines();
    assert_eq!(lines.len(), 9);
    assert!(lines.iter().all(|line| line.as_array().is_some_and(|classes| classes.len() == 2)));
    for more in [&["--top-k", "2"][..], &["--text-column", "sentence"]] {
        let arguments = [more, &["--set", "task.sentence1=zzz"]].concat();
        let message = predict(&fixture, "classify", "new.csv", &arguments).refused(2);
        assert!(message.contains("`--set task.sentence1=zzz` is not read"), "{message}");
    }
    let message =
        predict(&fixture, "features", "new.csv", &["--set", "task.sentence1=zzz"]).refused(2);
    assert!(message.contains("is not read"), "{message}");
}

/// An option that the pipeline answers changes nothing of which columns are read, and how.
#[test]
fn the_pipeline_is_asked_what_the_task_reads() {
    for (settings, header, of_both, of_one) in [
        // Another column has a usual name.
        (
            &["task.sentence1=title"][..],
            "title,label\n",
            "text,title\nwe weep all day,we sing\nwe sing,we weep\n",
            "title\nwe sing\nwe weep\n",
        ),
        // The run reads one text of what looks like a pair.
        (
            &["task.sentence1=premise"],
            "premise,label\n",
            "premise,hypothesis\nwe sing,we weep\nwe weep,all day\n",
            "premise\nwe sing\nwe weep\n",
        ),
        // The first row is one.
        (
            &["task.header=false", "task.sentence1=0", "task.label=1"],
            "",
            "we sing\nwe weep\n",
            "we sing\nwe weep\n",
        ),
    ] {
        let fixture = Fixture::new();
        prepare_tone(&fixture);
        for part in ["train", "validation", "test"] {
            let path = fixture.path(&format!("data/{part}.csv"));
            let table = fs::read_to_string(&path).unwrap();
            fs::write(path, table.replace("sentence,label\n", header)).unwrap();
        }
        let settings = [settings, &["optimizer.learning_rate=0.01"]].concat();
        finish(train(&fixture, "tone", "run", &settings)).succeeded();
        fs::write(fixture.path("both.csv"), of_both).unwrap();
        fs::write(fixture.path("one.csv"), of_one).unwrap();
        let score = |line: &Value, class: &str| {
            let found = line.as_array().unwrap().iter().find(|found| found["label"] == class);
            found.unwrap()["score"].as_f64().unwrap()
        };
        let expected = predict(&fixture, "classify", "one.csv", &[]).succeeded().json_lines();
        let scores: Vec<f64> =
            expected.iter().map(|line| line["scores"]["glad"].as_f64().unwrap()).collect();
        assert!(scores.len() == 2 && (scores[0] - scores[1]).abs() > 1e-3, "{scores:?}");
        for file in ["both.csv", "one.csv"] {
            let found = predict(&fixture, "classify", file, &["--top-k", "2"]).succeeded();
            let found: Vec<f64> =
                found.json_lines().iter().map(|line| score(line, "glad")).collect();
            assert_eq!(found.len(), 2, "{file}");
            for (found, expected) in found.iter().zip(&scores) {
                assert!((found - expected).abs() < 1e-4, "{file}: {found} {expected}");
            }
        }
    }
}

/// `evaluate` would choose thresholds on the validation split; there is none here, and so it is said what is taken.
#[test]
fn thresholds_that_no_run_has_chosen_are_told_and_chosen_ones_are_exported() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    for (part, count) in [("train", 30), ("validation", 12), ("test", 9)] {
        let row = |number: usize| {
            if number.is_multiple_of(3) { "we weep,0,1\n" } else { "we sing,1,0\n" }
        };
        let rows: String = (0..count).map(row).collect();
        fs::write(fixture.path(&format!("data/{part}.csv")), format!("sentence,glad,sad\n{rows}"))
            .unwrap();
    }
    // A mean is nothing that transformers could export.
    let settings = ["task.label=[\"glad\",\"sad\"]", "model.pooling=first"];
    finish(train(&fixture, "tone", "run", &settings)).succeeded();
    fs::write(fixture.path("new.csv"), "sentence\nwe weep\nwe sing\n").unwrap();
    let told = |more: &[&str]| {
        let stderr = predict(&fixture, "classify", "new.csv", more).succeeded().stderr;
        stderr.matches("no run has chosen thresholds for this model: `0.5` is taken; `--set task.threshold=…`").count()
    };
    assert_eq!(told(&[]), 0);
    let mut export = command("export");
    export.args(["--model", &fixture.text("run"), "--output", &fixture.text("exported")]);
    finish(export).succeeded();
    let card = fs::read_to_string(fixture.path("exported/README.md")).unwrap();
    assert!(card.contains("| threshold | |\n|---|---|\n| glad | 0."), "{card}");
    // As a run that was stopped, whose model nobody has chosen thresholds for.
    fs::remove_file(fixture.path("run/summary.json")).unwrap();
    assert_eq!((told(&[]), told(&["--set", "task.threshold=0.3"])), (1, 0));
}

/// What a run chose decides on other rows too, as it does where these are predicted; only a model that has nothing chosen is measured
/// by what suits the rows best, and that is said.
#[test]
fn other_rows_to_validate_on_choose_no_thresholds_where_a_run_has() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    let write = |name: &str, count: usize, sing: &str, weep: &str| {
        let row = |number: usize| {
            let said = if number.is_multiple_of(3) { ("weep", weep) } else { ("sing", sing) };
            format!("we {},{}\n", said.0, said.1)
        };
        let rows: String = (0..count).map(row).collect();
        fs::write(fixture.path(name), format!("sentence,glad,sad\n{rows}")).unwrap();
    };
    for (part, count) in [("train", 30), ("validation", 12), ("test", 9)] {
        write(&format!("data/{part}.csv"), count, "1,0", "0,1");
    }
    // Whatever the model learnt suits these labels the less.
    fs::create_dir(fixture.path("other")).unwrap();
    for part in ["train", "validation"] {
        write(&format!("other/{part}.csv"), 12, "0,1", "1,0");
    }
    finish(train(&fixture, "tone", "run", &["task.label=[\"glad\",\"sad\"]"])).succeeded();
    let evaluate = |settings: &[&str]| {
        let mut evaluate = command("evaluate");
        evaluate.args(["--model", &fixture.text("run")]);
        evaluate.args(settings.iter().flat_map(|setting| ["--set", setting]));
        finish(evaluate).succeeded()
    };
    let other = format!("task.path={}", fixture.text("other"));
    let told = |found: &Finished| found.stderr.matches("no run has chosen thresholds").count();
    let (own, by_run) = (evaluate(&[]), evaluate(&[&other]));
    assert_eq!((told(&own), told(&by_run)), (0, 0), "{}{}", own.stderr, by_run.stderr);
    let summary = read_json(&fixture.path("run/summary.json"));
    let of_run = &summary["verdict"]["evaluations"]["validation"];
    let predicted = predict(&fixture, "classify", "other/validation.csv", &[]).succeeded().stderr;
    for name in ["f1_micro", "f1_macro"] {
        assert_eq!(own.json()[name], of_run[name], "{summary}");
        let score = format!("{name} {:.4}", by_run.json()[name].as_f64().unwrap());
        assert!(predicted.contains(&score), "{score}: {predicted}");
    }
    // As a run that was stopped.
    fs::remove_file(fixture.path("run/summary.json")).unwrap();
    let by_rows = evaluate(&[&other]);
    assert_eq!(told(&by_rows), 1, "{}", by_rows.stderr);
    let score = |found: &Finished| found.json()["f1_macro"].as_f64().unwrap();
    assert!(score(&by_rows) > score(&by_run), "{} {}", by_rows.stdout, by_run.stdout);
    assert_eq!(told(&evaluate(&[&other, "task.threshold=0.3"])), 0);
}

/// Under transformers' semantics an answer depends on what is computed with it, so that only batches of the run's size give the
/// answers of the run.
#[test]
fn a_file_is_answered_in_batches_of_the_runs_size() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    let settings = [
        "model.semantics=hf",
        "model.segment_means_seq_len=32",
        "model.pinv_init=original",
        "model.num_landmarks=4",
        "model.initializer_range=0.5",
        "model.pooling=first",
        "trainer.micro_batch_size=1",
    ];
    finish(train(&fixture, "tone", "run", &settings)).succeeded();
    let of_run = fs::read_to_string(fixture.path("run/predictions/test.jsonl")).unwrap();
    let answers =
        |more: &[&str]| predict(&fixture, "classify", "data/test.csv", more).succeeded().stdout;
    assert_eq!(answers(&[]), of_run);
    assert_ne!(answers(&["--batch-size", "8"]), of_run);
}

/// Bytes of Latin-1 are read where they are said to be such, by the task and by the pipeline; else the message names the option.
#[test]
fn the_encoding_of_a_file_can_be_told() {
    let fixture = of_tone();
    for name in ["new.csv", "new.txt"] {
        let header: &[u8] = if name == "new.csv" { b"sentence\n" } else { b"" };
        fs::write(fixture.path(name), [header, b"we sing caf\xe9\n"].concat()).unwrap();
        let told = predict(&fixture, "classify", name, &["--encoding", "latin-1"]).succeeded();
        assert_eq!(told.json_lines().len(), 1, "{name}");
        let untold = predict(&fixture, "classify", name, &[]).refused(3);
        let option = if name == "new.txt" {
            "`--encoding latin-1`"
        } else {
            "`task.encoding = \"latin-1\"`"
        };
        assert!(untold.contains(option), "{untold}");
    }
}

/// A task of GLUE has no keys for how tables are written, and reads no single files: the pipeline is told then.
#[test]
fn how_a_table_is_written_is_told_to_whoever_reads_it() {
    let fixture = of_tone();
    fs::write(fixture.path("new.csv"), "sentence;label\n\"we sing;glad\nwe weep;sad\n").unwrap();
    let so = ["--separator", ";", "--quotes", "none"];
    let by_task = predict(&fixture, "classify", "new.csv", &so).succeeded();
    let places: Vec<_> = by_task.json_lines().iter().map(|line| line["index"].clone()).collect();
    assert_eq!(places, [0, 1]);
    assert!(by_task.stderr.contains("file `2` have a label"), "{}", by_task.stderr);

    let fixture = Fixture::new();
    prepare_tone(&fixture);
    fs::create_dir_all(fixture.path("glue/SST-2")).unwrap();
    for part in ["train", "dev"] {
        let rows = "we sing\t1\nwe weep\t0\n".repeat(6);
        fs::write(
            fixture.path(&format!("glue/SST-2/{part}.tsv")),
            format!("sentence\tlabel\n{rows}"),
        )
        .unwrap();
    }
    let config = fs::read_to_string(fixture.path("tone.toml")).unwrap();
    let config = config
        .replace("name = \"labelled\"", "name = \"sst2\"")
        .replace(&fixture.text("data"), &fixture.text("glue"));
    fs::write(fixture.path("sst2.toml"), config).unwrap();
    finish(train(&fixture, "sst2", "run", &[])).succeeded();
    fs::write(fixture.path("new.csv"), "sentence;mood\n\"we sing;a\nwe weep;b\n").unwrap();
    let by_pipeline = predict(&fixture, "classify", "new.csv", &so).succeeded();
    let mut texts = command("predict");
    texts.args(["classify", "--model", &fixture.text("run"), "\"we sing", "we weep"]);
    assert_eq!(by_pipeline.stdout, finish(texts).succeeded().stdout);
}
