//! Padding, hold-out, and the keys of `[task]`.

use std::collections::BTreeSet;
use std::fs;

use burn::tensor::Device;
use nystromformer::heads::TargetsData;
use nystromformer_learner::batch::{BatchSource, TokenBatch};
use nystromformer_learner::task_batches::TaskBatches;
use nystromformer_lra::SplitSizes;
use nystromformer_lra::listops::{self, GeneratorConfig};
use nystromformer_lra::pathfinder::{self, PathfinderConfig};
use nystromformer_tasks::Split;

use super::fixture::{Fixture, review};

/// The losses of a run's steps and evaluations.
fn losses(fixture: &Fixture, run: &str, overrides: &[&str]) -> Vec<f64> {
    let without_dropout = ["model.hidden_dropout_prob=0", "model.attention_probs_dropout_prob=0"];
    fixture.train(run, &[&without_dropout[..], overrides].concat()).unwrap();
    let (steps, evaluations) = fixture.metrics(run);
    let steps = steps.iter().map(|step| step.loss);
    steps.chain(evaluations.iter().map(|evaluation| evaluation.loss)).collect()
}

fn largest_difference(left: &[f64], right: &[f64]) -> f64 {
    assert_eq!(left.len(), right.len());
    left.iter().zip(right).map(|(left, right)| (left / right - 1.0).abs()).fold(0.0, f64::max)
}

/// In `paper` semantics how far a row is padded is nobody's business, but for the authors' mean.
#[test]
fn padding_changes_no_loss_unless_the_mean_is_over_it() {
    let fixture = Fixture::of_reviews();
    let compare = |name: &str, pooling: &str| {
        let pooling = format!("model.pooling={pooling}");
        let plain = losses(&fixture, &format!("{name}-plain"), &[&pooling]);
        let padded =
            losses(&fixture, &format!("{name}-padded"), &[&pooling, "task.pad_to_multiple_of=64"]);
        assert_eq!(plain.len(), 6 + 2);
        largest_difference(&plain, &padded)
    };
    for pooling in ["first", "mean"] {
        let difference = compare(pooling, pooling);
        assert!(difference <= 1e-5, "{pooling}: {difference:e}");
    }
    let difference = compare("mean_padded", "mean_padded");
    assert!(difference > 1e-3, "{difference:e}");
}

/// The rows of all training steps of an epoch.
fn epoch(batches: &TaskBatches) -> Vec<TokenBatch> {
    let steps = 0..batches.training_examples();
    steps.flat_map(|step| batches.training_step(step, 1, 1).unwrap()).collect()
}

/// The ids of each row, without padding.
fn texts(rows: &[TokenBatch]) -> Vec<Vec<i32>> {
    let of_batch = |rows: &TokenBatch| {
        let lengths = rows.lengths.iter().zip(rows.input_ids.chunks(rows.seq_len));
        lengths.map(|(length, row)| row[..*length].to_vec()).collect::<Vec<_>>()
    };
    rows.iter().flat_map(of_batch).collect()
}

fn evaluated(batches: &TaskBatches, split: Split) -> Vec<Vec<i32>> {
    let count = batches.evaluation_examples(split);
    let mut texts = texts(&[batches.evaluation_batch(split, 0, count).unwrap()]);
    texts.sort_unstable();
    texts
}

#[test]
fn rows_are_padded_to_the_longest_and_on_to_a_multiple() {
    let fixture = Fixture::of_reviews();
    for (setting, multiple) in [("task.pad_to_multiple_of=1", 1), ("task.pad_to_multiple_of=8", 8)]
    {
        for rows in fixture.batches(&[setting]).unwrap().training_step(0, 6, 3).unwrap() {
            let longest = *rows.lengths.iter().max().unwrap();
            assert_eq!(rows.seq_len, longest.next_multiple_of(multiple));
            assert!(rows.input_ids.iter().zip(0..).all(|(id, place)| {
                (*id == 0) == (place % rows.seq_len >= rows.lengths[place / rows.seq_len])
            }));
        }
    }
}

