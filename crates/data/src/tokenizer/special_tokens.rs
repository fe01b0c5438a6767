//! The special tokens of a tokenizer.

/// The special tokens a masked language model needs, as their texts or as their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecialTokens<T> {
    /// Fills rows up to their length; never attended to.
    pub pad: T,
    /// Stands for what the vocabulary cannot spell.
    pub unk: T,
    /// Opens a block: `[CLS]`, or `<s>`.
    pub cls: T,
    /// Closes a block and separates documents: `[SEP]`, or `</s>`.
    pub sep: T,
    /// Stands in place of a token to predict.
    pub mask: T,
}

impl<T> SpecialTokens<T> {
    /// Applies `convert` to each token.
    pub(super) fn try_map<U, E>(
        &self,
        mut convert: impl FnMut(&'static str, &T) -> Result<U, E>,
    ) -> Result<SpecialTokens<U>, E> {
        Ok(SpecialTokens {
            pad: convert("pad", &self.pad)?,
            unk: convert("unk", &self.unk)?,
            cls: convert("cls", &self.cls)?,
            sep: convert("sep", &self.sep)?,
            mask: convert("mask", &self.mask)?,
        })
    }
}

/// What is said of a special token that a vocabulary has no entry for.
pub(super) fn missing(role: &str, token: &str) -> String {
    format!(
        "its {role} token `{token}` is not in the vocabulary; name the one that it has in `special_tokens_map.json` (`{role}_token`), \
         or add `{token}` to the vocabulary, at its end"
    )
}
