//! A secret that no text shows.

use std::fmt;

use ureq::http::HeaderValue;

use crate::error::{HubError, Result};

/// An access token of the Hub. No text of this crate has it; but `ureq` logs the bytes of requests (`log`, level `TRACE`), so leave its
/// records out of logs.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// The token in a text, without the white space around it; `None` if there is nothing else.
    ///
    /// # Errors
    /// [`HubError::Usage`] if it has a character that no token has.
    pub fn of(text: &str) -> Result<Option<Self>> {
        let token = text.trim();
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(HubError::Usage(
                "the access token has a character that no token has: set `HF_TOKEN` anew, or the file that \
                 `HF_TOKEN_PATH` names"
                    .to_owned(),
            ));
        }
        Ok((!token.is_empty()).then(|| Self(token.to_owned())))
    }

    /// The header that carries it, which says of itself that it is not to be shown.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let mut header = HeaderValue::try_from(format!("Bearer {}", self.0)).ok()?;
        header.set_sensitive(true);
        Some(header)
    }

    /// The text without the token, should a server repeat it.
    pub(crate) fn removed_from(&self, text: &str) -> String {
        text.replace(&self.0, "…")
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shown_nowhere() {
        let token = Token::of(" hf_secret\n").unwrap().unwrap();
        let header = token.header().unwrap();
        assert_eq!(header.as_bytes(), b"Bearer hf_secret");
        for shown in
            [format!("{token:?}"), format!("{header:?}"), token.removed_from("a hf_secret")]
        {
            assert!(!shown.contains("secret"), "{shown}");
        }
        let error = Token::of("hf_secret ä").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
        assert!(Token::of(" \n").unwrap().is_none());
    }
}
