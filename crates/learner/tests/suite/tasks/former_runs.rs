//! Runs that an earlier version began go on as it would have gone on.

use std::fs;
use std::path::Path;

use nystromformer_learner::progress::Silent;
use nystromformer_learner::trainer::{EndReason, model_folder};
use serde_json::{Value, json};

use super::fixture::{Fixture, StopAfter, train};

/// How text of a run's configuration is put into the words of before.
type Rewriting<'a> = &'a [(&'a str, &'a str)];

/// Keys of before beside those of today: the former default, and what nothing reads.
const OF_BEFORE: [(&str, &str); 3] = [
    ("config_version = 2\n", ""),
    ("[task]\n", "[task]\ntruncation = \"head\"\nthreshold = 0.9\ncontour = \"6\"\n"),
    ("[data]\n", "[data]\nvalidation_fraction = 0.3\n"),
];

/// Rewrites a configuration as a version wrote it that gave its form no number.
fn write_as_before(path: &Path, rewriting: Rewriting<'_>) {
    let mut text = fs::read_to_string(path).unwrap();
    for (of_today, of_before) in rewriting {
        assert!(text.contains(of_today), "{of_today}: {text}");
        text = text.replace(of_today, of_before);
    }
    fs::write(path, text).unwrap();
}

/// The same of a run and of its checkpoints, whose files have hashes.
fn write_run_as_before(run: &Path, rewriting: Rewriting<'_>) {
    write_as_before(&run.join("config.toml"), rewriting);
    for entry in fs::read_dir(run.join("checkpoints")).unwrap() {
        let folder = entry.unwrap().path();
        let (experiment, manifest) = (folder.join("experiment.toml"), folder.join("manifest.json"));
        write_as_before(&experiment, rewriting);
        let bytes = fs::read(experiment).unwrap();
        let mut value: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
        value["files"]["experiment.toml"] =
            json!({"length": bytes.len(), "blake3": blake3::hash(&bytes).to_hex().to_string()});
        fs::write(manifest, value.to_string()).unwrap();
    }
}

#[test]
fn a_resumed_run_of_before_reads_the_end_that_it_was_trained_on() {
    for (start, reading) in [
        ("tail", &["data.seq_len=8", "task.truncation=tail"][..]),
        ("windows", &["data.seq_len=8", "task.truncation=windows", "task.stride=2"]),
    ] {
        let fixture = Fixture::of_reviews();
        fixture.train(start, reading).unwrap();
        // The tokenizer is that of the model to start from.
        let config = fixture.path("task.toml");
        let text = fs::read_to_string(&config).unwrap();
        let (text, _) = text.split_once("[tokenizer]").unwrap();
        fs::write(&config, text).unwrap();
        let from = model_folder(&fixture.path(start)).unwrap();
        let from = format!("model.init_from={}", from.display());
        let overrides = ["data.seq_len=8", &from];
        fixture.train("unbroken", &overrides).unwrap();
        let expected = fixture.metrics("unbroken");
        let threshold = "threshold = 0.9\n";
        for (run, stated) in [("silent", ""), ("stated", "truncation = \"head\"\n")] {
            let mut stop = StopAfter { step: 3, taken: 0 };
            train(&fixture.request(run, &overrides, false), &mut stop).unwrap();
            write_run_as_before(&fixture.path(run), &OF_BEFORE);
            // A file that states the default of before asks for the same run.
            fs::write(&config, format!("{text}{threshold}{stated}")).unwrap();
            let resumed = train(&fixture.request(run, &[], true), &mut Silent).unwrap();
            fs::write(&config, text).unwrap();
            assert_eq!(resumed.ended_by, EndReason::Finished);
            assert_eq!(fixture.metrics(run), expected, "{start} {run}");
        }
        // Today `head` is a statement, which a run keeps.
        let stating = [&overrides[..], &["task.truncation=head"]].concat();
        fixture.train("head", &stating).unwrap();
        let of_head = fixture.metrics("head");
        assert_ne!(of_head, expected, "{start}");
        let mut stop = StopAfter { step: 3, taken: 0 };
        train(&fixture.request("halted", &stating, false), &mut stop).unwrap();
        train(&fixture.request("halted", &[], true), &mut Silent).unwrap();
        assert_eq!(fixture.metrics("halted"), of_head, "{start}");
    }
}

/// A run that waits for evaluations that never come, as could be begun before, cannot change that, and goes to its end.
#[test]
fn a_resumed_run_of_before_may_wait_in_vain_for_an_evaluation() {
    let fixture = Fixture::of_reviews();
    fs::remove_file(fixture.data().join("validation.csv")).unwrap();
    let overrides = ["task.validation_fraction=0"];
    let mut stop = StopAfter { step: 3, taken: 0 };
    train(&fixture.request("run", &overrides, false), &mut stop).unwrap();
    let patience = |number: u32| format!("early_stopping_patience = {number}\n");
    write_run_as_before(&fixture.path("run"), &[(&patience(0), &patience(2))]);
    // Its file states what the run does.
    let stated = ["trainer.early_stopping_patience=2"];
    let resumed = train(&fixture.request("run", &stated, true), &mut Silent).unwrap();
    assert_eq!(resumed.ended_by, EndReason::Finished);
}
