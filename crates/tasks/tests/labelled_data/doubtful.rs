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
    // A name in brackets is one, and so is an interval or a year.
    for names in [["[URGENT]", "[later]"], ["[18-25]", "[26-35]"], ["[2023]", "[2024]"]] {
        write(path, "train.csv", &format!("sentence,label\na,{}\nb,{}\n", names[0], names[1]));
        assert_eq!(read(path, LABELLED, Split::Train).unwrap().0.names(), names);
    }
}

#[test]
fn a_text_that_looks_like_a_list_is_a_name_or_an_answer_where_that_is_plain() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let train = |name: &str, content: &str| {
        for file in fs::read_dir(path).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
        write(path, name, content);
    };
    // Classes that are named, or that stand in a file that has lists.
    let named = "labels = [\"[0, 18]\", \"[19, 99]\"]";
    let table = "sentence,label\na,\"[0, 18]\"\nb,\"[19, 99]\"\n";
    train("train.csv", table);
    let cures =
        ["`label` holds a list written as text, `[0, 18]`", "list the classes in `task.labels`"];
    refused(path, LABELLED, &cures);
    for keys in [named, &format!("{named}\nmulti_label = true")] {
        let (targets, _) = read(path, &format!("{LABELLED}{keys}"), Split::Train).unwrap();
        assert_eq!(targets.names(), ["[0, 18]", "[19, 99]"]);
    }
    refused(
        path,
        &format!("{LABELLED}labels = [\"[0, 18]\"]"),
        &["`[19, 99]`", "in `task.labels`"],
    );
    train(
        "train.jsonl",
        "{\"sentence\": \"a\", \"label\": \"[0, 18]\"}\n{\"sentence\": \"b\", \"label\": \"[]\"}\n",
    );
    assert_eq!(read(path, LABELLED, Split::Train).unwrap().0.names(), ["[0, 18]", "[]"]);
    // A tag that is named.
    train("train.csv", "sentence,word,tag\n1,a,\"['X']\"\n1,b,O\n");
    refused(
        path,
        "name = \"ner\"\nscheme = \"none\"",
        &["`['X']`", "list the tags in `task.labels`"],
    );
    let tags = "name = \"ner\"\nscheme = \"none\"\nlabels = [\"O\", \"['X']\"]";
    assert_eq!(read(path, tags, Split::Train).unwrap().1.unwrap().len(), 1);
    // Answers of questions about code.
    let answers = ["[1, 2]", "[]", "{}", "[\"a\"]"];
    let text = |example: &Example| match &example.label {
        Some(Label::Answers(answers)) => answers[0].text.clone(),
        other => panic!("{other:?}"),
    };
    let questions = |rows: String, name: &str| {
        train(name, &rows);
        let (_, examples) = read(path, "name = \"qa\"", Split::Train).unwrap();
        assert_eq!(examples.unwrap().iter().map(text).collect::<Vec<_>>(), answers);
    };
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let row = |answer: &&str| {
        format!("what?,{},{}\n", quoted(&format!("it gives {answer} here")), quoted(answer))
    };
    let rows: Vec<String> = answers.iter().map(row).collect();
    questions(format!("question,context,answers\n{}", rows.concat()), "train.csv");
    // In JSON Lines a text is one, in the context or not.
    let row = |answer: &&str| {
        let escaped = answer.replace('"', "\\\"");
        format!(
            "{{\"question\": \"what?\", \"context\": \"see {escaped}\", \"answers\": \"{escaped}\"}}\n"
        )
    };
    questions(answers.iter().map(row).collect(), "train.jsonl");
    train("train.csv", "question,context,answers\nwhat?,it gives 1 and 2,\"[1, 2]\"\n");
    refused(path, "name = \"qa\"", &["train.csv:2: ", "`[1, 2]`", "must stand so in the context"]);
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

