//! What a run says of its model, and which checkpoint that is.

use std::fs;

use burn::tensor::Device;
use nystromformer::{Architecture, PreTrainedModel};
use nystromformer_interop::load_model;
use nystromformer_learner::metrics_log::EvaluationRecord;
use nystromformer_learner::run_dir::RunSummary;
use nystromformer_learner::trainer::{BestModelResults, EndReason, model_folder};
use nystromformer_lra::listops::{self, GeneratorConfig};
use nystromformer_lra::{SplitSizes, retrieval};
use nystromformer_tasks::Split;

use super::fixture::{Fixture, checkpoint, review};

/// Asserts that what the verdict says of a classifier's answers to a split fits together, and is about so many examples
/// of each class.
fn assert_consistent(verdict: &BestModelResults, split: &str, counts: &[u64]) {
    let report = &verdict.classes[split];
    let matrix = report.confusion_matrix.as_ref().unwrap().counts();
    let supports: Vec<u64> = matrix.iter().map(|row| row.iter().sum()).collect();
    assert_eq!(supports, counts, "{split}");
    let right: u64 = matrix.iter().enumerate().map(|(class, row)| row[class]).sum();
    let accuracy = right as f64 / counts.iter().sum::<u64>() as f64;
    assert_eq!(verdict.evaluations[split].metric("accuracy"), Some(accuracy), "{split}");
    for (class, scores) in report.per_class.iter().enumerate() {
        assert_eq!(scores.support, counts[class]);
        let recall = if counts[class] == 0 {
            0.0
        } else {
            matrix[class][class] as f64 / counts[class] as f64
        };
        assert_eq!(scores.recall, recall, "{split}");
    }
    assert!(verdict.evaluations[split].loss.is_finite());
}

#[test]
fn a_table_is_trained_on_and_the_summary_says_how_well() {
    let fixture = Fixture::of_reviews();
    let outcome =
        fixture.train("run", &["trainer.max_steps=40", "optimizer.learning_rate=0.01"]).unwrap();
    assert_eq!(outcome.ended_by, EndReason::Finished);
    let verdict = outcome.summary.best_model.as_ref().unwrap();
    // Of 60..80 seven are bad, of 80..101 seven are called good.
    assert_consistent(verdict, "validation", &[7, 13]);
    assert_consistent(verdict, "test", &[14, 7]);
    assert_eq!(verdict.classes["test"].labels, ["bad", "good"]);
    assert_eq!((verdict.evaluations.len(), verdict.classes.len()), (2, 2));
    // Of the training reviews two thirds are good.
    let constant = |split: &str| verdict.constant_predictor[split]["accuracy"];
    assert_eq!((constant("validation"), constant("test")), (13.0 / 20.0, 7.0 / 21.0));
    // Which are told from the others by one word.
    let accuracy = verdict.evaluations["validation"].metric("accuracy").unwrap();
    assert!(accuracy > 0.9, "{accuracy}");
    assert!(verdict.evaluations["test"].metric("accuracy").unwrap() < 0.1);

    let run = fixture.path("run");
    assert_eq!(RunSummary::read(&run).unwrap().as_ref(), Some(&outcome.summary));
    let model = load_model(&model_folder(&run).unwrap(), &Device::flex()).unwrap();
    assert_eq!(model.architecture(), Architecture::SequenceClassification);
    assert_eq!(model.config().classifier.id2label.names(), ["bad", "good"]);
    assert!(model_folder(&run).unwrap().join("tokenizer.json").is_file());
}

/// How many expressions of a file have each value, which stands in the last column.
fn count_values(text: &str) -> Vec<u64> {
    let mut counts = vec![0; 10];
    for line in text.lines().skip(1) {
        let value: usize = line.rsplit('\t').next().unwrap().parse().unwrap();
        counts[value] += 1;
    }
    counts
}

