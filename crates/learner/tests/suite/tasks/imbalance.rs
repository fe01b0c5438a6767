//! Options for small and uneven data: class weights, balanced sampling, smoothed labels, averaged weights, frozen layers; and
//! what a summary says of mistakes.

use std::fs;

use nystromformer::heads::TargetsData;
use nystromformer_learner::batch::BatchSource;
use nystromformer_learner::progress::Silent;
use nystromformer_learner::trainer::{EndReason, model_folder};
use nystromformer_tasks::Split;

use super::fixture::{Fixture, StopAfter, checkpoint, is_bad, review, train};

const WITHOUT_DROPOUT: [&str; 2] =
    ["model.hidden_dropout_prob=0", "model.attention_probs_dropout_prob=0"];

/// Of 60 reviews a third is bad: `60 / (2 · 20)` and `60 / (2 · 40)`.
#[test]
fn balanced_weights_count_the_labels_of_training_and_leave_evaluations_plain() {
    let fixture = Fixture::of_reviews();
    let weights = |overrides: &[&str]| {
        let batches = fixture.batches(overrides).unwrap();
        let measured = batches.evaluation_batch(Split::Validation, 0, 4).unwrap();
        assert!(measured.loss_options.is_plain());
        let of_step = batches.training_step(0, 4, 4).unwrap().remove(0);
        of_step.loss_options.class_weights.map(|weights| weights.to_vec())
    };
    assert_eq!(weights(&[]), None);
    assert_eq!(weights(&["task.class_weights=balanced"]), Some(vec![1.5, 0.75]));
    assert_eq!(weights(&["task.class_weights=[1, 3.5]"]), Some(vec![1.0, 3.5]));
    let error = fixture.batches(&["task.class_weights=[1, 2, 3]"]).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let message = error.to_string();
    assert!(message.contains("`3` weights for the `2` classes `bad`, `good`"), "{message}");
    let message = fixture.batches(&["task.class_weights=even"]).unwrap_err().to_string();
    assert!(message.contains("`task.class_weights`") && message.contains("`even`"), "{message}");
    let message = fixture.batches(&["task.class_weights=[0, 1]"]).unwrap_err().to_string();
    assert!(message.contains("positive numbers"), "{message}");
}

/// However unevenly the weights fall, micro-batches are one batch to the loss and its gradient.
#[test]
fn weighted_and_smoothed_losses_are_those_of_the_whole_batch() {
    let fixture = Fixture::of_reviews();
    let run = |name: &str, micro_batch_size: usize| {
        let size = format!("trainer.micro_batch_size={micro_batch_size}");
        let mut overrides = WITHOUT_DROPOUT.to_vec();
        overrides.extend([
            "task.class_weights=[5, 0.5]",
            "trainer.label_smoothing_factor=0.1",
            size.as_str(),
        ]);
        fixture.train(name, &overrides).unwrap();
        fixture.metrics(name).0
    };
    for (whole, parts) in run("whole", 6).into_iter().zip(run("parts", 1)) {
        for (whole, parts) in [(whole.loss, parts.loss), (whole.grad_norm, parts.grad_norm)] {
            assert!((whole / parts - 1.0).abs() < 1e-4, "{whole} {parts}");
        }
    }
}

#[test]
fn balanced_sampling_shows_both_classes_equally_often() {
    let fixture = Fixture::of_reviews();
    for more in ["task.group_by_length=false", "task.group_by_length=true"] {
        let batches = fixture.batches(&["task.sampling=balanced", more]).unwrap();
        let mut counts = [0, 0];
        for step in 0..20 {
            for batch in batches.training_step(step, 6, 4).unwrap() {
                let TargetsData::Class(labels) = batch.targets else { panic!("classes") };
                for label in labels {
                    counts[label as usize] += 1;
                }
            }
        }
        assert_eq!(counts, [60, 60], "{more}");
    }
}

#[test]
fn what_needs_classes_is_refused_where_numbers_are_predicted() {
    let fixture = Fixture::new("labelled", "regression = true");
    fixture.write_vocabulary();
    for split in [Split::Train, Split::Validation] {
        let rows = (0..12).map(|number| format!("{},{}", review(number), number % 5));
        fixture.write_csv(split, "sentence,label", rows);
    }
    assert!(fixture.batches(&[]).is_ok());
    for (key, value) in [
        ("task.class_weights", "balanced"),
        ("task.sampling", "balanced"),
        ("trainer.label_smoothing_factor", "0.1"),
    ] {
        let error = fixture.batches(&[&format!("{key}={value}")]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(&format!("`{key}` = `{value}`")), "{error}");
    }
}

