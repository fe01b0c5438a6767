//! Text in three forms, tokenizers from files, and `prepare`.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use parquet::{
    data_type::{ByteArray, ByteArrayType},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use serde_json::{Value, json};

use crate::fixture::{Fixture, documents, finish, keys, metrics_without_times, read_json};

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
pub(crate) fn write_parquet(folder: &Path, documents: &[String]) {
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
    let fixture = Fixture::new();
    let documents = documents(50);
    write_text(&fixture.path("text"), &documents);
    write_json_lines(&fixture.path("json"), &documents);
    write_parquet(&fixture.path("parquet"), &documents);
    let runs = ["text", "json", "parquet"].map(|form| {
        let run = format!("run-{form}");
        let corpus = format!("data.corpus={}", fixture.text(form));
        finish(fixture.train(&run, &[&corpus, "data.document=file"])).succeeded();
        metrics_without_times(&fixture.path(&run))
    });
    assert_eq!(runs[0], runs[1]);
    assert_eq!(runs[0], runs[2]);
}

#[test]
fn what_a_corpus_leaves_out_is_said() {
    let fixture = Fixture::new();
    write_text(&fixture.path("text"), &documents(50));
    for (name, content) in [("README.md", "# about"), ("labels.csv", "id,label\n1,2\n")] {
        fs::write(fixture.path("text").join(name), content).unwrap();
    }
    let corpus = format!("data.corpus={}", fixture.text("text"));
    let finished = finish(fixture.train("run", &[&corpus, "data.document=file"])).succeeded();
    for part in ["left out of it: ", "1 × .md file", "1 × .csv file without the column `text`"] {
        assert_eq!(finished.stderr.matches(part).count(), 1, "{part}: {}", finished.stderr);
    }
}

#[test]
fn trainers_that_fill_one_cache_at_once_do_not_disturb_each_other() {
    let fixture = Fixture::new();
    let runs = ["first", "second", "third"];
    let children = runs.map(|run| fixture.start(fixture.train(run, &[]), &format!("{run}.log")));
    for (run, mut child) in runs.into_iter().zip(children) {
        let log = || fs::read_to_string(fixture.path(&format!("{run}.log"))).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{}", log());
    }
    let [first, second, third] = runs.map(|run| metrics_without_times(&fixture.path(run)));
    assert!(first == second && first == third);
}

#[test]
fn a_tokenizer_given_by_path_trains_as_the_one_it_was_saved_from() {
    let fixture = Fixture::new();
    let saved = fixture.text("tokenizer");
    let arguments = ["configs/tiny/mlm.toml", "--save-tokenizer", &saved];
    finish(fixture.on_tiny("prepare", &arguments, &[])).succeeded();
    let json = fixture.path("tokenizer/tokenizer.json");
    // BERT's older form is the vocabulary alone, a line for each id.
    let vocabulary: BTreeMap<u64, String> = read_json(&json)["model"]["vocab"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(token, id)| (id.as_u64().unwrap(), token.clone()))
        .collect();
    let lines: Vec<String> = vocabulary.into_values().collect();
    fs::create_dir(fixture.path("bert")).unwrap();
    fs::write(fixture.path("bert/vocab.txt"), lines.join("\n")).unwrap();

    finish(fixture.train("trained", &[])).succeeded();
    let expected = metrics_without_times(&fixture.path("trained"));
    for (run, path) in [
        ("file", "tokenizer/tokenizer.json"),
        ("folder", "tokenizer"),
        ("vocabulary", "bert/vocab.txt"),
    ] {
        let path = format!("tokenizer.path={}", fixture.text(path));
        finish(fixture.train(run, &[&path])).succeeded();
        assert_eq!(metrics_without_times(&fixture.path(run)), expected, "{run}");
    }
}

#[test]
fn prepare_says_what_it_found_and_makes_what_train_then_uses() {
    let fixture = Fixture::new();
    let prepare = || fixture.on_tiny("prepare", &["configs/tiny/mlm.toml"], &[]);
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
            "unknown_tokens",
            "validation_examples",
            "vocab_size",
        ]
    );
    assert_eq!((&facts["documents"], &facts["reused"]), (&json!(60), &json!(false)));
    assert_eq!(facts["corpus_bytes"], fs::metadata(fixture.path("corpus.txt")).unwrap().len());
    assert_eq!(finish(prepare()).succeeded().json()["reused"], Value::Bool(true));

    let files = fixture.listing("cache");
    let run = fixture.trained("run");
    assert_eq!(fixture.listing("cache"), files);
    assert_eq!(read_json(&run.join("summary.json"))["fingerprints"]["data"], facts["fingerprint"]);
}
