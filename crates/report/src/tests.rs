//! Whole pages of small runs, written by hand as the learner writes them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::check::{loads_nothing, require_balanced};
use crate::{ReportError, html, run, write};

/// A run's directory with these files.
fn run_with(folder: &Path, files: &[(&str, &str)]) -> PathBuf {
    fs::create_dir_all(folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    folder.to_owned()
}

/// The page of these runs, which is well formed and loads nothing.
fn page(runs: &[PathBuf]) -> String {
    let page = html(&run::entries(runs).unwrap());
    require_balanced(&page);
    assert!(loads_nothing(&page));
    page
}

/// Titles of what is shown, and of what is said to be missing.
fn shown_and_missing(page: &str) -> (Vec<&str>, Vec<&str>) {
    let shown = page.split("<section id=\"").skip(1).map(|part| part.split('"').next().unwrap());
    let missing = page.split("<li id=\"").skip(1).map(|part| part.split('"').next().unwrap());
    (shown.filter(|id| *id != "missing").collect(), missing.collect())
}

fn metrics(steps: usize) -> String {
    let line = |step: usize| {
        let loss = 3.0 / (step as f64 + 1.0);
        let mut lines = json!({
            "split": "train", "step": step, "loss": loss, "learning_rate": 1e-3, "grad_norm": 0.5 + loss,
            "tokens_per_second": 1000.0, "elapsed_s": step
        })
        .to_string();
        if step.is_multiple_of(4) {
            let evaluation =
                json!({"split": "validation", "step": step, "loss": loss + 0.1, "accuracy": 0.5});
            lines = format!("{lines}\n{evaluation}");
        }
        lines + "\n"
    };
    (1..=steps).map(line).collect()
}

fn resources(steps: usize) -> String {
    let session =
        |step: usize, began: u64| format!("{{\"step\":{step},\"session_began\":{began}}}\n");
    let line = |step: usize| {
        let resumed = (step == steps / 2).then(|| session(step, 1_764_000_100));
        let bytes = 400_000_000 + step;
        format!("{{\"step\":{step},\"resident_bytes\":{bytes}}}\n{}", resumed.unwrap_or_default())
    };
    session(0, 1_764_000_000) + &(1..=steps).map(line).collect::<String>()
}

fn summary(verdict: Option<Value>) -> Value {
    let mut summary = json!({
        "name": "tiny", "ended_by": "finished", "steps": 12, "skipped_steps": 1, "final_train_loss": 0.230_769,
        "best_evaluation": {"step": 12, "loss": 0.330_769_230_769_230_76, "accuracy": 0.512_345_678_901_234_5},
        "wall_seconds": 12.5, "tokens_per_second": 1000.25, "tokens": 12000, "peak_rss_bytes": 500_000_000_u64,
        "parameters": 123_456, "device": "flex", "dtype": "float32", "seed": 7, "notes": ["weights drawn at random"],
        "computed_with": [{"cpu": "CPU", "products": "avx2", "precision": "f32", "threads": 2}],
        "versions": {"burn": "0.22.1"}, "fingerprints": {"config": "abc"}
    });
    if let Some(verdict) = verdict {
        summary["verdict"] = verdict;
    }
    summary
}

fn verdict_of_classes() -> Value {
    let bins: Vec<Value> = (0..15)
        .map(|bin| match bin {
            14 => json!({"answers": 8, "confidence": 0.97, "accuracy": 0.75}),
            9 => json!({"answers": 2, "confidence": 0.65, "accuracy": 0.5}),
            _ => json!({"answers": 0, "confidence": null, "accuracy": null}),
        })
        .collect();
    json!({
        "step": 8, "chosen_by": "the highest accuracy on the validation split", "best_by": "accuracy",
        "evaluations": {"test": {"step": 8, "loss": 0.654_321_987, "accuracy": 0.7, "f1": null}},
        "constant_predictor": {"test": {"accuracy": 0.5}},
        "classes": {"test": {
            "labels": ["no", "yes"], "confusion_matrix": [[4, 1], [2, 3]],
            "per_class": [
                {"precision": 0.666_666_666_666_6, "recall": 0.8, "f1": 0.727, "support": 5},
                {"precision": 0.75, "recall": 0.6, "f1": 0.667, "support": 5}
            ]
        }},
        "errors": {"test": {
            "answers": 10, "mistakes": 3, "expected_calibration_error": 0.206, "reliability": bins,
            "most_confident_mistakes": [
                {"example": 3, "id": "r3", "text": "a text", "label": "no", "prediction": "yes", "score": 0.99}
            ],
            "confusion_pairs": [{"label": "yes", "prediction": "no", "count": 2}]
        }}
    })
}

fn diagnosis() -> Value {
    let heads = json!([[0.5, 0.3, 0.25, -0.05], [0.25, 0.25, 0.25, 0.25]]);
    json!({
        "step": 8, "split": "validation",
        "attention": {
            "tokens": ["[CLS]", "a", "text", "[SEP]"], "places": 4,
            "layers": [{"layer": 0, "heads": heads}, {"layer": 1, "heads": heads}]
        },
        "pinv_residual": {"examples": 4, "layers": [[0.01, 0.02], [0.1, 0.3]]}
    })
}

const CONFIG: &str = "name = \"tiny\"\ndevice = \"flex\"\nseed = 7\n[model]\nattention = \"nystrom\"\nhidden_size = 32\n\
                      [trainer]\nmax_steps = 12\nmax_grad_norm = 1.0\n";

const LAYERS: &str = r#"[
    {"source": "configs/base.toml", "values": {"seed": 1, "model": {"hidden_size": 64, "attention": "nystrom"}}},
    {"source": "mine.toml", "values": {"model": {"hidden_size": 32}}},
    {"source": "--set", "values": {"seed": 7}}
]"#;