#[test]
fn with_every_option_a_resumed_run_is_bit_for_bit_the_unbroken_one() {
    let fixture = Fixture::of_reviews();
    let overrides = [
        "task.sampling=balanced",
        "task.class_weights=balanced",
        "task.group_by_length=true",
        "model.num_hidden_layers=2",
        "model.hidden_dropout_prob=0.2",
        "optimizer.layer_decay=0.7",
        "trainer.freeze_embeddings=true",
        "trainer.freeze_layers=1",
        "trainer.ema_decay=0.6",
        "trainer.label_smoothing_factor=0.1",
        "trainer.max_steps=8",
    ];
    let unbroken = fixture.train("unbroken", &overrides).unwrap();
    let summary = &unbroken.summary;
    assert!(summary.trained_parameters.is_some_and(|trained| trained < summary.parameters));
    let expected = fixture.metrics("unbroken");
    for step in [1, 5] {
        let run = format!("interrupted-{step}");
        let mut stop = StopAfter { step, taken: 0 };
        train(&fixture.request(&run, &overrides, false), &mut stop).unwrap();
        let resumed = train(&fixture.request(&run, &[], true), &mut Silent).unwrap();
        assert_eq!(resumed.ended_by, EndReason::Finished);
        assert_eq!(fixture.metrics(&run), expected, "stopped after step {step}");
        assert_eq!(resumed.summary.best_model, summary.best_model);
        for file in
            ["model.safetensors", "weights_in_training.safetensors", "optimizer.safetensors"]
        {
            let [left, right] = ["unbroken", &run]
                .map(|run| fs::read(checkpoint(&fixture.path(run), 8).join(file)).unwrap());
            assert!(left == right, "{file} after {step}");
        }
    }
    // A run that starts from it takes the average.
    let folder = model_folder(&fixture.path("unbroken")).unwrap();
    let [model, in_training] = ["model.safetensors", "weights_in_training.safetensors"]
        .map(|file| fs::read(folder.join(file)).unwrap());
    assert_ne!(model, in_training);
}

/// Also of reviews that were held out, whose texts are in the training file.
#[test]
fn the_summary_names_the_surest_mistakes() {
    let fixture = Fixture::of_reviews();
    fs::remove_file(fixture.data().join("validation.csv")).unwrap();
    let outcome = fixture
        .train(
            "run",
            &[
                "trainer.max_steps=30",
                "optimizer.learning_rate=0.01",
                "task.validation_fraction=0.5",
            ],
        )
        .unwrap();
    let verdict = outcome.summary.best_model.unwrap();
    for split in ["validation", "test"] {
        let errors = &verdict.errors[split];
        let accuracy = verdict.evaluations[split].metric("accuracy").unwrap();
        let right = (errors.answers - errors.mistakes) as f64;
        assert_eq!(right / errors.answers as f64, accuracy, "{split}");
        assert!((0.0..=1.0).contains(&errors.expected_calibration_error));
        let listed = &errors.most_confident_mistakes;
        assert_eq!(listed.len() as u64, errors.mistakes.min(20));
        assert!(listed.is_sorted_by(|left, right| left.score >= right.score));
        let confused: u64 = errors.confusion_pairs.iter().map(|pair| pair.count).sum();
        assert_eq!(confused, errors.mistakes);
        for mistake in listed {
            assert!(mistake.score >= 0.5 && mistake.label != mistake.prediction);
            let number = if split == "test" { 80 + mistake.example } else { mistake.example };
            assert_eq!(mistake.text, review(number), "{split}");
            let is_called_bad = mistake.label == "bad";
            assert_eq!(is_called_bad, is_bad(number) != (split == "test"), "{split}");
        }
    }
    // The test labels are the other way round.
    assert!(verdict.errors["test"].mistakes > 10);
}

