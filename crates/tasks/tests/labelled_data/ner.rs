//! Token classification: CoNLL columns, JSON lines and Parquet as examples; entities as `seqeval` counts them
//! (`tools/reference/generate_entity_fixtures.py`).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use nystromformer_tasks::metrics::{
    ClassScores, EntityMode, EntityScores, EntityTag, LabelledPrediction, Thresholds, entities,
};
use nystromformer_tasks::{
    DataError, Example, Input, Label, Predicted, Prediction, Split, Targets, TaskConfig, WordTag,
    tasks,
};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde::Deserialize;

use crate::memory;

const TOLERANCE: f64 = 1e-12;

#[derive(Deserialize)]
struct Fixture {
    scores: Vec<Case>,
    schemes: Vec<Sentence>,
}

#[derive(Deserialize)]
struct Case {
    about: String,
    references: Vec<String>,
    predictions: Vec<String>,
    accuracy: f64,
    default: Report,
    strict: Report,
}

#[derive(Deserialize)]
struct Report {
    micro: Micro,
    types: BTreeMap<String, ClassScores>,
}

#[derive(Deserialize)]
struct Micro {
    precision: f64,
    recall: f64,
    f1: f64,
}

#[derive(Deserialize)]
struct Sentence {
    scheme: String,
    tags: String,
    entities: Vec<(usize, usize, String)>,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../fixtures/entities.json")).unwrap()
}

fn tags(text: &str) -> Vec<EntityTag<'_>> {
    text.split(' ').map(|tag| EntityTag::parse(tag).unwrap()).collect()
}

fn assert_close(got: f64, expected: f64, what: &str) {
    assert!((got - expected).abs() <= TOLERANCE, "{what}: {got:?} instead of {expected:?}");
}

/// `[task]` with these keys and this path.
fn task(path: &Path, keys: &str) -> TaskConfig {
    let table = format!("name = \"ner\"\npath = {:?}\n{keys}", path.display().to_string());
    tasks().read(&table.parse().unwrap()).unwrap()
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, content) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

fn read(task: &TaskConfig, split: Split) -> Result<Vec<Example>, DataError> {
    let targets = task.targets(128)?;
    task.examples(split, &targets, 128)?.into_iter().flatten().collect()
}

fn words(examples: &[Example]) -> Vec<String> {
    let of = |example: &Example| match &example.input {
        Input::Words(words) => words.words.join(" "),
        other => panic!("{other:?}"),
    };
    examples.iter().map(of).collect()
}

