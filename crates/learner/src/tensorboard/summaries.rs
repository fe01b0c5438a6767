//! What a run has to say, as values under tags.

use std::collections::BTreeMap;

use nystromformer_tasks::Split;
use nystromformer_tasks::metrics::ClassificationReport;
use prost::Message;
use toml::{Table, Value as TomlValue};

use super::event_file::now;
use super::proto::{
    Dimension, FLOAT, HParamsPluginData, PluginData, STRING, SessionStartInfo, SummaryMetadata,
    SummaryValue, TENSORS, TensorProto, TensorShape, Value,
};
use crate::experiment::Experiment;
use crate::metrics_log::{EvaluationRecord, MetricsRecord};
use crate::trainer::BestModelResults;

/// Sections whose keys are hyperparameters: what lies where, and what the data answers, is none.
const HYPERPARAMETERS: [&str; 4] = ["model", "optimizer", "schedule", "trainer"];

/// Classes of the largest table that is shown.
const MOST_CLASSES: usize = 100;

/// Every number of a record, as `SPLIT/NAME`; what is not finite is not a number.
pub(super) fn of_record(record: &MetricsRecord) -> Vec<SummaryValue> {
    let fields = serde_json::to_value(record).unwrap_or_default();
    let split = fields["split"].as_str().unwrap_or_default();
    let fields = fields.as_object().into_iter().flatten();
    fields
        .filter(|(name, value)| *name != "step" && (value.is_number() || value.is_null()))
        .map(|(name, value)| scalar(split, name, value.as_f64().unwrap_or(f64::NAN)))
        .collect()
}

/// The best model's scores on the test splits; those on the validation split are in the run's records. Of classes a table as text.
pub(super) fn of_results(results: &BestModelResults) -> Vec<SummaryValue> {
    let is_test =
        |split: &str| [Split::Test, Split::TestMismatched].map(Split::name).contains(&split);
    let of_tests = results.evaluations.iter().filter(|(split, _)| is_test(split));
    let scores = of_tests.flat_map(|(split, EvaluationRecord { loss, metrics, .. })| {
        let loss = scalar(split, "loss", *loss);
        let metrics = metrics.iter().map(|(name, value)| scalar(split, name, *value));
        std::iter::once(loss).chain(metrics)
    });
    let tables = results.classes.iter().filter(|(_, report)| report.labels.len() <= MOST_CLASSES);
    let tables = tables.map(|(split, report)| text(&format!("{split}/classes"), &table(report)));
    scores.chain(tables).collect()
}

/// The resolved configuration as text, and what is to be chosen of it as hyperparameters.
pub(super) fn of_experiment(experiment: &Experiment) -> Vec<SummaryValue> {
    let config = experiment.to_toml();
    let config_as_text = text("config", &format!("```toml\n{config}```"));
    vec![config_as_text, hyperparameters(&config.parse().unwrap_or_default())]
}

fn scalar(split: &str, name: &str, value: f64) -> SummaryValue {
    SummaryValue {
        tag: format!("{split}/{name}"),
        simple_value: Some(value as f32),
        ..SummaryValue::default()
    }
}

/// A text, which `TensorBoard` shows as Markdown.
fn text(tag: &str, markdown: &str) -> SummaryValue {
    tensor(tag, "text", Vec::new(), STRING, vec![markdown.as_bytes().to_vec()])
}

/// The hyperparameters of a configuration: numbers, texts and truth values of its sections, by their dotted keys.
fn hyperparameters(config: &Table) -> SummaryValue {
    let of_section = |section: &'static str| {
        let keys = config.get(section).and_then(TomlValue::as_table).into_iter().flatten();
        keys.map(move |(key, value)| (format!("{section}.{key}"), value))
    };
    let seed = config.get("seed").map(|seed| ("seed".to_owned(), seed));
    let all = HYPERPARAMETERS.into_iter().flat_map(of_section).chain(seed);
    let hparams: BTreeMap<String, Value> =
        all.filter_map(|(key, value)| Some((key, hyperparameter(value)?))).collect();
    let content = HParamsPluginData {
        version: 0,
        session_start_info: Some(SessionStartInfo { hparams, start_time_secs: now() }),
    };
    let tag = "_hparams_/session_start_info";
    tensor(tag, "hparams", content.encode_to_vec(), FLOAT, Vec::new())
}

fn hyperparameter(value: &TomlValue) -> Option<Value> {
    let mut plain = Value::default();
    match value {
        TomlValue::Integer(number) => plain.number = Some(*number as f64),
        TomlValue::Float(number) => plain.number = Some(*number),
        TomlValue::Boolean(truth) => plain.truth = Some(*truth),
        TomlValue::String(text) => plain.text = Some(text.clone()),
        TomlValue::Datetime(_) | TomlValue::Array(_) | TomlValue::Table(_) => return None,
    }
    Some(plain)
}

/// A tensor of texts, for a plugin.
fn tensor(
    tag: &str,
    plugin: &str,
    content: Vec<u8>,
    dtype: i32,
    texts: Vec<Vec<u8>>,
) -> SummaryValue {
    let plugin_data = PluginData { plugin_name: plugin.to_owned(), content };
    let shape = TensorShape { dim: vec![Dimension { size: texts.len() as i64 }] };
    SummaryValue {
        tag: tag.to_owned(),
        tensor: Some(TensorProto { dtype, tensor_shape: Some(shape), string_val: texts }),
        metadata: Some(SummaryMetadata { plugin_data: Some(plugin_data), data_class: TENSORS }),
        ..SummaryValue::default()
    }
}

/// Scores of each class, and which class was taken for which.
fn table(report: &ClassificationReport) -> String {
    let names: Vec<String> = report.labels.iter().map(|label| cell(label)).collect();
    let mut rows = vec![
        "| class | precision | recall | f1 | support |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    rows.extend(names.iter().zip(&report.per_class).map(|(name, scores)| {
        format!(
            "| {name} | {:.4} | {:.4} | {:.4} | {} |",
            scores.precision, scores.recall, scores.f1, scores.support
        )
    }));
    if let Some(matrix) = &report.confusion_matrix {
        rows.push(format!("\n| reference \\ prediction | {} |", names.join(" | ")));
        rows.push(format!("|---|{}", "---|".repeat(names.len())));
        rows.extend(names.iter().zip(matrix.counts()).map(|(name, counts)| {
            let counts: Vec<String> = counts.iter().map(u64::to_string).collect();
            format!("| {name} | {} |", counts.join(" | "))
        }));
    }
    rows.join("\n")
}

/// A name as the cell of a table.
fn cell(name: &str) -> String {
    name.replace('|', "\\|").replace(['\n', '\r'], " ")
}
