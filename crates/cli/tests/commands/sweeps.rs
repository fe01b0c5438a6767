//! `[sweep]`: trials, killed and resumed; what is refused.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};

use crate::fixture::{
    Finished, Fixture, assert_same_run, command, finish, metrics, metrics_without_times, read_json,
};
use crate::tasks::{prepare_tone, train};

const RATES: &str = "sweep.parameters.optimizer.learning_rate=[1e-3, 3e-3, 1e-2]";
const DECAYS: &str = "sweep.parameters.optimizer.weight_decay=[0.0, 0.01, 0.1]";

/// The numbers of the trials that a command trained, in order.
fn trained(finished: &Finished) -> Vec<usize> {
    let lines = finished.stderr.lines().filter_map(|line| line.strip_prefix("trial "));
    lines.filter_map(|line| line.split_once(" of ")?.0.parse().ok()).collect()
}

/// The states of a report's trials.
fn states(report: &Value) -> Vec<&str> {
    let trials = report["trials"].as_array().unwrap();
    trials.iter().map(|trial| trial["state"].as_str().unwrap()).collect()
}

#[test]
fn a_sweep_killed_in_the_middle_comes_to_the_bytes_of_an_unbroken_one() {
    let fixture = Fixture::new();
    let settings = [RATES, DECAYS, "trainer.max_steps=60", "trainer.checkpoint_every=7"];
    let unbroken = finish(fixture.train("unbroken", &settings)).succeeded();
    assert_eq!(trained(&unbroken), [1, 2, 3, 4, 5, 6, 7, 8, 9]);

    let mut child = fixture.start(fixture.train("killed", &settings), "log");
    fixture.wait_for("killed/trial-5/metrics.jsonl", "\"step\":9,");
    child.kill().unwrap();
    child.wait().unwrap();
    let killed = fixture.path("killed");
    let before = read_json(&killed.join("sweep.json"));
    assert_eq!(states(&before)[..4], ["finished"; 4]);
    assert!(states(&before).contains(&"pending") && !killed.join("trial-9").exists());
    finish(fixture.train("killed", &settings)).refused(2);
    let resumed = finish(fixture.resume("killed", &settings)).succeeded();
    let again = trained(&resumed);
    assert!(again[0] >= 5 && again.last() == Some(&9), "{again:?}");

    let report = |run: &str| fs::read(fixture.path(run).join("sweep.json")).unwrap();
    assert_eq!(report("unbroken"), report("killed"));
    let found = read_json(&killed.join("sweep.json"));
    assert_eq!(states(&found), ["finished"; 9]);
    assert_eq!((&found["metric"], &found["direction"]), (&json!("loss"), &json!("minimize")));
    let mut best: Option<(f64, u64)> = None;
    for trial in found["trials"].as_array().unwrap() {
        let folder = trial["folder"].as_str().unwrap();
        let [left, right] = ["unbroken", "killed"].map(|run| fixture.path(run).join(folder));
        assert_same_run(&left, &right, 60);
        // Its values are in its own configuration, which is no sweep.
        let config = fs::read_to_string(right.join("config.toml")).unwrap();
        for (key, value) in trial["values"].as_object().unwrap() {
            let (_, name) = key.split_once('.').unwrap();
            assert!(config.contains(&format!("\n{name} = {value}\n")), "{folder} {key}: {config}");
        }
        assert!(!config.contains("sweep"), "{config}");
        let evaluations = metrics(&right).into_iter().filter(|line| line["split"] == "validation");
        let lowest =
            evaluations.map(|line| line["loss"].as_f64().unwrap()).fold(f64::MAX, f64::min);
        assert_eq!(trial["value"].as_f64(), Some(lowest), "{folder}");
        if best.is_none_or(|(value, _)| lowest < value) {
            best = Some((lowest, trial["trial"].as_u64().unwrap()));
        }
    }
    let (value, best) = best.unwrap();
    assert_eq!(found["best"], best);
    for finished in [&unbroken, &resumed] {
        let last = finished.stdout.lines().last().unwrap();
        let ending = format!("trial-{best} (validation loss {value:.4})");
        assert!(last.starts_with("best trial: ") && last.ends_with(&ending), "{last}");
    }
    // A line for each trial, here and in a table with others.
    let mut compare = command("compare");
    compare.args([fixture.text("killed"), fixture.text("unbroken/trial-2")]);
    let table = finish(compare).succeeded().stdout;
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows.len(), 1 + 9 + 1, "{table}");
    for column in ["optimizer.learning_rate", "optimizer.weight_decay", "state", "validation loss"]
    {
        assert!(rows[0].contains(column), "{table}");
    }
    assert!(rows[best as usize].starts_with(&format!("killed/trial-{best} *")), "{table}");
    // All is done: nothing is trained again.
    assert_eq!(trained(&finish(fixture.resume("killed", &settings)).succeeded()), [0; 0]);
    assert_eq!(report("unbroken"), report("killed"));
}

