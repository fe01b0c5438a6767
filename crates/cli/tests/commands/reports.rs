//! `report.html` of runs, `report` of several, and `runs`.

use std::fs;

use serde_json::{Value, json};

use crate::fixture::{Fixture, NYSTROMFORMER, STEPS, at_root, command, finish, read_json, signal};
use crate::tasks::{prepare_tone, train};

/// Identifiers of the sections that are shown, and of those that are said to be missing.
fn sections(page: &str) -> (Vec<String>, Vec<String>) {
    let ids = |start: &str| -> Vec<String> {
        let parts = page.split(start).skip(1);
        parts.map(|part| part.split('"').next().unwrap().to_owned()).collect()
    };
    let shown = ids("<section id=\"").into_iter().filter(|id| id != "missing").collect();
    (shown, ids("<li id=\""))
}

/// Numbers of `value` at these places, as the page shows them beside what it rounds.
fn require_numbers(page: &str, value: &Value, pointers: &[&str]) {
    for pointer in pointers {
        let number = value.pointer(pointer).unwrap_or_else(|| panic!("{pointer} in {value}"));
        let shown = format!("<data value=\"{}\">", number.as_f64().unwrap());
        assert!(page.contains(&shown), "{pointer}: {shown}");
    }
}

#[test]
fn a_run_of_pretraining_leaves_a_report_of_what_it_did() {
    let fixture = Fixture::new();
    let finished = finish(fixture.train("run", &[])).succeeded();
    let run = fixture.path("run");
    assert!(finished.stderr.contains("report: "), "{}", finished.stderr);
    assert!(!finished.stdout.contains("report"), "{}", finished.stdout);
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    let (shown, missing) = sections(&page);
    assert_eq!(
        shown,
        [
            "about",
            "scores",
            "loss",
            "metrics",
            "optimization",
            "speed",
            "memory",
            "attention",
            "pinv",
            "config"
        ]
    );
    assert_eq!(missing, ["classes", "confusion", "calibration", "mistakes"]);
    let summary = read_json(&run.join("summary.json"));
    require_numbers(&page, &summary, &["/best_evaluation/loss", "/best_evaluation/accuracy"]);
    // What the command line changed stands before what the file states.
    let changed = page.find("Changed by <code><bdi>--set</bdi></code>").unwrap();
    assert!(
        changed < page.find("What <code><bdi>configs/tiny/mlm.toml</bdi></code> states").unwrap()
    );

    // What it is made of is on record, and reading it changes nothing.
    let layers = read_json(&run.join("config_layers.json"));
    assert_eq!(layers[0]["source"], "configs/tiny/mlm.toml");
    assert_eq!(layers[1]["values"]["trainer"]["max_steps"], STEPS);
    let diagnosis = read_json(&run.join("diagnosis.json"));
    assert_eq!((&diagnosis["split"], &diagnosis["step"]), (&json!("validation"), &json!(STEPS)));
    let residuals = diagnosis["pinv_residual"]["layers"].as_array().unwrap();
    assert_eq!(residuals.len(), 2);
    assert!(
        residuals
            .iter()
            .flat_map(|heads| heads.as_array().unwrap())
            .all(|value| { value.as_f64().is_some_and(|value| (0.0..1.0).contains(&value)) })
    );
    let resources = fs::read_to_string(run.join("resources.jsonl")).unwrap();
    assert_eq!(resources.lines().count(), 1 + STEPS);
}

#[test]
fn the_attention_of_the_report_is_that_of_predict_attention() {
    let fixture = Fixture::new();
    let run = fixture.trained("run");
    let attention = &read_json(&run.join("diagnosis.json"))["attention"];
    let tokens = attention["tokens"].as_array().unwrap();
    assert_eq!(tokens.len(), attention["places"].as_u64().unwrap() as usize);
    for layer in attention["layers"].as_array().unwrap() {
        for head in layer["heads"].as_array().unwrap() {
            let weights: Vec<f64> =
                head.as_array().unwrap().iter().map(|weight| weight.as_f64().unwrap()).collect();
            assert_eq!(weights.len(), tokens.len());
            // Of the Nyström method they sum to about 1.
            let sum: f64 = weights.iter().sum();
            assert!((sum - 1.0).abs() < 0.05, "{sum}");
        }
    }
}

#[test]
fn a_series_has_reports_of_its_runs_and_one_of_them_all() {
    let fixture = Fixture::new();
    finish(fixture.train("run", &["seeds=[1, 2]"])).succeeded();
    let run = fixture.path("run");
    for seed in ["seed-1", "seed-2"] {
        assert!(run.join(seed).join("report.html").is_file());
    }
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert_eq!(sections(&page).0, ["table", "curves", "members"]);
    let summary = read_json(&run.join("summary.json"));
    require_numbers(&page, &summary, &["/statistics/validation/loss/mean"]);

    let together = fixture.text("both.html");
    let mut report = command("report");
    report.args([
        &format!("{}/seed-1", fixture.text("run")),
        &format!("{}/seed-2", fixture.text("run")),
    ]);
    report.args(["--output", &together]);
    let printed = finish(report).succeeded();
    assert_eq!(printed.stdout, format!("{together}\n"));
    let page = fs::read_to_string(together).unwrap();
    assert_eq!(sections(&page).0, ["table", "curves", "differences"]);
    assert!(page.contains("seed-1") && page.contains("seed-2"));
}