/// transformers' Nyström attention reads rows of one length, so that there is nothing to gain by sorting them.
#[test]
fn a_model_with_the_semantics_of_transformers_gets_rows_of_its_one_length() {
    let fixture = Fixture::of_reviews();
    let hf = ["model.semantics=hf", "model.segment_means_seq_len=32", "task.group_by_length=true"];
    let batches = fixture.batches(&hf).unwrap();
    let rows = batches.training_step(0, 6, 2).unwrap();
    assert!(rows.iter().all(|rows| rows.seq_len == 32));
    let plain = fixture.batches(&[]).unwrap();
    let [found, expected] =
        [&batches, &plain].map(|batches| texts(&batches.training_step(3, 6, 6).unwrap()));
    assert_ne!(found, expected, "without transformers' semantics a step is sorted by length");
    let sorted = |mut texts: Vec<Vec<i32>>| {
        texts.sort_unstable();
        texts
    };
    assert_eq!(sorted(found), sorted(expected));
    fixture.train("run", &hf).unwrap();
    // Exact attention reads any length.
    let exact = [&hf[..1], &["model.attention=softmax"]].concat();
    let rows = fixture.batches(&exact).unwrap().training_step(0, 6, 2).unwrap();
    assert!(rows.iter().any(|rows| rows.seq_len < 16));
}

#[test]
fn a_first_token_can_be_given_to_tasks_that_have_none_and_both_ends_be_kept() {
    let fixture = Fixture::new("listops", "");
    let config =
        GeneratorConfig { above_length: 8, below_length: 30, ..GeneratorConfig::default() };
    let sizes = SplitSizes { train: 12, validation: 4, test: 4 };
    listops::generate_files(&fixture.data(), config, sizes, 3).unwrap();
    let batch = |overrides: &[&str]| {
        let batches = fixture.batches(overrides).unwrap();
        texts(&[batches.evaluation_batch(Split::Test, 0, 4).unwrap()])
    };
    // The first id beyond padding and 15 symbols.
    let begun = |row: &Vec<i32>| std::iter::once(16).chain(row.iter().copied()).collect();
    let plain = batch(&[]);
    let expected: Vec<Vec<i32>> = plain.iter().map(begun).collect();
    assert_eq!(batch(&["task.prepend_cls=true"]), expected);
    let mut cut = batch(&["task.prepend_cls=true", "data.seq_len=8"]);
    let mut expected: Vec<Vec<i32>> = expected.iter().map(|row| row[..8].to_vec()).collect();
    cut.sort_unstable();
    expected.sort_unstable();
    assert_eq!(cut, expected);
    let ends = ["task.prepend_cls=true", "data.seq_len=8", "task.truncation=head_tail"];
    let mut cut = batch(&ends);
    let of_ends = |row: &Vec<i32>| {
        let tail = &row[row.len() - 3..];
        [16].iter().chain(&row[..4]).chain(tail).copied().collect::<Vec<i32>>()
    };
    let mut expected: Vec<Vec<i32>> = plain.iter().map(of_ends).collect();
    cut.sort_unstable();
    expected.sort_unstable();
    assert_eq!(cut, expected);
    // Texts begin with one already.
    let error = Fixture::of_reviews().batches(&["task.prepend_cls=true"]).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
}

#[test]
fn what_is_held_out_is_not_trained_on() {
    let fixture = Fixture::of_reviews();
    fs::remove_file(fixture.data().join("validation.csv")).unwrap();
    let batches = fixture.batches(&["task.validation_fraction=0.2"]).unwrap();
    assert_eq!(batches.training_examples(), 48);
    let [train, held_out]: [BTreeSet<Vec<i32>>; 2] =
        [texts(&epoch(&batches)), evaluated(&batches, Split::Validation)]
            .map(|texts| texts.into_iter().collect());
    assert_eq!((train.len(), held_out.len()), (48, 12));
    assert!(train.is_disjoint(&held_out));
    // A fifth of each class.
    let rows = batches.evaluation_batch(Split::Validation, 0, 12).unwrap();
    let TargetsData::Class(classes) = rows.targets else { panic!("they are classes") };
    assert_eq!(classes.iter().filter(|class| **class == 0).count(), 4);

    // Which ones `task.split_seed` decides, and the seed of the run does not.
    let other = |setting: &str| {
        let batches = fixture.batches(&["task.validation_fraction=0.2", setting]).unwrap();
        evaluated(&batches, Split::Validation).into_iter().collect::<BTreeSet<_>>()
    };
    assert_eq!(other("seed=8"), held_out);
    assert_ne!(other("task.split_seed=8"), held_out);
    // What is evaluated is bounded here as well.
    assert_eq!(other("task.max_eval_samples=5").len(), 5);
}

/// A table of one's own is all there is: none of its rows is validated or tested with and trained on.
#[test]
fn a_single_file_trains_and_a_part_of_it_is_held_out() {
    let fixture = Fixture::of_reviews();
    let path = format!("task.path={}", fixture.data().join("train.csv").display());
    let batches = fixture.batches(&[&path, "task.validation_fraction=0.1"]).unwrap();
    assert_eq!(batches.training_examples(), 54);
    assert_eq!(batches.evaluation_examples(Split::Validation), 6);
    assert_eq!(batches.evaluation_examples(Split::Test), 0);
    let train: BTreeSet<_> = texts(&epoch(&batches)).into_iter().collect();
    let held_out: BTreeSet<_> = evaluated(&batches, Split::Validation).into_iter().collect();
    assert!(train.is_disjoint(&held_out));
}

