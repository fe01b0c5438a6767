//! What `train` leaves, and what it refuses to touch.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::fixture::{
    Fixture, STEPS, checkpoint, command, finish, keys, metrics, read_json, repository, signal,
};

#[test]
fn a_run_leaves_what_is_promised() {
    let fixture = Fixture::new();
    let finished = finish(fixture.train("run", &[])).succeeded();
    let run = fixture.path("run");

    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(config.contains(&fixture.text("corpus.txt")), "{config}");

    let lines = metrics(&run);
    let of = |split: &str| -> Vec<&Value> {
        lines.iter().filter(|line| line["split"] == split).collect()
    };
    let steps: Vec<u64> = of("train").iter().map(|line| line["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, (1..=STEPS as u64).collect::<Vec<_>>());
    for line in of("train") {
        assert_eq!(
            keys(line),
            [
                "elapsed_s",
                "grad_norm",
                "learning_rate",
                "loss",
                "split",
                "step",
                "tokens_per_second"
            ]
        );
    }
    let evaluated: Vec<&Value> = of("validation").iter().map(|line| &line["step"]).collect();
    assert_eq!(evaluated, [3, 6]);
    for line in of("validation") {
        assert_eq!(keys(line), ["accuracy", "loss", "perplexity", "split", "step"]);
    }

    let checkpoint = checkpoint(&run, STEPS);
    let manifest = read_json(&checkpoint.join("manifest.json"));
    for entry in fs::read_dir(&checkpoint).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name != "manifest.json" {
            let record = &manifest["files"][&name];
            assert_eq!(record["length"], entry.metadata().unwrap().len(), "{name}");
            assert_eq!(record["blake3"].as_str().unwrap().len(), 64, "{name}");
        }
    }

    let summary = read_json(&run.join("summary.json"));
    assert_eq!(summary["steps"], STEPS);
    assert_eq!(summary["final_evaluation"]["loss"], of("validation")[1]["loss"]);
    assert_eq!(summary["final_train_loss"], of("train")[STEPS - 1]["loss"]);
    assert_eq!((&summary["device"], &summary["dtype"]), (&"flex".into(), &"float32".into()));
    assert_eq!(summary["seed"], 0);
    for number in ["wall_seconds", "tokens_per_second", "peak_rss_bytes", "parameters"] {
        assert!(summary[number].as_f64().unwrap() > 0.0, "{number}");
    }
    assert!(summary["best_evaluation"]["loss"].is_f64() && summary["versions"]["burn"].is_string());
    for name in ["config", "data", "tokenizer"] {
        assert_eq!(summary["fingerprints"][name].as_str().unwrap().len(), 64, "{name}");
    }

    // The result on stdout, everything else on stderr.
    let words = &finished.stdout;
    assert!(words.contains("held-out loss") && words.contains("unigram baseline"), "{words}");
    assert!(words.contains(&format!("model: {} (best: step 6", checkpoint.display())), "{words}");
    assert!(finished.stderr.contains("step 1/6") && !words.contains("step 1/6"), "{words}");
}

#[test]
fn the_seed_decides_everything_and_the_number_of_threads_no_bit() {
    let fixture = Fixture::new();
    // Losses and norms of every step, and the weights at the end.
    let run = |run: &str, seed: &str, threads: &str| -> (Vec<[u64; 2]>, Vec<u8>) {
        let mut train = fixture.train(run, &[seed]);
        train.env("RAYON_NUM_THREADS", threads);
        finish(train).succeeded();
        let run = fixture.path(run);
        let bits = |number: &Value| number.as_f64().unwrap_or(0.0).to_bits();
        let steps =
            metrics(&run).into_iter().map(|line| [bits(&line["loss"]), bits(&line["grad_norm"])]);
        let weights = fs::read(checkpoint(&run, STEPS).join("model.safetensors")).unwrap();
        (steps.collect(), weights)
    };
    let one_thread = run("one", "seed=0", "1");
    for threads in ["2", "5"] {
        assert!(run(threads, "seed=0", threads) == one_thread, "on {threads} threads");
    }
    assert_ne!(run("seed", "seed=1", "1").0[0], one_thread.0[0]);
}

#[test]
fn a_dry_run_writes_nothing_at_all() {
    let fixture = Fixture::new();
    for folder in ["here", "scratch"] {
        fs::create_dir(fixture.path(folder)).unwrap();
    }
    let mut train = command("train");
    train
        .arg(repository().canonicalize().unwrap().join("configs/tiny/mlm.toml"))
        .arg("--dry-run")
        .args(["--set", &format!("data.corpus={}", fixture.text("corpus.txt"))])
        .args(["--set", "data.document=line"])
        .current_dir(fixture.path("here"))
        .env("TMPDIR", fixture.path("scratch"));
    let sizes = finish(train).succeeded().json();
    // batch_size · seq_len of the tiny configuration
    assert_eq!(
        (sizes["tokens_per_step"].as_u64(), sizes["total_steps"].as_u64()),
        (Some(256), Some(20))
    );
    let parameters = sizes["parameters"].as_u64().unwrap();
    // Weights, gradients and two moments, four bytes each, are the least that training takes.
    assert!(parameters > 0 && sizes["estimated_bytes"].as_u64().unwrap() >= 16 * parameters);
    assert!(sizes["loss"].as_f64().unwrap() > 0.0);
    assert_eq!(fixture.listing("here"), [""; 0]);
    assert_eq!(fixture.listing("scratch"), [""; 0]);
}

#[test]
fn a_dry_run_reads_the_token_cache_and_says_where_a_resume_would_go_on() {
    let fixture = Fixture::new();
    let dry_run = |resume: bool, further: &[&str]| {
        let mut train = fixture.train("run", further);
        train.arg("--dry-run").args(resume.then_some("--resume"));
        finish(train)
    };
    let fresh = dry_run(true, &[]).succeeded();
    assert!(fresh.stderr.contains("scratch folder"), "{}", fresh.stderr);
    assert!(fresh.json()["resumes_from_step"].is_null());
    assert!(!fixture.path("run").exists() && !fixture.path("cache").exists());

    fixture.trained("run");
    let before = [fixture.listing("run"), fixture.listing("cache")];
    let resumed = dry_run(true, &[]).succeeded();
    assert!(!resumed.stderr.contains("tokenizing"), "{}", resumed.stderr);
    assert!(
        resumed.stderr.contains(&format!("after step {STEPS} of {STEPS}")),
        "{}",
        resumed.stderr
    );
    assert_eq!(resumed.json()["resumes_from_step"], STEPS);
    assert!(resumed.json()["loss"].as_f64() < fresh.json()["loss"].as_f64());
    let message = dry_run(true, &["seed=3"]).refused(2);
    assert!(message.contains("seed: was `0`, now `3`"), "{message}");
    dry_run(false, &[]).succeeded();
    assert_eq!([fixture.listing("run"), fixture.listing("cache")], before);
}

#[test]
fn a_run_that_was_started_with_relative_paths_is_read_from_every_folder() {
    let fixture = Fixture::new();
    let config = repository().join("configs/tiny/mlm.toml").display().to_string();
    let relative = |mut command: Command, folder: &Path| {
        command.current_dir(folder);
        command
    };
    let settings = ["data.corpus=corpus.txt", "data.cache_dir=cache"];
    let train = |folder: &Path, further: &[&str], resume: bool| {
        let mut train =
            fixture.on_tiny("train", &[&config, "--run-dir", &fixture.text("run")], further);
        train.args(resume.then_some("--resume"));
        finish(relative(train, folder))
    };
    let home = fixture.path("");
    train(&home, &[&settings[..], &["trainer.max_steps=3"]].concat(), false).succeeded();
    let stored = fs::read_to_string(fixture.path("run/config.toml")).unwrap();
    for name in ["corpus.txt", "cache"] {
        assert!(stored.contains(&format!("\"{}\"", fixture.text(name))), "{stored}");
    }
    let elsewhere = fixture.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let run = fixture.text("run");
    let mut resume = command("train");
    resume.args([&format!("{run}/config.toml"), "--run-dir", &run, "--resume"]);
    finish(relative(resume, &elsewhere)).succeeded();
    let mut evaluate = command("evaluate");
    evaluate.args(["--model", &run, "--config", &format!("{run}/config.toml")]);
    assert!(finish(relative(evaluate, &elsewhere)).succeeded().json()["loss"].is_number());
    assert_eq!(fixture.listing("elsewhere"), [""; 0]);
}

#[test]
fn a_directory_that_holds_a_run_is_refused_without_resume() {
    let fixture = Fixture::new();
    let run = fixture.trained("run");
    let before = fs::read(run.join("metrics.jsonl")).unwrap();
    let message = finish(fixture.train("run", &[])).refused(2);
    assert!(message.contains("holds a run already") && message.contains("`--resume`"), "{message}");
    assert_eq!(fs::read(run.join("metrics.jsonl")).unwrap(), before);
}

#[test]
fn resume_starts_where_there_is_nothing_and_ends_at_once_where_all_is_done() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.path("run")).unwrap();
    finish(fixture.resume("run", &[])).succeeded();
    let run = fixture.path("run");
    let before = fs::read(run.join("metrics.jsonl")).unwrap();
    let again = finish(fixture.resume("run", &[])).succeeded();
    assert!(again.stderr.contains("resuming from "), "{}", again.stderr);
    assert_eq!(fs::read(run.join("metrics.jsonl")).unwrap(), before);
}

#[test]
fn resuming_another_experiment_is_refused_with_the_fields_that_differ() {
    let fixture = Fixture::new();
    fixture.trained("run");
    let message =
        finish(fixture.resume("run", &["optimizer.learning_rate=0.5", "seed=3"])).refused(2);
    for part in ["optimizer.learning_rate: was `0.001`, now `0.5`", "seed: was `0`, now `3`"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_second_trainer_in_one_directory_is_refused() {
    let fixture = Fixture::new();
    let endless = ["trainer.max_steps=1000000"];
    let mut first = fixture.start(fixture.train("run", &endless), "log");
    fixture.wait_for("run/metrics.jsonl", "\n");
    for second in [fixture.resume("run", &endless), fixture.train("run", &endless)] {
        let message = finish(second).refused(2);
        assert!(message.contains("another trainer is at work"), "{message}");
    }
    signal(&first, "TERM");
    assert_eq!(first.wait().unwrap().code(), Some(75));
}
