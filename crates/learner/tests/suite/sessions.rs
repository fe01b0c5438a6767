//! From a file to a finished run, on a small corpus of text: what the command line does, without
//! the command line.

use std::path::{Path, PathBuf};

use nystromformer::PreTrainedModel;
use nystromformer_learner::metrics_log::{MetricsLog, MetricsRecord};
use nystromformer_learner::progress::{Silent, StopAfter};
use nystromformer_learner::stop::{StopFlag, StopReason};
use nystromformer_learner::trainer::{DryRun, EndReason, RunRequest, Session, TrainOutput};
use nystromformer_learner::{Experiment, LearnerError};

struct Fixture {
    directory: tempfile::TempDir,
}

impl Fixture {
    /// A corpus of sixty short documents, and a configuration of a tiny model.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let sentence = |index: usize| {
            let animals = ["cat", "dog", "cow", "hen", "fox", "owl"];
            let (first, second) = (animals[index % 6], animals[index * 7 / 3 % 6]);
            format!("the {first} sees the {second}, and the {second} hears the {first} all day.\n")
        };
        let text: String = (0..60).map(sentence).collect();
        std::fs::write(directory.path().join("corpus.txt"), text).unwrap();
        let root = directory.path().display();
        let config = format!(
            r#"
            seed = 5
            [model]
            hidden_size = 16
            num_hidden_layers = 1
            num_attention_heads = 2
            intermediate_size = 32
            max_position_embeddings = 32
            num_landmarks = 4
            conv_kernel_size = 3
            [tokenizer]
            vocab_size = 80
            [data]
            corpus = "{root}/corpus.txt"
            document = "line"
            seq_len = 16
            validation_fraction = 0.2
            cache_dir = "{root}/cache"
            [trainer]
            max_steps = 6
            batch_size = 4
            micro_batch_size = 2
            eval_every = 3
            checkpoint_every = 2
            "#
        );
        std::fs::write(directory.path().join("tiny.toml"), config).unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn request(&self, run: &str, overrides: &[&str], resume: bool) -> RunRequest {
        RunRequest {
            config: self.path("tiny.toml"),
            overrides: overrides.iter().map(|&text| text.to_owned()).collect(),
            run_dir: Some(self.path(run)),
            resume,
            tasks: crate::known_tasks(),
        }
    }

    fn train(
        &self,
        run: &str,
        overrides: &[&str],
        resume: bool,
    ) -> Result<TrainOutput, LearnerError> {
        self.train_until(run, overrides, resume, &StopFlag::new())
    }

    /// A new run that is stopped after a step.
    fn stopped(&self, run: &str, overrides: &[&str], step: usize) -> TrainOutput {
        let session = Session::open(&self.request(run, overrides, false), &|_| {}).unwrap();
        session.train(StopFlag::new(), &mut StopAfter::step(step)).unwrap()
    }

    fn train_until(
        &self,
        run: &str,
        overrides: &[&str],
        resume: bool,
        stop: &StopFlag,
    ) -> Result<TrainOutput, LearnerError> {
        let session = Session::open(&self.request(run, overrides, resume), &|_| {})?;
        session.train(stop.clone(), &mut Silent)
    }
}

fn newest_checkpoint(run: &Path) -> PathBuf {
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(run.join("checkpoints")).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    names.pop().unwrap()
}

