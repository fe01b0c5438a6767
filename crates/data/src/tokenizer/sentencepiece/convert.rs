//! A SentencePiece model as a pipeline of the `tokenizers` crate that gives the same ids.
//!
//! The ids are those of transformers' `AlbertTokenizer`, which cleans the text, splits it at special
//! tokens, has the `sentencepiece` package encode the parts and takes the comma off a number. They are
//! not those of `AlbertTokenizerFast` as transformers 4.56.2 makes it of a lone `spiece.model`: it splits
//! at user-defined symbols first and puts a blank in front of each part (`well-known` becomes
//! `▁well - ▁known`, in SentencePiece `▁well - known`), and it keeps a blank at the end of a text. A model
//! that was trained on SentencePiece's splits never saw those.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use tokenizers::decoders::metaspace::Metaspace as MetaspaceDecoder;
use tokenizers::models::unigram::Unigram;
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::normalizers::{
    Lowercase, NFKD, NormalizerWrapper, Precompiled, Replace, Sequence, Strip,
};
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::{AddedToken, Tokenizer};
use unicode_normalization_alignments::char::canonical_combining_class;

use super::model_file::{Algorithm, ModelFile, Piece, PieceKind};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Stands for a blank inside pieces.
const BLANK: char = '▁';
/// Larger files are refused unread; the largest published models have 5 MiB.
const LARGEST_FILE: u64 = 16 << 20;
/// The token that takes the blank before it, as in all tokenizers of transformers.
const MASK: &str = "[MASK]";

/// How a text is cleaned before SentencePiece sees it, by the keys of `tokenizer_config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct TextCleaning {
    /// `do_lower_case`.
    pub(in super::super) lowercase: bool,
    /// `remove_space`: all white space becomes single blanks.
    pub(in super::super) remove_space: bool,
    /// `keep_accents`; if not, characters are decomposed and lose their accents.
    pub(in super::super) keep_accents: bool,
}

/// The tokenizer of the model in `file`, without a post-processor.
pub(in super::super) fn read(file: &Path, cleaning: TextCleaning) -> Result<Tokenizer, Failure> {
    let mut bytes = Vec::new();
    File::open(file)?.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(format!("larger than {LARGEST_FILE} bytes; not a SentencePiece model").into());
    }
    let model = ModelFile::parse(&bytes)
        .map_err(|problem| format!("not a usable SentencePiece model: {problem}"))?;
    convert(&model, cleaning)
}

fn convert(model: &ModelFile, cleaning: TextCleaning) -> Result<Tokenizer, Failure> {
    if model.algorithm != Algorithm::Unigram {
        return Err(format!(
            "a SentencePiece model of type {:?}; only unigram models are read, so save its \
             tokenizer.json with transformers and use that",
            model.algorithm
        )
        .into());
    }
    if model.blank_as_suffix || !model.escape_whitespaces {
        return Err(
            "it marks words otherwise than by `▁` before them; save its tokenizer.json with \
                    transformers and use that"
                .into(),
        );
    }
    let unigram =
        Unigram::from(scored(&model.pieces), Some(model.unknown_id), model.byte_fallback)?;
    let mut tokenizer = Tokenizer::new(unigram);
    let prepend = if model.add_dummy_prefix { PrependScheme::Always } else { PrependScheme::Never };
    // A model that was trained across words has pieces with a blank inside; then a text is encoded
    // whole.
    let spans_words = |piece: &Piece| {
        piece.kind == PieceKind::Normal && piece.text.chars().skip(1).any(|c| c == BLANK)
    };
    let split = !model.pieces.iter().any(spans_words);
    tokenizer
        .with_normalizer(Some(normalizer(model, cleaning)?))?
        .with_pre_tokenizer(Some(Metaspace::new(BLANK, prepend, split)))
        .with_decoder(Some(MetaspaceDecoder::new(BLANK, prepend, split)));
    let special = |piece: &&Piece| matches!(piece.kind, PieceKind::Control | PieceKind::Unknown);
    tokenizer.add_special_tokens(
        model
            .pieces
            .iter()
            .filter(special)
            .map(|piece| AddedToken::from(piece.text, true).lstrip(piece.text == MASK)),
    )?;
    Ok(tokenizer)
}

/// The pieces with the scores that the `tokenizers` crate must see to take the same path.
fn scored(pieces: &[Piece]) -> Vec<(String, f64)> {
    /// What a piece like `9,` loses, so that a number and its comma stay apart, as in BERT.
    const COMMA_PENALTY: f64 = 100.0;
    let score = |piece: &Piece| match piece.kind {
        // Whatever the file says, version 0.2.3 of the `sentencepiece` package counts a tenth for
        // each byte after the first (found by bisection over models of four pieces).
        PieceKind::UserDefined => 0.1 * (piece.text.len() - 1) as f64,
        PieceKind::Normal if is_number_with_comma(piece.text) => {
            f64::from(piece.score) - COMMA_PENALTY
        }
        _ => f64::from(piece.score),
    };
    pieces.iter().map(|piece| (piece.text.to_owned(), score(piece))).collect()
}

/// Whether the last two characters are a digit and a comma.
fn is_number_with_comma(piece: &str) -> bool {
    let mut last = piece.chars().rev();
    last.next() == Some(',') && last.next().is_some_and(char::is_numeric)
}

