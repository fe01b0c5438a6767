//! Prints what the splits of a labelled data set hold, an object of JSON a line.
//!
//! ```text
//! cargo run --release --example describe_data -- glue FOLDER
//! cargo run --release --example describe_data -- imdb FOLDER
//! ```
//!
//! Splits of GLUE that are not in FOLDER are told under `missing`; data that cannot be read ends the program.

#![allow(clippy::print_stdout, reason = "a program of the command line")]

use std::path::Path;

use nystromformer_data::DataError;
use nystromformer_tasks::glue::{self, GlueTask};
use nystromformer_tasks::imdb::{self, LineBreaks};
use nystromformer_tasks::submission::SubmissionFile;
use nystromformer_tasks::{Example, Input, Label, LabelCounts, LabelRule, Split};
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
            let statistics = Statistics::count(&mut examples)?;
            let mut line = describe(&name, &statistics, task.label_names());
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
    for split in [Split::Train, Split::Test] {
        let Some(reviews) = imdb::read(folder, split, LineBreaks::default(), LabelRule::Required)?
        else {
            continue;
        };
        let statistics = Statistics::count(reviews)?;
        let line = describe(&format!("IMDB {split:?}"), &statistics, &imdb::LABEL_NAMES);
        println!("{}", Value::Object(line));
    }
    Ok(())
}

/// What a split holds.
#[derive(Default)]
struct Statistics {
    labels: LabelCounts,
    /// The labels of regression.
    values: Vec<f64>,
    /// Bytes of each text; of a pair, both together.
    lengths: Vec<usize>,
}

impl Statistics {
    fn count(
        examples: impl IntoIterator<Item = Result<Example, DataError>>,
    ) -> Result<Self, DataError> {
        let mut statistics = Self::default();
        for example in examples {
            let Example { input, label, .. } = example?;
            statistics.labels.add(label.as_ref());
            if let Some(Label::Value(value)) = label {
                statistics.values.push(value.into());
            }
            statistics.lengths.push(match input {
                Input::Vectors(vectors) => vectors.len(),
                Input::Text { first, second } => first.len() + second.map_or(0, |text| text.len()),
                Input::Ids { first, second } => first.len() + second.map_or(0, |ids| ids.len()),
                Input::Words(words) => words.words.iter().map(String::len).sum(),
                Input::Question { question, context } => question.len() + context.len(),
                Input::Choices(choices) => choices
                    .iter()
                    .flatten()
                    .map(|(first, second)| first.len() + second.as_ref().map_or(0, String::len))
                    .sum(),
            });
        }
        Ok(statistics)
    }
}

fn describe(name: &str, statistics: &Statistics, label_names: &[&str]) -> Map<String, Value> {
    let Statistics { labels, values, lengths } = statistics;
    let classes: Map<String, Value> = label_names
        .iter()
        .zip(&labels.classes)
        .map(|(name, count)| ((*name).to_owned(), json!(count)))
        .collect();
    let mut line = Map::new();
    line.insert("split".to_owned(), json!(name));
    line.insert("examples".to_owned(), json!(labels.examples));
    line.insert("unlabelled".to_owned(), json!(labels.unlabelled));
    if !classes.is_empty() {
        line.insert("classes".to_owned(), Value::Object(classes));
    }
    if !values.is_empty() {
        let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let values = json!({ "lowest": lowest, "mean": mean, "highest": highest });
        line.insert("values".to_owned(), values);
    }
    line.insert("longest_bytes".to_owned(), json!(lengths.iter().max().unwrap_or(&0)));
    let mean = lengths.iter().sum::<usize>() as f64 / lengths.len().max(1) as f64;
    line.insert("mean_bytes".to_owned(), json!((mean * 10.0).round() / 10.0));
    line
}