fn classification(folder: &Path) -> PathBuf {
    let (metrics, resources) = (metrics(12), resources(12));
    let summary = summary(Some(verdict_of_classes())).to_string();
    let diagnosis = diagnosis().to_string();
    let config = format!("{CONFIG}[task]\nname = \"labelled\"\n");
    run_with(
        folder,
        &[
            ("config.toml", &config),
            ("config_layers.json", LAYERS),
            ("metrics.jsonl", &metrics),
            ("resources.jsonl", &resources),
            ("summary.json", &summary),
            ("diagnosis.json", &diagnosis),
        ],
    )
}

#[test]
fn a_run_of_classification_has_every_section() {
    let folder = tempfile::tempdir().unwrap();
    let page = page(&[classification(&folder.path().join("a"))]);
    let (shown, missing) = shown_and_missing(&page);
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
            "classes",
            "confusion",
            "calibration",
            "mistakes",
            "attention",
            "pinv",
            "config"
        ]
    );
    assert!(missing.is_empty(), "{missing:?}");
    for part in [
        "1 × resumed",
        "Went on",
        "123,456",
        "2025-11-24 16:01 UTC, after step 6",
        "steps were clipped to 1.",
        "weights drawn at random",
        "Changed by <code><bdi>--set</bdi></code>",
        "What <code><bdi>configs/base.toml</bdi></code> states",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // What overrides what: the last layer comes first.
    let order = ["--set", "mine.toml", "configs/base.toml"].map(|name| page.find(name).unwrap());
    assert!(order.is_sorted());
}

#[test]
fn numbers_of_the_page_are_those_of_the_summary_to_the_last_digit() {
    let folder = tempfile::tempdir().unwrap();
    let page = page(&[classification(&folder.path().join("a"))]);
    for value in ["0.654321987", "0.7", "0.206", "0.99", "0.6666666666666", "0.727", "4", "0.5"] {
        assert!(page.contains(&format!("<data value=\"{value}\">")), "{value}");
    }
    assert!(page.contains("0.6543</data>") && page.contains("<td class=\"number\">–</td>"));
}