/// The names of an example's tags.
fn named(example: &Example, targets: &Targets) -> Vec<String> {
    let names = targets.names();
    match &example.label {
        Some(Label::Tags(tags)) => tags
            .classes
            .iter()
            .map(|tag| tag.map_or_else(|| "?".to_owned(), |tag| names[usize::from(tag)].clone()))
            .collect(),
        None => Vec::new(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn entities_score_as_in_seqeval() {
    for case in fixture().scores {
        for (mode, expected) in
            [(EntityMode::Lenient, &case.default), (EntityMode::Strict, &case.strict)]
        {
            let mut scores = EntityScores::new(mode);
            for (prediction, reference) in case.predictions.iter().zip(&case.references) {
                scores.add(&tags(prediction), &tags(reference));
            }
            let (micro, what) = (scores.micro(), format!("{}, {mode:?}", case.about));
            assert_close(micro.precision, expected.micro.precision, &what);
            assert_close(micro.recall, expected.micro.recall, &what);
            assert_close(micro.f1, expected.micro.f1, &what);
            let types = scores.per_type();
            assert_eq!(types.len(), expected.types.len(), "{what}");
            for (kind, got) in types {
                // Where entities have no type seqeval calls it `_`.
                let expected = &expected.types[if kind.is_empty() { "_" } else { kind }];
                let what = format!("{what}: {kind}");
                assert_close(got.precision, expected.precision, &what);
                assert_close(got.recall, expected.recall, &what);
                assert_close(got.f1, expected.f1, &what);
                assert_eq!(got.support, expected.support, "{what}");
            }
        }
    }
}

/// The same numbers from a task's scorer, by the names of metrics.
#[test]
fn a_tasks_metrics_are_those_of_seqeval() {
    let folder = tempfile::tempdir().unwrap();
    for case in fixture().scores {
        let tags = case.references.iter().chain(&case.predictions);
        let lines = tags.flat_map(|tags| tags.split(' ')).map(|tag| format!("x {tag}\n"));
        write(folder.path(), &[("train.txt", &lines.collect::<Vec<_>>().concat())]);
        let task = task(folder.path(), "");
        let targets = task.targets(128).unwrap();
        let names = targets.names();
        let class = |tag: &str| names.iter().position(|name| name == tag).unwrap() as u16;
        let labels: Vec<Label> = case
            .references
            .iter()
            .map(|tags| {
                let classes: Vec<_> = tags.split(' ').map(|tag| Some(class(tag))).collect();
                Label::Tags(classes.into())
            })
            .collect();
        let predictions: Vec<Prediction> = case
            .predictions
            .iter()
            .map(|tags| {
                let tag = |tag| Some(WordTag { class: class(tag), score: 1.0 });
                Prediction::Tags(tags.split(' ').map(tag).collect())
            })
            .collect();
        let answered: Vec<LabelledPrediction<'_>> = predictions
            .iter()
            .zip(&labels)
            .enumerate()
            .map(|(place, (prediction, label))| LabelledPrediction { place, prediction, label })
            .collect();
        let scores = task.task().scorer(&targets).score(&answered, &Thresholds::new()).unwrap();
        for (name, expected) in [
            ("accuracy", case.accuracy),
            ("f1", case.default.micro.f1),
            ("precision", case.default.micro.precision),
            ("recall", case.default.micro.recall),
            ("f1_strict", case.strict.micro.f1),
            ("precision_strict", case.strict.micro.precision),
            ("recall_strict", case.strict.micro.recall),
        ] {
            assert_close(scores[name], expected, &format!("{}: {name}", case.about));
        }
    }
}

/// What a file says in any scheme is read as the entities that seqeval reads from it, whether the scheme is told or found.
#[test]
fn every_scheme_is_read_as_seqeval_reads_it() {
    let sentences = fixture().schemes;
    for (scheme, told) in
        [("IOB1", "iob1"), ("IOB2", "iob2"), ("IOBES", "bioes"), ("BILOU", "bilou")]
    {
        let of_scheme: Vec<&Sentence> =
            sentences.iter().filter(|sentence| sentence.scheme == scheme).collect();
        assert_eq!(of_scheme.len(), 25);
        let lines = of_scheme.iter().map(|sentence| {
            let lines = sentence.tags.split(' ').map(|tag| format!("w x {tag}\n"));
            lines.collect::<Vec<_>>().concat()
        });
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[("train.txt", &lines.collect::<Vec<_>>().join("\n"))]);
        for keys in [String::new(), format!("scheme = \"{told}\"")] {
            let task = task(folder.path(), &keys);
            let targets = task.targets(128).unwrap();
            let examples = read(&task, Split::Train).unwrap();
            assert_eq!(examples.len(), of_scheme.len());
            for (example, sentence) in examples.iter().zip(&of_scheme) {
                let names = named(example, &targets);
                let tags: Vec<EntityTag<'_>> =
                    names.iter().map(|tag| EntityTag::parse(tag).unwrap()).collect();
                for mode in [EntityMode::Lenient, EntityMode::Strict] {
                    let found: Vec<(usize, usize, String)> = entities(&tags, mode)
                        .into_iter()
                        .map(|span| (span.start, span.end, span.kind.to_owned()))
                        .collect();
                    assert_eq!(found, sentence.entities, "{scheme}: {}", sentence.tags);
                }
            }
        }
    }
}

#[test]
fn a_folder_of_columns_is_read_as_conll_2003_lies_there() {
    let folder = tempfile::tempdir().unwrap();
    let document =
        "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O\n\nPeter NNP I-NP I-PER\n";
    write(
        folder.path(),
        &[("eng.train", document), ("eng.testa", document), ("eng.testb", "EU\n\nis\nit\n")],
    );
    let task = task(folder.path(), "");
    assert_eq!(task.task().model_class(), "NystromformerForTokenClassification");
    let targets = task.targets(128).unwrap();
    assert_eq!(targets.names(), ["O", "B-ORG", "I-ORG", "B-PER", "I-PER"]);
    let train = read(&task, Split::Train).unwrap();
    assert_eq!(words(&train), ["EU rejects", "Peter"]);
    assert_eq!(named(&train[0], &targets), ["B-ORG", "O"]);
    assert_eq!(words(&read(&task, Split::Validation).unwrap()), ["EU rejects", "Peter"]);
    let test = read(&task, Split::Test).unwrap();
    assert_eq!(words(&test), ["EU", "is it"]);
    assert!(test.iter().all(|example| example.label.is_none()));
    let whole = self::task(
        folder.path(),
        "document = \"docstart\"\nvalidation_file = []\ntest_file = \"eng.testa\"",
    );
    assert_eq!(words(&read(&whole, Split::Train).unwrap()), ["EU rejects Peter"]);
    assert_eq!(read(&whole, Split::Validation).unwrap(), []);
    assert_eq!(words(&read(&whole, Split::Test).unwrap()), ["EU rejects Peter"]);
}

#[test]
fn the_tag_may_stand_in_any_column_and_every_file_be_a_document() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        &[
            ("train/b_brat.tsv", "Mary\tB-PER\tO\t\n\nran\tO\tO\tO\t\n"),
            ("train/a_brat.tsv", "CHAP\tO\tO\t\n.\tO\tO\t\n"),
            ("test/c_brat.tsv", "Emma\tB-PER\tO\n"),
        ],
    );
    let ragged = task(folder.path(), "");
    let message = ragged.targets(128).unwrap_err().to_string();
    assert!(
        message.contains("b_brat.tsv:3: `4` columns, and line 1 has `3`")
            && message.contains("task.tags"),
        "{message}"
    );
    let documents = task(folder.path(), "tags = 1\ndocument = \"file\"");
    assert_eq!(words(&read(&documents, Split::Train).unwrap()), ["CHAP .", "Mary ran"]);
    let sentences = task(folder.path(), "tags = 1");
    assert_eq!(words(&read(&sentences, Split::Train).unwrap()), ["CHAP .", "Mary", "ran"]);
    assert_eq!(words(&read(&sentences, Split::Test).unwrap()), ["Emma"]);
}

