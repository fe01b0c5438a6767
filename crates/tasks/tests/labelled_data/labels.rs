//! Labels of any number, several numbers, negative classes, folders without splits: what a task makes of them, and how it refuses.

use std::fs;
use std::path::Path;

use nystromformer_tasks::{Example, Label, Split, Targets, TaskConfig, tasks};

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// The task `labelled` on a folder, with further keys.
fn task(folder: &Path, keys: &str) -> TaskConfig {
    let text = format!("name = \"labelled\"\npath = {:?}\n{keys}", folder.display().to_string());
    tasks().read(&text.parse().unwrap()).unwrap()
}

fn read(folder: &Path, keys: &str, split: Split) -> Result<(Targets, Vec<Example>), String> {
    let config = task(folder, keys);
    let problems: Vec<String> = config.problems().iter().map(ToString::to_string).collect();
    if !problems.is_empty() {
        return Err(problems.join("\n"));
    }
    let targets = config.targets(64).map_err(|error| error.to_string())?;
    let examples = config.examples(split, &targets, 64).map_err(|error| error.to_string())?;
    let examples = examples.into_iter().flatten().collect::<Result<_, _>>();
    Ok((targets, examples.map_err(|error| error.to_string())?))
}

fn labels(examples: &[Example]) -> Vec<Option<Label>> {
    examples.iter().map(|example| example.label.clone()).collect()
}

const NO_CLASSES: Option<Label> = Some(Label::Classes(Vec::new()));

fn classes<const N: usize>(classes: [u16; N]) -> Label {
    Label::Classes(classes.to_vec())
}

#[test]
fn a_list_is_told_by_the_data_and_null_in_a_test_set_is_no_empty_list() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "train.jsonl",
        "{\"sentence\": \"a\", \"label\": [\"joy\", \"fear\"]}\n{\"sentence\": \"b\", \"label\": []}\n",
    );
    write(
        folder.path(),
        "test.jsonl",
        "{\"sentence\": \"c\", \"label\": null}\n{\"sentence\": \"d\", \"label\": []}\n",
    );
    let (targets, train) = read(folder.path(), "", Split::Train).unwrap();
    assert!(matches!(targets, Targets::Labels(_)));
    assert_eq!(targets.names(), ["fear", "joy"]);
    assert_eq!(labels(&train), [Some(classes([0, 1])), NO_CLASSES]);
    let (_, test) = read(folder.path(), "", Split::Test).unwrap();
    assert_eq!(labels(&test), [None, NO_CLASSES]);
    // In training a row must say something.
    write(
        folder.path(),
        "train.jsonl",
        "{\"sentence\": \"a\", \"label\": [\"x\"]}\n{\"sentence\": \"b\"}\n",
    );
    let message = read(folder.path(), "", Split::Train).unwrap_err();
    assert!(message.contains("train.jsonl:2: `label` holds no label"), "{message}");
    // One name may be told among lists, and a list where one label is expected is refused with the key that helps.
    write(
        folder.path(),
        "train.jsonl",
        "{\"sentence\": \"a\", \"label\": \"x\"}\n{\"sentence\": \"b\", \"label\": [\"x\", \"y\"]}\n",
    );
    let message = read(folder.path(), "", Split::Train).unwrap_err();
    assert!(
        message.contains("train.jsonl:2: ") && message.contains("task.multi_label = true"),
        "{message}"
    );
    let (targets, _) = read(folder.path(), "multi_label = true", Split::Train).unwrap();
    assert_eq!(targets.names(), ["x", "y"]);
}