/// The step and loss of each evaluation.
fn evaluations(run: &Path) -> BTreeMap<u64, f64> {
    let lines = metrics(run).into_iter().filter(|line| line["split"] == "validation");
    lines.map(|line| (line["step"].as_u64().unwrap(), line["loss"].as_f64().unwrap())).collect()
}

#[test]
fn under_successive_halving_the_best_third_goes_on_also_after_a_kill() {
    let fixture = Fixture::new();
    let settings = [
        "sweep.method=successive_halving",
        "sweep.parameters.optimizer.learning_rate={ min = 1e-4, max = 3e-2, log = true }",
        "sweep.parameters.model.num_landmarks=[4, 8]",
        "sweep.trials=9",
        "sweep.seed=4",
        "sweep.min_steps=4",
        "trainer.max_steps=36",
        "trainer.eval_every=4",
    ];
    let unbroken = finish(fixture.train("unbroken", &settings)).succeeded();
    let order = trained(&unbroken);
    assert_eq!((order.len(), &order[..9]), (9 + 3 + 1, &[1, 2, 3, 4, 5, 6, 7, 8, 9][..]));
    let report = read_json(&fixture.path("unbroken/sweep.json"));

    // By the evaluations up to the rung, and nothing later, three of nine go on, and one of three.
    let folder = |trial: usize| fixture.path(&format!("unbroken/trial-{trial}"));
    let best_of = |trials: &[usize], step: u64, count: usize| {
        let lowest = |trial: &usize| {
            let until = evaluations(&folder(*trial)).into_iter().filter(|(at, _)| *at <= step);
            until.map(|(_, loss)| loss).fold(f64::MAX, f64::min)
        };
        let mut ranked = trials.to_vec();
        ranked.sort_by(|left, right| lowest(left).total_cmp(&lowest(right)));
        ranked.truncate(count);
        ranked.sort_unstable();
        ranked
    };
    let three = best_of(&[1, 2, 3, 4, 5, 6, 7, 8, 9], 4, 3);
    let one = best_of(&three, 12, 1);
    assert_eq!((&order[9..12], &order[12..]), (&three[..], &one[..]));
    assert_eq!(report["best"], one[0]);
    for (trial, found) in (1..).zip(report["trials"].as_array().unwrap()) {
        let (state, steps) = match (one.contains(&trial), three.contains(&trial)) {
            (true, _) => ("finished", 36),
            (_, true) => ("stopped", 12),
            _ => ("stopped", 4),
        };
        assert_eq!((&found["state"], &found["steps"]), (&json!(state), &json!(steps)), "{trial}");
    }
    // Trained with pauses, it is the trial as it would be by itself.
    let number = format!("sweep.trial={}", one[0]);
    let alone = [&settings[..], &[&number]].concat();
    finish(fixture.train("alone", &alone)).succeeded();
    assert_same_run(&fixture.path("alone"), &folder(one[0]), 36);

    let mut child = fixture.start(fixture.train("killed", &settings), "log");
    let second = format!("killed/trial-{}/metrics.jsonl", three[1]);
    fixture.wait_for(&second, "\"step\":7,");
    child.kill().unwrap();
    child.wait().unwrap();
    // By its own configuration, which leaves to each trial what the data says.
    let resume = |run: &str| {
        let mut train = command("train");
        let config = fixture.text(&format!("{run}/config.toml"));
        train.args([&config, "--run-dir", &fixture.text(run), "--resume"]);
        finish(train).succeeded()
    };
    let resumed = trained(&resume("killed"));
    assert!(resumed.len() < 5 && resumed.last() == Some(&one[0]), "{resumed:?}");
    let bytes = |run: &str| fs::read(fixture.path(run).join("sweep.json")).unwrap();
    assert_eq!(bytes("unbroken"), bytes("killed"));
    for trial in 1..=9 {
        let killed = fixture.path(&format!("killed/trial-{trial}"));
        assert_eq!(metrics_without_times(&folder(trial)), metrics_without_times(&killed));
    }
    // A trial is a run, which goes on by itself too.
    resume(&format!("killed/trial-{}", one[0]));
}