#[test]
fn comments_before_sentences_may_have_a_tab_as_in_germeval_2014() {
    let folder = tempfile::tempdir().unwrap();
    let germ_eval = "#\thttp://de.wikipedia.org/wiki/Manfred_Korfmann [2009-10-17]\n\
                     1\tAufgrund\tO\tO\n2\tKorfmanns\tB-PER\tO\n\n\
                     #\thttp://de.wikipedia.org/wiki/Bonn [2009-10-18]\n\
                     1\tBonner\tB-LOCderiv\tO\n2\t#\tO\tO\n\n";
    write(folder.path(), &[("train.tsv", germ_eval)]);
    let germ_eval = task(folder.path(), "tokens = 1\ntags = 2");
    let targets = germ_eval.targets(128).unwrap();
    let train = read(&germ_eval, Split::Train).unwrap();
    assert_eq!(words(&train), ["Aufgrund Korfmanns", "Bonner #"]);
    assert_eq!(named(&train[0], &targets), ["O", "B-PER"]);
    assert_eq!(named(&train[1], &targets), ["B-LOCderiv", "O"]);

    write(folder.path(), &[("train.tsv", "#\tO\nBonn\tB-LOC\n\n#\tO\n")]);
    let two = task(folder.path(), "");
    assert_eq!(words(&read(&two, Split::Train).unwrap()), ["# Bonn", "#"]);
}