#[test]
fn what_is_wrong_with_labels_is_told_with_its_line_and_bounded_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |content: &str, keys: &str| {
        write(folder.path(), "train.jsonl", content);
        read(folder.path(), keys, Split::Train).unwrap_err()
    };
    let named = "labels = [\"a\", \"b\"]";
    let message = refused("{\"sentence\": \"s\", \"label\": [\"a\", \"c\"]}\n", named);
    assert!(message.contains("train.jsonl:1: the label `c` is none of `a`, `b`"), "{message}");
    let message = refused("{\"sentence\": \"s\", \"label\": [[\"a\"]]}\n", named);
    assert!(message.contains("train.jsonl:1: ") && message.contains("is none of"), "{message}");
    let message = refused("{\"sentence\": \"s\", \"label\": [\"a\"", named);
    assert!(message.contains("train.jsonl:1: not JSON"), "{message}");
    let many = "\"a\",".repeat(1_000_000);
    let long = format!("{{\"sentence\": \"s\", \"label\": [{many}\"a\"]}}\n");
    let message = refused(&long, "max_line_bytes = 100000");
    assert!(message.contains("train.jsonl:1: longer than `max_line_bytes = 100000`"), "{message}");
    write(folder.path(), "train.jsonl", &long);
    let (_, found) = read(folder.path(), named, Split::Train).unwrap();
    assert_eq!(labels(&found), [Some(classes([0]))]);
    let distinct: Vec<String> = (0..1_001).map(|label| format!("\"l{label}\"")).collect();
    let message =
        refused(&format!("{{\"sentence\": \"s\", \"label\": [{}]}}\n", distinct.join(",")), "");
    assert!(message.contains("more than `1000` different labels"), "{message}");
    for (keys, part) in [
        ("label = []", "`task.label`"),
        ("label = [\"a\", \"a\"]", "names a column twice"),
        ("label = [\"a\", \"b\"]\nlabels = [\"x\"]", "`task.labels`"),
        ("label = [\"a\", \"b\"]\nlabel_separator = \",\"", "`task.label_separator`"),
        ("label_separator = \"\"", "must not be empty"),
        ("label_separator = \",\"\nmulti_label = false", "`task.multi_label`"),
        ("label_separator = \",\"\nregression = true", "`task.regression`"),
        ("standardize_labels = true", "set `task.regression = true`"),
        ("threshold = 1.0", "`task.threshold`"),
        ("label = [0, 1]", "`task.header = true`"),
    ] {
        let message = read(folder.path(), keys, Split::Train).unwrap_err();
        assert!(message.contains(part), "{keys}: {message}");
    }
}

/// As it is typed in a shell, which makes no tab of it.
#[test]
fn a_tab_between_labels_may_be_typed() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "train.csv", "sentence,label\na,x\ty\nb,y\n");
    for separator in ["'\\t'", "\"\\t\""] {
        let keys = format!("label_separator = {separator}");
        let (targets, _) = read(folder.path(), &keys, Split::Train).unwrap();
        assert_eq!(targets.names(), ["x", "y"]);
    }
}

#[test]
fn columns_of_classes_and_of_numbers_stand_in_any_place() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "train.csv", "id,toxic,text,insult\n7,1,a,0\n8,0,b,0\n9,true,c,1\n");
    let keys = "sentence1 = \"text\"\nid = \"id\"\nlabel = [\"toxic\", \"insult\"]";
    let (targets, train) = read(folder.path(), keys, Split::Train).unwrap();
    assert_eq!(targets.names(), ["toxic", "insult"]);
    assert_eq!(labels(&train), [Some(classes([0])), NO_CLASSES, Some(classes([0, 1]))]);
    assert_eq!(train[2].id.as_deref(), Some("9"));
    let numbers = format!("{keys}\nregression = true");
    let message = read(folder.path(), &numbers, Split::Train).unwrap_err();
    assert!(
        message.contains("train.csv:4: the label `true` is not a number (column `toxic`)"),
        "{message}"
    );
    write(folder.path(), "train.tsv", "a\t0.5\t-3\nb\t1\t4\n");
    let places = "sentence1 = 0\nlabel = [2, 1]\nheader = false\nregression = true";
    let (targets, train) = read(folder.path(), places, Split::Train).unwrap();
    assert_eq!(targets, Targets::Columns(vec!["column_2".into(), "column_1".into()]));
    assert_eq!(labels(&train)[0], Some(Label::Values(vec![-3.0, 0.5])));
    let missing = "sentence1 = \"text\"\nlabel = [\"toxic\", \"threat\"]";
    fs::remove_file(folder.path().join("train.tsv")).unwrap();
    let message = read(folder.path(), missing, Split::Train).unwrap_err();
    assert!(message.contains("no column `threat`"), "{message}");
}

