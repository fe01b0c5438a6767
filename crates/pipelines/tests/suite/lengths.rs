//! How long a row may be, and which ids there are: what the files of a folder say holds for every pipeline.

use std::{fs, num::NonZeroUsize, path::Path};

use burn::tensor::Device;
use nystromformer_pipelines::{
    Aggregation, FeatureExtraction, FeaturePooling, FillMask, Pipeline, PipelineError, Served,
    TextClassification, TextPair, TokenClassification,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixtures::{answers, assert_same, folder};

/// A copy of a model with keys of its `tokenizer_config.json` set.
fn with_settings(name: &str, settings: &Value) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    edit(copy.path(), "tokenizer_config.json", |config| {
        for (key, value) in settings.as_object().unwrap() {
            config[key] = value.clone();
        }
    });
    copy
}

fn edit(folder: &Path, file: &str, change: impl FnOnce(&mut Value)) {
    let path = folder.join(file);
    let mut value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

const WORDS: [&str; 10] =
    ["anna", "lives", "in", "paris", ".", "bob", "works", "not", "the", "film"];

/// Asserts that a pipeline answers to ten words as to some of them.
fn reads<P: Pipeline>(pipeline: &P, some: &[&str], what: &str) {
    let text = |words: &[&str]| json!({ "text": words.join(" ") });
    let found = answers(pipeline, &[text(&WORDS)], 1);
    assert_same(&found[0], &answers(pipeline, &[text(some)], 1)[0], what);
}

#[test]
fn a_model_reads_what_it_was_trained_on_and_no_more() {
    let device = Device::flex();
    let both_ends = [&WORDS[..2], &WORDS[8..]].concat();
    for (keep, some) in
        [("head", &WORDS[..4]), ("tail", &WORDS[6..]), ("head_tail", both_ends.as_slice())]
    {
        let settings = json!({ "trained_truncation": { "max_length": 6, "keep": keep } });
        let copy = with_settings("single_label", &settings);
        reads(&TextClassification::load(copy.path(), &device).unwrap(), some, keep);
        let pooled = FeatureExtraction::load(copy.path(), &device, FeaturePooling::Mean).unwrap();
        reads(&pooled, some, keep);
    }
}

/// A model that was trained to read long texts in windows gives one answer, from the outputs of single windows. What is computed
/// beside a window changes no bit of them.
#[test]
fn a_long_text_is_answered_by_all_of_its_windows() {
    let device = Device::flex();
    let plain = TextClassification::load(&folder("single_label"), &device).unwrap();
    let all = NonZeroUsize::new(99).unwrap();
    let plain = Served::new(plain.with_top_k(all));
    let alone = |words: &[&str]| {
        let rows = plain.rows(&words.join(" ").as_str().into()).unwrap();
        (rows[0].encoding.input_ids.clone(), plain.scores(&[&rows[0]]).unwrap().remove(0))
    };
    // Rows of six tokens, two of them special ones; the last window reaches back.
    let by_hand = [alone(&WORDS[..4]), alone(&WORDS[3..7]), alone(&WORDS[6..])];
    for (pooling, max_windows) in [("mean", 9), ("max", 9), ("mean", 2)] {
        let settings = json!({
            "trained_truncation": { "max_length": 6, "keep": "head" },
            "trained_windows": { "stride": 1, "max_windows": max_windows, "pooling": pooling }
        });
        let copy = with_settings("single_label", &settings);
        let served = TextClassification::load(copy.path(), &device).unwrap();
        let served = Served::new(served.with_top_k(all));
        let expected = &by_hand[..max_windows.min(3)];
        let request = TextPair::from(WORDS.join(" ").as_str());
        let rows = served.rows(&request).unwrap();
        let ids = rows.iter().map(|row| &row.encoding.input_ids);
        assert!(ids.eq(expected.iter().map(|(ids, _)| ids)));
        let cut: usize = rows.iter().map(|row| row.encoding.num_truncated_tokens).sum();
        assert_eq!(cut, if max_windows == 2 { 3 } else { 0 });
        let scores = served.scores(&rows.iter().collect::<Vec<_>>()).unwrap();
        assert!(scores.iter().eq(expected.iter().map(|(_, scores)| scores)));
        let classes = scores[0].len();
        let pooled: Vec<f32> = (0..classes)
            .map(|class| {
                let scores = scores.iter().map(|scores| f64::from(scores[class]));
                let pooled = match pooling {
                    "mean" => scores.sum::<f64>() / expected.len() as f64,
                    _ => scores.fold(f64::NEG_INFINITY, f64::max),
                };
                pooled as f32
            })
            .collect();
        let answer = |classified| serde_json::to_value(classified).unwrap();
        let rows: Vec<_> = rows.into_iter().zip(scores).collect();
        let found = answer(served.pipeline().postprocess(request.clone(), rows).unwrap());
        let of_row = served.rows(&"anna".into()).unwrap().remove(0);
        let expected = plain.pipeline().postprocess(request, vec![(of_row, pooled)]).unwrap();
        assert_eq!(found, answer(expected), "{pooling}");
        // In a stream beside other texts it has the same answer.
        let stream = [json!({ "text": "anna" }), json!({ "text": WORDS.join(" ") })];
        assert_same(&answers(served.pipeline(), &stream, 4)[1], &found, pooling);
        // A short text, and a pair, are read as ever.
        let short = answers(served.pipeline(), &[json!({ "text": WORDS[..4].join(" ") })], 1);
        assert_eq!(short, answers(plain.pipeline(), &[json!({ "text": WORDS[..4].join(" ") })], 1));
        let pair = TextPair { text: WORDS.join(" "), text_pair: Some("bob".to_owned()) };
        assert_eq!(served.rows(&pair).unwrap().len(), 1);
    }
}

#[test]
fn truncation_side_is_followed() {
    let device = Device::flex();
    for (side, some) in [("right", &WORDS[..4]), ("left", &WORDS[6..])] {
        let settings = json!({ "model_max_length": 6, "truncation_side": side });
        let copy = with_settings("tokens", &settings);
        let tagger = TokenClassification::load(copy.path(), &device, Aggregation::None).unwrap();
        let tagger = tagger.with_ignore_labels(Vec::new());
        let ask = |words: &[&str]| answers(&tagger, &[json!({ "tokens": words })], 1);
        let words = |found: &[Value]| -> Vec<String> {
            let entities = found[0].as_array().unwrap();
            entities.iter().map(|entity| entity["word"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(words(&ask(&WORDS)), words(&ask(some)), "{side}");
    }
}

#[test]
fn what_transformers_does_not_cut_is_read_whole() {
    let copy = with_settings("single_label", &json!({ "model_max_length": 6 }));
    let device = Device::flex();
    let told = TextClassification::load(copy.path(), &device).unwrap();
    let plain = TextClassification::load(&folder("single_label"), &device).unwrap();
    let text = [json!({ "text": WORDS.join(" ") })];
    assert_same(&answers(&told, &text, 1)[0], &answers(&plain, &text, 1)[0], "model_max_length");
}

#[test]
fn a_tokenizer_with_more_ids_than_the_model_is_refused_by_the_first() {
    let settings = json!({ "additional_special_tokens": ["<e>", "<f>"] });
    let copy = with_settings("fill_mask", &settings);
    let error = FillMask::load(copy.path(), &Device::flex()).unwrap_err();
    assert!(matches!(&error, PipelineError::Vocabulary { id: 89, token, .. } if token == "<e>"));
    let message = error.to_string();
    assert!(message.contains("`<e>` has the id `89`"), "{message}");
    assert!(message.contains("vocab_size = 89"), "{message}");
}

#[test]
fn a_mask_is_filled_with_entries_of_the_vocabulary_only() {
    let copy = with_settings("fill_mask", &json!({}));
    edit(copy.path(), "tokenizer.json", |tokenizer| {
        // The likeliest two in transformers' answer.
        let vocabulary = tokenizer["model"]["vocab"].as_object_mut().unwrap();
        assert!(vocabulary.remove("##ing").is_some() && vocabulary.remove("in").is_some());
    });
    let filler = FillMask::load(copy.path(), &Device::flex()).unwrap().with_top_k(200);
    let found = answers(&filler, &[json!({ "text": "Anna works [MASK]." })], 1);
    let candidates = found[0].as_array().unwrap();
    assert_eq!(candidates.len(), 87);
    assert!(candidates.iter().all(|candidate| candidate["token_str"] != ""));
}