#[test]
fn a_run_of_pretraining_says_what_it_cannot_have() {
    let folder = tempfile::tempdir().unwrap();
    let (metrics, summary) = (metrics(12), summary(None).to_string());
    let files = [("config.toml", CONFIG), ("metrics.jsonl", &metrics), ("summary.json", &summary)];
    let page = page(&[run_with(&folder.path().join("a"), &files)]);
    let (shown, missing) = shown_and_missing(&page);
    assert_eq!(shown, ["about", "scores", "loss", "metrics", "optimization", "speed", "config"]);
    assert_eq!(
        missing,
        ["memory", "classes", "confusion", "calibration", "mistakes", "attention", "pinv"]
    );
    assert!(
        page.contains("it is one of pretraining") && page.contains("value=\"0.5123456789012345\"")
    );
}

#[test]
fn a_regression_has_scores_and_no_classes() {
    let folder = tempfile::tempdir().unwrap();
    let verdict = json!({
        "step": 4, "chosen_by": "the highest pearson on the validation split", "best_by": "pearson",
        "evaluations": {"validation": {"step": 4, "loss": 0.25, "pearson": 0.875, "spearman": null}},
        "constant_predictor": {"validation": {}}
    });
    let (metrics, summary) = (metrics(4), summary(Some(verdict)).to_string());
    let config = format!("{CONFIG}[task]\nname = \"stsb\"\n");
    let files =
        [("config.toml", config.as_str()), ("metrics.jsonl", &metrics), ("summary.json", &summary)];
    let page = page(&[run_with(&folder.path().join("a"), &files)]);
    let (_, missing) = shown_and_missing(&page);
    assert_eq!(
        missing,
        ["memory", "classes", "confusion", "calibration", "mistakes", "attention", "pinv"]
    );
    assert!(page.contains("<data value=\"0.875\">") && page.contains("which have no classes"));
}

#[test]
fn a_run_that_goes_on_is_shown_as_far_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let cut_off = metrics(3) + "{\"split\":\"train\",\"step\":4,\"lo";
    let files = [("config.toml", CONFIG), ("metrics.jsonl", cut_off.as_str())];
    let running = page(&[run_with(&folder.path().join("a"), &files)]);
    assert!(running.contains("not ended: at step 3 of 12"), "{running}");
    let (shown, missing) = shown_and_missing(&running);
    assert_eq!(shown, ["about", "loss", "optimization", "speed", "config"]);
    // There was no evaluation.
    assert!(missing.contains(&"scores") && missing.contains(&"metrics"));
    let begun = page(&[run_with(&folder.path().join("b"), &[("config.toml", CONFIG)])]);
    assert_eq!(shown_and_missing(&begun).0, ["about", "config"]);
}

#[test]
fn hostile_texts_stay_texts_and_the_page_stays_small() {
    let folder = tempfile::tempdir().unwrap();
    let long = "<script>alert(\"1\")</script>'\u{0}\u{1b}\u{202e}שלום\u{ffff}".repeat(20_000);
    let mut verdict = verdict_of_classes();
    for (pointer, text) in [
        ("/chosen_by", &long),
        ("/classes/test/labels/0", &long),
        ("/errors/test/most_confident_mistakes/0/text", &long),
        ("/errors/test/most_confident_mistakes/0/id", &long),
        ("/errors/test/confusion_pairs/0/label", &long),
    ] {
        *verdict.pointer_mut(pointer).unwrap() = json!(text);
    }
    let evaluations = verdict["evaluations"].as_object_mut().unwrap();
    evaluations.insert(long.clone(), json!({"step": 1, "loss": 1.0, "<b>": 2.0}));
    let mut whole = summary(Some(verdict));
    (whole["name"], whole["notes"][0]) = (json!(long), json!(long));
    let mut look = diagnosis();
    look["attention"]["tokens"][1] = json!(long);
    look["split"] = json!(long);
    let line =
        json!({"split": "validation", "step": 1, "loss": 1.0, "</script><img onerror=x>": 0.5});
    let config = format!("name = {}\n[model]\nattention = \"nystrom\"\n", json!(long));
    let files = [
        ("config.toml", config.as_str()),
        ("config_layers.json", &json!([{"source": long, "values": {"name": long}}]).to_string()),
        ("metrics.jsonl", &format!("{}{line}\n", metrics(2))),
        ("summary.json", &whole.to_string()),
        ("diagnosis.json", &look.to_string()),
    ];
    let run = run_with(&folder.path().join("<i>"), &files);
    for page in [page(std::slice::from_ref(&run)), page(&[run.clone(), run])] {
        assert!(page.len() < 600_000, "{}", page.len());
        // The scripts are ours, and data for them.
        let scripts = page.matches("<script>").count()
            + page.matches("<script type=\"application/json\">").count();
        assert_eq!(
            (scripts, page.matches("<script>").count()),
            (page.matches("<script").count(), 1)
        );
        for markup in ["<img", "<b>", "<i>"] {
            assert!(!page.contains(markup), "{markup}");
        }
        assert!(!page.contains(['\0', '\u{1b}', '\u{ffff}']));
    }
}