#[test]
fn json_lines_hold_lists_of_words_and_of_tags() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        &[
            (
                "train.jsonl",
                "{\"id\": 1, \"tokens\": [\"EU\", \"is\"], \"ner_tags\": [1, 0]}\n{\"tokens\": [], \"ner_tags\": []}\n{\"tokens\": [\"is\"], \"ner_tags\": [0]}\n",
            ),
            ("dev.jsonl", "{\"tokens\": [\"EU\"], \"ner_tags\": [\"B-ORG\"]}\n"),
            ("test.jsonl", "{\"tokens\": [\"EU\"]}\n"),
        ],
    );
    let unnamed = task(folder.path(), "").targets(128).unwrap_err().to_string();
    assert!(unnamed.contains("train.jsonl:1: ") && unnamed.contains("task.labels"), "{unnamed}");
    let task = task(folder.path(), "labels = [\"O\", \"B-ORG\", \"I-ORG\"]");
    let targets = task.targets(128).unwrap();
    let train = read(&task, Split::Train).unwrap();
    assert_eq!((train.len(), train[0].id.as_deref()), (2, Some("1")));
    assert_eq!((train[0].row, train[1].row), (None, Some(2)));
    assert_eq!(named(&train[0], &targets), ["B-ORG", "O"]);
    assert_eq!(named(&read(&task, Split::Validation).unwrap()[0], &targets), ["B-ORG"]);
    assert_eq!(read(&task, Split::Test).unwrap()[0].label, None);
}

#[test]
fn a_spreadsheet_holds_a_word_in_each_row() {
    let folder = tempfile::tempdir().unwrap();
    // As Kaggle's corpus of entities is: a sentence is told in its first row, in Latin-1.
    let train = b"Sentence #,Word,POS,Tag\nSentence: 1,Andr\xe9,NNP,B-PER\n,ran,VBD,O\nSentence: 2,Paris,NNP,B-LOC\n";
    fs::write(folder.path().join("train.csv"), train).unwrap();
    let message = task(folder.path(), "").targets(128).unwrap_err().to_string();
    assert!(message.contains("train.csv:2: ") && message.contains("task.encoding"), "{message}");
    let task = task(folder.path(), "encoding = \"latin-1\"\nvalidation_file = []");
    let targets = task.targets(128).unwrap();
    assert_eq!(targets.names(), ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]);
    let examples = read(&task, Split::Train).unwrap();
    assert_eq!(words(&examples), ["André ran", "Paris"]);
    assert_eq!(named(&examples[0], &targets), ["B-PER", "O"]);
    assert_eq!(examples[1].id.as_deref(), Some("Sentence: 2"));
    let train = folder.path().join("train.csv");
    assert!(task.task().reads_file(&train).unwrap());
    assert_eq!(task.task().prediction_formats(&train), ["jsonl"]);
    // A table of texts is none of words.
    write(folder.path(), &[("texts.csv", "text,id\nAndr ran,1\n")]);
    assert!(!task.task().reads_file(&folder.path().join("texts.csv")).unwrap());
}

#[test]
fn columns_may_be_latin_1() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("esp.train"), b"Espa\xf1a B-LOC\n").unwrap();
    let message = task(folder.path(), "").targets(128).unwrap_err().to_string();
    assert!(message.contains("esp.train:1: ") && message.contains("task.encoding"), "{message}");
    let examples = read(&task(folder.path(), "encoding = \"latin-1\""), Split::Train).unwrap();
    assert_eq!(words(&examples), ["España"]);
}