#[test]
fn a_run_leaves_what_the_contract_promises() {
    let fixture = Fixture::new();
    let outcome = fixture.train("run", &[], false).unwrap();
    assert_eq!(outcome.ended_by, EndReason::Finished);
    let run = fixture.path("run");

    let metrics = MetricsLog::read(&run.join("metrics.jsonl")).unwrap();
    let steps: Vec<usize> = metrics
        .iter()
        .filter(|record| matches!(record, MetricsRecord::Train(_)))
        .map(MetricsRecord::step)
        .collect();
    assert_eq!(steps, [1, 2, 3, 4, 5, 6]);

    let summary: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(run.join("summary.json")).unwrap()).unwrap();
    for key in [
        "steps",
        "wall_seconds",
        "tokens_per_second",
        "peak_rss_bytes",
        "parameters",
        "device",
        "dtype",
        "seed",
        "versions",
    ] {
        assert!(!summary[key].is_null(), "{key}");
    }
    for name in ["config", "data", "tokenizer"] {
        assert_eq!(summary["fingerprints"][name].as_str().unwrap().len(), 64, "{name}");
    }

    // The resolved configuration is the experiment, with the vocabulary filled in.
    let resolved =
        Experiment::load(&run.join("config.toml"), &[], &crate::known_tasks()).unwrap().experiment;
    let loaded = Experiment::load(&fixture.path("tiny.toml"), &[], &crate::known_tasks())
        .unwrap()
        .experiment;
    assert_ne!(resolved.model.embeddings.vocab_size, loaded.model.embeddings.vocab_size);
    assert_eq!(resolved.trainer, loaded.trainer);

    // A checkpoint is a model folder.
    let checkpoint = newest_checkpoint(&run);
    assert!(checkpoint.ends_with("step-00000006"), "{}", checkpoint.display());
    for name in [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "manifest.json",
    ] {
        assert!(checkpoint.join(name).is_file(), "{name}");
    }
    let model = nystromformer_interop::load_model(&checkpoint, &burn::tensor::Device::flex());
    assert_eq!(model.unwrap().config(), &resolved.model);
}

#[test]
fn a_stopped_run_is_resumed_to_the_same_weights() {
    let fixture = Fixture::new();
    fixture.train("unbroken", &[], false).unwrap();
    // A stop before the first step takes none, and leaves nothing to resume from: the run starts
    // over.
    let stop = StopFlag::new();
    stop.request(StopReason::Interrupt);
    let outcome = fixture.train_until("stopped", &[], false, &stop).unwrap();
    assert_eq!((outcome.ended_by.exit_code(), outcome.summary.steps), (130, 0));
    fixture.train("stopped", &[], true).unwrap();
    let weights = |run: &str| {
        std::fs::read(newest_checkpoint(&fixture.path(run)).join("model.safetensors")).unwrap()
    };
    assert!(weights("unbroken") == weights("stopped"));
    // Lost checkpoints cost their steps, not the result.
    for step in ["step-00000004", "step-00000006"] {
        std::fs::remove_dir_all(fixture.path("stopped").join("checkpoints").join(step)).unwrap();
    }
    fixture.train("stopped", &[], true).unwrap();
    assert!(weights("unbroken") == weights("stopped"));
}

/// How much is masked is a function of the step: a run that goes on in the middle of the ramp masks what an unbroken one does.
#[test]
fn a_ramp_of_masking_is_resumed_to_the_same_weights() {
    let fixture = Fixture::new();
    let ramp = ["data.mlm_probability=0.6", "data.mlm_probability_end=0.1"];
    fixture.train("unbroken", &ramp, false).unwrap();
    assert_eq!(fixture.stopped("stopped", &ramp, 3).summary.steps, 3);
    fixture.train("stopped", &ramp, true).unwrap();
    let state = |run: &str| {
        let checkpoint = newest_checkpoint(&fixture.path(run));
        ["model.safetensors", "optimizer.safetensors"]
            .map(|name| std::fs::read(checkpoint.join(name)).unwrap())
    };
    assert!(state("unbroken") == state("stopped"));
    let losses = |run: &str| -> Vec<f64> {
        let metrics = MetricsLog::read(&fixture.path(run).join("metrics.jsonl")).unwrap();
        let losses = metrics.into_iter().map(|record| match record {
            MetricsRecord::Train(step) => step.loss,
            MetricsRecord::Validation(evaluation) => evaluation.loss,
        });
        losses.collect()
    };
    assert_eq!(losses("unbroken"), losses("stopped"));
    // The first step masks as without a ramp, a later one does not; evaluations mask as ever.
    fixture.train("constant", &ramp[..1], false).unwrap();
    assert_eq!(losses("unbroken")[0], losses("constant")[0]);
    assert_ne!(losses("unbroken")[1], losses("constant")[1]);
    let at_start = |run: &str, settings: &[&str]| {
        fixture.train(run, &[settings, &["trainer.eval_on_start=true"]].concat(), false).unwrap();
        losses(run)[0]
    };
    let start = at_start("start", &[]);
    assert_eq!(at_start("ramp-start", &ramp), start);
    assert_eq!(at_start("alone", &["trainer.eval_every=0"]), start);
    let error = fixture.train("other", &["data.mlm_probability_end=1.5"], false).unwrap_err();
    assert!(error.to_string().contains("`data.mlm_probability_end`"), "{error}");
}

