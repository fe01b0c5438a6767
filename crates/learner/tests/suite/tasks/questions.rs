//! Question answering: windows, scores, the threshold of "no answer", and the files of answers.

use std::collections::BTreeMap;
use std::fs;

use nystromformer_learner::batch::BatchSource;
use nystromformer_learner::trainer::BestModelResults;
use nystromformer_tasks::Split;
use nystromformer_tasks::metrics::{QuestionScore, SquadVersion, squad_scores};
use serde_json::{Value, json};

use super::fixture::{Fixture, review};

/// Questions about reviews, a paragraph each: what was said of the film? With `unanswerable`, in every fourth nothing was.
fn squad(numbers: std::ops::Range<usize>, unanswerable: bool, words_before: usize) -> Value {
    let paragraph = |number: usize| {
        let before = "the music was slow and ".repeat(words_before.div_ceil(5));
        let mut context = format!("{before}{}", review(number));
        let said = if context.contains("poor") { "poor" } else { "fine" };
        let is_unanswerable = unanswerable && number.is_multiple_of(4);
        if is_unanswerable {
            context = context.replace(said, "long");
        }
        let answers = match context.find(said) {
            Some(start) => json!([{"text": said, "answer_start": start}]),
            None => json!([]),
        };
        let question =
            json!({"id": format!("q{number}"), "question": "was the film", "answers": answers});
        json!({"context": context, "qas": [question]})
    };
    let paragraphs: Vec<Value> = numbers.map(paragraph).collect();
    json!({"version": "v", "data": [{"title": "reviews", "paragraphs": paragraphs}]})
}

/// With files of 60 questions to train on, 20 to validate with and 20 to test on.
fn fixture(further: &str, unanswerable: bool, words_before: usize) -> Fixture {
    let fixture = Fixture::new("qa", further);
    fixture.write_vocabulary();
    for (name, numbers) in [("train-v1", 0..60), ("dev-v1", 60..80), ("test", 80..100)] {
        let content = squad(numbers, unanswerable, words_before).to_string();
        fs::write(fixture.data().join(format!("{name}.json")), content).unwrap();
    }
    fixture
}