/// The share of the validation examples that has the most frequent class of the training examples.
fn constant_accuracy(train: &[u64], validation: &[u64]) -> f64 {
    let most = (0..train.len()).rev().max_by_key(|class| train[*class]).unwrap();
    validation[most] as f64 / validation.iter().sum::<u64>() as f64
}

#[test]
fn expressions_are_trained_on() {
    let fixture = Fixture::new("listops", "");
    let config =
        GeneratorConfig { above_length: 5, below_length: 30, ..GeneratorConfig::default() };
    let sizes = SplitSizes { train: 50, validation: 15, test: 16 };
    listops::generate_files(&fixture.data(), config, sizes, 3).unwrap();
    let outcome = fixture.train("run", &["model.norm_first=true"]).unwrap();
    let verdict = outcome.summary.best_model.unwrap();
    let [train, validation, test] = Split::USUAL.map(|part| {
        let text =
            fs::read_to_string(fixture.data().join(listops::file_name(part).unwrap())).unwrap();
        count_values(&text)
    });
    assert_eq!(train.iter().sum::<u64>(), 50);
    assert_consistent(&verdict, "validation", &validation);
    assert_consistent(&verdict, "test", &test);
    for (split, counts) in [("validation", &validation), ("test", &test)] {
        let expected = constant_accuracy(&train, counts);
        assert_eq!(verdict.constant_predictor[split]["accuracy"], expected, "{split}");
    }
    let model = load_model(&model_folder(&fixture.path("run")).unwrap(), &Device::flex()).unwrap();
    let config = model.config();
    assert_eq!(
        (config.embeddings.vocab_size, config.embeddings.pad_token_id, config.num_labels()),
        (16, 0, 10)
    );
    assert!(!model_folder(&fixture.path("run")).unwrap().join("tokenizer.json").exists());
}

#[test]
fn pairs_of_documents_are_trained_on_by_a_dual_encoder() {
    let fixture = Fixture::new("retrieval", "");
    let sizes = SplitSizes { train: 20, validation: 9, test: 7 };
    retrieval::generate_files(&fixture.data(), sizes, 3).unwrap();
    let outcome = fixture.train("run", &["data.seq_len=60"]).unwrap();
    let verdict = outcome.summary.best_model.unwrap();
    // Every second pair is related, the first one on.
    assert_consistent(&verdict, "validation", &[4, 5]);
    assert_consistent(&verdict, "test", &[3, 4]);
    // Both classes are as frequent in training; the first is taken.
    assert_eq!(verdict.constant_predictor["validation"]["accuracy"], 4.0 / 9.0);
    assert_eq!(verdict.classes["test"].labels, ["unrelated", "related"]);
    let model = load_model(&model_folder(&fixture.path("run")).unwrap(), &Device::flex()).unwrap();
    assert_eq!(model.architecture(), Architecture::DualEncoder);
    assert_eq!(model.config().embeddings.vocab_size, 257);
    // A step of six pairs reads twelve documents, which are longer than what is read of them.
    assert_eq!(outcome.summary.tokens, 6 * 12 * 60);
}

