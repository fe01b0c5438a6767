//! What a text goes through before and after the model of a trained tokenizer.

use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::bpe::BPE;
use tokenizers::models::unigram::Unigram;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::normalizers::{
    BertNormalizer, Lowercase, NFC, NFD, NFKC, Replace, Sequence, Strip,
};
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::{NormalizerWrapper, Tokenizer};

use super::Failure;
use crate::config::{TokenizerConfig, TokenizerKind};

/// Unicode's blocks of accents, which letters of any script may bear, and of variation selectors.
const ACCENTS: &str = "[\u{300}-\u{36f}\u{483}-\u{487}\u{1ab0}-\u{1abd}\u{1dc0}-\u{1dff}\u{20d0}-\u{20dc}\
                       \u{20e1}\u{20e5}-\u{20f0}\u{fe00}-\u{fe0f}\u{fe20}-\u{fe2f}]";

/// Normaliser, splitter and decoder of each kind, around an empty model.
pub(super) fn pipeline(config: &TokenizerConfig) -> Result<Tokenizer, Failure> {
    let accents = if config.strips_accents() { without_accents()? } else { Vec::new() };
    let lowercase = config.lowercase.then_some(NormalizerWrapper::Lowercase(Lowercase));
    let with = |first: Vec<NormalizerWrapper>| {
        let steps = first.into_iter().chain(accents).chain(lowercase);
        Sequence::new(steps.collect())
    };
    Ok(match config.kind {
        TokenizerKind::WordPiece => {
            let mut tokenizer = Tokenizer::new(WordPiece::default());
            let cleaning = BertNormalizer::new(true, true, Some(false), false);
            tokenizer
                .with_normalizer(Some(with(vec![cleaning.into()])))?
                .with_pre_tokenizer(Some(BertPreTokenizer))
                .with_decoder(Some(WordPieceDecoder::new("##".to_owned(), true)));
            tokenizer
        }
        TokenizerKind::Bpe => {
            let byte_level = ByteLevel::new(false, true, true);
            let mut tokenizer = Tokenizer::new(BPE::default());
            tokenizer
                .with_normalizer(Some(with(vec![NFC.into()])))?
                .with_pre_tokenizer(Some(byte_level))
                .with_decoder(Some(byte_level));
            tokenizer
        }
        TokenizerKind::Unigram => {
            let blanks = Replace::new(ReplacePattern::Regex(r"\s+".to_owned()), " ")?;
            let steps = vec![NFKC.into(), blanks.into(), Strip::new(true, true).into()];
            let metaspace = Metaspace::new('▁', PrependScheme::Always, true);
            let mut tokenizer = Tokenizer::new(Unigram::default());
            tokenizer
                .with_normalizer(Some(with(steps)))?
                .with_pre_tokenizer(Some(metaspace.clone()))
                .with_decoder(Some(metaspace));
            tokenizer
        }
    })
}

/// BERT's normalizer, where a tokenizer of this kind could have it. It takes every mark for an accent: it reads が as
/// か, and a word of Thai without its vowels.
pub(super) fn berts_own(config: &TokenizerConfig) -> Option<BertNormalizer> {
    let is_of_bert = config.kind == TokenizerKind::WordPiece;
    is_of_bert.then(|| BertNormalizer::new(true, true, config.strip_accents, config.lowercase))
}

/// Steps that take accents off, and put together again what they took apart.
fn without_accents() -> Result<Vec<NormalizerWrapper>, Failure> {
    let accents = Replace::new(ReplacePattern::Regex(ACCENTS.to_owned()), "")?;
    Ok(vec![NFD.into(), accents.into(), NFC.into()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenizers::{NormalizedString, Normalizer};

    fn normalised(config: &TokenizerConfig, text: &str) -> String {
        let mut text = NormalizedString::from(text);
        pipeline(config).unwrap().get_normalizer().unwrap().normalize(&mut text).unwrap();
        text.get().to_owned()
    }

    #[test]
    fn accents_go_and_the_marks_of_other_scripts_stay() {
        let config = TokenizerConfig::default();
        for (text, expected) in [
            ("Café NAÏVE Ångström", "cafe naive angstrom"),
            ("Ёлка й Ώρα", "елка и ωρα"),
            ("がぱ ガ", "がぱ ガ"),
            ("か\u{3099}", "が"),
            ("한국어", "한국어"),
            ("ที่นี่", "ที่นี่"),
            ("हिन्दी", "हिन्दी"),
            ("❤\u{fe0f} x\u{336}", "❤ x"),
            ("İ", "i"),
        ] {
            assert_eq!(normalised(&config, text), expected);
            let kept = TokenizerConfig { strip_accents: Some(false), ..config.clone() };
            assert_eq!(normalised(&kept, "É が"), "é が");
            let cased = TokenizerConfig { lowercase: false, ..config.clone() };
            assert_eq!(normalised(&cased, "É"), "É");
        }
        for kind in [TokenizerKind::Bpe, TokenizerKind::Unigram] {
            let config = TokenizerConfig { kind, ..TokenizerConfig::default() };
            assert_eq!(normalised(&config, "Éa"), "éa");
            let stripping = TokenizerConfig { strip_accents: Some(true), ..config };
            assert_eq!(normalised(&stripping, "Éa が"), "ea が");
        }
    }

    #[test]
    fn of_european_text_the_words_are_as_berts_own_normalizer_has_them() {
        let bert = berts_own(&TokenizerConfig::default()).unwrap();
        for text in
            ["Žluťoučký KŮŇ, 42 €", "naïve—façade…", "Ελληνικά ΆΣ", "Ёж и йод", "日本 ok", "ﬁ ™ ①"]
        {
            let mut theirs = NormalizedString::from(text);
            bert.normalize(&mut theirs).unwrap();
            assert_eq!(normalised(&TokenizerConfig::default(), text), theirs.get(), "{text}");
        }
    }
}