#[test]
fn several_runs_lie_over_each_other_and_seeds_are_a_band() {
    let folder = tempfile::tempdir().unwrap();
    let single = classification(&folder.path().join("single"));
    let config = CONFIG.replace("hidden_size = 32", "hidden_size = 48");
    fs::write(single.join("config.toml"), config).unwrap();
    let series = folder.path().join("series");
    for seed in 1..=2 {
        for fold in 1..=2 {
            classification(&series.join(format!("seed-{seed}/fold-{fold}")));
        }
    }
    fs::write(series.join("config.toml"), "seeds = [1, 2]\n").unwrap();
    let other = series.join("seed-2/fold-2/metrics.jsonl");
    let changed =
        fs::read_to_string(&other).unwrap().replace("\"accuracy\":0.5", "\"accuracy\":0.75");
    fs::write(other, changed).unwrap();
    let page = page(&[single, series.clone()]);
    let (shown, _) = shown_and_missing(&page);
    assert_eq!(shown, ["table", "curves", "differences", "members"]);
    for part in [
        "4 of 4 runs finished",
        "<code><bdi>48</bdi></code>",
        "seed-2/fold-1",
        "± 0",
        "class=\"band c1\"",
        "series</bdi>, 4 runs",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // Mean of 0.5, 0.5, 0.5 and 0.75, in the data of the curve.
    assert!(page.contains("0.5625"), "{page}");
    // A series by itself is a page of several, without anything to differ from.
    let alone = self::page(&[series]);
    assert_eq!(shown_and_missing(&alone).1, ["differences"]);
}

#[test]
fn trials_are_runs_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    for trial in [1, 2, 10] {
        classification(&folder.path().join(format!("sweep/trial-{trial}")));
    }
    let page = page(&[folder.path().join("sweep")]);
    let places = ["sweep/trial-1<", "sweep/trial-2<", "sweep/trial-10<"]
        .map(|name| page.find(name).unwrap());
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn what_is_no_run_is_refused_in_one_line_with_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let damaged =
        run_with(&folder.path().join("damaged"), &[("config.toml", CONFIG), ("summary.json", "{")]);
    let broken = run_with(&folder.path().join("broken"), &[("config.toml", "= 1")]);
    for (path, code, part) in [
        (folder.path().join("nowhere"), 2, "does not exist"),
        (folder.path().to_owned(), 2, "holds no run"),
        (file, 2, "is a file"),
        (damaged, 3, "summary.json"),
        (broken, 3, "config.toml"),
    ] {
        let error = write(std::slice::from_ref(&path), None).unwrap_err();
        let told = error.to_string();
        assert_eq!(error.exit_code(), code, "{told}");
        assert!(told.contains(part) && !told.contains('\n'), "{told}");
        assert!(!path.join("report.html").exists());
    }
}

#[test]
fn the_report_lies_in_the_run_or_where_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let run = classification(&folder.path().join("a"));
    assert_eq!(write(std::slice::from_ref(&run), None).unwrap(), run.join("report.html"));
    let output = folder.path().join("b.html");
    assert_eq!(write(&[run], Some(&output)).unwrap(), output);
    require_balanced(&fs::read_to_string(output).unwrap());
    let nowhere = folder.path().join("no/such/b.html");
    let error = write(&[folder.path().join("a")], Some(&nowhere)).unwrap_err();
    assert!(matches!(error, ReportError::File(_)) && error.exit_code() == 7, "{error}");
}