/// The text as SentencePiece sees it: cleaned as transformers does, then by the model's own rules.
fn normalizer(model: &ModelFile, cleaning: TextCleaning) -> Result<Sequence, Failure> {
    /// What Python's `str.split` takes for white space, one blank on its own left out. Unicode's
    /// white space and four separators; spelt out, for regular expressions differ in what `\s` is.
    const WHITE_SPACE: &str = "[ \t-\r\u{1c}-\u{1f}\u{85}\u{a0}\u{1680}\u{2000}-\u{200a}\u{2028}\
                               \u{2029}\u{202f}\u{205f}\u{3000}]";
    let replace = |pattern: ReplacePattern, content: &str| {
        Replace::new(pattern, content).map(NormalizerWrapper::Replace)
    };
    let mut steps = Vec::new();
    if cleaning.remove_space {
        let lone = WHITE_SPACE.replacen("[ ", "[", 1);
        let pattern = ReplacePattern::Regex(format!("{WHITE_SPACE}{{2,}}|{lone}"));
        steps.extend([replace(pattern, " ")?, Strip::new(true, true).into()]);
    }
    for quotes in ["``", "''"] {
        steps.push(replace(quotes.into(), "\"")?);
    }
    if !cleaning.keep_accents {
        steps.extend([NFKD.into(), replace(ReplacePattern::Regex(combining_characters()), "")?]);
    }
    if cleaning.lowercase {
        steps.push(Lowercase.into());
    }
    if !model.charsmap.is_empty() {
        super::charsmap::check(model.charsmap)?;
        steps.push(Precompiled::from(model.charsmap)?.into());
    }
    if model.remove_extra_whitespaces {
        let blanks = ReplacePattern::Regex(" {2,}".to_owned());
        steps.extend([replace(blanks, " ")?, Strip::new(true, true).into()]);
    }
    Ok(Sequence::new(steps))
}

/// A pattern of the characters that Python's `unicodedata.combining` is not 0 for, which are what
/// transformers takes for accents. The `StripAccents` of the `tokenizers` crate takes off all marks, the
/// vowel signs of Indic scripts and variation selectors too.
fn combining_characters() -> String {
    let combining = ('\u{80}'..=char::MAX).filter(|c| canonical_combining_class(*c) != 0);
    let mut ranges: Vec<(char, char)> = Vec::new();
    for character in combining {
        match ranges.last_mut() {
            Some((_, last)) if u32::from(*last) + 1 == u32::from(character) => *last = character,
            _ => ranges.push((character, character)),
        }
    }
    // As they are: regular expressions differ in how they spell a character by its number.
    let spelt = ranges.iter().map(|(first, last)| format!("{first}-{last}"));
    format!("[{}]", spelt.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::super::model_file::tests::model_of;
    use super::*;

    const CLEANING: TextCleaning =
        TextCleaning { lowercase: true, remove_space: true, keep_accents: false };

    /// The texts of the pieces of `text`, by a model of these pieces and an unknown one.
    fn split(pieces: &[(&str, f32, u64)], text: &str) -> Vec<String> {
        let file = model_of(&[&[("<unk>", 0.0, 2)], pieces].concat());
        let tokenizer = convert(&ModelFile::parse(&file).unwrap(), CLEANING).unwrap();
        let ids = tokenizer.encode_fast(text, false).unwrap().get_ids().to_vec();
        ids.into_iter().map(|id| tokenizer.id_to_token(id).unwrap()).collect()
    }

    #[test]
    fn a_number_and_its_comma_stay_apart() {
        let pieces = [("▁9", -9.0, 1), (",", -9.0, 1), ("▁9,", -1.0, 1), ("▁a,", -1.0, 1)];
        assert_eq!(split(&pieces, "9, a,"), ["▁9", ",", "▁a,"]);
    }

    #[test]
    fn a_user_defined_symbol_weighs_as_much_as_in_sentencepiece() {
        // Whatever the file says: 0.2 for the three bytes of the dash, -2.0 with the `y`.
        let pieces = |score| [("▁x", -2.0, 1), ("y", -2.2, 1), ("–y", score, 1), ("–", -50.0, 4)];
        assert_eq!(split(&pieces(-1.95), "x–y"), ["▁x", "–y"]);
        assert_eq!(split(&pieces(-2.05), "x–y"), ["▁x", "–", "y"]);
    }

    #[test]
    fn pieces_over_several_words_are_found() {
        let pieces = [("▁of", -3.0, 1), ("▁the", -3.0, 1), ("▁of▁the", -4.0, 1)];
        assert_eq!(split(&pieces, " of  the\tthe "), ["▁of▁the", "▁the"]);
        assert!(split(&pieces, " \n ").is_empty());
    }

    #[test]
    fn control_symbols_are_special_and_the_mask_takes_its_blank() {
        let pieces = [("[MASK]", 0.0, 3), ("▁a", -1.0, 1), ("▁", -2.0, 1)];
        assert_eq!(split(&pieces, "a [MASK] a"), ["▁a", "[MASK]", "▁a"]);
    }

    #[test]
    fn other_kinds_of_model_are_refused() {
        let file = model_of(&[("<unk>", 0.0, 2), ("▁a", -1.0, 1)]);
        let model = ModelFile::parse(&file).unwrap();
        let refused = |model: ModelFile| convert(&model, CLEANING).unwrap_err().to_string();
        let message = refused(ModelFile { algorithm: Algorithm::Bpe, ..model.clone() });
        assert!(message.contains("type Bpe"), "{message}");
        let message = refused(ModelFile { blank_as_suffix: true, ..model.clone() });
        assert!(message.contains("before them"), "{message}");
        let message = refused(ModelFile { charsmap: &[4, 0, 0, 0, 1, 0, 0, 0], ..model });
        assert!(message.contains("unit 0 leads beyond its 1 units"), "{message}");
    }
}
