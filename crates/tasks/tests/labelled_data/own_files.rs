//! Data sets of one's own: tables and folders, classes named or collected.

use std::fs;
use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use nystromformer_files::table::Quotes;
use nystromformer_tasks::labelled::{
    ClassNames, ColumnKeys, Labelled, LabelledColumns, Location, Targets,
};
use nystromformer_tasks::{
    Example, Input, Label, LabelCounts, LabelRule, Split, TableKeys, Task, TaskContext,
};

fn write(folder: &Path, name: &str, content: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn find(path: &Path, split: Split) -> Location {
    Location::find(path, split).unwrap().unwrap()
}

fn labels(examples: &[Example]) -> Vec<Option<Label>> {
    examples.iter().map(|example| example.label.clone()).collect()
}

#[test]
fn classes_are_collected_from_the_training_set() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "train.csv", "label,sentence\nsad,a\nglad,b\n,c\nsad,d\n");
    write(folder.path(), "dev.jsonl", "{\"sentence\": \"e\", \"label\": \"sad\"}\n");
    let columns = LabelledColumns::default();
    let names = find(folder.path(), Split::Train).class_names(&columns, &[]).unwrap();
    assert_eq!(names.names(), ["glad", "sad"]);
    let targets = Targets::Classes(names);
    let validation = find(folder.path(), Split::Validation);
    let read: Vec<Example> = validation
        .read(&columns, &targets, LabelRule::Required)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(labels(&read), [Some(Label::Class(1))]);
    assert_eq!(Location::find(folder.path(), Split::Test).unwrap(), None);

    let train = find(folder.path(), Split::Train);
    let read: Vec<Example> = train
        .read(&columns, &targets, LabelRule::Optional)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(labels(&read)[2], None);
    let strict = train.read(&columns, &targets, LabelRule::Required).unwrap();
    let message = LabelCounts::count(strict).unwrap_err().to_string();
    assert!(message.contains("train.csv:4: `label` holds no label"), "{message}");
}

#[test]
fn columns_may_be_called_anything_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "pairs.tsv", "3.5\tfirst\tsecond\n-1\tthird\tfourth\n");
    let columns = LabelledColumns {
        keys: ColumnKeys {
            sentence1: 1.into(),
            sentence2: Some(2.into()),
            label: 0.into(),
            ..ColumnKeys::default()
        },
        tables: TableKeys { header: false, ..TableKeys::default() },
    };
    let targets = Targets::numbers();
    let location = find(&folder.path().join("pairs.tsv"), Split::Train);
    let read: Vec<Example> = location
        .read(&columns, &targets, LabelRule::Required)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(labels(&read), [Some(Label::Value(3.5)), Some(Label::Value(-1.0))]);
    let expected = Input::Text { first: "third".to_owned(), second: Some("fourth".to_owned()) };
    assert_eq!(read[1].input, expected);
}

#[test]
fn folders_of_texts_are_a_data_set_too() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["train/happy/1.txt", "train/angry/1.txt", "test/happy/1.txt"] {
        write(folder.path(), name, name);
    }
    let columns = LabelledColumns::default();
    let names = find(folder.path(), Split::Train).class_names(&columns, &[]).unwrap();
    assert_eq!(names.names(), ["angry", "happy"]);
    let test = find(folder.path(), Split::Test);
    let read: Vec<Example> = test
        .read(&columns, &Targets::Classes(names), LabelRule::Required)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(labels(&read), [Some(Label::Class(1))]);
    let numbers = Targets::Numbers { range: 0.0..=1.0 };
    assert!(
        test.read(&columns, &numbers, LabelRule::Required)
            .err()
            .unwrap()
            .to_string()
            .contains("regression")
    );
}

