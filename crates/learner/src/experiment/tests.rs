//! What an experiment is as a file, and what is said of mistakes in it.

use proptest::prelude::*;

use super::*;
use crate::schedule::{Anneal, OneCycle, Warmup};

fn load(text: &str, overrides: &[&str]) -> Result<LoadedExperiment> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tiny.toml");
    std::fs::write(&path, text).unwrap();
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    Experiment::load(&path, &overrides, &nystromformer_tasks::tasks())
}

/// As a run keeps it: a model to start from need not be there.
fn load_resolved(text: &str) -> Experiment {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tiny.toml");
    std::fs::write(&path, text).unwrap();
    Experiment::load_resolved(&path, &nystromformer_tasks::tasks()).unwrap()
}

#[test]
fn an_empty_file_is_the_papers_recipe() {
    let loaded = load("", &[]).unwrap();
    let expected = Experiment { name: "tiny".to_owned(), ..Experiment::default() };
    assert_eq!(loaded.experiment, expected.with_absolute_paths());
    assert_eq!(expected.optimizer.epsilon, 1e-6);
    assert_eq!(expected.trainer.max_steps, 500_000);
    assert!(!loaded.states("model.vocab_size"));
}

#[test]
fn init_from_lives_in_the_model_section() {
    let experiment =
        load_resolved("name = \"a\"\n[model]\ninit_from = \"runs/a\"\nhidden_size = 96");
    let here = std::env::current_dir().unwrap();
    assert_eq!(experiment.init_from, Some(here.join("runs/a")));
    assert_eq!(experiment.model.shared.hidden_size, 96);
    let text = experiment.to_toml();
    assert_eq!(load_resolved(&text), experiment, "{text}");
    let error = load(&text, &[]).unwrap_err();
    assert_eq!(error.exit_code(), 4, "{error}");
}

#[test]
fn problems_of_all_sections_are_told_at_once_with_their_lines() {
    let text = "[optimizer]\nlearning_rate = nan\n[trainer]\nbatch_size = 0\n";
    let error = load(text, &["data.seq_len=4000"]).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let message = error.to_string();
    for part in [
        "tiny.toml:2: `optimizer.learning_rate`: `NaN` is not a positive number",
        "tiny.toml:4: `trainer.batch_size`: ",
        "--set: `data.seq_len`: ",
        "or start from a pretrained model: `model.init_from`",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

/// The model's keys belong to several structs but stand in one table.
#[test]
fn mistakes_in_any_part_of_the_model_are_told_with_key_line_and_cure() {
    let text = "[model]\nhidden_sise = 8\nnum_landmarks = \"8\"\nattention = \"softmaks\"\n\
                classifier_dropout_prob = true\n";
    let message = load(text, &[]).unwrap_err().to_string();
    for part in [
        "tiny.toml:2: unknown key `model.hidden_sise` = `8`; did you mean `model.hidden_size`?",
        "tiny.toml:3: `model.num_landmarks` = `8`: expected a whole number, zero or more",
        "tiny.toml:4: `model.attention` = `softmaks` is not one of its values; did you mean `softmax`?",
        "tiny.toml:5: `model.classifier_dropout_prob` = `true`: expected a number",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn sentence_order_needs_two_token_types() {
    let text = "[model]\ntype_vocab_size = 1\n[data]\nobjective = \"mlm_sop\"\n";
    let message = load(text, &[]).unwrap_err().to_string();
    assert!(message.contains("tiny.toml:2: `model.type_vocab_size`: `1`: "), "{message}");
    assert_eq!(
        load(text, &["model.type_vocab_size=2"]).unwrap().experiment.architecture(),
        Architecture::PreTraining
    );
}

#[test]
fn a_name_cannot_leave_the_directory_of_runs() {
    for name in ["../x", "a/b", ".hidden"] {
        assert!(load(&format!("name = \"{name}\""), &[]).is_err(), "{name}");
    }
}

#[test]
fn the_sample_stands_in_for_text_that_is_yet_to_come_but_not_for_a_misspelt_override() {
    let text = "[data]\ncorpus = \"nowhere/data\"\nsample_if_missing = true\n";
    let data = load(text, &[]).unwrap().experiment.data;
    assert_eq!((data.corpus.as_str(), data.sample_if_missing), ("sample", false));
    let data = load(text, &["data.corpus=nowhere/else"]).unwrap().experiment.data;
    assert!(data.corpus.ends_with("nowhere/else") && !data.sample_if_missing);
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let warmup =
        (0_usize..100).prop_map(|warmup_steps| Warmup { warmup_steps, warmup_fraction: 0.0 });
    prop_oneof![
        warmup.clone().prop_map(Schedule::Linear),
        (warmup.clone(), 0.1..3.0)
            .prop_map(|(warmup, num_cycles)| Schedule::Cosine { warmup, num_cycles }),
        warmup.clone().prop_map(Schedule::Constant),
        (warmup, 0.1..4.0, 0.0..1e-3).prop_map(|(warmup, power, end_learning_rate)| {
            Schedule::Polynomial { warmup, power, end_learning_rate }
        }),
        (0.0..1.0, 1.0..100.0, any::<bool>(), any::<bool>()).prop_map(
            |(pct_start, div_factor, cos, cycle_momentum)| {
                Schedule::OneCycle(OneCycle {
                    pct_start,
                    div_factor,
                    anneal: if cos { Anneal::Cos } else { Anneal::Linear },
                    cycle_momentum,
                    ..OneCycle::default()
                })
            }
        ),
    ]
}

proptest! {
    #[test]
    fn the_resolved_form_reads_back_identical(
        schedule in schedules(),
        seed in 0..i64::MAX as u64,
        learning_rate in 1e-9..1.0,
        batch_size in 1_usize..10_000,
        shuffle: bool,
        name in "[a-z][a-z0-9 \"=#-]{0,12}",
        init_from in proptest::option::of("[a-z/\\\\]{1,12}"),
    ) {
        let mut experiment = Experiment { name, seed, schedule, ..Experiment::default() };
        experiment.optimizer.learning_rate = learning_rate;
        experiment.trainer.batch_size = batch_size;
        experiment.data.shuffle = shuffle;
        experiment.init_from = init_from.map(PathBuf::from);
        prop_assume!(!experiment.name.contains('\\'));
        let text = experiment.to_toml();
        let experiment = experiment.with_absolute_paths();
        prop_assert_eq!(load_resolved(&text), experiment.clone());
        prop_assert_eq!(load_resolved(&experiment.to_toml()), experiment);
    }
}
