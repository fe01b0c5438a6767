//! The files beside a tokenizer do what they do in transformers.
//!
//! `settings.json` is written by `tools/reference/generate_settings_fixtures.py`.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use nystromformer_data::{
    Keep, TextTokenizer, TrainedAnswers, TrainedReading, Truncation, WindowPooling,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{fixture, read};

#[derive(Deserialize)]
struct Settings {
    vocabularies: BTreeMap<String, String>,
    cases: Vec<Case>,
}

/// A folder, and what transformers makes of it.
#[derive(Deserialize)]
struct Case {
    vocabulary: String,
    files: BTreeMap<String, Value>,
    rows: Vec<Row>,
    windows: Option<Windows>,
    vocab_size: usize,
    /// The last entries of the vocabulary, at most six.
    entries: Vec<String>,
}

#[derive(Deserialize)]
struct Row {
    text: String,
    pair: Option<String>,
    max_length: Option<usize>,
    input_ids: Vec<u32>,
}

/// Windows of 10 tokens that overlap by one.
#[derive(Deserialize)]
struct Windows {
    question: String,
    context: String,
    input_ids: Vec<Vec<u32>>,
}

fn write(folder: &Path, case: &Case, vocabularies: &BTreeMap<String, String>) {
    let name = if case.vocabulary == "text" { "vocab.txt" } else { "tokenizer.json" };
    fs::write(folder.join(name), &vocabularies[&case.vocabulary]).unwrap();
    for (name, content) in &case.files {
        fs::write(folder.join(name), content.to_string()).unwrap();
    }
}

#[test]
fn settings_do_what_they_do_in_transformers() {
    let Settings { vocabularies, cases } = read("settings.json");
    assert!(cases.len() > 50);
    for case in &cases {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), case, &vocabularies);
        let what = format!("{} {}", case.vocabulary, json!(case.files));
        let tokenizer = TextTokenizer::load(folder.path(), true).unwrap();
        assert_eq!(tokenizer.vocab_size(), case.vocab_size, "{what}");
        let last = case.vocab_size - case.entries.len();
        for (id, entry) in (last as u32..).zip(&case.entries) {
            assert_eq!(tokenizer.id_to_token(id).as_ref(), Some(entry), "{what}");
        }
        let cut = |max_length| Truncation { max_length, keep: tokenizer.keep() };
        for Row { text, pair, max_length, input_ids } in &case.rows {
            let row = tokenizer.encode_text(text, pair.as_deref(), max_length.map(cut)).unwrap();
            assert_eq!(row.input_ids, *input_ids, "{what}: {text:?} {pair:?} {max_length:?}");
        }
        if let Some(Windows { question, context, input_ids }) = &case.windows {
            let windows = tokenizer.encode_windows(question, context, 10, 1).unwrap();
            let found: Vec<_> = windows.into_iter().map(|window| window.input_ids).collect();
            assert_eq!(found, *input_ids, "{what}");
        }
        // What a run of ours would save reads texts alike.
        let saved = tempfile::tempdir().unwrap();
        fs::write(saved.path().join("tokenizer.json"), tokenizer.to_json()).unwrap();
        let mut keys = tokenizer.settings(TrainedReading::default());
        keys.insert("tokenizer_class".to_owned(), json!("PreTrainedTokenizerFast"));
        let SpecialNames { names } = SpecialNames::of(&tokenizer);
        keys.extend(names);
        fs::write(saved.path().join("tokenizer_config.json"), json!(keys).to_string()).unwrap();
        let again = TextTokenizer::load(saved.path(), true).unwrap();
        assert_eq!(again.hash(), tokenizer.hash(), "{what}");
        assert_eq!(again.keep(), tokenizer.keep(), "{what}");
    }
}

/// The special tokens by transformers' names of their roles.
struct SpecialNames {
    names: serde_json::Map<String, Value>,
}

impl SpecialNames {
    fn of(tokenizer: &TextTokenizer) -> Self {
        let tokens = tokenizer.special_tokens();
        let names = [
            ("pad", &tokens.pad),
            ("unk", &tokens.unk),
            ("cls", &tokens.cls),
            ("sep", &tokens.sep),
            ("mask", &tokens.mask),
        ]
        .map(|(role, token)| (format!("{role}_token"), json!(token)));
        Self { names: names.into_iter().collect() }
    }
}

/// BERT's fixture with `tokenizer_config.json`.
fn configured(config: &Value) -> Result<TextTokenizer, String> {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(fixture("bert/vocab.txt"), folder.path().join("vocab.txt")).unwrap();
    fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).unwrap();
    TextTokenizer::load(folder.path(), true).map_err(|error| error.to_string())
}

