//! IMDB's layouts, in small.

use std::fs;
use std::path::Path;

use nystromformer_tasks::Split;
use nystromformer_tasks::imdb::{LineBreaks, read};
use nystromformer_tasks::{Input, Label, LabelRule};

use crate::parquet_file::{self, Values};

fn reviews(folder: &Path, line_breaks: LineBreaks) -> Result<Vec<(String, Option<Label>)>, String> {
    of_part(folder, Split::Train, line_breaks)
}

fn of_part(
    folder: &Path,
    part: Split,
    line_breaks: LineBreaks,
) -> Result<Vec<(String, Option<Label>)>, String> {
    read(folder, part, line_breaks, LabelRule::Required)
        .map_err(|error| error.to_string())?
        .expect("there is such a part")
        .map(|example| {
            let example = example.map_err(|error| error.to_string())?;
            let Input::Text { first, second: None } = example.input else {
                return Err("not a single text".to_owned());
            };
            Ok((first, example.label))
        })
        .collect()
}

fn expected(texts: [&str; 2]) -> Vec<(String, Option<Label>)> {
    (0..).zip(texts).map(|(class, text)| (text.to_owned(), Some(Label::Class(class)))).collect()
}

#[test]
fn the_official_folders_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("aclImdb");
    for (name, text) in [
        ("neg/0_3.txt", "Bad.<br /><br />Really."),
        ("pos/0_9.txt", "Good."),
        ("unsup/0_0.txt", "Nobody knows."),
    ] {
        let path = place.join("train").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    for folder in [folder.path(), &place] {
        let blank = reviews(folder, LineBreaks::default()).unwrap();
        assert_eq!(blank, expected(["Bad.  Really.", "Good."]));
        let kept = reviews(folder, LineBreaks::Keep).unwrap();
        assert_eq!(kept, expected(["Bad.<br /><br />Really.", "Good."]));
    }
}

#[test]
fn tables_are_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("train.csv"), "text,label\n\"So, bad.\",neg\nGood.,1\n").unwrap();
    let read = reviews(folder.path(), LineBreaks::Blank).unwrap();
    assert_eq!(read, expected(["So, bad.", "Good."]));

    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("plain_text")).unwrap();
    let texts: [Option<&[u8]>; 2] = [Some(b"Bad."), Some(b"Good.")];
    parquet_file::write(
        &folder.path().join("plain_text/train-00000-of-00001.parquet"),
        &[("text", Values::Texts(&texts)), ("label", Values::Integers(&[0, 1]))],
    );
    let read = reviews(folder.path(), LineBreaks::Blank).unwrap();
    assert_eq!(read, expected(["Bad.", "Good."]));
}

#[test]
fn a_validation_set_of_ones_own_is_read_and_none_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let validation =
        || read(folder.path(), Split::Validation, LineBreaks::Blank, LabelRule::Required);
    fs::write(folder.path().join("train.csv"), "text,label\nBad.,neg\nGood.,pos\n").unwrap();
    assert!(validation().unwrap().is_none());
    fs::write(folder.path().join("validation.csv"), "text,label\nSad.,neg\nFine.,pos\n").unwrap();
    let found = of_part(folder.path(), Split::Validation, LineBreaks::Blank).unwrap();
    assert_eq!(found, expected(["Sad.", "Fine."]));
    fs::create_dir_all(folder.path().join("validation/pos")).unwrap();
    let message = validation().err().unwrap().to_string();
    assert!(message.contains("`aclImdb/validation/neg`"), "{message}");
}

#[test]
fn what_is_missing_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let message = reviews(folder.path(), LineBreaks::Blank).unwrap_err();
    for part in ["`aclImdb/train/neg`", "`train.parquet`", "https://", "SOURCE.md"] {
        assert!(message.contains(part), "{message}");
    }
    fs::write(folder.path().join("train.csv"), "text,label\nGood.,good\n").unwrap();
    let message = reviews(folder.path(), LineBreaks::Blank).unwrap_err();
    assert!(message.contains("train.csv:2: ") && message.contains("`good`"), "{message}");
}