#[test]
fn a_resume_is_marked_and_a_run_that_was_stopped_can_be_looked_at() {
    let fixture = Fixture::new();
    finish(fixture.train("run", &["trainer.max_steps=4", "schedule.warmup_steps=1"])).succeeded();
    let run = fixture.path("run");
    fs::remove_file(run.join("summary.json")).unwrap();
    // It goes on from the evaluation at step 3, which was the best and so was saved.
    fs::remove_dir_all(run.join("checkpoints/step-00000004")).unwrap();
    finish(fixture.resume("run", &["trainer.max_steps=4", "schedule.warmup_steps=1"])).succeeded();
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("1 × resumed") && page.contains("after step 3"), "{page}");
    fs::remove_file(run.join("summary.json")).unwrap();
    let mut report = command("report");
    report.arg(&run);
    let printed = finish(report).succeeded();
    assert_eq!(printed.stdout, format!("{}\n", run.join("report.html").display()));
    assert!(
        fs::read_to_string(run.join("report.html")).unwrap().contains("not ended: at step 4 of 4")
    );
}

#[test]
fn a_report_that_cannot_be_written_is_a_warning_and_the_run_is_complete() {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.path("run/report.html/taken")).unwrap();
    fs::create_dir_all(fixture.path("run/diagnosis.json/taken")).unwrap();
    let finished = finish(fixture.train("run", &[])).succeeded();
    for name in ["report.html", "diagnosis.json"] {
        let path = fixture.path("run").join(name).display().to_string();
        assert!(
            finished.stderr.contains(&format!("warning: there is no `{path}`")),
            "{}",
            finished.stderr
        );
    }
    assert_eq!(read_json(&fixture.path("run/summary.json"))["ended_by"], "finished");
}

#[test]
fn what_is_no_run_is_refused() {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.path("damaged")).unwrap();
    fs::write(fixture.path("damaged/config.toml"), "seed = 1\n").unwrap();
    fs::write(fixture.path("damaged/summary.json"), "{\"name\": 3}").unwrap();
    for (name, code, part) in [
        ("nowhere", 2, "does not exist"),
        ("corpus.txt", 2, "is a file"),
        ("", 2, "holds no run"),
        ("damaged", 3, "summary.json"),
    ] {
        let mut report = command("report");
        report.arg(fixture.path(name));
        let message = finish(report).refused(code);
        assert!(message.contains(part), "{message}");
    }
    let mut runs = command("runs");
    runs.arg(fixture.path("corpus.txt"));
    assert!(finish(runs).refused(2).contains("is no directory of runs"));
}

#[test]
fn runs_are_listed_with_what_they_do() {
    let fixture = Fixture::new();
    let list = |arguments: &[&str]| {
        let mut runs = command("runs");
        runs.arg(fixture.path("runs")).args(arguments);
        finish(runs).succeeded()
    };
    fs::create_dir(fixture.path("runs")).unwrap();
    assert_eq!(list(&["--json"]).stdout, "");
    finish(fixture.train("runs/done", &[])).succeeded();
    finish(fixture.train("runs/deeper/seeds", &["seeds=[1, 2]"])).succeeded();
    let failed = fixture.path("runs/failed");
    fs::create_dir(&failed).unwrap();
    fs::copy(fixture.path("runs/done/config.toml"), failed.join("config.toml")).unwrap();
    let half = fs::read_to_string(fixture.path("runs/done/metrics.jsonl")).unwrap();
    fs::write(failed.join("metrics.jsonl"), &half[..half.len() - 20]).unwrap();
    let mut running =
        fixture.start(fixture.train("runs/running", &["trainer.max_steps=1000000"]), "log");
    fixture.wait_for("runs/running/metrics.jsonl", "\n");

    let lines = list(&["--json"]).json_lines();
    let of = |name: &str| {
        let found = lines.iter().find(|line| line["path"].as_str().unwrap().ends_with(name));
        found.unwrap_or_else(|| panic!("{name} in {lines:?}"))
    };
    assert_eq!(lines.len(), 4);
    let done = of("runs/done");
    assert_eq!(
        (&done["state"], &done["step"], &done["max_steps"]),
        (&json!("finished"), &json!(STEPS), &json!(STEPS))
    );
    let summary = read_json(&fixture.path("runs/done/summary.json"));
    assert_eq!(
        done["best"],
        json!({"metric": "loss", "value": summary["best_evaluation"]["loss"]})
    );
    assert!(done["bytes"].as_u64().unwrap() > 1000 && done["age_seconds"].as_f64().is_some());
    let seeds = of("deeper/seeds");
    assert_eq!(
        (&seeds["state"], &seeds["runs"], &seeds["finished"]),
        (&json!("finished"), &json!(2), &json!(2))
    );
    assert_eq!(of("runs/failed")["state"], "failed");
    assert_eq!(of("runs/failed")["step"], STEPS);
    assert_eq!(of("runs/running")["state"], "running");
    signal(&running, "TERM");
    assert_eq!(running.wait().unwrap().code(), Some(75));

    let table = list(&[]).stdout;
    let stopped = table.lines().find(|line| line.contains("runs/running")).unwrap();
    assert!(stopped.contains("stopped") && stopped.contains("/1000000"), "{table}");
    assert!(table.lines().any(|line| line.contains("finished, 2 of 2 finished")), "{table}");
    assert_eq!(table.lines().count(), 5);
    let mut here = at_root(NYSTROMFORMER);
    here.arg("runs").current_dir(fixture.path(""));
    assert_eq!(finish(here).succeeded().stdout.lines().count(), 5);
}