/// Writes rows of words and of numbers of tags, whose names stand beside the schema as Hugging Face's datasets write them.
fn write_parquet(path: &Path, rows: &[(&[&str], &[i64])], features: &str) {
    let list = |name: &str, element: &str| {
        format!("optional group {name} (LIST) {{ repeated group list {{ optional {element}; }} }}")
    };
    let message = format!(
        "message rows {{ {} {} }}",
        list("tokens", "binary element (UTF8)"),
        list("ner_tags", "int64 element")
    );
    let schema = Arc::new(parse_message_type(&message).unwrap());
    let metadata = KeyValue::new("huggingface".to_owned(), features.to_owned());
    let properties =
        WriterProperties::builder().set_key_value_metadata(Some(vec![metadata])).build();
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let definition: Vec<i16> = rows.iter().flat_map(|(words, _)| words.iter().map(|_| 3)).collect();
    let repetition: Vec<i16> = rows
        .iter()
        .flat_map(|(words, _)| (0..words.len()).map(|word| i16::from(word > 0)))
        .collect();
    let mut column = group.next_column().unwrap().unwrap();
    let words: Vec<ByteArray> = rows
        .iter()
        .flat_map(|(words, _)| words.iter().map(|word| ByteArray::from(*word)))
        .collect();
    column
        .typed::<ByteArrayType>()
        .write_batch(&words, Some(&definition), Some(&repetition))
        .unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let tags: Vec<i64> = rows.iter().flat_map(|(_, tags)| tags.iter().copied()).collect();
    column.typed::<Int64Type>().write_batch(&tags, Some(&definition), Some(&repetition)).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn parquet_names_its_tags_as_the_hub_does() {
    let folder = tempfile::tempdir().unwrap();
    let features = r#"{"info": {"features": {
        "tokens": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "Sequence"},
        "ner_tags": {"feature": {"names": ["O", "B-PER", "I-PER", "B-ORG", "I-ORG"], "_type": "ClassLabel"}, "_type": "Sequence"}
    }}}"#;
    let path = folder.path().join("train-00000-of-00001.parquet");
    write_parquet(
        &path,
        &[(&["EU", "rejects"], &[3, 0]), (&["Peter", "Blackburn"], &[1, 2])],
        features,
    );
    let task = task(folder.path(), "");
    let targets = task.targets(128).unwrap();
    assert_eq!(targets.names(), ["O", "B-PER", "I-PER", "B-ORG", "I-ORG"]);
    let train = read(&task, Split::Train).unwrap();
    assert_eq!(words(&train), ["EU rejects", "Peter Blackburn"]);
    assert_eq!(named(&train[1], &targets), ["B-PER", "I-PER"]);
}

#[test]
fn predictions_are_the_lines_of_the_file_with_a_column_more() {
    let folder = tempfile::tempdir().unwrap();
    let content = "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O\n\nPeter NNP I-NP I-PER\nBlackburn NNP I-NP I-PER\n";
    write(folder.path(), &[("eng.train", content)]);
    let task = task(folder.path(), "");
    let targets = task.targets(128).unwrap();
    let examples = read(&task, Split::Train).unwrap();
    let predicted = examples.into_iter().enumerate().map(|(row, example)| {
        let Some(Label::Tags(tags)) = &example.label else { panic!("{example:?}") };
        let prediction = Prediction::Tags(
            tags.classes
                .iter()
                .map(|tag| Some(WordTag { class: tag.unwrap(), score: 1.0 }))
                .collect(),
        );
        Ok(Predicted { row, example, prediction })
    });
    let files =
        task.task().prediction_files(Box::new(predicted), &targets, &Thresholds::new()).unwrap();
    let extensions: Vec<&str> = files.iter().map(|file| file.extension).collect();
    assert_eq!(extensions, ["conll", "jsonl"]);
    let written = String::from_utf8(files[0].contents.clone()).unwrap();
    // In the file's own scheme, so that both columns can be compared.
    let expected = "-DOCSTART- -X- O O O\n\nEU NNP I-NP I-ORG I-ORG\nrejects VBZ I-VP O O\n\nPeter NNP I-NP I-PER I-PER\n\
                    Blackburn NNP I-NP I-PER I-PER\n\n";
    assert_eq!(written, expected);
}

