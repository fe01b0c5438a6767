//! Data and keys that look right and are not meant so: missing labels as text, lists as text, splits of other names, keys that cannot
//! decide anything.

use std::fs;
use std::path::Path;

use nystromformer_tasks::{Example, Input, Label, Split, Targets, tasks};

fn write(folder: &Path, name: &str, content: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// The targets of a task in a folder, and the examples of a split; what it says of the keys first.
fn read(
    folder: &Path,
    keys: &str,
    split: Split,
) -> Result<(Targets, Option<Vec<Example>>), String> {
    let table = format!("path = {:?}\n{keys}", folder.display().to_string());
    let config = tasks().read(&table.parse().unwrap()).unwrap();
    if let Some(problem) = config.problems().first() {
        return Err(problem.to_string());
    }
    let targets = config.targets(64).map_err(|error| error.to_string())?;
    let examples = config.examples(split, &targets, 64).map_err(|error| error.to_string())?;
    let examples = examples.map(Iterator::collect::<Result<_, _>>).transpose();
    Ok((targets, examples.map_err(|error| error.to_string())?))
}

fn refused(folder: &Path, keys: &str, parts: &[&str]) {
    let message = read(folder, keys, Split::Train).unwrap_err();
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

const LABELLED: &str = "name = \"labelled\"\n";

#[test]
fn a_missing_label_that_is_written_as_text_is_no_class_of_any_task() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "train.csv", "sentence,label\na,pos\nb,neg\nc,nan\nd,nan\n");
    let cures = ["`nan` `2` times", "task.labels = [\"nan\", \"neg\", \"pos\"]", "drop these rows"];
    refused(path, LABELLED, &cures);
    let (named, _) =
        read(path, &format!("{LABELLED}labels = [\"nan\", \"neg\", \"pos\"]"), Split::Train)
            .unwrap();
    assert_eq!(named.names(), ["nan", "neg", "pos"]);
    write(path, "train.csv", "sentence,label\na,toxic;nan\nb,insult\n");
    refused(path, &format!("{LABELLED}label_separator = \";\""), &["`label` holds `nan`"]);
    write(path, "train.csv", "sentence,label\na,0.0\nb,1.0\nc,NULL\n");
    refused(path, LABELLED, &["`NULL`", "task.labels = [\"0\", \"1\"]"]);
    write(path, "labels.csv", "id,label\na,x\nb,y\nc,<NA>\n");
    fs::remove_file(path.join("train.csv")).unwrap();
    refused(path, "name = \"bags\"", &["labels.csv`", "`<NA>` `1` times"]);
    write(path, "train.conll", "a O\nb B-X\nc nan\n");
    refused(path, "name = \"ner\"", &["train.conll`", "`nan` `1` times", "task.labels"]);
    // Some classes are called so.
    write(path, "train.csv", "sentence,label\na,none\nb,NA\nc,some\n");
    assert_eq!(read(path, LABELLED, Split::Train).unwrap().0.names(), ["NA", "none", "some"]);
}

#[test]
fn a_list_that_is_written_as_text_is_refused_by_every_task() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let cures = ["train.csv:3: ", "a list written as text, `['toxic', 'insult']`", "JSON Lines"];
    write(path, "train.csv", "sentence,label\na,fine\nb,\"['toxic', 'insult']\"\n");
    for keys in ["", "multi_label = true", "label_separator = \",\"", "labels = [\"fine\"]"] {
        refused(path, &format!("{LABELLED}{keys}"), &cures);
    }
    write(path, "train.csv", "sentence,label\na,0.5\nb,\"[0.5, 1]\"\n");
    refused(path, &format!("{LABELLED}regression = true"), &["train.csv:3: ", "`[0.5, 1]`"]);
    let answers = "\"{'text': ['paris'], 'answer_start': [14]}\"";
    write(
        path,
        "train.csv",
        &format!("id,question,context,answers\n1,where?,it happened in paris,{answers}\n"),
    );
    refused(path, "name = \"qa\"", &["train.csv:2: ", "`{'text': ['paris']", "JSON Lines"]);
    write(path, "train.csv", "tokens,ner_tags\n\"['EU', 'rejects']\",\"['B-ORG', 'O']\"\n");
    refused(path, "name = \"ner\"", &["train.csv:2: ", "`['EU', 'rejects']`", "JSON Lines"]);
    // A name in brackets is one.
    write(path, "train.csv", "sentence,label\na,[URGENT]\nb,[later]\n");
    assert_eq!(read(path, LABELLED, Split::Train).unwrap().0.names(), ["[URGENT]", "[later]"]);
}

#[test]
fn splits_are_found_by_the_names_that_other_tasks_know() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let rows = |text: &str| format!("sentence,label\n{text},x\nb,y\n");
    for name in ["training", "eval", "testing"] {
        write(path, &format!("{name}.csv"), &rows(name));
        for class in ["x", "y"] {
            write(path, &format!("folders/{name}/{class}/1.txt"), name);
            write(path, &format!("classes/{name}/1.txt"), name);
        }
    }
    for folder in [path.to_owned(), path.join("folders")] {
        for (split, name) in
            [(Split::Train, "training"), (Split::Validation, "eval"), (Split::Test, "testing")]
        {
            let (_, examples) = read(&folder, LABELLED, split).unwrap();
            let first = &examples.unwrap()[0].input;
            assert_eq!(*first, Input::Text { first: name.to_owned(), second: None });
        }
    }
    // Folders of texts are classes, whatever they are called.
    let (targets, examples) = read(&path.join("classes"), LABELLED, Split::Train).unwrap();
    assert_eq!(targets.names(), ["eval", "testing", "training"]);
    assert_eq!(examples.unwrap()[0].label, Some(Label::Class(0)));
    assert_eq!(read(&path.join("classes"), LABELLED, Split::Validation).unwrap().1, None);
}

#[test]
fn keys_that_nothing_can_follow_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "train.csv", "sentence,label\na,pos\nb,neg\n");
    let cure = ["`task.threshold` is `0.9`", "`task.multi_label = true`"];
    refused(path, &format!("{LABELLED}threshold = 0.9"), &cure);
    read(path, &format!("{LABELLED}threshold = 0.9\nmulti_label = true"), Split::Train).unwrap();
    write(path, "train.csv", "sentence,label\na,0.5\nb,1.5\n");
    refused(path, &format!("{LABELLED}threshold = 0.9\nregression = true"), &cure);
    write(path, "train.csv", "sentence,label\na,pos\nb,neg\n");
    for (keys, key) in [
        ("name = \"labelled\"\nsentence2 = \"label\"", "`task.sentence2` is `label`"),
        (
            "name = \"labelled\"\nsentence1 = \"x\"\nlabel = [\"x\", \"y\"]",
            "`task.sentence1` is `x`",
        ),
        ("name = \"ner\"\ntokens = \"w\"\ntags = \"w\"", "`task.tokens` is `w`"),
        ("name = \"choice\"\nchoices = [\"a\", \"b\"]\nlabel = \"b\"", "`task.choices` is `b`"),
    ] {
        refused(path, keys, &[key, "is the column of the labels too"]);
    }
}