/// Of any number of classes weights are `pos_weight`: examples without against examples with. Nothing else is known of them.
#[test]
fn several_labels_are_weighed_and_neither_smoothed_nor_drawn_evenly() {
    let fixture = Fixture::new("labelled", "label_separator = \";\"");
    fixture.write_vocabulary();
    for split in [Split::Train, Split::Validation] {
        // `long` of every second review, `bad` of every third, `rare` of one in twelve.
        let rows = (0..24).map(|number| {
            let labels = [("bad", 3), ("long", 2), ("rare", 12)];
            let labels = labels.into_iter().filter(|(_, every)| number % every == 0);
            let labels: Vec<&str> = labels.map(|(label, _)| label).collect();
            format!("{},{}", review(number), labels.join(";"))
        });
        fixture.write_csv(split, "sentence,label", rows);
    }
    let batches = fixture.batches(&["task.class_weights=balanced"]).unwrap();
    let batch = batches.training_step(0, 4, 4).unwrap().remove(0);
    assert!(matches!(batch.targets, TargetsData::Values(_)));
    let weights = batch.loss_options.class_weights.unwrap();
    assert_eq!(weights.to_vec(), [2.0, 1.0, 11.0]);
    let run = |name: &str, more: &[&str]| {
        let overrides = [&WITHOUT_DROPOUT[..], more].concat();
        fixture.train(name, &overrides).unwrap();
        fixture.metrics(name)
    };
    let (plain, weighted) = (run("plain", &[]), run("weighted", &["task.class_weights=balanced"]));
    assert!(weighted.0[0].loss > plain.0[0].loss);
    let whole = run("whole", &["task.class_weights=balanced", "trainer.micro_batch_size=6"]);
    assert!((whole.0[5].loss / weighted.0[5].loss - 1.0).abs() < 1e-4);
    for key in ["task.sampling=balanced", "trainer.label_smoothing_factor=0.1"] {
        assert_eq!(fixture.batches(&[key]).unwrap_err().exit_code(), 2, "{key}");
    }
}

/// Of tags the answers are words, and so are weights and mistakes.
#[test]
fn words_are_weighed_and_their_mistakes_named() {
    let fixture = Fixture::new("ner", "");
    fixture.write_vocabulary();
    for (split, numbers) in
        [(Split::Train, 0..30), (Split::Validation, 30..40), (Split::Test, 40..50)]
    {
        let sentences: Vec<String> = numbers
            .map(|number| {
                let lines = review(number).split(' ').map(tagged).collect::<Vec<_>>();
                lines.join("\n") + "\n\n"
            })
            .collect();
        let path = fixture.data().join(format!("{}.conll", split.name()));
        fs::write(path, sentences.concat()).unwrap();
    }
    let words: Vec<String> = (0..30)
        .flat_map(|number| review(number).split(' ').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let named = words.iter().filter(|word| tagged(word).ends_with("B-MUSIC")).count() as f32;
    let all = words.len() as f32;
    let batches = fixture.batches(&["task.class_weights=balanced"]).unwrap();
    let batch = batches.training_step(0, 4, 4).unwrap().remove(0);
    let weights = batch.loss_options.class_weights.unwrap();
    let names: Vec<String> = batches.targets().names();
    for (name, weight) in names.iter().zip(weights.iter()) {
        let expected = match name.as_str() {
            "O" => all / (2.0 * (all - named)),
            "B-MUSIC" => all / (2.0 * named),
            // No word goes on with one.
            _ => 0.0,
        };
        assert!((weight - expected).abs() < 1e-5, "{name}: {weight} {expected}");
    }
    let outcome = fixture
        .train("run", &["task.class_weights=balanced", "trainer.label_smoothing_factor=0.1"])
        .unwrap();
    let verdict = outcome.summary.best_model.unwrap();
    let errors = &verdict.errors["test"];
    let words: usize = (40..50).map(|number| review(number).split(' ').count()).sum();
    assert_eq!(errors.answers, words as u64);
    assert!(errors.mistakes > 0, "six steps are too few to know all");
    for mistake in &errors.most_confident_mistakes {
        let review = review(40 + mistake.example);
        let word = review.split(' ').nth(mistake.word.unwrap()).unwrap();
        assert_eq!(mistake.text, word);
        assert_eq!(mistake.label == "B-MUSIC", tagged(word).ends_with("B-MUSIC"));
    }
}

/// A line of a CoNLL file: music is an entity.
fn tagged(word: &str) -> String {
    format!("{word} {}", if word == "music" { "B-MUSIC" } else { "O" })
}