/// A file's numbers of tags stand for the names in that file, else for those of the data set. Numbers that nothing names are
/// passed over where a file is predicted, and not guessed at.
#[test]
fn numbers_are_read_by_the_names_of_their_own_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let features = |names: &str| {
        format!(
            r#"{{"info": {{"features": {{
                "tokens": {{"feature": {{"dtype": "string", "_type": "Value"}}, "_type": "Sequence"}},
                "ner_tags": {{"feature": {{"names": [{names}], "_type": "ClassLabel"}}, "_type": "Sequence"}}
            }}}}}}"#
        )
    };
    let training = r#""O", "B-PER", "I-PER", "E-PER", "S-LOC""#;
    let rows: [(&[&str], &[i64]); 2] = [(&["Ann", "Lee", "ran"], &[1, 3, 0]), (&["Rome"], &[4])];
    write_parquet(&path("train.parquet"), &rows, &features(training));
    let task = task(folder.path(), "");
    let targets = task.targets(128).unwrap();
    let names = targets.names();
    assert_eq!(names, ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]);
    let run = task.resolved(&targets, 128).unwrap();
    let table = toml::Table::try_from(&run).unwrap();
    assert_eq!(table["labels"].as_array().unwrap().len(), 5);
    // As a model of the run reads a file, with the training data or without it.
    let read_file = |task: &TaskConfig, name: &str| -> Vec<Example> {
        let targets = task.targets_of_model(&names, 128).unwrap();
        task.file_examples(&path(name), &targets, 128).unwrap().collect::<Result<_, _>>().unwrap()
    };
    write(
        folder.path(),
        &[("new.jsonl", "{\"tokens\": [\"Ann\", \"Lee\"], \"ner_tags\": [1, 3]}\n")],
    );
    let other: [(&[&str], &[i64]); 1] = [(&["Ann", "ran"], &[0, 1])];
    write_parquet(&path("other.parquet"), &other, &features(r#""S-PER", "O""#));
    write_parquet(&path("foreign.parquet"), &other, &features(r#""B-DISH", "O""#));
    for is_there in [true, false] {
        if !is_there {
            fs::remove_file(path("train.parquet")).unwrap();
        }
        assert_eq!(named(&read_file(&run, "new.jsonl")[0], &targets), ["B-PER", "I-PER"]);
        assert_eq!(named(&read_file(&run, "other.parquet")[0], &targets), ["B-PER", "O"]);
        let foreign = read_file(&run, "foreign.parquet");
        assert_eq!((words(&foreign), &foreign[0].label), (vec!["Ann ran".to_owned()], &None));
    }
    // Of a data set whose tags are names, nothing says what a number is.
    let folder_of_names = tempfile::tempdir().unwrap();
    write(folder_of_names.path(), &[("train.txt", "Ann B-PER\nRome B-LOC\n")]);
    let task = self::task(folder_of_names.path(), "");
    let run = task.resolved(&task.targets(128).unwrap(), 128).unwrap();
    assert_eq!(run, task);
    assert_eq!(read_file(&run, "new.jsonl")[0].label, None);
    let message = read(&self::task(&path("new.jsonl"), ""), Split::Train).unwrap_err().to_string();
    assert!(message.contains("new.jsonl:1: ") && message.contains("task.labels"), "{message}");
}

/// A document's words know their sentences, beyond which no entity goes.
#[test]
fn a_document_keeps_its_sentences() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("train.txt", "-DOCSTART- O\n\na I-X\nb I-X\n\nc I-X\nd O\n")]);
    let task = task(folder.path(), "document = \"docstart\"");
    let targets = task.targets(128).unwrap();
    let document = read(&task, Split::Train).unwrap().remove(0);
    assert_eq!(named(&document, &targets), ["B-X", "I-X", "B-X", "O"]);
    let label = document.label.as_ref().unwrap();
    let Label::Tags(right) = label else { panic!("{document:?}") };
    assert_eq!(right.sentences().collect::<Vec<_>>(), [0..2, 2..4]);
    // The model goes on with the entity in the next sentence, which no scorer of sentences sees.
    let classes = ["B-X", "I-X", "I-X", "O"]
        .map(|tag| targets.names().iter().position(|name| name == tag).unwrap() as u16);
    let tag = |class| Some(WordTag { class, score: 1.0 });
    let prediction = Prediction::Tags(classes.into_iter().map(tag).collect());
    let answered = [LabelledPrediction { place: 0, prediction: &prediction, label }];
    let scores = task.task().scorer(&targets).score(&answered, &Thresholds::new()).unwrap();
    assert_eq!((scores["f1"], scores["accuracy"]), (1.0, 0.75));
    let predicted = Predicted { row: 0, example: document.clone(), prediction };
    let files = task
        .task()
        .prediction_files(Box::new(std::iter::once(Ok(predicted))), &targets, &Thresholds::new())
        .unwrap();
    let written = String::from_utf8(files[0].contents.clone()).unwrap();
    assert_eq!(written, "-DOCSTART- O O\n\na I-X I-X\nb I-X I-X\n\nc I-X I-X\nd O O\n\n");
}