#[test]
fn a_trial_has_its_seeds_and_the_sweep_is_its_best_trial_as_a_model() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    let settings = ["seeds=[3, 4]", "sweep.parameters.optimizer.learning_rate=[1e-4, 3e-2]"];
    let said = finish(train(&fixture, "tone", "sweep", &settings)).succeeded();
    assert_eq!(trained(&said), [1, 2]);
    let report = read_json(&fixture.path("sweep/sweep.json"));
    assert_eq!((&report["metric"], &report["direction"]), (&json!("accuracy"), &json!("maximize")));
    for trial in [1, 2] {
        let accuracy = |seed| {
            let path = format!("sweep/trial-{trial}/seed-{seed}/summary.json");
            let summary = read_json(&fixture.path(&path));
            summary["verdict"]["evaluations"]["validation"]["accuracy"].as_f64().unwrap()
        };
        let mean = f64::midpoint(accuracy(3), accuracy(4));
        assert_eq!(report["trials"][trial - 1]["value"].as_f64(), Some(mean), "{trial}");
    }
    assert_eq!(said.stdout.matches(" ± ").count() % 2, 0, "{}", said.stdout);
    let best = report["best"].as_u64().unwrap();
    let evaluate = |model: &str| {
        let mut evaluate = command("evaluate");
        evaluate.args(["--model", &fixture.text(model), "--split", "test"]);
        finish(evaluate).succeeded().json()
    };
    assert_eq!(evaluate("sweep"), evaluate(&format!("sweep/trial-{best}")));
}

#[test]
fn a_trial_that_diverges_is_a_result_and_not_tried_again() {
    let fixture = Fixture::new();
    let settings = [
        "sweep.parameters.optimizer.learning_rate=[1e-3, 1e38]",
        "trainer.max_skipped_steps=2",
        "trainer.max_grad_norm=0",
    ];
    let said = finish(fixture.train("sweep", &settings)).succeeded();
    assert!(said.stderr.contains("trial 2 diverged: "), "{}", said.stderr);
    let report = read_json(&fixture.path("sweep/sweep.json"));
    assert_eq!(states(&report), ["finished", "diverged"]);
    assert_eq!((&report["best"], &report["trials"][1]["value"]), (&json!(1), &Value::Null));
    assert_eq!(trained(&finish(fixture.resume("sweep", &settings)).succeeded()), [0; 0]);
    assert_eq!(read_json(&fixture.path("sweep/sweep.json")), report);
}

/// A model of a task whose answers are no numbers: its trial has no score, its summary is read like any other, and the run is
/// compared, listed and reported on. Its data must stay the sweep's.
#[test]
fn a_trial_whose_answers_are_no_numbers_is_no_best_and_ends_nothing() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    let settings = [
        "sweep.parameters.optimizer.learning_rate=[1e-3, 1e30, 1e-2]",
        "trainer.max_grad_norm=0",
        "trainer.max_skipped_steps=99",
    ];
    let said = finish(train(&fixture, "tone", "sweep", &settings)).succeeded();
    let told = "the model's answers on the validation split are not numbers";
    assert!(said.stderr.contains(told), "{}", said.stderr);
    let report = read_json(&fixture.path("sweep/sweep.json"));
    assert_eq!(states(&report), ["finished"; 3]);
    assert_eq!(report["trials"][1]["value"], Value::Null);
    assert_ne!(report["best"], 2);
    let diverged = fixture.text("sweep/trial-2");
    let summary = read_json(&fixture.path("sweep/trial-2/summary.json"));
    assert_eq!(summary["final_evaluation"]["loss"], Value::Null);
    for arguments in [
        vec!["compare", &fixture.text("sweep/trial-1"), &diverged],
        vec!["report", &diverged, "--output", &fixture.text("report.html")],
    ] {
        let mut asked = command(arguments[0]);
        asked.args(&arguments[1..]);
        finish(asked).succeeded();
    }
    let mut predict = command("predict");
    predict.args(["classify", "--model", &diverged, "we sing"]);
    let predicted = finish(predict).succeeded();
    assert!(predicted.stderr.contains("answers are not numbers"), "{}", predicted.stderr);

    // A trial that is still to be trained would not be comparable.
    fs::remove_dir_all(fixture.path("sweep/trial-3")).unwrap();
    let table = fixture.path("data/validation.csv");
    let rows = fs::read_to_string(&table).unwrap();
    let fewer: Vec<&str> = rows.lines().take(5).collect();
    fs::write(&table, fewer.join("\n")).unwrap();
    let mut resume = train(&fixture, "tone", "sweep", &settings);
    resume.arg("--resume");
    let message = finish(resume).refused(2);
    assert!(message.contains("trial-1` was trained on something else"), "{message}");
}

/// Which rows are measured may depend on what is swept, and that is no other data.
#[test]
fn trials_of_other_batches_may_drop_other_rows() {
    let fixture = Fixture::new();
    prepare_tone(&fixture);
    let settings = ["sweep.parameters.trainer.batch_size=[6, 9]", "task.drop_last=true"];
    finish(train(&fixture, "tone", "sweep", &settings)).succeeded();
    let report = read_json(&fixture.path("sweep/sweep.json"));
    assert_eq!(states(&report), ["finished"; 2]);
}

