//! A tiny BERT is made a Nyströmformer: from its folder to a student that is nearer, stage by stage.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nystromformer_interop::{ImportOptions, import_model};
use nystromformer_learner::LearnerError;
use nystromformer_learner::metrics_log::{EvaluationRecord, MetricsLog, MetricsRecord};
use nystromformer_learner::progress::Silent;
use nystromformer_learner::stop::{StopFlag, StopReason};
use nystromformer_learner::trainer::{DryRun, RunRequest, Session, TrainOutput, model_folder};
use safetensors::SafeTensors;
use serde_json::{Map, Value, json};

/// A BERT with a masked-language-modelling head, 2 layers of width 16, and its tokenizer.
const BERT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../interop/tests/fixtures/bert");

struct Fixture {
    directory: tempfile::TempDir,
}

impl Fixture {
    /// Texts of the BERT's words, the BERT with three landmarks in `start`, and an experiment.
    fn new() -> Self {
        let fixture = Self { directory: tempfile::tempdir().unwrap() };
        let words = ["cat", "dog", "mat", "capital", "paris", "france"];
        let line = |index: usize| {
            let text: Vec<String> = (0..2 + index % 4)
                .map(|place| {
                    format!(
                        "the {} sat on a {}",
                        words[(index + place) % 6],
                        words[(index * 5 + place) % 6]
                    )
                })
                .collect();
            text.join(" of ") + "\n"
        };
        let text: String = (0..60).map(line).collect();
        std::fs::write(fixture.path("corpus.txt"), text).unwrap();
        fixture.import("start", &[]);
        let root = fixture.directory.path().display();
        let config = format!(
            r#"
            seed = 5
            [model]
            init_from = "{root}/start"
            hidden_dropout_prob = 0.4
            [data]
            objective = "distill"
            corpus = "{root}/corpus.txt"
            document = "line"
            cross_documents = false
            seq_len = 16
            validation_fraction = 0.2
            cache_dir = "{root}/cache"
            [optimizer]
            learning_rate = 1e-2
            weight_decay = 0.0
            [schedule]
            kind = "constant"
            [trainer]
            max_steps = 40
            batch_size = 8
            micro_batch_size = 4
            eval_on_start = true
            eval_every = 20
            checkpoint_every = 10
            "#
        );
        std::fs::write(fixture.path("layers.toml"), config).unwrap();
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn import(&self, name: &str, further: &[(&str, Value)]) {
        let mut overrides = Map::from_iter([
            ("num_landmarks".to_owned(), json!(3)),
            ("conv_kernel_size".to_owned(), json!(3)),
        ]);
        overrides.extend(further.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        let options = ImportOptions { overrides, ..ImportOptions::default() };
        import_model(Path::new(BERT), &self.path(name), &options).unwrap();
    }

    fn request(&self, run: &str, overrides: &[&str], resume: bool) -> RunRequest {
        RunRequest {
            config: self.path("layers.toml"),
            overrides: overrides.iter().map(|&text| text.to_owned()).collect(),
            run_dir: Some(self.path(run)),
            resume,
            tasks: crate::known_tasks(),
        }
    }

    fn train(&self, run: &str, overrides: &[&str]) -> Result<TrainOutput, LearnerError> {
        let session = Session::open(&self.request(run, overrides, true), &|_| {})?;
        session.train(StopFlag::new(), &mut Silent)
    }

    /// The second stage, which begins with the model of the run `layers`.
    fn train_network(&self, run: &str, overrides: &[&str]) -> TrainOutput {
        let [init_from, teacher] = [("model.init_from", "layers"), ("distill.teacher", "start")]
            .map(|(key, name)| format!("{key}={}", self.path(name).display()));
        let mut all = vec![init_from.as_str(), teacher.as_str(), "distill.stage=network"];
        all.extend(overrides);
        self.train(run, &all).unwrap()
    }

    fn evaluations(&self, run: &str) -> Vec<EvaluationRecord> {
        let records = MetricsLog::read(&self.path(run).join("metrics.jsonl")).unwrap();
        let evaluation = |record| match record {
            MetricsRecord::Validation(record) => Some(record),
            MetricsRecord::Train(_) => None,
        };
        records.into_iter().filter_map(evaluation).collect()
    }

    fn weights(&self, run: &str) -> Vec<u8> {
        std::fs::read(model_folder(&self.path(run)).unwrap().join("model.safetensors")).unwrap()
    }
}

/// The parameters that are others in two files.
fn changed(before: &[u8], after: &[u8]) -> BTreeSet<String> {
    let [before, after] = [before, after].map(|bytes| SafeTensors::deserialize(bytes).unwrap());
    let names = after.names().into_iter();
    names
        .filter(|name| before.tensor(name).unwrap().data() != after.tensor(name).unwrap().data())
        .map(ToString::to_string)
        .collect()
}

/// Scores that the BERT has not start at zero, and are trained; its own exact attention, which has none, is the teacher.
#[test]
fn scores_of_landmarks_are_fitted_to_a_bert() {
    let fixture = Fixture::new();
    fixture.import("weighted", &[("landmarks", json!("weighted"))]);
    let init_from = format!("model.init_from={}", fixture.path("weighted").display());
    fixture.train("layers", &[&init_from]).unwrap();
    let before = std::fs::read(fixture.path("weighted/model.safetensors")).unwrap();
    let trained = changed(&before, &fixture.weights("layers"));
    for score in ["key_score", "query_score"] {
        assert_eq!(trained.iter().filter(|name| name.ends_with(score)).count(), 2, "{trained:?}");
    }
    // A start of means gets scores too, and it is said.
    let stated = fixture.train("from-means", &["model.landmarks=weighted"]).unwrap();
    let notes = stated.summary.notes.join("\n");
    assert!(notes.contains("scores of landmarks start at zero"), "{notes}");
}

#[test]
fn a_bert_becomes_a_nystromformer_stage_by_stage() {
    let fixture = Fixture::new();
    fixture.train("layers", &[]).unwrap();
    let evaluations = fixture.evaluations("layers");
    let steps: Vec<usize> = evaluations.iter().map(|record| record.step).collect();
    assert_eq!(steps, [0, 20, 40]);
    let value = |record: &EvaluationRecord, name: &str| record.metric(name).unwrap();
    for name in ["cosine", "relative_error", "layer_1_error", "layer_2_error"] {
        assert!(value(&evaluations[0], name).is_finite(), "{name}");
    }
    assert_eq!(value(&evaluations[0], "relative_error"), value(&evaluations[0], "layer_2_error"));
    // The convolution is zero at first: what is wrong is the approximation alone.
    assert!(value(&evaluations[0], "cosine") < 0.9999);
    assert!(evaluations[2].loss < 0.8 * evaluations[0].loss, "{evaluations:?}");
    assert!(value(&evaluations[2], "relative_error") < value(&evaluations[0], "relative_error"));

    // Nothing else has moved, and all of these have.
    let start = std::fs::read(fixture.path("start/model.safetensors")).unwrap();
    let moved = changed(&start, &fixture.weights("layers"));
    let trained = |name: &String| {
        ["conv.", "query.", "key."]
            .iter()
            .any(|part| name.contains(&format!(".attention.self.{part}")))
    };
    assert!(moved.iter().all(trained), "{moved:?}");
    for layer in [0, 1] {
        for part in ["conv.weight", "query.weight", "key.weight"] {
            let name = format!("nystromformer.encoder.layer.{layer}.attention.self.{part}");
            assert!(moved.contains(&name), "{name}: {moved:?}");
        }
    }

    let gently = ["distill.cosine_weight=1", "optimizer.learning_rate=1e-3"];
    let outcome = fixture.train_network("network", &gently);
    let of_network = fixture.evaluations("network");
    // The second stage begins where the first one has come to, in the same measure.
    let best =
        |name: &str| evaluations.iter().map(|record| value(record, name)).fold(f64::NAN, f64::min);
    assert!(value(&of_network[0], "relative_error") <= value(&evaluations[0], "relative_error"));
    assert!(best("relative_error") > 0.0);
    assert!(of_network[2].loss < 0.8 * of_network[0].loss, "{of_network:?}");
    assert!(value(&of_network[2], "relative_error") < value(&of_network[0], "relative_error"));
    assert!(value(&of_network[2], "cosine") > value(&evaluations[0], "cosine"));
    assert!(outcome.summary.fingerprints.contains_key("teacher"));
    assert!(outcome.summary.trained_parameters.is_none());

    // The dropout of the model is what it was, though the student has dropped nothing.
    let config =
        nystromformer_interop::read_config(&model_folder(&fixture.path("network")).unwrap());
    assert_eq!(config.unwrap().shared.hidden_dropout_prob, 0.4);
}

#[test]
fn a_stopped_conversion_is_resumed_to_the_same_bits() {
    let fixture = Fixture::new();
    fixture.train("unbroken", &[]).unwrap();
    fixture.train("broken", &[]).unwrap();
    for step in ["step-00000040", "step-00000030"] {
        let checkpoint = fixture.path("broken/checkpoints").join(step);
        std::fs::remove_dir_all(checkpoint).unwrap();
    }
    fixture.train("broken", &[]).unwrap();
    assert!(fixture.weights("unbroken") == fixture.weights("broken"));
    let steps = |run: &str| {
        fixture.evaluations(run).iter().map(|record| (record.step, record.loss)).collect::<Vec<_>>()
    };
    assert_eq!(steps("unbroken"), steps("broken"));

    // A run that was stopped before its first step is evaluated once more, and says so once.
    let stop = StopFlag::new();
    stop.request(StopReason::Interrupt);
    let session = Session::open(&fixture.request("late", &[], false), &|_| {}).unwrap();
    session.train(stop, &mut Silent).unwrap();
    drop(session);
    fixture.train("late", &[]).unwrap();
    assert_eq!(steps("late"), steps("unbroken"));

    // Another teacher is another run.
    fixture.import("other", &[("layer_norm_eps", json!(1e-3))]);
    let teacher = format!("distill.teacher={}", fixture.path("other").display());
    let error = fixture.train("unbroken", &[&teacher]).unwrap_err();
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn teachers_that_a_student_cannot_be_compared_with_are_refused() {
    let fixture = Fixture::new();
    let words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n.\na\nthe\n";
    fixture.import("vocabulary", &[]);
    for file in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"] {
        let _ = std::fs::remove_file(fixture.path("vocabulary").join(file));
    }
    std::fs::write(fixture.path("vocabulary/vocab.txt"), words).unwrap();
    fixture.import("semantics", &[("semantics", json!("hf")), ("segment_means_seq_len", json!(3))]);
    fixture.import("short", &[("max_position_embeddings", json!(12))]);
    let empty = fixture.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let tokenizer = format!("tokenizer.path={}", fixture.path("start").display());
    for (name, part) in [
        ("vocabulary", "another vocabulary: id `6` is `a` there and `the`"),
        ("semantics", "semantics"),
        ("short", "`data.seq_len` = `16`"),
        ("empty", "empty"),
        ("nowhere", "nowhere"),
    ] {
        let teacher = format!("distill.teacher={}", fixture.path(name).display());
        let error = fixture.train(name, &[&teacher, &tokenizer]).unwrap_err();
        assert_eq!(error.exit_code(), 4, "{name}: {error}");
        assert!(error.to_string().contains(part), "{name}: {error}");
    }
    // Of another width, and without a teacher.
    let wide = ["model.hidden_size=32", "model.intermediate_size=24"];
    let error = fixture.train("wide", &wide).unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert!(error.to_string().contains("hidden_size = `16`"), "{error}");
}

#[test]
fn keys_of_the_objective_are_read_with_it_alone() {
    let fixture = Fixture::new();
    for (overrides, part) in [
        (&["distill.stage=third"][..], "`distill.stage` = `third`"),
        (&["distill.kl_weight=-1"], "`-1` is not zero or a positive number"),
        (&["distill.model_class=Bert"], "`Bert` is no class of model"),
        (&["data.whole_word_masking=true"], "nothing is masked"),
        (&["data.objective=mlm", "distill.stage=network"], "`data.objective = \"distill\"`"),
        (&["distill.trainable=[\"quer\"]"], "no parameter is called like `quer`"),
        (&["trainer.metric_for_best_model=accuracy"], "cosine relative_error layer_1_error"),
        (&["trainer.label_smoothing_factor=0.1"], "labels"),
    ] {
        let error = fixture.train("refused", overrides).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    let chosen = fixture.train("best", &["trainer.metric_for_best_model=cosine"]).unwrap();
    assert!(chosen.summary.best_evaluation.unwrap().step > 0);
}

#[test]
fn a_dry_run_counts_the_teacher_too() {
    let fixture = Fixture::new();
    let scratch = tempfile::tempdir().unwrap();
    let report =
        DryRun::perform(&fixture.request("run", &[], false), scratch.path(), &|_| {}).unwrap();
    assert!(report.loss.is_finite() && report.loss > 0.0);
    assert!(report.trained_parameters.unwrap() < report.parameters / 2);
    assert!(report.estimated_bytes > 8 * report.parameters as u64);
}
