//! How much of a text a vocabulary cannot spell.

use crate::config::{TokenizerConfig, TokenizerKind};

/// Above this share it is told with a cure.
const MOST: f64 = 0.01;

/// Tokens that stand for what a vocabulary cannot spell, among all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnknownTokens {
    /// Tokens that stand for something unknown.
    pub unknown: u64,
    /// All tokens of text.
    pub tokens: u64,
}

impl UnknownTokens {
    /// Counts the ids of a text, of which `unk` is the unknown one.
    pub fn count(&mut self, ids: impl IntoIterator<Item = u32>, unk: u32) {
        for id in ids {
            self.tokens += 1;
            self.unknown += u64::from(id == unk);
        }
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: Self) {
        self.unknown += other.unknown;
        self.tokens += other.tokens;
    }

    /// The unknown ones' share, from 0 to 1.
    pub fn share(self) -> f64 {
        if self.tokens == 0 { 0.0 } else { self.unknown as f64 / self.tokens as f64 }
    }

    /// Logs the share of unknown tokens in `text`; with `cure` as a warning if it is above 1 %.
    pub fn tell(self, text: &str, cure: &str) {
        let percent = 100.0 * self.share();
        let Self { unknown, tokens } = self;
        if self.share() > MOST {
            tracing::warn!(
                "{text}: {percent:.2} % of its tokens are unknown to the vocabulary ({unknown} of {tokens}), \
                 and nothing is learnt of what they stand for: {cure}"
            );
        } else {
            tracing::info!(
                "{text}: {percent:.2} % of {tokens} tokens are unknown to the vocabulary"
            );
        }
    }
}

/// What to change so that a tokenizer knows more of a text.
pub(crate) fn cure(config: &TokenizerConfig) -> String {
    if let Some(path) = &config.path {
        return format!(
            "set `tokenizer.path` to a tokenizer of this text's language instead of `{}`, or leave it out to \
             train one",
            path.display()
        );
    }
    match config.kind {
        TokenizerKind::Bpe => {
            "it is trained on bytes, so the text holds its unknown token itself".to_owned()
        }
        TokenizerKind::WordPiece | TokenizerKind::Unigram => format!(
            "raise {}, or set `tokenizer.kind = \"bpe\"`, to which nothing is unknown",
            alphabet_key(config)
        ),
    }
}

/// The key that bounds how many characters a trained tokenizer knows.
pub(crate) fn alphabet_key(config: &TokenizerConfig) -> String {
    if config.max_alphabet <= config.vocab_size / 4 {
        format!("`tokenizer.max_alphabet = {}`", config.max_alphabet)
    } else {
        format!(
            "`tokenizer.vocab_size = {}`, of which a quarter is for single characters",
            config.vocab_size
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_counted_over_all_texts() {
        let mut counted = UnknownTokens::default();
        assert!(counted.share().abs() < f64::EPSILON);
        counted.count([5, 1, 6], 1);
        counted.add(UnknownTokens { unknown: 1, tokens: 5 });
        assert_eq!(counted, UnknownTokens { unknown: 2, tokens: 8 });
        assert!((counted.share() - 0.25).abs() < 1e-12);
    }

    #[test]
    fn the_key_that_binds_is_named() {
        let told = |max_alphabet, vocab_size| {
            cure(&TokenizerConfig { vocab_size, max_alphabet, ..TokenizerConfig::default() })
        };
        assert!(told(1_000, 16_000).contains("`tokenizer.max_alphabet = 1000`"));
        assert!(told(1_000, 2_000).contains("`tokenizer.vocab_size = 2000`"));
        let path = Some("bert".into());
        let told = cure(&TokenizerConfig { path, ..TokenizerConfig::default() });
        assert!(told.contains("`tokenizer.path`") && told.contains("`bert`"), "{told}");
    }
}