/// Shorter blocks and other batches at first: steps count their tokens, evaluations read what they always read, and a run that
/// goes on within a stage, or where one ends, ends as an unbroken one.
#[test]
fn stages_are_resumed_to_the_same_weights() {
    let fixture = Fixture::new();
    let stages = [
        "data.stages=[{until=0.34, seq_len=8, batch_size=6}, {until=0.67, seq_len=8, batch_size=10}]",
        "trainer.eval_on_start=true",
    ];
    let unbroken = fixture.train("unbroken", &stages, false).unwrap().summary;
    // Two steps of each; a block is as long as its stage says, but for the last one of the text.
    let most = 2 * (6 * 8 + 10 * 8 + 4 * 16);
    assert!((most - 30..=most).contains(&(unbroken.tokens as usize)), "{}", unbroken.tokens);
    let records = |run: &str| {
        let metrics = MetricsLog::read(&fixture.path(run).join("metrics.jsonl")).unwrap();
        let losses = metrics.into_iter().map(|record| match record {
            MetricsRecord::Train(step) => ("train", step.step, step.loss),
            MetricsRecord::Validation(evaluation) => {
                ("validation", evaluation.step, evaluation.loss)
            }
        });
        losses.collect::<Vec<_>>()
    };
    let weights = |run: &str| {
        std::fs::read(newest_checkpoint(&fixture.path(run)).join("model.safetensors")).unwrap()
    };
    for step in [1, 2, 5] {
        let run = format!("stopped-{step}");
        fixture.stopped(&run, &stages, step);
        let resumed = fixture.train(&run, &stages, true).unwrap().summary;
        assert_eq!(resumed.tokens, unbroken.tokens);
        assert!(weights("unbroken") == weights(&run), "{step}");
        assert_eq!(records("unbroken"), records(&run));
    }
    fixture.train("plain", &["trainer.eval_on_start=true"], false).unwrap();
    assert_eq!(records("unbroken")[0], records("plain")[0]);
    assert_ne!(records("unbroken")[1], records("plain")[1]);
    for (setting, problem) in [
        ("data.stages=[{until=0.5, seq_len=8}]", "missing field `batch_size`"),
        ("data.stages=[{until=0.5, seq_len=32, batch_size=4}]", "at most `data.seq_len` = `16`"),
        ("data.stages=[{until=0.5, seq_len=8, batch_size=5}]", "a step has `2` micro-batches"),
    ] {
        let error = fixture.train("refused", &[setting], false).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(problem), "{error}");
    }
    let epochs = [stages[0], "trainer.max_epochs=2"];
    let error = fixture.train("refused", &epochs, false).unwrap_err();
    assert!(error.to_string().contains("`data.stages`: its stages are shares"), "{error}");
}

#[test]
fn resume_where_there_is_nothing_starts_and_a_second_start_is_refused() {
    let fixture = Fixture::new();
    fixture.train("run", &["trainer.max_steps=1"], true).unwrap();
    let error = fixture.train("run", &[], false).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("holds a run already"), "{error}");
}

#[test]
fn resuming_with_other_settings_or_another_corpus_is_refused() {
    let fixture = Fixture::new();
    fixture.train("run", &["trainer.max_steps=2"], false).unwrap();
    let error = fixture.train("run", &["trainer.max_steps=3"], true).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("trainer.max_steps: was `2`, now `3`"), "{error}");

    let corpus = fixture.path("corpus.txt");
    let text = std::fs::read_to_string(&corpus).unwrap() + "the cat is gone.\n";
    std::fs::write(&corpus, text).unwrap();
    let error = fixture.train("run", &["trainer.max_steps=2"], true).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("data: was `"), "{error}");
}