fn read(fixture: &Fixture, name: &str) -> Value {
    let path = fixture.path("run").join("predictions").join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The scores of the test split, by the answers in its file.
fn scores_of_file(fixture: &Fixture, version: SquadVersion) -> BTreeMap<String, f64> {
    let answers = read(fixture, "test.predictions.json");
    let test: Value =
        serde_json::from_slice(&fs::read(fixture.data().join("test.json")).unwrap()).unwrap();
    let paragraphs = test["data"][0]["paragraphs"].as_array().unwrap();
    assert_eq!(answers.as_object().unwrap().len(), paragraphs.len());
    let scores: Vec<QuestionScore> = paragraphs
        .iter()
        .map(|paragraph| {
            let question = &paragraph["qas"][0];
            let answer = answers[question["id"].as_str().unwrap()].as_str().unwrap();
            let right = question["answers"].as_array().unwrap().iter();
            let right = right.map(|answer| answer["text"].as_str().unwrap());
            QuestionScore::new(answer, right, 0.0, version)
        })
        .collect();
    squad_scores(&scores, version, None)
}

fn verdict(fixture: &Fixture, overrides: &[&str]) -> BestModelResults {
    let settings = [&["trainer.max_steps=60", "optimizer.learning_rate=0.01"], overrides].concat();
    fixture.train("run", &settings).unwrap().summary.best_model.unwrap()
}

#[test]
fn a_model_learns_to_answer_and_its_answers_are_in_a_file() {
    let fixture = fixture("", false, 0);
    let verdict = verdict(&fixture, &[]);
    assert_eq!(verdict.best_by, "f1");
    assert!(verdict.thresholds.is_empty());
    let test = &verdict.evaluations["test"].metrics;
    assert_eq!(test.keys().collect::<Vec<_>>(), ["exact_match", "f1"]);
    assert!(test["f1"] > 90.0, "{test:?}");
    assert_eq!(&scores_of_file(&fixture, SquadVersion::V1), test);
    let lists = read(&fixture, "test.nbest_predictions.json");
    let list = lists["q80"].as_array().unwrap();
    assert_eq!(list[0]["text"], read(&fixture, "test.predictions.json")["q80"]);
    let sum: f64 = list.iter().map(|found| found["probability"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-9);
    assert!(!fixture.path("run").join("predictions/test.null_odds.json").exists());
}

#[test]
fn the_threshold_of_no_answer_is_chosen_on_the_validation_split() {
    let fixture = fixture("", true, 0);
    let verdict = verdict(&fixture, &[]);
    let threshold = verdict.thresholds["null_score_diff_threshold"];
    let test = &verdict.evaluations["test"].metrics;
    assert!(test["f1"] > 80.0 && test["NoAns_f1"] > 50.0, "{test:?}");
    let of_file = scores_of_file(&fixture, SquadVersion::V2);
    for name in ["exact_match", "f1", "HasAns_f1", "NoAns_exact"] {
        assert_eq!(of_file[name], test[name], "{name}");
    }
    let validation = &verdict.evaluations["validation"].metrics;
    assert!((validation["f1"] - validation["best_f1"]).abs() < 1e-9, "{validation:?}");
    let odds = read(&fixture, "test.null_odds.json");
    for (id, answer) in read(&fixture, "test.predictions.json").as_object().unwrap() {
        assert_eq!(odds[id].as_f64().unwrap() > threshold, answer == "", "{id}");
    }
    // One in four has no answer.
    assert_eq!(verdict.constant_predictor["test"]["f1"], 25.0);
}

#[test]
fn a_set_threshold_stays() {
    let fixture = fixture("null_score_diff_threshold = -1000.0", true, 0);
    let verdict = verdict(&fixture, &["trainer.max_steps=2"]);
    assert_eq!(verdict.thresholds["null_score_diff_threshold"], -1000.0);
    assert_eq!(verdict.evaluations["test"].metrics["NoAns_f1"], 100.0);
    assert_eq!(verdict.evaluations["test"].metrics["f1"], 25.0);
}

#[test]
fn long_contexts_are_read_in_windows() {
    let fixture = fixture("doc_stride = 6", false, 25);
    let batches = fixture.batches(&["data.seq_len=20"]).unwrap();
    // 25 words and those of the review, in windows that hold 14 of them and overlap by 6.
    let windows = batches.evaluation_examples(Split::Test);
    assert!(windows >= 3 * 20, "{windows}");
    let batch = batches.evaluation_batch(Split::Test, 0, windows).unwrap();
    assert!(batch.lengths.iter().all(|length| *length <= 20));
    let verdict = verdict(&fixture, &["data.seq_len=20"]);
    let test = &verdict.evaluations["test"].metrics;
    assert!(test["f1"] > 80.0, "{test:?}");
    assert_eq!(&scores_of_file(&fixture, SquadVersion::V1), test);
}

#[test]
fn a_context_is_held_out_with_all_of_its_questions() {
    let fixture = Fixture::new("qa", "validation_fraction = 0.3");
    fixture.write_vocabulary();
    let row = |number: usize| {
        let context = review(number / 3);
        let start = context.find("was").unwrap_or(0);
        let text = context[start..].split(' ').next().unwrap().to_owned();
        json!({"question": "the film", "context": context, "answer": text, "answer_start": start})
            .to_string()
    };
    let rows: Vec<String> = (0..60).map(row).collect();
    fs::write(fixture.data().join("train.jsonl"), rows.join("\n")).unwrap();
    let batches = fixture.batches(&[]).unwrap();
    let mut held_out = batches.evaluation_order(Split::Validation);
    held_out.sort_unstable();
    assert_eq!(held_out.len(), 18);
    for context in held_out.chunks(3) {
        assert!(context[0].is_multiple_of(3) && context[2] == context[0] + 2, "{held_out:?}");
    }
}

/// A fold is tested on texts that the others are not about: of fewer texts than folds there are none left for some.
#[test]
fn fewer_contexts_than_folds_are_refused() {
    let fixture = Fixture::new("qa", "validation_fraction = 0.3");
    fixture.write_vocabulary();
    let write = |contexts: usize| {
        let row = |number: usize| {
            let context = review(number % contexts);
            json!({"question": "the film", "context": context, "answer": context}).to_string()
        };
        let rows: Vec<String> = (0..30).map(row).collect();
        fs::write(fixture.data().join("train.jsonl"), rows.join("\n")).unwrap();
        fixture.batches(&["task.folds=3", "task.fold=1"])
    };
    for (contexts, cure) in [(1, "`task.folds = 0`"), (2, "`task.folds` to at most `2`")] {
        let error = write(contexts).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        let (message, found) = (error.to_string(), format!("`{contexts}` texts"));
        for part in ["`task.folds` is `3`", &found, cure] {
            assert!(message.contains(part), "{part}: {message}");
        }
    }
    assert_eq!(write(3).unwrap().evaluation_examples(Split::Test), 10);
}

#[test]
fn long_questions_are_cut_and_a_large_stride_is_made_to_fit() {
    let fixture = Fixture::new("qa", "version_2_with_negative = false\nvalidation_fraction = 0.3");
    fixture.write_vocabulary();
    let rows: Vec<String> = (0..6)
        .map(|number| {
            let (question, context) = ("the film was long ".repeat(20), review(number).repeat(3));
            json!({"question": question, "context": context, "answer": format!("n{number}"), "answer_start": null}).to_string()
        })
        .collect();
    fs::write(fixture.data().join("train.jsonl"), rows.join("\n")).unwrap();
    // The stride of 128 is more than any window holds.
    let batches = fixture.batches(&["data.seq_len=24"]).unwrap();
    let windows = batches.evaluation_examples(Split::Validation);
    let batch = batches.evaluation_batch(Split::Validation, 0, windows).unwrap();
    assert!(batch.lengths.iter().all(|length| *length <= 24));
}

/// Answers that stand nowhere in their texts count by their words alone: there is no loss, and no advice about masked tokens.
#[test]
fn answers_that_stand_nowhere_are_measured_without_a_loss() {
    let fixture = fixture("", false, 0);
    let mut dev = squad(60..80, false, 0);
    for paragraph in dev["data"][0]["paragraphs"].as_array_mut().unwrap() {
        paragraph["qas"][0]["answers"] = json!([{"text": "quite poor", "answer_start": 0}]);
    }
    fs::write(fixture.data().join("dev-v1.json"), dev.to_string()).unwrap();
    let summary = fixture.train("run", &[]).unwrap().summary;
    let best = summary.best_model.unwrap();
    assert_eq!(best.best_by, "f1");
    let validation = &best.evaluations["validation"];
    assert!(validation.loss.is_nan(), "{validation:?}");
    assert_eq!(validation.metrics["exact_match"], 0.0);
    assert!(validation.metrics["f1"].is_finite());
    assert!(best.evaluations["test"].loss.is_finite());
    let (_, evaluations) = fixture.metrics("run");
    assert!(evaluations.iter().all(|evaluation| evaluation.loss.is_nan()));
}

/// A question none of whose answers stands in its context has no target. It trains nothing, and counts where scores are of it.
#[test]
fn questions_without_a_target_are_held_out_and_not_trained_on() {
    let fixture = Fixture::new("qa", "version_2_with_negative = false");
    fixture.write_vocabulary();
    let row = |number: usize| {
        let answer = if number.is_multiple_of(3) { "nowhere" } else { "film" };
        json!({"question": "the", "context": format!("the film {}", review(number)), "answer": answer}).to_string()
    };
    let rows: Vec<String> = (0..60).map(row).collect();
    fs::write(fixture.data().join("train.jsonl"), rows.join("\n")).unwrap();
    let batches =
        fixture.batches(&["task.folds=3", "task.fold=1", "task.validation_fraction=0.25"]).unwrap();
    let measured: Vec<usize> = [Split::Validation, Split::Test]
        .into_iter()
        .flat_map(|split| batches.evaluation_order(split))
        .collect();
    assert_eq!(measured.len(), 20 + 10);
    let lost = measured.iter().filter(|place| place.is_multiple_of(3)).count();
    assert!(lost > 0, "{measured:?}");
    assert_eq!(batches.training_examples(), 60 - 30 - (20 - lost));
}
