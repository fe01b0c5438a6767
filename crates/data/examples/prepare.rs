//! Prepares a corpus and says how long it took:
//! `cargo run --release --workspace --example prepare -- CORPUS KIND_OR_PATH VOCAB_SIZE CACHE_DIR`.
#![expect(clippy::print_stdout, reason = "an example's output is what it is for")]

use std::time::Instant;

use nystromformer_data::{DataConfig, DataError, TokenizerConfig, TokenizerKind, prepare};

fn main() -> Result<(), DataError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |index: usize, default: &str| {
        arguments.get(index).cloned().unwrap_or_else(|| default.to_owned())
    };
    let data = DataConfig {
        corpus: argument(0, "sample"),
        seq_len: 512,
        cache_dir: argument(3, "datasets/.cache").into(),
        ..DataConfig::default()
    };
    let (kind, path) = match argument(1, "wordpiece").as_str() {
        "wordpiece" => (TokenizerKind::WordPiece, None),
        "bpe" => (TokenizerKind::Bpe, None),
        "unigram" => (TokenizerKind::Unigram, None),
        path => (TokenizerKind::WordPiece, Some(path.into())),
    };
    let vocab_size = argument(2, "16000").parse().unwrap_or(16_000);
    let tokenizer = TokenizerConfig { kind, path, vocab_size, ..TokenizerConfig::default() };
    let start = Instant::now();
    let prepared = prepare(&data, &tokenizer, 0, &|_| {})?;
    println!("{:.1} s: {:?}", start.elapsed().as_secs_f64(), prepared.facts);
    println!(
        "vocabulary {} ({}), {} + {} blocks",
        prepared.tokenizer.vocab_size(),
        &prepared.tokenizer.hash()[..16],
        prepared.train.len(),
        prepared.validation.len()
    );
    Ok(())
}