#[test]
fn validation_on_the_test_split_is_validation_on_the_test_split() {
    let fixture = Fixture::of_reviews();
    let usual = fixture.batches(&[]).unwrap();
    let paper = fixture.batches(&["task.validate_on_test=true"]).unwrap();
    let test = evaluated(&usual, Split::Test);
    assert_ne!(evaluated(&usual, Split::Validation), test);
    assert_eq!(evaluated(&paper, Split::Validation), test);
    assert_eq!(evaluated(&paper, Split::Test), test);
    // Nothing is held out where there was no validation split, as of the Long Range Arena's text.
    fs::remove_file(fixture.data().join("validation.csv")).unwrap();
    let paper = fixture.batches(&["task.validate_on_test=true"]).unwrap();
    assert_eq!((paper.training_examples(), evaluated(&paper, Split::Validation)), (60, test));
}

#[test]
fn a_last_batch_that_is_not_full_can_be_left_out() {
    let fixture = Fixture::of_reviews();
    // Batches of 6: 20 examples are three and a rest of 2, 21 are three and a rest of 3.
    let usual = fixture.batches(&[]).unwrap();
    let paper = fixture.batches(&["task.drop_last=true"]).unwrap();
    for (split, count) in [(Split::Validation, 20), (Split::Test, 21)] {
        assert_eq!(usual.evaluation_examples(split), count);
        assert_eq!(paper.evaluation_examples(split), 18);
        // It is the last of the file that are left out.
        let mut first = paper.evaluation_order(split);
        first.sort_unstable();
        assert_eq!(first, (0..18).collect::<Vec<_>>());
    }
    // Training runs on from one epoch into the next, and leaves out nothing.
    assert_eq!(paper.training_examples(), 60);
}

/// The files' rows are sorted by class, as many people's are: the first ten would be of one.
#[test]
fn a_limit_draws_of_every_class_its_share_and_keeps_the_order() {
    let fixture = Fixture::of_reviews();
    let sorted = |numbers: std::ops::Range<usize>| {
        let row = |number: usize| {
            format!("{},{}", review(number), if number.is_multiple_of(2) { "a" } else { "b" })
        };
        let (even, odd): (Vec<usize>, Vec<usize>) =
            numbers.partition(|number| number.is_multiple_of(2));
        even.into_iter().chain(odd).map(row).collect::<Vec<String>>()
    };
    fixture.write_csv(Split::Train, "sentence,label", sorted(0..60));
    fixture.write_csv(Split::Validation, "sentence,label", sorted(60..80));
    fixture.write_csv(Split::Test, "sentence,label", sorted(80..100));
    let limits = ["task.max_train_samples=10", "task.max_eval_samples=4"];
    let batches = fixture.batches(&limits).unwrap();
    let classes = |rows: &[TokenBatch]| -> Vec<i32> {
        rows.iter()
            .flat_map(|rows| match &rows.targets {
                TargetsData::Class(classes) => classes.clone(),
                other => panic!("{other:?}"),
            })
            .collect()
    };
    let ones = |classes: &[i32]| classes.iter().filter(|class| **class == 1).count();
    let train = classes(&epoch(&batches));
    assert_eq!((train.len(), ones(&train)), (10, 5));
    for split in [Split::Validation, Split::Test] {
        let rows = batches.evaluation_batch(split, 0, 4).unwrap();
        assert_eq!((batches.evaluation_examples(split), ones(&classes(&[rows]))), (4, 2));
    }
    // Which ones `task.split_seed` decides, and in what order the file.
    let in_order = ["data.shuffle=false"];
    let draw = |further: &[&str]| {
        let batches = fixture.batches(&[&limits[..], &in_order, further].concat()).unwrap();
        texts(&batches.training_step(0, 10, 10).unwrap())
    };
    assert_eq!(draw(&[]), draw(&["seed=9"]));
    assert_ne!(draw(&[]), draw(&["task.split_seed=1"]));
    let whole = texts(&fixture.batches(&in_order).unwrap().training_step(0, 60, 60).unwrap());
    let drawn: BTreeSet<Vec<i32>> = draw(&[]).into_iter().collect();
    let kept: Vec<&Vec<i32>> = whole.iter().filter(|row| drawn.contains(*row)).collect();
    assert_eq!(kept.len(), 10);

    // Of what is held out as well.
    fs::remove_file(fixture.data().join("validation.csv")).unwrap();
    let batches = fixture.batches(&["task.validation_fraction=0.5", limits[1]]).unwrap();
    let rows = batches.evaluation_batch(Split::Validation, 0, 4).unwrap();
    assert_eq!((batches.evaluation_examples(Split::Validation), ones(&classes(&[rows]))), (4, 2));
}