#[test]
fn minus_one_zero_and_one_are_classes() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "train.csv", "sentence,label\na,-1\nb,0\nc,1\nd,-1\n");
    for keys in ["", "labels = [\"-1\", \"0\", \"1\"]"] {
        let (targets, train) = read(folder.path(), keys, Split::Train).unwrap();
        assert_eq!(targets.names(), ["-1", "0", "1"]);
        let found: Vec<Option<Label>> = [0, 1, 2, 0].map(|class| Some(Label::Class(class))).into();
        assert_eq!(labels(&train), found);
    }
}

#[test]
fn folders_are_splits_by_name_or_ending_and_else_classes() {
    let folder = tempfile::tempdir().unwrap();
    let news = folder.path().join("news");
    for name in ["20news-bydate-train/a.b/1", "20news-bydate-train/c/2", "20news-bydate-test/c/3"] {
        write(&news, name, name);
    }
    write(&news, "readme.txt", "no class");
    let (targets, train) = read(&news, "", Split::Train).unwrap();
    assert_eq!((targets.names(), train.len()), (vec!["a.b".to_owned(), "c".to_owned()], 2));
    let (_, test) = read(&news, "", Split::Test).unwrap();
    assert_eq!(test[0].id.as_deref(), Some("c/3"));
    fs::create_dir(news.join("old_train")).unwrap();
    let message = read(&news, "", Split::Train).unwrap_err();
    assert!(message.contains("several folders may be the train split"), "{message}");

    let reviews = folder.path().join("reviews");
    for name in ["pos/cv000.txt", "pos/cv001.txt", "neg/cv000.txt", ".git/config"] {
        write(&reviews, name, name);
    }
    write(&reviews, "README", "no class");
    let (targets, train) = read(&reviews, "", Split::Train).unwrap();
    assert_eq!((targets.names(), train.len()), (vec!["neg".to_owned(), "pos".to_owned()], 3));
    assert!(read(&reviews, "", Split::Test).unwrap().1.is_empty());

    write(&reviews, "neg/latin.txt", b"caf\xe9 au lait");
    let message = read(&reviews, "", Split::Train).unwrap_err();
    assert!(
        message.contains("latin.txt:1: byte `0xe9`") && message.contains("task.encoding"),
        "{message}"
    );
    assert_eq!(read(&reviews, "encoding = \"latin-1\"", Split::Train).unwrap().1.len(), 4);
    write(folder.path(), "train.csv", b"sentence,label\ncaf\xe9,a\nth\xe9,b\n");
    let message = read(folder.path(), "", Split::Train).unwrap_err();
    assert!(
        message.contains("train.csv:2: ") && message.contains("set `task.encoding = \"latin-1\"`"),
        "{message}"
    );
    assert_eq!(read(folder.path(), "encoding = \"latin-1\"", Split::Train).unwrap().1.len(), 2);
}

#[test]
fn separators_and_quotes_are_as_the_keys_say() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "train.csv", "sentence|label\n\"a, b|1\nc|0\n");
    let message = read(folder.path(), "separator = \"|\"", Split::Train).unwrap_err();
    assert!(message.contains("train.csv:2: ") && message.contains("task.quotes"), "{message}");
    let keys = "separator = \"|\"\nquotes = \"none\"";
    let (targets, train) = read(folder.path(), keys, Split::Train).unwrap();
    assert_eq!((targets.names().len(), train.len()), (2, 2));
}

#[test]
fn lists_of_parquet_are_labels_too() {
    // Text, a class, and lists of words.
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../files/tests/fixtures/class_label.parquet");
    let keys = "sentence1 = \"text\"\nlabel = \"tokens\"";
    let config = task(&file, keys);
    let targets = config.targets(64).unwrap();
    assert!(matches!(targets, Targets::Labels(_)));
    let examples = config.file_examples(&file, &targets, 64).unwrap();
    let found: Vec<Example> = examples.collect::<Result<_, _>>().unwrap();
    // The first is `a` and `b`, the last null.
    let found = labels(&found);
    assert_eq!(
        (&targets.names()[..2], &found[0]),
        (&["a".to_owned(), "b".to_owned()][..], &Some(classes([0, 1])))
    );
    assert_eq!(found[2], None);
    let message = read(&file, keys, Split::Train).unwrap_err();
    assert!(message.contains("class_label.parquet:3: `tokens` holds no label"), "{message}");
}
