//! Labels of any number, several numbers, metrics by name, folds, and class folders as people have them.

use std::collections::BTreeSet;
use std::fs;

use burn::tensor::{Device, Int, Tensor};
use nystromformer::heads::{Model, TargetsData};
use nystromformer::{NystromformerInput, PreTrainedModel, ProblemType};
use nystromformer_interop::{ExportOptions, export_model, load_model, read_config};
use nystromformer_learner::batch::{Answers, BatchSource};
use nystromformer_learner::progress::Silent;
use nystromformer_learner::report::SummaryFile;
use nystromformer_learner::stop::StopFlag;
use nystromformer_learner::trainer::{Series, Session, model_folder};
use nystromformer_tasks::Split;
use nystromformer_tasks::metrics::Thresholds;
use serde_json::{Value, json};

use super::fixture::{Fixture, is_bad, review};

const LONGER: [&str; 2] = ["trainer.max_steps=100", "optimizer.learning_rate=0.01"];

/// What applies to a review: that it is bad, and that it is of a high number; both, or neither.
fn labels_of(number: usize) -> Vec<&'static str> {
    let high = (number % 4 == 1).then_some("high");
    is_bad(number).then_some("bad").into_iter().chain(high).collect()
}

/// The text of a review that says whether its number is high.
fn text_of(number: usize) -> String {
    // Two names that no review has.
    format!("{} {}", if number % 4 == 1 { "n105" } else { "n106" }, review(number))
}

