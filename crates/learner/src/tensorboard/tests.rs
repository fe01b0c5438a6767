//! What a reader makes of a run's event files, by `TensorBoard`'s rules.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::event_file::tests::read;
use super::proto::{Event, HParamsPluginData, START};
use crate::experiment::Experiment;
use crate::metrics_log::{EvaluationRecord, MetricsLog, MetricsRecord, StepRecord};
use crate::record_sinks::{RecordSink, RecordSinks};
use crate::run_dir::RunDir;
use crate::trainer::BestModelResults;
use prost::Message;

/// The events of a folder, its files in the order of their names: a session's start makes void what lies at its step and beyond.
fn events(run: &Path) -> Vec<Event> {
    let mut paths: Vec<_> =
        fs::read_dir(run.join("tensorboard")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut seen: Vec<Event> = Vec::new();
    for path in paths {
        let (events, _) = read(&fs::read(path).unwrap());
        assert_eq!(events[0].file_version.as_deref(), Some("brain.Event:2"));
        for event in events.into_iter().skip(1) {
            match event.session_log {
                Some(log) => {
                    assert_eq!(log.status, START);
                    seen.retain(|earlier| earlier.step < event.step);
                }
                None => seen.push(event),
            }
        }
    }
    assert!(seen.iter().all(|event| event.wall_time > 1e9));
    seen
}

/// Tag, step and value of every scalar, as text: not a number is no equal of itself.
fn scalars(run: &Path) -> Vec<String> {
    let of_event = |event: Event| {
        let values = event.summary.unwrap().value.into_iter();
        values.filter_map(move |value| {
            let number = value.simple_value?;
            Some(format!("{} {} {number:?}", value.tag, event.step))
        })
    };
    let mut scalars: Vec<String> = events(run).into_iter().flat_map(of_event).collect();
    scalars.sort();
    scalars
}

/// The same of the numbers of `metrics.jsonl`.
fn expected(run: &Path) -> Vec<String> {
    let mut expected = Vec::new();
    for record in MetricsLog::read(&run.join("metrics.jsonl")).unwrap() {
        let step = record.step();
        let (split, values) = match record {
            MetricsRecord::Train(record) => (
                "train",
                vec![
                    ("loss".to_owned(), record.loss),
                    ("learning_rate".to_owned(), record.learning_rate),
                    ("grad_norm".to_owned(), record.grad_norm),
                    ("tokens_per_second".to_owned(), record.tokens_per_second),
                    ("elapsed_s".to_owned(), record.elapsed_s),
                ],
            ),
            MetricsRecord::Validation(record) => {
                let mut values: Vec<(String, f64)> = record.metrics.into_iter().collect();
                values.push(("loss".to_owned(), record.loss));
                ("validation", values)
            }
        };
        let values = values.into_iter();
        expected.extend(
            values.map(|(name, value)| format!("{split}/{name} {step} {:?}", value as f32)),
        );
    }
    expected.sort();
    expected
}

fn step(step: usize, loss: f64) -> MetricsRecord {
    MetricsRecord::Train(StepRecord {
        step,
        loss,
        learning_rate: 1e-4 / step as f64,
        grad_norm: 0.5,
        tokens_per_second: 1234.5,
        elapsed_s: step as f64,
        skipped: !loss.is_finite(),
        no_targets: false,
    })
}

fn evaluation(step: usize) -> EvaluationRecord {
    let metrics = BTreeMap::from([("accuracy".to_owned(), 0.1), ("f1".to_owned(), f64::NAN)]);
    EvaluationRecord { step, loss: 2.5, metrics }
}

fn experiment() -> Experiment {
    let mut experiment = Experiment { name: "tiny".to_owned(), seed: 7, ..Experiment::default() };
    experiment.trainer.tensorboard = true;
    experiment
}

/// A session from `first` on: two steps, of which the second is evaluated.
fn session(run: &RunDir, experiment: &Experiment, stands_at: usize, evaluated: usize) {
    let mut sinks = RecordSinks::open(run, experiment, stands_at, evaluated).unwrap();
    sinks.record(&step(stands_at + 1, 3.0)).unwrap();
    sinks.record(&step(stands_at + 2, f64::NAN)).unwrap();
    sinks.record(&MetricsRecord::Validation(evaluation(stands_at + 2))).unwrap();
    sinks.sync().unwrap();
}

#[test]
fn every_number_of_the_log_is_a_scalar_and_a_resume_repeats_none() {
    let folder = tempfile::tempdir().unwrap();
    let (run, experiment) = (RunDir::create(folder.path()).unwrap(), experiment());
    session(&run, &experiment, 0, 0);
    assert_eq!(scalars(run.path()).len(), 2 * 5 + 3);
    assert_eq!(scalars(run.path()), expected(run.path()));
    // From a checkpoint that knows nothing of the last evaluation, from one in the middle, from the very end, and from before the first.
    for (stands_at, evaluated) in [(2, 0), (3, 2), (5, 4), (0, 0)] {
        session(&run, &experiment, stands_at, evaluated);
        assert_eq!(scalars(run.path()), expected(run.path()), "{stands_at}");
    }
    // A file that a crash cut off.
    let newest = fs::read_dir(run.tensorboard()).unwrap().map(|entry| entry.unwrap().path()).max();
    let bytes = fs::read(newest.as_ref().unwrap()).unwrap();
    fs::write(newest.unwrap(), &bytes[..bytes.len() - 5]).unwrap();
    session(&run, &experiment, 2, 2);
    assert_eq!(scalars(run.path()), expected(run.path()));
}

#[test]
fn a_run_that_is_to_have_it_later_begins_with_all_of_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::create(folder.path()).unwrap();
    session(&run, &Experiment::default(), 0, 0);
    assert!(!run.tensorboard().exists());
    session(&run, &experiment(), 2, 2);
    assert_eq!(scalars(run.path()), expected(run.path()));
    assert_eq!(scalars(run.path()).len(), 2 * (2 * 5 + 3));
}

