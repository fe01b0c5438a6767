//! Tokenizers: SentencePiece's models, and `tokenizer.json`.

use std::path::Path;

use nystromformer_data::TextTokenizer;

use super::{fixture_file, read_mutants};

/// Loads the folder in which the file lies; what loads encodes, by its own vocabulary.
fn load(file: &Path) -> Result<(), String> {
    let tokenizer =
        TextTokenizer::load(file.parent().unwrap(), true).map_err(|error| error.to_string())?;
    match tokenizer.encode("Paris is the capital of France. ﬁn 12", true) {
        Ok(ids) => assert!(ids.iter().all(|id| tokenizer.id_to_token(*id).is_some()), "{ids:?}"),
        Err(error) => return Err(error.to_string()),
    }
    Ok(())
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