/// Scores, code and outputs have the names of splits too: what trained before trains, on the same.
#[test]
fn what_is_called_after_a_split_and_is_none_takes_no_split() {
    let of = |files: &[&str], keys: &str| {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let name = file.strip_suffix(" (scores)");
            let content = match name {
                Some(_) => "model,accuracy\na,1\n",
                None if file.ends_with("csv") => "sentence,label\na,1\nb,0\n",
                None => "a text",
            };
            write(folder.path(), name.unwrap_or(file), content);
        }
        Split::USUAL.map(|split| {
            let (_, examples) = read(folder.path(), keys, split).unwrap();
            examples.map(|examples| examples.len())
        })
    };
    let other_things: &[&str] = &["eval/logs/1.txt", "testing/unit/a.txt", "testing/unit/b.md"];
    for keys in ["", "regression = true", "multi_label = true", "sentence2 = \"sentence\""] {
        let keys = format!("{LABELLED}{keys}");
        assert_eq!(of(&[&["train.csv"], other_things].concat(), &keys), [Some(2), None, None]);
    }
    for (files, expected) in [
        // Folders of classes, and others.
        (&["train/x/1.txt", "train/y/1.txt", "eval/logs/1.txt"][..], [Some(2), None, None]),
        (&["x/1.txt", "y/1.txt", "eval/logs/1.txt", "training/logs/1.txt"], [Some(2), None, None]),
        (&["x/1.txt", "y/1.txt", "testing.csv (scores)"], [Some(2), None, None]),
        (&["train/x/1.txt", "train/y/1.txt", "eval.csv (scores)"], [Some(2), None, None]),
        (
            &["train/x/1.txt", "train/y/1.txt", "test/x/1.txt", "testing.csv (scores)"],
            [Some(2), None, Some(1)],
        ),
        (
            &["a-train/x/1.txt", "a-train/y/1.txt", "a-testing/code/1.txt", "a-test/x/1.txt"],
            [Some(2), None, Some(1)],
        ),
        (&["train/x/1.txt", "train/y/1.txt", "eval/x/1.txt"], [Some(2), Some(1), None]),
        (&["train.csv", "dev/0/1.txt", "eval.csv (scores)"], [Some(2), Some(1), None]),
        (&["train.csv", "eval.csv"], [Some(2), Some(2), None]),
        (&["train.csv", "evaluation.csv (scores)", "testing.csv (scores)"], [Some(2), None, None]),
    ] {
        assert_eq!(of(files, LABELLED), expected, "{files:?}");
    }
}

#[test]
fn a_table_of_all_bags_comes_before_tables_that_other_things_are_called() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for bag in ["a", "b", "c"] {
        fs::write(path.join(format!("{bag}.npy")), npy()).unwrap();
    }
    let bags = |split| {
        let keys = "name = \"bags\"\nlabels = [\"0\", \"1\"]";
        let examples = read(path, keys, split).unwrap().1.unwrap_or_default();
        examples.into_iter().filter_map(|example| example.id).collect::<Vec<_>>().join(" ")
    };
    write(path, "labels.csv", "id,label,split\na,0,train\nb,1,val\nc,1,test\n");
    for scores in ["eval.csv", "evaluation.csv", "testing.csv", "training.csv"] {
        write(path, scores, "model,accuracy\na,1\n");
    }
    assert_eq!(Split::USUAL.map(bags), ["a", "b", "c"]);
    // Without it they are the splits.
    fs::remove_file(path.join("labels.csv")).unwrap();
    write(path, "training.csv", "id,label\na,0\n");
    write(path, "eval.csv", "id,label\nb,1\n");
    write(path, "testing.csv", "id,label\nc,1\n");
    assert_eq!(Split::USUAL.map(bags), ["a", "b", "c"]);
    for scores in ["eval.csv", "testing.csv"] {
        write(path, scores, "model,accuracy\na,1\n");
    }
    assert_eq!(Split::USUAL.map(bags), ["a", "", ""]);
    // Where the training split lies in a folder, they are not.
    write(path, "eval.csv", "id,label\nb,1\n");
    fs::remove_file(path.join("training.csv")).unwrap();
    write(path, "train/labels.csv", "id,label\n../a,0\n");
    assert_eq!(Split::USUAL.map(bags), ["../a", "", ""]);
    write(path, "eval/labels.csv", "id,label\n../b,1\n");
    assert_eq!(Split::USUAL.map(bags), ["../a", "../b", ""]);
}

/// A file as NumPy writes one vector of two features.
fn npy() -> Vec<u8> {
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2), }\n";
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend([3, 4]);
    bytes
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
}