#[test]
fn what_cannot_be_used_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let columns = LabelledColumns::default();
    let message = Location::find(&folder.path().join("nowhere"), Split::Train).unwrap_err();
    assert!(message.to_string().contains("no such file or folder"), "{message}");
    write(folder.path(), "train.xlsx", "x");
    let message = Location::find(&folder.path().join("train.xlsx"), Split::Train).unwrap_err();
    assert!(message.to_string().contains("unknown extension"), "{message}");

    let many: Vec<String> = (0..1_001).map(|number| format!("text\t{number}.5")).collect();
    write(folder.path(), "train.tsv", &format!("sentence\tlabel\n{}\n", many.join("\n")));
    let message = find(folder.path(), Split::Train).class_names(&columns, &[]).unwrap_err();
    assert!(message.to_string().contains("train.tsv:1002: "), "{message}");
    assert!(message.to_string().contains("regression"), "{message}");

    write(folder.path(), "train.tsv", "sentence\tlabel\na\t1\nb\t1\n");
    let train = find(folder.path(), Split::Train);
    let names = train.class_names(&columns, &[]).unwrap();
    let label_names = names.names().to_vec();
    let examples = train.read(&columns, &Targets::Classes(names), LabelRule::Required).unwrap();
    let counts = LabelCounts::count(examples).unwrap();
    let message = counts.check_classes(folder.path(), &label_names, 0).unwrap_err().to_string();
    assert!(message.contains("of class `1`"), "{message}");

    let named = Targets::Classes(ClassNames::new(["no", "yes"]).unwrap());
    write(folder.path(), "train.tsv", "sentence\tlabel\na\tmaybe\n");
    let message =
        LabelCounts::count(train.read(&columns, &named, LabelRule::Required).unwrap()).unwrap_err();
    assert!(message.to_string().contains("train.tsv:2: the label `maybe`"), "{message}");
}

#[test]
fn a_folder_without_training_files_is_told_by_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["train.txt", "notes.md", ".hidden"] {
        write(folder.path(), name, "x");
    }
    let context = TaskContext {
        path: folder.path(),
        split_seed: 0,
        seq_len: 8,
        feature_names: &[],
        class_names: None,
        known_classes: &[],
        reads_labels: true,
    };
    let message = Labelled::default().targets(&context).unwrap_err().to_string();
    assert!(message.contains("it holds `notes.md`, `train.txt`"), "{message}");
}

fn of(keys: ColumnKeys) -> LabelledColumns {
    LabelledColumns { keys, ..LabelledColumns::default() }
}

fn read(path: &Path, columns: &LabelledColumns, targets: &Targets) -> Result<Vec<Example>, String> {
    let examples = find(path, Split::Train).read(columns, targets, LabelRule::Required);
    let examples = examples.and_then(Iterator::collect);
    examples.map_err(|error: DataError| error.to_string())
}

fn classes(names: &[&str]) -> Targets {
    Targets::Classes(ClassNames::new(names.iter().copied()).unwrap())
}

/// Text, a label that Hugging Face's datasets call `neg` (0) or `pos` (1), and tokens.
fn class_label() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../files/tests/fixtures/class_label.parquet")
}

#[test]
fn classes_are_called_as_a_parquet_file_says() {
    let columns = of(ColumnKeys { sentence1: "text".into(), ..ColumnKeys::default() });
    let names = find(&class_label(), Split::Train).class_names(&columns, &[]).unwrap();
    assert_eq!(names.names(), ["neg", "pos"]);
    let class = |class| Some(Label::Class(class));
    let found = |targets| labels(&read(&class_label(), &columns, &targets).unwrap());
    assert_eq!(found(Targets::Classes(names)), [class(1), class(0), class(1)]);
    // The same names in another order keep their meaning; other names that are given take their places.
    assert_eq!(found(classes(&["pos", "neg"])), [class(0), class(1), class(0)]);
    let others = ["bad", "good"];
    let labels = others.map(str::to_owned).to_vec();
    let given = of(ColumnKeys { labels, ..columns.keys });
    let found = read(&class_label(), &given, &classes(&others)).unwrap();
    assert_eq!(self::labels(&found), [class(1), class(0), class(1)]);
}

