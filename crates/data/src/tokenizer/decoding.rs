//! From ids and tokens back to text.

use tokenizers::Decoder;

use super::TextTokenizer;
use crate::error::DataError;

impl TextTokenizer {
    /// The text of `ids`.
    ///
    /// # Errors
    ///
    /// [`DataError::Tokenizer`] if the decoder fails.
    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> Result<String, DataError> {
        let text = self.inner.decode(ids, skip_special_tokens);
        let text = text.map_err(|error| DataError::Tokenizer {
            origin: "cannot decode ids".to_owned(),
            problem: error.to_string(),
        })?;
        Ok(if self.cleans_up { cleaned_up(&text) } else { text })
    }

    /// The text of tokens as the vocabulary spells them (`id_to_token`), or as a text does.
    ///
    /// # Errors
    ///
    /// [`DataError::Tokenizer`] if the decoder fails.
    pub fn tokens_to_string(&self, tokens: Vec<String>) -> Result<String, DataError> {
        let Some(decoder) = self.inner.get_decoder() else {
            return Ok(tokens.join(" "));
        };
        decoder.decode(tokens).map_err(|error| DataError::Tokenizer {
            origin: "cannot join tokens".to_owned(),
            problem: error.to_string(),
        })
    }
}

/// Text without the blanks that English has not before marks and in contractions, as transformers'
/// `clean_up_tokenization` gives it.
fn cleaned_up(text: &str) -> String {
    const REPLACEMENTS: [(&str, &str); 10] = [
        (" .", "."),
        (" ?", "?"),
        (" !", "!"),
        (" ,", ","),
        (" ' ", "'"),
        (" n't", "n't"),
        (" 'm", "'m"),
        (" 's", "'s"),
        (" 've", "'ve"),
        (" 're", "'re"),
    ];
    REPLACEMENTS.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}
