//! Multiple choice from files to a run's predictions: questions that differ in how many choices they have.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use nystromformer::{Architecture, heads::TargetsData};
use nystromformer_interop::load_model;
use nystromformer_learner::Experiment;
use nystromformer_learner::batch::BatchSource;
use nystromformer_learner::memory_estimate::estimate_bytes;
use nystromformer_learner::trainer::{BestModelResults, DryRun, model_folder};
use nystromformer_tasks::Split;
use serde_json::{Value, json};

use super::fixture::{Fixture, review};

/// How many choices a question has.
fn count(number: usize) -> usize {
    2 + number % 3
}

/// The place of the right one: the later ones are the rarer.
fn right(number: usize) -> usize {
    (number / 3) % count(number)
}

/// A question whose right choice says `fine`.
fn question(number: usize) -> Value {
    let choice = |place| {
        let verdict = if place == right(number) { "fine" } else { "poor" };
        format!("{verdict} {}", ["film", "music", "friends", "the"][place])
    };
    let choices: Vec<String> = (0..count(number)).map(choice).collect();
    json!({
        "id": format!("q{number}"), "context": review(number), "question": "was",
        "choices": choices, "label": right(number),
    })
}

fn write(folder: &Path, split: Split, numbers: std::ops::Range<usize>) {
    let lines: Vec<String> = numbers.map(|number| question(number).to_string()).collect();
    fs::write(folder.join(format!("{}.jsonl", split.name())), lines.join("\n")).unwrap();
}

fn of_questions() -> Fixture {
    let fixture = Fixture::new("choice", "");
    fixture.write_vocabulary();
    write(&fixture.data(), Split::Train, 0..60);
    write(&fixture.data(), Split::Validation, 60..80);
    write(&fixture.data(), Split::Test, 80..101);
    fixture
}