#[test]
fn grouping_by_length_makes_less_padding_of_the_same_examples() {
    let fixture = Fixture::of_reviews();
    let cells = |overrides: &[&str]| {
        let batches = fixture.batches(overrides).unwrap();
        // 210 steps of 2 are seven epochs, and 30 windows of 7 steps: a quarter of an epoch.
        let steps = (0..210).flat_map(|step| batches.training_step(step, 2, 2).unwrap());
        let rows: Vec<TokenBatch> = steps.collect();
        let mut seen = texts(&rows);
        seen.sort_unstable();
        (rows.iter().map(|rows| rows.input_ids.len()).sum::<usize>(), seen)
    };
    let ((plain, seen), (grouped, same)) = (cells(&[]), cells(&["task.group_by_length=true"]));
    assert_eq!(seen, same);
    assert!(grouped * 10 < plain * 9, "{grouped} {plain}");
}

#[test]
fn black_pixels_are_tokens_unless_they_are_taken_for_padding() {
    let fixture = Fixture::new("pathfinder", "");
    pathfinder::generate_files(&fixture.data(), PathfinderConfig::default(), 20, 3).unwrap();
    let sizes = ["data.seq_len=1024", "model.max_position_embeddings=1024"];
    let batch = |further: &[&str]| {
        let batches = fixture.batches(&[&sizes[..], further].concat()).unwrap();
        assert_eq!(batches.training_examples(), 16);
        let rows = batches.evaluation_batch(Split::Validation, 0, 2).unwrap();
        assert_eq!((rows.seq_len, &rows.lengths), (1024, &vec![1024; 2]));
        let ids = rows.input_ids.clone();
        let mask = rows.into_tensors(&Device::flex()).unwrap().0.attention_mask;
        (ids, mask.map(|mask| mask.into_data().iter::<i32>().collect::<Vec<i32>>()))
    };
    let (ids, mask) = batch(&[]);
    assert!(ids.contains(&0) && mask.is_none());
    let (same, mask) = batch(&["task.mask_black_pixels=true"]);
    let expected: Vec<i32> = ids.iter().map(|id| i32::from(*id != 0)).collect();
    assert_eq!((same, mask), (ids, Some(expected)));
    // Texts have no pixels.
    let error = Fixture::of_reviews().batches(&["task.mask_black_pixels=true"]).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
}

#[test]
fn rows_without_a_label_are_refused_in_training_and_not_measured_in_a_test() {
    let fixture = Fixture::of_reviews();
    let row = |number: usize| format!("{},", review(number));
    fixture.write_csv(Split::Test, "sentence,label", (80..84).map(row));
    let batches = fixture.batches(&[]).unwrap();
    assert_eq!(batches.evaluation_examples(Split::Test), 0);
    // They can be predicted all the same.
    assert_eq!(batches.evaluation_order(Split::Test).len(), 4);
    fixture.write_csv(Split::Validation, "sentence,label", (60..64).map(row));
    let error = fixture.batches(&[]).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains("validation.csv:2: "), "{error}");
}

/// As in `predict classify`, and in transformers where one text is encoded by itself.
#[test]
fn an_empty_second_text_is_none() {
    let fixture = Fixture::of_reviews();
    for (split, numbers) in [(Split::Train, 0..6), (Split::Validation, 6..9), (Split::Test, 9..12)]
    {
        let row = |number: usize| {
            let second = if number.is_multiple_of(2) { "" } else { "the music" };
            format!("{},{second},{}", review(number), number % 3)
        };
        fixture.write_csv(split, "sentence,second,label", numbers.map(row));
    }
    let batches = fixture.batches(&["task.sentence2=second", "data.shuffle=false"]).unwrap();
    let tokenizer = batches.tokenizer().unwrap();
    let encode = |number: usize, second: Option<&str>| -> Vec<i32> {
        let ids = tokenizer.encode_text(&review(number), second, None).unwrap().input_ids;
        ids.into_iter().map(|id| id as i32).collect()
    };
    let rows = texts(&batches.training_step(0, 6, 6).unwrap());
    for number in 0..6 {
        let second = if number % 2 == 0 { None } else { Some("the music") };
        assert!(rows.contains(&encode(number, second)), "{number}: {rows:?}");
    }
}
