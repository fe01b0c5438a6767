//! Texts that are longer than a row, read in overlapping windows: what is trained on, and what is measured.

use std::fs;

use burn::tensor::Device;
use nystromformer::Model;
use nystromformer_data::{TextTokenizer, WindowPooling};
use nystromformer_interop::load_model;
use nystromformer_learner::batch::{Batch, BatchSource};
use nystromformer_learner::task_batches::TaskBatches;
use nystromformer_learner::trainable::Trainable;
use nystromformer_learner::trainer::model_folder;
use nystromformer_tasks::Split;
use serde_json::Value;

use super::fixture::{Fixture, is_bad, review};

/// Words of a window: a row of 8 has two special tokens. Each word of the reviews is a token.
const ROOM: usize = 6;
const STRIDE: usize = 2;
const WINDOWS: [&str; 3] = ["data.seq_len=8", "task.truncation=windows", "task.stride=2"];
const WITHOUT_DROPOUT: [&str; 2] =
    ["model.hidden_dropout_prob=0", "model.attention_probs_dropout_prob=0"];

/// The texts of the windows over a review.
fn windows(number: usize) -> Vec<String> {
    let text = review(number);
    let words: Vec<&str> = text.split(' ').collect();
    let (mut windows, mut start) = (Vec::new(), 0);
    while start + ROOM < words.len() {
        windows.push(words[start..start + ROOM].join(" "));
        start += ROOM - STRIDE;
    }
    windows.push(words[words.len().saturating_sub(ROOM)..].join(" "));
    windows
}

#[test]
fn every_window_is_a_row_and_those_of_a_text_weigh_as_much_as_a_text() {
    let fixture = Fixture::of_reviews();
    let tokenizer = TextTokenizer::load(&fixture.path("vocab.txt"), true).unwrap();
    let batches = fixture.batches(&[&WINDOWS[..], &["data.shuffle=false"]].concat()).unwrap();
    let mut rows = 0;
    let mut lengths = [0; 4];
    for number in 0..60 {
        let windows = windows(number);
        lengths[windows.len()] += 1;
        for window in &windows {
            let batch = batches.training_step(rows, 1, 1).unwrap().remove(0);
            let ids = tokenizer.encode_text(window, None, None).unwrap().input_ids;
            assert!(batch.input_ids.iter().map(|id| *id as u32).eq(ids), "{window}");
            let weight = 1.0 / windows.len() as f32;
            assert_eq!(batch.target_weights(), [f64::from(weight)]);
            // Of texts of one row nothing is weighed.
            assert_eq!(batch.loss_options.row_weights.is_some(), windows.len() > 1);
            rows += 1;
        }
    }
    assert!(lengths[1..].iter().all(|count| *count > 5), "{lengths:?}");
    assert_eq!(batches.training_examples(), rows);
    // Bounded: of each text the first window.
    let bounded = fixture.batches(&[&WINDOWS[..], &["task.max_windows=1"]].concat()).unwrap();
    assert_eq!(bounded.training_examples(), 60);
    let refused = fixture.batches(&["data.seq_len=8", "task.truncation=windows"]).unwrap_err();
    let message = refused.to_string();
    assert!(
        message.contains("`task.stride` is `64`: windows of `data.seq_len` = `8`"),
        "{message}"
    );
}

/// The model's outputs for each window of each example of a split, from batches of one row.
fn outputs(model: &Model, batches: &TaskBatches, split: Split) -> Vec<Vec<Vec<f32>>> {
    let order = batches.evaluation_order(split);
    let examples = order.iter().max().unwrap() + 1;
    let mut outputs = vec![Vec::new(); examples];
    let device = Device::flex();
    let mut places: Vec<usize> = (0..order.len()).collect();
    // Windows stand in their order in the file, and are read by their length.
    places.sort_by_key(|place| order[*place]);
    for place in places {
        let batch = batches.evaluation_batch(split, place, 1).unwrap();
        let mut counts = model.counts_with_outputs();
        model.evaluate(batch, &device, &mut counts).unwrap();
        outputs[order[place]].extend(<Model as Trainable>::outputs(counts).unwrap());
    }
    outputs
}

