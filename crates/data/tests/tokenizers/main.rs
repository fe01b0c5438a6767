//! Tokenizers in foreign forms, beside what Python's tokenizers make of the same files and texts.
//!
//! The fixtures are written by `tools/reference/generate_tokenizer_fixtures.py`.
//!
//! | module | shows |
//! |---|---|
//! | `settings` | the files beside a tokenizer do what they do in transformers |
//! | `hostile` | damaged files are refused, or what is read of them is sound |

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod hostile;
mod settings;

use std::fs;
use std::path::{Path, PathBuf};

use nystromformer_data::{Encoding, TextTokenizer, Truncation};
use serde::Deserialize;
use serde::de::DeserializeOwned;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&fs::read(fixture(name)).unwrap()).unwrap()
}

fn load(name: &str) -> TextTokenizer {
    TextTokenizer::load(&fixture(name), true).unwrap()
}

#[derive(Deserialize)]
struct Row {
    input_ids: Vec<u32>,
    token_type_ids: Vec<u32>,
    starts: Vec<usize>,
    ends: Vec<usize>,
    word_ids: Vec<Option<u32>>,
    sequence_ids: Vec<Option<usize>>,
}

impl From<Row> for Encoding {
    fn from(row: Row) -> Self {
        Self {
            input_ids: row.input_ids,
            token_type_ids: row.token_type_ids,
            offsets: row.starts.into_iter().zip(row.ends).collect(),
            word_ids: row.word_ids,
            sequence_ids: row.sequence_ids,
            num_truncated_tokens: 0,
        }
    }
}

