//! `train`, `evaluate` and `predict attention` on bags of feature vectors, good and malformed.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::fixture::{Fixture, command, finish, metrics, read_json};

const MODEL: &str = "seed = 3\n\
    [model]\nhidden_size = 16\nnum_hidden_layers = 1\nnum_attention_heads = 2\nintermediate_size = 32\n\
    num_landmarks = 4\nconv_kernel_size = 3\nhidden_dropout_prob = 0.0\nweight_init = \"kaiming_uniform\"\n\
    [data]\nseq_len = 64\n[optimizer]\nlearning_rate = 5e-3\n\
    [trainer]\nmax_steps = 4\nbatch_size = 6\nmicro_batch_size = 1\neval_every = 2\neval_examples = 0\n";

/// A file as NumPy writes a table of numbers.
fn npy(path: &Path, width: usize, numbers: &[f64]) {
    let shape = format!("({}, {width})", numbers.len() / width);
    let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    fs::write(path, bytes).unwrap();
}

/// Bag `number`: its vectors of 3 features, and whether one of them is large.
fn bag(number: usize) -> (Vec<f64>, bool) {
    let size = 1 + number * 7 % 13;
    let mut numbers: Vec<f64> =
        (0..3 * size).map(|place| ((number * 31 + place) as f64 * 0.83).sin()).collect();
    let is_positive = number.is_multiple_of(2);
    if is_positive {
        numbers[3 * (number % size)] = 40.0;
    }
    (numbers, is_positive)
}

/// A folder with 36 bags in files, a table of their labels, and `bags.toml` for them.
fn prepare(fixture: &Fixture, settings: &str) {
    let folder = fixture.path("bags");
    fs::create_dir_all(folder.join("files")).unwrap();
    let mut table = "id,label,split\n".to_owned();
    for number in 0..36 {
        let (numbers, is_positive) = bag(number);
        npy(&folder.join(format!("files/{number}.npy")), 3, &numbers);
        let split = ["train", "train", "train", "train", "val", "test"][number % 36 / 6];
        let label = if is_positive { "large" } else { "small" };
        let _ = writeln!(table, "files/{number},{label},{split}");
    }
    fs::write(folder.join("labels.csv"), table).unwrap();
    write_config(fixture, "bags", &format!("path = \"{}\"\n{settings}", fixture.text("bags")));
}

fn write_config(fixture: &Fixture, name: &str, task: &str) {
    let config = format!("{MODEL}[task]\nname = \"bags\"\n{task}");
    fs::write(fixture.path(&format!("{name}.toml")), config).unwrap();
}