/// A file to predict is another matter: it has no labels, and a column of it may be called as theirs are elsewhere.
#[test]
fn a_column_of_labels_is_no_input_of_any_task() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new.jsonl");
    for (keys, key, row) in [
        (
            "name = \"labelled\"\nsentence1 = \"x\"\nlabel = \"x\"",
            "`task.sentence1` is `x`",
            r#"{"x": "a"}"#,
        ),
        (
            "name = \"labelled\"\nsentence2 = \"label\"",
            "`task.sentence2` is `label`",
            r#"{"sentence": "a", "label": "b"}"#,
        ),
        (
            "name = \"labelled\"\nsentence1 = \"x\"\nlabel = [\"x\", \"y\"]",
            "`task.sentence1` is `x`",
            r#"{"x": "a"}"#,
        ),
        ("name = \"ner\"\ntokens = \"w\"\ntags = \"w\"", "`task.tokens` is `w`", r#"{"w": ["a"]}"#),
        (
            "name = \"choice\"\nprompt = \"q\"\nchoices = [\"a\", \"b\"]\nlabel = \"b\"\nlabel_form = \"text\"",
            "`task.choices` is `b`",
            r#"{"q": "a", "a": "b", "b": "c"}"#,
        ),
        (
            "name = \"qa\"\ncontext = \"c\"\nanswers = \"c\"\nversion_2_with_negative = false",
            "`task.context` is `c`",
            r#"{"question": "a", "c": "b"}"#,
        ),
        (
            "name = \"bags\"\ncoordinates = [\"x\", \"y\"]\nlabel = \"y\"",
            "`task.coordinates` is `y`",
            r#"{"id": "a", "x": 1, "y": 2, "f": 0.5}"#,
        ),
    ] {
        let table =
            format!("path = {:?}\n{keys}", folder.path().join("gone").display().to_string());
        let config = tasks().read(&table.parse().unwrap()).unwrap();
        let message = config.refuse_labels_as_input().unwrap_err().to_string();
        assert!(
            message.contains(key) && message.contains("is the column of the labels too"),
            "{message}"
        );
        // The configuration of a run says it of data that it has read.
        let key = key.split('`').nth(1).unwrap().to_owned();
        config.clone().passing_over([key].into_iter()).refuse_labels_as_input().unwrap();
        assert!(config.problems().is_empty(), "{keys}");
        fs::write(&file, format!("{row}\n")).unwrap();
        let names = ["m".to_owned(), "n".to_owned()];
        let config = config.with_feature_names(&["f".to_owned()]);
        let targets = config.targets_of_model(&names, 64).unwrap();
        let examples: Vec<Example> = config
            .file_examples(&file, &targets, 64)
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap_or_else(|error| panic!("{keys}: {error}"));
        assert_eq!(examples.len(), 1, "{keys}");
    }
    for keys in [
        "name = \"labelled\"",
        "name = \"qa\"",
        "name = \"bags\"\ncoordinates = [\"label\"]",
        "name = \"sst2\"",
    ] {
        tasks().read(&keys.parse().unwrap()).unwrap().refuse_labels_as_input().unwrap();
    }
}

/// Somebody has named it: the model that goes on or is measured has such a class.
#[test]
fn a_label_that_is_called_as_a_class_of_the_model_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let targets = |keys: &str, names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let table = format!("path = {:?}\n{keys}", path.display().to_string());
        let config = tasks().read(&table.parse().unwrap()).unwrap().with_class_names(&names);
        config.targets(64).map(|targets| targets.names()).map_err(|error| error.to_string())
    };
    for (file, rows, keys, names) in [
        (
            "train.csv",
            "sentence,label\na,pos\nb,null\n",
            "name = \"labelled\"",
            &["null", "pos"][..],
        ),
        (
            "train.csv",
            "sentence,label\na,0\nb,1\nc,2\nd,-1\n",
            "name = \"labelled\"",
            &["-1", "0", "1", "2"],
        ),
        ("train.csv", "sentence,label\na,0.5\nb,1\n", "name = \"labelled\"", &["0.5", "1"]),
        (
            "train.csv",
            "sentence,label\na,\"['x', 'y']\"\nb,z\n",
            "name = \"labelled\"",
            &["['x', 'y']", "z"],
        ),
        ("train.conll", "a V\nb null\n", "name = \"ner\"\nscheme = \"none\"", &["V", "null"]),
        ("labels.csv", "id,label\na,x\nb,nan\n", "name = \"bags\"", &["nan", "x"]),
    ] {
        for old in fs::read_dir(path).unwrap() {
            fs::remove_file(old.unwrap().path()).unwrap();
        }
        write(path, file, rows);
        assert_eq!(targets(keys, names).unwrap(), names, "{rows}");
        let message = targets(keys, &["LABEL_0", "LABEL_1"]).unwrap_err();
        assert!(message.contains(file), "{message}");
    }
}

/// What a run of before has in its configuration is told, and its model is used.
#[test]
fn a_threshold_that_decides_nothing_is_told_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "train.csv", "sentence,label\na,pos\nb,neg\n");
    let table = format!("path = {:?}\n{LABELLED}threshold = 0.9", path.display().to_string());
    let config = tasks().read(&table.parse().unwrap()).unwrap();
    let of_run = config.clone().passing_over(["task.threshold".to_owned()].into_iter());
    let targets = of_run.targets(64).unwrap();
    assert_eq!(targets.names(), ["neg", "pos"]);
    // It stays so with the keys that the data answers.
    assert!(of_run.resolved(&targets, 64).unwrap().targets(64).is_ok());
    assert!(config.targets(64).is_err());
}