#[test]
fn a_dry_run_prints_the_trials_and_writes_nothing() {
    let fixture = Fixture::new();
    let config = fixture.text("sweep.toml");
    let tiny = crate::fixture::repository().canonicalize().unwrap().join("configs/tiny/mlm.toml");
    let text = format!(
        "extends = \"{}\"\n[sweep.parameters]\n\"optimizer.learning_rate\" = [1e-3, 1e-2]\n",
        tiny.display()
    );
    fs::write(&config, text).unwrap();
    let run = fixture.text("run");
    let further = ["sweep.parameters.optimizer.beta_1=[0.9, 0.8]"];
    let dry = fixture.on_tiny("train", &[&config, "--run-dir", &run, "--dry-run"], &further);
    let lines = finish(dry).succeeded().json_lines();
    let values: Vec<&Value> = lines[..4].iter().map(|line| &line["values"]).collect();
    let value =
        |beta: f64, rate: f64| json!({"optimizer.beta_1": beta, "optimizer.learning_rate": rate});
    let expected = [value(0.9, 1e-3), value(0.9, 1e-2), value(0.8, 1e-3), value(0.8, 1e-2)];
    assert_eq!(values, expected.iter().collect::<Vec<_>>());
    assert!(lines.len() == 5 && lines[4]["parameters"].is_u64(), "{lines:?}");
    assert!(!fixture.path("run").exists());
}

#[test]
fn bad_sweeps_are_refused_before_anything_is_trained() {
    let fixture = Fixture::new();
    let wide = format!(
        "sweep.parameters.seq=[{}]",
        (0..300).map(|n| n.to_string()).collect::<Vec<_>>().join(",")
    );
    let wide = wide.replace("seq", "optimizer.epsilon");
    for (settings, parts) in [
        (
            &["sweep.parameters.optimizer.learning_rate=[]"][..],
            &["`sweep.parameters.optimizer.learning_rate`", "empty"][..],
        ),
        (
            &["sweep.parameters.optimizer.lerning_rate=[1]"],
            &["trial `1`", "`optimizer.lerning_rate`", "did you mean `optimizer.learning_rate`"],
        ),
        (
            &["sweep.parameters.trainer.batch_size=[4, 0]"],
            &["trial `2`", "`trainer.batch_size`", "not 1 or more"],
        ),
        (
            &["sweep.parameters.data.corpus=[\"a\", \"b\"]"],
            &["`sweep.parameters.data.corpus`", "where data lies"],
        ),
        (&["sweep.parameters.name=[\"a\", \"b\"]"], &["`sweep.parameters.name`", "directory"]),
        (&["sweep.parameters.seed=[1, 2]"], &["`seeds = [1, 2, 3]`"]),
        (&["sweep.method=grid"], &["`sweep.parameters`", "no key"]),
        (&["sweep.metod=grid", RATES], &["`sweep.metod`", "did you mean `sweep.method`"]),
        (
            &["sweep.method=bayes", RATES],
            &["`sweep.method`", "`grid`, `random`, `successive_halving`"],
        ),
        (&["sweep.method=random", RATES], &["`sweep.trials`", "how many"]),
        (&["sweep.trials=4", RATES], &["`sweep.trials`", "`4` trials of 3"]),
        (&[&wide], &["`sweep.trials`", "300 points"]),
        (
            &["sweep.parameters.optimizer.epsilon={ min = 1e-8, max = 1e-6 }"],
            &["a grid has no points in a range"],
        ),
        (&["sweep.min_steps=3", RATES], &["`sweep.min_steps`", "successive_halving"]),
        (&["sweep.trial=4", RATES], &["`sweep.trial`", "`1` to `3`"]),
        (
            &["sweep.metric=accuracy", "sweep.direction=minimize", RATES],
            &["`sweep.direction`", "`accuracy`"],
        ),
        (&["sweep.metric=f1", RATES], &["`f1`", "not measured here"]),
        (&["optimizer.learning_rate=1e-4", RATES], &["`--set optimizer.learning_rate=…`"]),
        (&["trainer.eval_every=0", RATES], &["`trainer.eval_every`", "evaluations"]),
    ] {
        let message = finish(fixture.train("run", settings)).refused(2);
        for part in parts {
            assert!(message.contains(part), "{settings:?}: {message}");
        }
        assert!(!fixture.path("run/trial-1/metrics.jsonl").exists(), "{settings:?}");
    }
    // Nothing to compare by.
    prepare_tone(&fixture);
    fs::remove_file(fixture.path("data/validation.csv")).unwrap();
    let settings = ["task.validation_fraction=0.0", RATES];
    let message = finish(train(&fixture, "tone", "run", &settings)).refused(2);
    assert!(message.contains("`[sweep]`") && message.contains("held out"), "{message}");
}