fn train(fixture: &Fixture, config: &str, run: &str, settings: &[&str]) -> Command {
    let mut train = command("train");
    train.arg(fixture.text(&format!("{config}.toml"))).args(["--run-dir", &fixture.text(run)]);
    train.args(settings.iter().flat_map(|setting| ["--set", setting]));
    train
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn bags_in_files_are_trained_on_measured_predicted_and_looked_at() {
    let fixture = Fixture::new();
    prepare(&fixture, "standardize_features = true\n");
    let steps = ["trainer.max_steps=60", "trainer.eval_every=20"];
    let trained = finish(train(&fixture, "bags", "run", &steps)).succeeded();
    assert!(trained.stderr.contains("float64, and are read as float32"), "{}", trained.stderr);
    let run = fixture.path("run");
    let summary = read_json(&run.join("summary.json"));
    let of_test = &summary["verdict"]["evaluations"]["test"];
    assert_eq!(of_test["accuracy"], 1.0, "{summary}");

    // What the data says is part of the model, wherever it goes.
    let checkpoint = fs::read_dir(run.join("checkpoints")).unwrap().next().unwrap().unwrap().path();
    let config = read_json(&checkpoint.join("config.json"));
    assert_eq!(
        (&config["num_features"], &config["use_cls_token"]),
        (&Value::from(3), &Value::from(true))
    );
    assert_eq!(config["feature_mean"].as_array().unwrap().len(), 3);
    assert!(config["feature_std"][0].as_f64().unwrap() > 2.0, "{config}");

    let mut evaluate = command("evaluate");
    evaluate.args(["--model", &fixture.text("run"), "--split", "test"]);
    let evaluated = finish(evaluate).succeeded();
    assert!(!evaluated.stderr.contains("warning"), "{}", evaluated.stderr);
    assert_eq!(evaluated.json()["loss"], of_test["loss"]);

    let predictions = fs::read_to_string(run.join("predictions/test.jsonl")).unwrap();
    let predictions = lines(&predictions);
    assert_eq!(predictions.len(), 6);
    assert_eq!(
        (&predictions[0]["id"], &predictions[0]["label"]),
        (&Value::from("files/30"), &Value::from("large"))
    );

    let mut export = command("export");
    export.args(["--model", &fixture.text("run"), "--output", &fixture.text("exported")]);
    let message = finish(export).refused(4);
    assert!(
        message.contains("num_features = `3`") && message.contains("no such model"),
        "{message}"
    );

    let attention = |file: &str, further: &[&str]| {
        let mut attention = command("predict");
        attention.args([
            "attention",
            "--model",
            &fixture.text("run"),
            "--input-file",
            &fixture.text(file),
        ]);
        attention.args(further);
        finish(attention)
    };
    let page = fixture.text("maps.html");
    let maps = lines(&attention("bags/labels.csv", &["--html", &page]).succeeded().stdout);
    assert_eq!(maps.len(), 36);
    for (number, map) in maps.iter().enumerate() {
        let size = bag(number).0.len() / 3;
        assert_eq!(map["id"], format!("files/{number}"));
        assert_eq!(map["instances"], size);
        let layer = &map["attention"][0];
        assert_eq!(
            (layer["heads"].as_array().unwrap().len(), &layer["layer"]),
            (2, &Value::from(0))
        );
        for head in 0..2 {
            let weights = layer["heads"][head].as_array().unwrap();
            assert_eq!(weights.len(), size);
            let all: f64 = weights.iter().map(|weight| weight.as_f64().unwrap()).sum();
            let all = all + layer["class_token"][head].as_f64().unwrap();
            assert!((all - 1.0).abs() < 0.1, "{number}: {all}");
        }
    }
    let html = fs::read_to_string(fixture.path("maps.html")).unwrap();
    assert_eq!(html.matches("<canvas").count(), 36);
    let mut classify = command("predict");
    classify.args([
        "classify",
        "--model",
        &fixture.text("run"),
        "--input-file",
        &fixture.text("bags/labels.csv"),
    ]);
    let answered = lines(&finish(classify).succeeded().stdout);
    assert_eq!(answered.len(), 36);
    for (answered, predicted) in answered[30..].iter().zip(&predictions) {
        assert_eq!((&answered["id"], &answered["label"]), (&predicted["id"], &predicted["label"]));
        // Other batches may round differently.
        let difference = answered["score"].as_f64().unwrap() - predicted["score"].as_f64().unwrap();
        assert!(difference.abs() < 1e-6, "`evaluate` and `predict` agree row by row: {answered}");
    }
    let one = lines(&attention("bags/files/4.npy", &["--layer", "0"]).succeeded().stdout);
    assert_eq!((&one[0]["id"], &one[0]["attention"]), (&Value::from("4"), &maps[4]["attention"]));
    let message = attention("bags/files/4.npy", &["--layer", "1"]).refused(2);
    assert!(message.contains("`--layer 1`"), "{message}");
    npy(&fixture.path("wide.npy"), 4, &[0.0; 8]);
    let mut classify = command("predict");
    classify.args(["classify", "--model", &fixture.text("run")]);
    classify.args(["--input-file", &fixture.text("wide.npy")]);
    for message in [attention("wide.npy", &[]).refused(3), finish(classify).refused(3)] {
        let part = "wide.npy`: its vectors have `4` features, and the model reads `3`";
        assert!(message.contains(part), "{message}");
    }
    // Measured on bags of another width.
    npy(&fixture.path("bags/files/24.npy"), 4, &[0.0; 8]);
    let mut evaluate = command("evaluate");
    evaluate.args(["--model", &fixture.text("run")]);
    let message = finish(evaluate).refused(3);
    assert!(message.contains("24.npy`: its vectors have `4` features"), "{message}");
}

/// A map of vectors that the prediction never read would explain nothing.
#[test]
fn attention_is_shown_of_what_the_run_reads_of_a_bag() {
    let fixture = Fixture::new();
    prepare(&fixture, "truncation = \"tail\"\n");
    finish(train(&fixture, "bags", "run", &["data.seq_len=8"])).succeeded();
    let attention = |file: &str| {
        let mut attention = command("predict");
        attention.args(["attention", "--model", &fixture.text("run")]);
        attention.args(["--input-file", &fixture.text(file)]);
        finish(attention).succeeded()
    };
    let numbers = bag(12).0;
    assert_eq!(numbers.len() / 3, 7);
    let twice = [numbers.as_slice(), &numbers].concat();
    npy(&fixture.path("whole.npy"), 3, &twice);
    npy(&fixture.path("end.npy"), 3, &twice[3 * 6..]);
    let (whole, end) = (attention("whole.npy"), attention("end.npy"));
    assert_eq!(whole.json()["instances"], 8);
    assert_eq!(whole.json()["attention"], end.json()["attention"]);
    let told = "are longer than `data.seq_len` = `8` vectors: the end of each is read";
    for part in ["`1` of the `1` bags of `", told] {
        assert_eq!(whole.stderr.matches(part).count(), 1, "{part}: {}", whole.stderr);
    }
    assert!(!end.stderr.contains("data.seq_len"), "{}", end.stderr);
}

/// One bag a micro-batch, and several that are padded: the same steps, since padding takes no part.
#[test]
fn the_size_of_a_micro_batch_changes_no_step() {
    let fixture = Fixture::new();
    prepare(&fixture, "");
    let losses = |run: &str, size: &str| -> Vec<f64> {
        finish(train(&fixture, "bags", run, &[size])).succeeded();
        let metrics = metrics(&fixture.path(run));
        let steps = metrics.iter().filter(|record| record["split"] == "train");
        steps.map(|record| record["loss"].as_f64().unwrap()).collect()
    };
    let alone = losses("alone", "trainer.micro_batch_size=1");
    let padded = losses("padded", "trainer.micro_batch_size=6");
    assert_eq!(alone.len(), 4);
    for (alone, padded) in alone.iter().zip(&padded) {
        assert!((alone - padded).abs() < 1e-4 * alone, "{alone} {padded}");
    }
}

#[test]
fn a_table_of_vectors_is_trained_on_and_pooled_by_attention() {
    let fixture = Fixture::new();
    let mut table = String::new();
    for number in 0..30 {
        let (numbers, is_positive) = bag(number);
        for (place, vector) in numbers.chunks(3).enumerate() {
            let [a, b, c] = vector else { panic!("three features") };
            let _ = writeln!(
                table,
                "M{number},M{number}_{place},{a},{b},{c},{}.",
                u8::from(is_positive)
            );
        }
    }
    fs::write(fixture.path("tilde.csv"), table.replace(',', "~")).unwrap();
    fs::write(fixture.path("musk.data"), table).unwrap();
    let path = fixture.text("musk.data");
    let task = format!(
        "path = \"{path}\"\nheader = false\nremove_columns = [1]\nlabel = 5\nlabels = [\"0.\", \"1.\"]\n\
         standardize_features = true\nvalidation_fraction = 0.2\n"
    );
    write_config(&fixture, "musk", &task);
    let settings = ["model.num_hidden_layers=0", "model.pooling=attention", "trainer.max_steps=40"];
    finish(train(&fixture, "musk", "run", &settings)).succeeded();
    let mut attention = command("predict");
    attention.args(["attention", "--model", &fixture.text("run"), "--input-file", &path]);
    let maps = lines(&finish(attention).succeeded().stdout);
    assert_eq!(maps.len(), 30);
    let mut attention = command("predict");
    attention.args(["attention", "--model", &fixture.text("run"), "--separator", "~"]);
    attention.args(["--input-file", &fixture.text("tilde.csv")]);
    assert_eq!(lines(&finish(attention).succeeded().stdout), maps);
    assert_eq!(maps[3]["attention"], serde_json::json!([]));
    assert_eq!(maps[3]["pooling"].as_array().unwrap().len(), bag(3).0.len() / 3);
    let message =
        finish(train(&fixture, "musk", "none", &["model.num_hidden_layers=0"])).refused(2);
    assert!(message.contains("model.num_hidden_layers"), "{message}");
}

/// The same bags in a table with the columns in another order, and elsewhere than the model was trained.
#[test]
fn a_table_of_vectors_is_read_by_the_names_of_its_columns() {
    let fixture = Fixture::new();
    let write = |name: &str, order: &[&str], further: &str| {
        let mut table = format!("{}{further}\n", order.join(","));
        for number in 0..24 {
            let (numbers, is_positive) = bag(number);
            for vector in numbers.chunks(3) {
                let value = |column: &&str| match *column {
                    "bag" => format!("M{number}"),
                    "label" => u8::from(is_positive).to_string(),
                    feature => vector[usize::from(feature.as_bytes()[0] - b'a')].to_string(),
                };
                let cells: Vec<String> = order.iter().map(value).collect();
                let rest = if further.is_empty() { "" } else { ",0" };
                let _ = writeln!(table, "{}{rest}", cells.join(","));
            }
        }
        fs::write(fixture.path(name), table).unwrap();
    };
    write("train.csv", &["bag", "a", "b", "c", "label"], "");
    let path = fixture.text("train.csv");
    write_config(&fixture, "table", &format!("path = \"{path}\"\nstandardize_features = true\n"));
    finish(train(&fixture, "table", "run", &["trainer.max_steps=12"])).succeeded();
    let predict = |name: &str, settings: &[&str]| {
        let mut predict = command("predict");
        predict.args(["classify", "--model", &fixture.text("run")]);
        predict.args(["--input-file", &fixture.text(name)]);
        predict.args(settings.iter().flat_map(|setting| ["--set", setting]));
        finish(predict)
    };
    let expected = predict("train.csv", &[]).succeeded().stdout;
    assert_eq!(expected.lines().count(), 24);
    write("other.csv", &["c", "bag", "label", "a", "b"], "");
    assert_eq!(predict("other.csv", &[]).succeeded().stdout, expected);
    let measured = |settings: &[String]| {
        let mut evaluate = command("evaluate");
        evaluate.args(["--model", &fixture.text("run")]);
        evaluate.args(settings.iter().flat_map(|setting| ["--set", setting]));
        finish(evaluate).succeeded().json()
    };
    let elsewhere = format!("task.path={}", fixture.text("other.csv"));
    assert_eq!(measured(&[elsewhere]), measured(&[]));

    fs::rename(fixture.path("train.csv"), fixture.path("moved.csv")).unwrap();
    assert_eq!(predict("other.csv", &[]).succeeded().stdout, expected);
    write("other.csv", &["bag", "a", "c"], "");
    let message = predict("other.csv", &[]).refused(3);
    assert!(message.contains("other.csv:1: it lacks features of the model: `b`"), "{message}");
    write("other.csv", &["bag", "a", "b", "c"], ",d");
    let message = predict("other.csv", &[]).refused(3);
    assert!(message.contains("`d`") && message.contains("`task.remove_columns`"), "{message}");
    let removed = predict("other.csv", &["task.remove_columns=[\"d\"]"]).succeeded();
    assert_eq!(removed.stdout, expected);
}

#[test]
fn what_cannot_be_used_is_told_with_its_place_and_exits_with_three() {
    let fixture = Fixture::new();
    prepare(&fixture, "");
    let labels = fixture.path("bags/labels.csv");
    let intact = fs::read_to_string(&labels).unwrap();
    let mut runs = 0;
    // Each in a folder of its own: some begin before they meet what is wrong.
    let mut refused = |settings: &[&str], code| {
        runs += 1;
        finish(train(&fixture, "bags", &format!("run-{runs}"), settings)).refused(code)
    };
    for (from, to, part) in [
        ("files/7,", "files/none,", "labels.csv:9: no file `files/none`"),
        ("files/7,small,val", "files/7,small,later", "labels.csv:9: `split` is `later`"),
        ("files/7,small", "files/7,", "labels.csv:9: the bag has no label"),
        ("files/7,", "files/6,", "labels.csv:9: the bag `files/6` is in line 8 too"),
        ("id,label", "name,label", "labels.csv:1: no column `id` or `bag`"),
    ] {
        let (from, to) = (from.replace(",val", ",train"), to.replace(",val", ",train"));
        assert!(intact.contains(&from), "{from}");
        fs::write(&labels, intact.replacen(&from, &to, 1)).unwrap();
        let message = refused(&[], 3);
        assert!(message.contains(part), "{message}");
    }
    fs::write(&labels, &intact).unwrap();
    let file = fixture.path("bags/files/7.npy");
    let whole = fs::read(&file).unwrap();
    npy(&file, 2, &[0.0; 4]);
    assert!(refused(&[], 3).contains("7.npy`: its vectors have `2` features"), "width");
    npy(&file, 3, &[0.0, f64::INFINITY, 0.0]);
    let message = refused(&["trainer.max_steps=6"], 3);
    assert!(message.contains("7.npy`: `inf` in row 1, column 2"), "{message}");
    fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    assert!(refused(&[], 3).contains("7.npy`: it is damaged"), "cut");
    fs::write(&file, &whole).unwrap();
    let of_test = fixture.path("bags/files/31.npy");
    let whole = fs::read(&of_test).unwrap();
    npy(&of_test, 2, &[0.0; 4]);
    let message = refused(&[], 3);
    for part in ["31.npy`: its vectors have `2` features", "that are trained on have `3`"] {
        assert!(message.contains(part), "{message}");
    }
    fs::write(&of_test, &whole).unwrap();

    // What is longer than rows may be is cut, and what no row names is left, both by number.
    npy(&fixture.path("bags/files/more.npy"), 3, &[0.0; 3]);
    let cut = finish(train(&fixture, "bags", "cut", &["data.seq_len=8"])).succeeded();
    for part in ["are longer than `data.seq_len` = `8`", "`1` files of vectors are in no row"] {
        assert!(cut.stderr.contains(part), "{part}: {}", cut.stderr);
    }
    let message = refused(&["model.num_features=4"], 2);
    assert!(message.contains("`model.num_features` is `4`"), "{message}");
    let message =
        refused(&["model.vector_positions=learned", "model.max_position_embeddings=9"], 2);
    assert!(message.contains("`data.seq_len`"), "{message}");
    assert!(refused(&["task.id=3"], 2).contains("task.id"));

    fs::remove_file(&labels).unwrap();
    assert!(refused(&[], 3).contains("no table of labels"));
}
