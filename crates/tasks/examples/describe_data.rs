//! Prints what the splits of a labelled data set hold, an object of JSON a line.
//!
//! ```text
//! cargo run --release -p nystromformer-tasks --example describe_data -- glue FOLDER
//! cargo run --release -p nystromformer-tasks --example describe_data -- imdb FOLDER
//! ```
//!
//! Splits of GLUE that are not in FOLDER are told under `missing`; data that cannot be read ends the program.

#![allow(clippy::print_stdout, reason = "a program of the command line")]

use std::path::Path;

use nystromformer_data::DataError;
use nystromformer_tasks::glue::{self, GlueTask};
use nystromformer_tasks::imdb::{self, LineBreaks};
use nystromformer_tasks::submission::SubmissionFile;
use nystromformer_tasks::{DatasetFacts, Part};
use serde_json::{Map, Value, json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["glue", folder] => describe_glue(Path::new(folder))?,
        ["imdb", folder] => describe_imdb(Path::new(folder))?,
        _ => return Err("usage: describe_data glue|imdb FOLDER".into()),
    }
    Ok(())
}

fn describe_glue(folder: &Path) -> Result<(), DataError> {
    for task in GlueTask::ALL {
        for split in task.splits() {
            let name = format!("{} {split:?}", task.title());
            if let Err(missing) = glue::files(task, folder, *split) {
                println!("{}", json!({ "split": name, "missing": missing.to_string() }));
                continue;
            }
            let mut examples = glue::open(task, folder, *split)?;
            let facts = DatasetFacts::count(&mut examples)?;
            let mut line = describe(&name, &facts, task.label_names());
            line.insert("passed_over".to_owned(), json!(examples.passed_over()));
            if let Some(file) = SubmissionFile::of(task, *split) {
                line.insert("submission_rows".to_owned(), json!(file.rows));
            }
            println!("{}", Value::Object(line));
        }
    }
    Ok(())
}

fn describe_imdb(folder: &Path) -> Result<(), DataError> {
    for split in [Part::Train, Part::Test] {
        let Some(reviews) = imdb::read(folder, split, LineBreaks::default())? else { continue };
        let facts = DatasetFacts::count(reviews)?;
        let line = describe(&format!("IMDB {split:?}"), &facts, &imdb::LABEL_NAMES);
        println!("{}", Value::Object(line));
    }
    Ok(())
}

fn describe(name: &str, facts: &DatasetFacts, label_names: &[&str]) -> Map<String, Value> {
    let classes: Map<String, Value> = label_names
        .iter()
        .zip(&facts.classes)
        .map(|(name, count)| ((*name).to_owned(), json!(count)))
        .collect();
    let mut line = Map::new();
    line.insert("split".to_owned(), json!(name));
    line.insert("examples".to_owned(), json!(facts.examples));
    line.insert("unlabelled".to_owned(), json!(facts.unlabelled));
    if !classes.is_empty() {
        line.insert("classes".to_owned(), Value::Object(classes));
    }
    if let Some(values) = facts.values {
        let values =
            json!({ "lowest": values.lowest, "mean": values.mean, "highest": values.highest });
        line.insert("values".to_owned(), values);
    }
    line.insert("longest_bytes".to_owned(), json!(facts.longest));
    let mean = facts.length_sum as f64 / facts.examples.max(1) as f64;
    line.insert("mean_bytes".to_owned(), json!((mean * 10.0).round() / 10.0));
    line
}