#[test]
fn questions_are_trained_on_and_their_predictions_are_what_was_measured() {
    let fixture = of_questions();
    let settings = ["trainer.max_steps=60", "optimizer.learning_rate=0.01"];
    let outcome = fixture.train("run", &settings).unwrap();
    let verdict = outcome.summary.best_model.as_ref().unwrap();
    assert_eq!(verdict.best_by, "accuracy");
    let test = &verdict.evaluations["test"];
    assert_eq!(test.metrics.keys().collect::<Vec<_>>(), ["accuracy"]);
    assert!(test.metrics["accuracy"] > 0.8, "{test:?}");

    // Place 0 is the most frequent in training; chance is the mean over questions of two, three and four choices.
    let constant = &verdict.constant_predictor["test"];
    let first = (80..101).filter(|number| right(*number) == 0).count();
    assert_eq!(constant["accuracy"], first as f64 / 21.0);
    assert!((constant["chance"] - 7.0 * (1.0 / 2.0 + 1.0 / 3.0 + 1.0 / 4.0) / 21.0).abs() < 1e-12);

    let lines = fs::read_to_string(fixture.path("run/predictions/test.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut correct = 0;
    for (line, number) in lines.iter().zip(80..) {
        let choice = line["choice"].as_u64().unwrap() as usize;
        let scores = line["scores"].as_array().unwrap();
        assert_eq!((&line["id"], scores.len()), (&json!(format!("q{number}")), count(number)));
        let said = line["label"].as_str().unwrap();
        assert!(said.starts_with("was ") && line["score"] == scores[choice], "{line}");
        correct += usize::from(choice == right(number));
    }
    assert_eq!((lines.len(), test.metrics["accuracy"]), (21, correct as f64 / 21.0));

    let model = load_model(&model_folder(&fixture.path("run")).unwrap(), &Device::flex()).unwrap();
    assert_eq!(model.architecture(), Architecture::MultipleChoice);
}

/// The questions to test on, with an empty place before their choices: the same rows, one place on.
#[test]
fn an_empty_place_is_no_choice_and_the_others_keep_theirs() {
    let fixture = of_questions();
    let moved = |number| {
        let mut question = question(number);
        question["choices"].as_array_mut().unwrap().insert(0, Value::Null);
        question["label"] = json!(right(number) + 1);
        question
    };
    let predicted = |run: &str| {
        let outcome = fixture.train(run, &["trainer.max_steps=8"]).unwrap();
        let verdict = outcome.summary.best_model.unwrap();
        let lines = fs::read_to_string(fixture.path(run).join("predictions/test.jsonl")).unwrap();
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        (verdict, lines.collect::<Vec<_>>())
    };
    let (as_they_are, lines) = predicted("run");
    let questions: Vec<String> = (80..101).map(|number| moved(number).to_string()).collect();
    fs::write(fixture.data().join("test.jsonl"), questions.join("\n")).unwrap();
    let (with_gaps, moved_lines) = predicted("moved");
    for ((line, moved_line), number) in lines.iter().zip(&moved_lines).zip(80..) {
        let choice = moved_line["choice"].as_u64().unwrap();
        assert_eq!(Some(choice - 1), line["choice"].as_u64(), "{moved_line}");
        assert_eq!((&moved_line["label"], &moved_line["score"]), (&line["label"], &line["score"]));
        let text = moved(number)["choices"][choice as usize].as_str().unwrap().to_owned();
        assert_eq!(moved_line["label"], format!("was {text}"));
        let scores = moved_line["scores"].as_array().unwrap();
        assert_eq!((scores.len(), &scores[0]), (count(number) + 1, &Value::Null));
        assert_eq!(&scores[1..], line["scores"].as_array().unwrap());
    }
    let accuracy = |verdict: &BestModelResults| verdict.evaluations["test"].metrics["accuracy"];
    assert_eq!(accuracy(&with_gaps), accuracy(&as_they_are));
    let chance = |verdict: &BestModelResults| verdict.constant_predictor["test"]["chance"];
    assert_eq!(chance(&with_gaps), chance(&as_they_are));
}

#[test]
fn a_dry_run_counts_the_rows_of_a_question() {
    let fixture = of_questions();
    let scratch = tempfile::tempdir().unwrap();
    let sizes =
        DryRun::perform(&fixture.request("run", &[], false), scratch.path(), &|_| {}).unwrap();
    // Six questions of four choices at most, of 32 tokens.
    assert_eq!(sizes.tokens_per_step, 6 * 4 * 32);
    // The activations of four questions, a micro-batch, are those of sixteen texts.
    let tasks = crate::known_tasks();
    let texts = ["trainer.micro_batch_size=16", "trainer.batch_size=24"].map(str::to_owned);
    let texts = Experiment::load(&fixture.path("task.toml"), &texts, &tasks).unwrap().experiment;
    assert_eq!(sizes.estimated_bytes, estimate_bytes(&texts, sizes.parameters.into(), 1));
}

#[test]
fn a_unit_is_the_rows_of_a_question() {
    let fixture = of_questions();
    let batches = fixture.batches(&["data.shuffle=false"]).unwrap();
    assert_eq!((batches.training_examples(), batches.evaluation_examples(Split::Test)), (60, 21));
    let steps = batches.training_step(0, 6, 6).unwrap();
    let [batch] = steps.as_slice() else { panic!("one micro-batch") };
    let TargetsData::Choice { labels, num_choices } = &batch.targets else { panic!("choices") };
    let mut found = num_choices.clone();
    found.sort_unstable();
    assert_eq!((found, labels.len()), (vec![2, 2, 3, 3, 4, 4], 6));
    assert_eq!((batch.lengths.len(), batches.rows_per_example()), (18, 4));
    // Both texts of each row: the context is of type 0, what is asked and the choice of type 1.
    let types = batch.token_type_ids.as_ref().unwrap();
    for (row, length) in types.chunks(batch.seq_len).zip(&batch.lengths) {
        let of_second = row.iter().filter(|kind| **kind == 1).count();
        assert_eq!(of_second, 4, "was, two words and [SEP]");
        assert!(row[length - 4..*length].iter().all(|kind| *kind == 1));
    }
}

/// Evaluated one question at a time, and all at once, a model says the same.
#[test]
fn how_many_questions_go_together_changes_nothing() {
    let fixture = of_questions();
    let metrics = |run: &str, size: &str| {
        let settings = [
            "trainer.max_steps=4",
            "model.hidden_dropout_prob=0",
            "model.attention_probs_dropout_prob=0",
            &format!("trainer.micro_batch_size={size}"),
        ];
        fixture.train(run, &settings).unwrap();
        fixture.metrics(run)
    };
    let ((one, one_by_one), (all, together)) = (metrics("one", "1"), metrics("all", "6"));
    let close = |left: f64, right: f64| (left / right - 1.0).abs() < 1e-4;
    assert!(one.iter().zip(&all).all(|(one, all)| close(one.loss, all.loss)), "{one:?} {all:?}");
    for (left, right) in one_by_one.iter().zip(&together) {
        assert!(close(left.loss, right.loss), "{left:?} {right:?}");
    }
}