#[test]
fn how_a_model_was_trained_travels_with_its_tokenizer() {
    let plain = configured(&json!({ "model_max_length": 512 })).unwrap();
    assert_eq!((plain.model_max_length(), plain.trained_truncation()), (Some(512), None));
    assert_eq!(plain.keep(), Keep::Head);
    for keep in [Keep::Head, Keep::Tail, Keep::HeadTail] {
        let trained = Truncation { max_length: 16, keep };
        let tokenizer = configured(
            &plain
                .settings(TrainedReading { truncation: Some(trained), ..TrainedReading::default() })
                .into(),
        )
        .unwrap();
        assert_eq!(tokenizer.trained_truncation(), Some(trained));
        assert_eq!((tokenizer.model_max_length(), tokenizer.keep()), (Some(16), keep));
    }
    let unlimited =
        configured(&json!({ "model_max_length": 1e30, "clean_up_tokenization_spaces": true }));
    let unlimited = unlimited.unwrap();
    assert_eq!(unlimited.model_max_length(), None);
    assert_eq!(unlimited.settings(TrainedReading::default())["clean_up_tokenization_spaces"], true);
    let message = configured(&json!({ "truncation_side": "middle" })).unwrap_err();
    assert!(message.contains("`truncation_side` is `middle`"), "{message}");
    let message = configured(&json!({ "trained_truncation": 16 })).unwrap_err();
    assert!(message.contains("`trained_truncation`"), "{message}");
    let answers =
        TrainedAnswers { no_answer: true, max_answer_length: NonZeroUsize::new(7).unwrap() };
    let windows =
        nystromformer_data::Windows { stride: 3, max_windows: 9, pooling: WindowPooling::Max };
    assert_eq!((plain.trained_windows(), unlimited.trained_windows()), (None, None));
    let settings = plain
        .settings(TrainedReading {
            truncation: Some(Truncation::head(16)),
            windows: Some(windows),
            answers: Some(answers),
        })
        .into();
    let read = configured(&settings).unwrap();
    assert_eq!((read.trained_windows(), read.trained_answers()), (Some(windows), Some(answers)));
    let message = configured(&json!({ "trained_windows": { "stride": 3 } })).unwrap_err();
    assert!(message.contains("`trained_windows`: missing field `max_windows`"), "{message}");
}

#[test]
fn both_ends_of_a_text_are_kept() {
    let tokenizer = configured(&json!({})).unwrap();
    let ids = |text: &str, pair: Option<&str>, truncation| {
        tokenizer.encode_text(text, pair, truncation).unwrap().input_ids
    };
    let (text, pair) = ("a b c d e f g", "h i j k l");
    let all = ids(text, Some(pair), None);
    assert_eq!(all.len(), 15);
    let cut = ids(text, Some(pair), Some(Truncation::head_tail(11)));
    // Four of each: the longer text's first two and last two.
    let expected = [&all[..3], &all[6..9], &all[9..11], &all[12..15]].concat();
    assert_eq!(cut, expected);
    let alone = ids(text, None, Some(Truncation::head_tail(5)));
    assert_eq!(alone, [&all[..3], &all[7..9]].concat());
}

#[test]
fn entries_of_a_vocabulary_file_are_lines_as_in_python() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vocab.txt");
    let lines = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b ", "", "c"];
    let encode = |content: String| {
        fs::write(&path, content).unwrap();
        let tokenizer = TextTokenizer::load(&path, true).unwrap();
        (tokenizer.vocab_size(), tokenizer.encode("a b c [PAD]", true).unwrap())
    };
    let expected = (9, vec![2, 5, 1, 8, 0, 3]);
    for ending in ["\n", "\r\n", "\r"] {
        assert_eq!(encode(lines.join(ending)), expected, "{ending:?}");
        assert_eq!(encode(lines.join(ending) + ending), expected, "{ending:?}");
        // A byte order mark is none of the text. (transformers takes it for a part of `[PAD]`.)
        assert_eq!(encode(format!("\u{feff}{}", lines.join(ending))), expected, "{ending:?}");
    }
}

#[test]
fn the_first_id_beyond_a_model_is_named() {
    let tokenizer = configured(&json!({ "additional_special_tokens": ["<e>", "<f>"] })).unwrap();
    let size = tokenizer.vocab_size();
    assert_eq!(tokenizer.first_id_beyond(size), None);
    assert_eq!(tokenizer.first_id_beyond(size - 1), Some((size as u32 - 1, "<f>".to_owned())));
    assert_eq!(tokenizer.first_id_beyond(size - 2), Some((size as u32 - 2, "<e>".to_owned())));
}