#[test]
fn results_are_there_once_however_often_they_are_measured() {
    let folder = tempfile::tempdir().unwrap();
    let (run, experiment) = (RunDir::create(folder.path()).unwrap(), experiment());
    session(&run, &experiment, 0, 0);
    let results: BestModelResults = serde_json::from_value(serde_json::json!({
        "step": 1, "chosen_by": "", "best_by": "accuracy", "constant_predictor": {},
        "evaluations": {
            "validation": {"step": 1, "loss": 2.5, "accuracy": 0.1},
            "test": {"step": 1, "loss": 2.25, "accuracy": 0.75},
        },
        "classes": {"test": {
            "labels": ["a|b", "c"],
            "confusion_matrix": [[3, 1], [0, 4]],
            "per_class": [
                {"precision": 1.0, "recall": 0.75, "f1": 0.857, "support": 4},
                {"precision": 0.8, "recall": 1.0, "f1": 0.889, "support": 4},
            ],
        }},
    }))
    .unwrap();
    for evaluated in [0, 2] {
        let mut sinks = RecordSinks::open(&run, &experiment, 2, evaluated).unwrap();
        if evaluated == 0 {
            sinks.record(&MetricsRecord::Validation(evaluation(2))).unwrap();
        }
        sinks.results(2, &results).unwrap();
    }
    let mut all = expected(run.path());
    all.extend(["test/accuracy 2 0.75", "test/loss 2 2.25"].map(str::to_owned));
    all.sort();
    assert_eq!(scalars(run.path()), all);

    let texts: Vec<(String, i64, String)> = events(run.path())
        .into_iter()
        .flat_map(|event| {
            let values = event.summary.unwrap().value.into_iter();
            values.filter_map(move |value| {
                let text = value.tensor?.string_val.pop()?;
                Some((value.tag, event.step, String::from_utf8(text).unwrap()))
            })
        })
        .collect();
    let [(config, 0, toml), (classes, 2, table)] = texts.as_slice() else { panic!("{texts:?}") };
    assert_eq!((config.as_str(), classes.as_str()), ("config", "test/classes"));
    assert_eq!(toml.trim_start_matches("```toml\n").trim_end_matches("```"), experiment.to_toml());
    for row in ["| a\\|b | 1.0000 | 0.7500 | 0.8570 | 4 |", "| a\\|b | 3 | 1 |", "| c | 0 | 4 |"] {
        assert!(table.contains(row), "{table}");
    }
}

#[test]
fn hyperparameters_are_the_numbers_and_words_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let (run, experiment) = (RunDir::create(folder.path()).unwrap(), experiment());
    RecordSinks::open(&run, &experiment, 0, 0).unwrap();
    let first = events(run.path()).swap_remove(0).summary.unwrap();
    let value = first.value.into_iter().find(|value| value.tag.starts_with("_hparams_/")).unwrap();
    let plugin = value.metadata.unwrap().plugin_data.unwrap();
    assert_eq!(plugin.plugin_name, "hparams");
    let content = HParamsPluginData::decode(plugin.content.as_slice()).unwrap();
    let hparams = content.session_start_info.unwrap().hparams;
    let number = |key: &str| hparams[key].number;
    assert_eq!(number("seed"), Some(7.0));
    assert_eq!(number("optimizer.learning_rate"), Some(experiment.optimizer.learning_rate));
    assert_eq!(hparams["model.semantics"].text.as_deref(), Some("paper"));
    assert_eq!(hparams["trainer.tensorboard"].truth, Some(true));
    let is_left_out = |prefix: &str| hparams.keys().all(|key| !key.starts_with(prefix));
    assert!(is_left_out("data.") && is_left_out("model.id2label") && is_left_out("name"));
}