#[test]
fn rows_without_a_text_are_skipped_up_to_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.jsonl");
    write(
        folder.path(),
        "train.jsonl",
        "{\"sentence\": \"a\", \"label\": 0}\n{\"sentence\": null, \"label\": 1}\n{\"label\": 1}\n{\"sentence\": \"b\", \"label\": 1}\n",
    );
    let targets = classes(&["n", "y"]);
    assert_eq!(read(&path, &LabelledColumns::default(), &targets).unwrap().len(), 2);
    let strict = of(ColumnKeys { max_null_texts: 1, ..ColumnKeys::default() });
    let message = read(&path, &strict, &targets).unwrap_err();
    assert!(message.contains("train.jsonl:3: `sentence` is null"), "{message}");
    assert!(message.contains("`task.max_null_texts = 1`"), "{message}");
    let none = of(ColumnKeys { max_null_texts: 0, ..ColumnKeys::default() });
    assert!(
        read(&path, &none, &targets).unwrap_err().contains("train.jsonl:2: `sentence` is missing")
    );
}

#[test]
fn a_column_that_is_not_there_names_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.csv");
    let targets = classes(&["0", "1"]);
    for (content, part) in [
        ("Sentence,Label\na,1\n", "set `task.sentence1 = \"Sentence\"`"),
        ("text;label\na;1\n", "set `task.sentence1 = \"text\"`"),
        ("sentence,Label\na,1\n", "set `task.label = \"Label\"`"),
        ("a film,1\n", "`task.header = false`"),
    ] {
        write(folder.path(), "train.csv", content);
        let message = read(&path, &LabelledColumns::default(), &targets).unwrap_err();
        assert!(message.contains("train.csv:1: no column") && message.contains(part), "{message}");
    }
    write(folder.path(), "train.json", "{\"train\": [{\"sentence\": \"a\", \"label\": 1}]}");
    let nested = read(&folder.path().join("train.json"), &LabelledColumns::default(), &targets);
    assert!(nested.unwrap_err().contains("orient=\"records\""));
    write(folder.path(), "train.csv", " sentence ; label \na, b;1\n");
    assert_eq!(read(&path, &LabelledColumns::default(), &targets).unwrap().len(), 1);
}

#[test]
fn quotes_of_tsv_are_told_by_the_file_or_the_key() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "train.tsv", "sentence\tlabel\n\"say \"\"hi\"\"\"\t1\n");
    let path = folder.path().join("train.tsv");
    let first = |quotes| {
        let tables = TableKeys { quotes, ..TableKeys::default() };
        let columns = LabelledColumns { tables, ..LabelledColumns::default() };
        match read(&path, &columns, &classes(&["0", "1"])).unwrap().remove(0).input {
            Input::Text { first, .. } => first,
            other => panic!("texts are read, and not {other:?}"),
        }
    };
    assert_eq!(first(None), "say \"hi\"");
    assert_eq!(first(Some(Quotes::Double)), "say \"hi\"");
    assert_eq!(first(Some(Quotes::None)), "\"say \"\"hi\"\"\"");
}

#[test]
fn placeholders_and_arrow_folders_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 438\n";
    for name in ["a/train.csv", "b/train.parquet", "c/train/pos/1.txt"] {
        write(folder.path(), name, pointer);
        let top = folder.path().join(&name[..1]);
        let message =
            read(&top, &LabelledColumns::default(), &classes(&["neg", "pos"])).unwrap_err();
        assert!(message.contains("git lfs pull"), "{message}");
    }
    write(folder.path(), "saved/train/state.json", "{}");
    write(folder.path(), "saved/train/dataset_info.json", "{}");
    let message =
        Location::find(&folder.path().join("saved"), Split::Train).unwrap_err().to_string();
    assert!(message.contains("to_parquet"), "{message}");
}