#[test]
fn malformed_files_are_told_with_their_line() {
    let good = "EU NNP B-ORG\nrejects VBZ O\n\n";
    for (name, content, keys, part) in [
        (
            "train.txt",
            format!("{good}German MISC\n"),
            "",
            "train.txt:4: `2` columns, and line 1 has `3`",
        ),
        ("train.txt", format!("{good}German JJ MISC\n"), "", "`MISC` is no entity tag"),
        (
            "train.txt",
            format!("{good}German JJ S-MISC\n"),
            "scheme = \"iob2\"",
            "train.txt:4: `S-MISC` is no tag of `task.scheme",
        ),
        ("train.txt", good.to_owned(), "tags = 7", "train.txt:1: no column 8 (`task.tags`)"),
        ("train.txt", "\n\n".to_owned(), "", "no line of it holds a word"),
        (
            "train.txt",
            good.to_owned(),
            "labels = [\"O\"]",
            "train.txt:1: the tag `B-ORG` is none of `O`",
        ),
        (
            "train.jsonl",
            "{\"tokens\": [\"a\"], \"ner_tags\": [\"O\"]}\n{\"tokens\": [\"a\"".to_owned(),
            "",
            "train.jsonl:2: ",
        ),
        (
            "train.jsonl",
            "{\"tokens\": [\"a\", \"b\"], \"ner_tags\": [\"O\"]}\n".to_owned(),
            "",
            "train.jsonl:1: `2` words",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[(name, &content)]);
        let message = read(&task(folder.path(), keys), Split::Train).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}

/// Long lines, sentences without an end and a million tags do not fill the memory.
#[test]
fn files_without_an_end_are_refused_in_bounded_memory() {
    let read_of = |name: &str, content: &str| {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[(name, content)]);
        let task = task(folder.path(), "max_line_bytes = 1000000");
        let (message, growth) =
            memory::growth(|| read(&task, Split::Train).unwrap_err().to_string());
        // Some times the limit, and less than the file.
        assert!(growth < 16_000_000, "{message}: {growth}");
        message
    };
    let long = format!("a O\n\n{} O\n", "x".repeat(100_000_000));
    assert!(
        read_of("train.txt", &long)
            .contains("train.txt:3: longer than `task.max_line_bytes = 1000000`")
    );
    let endless = read_of("train.txt", &format!("a O\n\n{}", "word B-PER\n".repeat(1_000_000)));
    assert!(endless.contains("train.txt:3: no blank line ends the sentence"), "{endless}");
    let many: Vec<String> = (0..1_000_000).map(|tag| format!("a B-{tag}\n\n")).collect();
    assert!(read_of("train.txt", &many.concat()).contains("more than `1000` different tags"));
    // Closed or not, rows that are too long are not parsed.
    for end in ["]}\n", ""] {
        let row = format!("{{\"tokens\": [{}\"a\"{end}", "\"a\", ".repeat(4_000_000));
        let message = read_of("train.jsonl", &row);
        assert!(
            message.contains("train.jsonl:1: ") && message.contains("max_line_bytes"),
            "{message}"
        );
    }
}
