//! Text in three forms, tokenizers from files, and `prepare`.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use parquet::{
    data_type::{ByteArray, ByteArrayType},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use serde_json::{Value, json};

use crate::workshop::{
    PREPARE, Workshop, documents, finish, keys, metrics_without_times, read_json,
};

/// One document a file, over two folders.
fn write_text(folder: &Path, documents: &[String]) {
    for (index, document) in documents.iter().enumerate() {
        let part = folder.join(format!("part-{}", index / 20));
        fs::create_dir_all(&part).unwrap();
        fs::write(part.join(format!("{index:03}.txt")), document).unwrap();
    }
}

/// One document a line, over two files, among other keys.
fn write_json_lines(folder: &Path, documents: &[String]) {
    fs::create_dir(folder).unwrap();
    for (part, documents) in documents.chunks(20).enumerate() {
        let lines: Vec<String> = documents
            .iter()
            .map(|document| {
                json!({"id": part, "text": document, "tags": ["a", {"b": 1}]}).to_string()
            })
            .collect();
        fs::write(folder.join(format!("{part}.jsonl")), lines.join("\n")).unwrap();
    }
}

/// One document a row, in row groups of seven.
fn write_parquet(folder: &Path, documents: &[String]) {
    fs::create_dir(folder).unwrap();
    let schema = parse_message_type("message rows { required binary text (UTF8); }").unwrap();
    let file = fs::File::create(folder.join("rows.parquet")).unwrap();
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), properties).unwrap();
    for group in documents.chunks(7) {
        let values: Vec<ByteArray> = group.iter().map(|text| text.as_str().into()).collect();
        let mut rows = writer.next_row_group().unwrap();
        let mut column = rows.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
        column.close().unwrap();
        rows.close().unwrap();
    }
    writer.close().unwrap();
}

#[test]
fn the_same_documents_train_alike_in_all_three_forms() {
    let workshop = Workshop::new();
    let documents = documents(50);
    write_text(&workshop.path("text"), &documents);
    write_json_lines(&workshop.path("json"), &documents);
    write_parquet(&workshop.path("parquet"), &documents);
    let runs = ["text", "json", "parquet"].map(|form| {
        let run = format!("run-{form}");
        let corpus = format!("data.corpus={}", workshop.text(form));
        finish(workshop.train(&run, &[&corpus, "data.document=file"])).succeeded();
        metrics_without_times(&workshop.path(&run))
    });
    assert_eq!(runs[0], runs[1]);
    assert_eq!(runs[0], runs[2]);
}

#[test]
fn trainers_that_fill_one_cache_at_once_do_not_disturb_each_other() {
    let workshop = Workshop::new();
    let runs = ["first", "second", "third"];
    let children = runs.map(|run| workshop.start(workshop.train(run, &[]), &format!("{run}.log")));
    for (run, mut child) in runs.into_iter().zip(children) {
        let log = || fs::read_to_string(workshop.path(&format!("{run}.log"))).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{}", log());
    }
    let [first, second, third] = runs.map(|run| metrics_without_times(&workshop.path(run)));
    assert!(first == second && first == third);
}

#[test]
fn a_tokenizer_given_by_path_trains_as_the_one_it_was_saved_from() {
    let workshop = Workshop::new();
    let saved = workshop.text("tokenizer");
    let arguments = ["configs/tiny/mlm.toml", "--save-tokenizer", &saved];
    finish(workshop.on_tiny(PREPARE, &arguments, &[])).succeeded();
    let json = workshop.path("tokenizer/tokenizer.json");
    // BERT's older form is the vocabulary alone, a line for each id.
    let vocabulary: BTreeMap<u64, String> = read_json(&json)["model"]["vocab"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(token, id)| (id.as_u64().unwrap(), token.clone()))
        .collect();
    let lines: Vec<String> = vocabulary.into_values().collect();
    fs::create_dir(workshop.path("bert")).unwrap();
    fs::write(workshop.path("bert/vocab.txt"), lines.join("\n")).unwrap();

    finish(workshop.train("trained", &[])).succeeded();
    let expected = metrics_without_times(&workshop.path("trained"));
    for (run, path) in [
        ("file", "tokenizer/tokenizer.json"),
        ("folder", "tokenizer"),
        ("vocabulary", "bert/vocab.txt"),
    ] {
        let path = format!("tokenizer.path={}", workshop.text(path));
        finish(workshop.train(run, &[&path])).succeeded();
        assert_eq!(metrics_without_times(&workshop.path(run)), expected, "{run}");
    }
}

#[test]
fn prepare_says_what_it_found_and_makes_what_train_then_uses() {
    let workshop = Workshop::new();
    let prepare = || workshop.on_tiny(PREPARE, &["configs/tiny/mlm.toml"], &[]);
    let facts = finish(prepare()).succeeded().json();
    assert_eq!(
        keys(&facts),
        [
            "cache",
            "corpus_bytes",
            "documents",
            "fingerprint",
            "reused",
            "tokens",
            "train_examples",
            "validation_examples",
            "vocab_size",
        ]
    );
    assert_eq!((&facts["documents"], &facts["reused"]), (&json!(60), &json!(false)));
    assert_eq!(facts["corpus_bytes"], fs::metadata(workshop.path("corpus.txt")).unwrap().len());
    assert_eq!(finish(prepare()).succeeded().json()["reused"], Value::Bool(true));

    let files = workshop.listing("cache");
    let run = workshop.trained("run");
    assert_eq!(workshop.listing("cache"), files);
    assert_eq!(read_json(&run.join("summary.json"))["fingerprints"]["data"], facts["fingerprint"]);
}