fn json_lines(fixture: &Fixture, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(fixture.path(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_label_sets() -> Fixture {
    let fixture = Fixture::new("labelled", "id = \"key\"");
    fixture.write_vocabulary();
    for (part, numbers) in [("train", 0..60_usize), ("validation", 60..80), ("test", 80..101)] {
        let row = |number: usize| {
            let row = json!({
                "key": format!("r{number}"),
                "sentence": text_of(number),
                "label": labels_of(number),
            });
            row.to_string()
        };
        let rows: Vec<String> = numbers.map(row).collect();
        fs::write(fixture.data().join(format!("{part}.jsonl")), rows.join("\n")).unwrap();
    }
    fixture
}

#[test]
fn any_number_of_labels_is_learnt_with_thresholds_that_validation_chose() {
    let fixture = of_label_sets();
    let outcome = fixture.train("run", &LONGER).unwrap();
    let config = read_config(&model_folder(&fixture.path("run")).unwrap()).unwrap();
    assert_eq!(config.classifier.id2label.names(), ["bad", "high"]);
    assert_eq!(config.classifier.problem_type, Some(ProblemType::MultiLabelClassification));
    let results = outcome.summary.best_model.unwrap();
    assert_eq!(results.best_by, "f1_micro");
    let thresholds = &results.thresholds;
    assert_eq!(thresholds.keys().collect::<Vec<_>>(), ["bad", "high"]);
    let test = &results.evaluations["test"];
    for name in ["f1_micro", "f1_macro", "f1_samples", "subset_accuracy", "hamming_loss"] {
        assert!(test.metric(name).is_some(), "{name}");
    }
    assert!(test.metric("f1_micro").unwrap() > 0.8, "{test:?}");
    assert!(results.constant_predictor["test"]["f1_micro"] < 0.5);
    // The file of predictions says the same, row by row.
    let predicted = json_lines(&fixture, "run/predictions/test.jsonl");
    assert_eq!(predicted.len(), 21);
    let mut exact = 0;
    for (line, number) in predicted.iter().zip(80..) {
        assert_eq!(line["id"], format!("r{number}"));
        let decided: Vec<&str> = ["bad", "high"]
            .into_iter()
            .filter(|name| line["scores"][name].as_f64().unwrap() >= thresholds[*name])
            .collect();
        assert_eq!(line["labels"], json!(decided));
        exact += usize::from(decided == labels_of(number));
    }
    let share = exact as f64 / 21.0;
    assert!((test.metric("subset_accuracy").unwrap() - share).abs() < 1e-12);
}

#[test]
fn the_same_labels_stand_in_a_list_in_a_text_or_in_columns() {
    let lists = of_label_sets();
    let targets = |fixture: &Fixture, overrides: &[&str]| {
        let batches = fixture.batches(overrides).unwrap();
        let mut step = batches.training_step(0, 12, 12).unwrap();
        let TargetsData::Values(values) = step.remove(0).targets else { panic!("values") };
        values
    };
    let expected = targets(&lists, &[]);
    assert!(expected.contains(&1.0) && expected.contains(&0.0) && expected.len() == 24);
    let table = |further: &str, header: &str, label: &dyn Fn(usize) -> String| {
        let fixture = Fixture::new("labelled", further);
        fixture.write_vocabulary();
        for (part, numbers) in [(Split::Train, 0..60), (Split::Validation, 60..80)] {
            let row = |number| format!("{},{}", text_of(number), label(number));
            fixture.write_csv(part, header, numbers.map(row));
        }
        fixture
    };
    let text =
        table("label_separator = \";\"", "sentence,label", &|number| labels_of(number).join(";"));
    assert_eq!(targets(&text, &[]), expected);
    let columns = table("label = [\"bad\", \"high\"]", "sentence,bad,high", &|number| {
        let applies = |name| u8::from(labels_of(number).contains(&name));
        format!("{},{}", applies("bad"), applies("high"))
    });
    assert_eq!(targets(&columns, &[]), expected);
    let message = columns.batches(&["task.labels=[\"a\"]"]).unwrap_err().to_string();
    assert!(message.contains("name each of the `2` columns"), "{message}");
    // One threshold for all is not chosen.
    columns.train("run", &["task.threshold=0.25"]).unwrap();
    let summary = SummaryFile::read(&columns.path("run")).unwrap();
    let thresholds = &summary.runs()[0].best_model.as_ref().unwrap().thresholds;
    assert!(thresholds.values().all(|threshold| *threshold == 0.25), "{thresholds:?}");
}

/// Two numbers of different size: how bad a review is, in thousands, and how high its number, around a million.
fn numbers_of(number: usize) -> [f32; 2] {
    [
        if is_bad(number) { -3000.0 } else { 5000.0 },
        if number % 4 == 1 { 1_000_004.0 } else { 1_000_000.0 },
    ]
}

#[test]
fn several_numbers_are_learnt_standardized_and_answered_in_their_own_units() {
    let further = "regression = true\nlabel = [\"tone\", \"rank\"]\nstandardize_labels = true\nmetrics = [\"mae\", \"r2\"]";
    let fixture = Fixture::new("labelled", further);
    fixture.write_vocabulary();
    for (part, numbers) in
        [(Split::Train, 0..60), (Split::Validation, 60..80), (Split::Test, 80..101)]
    {
        let row = |number| {
            let [tone, rank] = numbers_of(number);
            format!("{},{tone},{rank}", text_of(number))
        };
        fixture.write_csv(part, "sentence,tone,rank", numbers.map(row));
    }
    let outcome = fixture.train("run", &LONGER).unwrap();
    let folder = model_folder(&fixture.path("run")).unwrap();
    let config = read_config(&folder).unwrap();
    assert_eq!(config.classifier.problem_type, Some(ProblemType::Regression));
    let [mean, std] =
        [config.classifier.label_mean, config.classifier.label_std].map(Option::unwrap);
    // 20 of 60 are bad; 15 of 60 are high.
    assert!(
        (mean[0] - 7000.0 / 3.0).abs() < 0.1 && (mean[1] - 1_000_001.0).abs() < 0.1,
        "{mean:?}"
    );
    assert!((std[0] - 8000.0 * 2.0_f32.sqrt() / 3.0).abs() < 0.1, "{std:?}");
    let results = outcome.summary.best_model.unwrap();
    let test = &results.evaluations["test"];
    let constant = &results.constant_predictor["test"];
    for name in ["mae", "mae/tone", "mae/rank", "r2", "r2/tone", "r2/rank"] {
        assert!(test.metric(name).is_some(), "{name}: {test:?}");
    }
    for (column, part) in [("mae/tone", 0.5), ("mae/rank", 0.9)] {
        let found = test.metric(column).unwrap();
        assert!(found < constant[column] * part, "{column} {found} {constant:?}");
    }
    let predicted = json_lines(&fixture, "run/predictions/test.jsonl");
    let error = |name: &str, column: usize| {
        let lines = predicted.iter().zip(80..);
        let sum: f64 = lines
            .map(|(line, number)| {
                let found = line["labels"][name].as_f64().unwrap();
                (found - f64::from(numbers_of(number)[column])).abs()
            })
            .sum();
        sum / 21.0
    };
    for (column, name) in ["tone", "rank"].into_iter().enumerate() {
        let stated = test.metric(&format!("mae/{name}")).unwrap();
        assert!((error(name, column) / stated - 1.0).abs() < 1e-6, "{name}");
    }

    // transformers knows of no standardization: the exported last layer has it in its weights.
    fixture.train("usual", &["model.pooling=first"]).unwrap();
    let folder = model_folder(&fixture.path("usual")).unwrap();
    let exported = fixture.path("exported");
    export_model(&folder, &exported, &ExportOptions::default()).unwrap();
    assert_eq!(read_config(&exported).unwrap().classifier.label_mean, None);
    let answer = |folder: &std::path::Path| {
        let device = Device::flex();
        let Model::SequenceClassification(model) = load_model(folder, &device).unwrap() else {
            panic!("a sequence classifier")
        };
        assert_eq!(model.config().num_labels(), 2);
        let tokens = Tensor::<2, Int>::from_ints([[2, 5, 6, 15, 7, 8, 9, 3]], &device);
        let answer = model.forward(NystromformerInput::new(tokens)).unwrap();
        answer.into_data().try_to_vec::<f32>().unwrap()
    };
    for (ours, theirs) in answer(&folder).into_iter().zip(answer(&exported)) {
        assert!((ours / theirs - 1.0).abs() < 1e-4, "{ours} {theirs}");
    }
}

#[test]
fn a_metric_is_measured_if_it_is_named_and_refused_where_it_means_nothing() {
    let fixture = Fixture::of_reviews();
    let by_area = ["trainer.metric_for_best_model=roc_auc", "task.metrics=[\"log_loss\", \"f1\"]"];
    let outcome = fixture.train("run", &by_area).unwrap();
    let results = outcome.summary.best_model.unwrap();
    assert_eq!(results.best_by, "roc_auc");
    let measured: Vec<&String> = results.evaluations["test"].metrics.keys().collect();
    assert_eq!(measured, ["f1", "log_loss", "roc_auc"]);
    let refused = |overrides: &[&str]| {
        let error = fixture.train("refused", overrides).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        error.to_string()
    };
    let message = refused(&["task.metrics=[\"mse\"]"]);
    assert!(
        message.contains("a task with 2 classes has no such metric; use `accuracy`"),
        "{message}"
    );
    let message = refused(&["task.metrics=[\"f2\"]"]);
    assert!(message.contains("`f2` is no metric"), "{message}");
    let message = refused(&["trainer.metric_for_best_model=mse"]);
    assert!(message.contains("`mse`, which is not measured here"), "{message}");
}

#[test]
fn every_fold_is_tested_on_once() {
    let fixture = Fixture::of_reviews();
    let overrides = ["task.folds=3", "trainer.max_steps=2"];
    let series = Series::open(&fixture.request("folds", &overrides, false)).unwrap().unwrap();
    let requests = series.remaining().unwrap();
    assert_eq!(requests.len(), 3);
    for request in &requests {
        let session = Session::open(request, &|_| {}).unwrap();
        series.begin(&session).unwrap();
        session.train(StopFlag::new(), &mut Silent).unwrap();
    }
    let summary = series.finish().unwrap();
    assert_eq!((summary.extent().as_str(), summary.seeds.as_slice()), ("3 folds", &[5][..]));
    let mut tested = BTreeSet::new();
    for fold in 1..=3 {
        let lines =
            json_lines(&fixture, &format!("folds/seed-5/fold-{fold}/predictions/test.jsonl"));
        // 60 reviews; the data's own test split is not read.
        assert_eq!(lines.len(), 20);
        tested.extend(lines.iter().map(|line| line["index"].as_u64().unwrap()));
        let run = &summary.runs[fold - 1];
        let classes = &run.best_model.as_ref().unwrap().classes["test"];
        let supports: Vec<u64> = classes.per_class.iter().map(|class| class.support).collect();
        assert!((6..=7).contains(&supports[0]), "a third is bad: {supports:?}");
    }
    assert_eq!(tested.len(), 60);
    let statistics = &summary.statistics["test"]["accuracy"];
    assert!(statistics.seeds == 3 && statistics.std.is_some());
    let best = format!("folds/seed-5/fold-{}", summary.best_fold);
    assert_eq!(
        model_folder(&fixture.path("folds")).unwrap(),
        model_folder(&fixture.path(&best)).unwrap()
    );
    // `task.max_eval_samples` is of each split that is evaluated, a fold too.
    let few = fixture.batches(&["task.folds=3", "task.fold=1", "task.max_eval_samples=5"]).unwrap();
    assert_eq!(few.evaluation_examples(Split::Test), 5);
    // One of them alone is no series.
    let one = ["task.folds=3", "task.fold=2", "trainer.max_steps=2"];
    assert!(Series::open(&fixture.request("one", &one, false)).unwrap().is_none());
    fixture.train("one", &one).unwrap();
    let alone = json_lines(&fixture, "one/predictions/test.jsonl");
    assert_eq!(alone, json_lines(&fixture, "folds/seed-5/fold-2/predictions/test.jsonl"));
    for (value, part) in [("1", "leaves nothing"), ("2", "one of `task.folds` parts")] {
        let folds = format!("task.folds={value}");
        let message = fixture.batches(&[&folds, "task.fold=3"]).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}

/// Small data is trained on whole: the last step's model is the run's, and nothing waits for an evaluation.
#[test]
fn without_a_validation_part_the_last_step_is_the_result() {
    let fixture = Fixture::of_reviews();
    fs::remove_file(fixture.data().join("validation.csv")).unwrap();
    let whole =
        ["task.folds=3", "task.fold=1", "task.validation_fraction=0", "trainer.eval_every=1"];
    let batches = fixture.batches(&whole).unwrap();
    assert_eq!(batches.training_examples(), 40);
    assert_eq!(batches.evaluation_examples(Split::Validation), 0);
    assert_eq!(batches.evaluation_examples(Split::Test), 20);
    let mut steps = whole.to_vec();
    steps.push("trainer.max_steps=3");
    let best = fixture.train("whole", &steps).unwrap().summary.best_model.unwrap();
    assert_eq!(best.step, 3);
    assert!(best.chosen_by.contains("the last step"), "{}", best.chosen_by);
    assert_eq!(best.evaluations.keys().collect::<Vec<_>>(), ["test"]);
    steps.push("trainer.early_stopping_patience=2");
    let message = fixture.train("patient", &steps).unwrap_err().to_string();
    for part in ["`trainer.early_stopping_patience` is `2`", "nothing is held out for validation"] {
        assert!(message.contains(part), "{message}");
    }
}

/// Nothing would be tested on in some of them.
#[test]
fn more_folds_than_examples_are_refused() {
    let fixture = Fixture::of_reviews();
    let few = ["task.folds=5", "task.fold=5", "task.max_train_samples=4"];
    let error = fixture.batches(&few).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    let message = error.to_string();
    for part in ["`task.folds` is `5`", "`4` training examples", "to at most `4`"] {
        assert!(message.contains(part), "{message}");
    }
}

/// Validation chooses thresholds, unless a key sets them; a test split is decided by what was chosen, or by the usual ones.
#[test]
fn thresholds_are_settled_in_one_way_for_scores_and_files() {
    let fixture = of_label_sets();
    // The same for all: a score of 0.3 and of 0.7.
    let outputs_of = |count: usize| vec![vec![-0.847_297_9_f32, 0.847_297_9]; count];
    let chosen = Thresholds::from([("bad".to_owned(), 0.25), ("high".to_owned(), 0.75)]);
    for (key, of_validation, of_test) in [
        (None, None, Thresholds::new()),
        (
            Some(0.6),
            Some(0.6),
            Thresholds::from([("bad".to_owned(), 0.6), ("high".to_owned(), 0.6)]),
        ),
    ] {
        let key = key.map(|value: f64| format!("task.threshold={value}"));
        let batches = fixture.batches(&key.as_deref().into_iter().collect::<Vec<_>>()).unwrap();
        let settled = |split: Split, thresholds: Option<&Thresholds>| {
            let outputs = outputs_of(batches.evaluation_examples(split));
            let answers = Answers { split, outputs: &outputs, thresholds };
            let labels: Vec<Value> =
                String::from_utf8(batches.prediction_files(answers).unwrap().remove(0).contents)
                    .unwrap()
                    .lines()
                    .map(|line| serde_json::from_str::<Value>(line).unwrap()["labels"].clone())
                    .collect();
            assert!(labels.iter().all(|line| *line == labels[0]), "{labels:?}");
            (batches.score(answers).unwrap().unwrap().thresholds, labels[0].clone())
        };
        let (validation, _) = settled(Split::Validation, None);
        match of_validation {
            Some(set) => assert!(validation.values().all(|threshold| *threshold == set)),
            // Of scores that are all the same it is best to take all.
            None => assert!(validation.len() == 2 && validation["bad"] < 0.31, "{validation:?}"),
        }
        let (test, labels) = settled(Split::Test, None);
        assert_eq!((test, labels), (of_test.clone(), json!(["high"])));
        let (test, labels) = settled(Split::Test, Some(&chosen));
        if key.is_some() {
            assert_eq!((test, labels), (of_test, json!(["high"])));
        } else {
            assert_eq!((test, labels), (chosen.clone(), json!(["bad"])));
        }
    }
}

/// Rows that are skipped, and rows that are not drawn, count all the same.
#[test]
fn predictions_and_mistakes_name_rows_of_the_file() {
    let fixture = Fixture::new("labelled", "");
    fixture.write_vocabulary();
    for (part, numbers) in [("train", 0..60_usize), ("validation", 60..80), ("test", 80..120)] {
        let first = numbers.start;
        let row = |number: usize| {
            // Every fourth text is missing, the first too.
            let text = (!number.is_multiple_of(4)).then(|| review(number));
            let label = if is_bad(number) { "bad" } else { "good" };
            json!({"key": format!("{}", number - first), "sentence": text, "label": label})
                .to_string()
        };
        let rows: Vec<String> = numbers.map(row).collect();
        fs::write(fixture.data().join(format!("{part}.jsonl")), rows.join("\n")).unwrap();
    }
    for (drawn, expected) in [("task.max_eval_samples=0", 30), ("task.max_eval_samples=8", 8)] {
        let named = |overrides: &[&str], key: &str| -> Vec<String> {
            let batches = fixture.batches(overrides).unwrap();
            // All are called good, as surely as the last.
            let outputs = vec![vec![0.0, 1.0]; batches.evaluation_examples(Split::Test)];
            let answers = Answers { split: Split::Test, outputs: &outputs, thresholds: None };
            let errors = batches.analyse(answers).unwrap().unwrap().errors.unwrap();
            assert!(!errors.most_confident_mistakes.is_empty());
            for mistake in &errors.most_confident_mistakes {
                assert_eq!(mistake.text, review(80 + mistake.example), "{drawn}");
            }
            let files = batches.prediction_files(answers).unwrap();
            let text = std::str::from_utf8(&files[0].contents).unwrap();
            let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            lines.map(|line| line[key].to_string().trim_matches('"').to_owned()).collect()
        };
        let rows = named(&[drawn], "index");
        assert_eq!(rows.len(), expected);
        assert_eq!(rows, named(&[drawn, "task.id=key"], "id"), "{drawn}");
    }
}

/// What is written beside a prediction is the text that it is of, or nothing.
#[test]
fn data_that_changes_while_it_is_read_is_refused() {
    let fixture = Fixture::of_reviews();
    let batches = fixture.batches(&[]).unwrap();
    let outputs = vec![vec![0.0, 1.0]; batches.evaluation_examples(Split::Test)];
    let answers = Answers { split: Split::Test, outputs: &outputs, thresholds: None };
    let before = batches.prediction_files(answers).unwrap();
    assert_eq!(before[0].contents.split(|byte| *byte == b'\n').count(), 22);
    let file = fixture.data().join("test.csv");
    let table = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    let shorter = lines[..lines.len() - 1].join("\n");
    let moved = table.replacen(lines[3], &format!("{}\n{}", lines[4], lines[3]), 1);
    for (changed, place) in [(shorter, "`20`"), (moved, "`2`")] {
        fs::write(&file, changed).unwrap();
        let error = batches.prediction_files(answers).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        let message = error.to_string();
        assert!(
            message.contains(&format!("example {place}")) && message.contains("has changed"),
            "{message}"
        );
        assert!(batches.analyse(answers).is_err());
    }
    fs::write(&file, table).unwrap();
    assert_eq!(batches.prediction_files(answers).unwrap(), before);
}

#[test]
fn folders_of_classes_without_splits_or_endings_are_held_out_by_class() {
    let fixture = Fixture::new("labelled", "validation_fraction = 0.25");
    fixture.write_vocabulary();
    for number in 0..60 {
        let class = if is_bad(number) { "talk.bad" } else { "talk.good" };
        fs::create_dir_all(fixture.data().join(class)).unwrap();
        fs::write(fixture.data().join(class).join(number.to_string()), review(number)).unwrap();
    }
    let batches = fixture.batches(&[]).unwrap();
    assert_eq!(batches.targets().names(), ["talk.bad", "talk.good"]);
    assert_eq!(batches.training_examples(), 45);
    assert_eq!(batches.evaluation_examples(Split::Validation), 15);
    let held_out = batches.evaluation_batch(Split::Validation, 0, 15).unwrap();
    let TargetsData::Class(classes) = held_out.targets else { panic!("classes") };
    assert_eq!(classes.iter().filter(|class| **class == 0).count(), 5);
}
