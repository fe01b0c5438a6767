//! `objective = "masked_inputs"`: a task learns its own inputs, and another run starts from what was learned.

use std::fs;

use nystromformer_learner::batch::BatchSource;
use nystromformer_learner::progress::Silent;
use nystromformer_lra::SplitSizes;
use nystromformer_lra::listops::{self, GeneratorConfig};
use nystromformer_lra::retrieval;
use nystromformer_tasks::Split;
use serde_json::Value;

use super::fixture::{Fixture, StopAfter, checkpoint, review, train};

const MASKED: &str = "task.objective=masked_inputs";

fn of_listops() -> Fixture {
    let fixture = Fixture::new("listops", "");
    let config =
        GeneratorConfig { above_length: 8, below_length: 30, ..GeneratorConfig::default() };
    let sizes = SplitSizes { train: 24, validation: 6, test: 6 };
    listops::generate_files(&fixture.data(), config, sizes, 3).unwrap();
    fixture
}

fn model_config(fixture: &Fixture, run: &str) -> Value {
    let path = checkpoint(&fixture.path(run), 6).join("config.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Nothing of the test split is read, and no label; the encoder then starts a classifier of the same sizes.
#[test]
fn inputs_are_learned_and_a_classifier_starts_from_them() {
    let fixture = of_listops();
    let learned = fixture.train("inputs", &[MASKED]).unwrap();
    let (steps, evaluations) = fixture.metrics("inputs");
    assert_eq!((steps.len(), evaluations.len()), (6, 2));
    // About as unsure as among sixteen symbols and the mask.
    assert!(steps[0].loss > 2.0 && steps[0].loss < 3.5, "{}", steps[0].loss);
    assert!(learned.summary.best_model.is_none());
    assert!(!fixture.path("inputs/predictions").exists());
    let config = model_config(&fixture, "inputs");
    assert_eq!(config["architectures"][0], "NystromformerForMaskedLM");
    // Padding, 15 symbols, and the mask.
    assert_eq!(config["vocab_size"], 17);

    let init_from = format!("model.init_from={}", fixture.path("inputs").display());
    fixture.train("labels", &[&init_from]).unwrap();
    let config = model_config(&fixture, "labels");
    assert_eq!(config["architectures"][0], "NystromformerForSequenceClassification");
    assert_eq!(config["vocab_size"], 17);
    fixture.train("fresh", &[]).unwrap();
    assert_eq!(model_config(&fixture, "fresh")["vocab_size"], 16);
    assert_ne!(fixture.metrics("labels").0[0].loss, fixture.metrics("fresh").0[0].loss);
}

#[test]
fn learning_inputs_goes_on_bit_for_bit() {
    let fixture = of_listops();
    fixture.train("unbroken", &[MASKED]).unwrap();
    let mut stop = StopAfter { step: 3, taken: 0 };
    train(&fixture.request("interrupted", &[MASKED], false), &mut stop).unwrap();
    train(&fixture.request("interrupted", &[], true), &mut Silent).unwrap();
    assert_eq!(fixture.metrics("interrupted"), fixture.metrics("unbroken"));
}

#[test]
fn shares_are_the_tasks_or_what_is_asked_for_and_only_validation_is_measured() {
    let fixture = of_listops();
    let hidden = |overrides: &[&str]| {
        let batches = fixture.batches(&[&[MASKED], overrides].concat()).unwrap();
        assert_eq!(batches.evaluation_examples(Split::Validation), 6);
        assert_eq!(batches.evaluation_examples(Split::Test), 0);
        assert_eq!(batches.predictable_examples(Split::Test), 0);
        let mut counts = [0, 0];
        for step in 0..40 {
            for batch in batches.training_step(step, 6, 4).unwrap() {
                counts[0] += batch.targets.counts(batch.seq_len)[0];
                counts[1] += batch.lengths.iter().sum::<usize>();
            }
        }
        counts[0] as f64 / counts[1] as f64
    };
    assert!((hidden(&[]) - 0.1).abs() < 0.02);
    assert!((hidden(&["task.mlm_probability=0.6"]) - 0.6).abs() < 0.03);
    // Both documents of a pair are learned, each by itself.
    let pairs = Fixture::new("retrieval", "");
    retrieval::generate_files(&pairs.data(), SplitSizes { train: 8, validation: 2, test: 2 }, 3)
        .unwrap();
    let batches = pairs.batches(&[MASKED]).unwrap();
    assert_eq!(batches.training_step(0, 4, 4).unwrap()[0].lengths.len(), 8);
}

/// Each process of several makes its own micro-batches alone.
#[test]
fn a_share_of_a_step_hides_and_drops_what_the_whole_step_does() {
    let listops = of_listops();
    let pairs = Fixture::new("retrieval", "");
    retrieval::generate_files(&pairs.data(), SplitSizes { train: 8, validation: 2, test: 2 }, 3)
        .unwrap();
    for (fixture, setting) in
        [(&listops, MASKED), (&pairs, MASKED), (&pairs, "task.byte_dropout=0.3")]
    {
        let batches = fixture.batches(&[setting]).unwrap();
        let whole = batches.training_step(3, 8, 2).unwrap();
        let share = batches.micro_batches(3, 8, 2, 2..4).unwrap();
        assert_eq!(share, whole[2..], "{setting}");
        assert_ne!(whole[0].input_ids, whole[2].input_ids);
    }
}

/// Where no label is read none is needed, nor a second class.
#[test]
fn texts_without_labels_are_learned() {
    let fixture = Fixture::new("text", "labels = [\"bad\", \"good\"]");
    fixture.write_csv(Split::Train, "sentence", (0..24).map(review));
    let row = |number| format!("{},{}", review(number), if number % 2 == 0 { "bad" } else { "" });
    fixture.write_csv(Split::Validation, "sentence,label", (24..30).map(row));
    let batches = fixture.batches(&[MASKED]).unwrap();
    assert_eq!(batches.training_examples(), 24);
    assert_eq!(batches.evaluation_examples(Split::Validation), 6);
    let message = fixture.batches(&[]).unwrap_err().to_string();
    assert!(message.contains("label"), "{message}");
    fixture.write_csv(
        Split::Train,
        "sentence,label",
        (0..24).map(|n| format!("{},bad", review(n))),
    );
    assert_eq!(fixture.batches(&[MASKED]).unwrap().training_examples(), 24);
    let message = fixture.batches(&[]).unwrap_err().to_string();
    assert!(message.contains("all `24` labelled examples are of class `bad`"), "{message}");
}

#[test]
fn what_has_no_inputs_to_learn_is_refused_by_its_key() {
    let refused = |fixture: &Fixture, overrides: &[&str], words: &str| {
        let error = fixture.batches(overrides).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    let listops = of_listops();
    refused(&Fixture::of_reviews(), &[MASKED], "`task.objective`");
    refused(&Fixture::new("bags", ""), &[MASKED], "`task.objective`");
    refused(&listops, &["task.mlm_probability=0.2"], "`task.mlm_probability`");
    refused(&listops, &[MASKED, "task.mlm_probability=0"], "`task.mlm_probability`");
    for key in ["folds=3", "sampling=balanced", "class_weights=balanced"] {
        let setting = format!("task.{key}");
        let name = format!("`{}`", setting.split('=').next().unwrap());
        refused(&listops, &[MASKED, &setting], &name);
    }
    let pairs = Fixture::new("retrieval", "");
    refused(&pairs, &[MASKED, "task.byte_dropout=0.1"], "`task.byte_dropout`");
    refused(&pairs, &["task.byte_dropout=1"], "`task.byte_dropout`");
}