#[test]
fn a_dry_run_sizes_everything_and_makes_no_run() {
    let fixture = Fixture::new();
    let scratch = tempfile::tempdir().unwrap();
    let dry_run = |request| DryRun::perform(&request, scratch.path(), &|_| {});
    let report = dry_run(fixture.request("run", &[], false)).unwrap();
    assert_eq!((report.total_steps, report.tokens_per_step), (6, 64));
    assert!(report.parameters > 1000 && report.estimated_bytes > 16 * report.parameters as u64);
    assert!(report.loss.is_finite() && report.seconds_per_step > 0.0);
    assert_eq!((report.measured_micro_batches, report.micro_batches_per_step), (2, 2));
    assert_eq!(report.resumes_from_step, None);
    assert!(!fixture.path("run").exists() && !fixture.path("cache").exists());

    // Of a run that is there it says where it would go on, and what would keep it from that.
    fixture.train("run", &["trainer.max_steps=5"], false).unwrap();
    let resume = |overrides: &[&str]| dry_run(fixture.request("run", overrides, true));
    let report = resume(&[]).unwrap();
    assert_eq!((report.total_steps, report.resumes_from_step), (5, Some(5)));
    let error = resume(&["seed=6"]).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    std::fs::write(newest_checkpoint(&fixture.path("run")).join("model.safetensors"), "").unwrap();
    assert_eq!(resume(&[]).unwrap().resumes_from_step, Some(4));
}

