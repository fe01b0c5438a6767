//! Tokenizers: SentencePiece's models, and `tokenizer.json`.

use std::path::Path;

use nystromformer_data::TextTokenizer;

use super::{fixture_file, read_mutants};

/// Loads the folder in which the file lies; what loads encodes, and decodes what it encoded.
fn load(file: &Path) -> Result<(), String> {
    let text = "Paris is the capital of France. ﬁn 12";
    TextTokenizer::load(file.parent().unwrap(), true)
        .and_then(|tokenizer| tokenizer.decode(&tokenizer.encode(text, true)?, false))
        .map(drop)
        .map_err(|error| error.to_string())
}

#[test]
fn sentencepiece_models() {
    let folder = tempfile::tempdir().unwrap();
    let seed = fixture_file("data/tests/fixtures/albert/spiece.model");
    read_mutants(&[seed], &folder.path().join("spiece.model"), load);
}

#[test]
fn tokenizer_json_files() {
    let folder = tempfile::tempdir().unwrap();
    let seed = fixture_file("interop/tests/fixtures/safetensors/tokenizer.json");
    read_mutants(&[seed], &folder.path().join("tokenizer.json"), load);
}