#[test]
fn numbers_are_trained_on_and_measured_by_correlation() {
    let fixture =
        Fixture::new("labelled", "regression = true\nsentence2 = \"other\"\nlabel = \"score\"");
    fixture.write_vocabulary();
    // As in STS-B: from 0 to 5 by how many words the two share.
    let row = |number: usize| {
        let same = number % 6;
        let words = |other: usize| -> String {
            let words =
                (0..5).map(|place| if place < same { "fine" } else { ["poor", "slow"][other] });
            words.collect::<Vec<_>>().join(" ")
        };
        format!("{},n{number} {},{}", words(0), words(1), same as f32)
    };
    fixture.write_csv(Split::Train, "sentence,other,score", (0..60).map(row));
    fixture.write_csv(Split::Validation, "sentence,other,score", (60..90).map(row));
    // A model without types of tokens reads pairs too.
    fixture.train("untyped", &["trainer.max_steps=1", "model.type_vocab_size=1"]).unwrap();
    let outcome =
        fixture.train("run", &["trainer.max_steps=60", "optimizer.learning_rate=0.01"]).unwrap();
    let verdict = outcome.summary.best_model.as_ref().unwrap();
    assert_eq!(verdict.best_by, "pearson");
    let metrics = &verdict.evaluations["validation"].metrics;
    assert_eq!(metrics.keys().collect::<Vec<_>>(), ["pearson", "spearman"]);
    assert!(metrics["pearson"] > 0.5 && metrics["spearman"] > 0.5, "{metrics:?}");
    assert!(verdict.classes.is_empty() && !verdict.evaluations.contains_key("test"));
    // A constant has no correlation with anything, and the summary is read back all the same.
    assert!(verdict.constant_predictor["validation"].is_empty());
    assert_eq!(RunSummary::read(&fixture.path("run")).unwrap().as_ref(), Some(&outcome.summary));
    let model = load_model(&model_folder(&fixture.path("run")).unwrap(), &Device::flex()).unwrap();
    assert_eq!(model.config().num_labels(), 1);
}

/// Accuracy comes to its height before the loss comes to its depth: where all are taken for the most frequent class.
#[test]
fn the_best_checkpoint_is_the_best_by_metric_and_not_by_loss() {
    let fixture = Fixture::of_reviews();
    let overrides = ["trainer.eval_every=1", "trainer.keep_last=1", "trainer.max_steps=8"];
    let first_best = |evaluations: &[EvaluationRecord],
                      value: &dyn Fn(&EvaluationRecord) -> f64| {
        let best = evaluations.iter().map(value).fold(f64::NEG_INFINITY, f64::max);
        evaluations.iter().find(|record| value(record) == best).unwrap().step
    };
    let by_metric = fixture.train("metric", &overrides).unwrap().summary;
    let (_, evaluations) = fixture.metrics("metric");
    assert_eq!(evaluations.len(), 8);
    let accurate = first_best(&evaluations, &|record| record.metric("accuracy").unwrap());
    let certain = first_best(&evaluations, &|record| -record.loss);
    assert_ne!(accurate, certain, "{evaluations:?}");
    let verdict = by_metric.best_model.unwrap();
    assert_eq!((verdict.step, by_metric.best_evaluation.unwrap().step), (accurate, accurate));
    assert_eq!(
        (verdict.best_by.as_str(), verdict.evaluations["validation"].step),
        ("accuracy", accurate)
    );
    assert!(verdict.chosen_by.contains("highest accuracy"), "{}", verdict.chosen_by);
    let run = fixture.path("metric");
    assert_eq!(model_folder(&run).unwrap(), checkpoint(&run, accurate));
    // What it was chosen for is what is found again.
    let found = &verdict.evaluations["validation"];
    let chosen = evaluations.iter().find(|record| record.step == accurate).unwrap();
    assert_eq!(found, chosen);

    let mut by_loss = overrides.to_vec();
    by_loss.push("trainer.metric_for_best_model=loss");
    let by_loss = fixture.train("loss", &by_loss).unwrap().summary;
    assert_eq!(fixture.metrics("loss").1, evaluations);
    assert_eq!(by_loss.best_model.unwrap().step, certain);
}

/// The classes of reviews are those of the file, whatever the texts say.
#[test]
fn labels_without_examples_in_a_split_have_no_support() {
    let fixture = Fixture::of_reviews();
    fixture.write_csv(
        Split::Test,
        "sentence,label",
        (0..5).map(|number| format!("{},good", review(number))),
    );
    let verdict = fixture.train("run", &[]).unwrap().summary.best_model.unwrap();
    assert_consistent(&verdict, "test", &[0, 5]);
    assert_eq!(verdict.constant_predictor["test"]["accuracy"], 1.0);
}