fn lines(fixture: &Fixture, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(fixture.path(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|logit| (logit - highest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// Pooled once more here, from single windows in batches of one: predictions, accuracy, and a loss in which a text counts once.
#[test]
fn a_text_has_one_answer_that_its_windows_give_together() {
    for pooling in [WindowPooling::Mean, WindowPooling::Max] {
        let fixture = Fixture::of_reviews();
        let pooled_by = match pooling {
            WindowPooling::Mean => "task.window_pooling=mean",
            WindowPooling::Max => "task.window_pooling=max",
        };
        let settings = [&WINDOWS[..], &[pooled_by, "optimizer.learning_rate=0.01"]].concat();
        let results = fixture.train("run", &settings).unwrap().summary.best_model.unwrap();
        let folder = model_folder(&fixture.path("run")).unwrap();
        let model = load_model(&folder, &Device::flex()).unwrap();
        let batches = fixture.batches(&settings).unwrap();
        assert!(batches.evaluation_examples(Split::Test) > 21);
        let written = lines(&fixture, "run/predictions/test.jsonl");
        let found = outputs(&model, &batches, Split::Test);
        assert_eq!((written.len(), found.len()), (21, 21));
        let (mut right, mut loss) = (0, 0.0);
        for (line, (number, of_text)) in written.iter().zip((80..).zip(&found)) {
            assert_eq!(of_text.len(), windows(number).len());
            let classes = [0, 1].map(|class| {
                let logits = of_text.iter().map(|logits| f64::from(logits[class]));
                match pooling {
                    WindowPooling::Mean => logits.sum::<f64>() / of_text.len() as f64,
                    WindowPooling::Max => logits.fold(f64::NEG_INFINITY, f64::max),
                }
            });
            let probabilities = softmax(&classes);
            for (name, probability) in ["bad", "good"].into_iter().zip(&probabilities) {
                let told = line["scores"][name].as_f64().unwrap();
                assert!((told - probability).abs() < 1e-5, "{number} {told} {probability}");
            }
            // The labels of the test split are the other way round.
            let label = usize::from(is_bad(number));
            right += usize::from(probabilities[label] > 0.5);
            let of_windows = of_text.iter().map(|logits| {
                let logits: Vec<f64> = logits.iter().copied().map(f64::from).collect();
                -softmax(&logits)[label].ln()
            });
            loss += of_windows.sum::<f64>() / of_text.len() as f64 / 21.0;
        }
        let measured = &results.evaluations["test"];
        assert_eq!(measured.metric("accuracy"), Some(right as f64 / 21.0));
        assert!((measured.loss - loss).abs() < 1e-5, "{} {loss}", measured.loss);
        // The rule is in the folder of the model.
        let trained = TextTokenizer::load(&folder, true).unwrap().trained_windows().unwrap();
        assert_eq!((trained.stride, trained.max_windows, trained.pooling), (STRIDE, 64, pooling));
    }
}

#[test]
fn numbers_of_windows_are_averaged_too() {
    let fixture = Fixture::new("labelled", "regression = true\nstandardize_labels = true");
    fixture.write_vocabulary();
    for (part, numbers) in
        [(Split::Train, 0..60), (Split::Validation, 60..80), (Split::Test, 80..101)]
    {
        let rows = numbers.map(|number| format!("{},{}", review(number), number % 7));
        fixture.write_csv(part, "sentence,label", rows);
    }
    fixture.train("run", &WINDOWS).unwrap();
    let model = load_model(&model_folder(&fixture.path("run")).unwrap(), &Device::flex()).unwrap();
    let found = outputs(&model, &fixture.batches(&WINDOWS).unwrap(), Split::Test);
    for (line, of_text) in lines(&fixture, "run/predictions/test.jsonl").iter().zip(found) {
        let mean =
            of_text.iter().map(|values| f64::from(values[0])).sum::<f64>() / of_text.len() as f64;
        assert!((line["label"].as_f64().unwrap() - mean).abs() < 1e-4, "{line} {mean}");
    }
}

/// What is stated wins over what the model did whose tokenizer is read; where nothing is stated, that is followed.
#[test]
fn another_truncation_than_that_of_the_start_model_can_be_stated() {
    let fixture = Fixture::of_reviews();
    fixture.train("tail", &["data.seq_len=8", "task.truncation=tail"]).unwrap();
    fixture.train("windows", &WINDOWS).unwrap();
    let number = (0..60).find(|number| windows(*number).len() > 1).unwrap();
    let words: Vec<String> = review(number).split(' ').map(str::to_owned).collect();
    let read = |start: &str, stated: &[&str]| {
        let folder = model_folder(&fixture.path(start)).unwrap();
        let tokenizer = format!("tokenizer.path={}", folder.display());
        let settings = [&["data.seq_len=8", "data.shuffle=false", &tokenizer][..], stated].concat();
        let batches = fixture.batches(&settings).unwrap();
        let batch = batches.training_step(number, 1, 1).unwrap().remove(0);
        let ids: Vec<u32> = batch.input_ids.iter().map(|id| *id as u32).collect();
        (batches.training_examples(), ids)
    };
    let tokenizer = TextTokenizer::load(&fixture.path("vocab.txt"), true).unwrap();
    let part = |words: &[String]| {
        (60, tokenizer.encode_text(&words.join(" "), None, None).unwrap().input_ids)
    };
    let (head, tail) = (part(&words[..ROOM]), part(&words[words.len() - ROOM..]));
    assert_eq!(read("tail", &[]), tail);
    assert!(read("windows", &[]).0 > 60);
    for start in ["tail", "windows"] {
        assert_eq!(read(start, &["task.truncation=head"]), head, "{start}");
        assert_eq!(read(start, &["task.truncation=tail"]), tail, "{start}");
    }
    // A run that states `head` keeps it for whoever goes on from it.
    let folder = model_folder(&fixture.path("tail")).unwrap();
    let from = format!("model.init_from={}", folder.display());
    fixture.train("head", &["data.seq_len=8", "task.truncation=head", &from]).unwrap();
    assert_eq!(read("head", &[]), head);
}

/// Where no text is longer than a row, windows change nothing, to the last bit.
#[test]
fn short_texts_are_what_they_were() {
    let fixture = Fixture::of_reviews();
    let head = fixture.train("head", &[]).unwrap().summary.best_model.unwrap();
    let windows = fixture.train("windows", &["task.truncation=windows"]).unwrap().summary;
    assert_eq!(fixture.metrics("head"), fixture.metrics("windows"));
    assert_eq!(windows.best_model.unwrap().evaluations, head.evaluations);
    let written =
        |run: &str| fs::read(fixture.path(&format!("{run}/predictions/test.jsonl"))).unwrap();
    assert_eq!(written("head"), written("windows"));
}

#[test]
fn the_cut_into_micro_batches_changes_no_loss() {
    let fixture = Fixture::of_reviews();
    let losses = |run: &str, micro_batch: &str| {
        let settings = [&WINDOWS[..], &WITHOUT_DROPOUT, &[micro_batch]].concat();
        fixture.train(run, &settings).unwrap();
        let (steps, evaluations) = fixture.metrics(run);
        let steps = steps.into_iter().map(|step| step.loss);
        steps.chain(evaluations.into_iter().map(|found| found.loss)).collect::<Vec<f64>>()
    };
    let whole = losses("whole", "trainer.micro_batch_size=6");
    for (one, other) in losses("single", "trainer.micro_batch_size=1").iter().zip(&whole) {
        assert!((one - other).abs() < 1e-5, "{one} {other}");
    }
}