#[test]
fn data_that_has_moved_is_named_anew_and_nothing_else_of_a_run_changes() {
    let fixture = Fixture::new();
    fixture.train("unbroken", &[], false).unwrap();
    fixture.train("run", &[], false).unwrap();
    std::fs::remove_dir_all(fixture.path("run/checkpoints/step-00000006")).unwrap();
    let [old, new] = ["corpus.txt", "moved.txt"].map(|name| fixture.path(name));
    std::fs::rename(&old, &new).unwrap();
    let error = fixture.train("run", &[], true).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    for part in ["`data.corpus`", old.to_str().unwrap(), "`--set data.corpus=PATH`"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    let setting = format!("data.corpus={}", new.display());
    fixture.train("run", &[&setting], true).unwrap();
    let weights = |run: &str| {
        std::fs::read(newest_checkpoint(&fixture.path(run)).join("model.safetensors")).unwrap()
    };
    assert!(weights("unbroken") == weights("run"));
    let stored = Experiment::load(&fixture.path("run/config.toml"), &[], &crate::known_tasks())
        .unwrap()
        .experiment;
    assert_eq!(Path::new(&stored.data.corpus), new);

    // Other text at the new place is another corpus.
    std::fs::rename(&new, &old).unwrap();
    std::fs::write(&new, "the cat sees the dog, and the dog hears the cat all day.\n".repeat(60))
        .unwrap();
    let error = fixture.train("run", &[&setting], true).unwrap_err();
    assert!(error.to_string().contains("data: was `"), "{error}");
}

#[test]
fn bookkeeping_may_change_when_a_run_is_resumed_and_changes_nothing_else() {
    let fixture = Fixture::new();
    fixture.train("unbroken", &[], false).unwrap();
    fixture.train("run", &[], false).unwrap();
    for step in ["step-00000004", "step-00000006"] {
        std::fs::remove_dir_all(fixture.path("run/checkpoints").join(step)).unwrap();
    }
    let elsewhere = format!("data.cache_dir={}", fixture.path("elsewhere").display());
    let changed = [&elsewhere, "trainer.log_every=3", "trainer.keep_last=1"];
    fixture.train("run", &changed, true).unwrap();
    assert!(fixture.path("elsewhere").is_dir());
    let weights = |run: &str| {
        std::fs::read(newest_checkpoint(&fixture.path(run)).join("model.safetensors")).unwrap()
    };
    assert!(weights("unbroken") == weights("run"));
    // The run's own configuration says so, and goes on saying so.
    for changed in [&changed[..], &[]] {
        fixture.train("run", changed, true).unwrap();
        let stored = Experiment::load(&fixture.path("run/config.toml"), &[], &crate::known_tasks())
            .unwrap()
            .experiment
            .trainer;
        assert_eq!((stored.log_every, stored.keep_last), (3, 1));
    }
}

#[test]
fn weights_of_another_vocabulary_are_refused() {
    let fixture = Fixture::new();
    fixture.train("source", &[], false).unwrap();
    let source = format!("model.init_from={}", fixture.path("source").display());
    fixture.train("same", &[&source], false).unwrap();
    // The same size, so that the weights would fit.
    let corpus = fixture.path("corpus.txt");
    let text = std::fs::read_to_string(&corpus).unwrap();
    std::fs::write(&corpus, text.replace("dog", "bat")).unwrap();
    let vocab_size =
        Experiment::load(&fixture.path("source/config.toml"), &[], &crate::known_tasks())
            .unwrap()
            .experiment
            .model
            .embeddings
            .vocab_size;
    let error = fixture
        .train("other", &[&source, &format!("model.vocab_size={}", vocab_size + 5)], false)
        .unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let message = error.to_string();
    for part in ["`model.init_from`", "another vocabulary", "tokenizer.path", "source"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(!fixture.path("other/config.toml").exists());
}

#[test]
fn a_vocabulary_too_small_for_the_tokenizer_is_refused() {
    let fixture = Fixture::new();
    let error = fixture.train("run", &["model.vocab_size=20"], false).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("`model.vocab_size` is `20`"), "{error}");
}

#[test]
fn a_missing_corpus_is_a_data_error() {
    let fixture = Fixture::new();
    let error = fixture.train("run", &["data.corpus=nowhere"], false).unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
    assert!(error.to_string().contains("nowhere"), "{error}");
}

/// What a file does not say of the model is that of the model it starts from.
#[test]
fn sizes_come_from_the_model_to_start_from() {
    let fixture = Fixture::new();
    // More positions than the default model has, which a resume must not be measured by.
    let sizes = ["model.intermediate_size=40", "model.max_position_embeddings=600"];
    fixture.train("source", &sizes, false).unwrap();
    let source = fixture.path("source");
    let stated = Experiment::load(&source.join("config.toml"), &[], &crate::known_tasks())
        .unwrap()
        .experiment
        .model;
    let text = std::fs::read_to_string(fixture.path("tiny.toml")).unwrap();
    let [model, tokenizer] = ["[model]", "[tokenizer]"].map(|name| text.find(name).unwrap());
    let without_model = format!("{}{}", &text[..model], &text[tokenizer..]);
    std::fs::write(fixture.path("tiny.toml"), without_model).unwrap();

    let missing = format!("model.init_from={}", fixture.path("nowhere").display());
    let error = fixture.train("tuned", &[&missing], false).unwrap_err();
    assert_eq!(error.exit_code(), 4, "{error}");
    let init_from = format!("model.init_from={}", source.display());
    fixture.train("tuned", &[&init_from], false).unwrap();
    let tuned = Experiment::load(&fixture.path("tuned/config.toml"), &[], &crate::known_tasks())
        .unwrap()
        .experiment
        .model;
    assert_eq!(tuned, stated);
    // The run goes on without the model it came from.
    std::fs::rename(&source, fixture.path("moved")).unwrap();
    fixture.train("tuned", &[], true).unwrap();
}

#[test]
fn sentence_order_is_trained_beside_masked_tokens_and_resumed_bit_for_bit() {
    let fixture = Fixture::new();
    let objective = ["data.objective=mlm_sop", "model.type_vocab_size=2"];
    let outcome = fixture.train("whole", &objective, false).unwrap();
    let metrics = outcome.summary.final_evaluation.unwrap().metrics;
    for name in ["accuracy", "mlm_loss", "sop_loss", "sop_accuracy"] {
        assert!(metrics[name].is_finite(), "{metrics:?}");
    }

    let stop = StopFlag::new();
    stop.request(StopReason::Terminate);
    let mut first = objective.to_vec();
    first.push("trainer.checkpoint_every=1");
    fixture.train_until("parts", &first, false, &stop).unwrap();
    fixture.train("parts", &[], true).unwrap();
    let weights = |run: &str| {
        let checkpoint = newest_checkpoint(&fixture.path(run));
        std::fs::read(checkpoint.join("model.safetensors")).unwrap()
    };
    assert!(weights("whole") == weights("parts"));
    let checkpoint = newest_checkpoint(&fixture.path("whole"));
    let model = nystromformer_interop::load_model(&checkpoint, &burn::tensor::Device::flex());
    assert_eq!(model.unwrap().architecture(), nystromformer::Architecture::PreTraining);
}