#[derive(Deserialize)]
struct TextCase {
    text: String,
    pair: Option<String>,
    max_length: Option<usize>,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct WindowsCase {
    question: String,
    context: String,
    max_length: usize,
    stride: usize,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct WordsCase {
    words: Vec<String>,
    max_length: Option<usize>,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Encodings {
    texts: Vec<TextCase>,
    windows: Vec<WindowsCase>,
    words: Vec<WordsCase>,
}

/// Loads a folder and compares every encoding in its `encodings.json`.
fn encodes_as_transformers(name: &str) {
    let tokenizer = load(name);
    let expected: Encodings = read(&format!("{name}/encodings.json"));
    let rows = |rows: Vec<Row>| rows.into_iter().map(Encoding::from).collect::<Vec<_>>();
    for TextCase { text, pair, max_length, rows: expected } in expected.texts {
        let row = tokenizer
            .encode_text(&text, pair.as_deref(), max_length.map(Truncation::head))
            .unwrap();
        let whole = tokenizer.encode_text(&text, pair.as_deref(), None).unwrap();
        // Python also lists what was cut off; the first row is the encoding.
        assert_cut(row, &whole, &rows(expected)[0]);
    }
    for WindowsCase { question, context, max_length, stride, rows: expected } in expected.windows {
        let windows = tokenizer.encode_windows(&question, &context, max_length, stride).unwrap();
        assert_eq!(windows, rows(expected), "{question:?} {context:?} {max_length} {stride}");
    }
    for WordsCase { words, max_length, rows: expected } in expected.words {
        let row = tokenizer.encode_words(&words, max_length.map(Truncation::head)).unwrap();
        let whole = tokenizer.encode_words(&words, None).unwrap();
        assert_cut(row, &whole, &rows(expected)[0]);
    }
}

/// Asserts that `row` is what is expected, and says how many tokens of `whole` are not in it.
fn assert_cut(row: Encoding, whole: &Encoding, expected: &Encoding) {
    assert_eq!(whole.num_truncated_tokens, 0);
    assert_eq!(row.num_truncated_tokens, whole.input_ids.len() - row.input_ids.len());
    assert_eq!(Encoding { num_truncated_tokens: 0, ..row }, *expected);
}

#[test]
fn bert_vocabularies_encode_as_transformers_does() {
    encodes_as_transformers("bert");
}

#[test]
fn roberta_merges_encode_as_transformers_does() {
    encodes_as_transformers("roberta");
}

#[derive(Deserialize)]
struct Pair {
    texts: [String; 2],
    input_ids: Vec<u32>,
    token_type_ids: Vec<u32>,
}

#[derive(Deserialize)]
struct Ids {
    lines: Vec<(String, Vec<u32>)>,
    pairs: Vec<Pair>,
}

#[test]
fn sentence_pieces_are_those_of_the_sentencepiece_package() {
    let tokenizer = load("albert");
    let ids = tokenizer.special_ids();
    assert_eq!([ids.pad, ids.unk, ids.cls, ids.sep, ids.mask], [0, 1, 2, 3, 4]);
    let expected: Ids = read("albert/ids.json");
    assert!(expected.lines.len() > 200);
    assert!(expected.lines.iter().any(|(line, _)| line.contains(['ि', 'ั', '\u{fe0f}'])));
    for (line, ids) in expected.lines {
        assert_eq!(tokenizer.encode(&line, false).unwrap(), ids, "{line:?}");
    }
    for Pair { texts: [first, second], input_ids, token_type_ids } in expected.pairs {
        let row = tokenizer.encode_text(&first, Some(&second), None).unwrap();
        assert_eq!((row.input_ids, row.token_type_ids), (input_ids, token_type_ids));
    }
}

#[test]
fn a_converted_tokenizer_is_the_same_from_its_json() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["albert", "bert", "roberta"] {
        let tokenizer = load(name);
        fs::write(folder.path().join("tokenizer.json"), tokenizer.to_json()).unwrap();
        let again = TextTokenizer::load(folder.path(), true).unwrap();
        assert_eq!(again.hash(), tokenizer.hash(), "{name}");
        let cut = Some(Truncation::head(20));
        let (text, pair) = ("  A well-known café, (1977, 42).", Some("[MASK] <mask> 9,9"));
        let row = tokenizer.encode_text(text, pair, cut).unwrap();
        assert_eq!(again.encode_text(text, pair, cut).unwrap(), row, "{name}");
    }
}

/// A folder with the SentencePiece fixture and a `tokenizer_config.json`.
fn configured(config: &str) -> Result<TextTokenizer, String> {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(fixture("albert/spiece.model"), folder.path().join("spiece.model")).unwrap();
    fs::write(folder.path().join("tokenizer_config.json"), config).unwrap();
    TextTokenizer::load(folder.path(), true).map_err(|error| error.to_string())
}

#[test]
fn the_settings_beside_a_spiece_model_hold() {
    let pieces = |config: &str, text: &str| {
        let tokenizer = configured(config).unwrap();
        let ids = tokenizer.encode(text, false).unwrap();
        ids.into_iter().map(|id| tokenizer.id_to_token(id).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(pieces("{}", "Á"), pieces("{}", "a"));
    assert_eq!(pieces(r#"{"do_lower_case": false}"#, "q"), pieces("{}", "Q"));
    assert_ne!(pieces(r#"{"do_lower_case": false}"#, "Q"), pieces("{}", "Q"));
    assert_ne!(pieces(r#"{"keep_accents": true}"#, "á"), pieces("{}", "á"));
    assert_ne!(pieces(r#"{"remove_space": false}"#, "a\u{85}b"), pieces("{}", "a\u{85}b"));
    let message = configured(r#"{"tokenizer_class": "XLMRobertaTokenizer"}"#).unwrap_err();
    assert!(message.contains("`XLMRobertaTokenizer`"), "{message}");
}

#[test]
fn what_leaves_no_room_is_refused() {
    let tokenizer = load("bert");
    let message = |result: Result<Vec<Encoding>, nystromformer_data::DataError>| {
        result.unwrap_err().to_string()
    };
    let refused = message(
        tokenizer.encode_text("paris", Some("paris"), Some(Truncation::head(2))).map(|_| vec![]),
    );
    assert!(refused.contains("3 special tokens") && refused.contains("`2`"), "{refused}");
    let context = "paris ".repeat(40);
    let refused = message(tokenizer.encode_windows("paris", &context, 14, 10));
    assert!(refused.contains("overlap by `10`") && refused.contains("`14`"), "{refused}");
    assert_eq!(tokenizer.encode_windows("paris", &context, 15, 10).unwrap().len(), 30);
    // As many are counted as are made, and none is made where that is too many.
    for (words, max_length, stride) in
        [(1, 9, 2), (4, 9, 2), (5, 9, 2), (6, 9, 2), (40, 15, 10), (40, 20, 3), (41, 9, 4)]
    {
        let context = "paris ".repeat(words);
        let made = tokenizer.encode_windows("paris", &context, max_length, stride).unwrap().len();
        let up_to =
            |most| tokenizer.encode_windows_up_to("paris", &context, max_length, stride, most);
        assert_eq!(up_to(made).unwrap().len(), made);
        let refused = message(up_to(made - 1));
        assert!(refused.contains(&format!("`{made}` windows")), "{refused}");
    }
    let long =
        tokenizer.encode_windows_up_to(&"a ".repeat(380), &"b ".repeat(900_000), 384, 0, 128);
    assert!(message(long).contains("`900000` windows"));
    let refused = message(tokenizer.encode_windows(&context, "paris", 20, 0));
    assert!(refused.contains("shorten the question"), "{refused}");
}