#[test]
fn a_run_of_classification_shows_what_it_gets_wrong() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    // A text that would be markup, among those that are got wrong.
    let rows = fs::read_to_string(fixture.path("data/test.csv")).unwrap();
    let hostile = "\"we sing <script>alert('1')</script>\",sad\n".repeat(3);
    fs::write(fixture.path("data/test.csv"), rows + &hostile).unwrap();
    finish(train(&fixture, "tone", "run", &[])).succeeded();
    let page = fs::read_to_string(fixture.path("run/report.html")).unwrap();
    let (shown, missing) = sections(&page);
    for id in ["classes", "confusion", "calibration", "mistakes", "attention", "pinv"] {
        assert!(shown.iter().any(|shown| shown == id), "{id}: {missing:?}");
    }
    let summary = read_json(&fixture.path("run/summary.json"));
    require_numbers(
        &page,
        &summary,
        &[
            "/verdict/evaluations/test/accuracy",
            "/verdict/evaluations/test/loss",
            "/verdict/constant_predictor/test/accuracy",
            "/verdict/classes/test/per_class/0/recall",
            "/verdict/errors/test/expected_calibration_error",
            "/verdict/errors/test/most_confident_mistakes/0/score",
        ],
    );
    let bins = summary["verdict"]["errors"]["test"]["reliability"].as_array().unwrap();
    let answers: u64 = bins.iter().map(|bin| bin["answers"].as_u64().unwrap()).sum();
    assert_eq!((bins.len(), answers), (15, 12));
    assert!(page.contains("&lt;script&gt;alert(&#39;1&#39;)") && !page.contains("<script>alert"));
}

#[test]
fn a_regression_is_shown_by_its_scores() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    for part in ["train", "validation", "test"] {
        let path = fixture.path(&format!("data/{part}.csv"));
        let rows = fs::read_to_string(&path).unwrap();
        fs::write(path, rows.replace(",sad", ",-1.5").replace(",glad", ",2.25")).unwrap();
    }
    finish(train(&fixture, "tone", "run", &["task.regression=true"])).succeeded();
    let page = fs::read_to_string(fixture.path("run/report.html")).unwrap();
    let (shown, missing) = sections(&page);
    assert!(shown.iter().any(|id| id == "attention"), "{shown:?}");
    assert_eq!(missing, ["classes", "confusion", "calibration", "mistakes"]);
    require_numbers(
        &page,
        &read_json(&fixture.path("run/summary.json")),
        &["/verdict/evaluations/test/loss"],
    );
}

#[test]
fn a_run_without_evaluation_says_so() {
    let fixture = Fixture::new();
    finish(fixture.train("run", &["trainer.eval_every=0"])).succeeded();
    let page = fs::read_to_string(fixture.path("run/report.html")).unwrap();
    let (shown, missing) = sections(&page);
    assert!(shown.iter().any(|id| id == "loss"), "{shown:?}");
    assert_eq!(missing[..2], ["scores", "metrics"]);
    assert!(page.contains("nothing was evaluated"), "{page}");
}

#[test]
fn a_sweep_has_a_report_of_its_trials_and_is_listed_by_its_best() {
    let fixture = Fixture::new();
    let rates = "sweep.parameters.optimizer.learning_rate=[1e-4, 1e-2]";
    finish(fixture.train("runs/sweep", &[rates])).succeeded();
    for trial in ["trial-1", "trial-2"] {
        assert!(fixture.path("runs/sweep").join(trial).join("report.html").is_file(), "{trial}");
    }
    let page = fs::read_to_string(fixture.path("runs/sweep/report.html")).unwrap();
    assert_eq!(sections(&page).0, ["table", "curves", "differences"]);
    assert!(page.contains("sweep/trial-2") && page.contains("optimizer.learning_rate"), "{page}");
    let sweep = read_json(&fixture.path("runs/sweep/sweep.json"));
    let mut runs = command("runs");
    runs.arg(fixture.path("runs")).arg("--json");
    let listed = finish(runs).succeeded().json();
    assert_eq!((&listed["state"], &listed["runs"]), (&json!("finished"), &json!(2)));
    let best = sweep["best"].as_u64().unwrap() as usize;
    let expected = json!({"metric": sweep["metric"], "value": sweep["trials"][best - 1]["value"]});
    assert_eq!(listed["best"], expected);
}
