//! How long a row may be, and who says so.

use std::path::{Path, PathBuf};

use nystromformer_data::{Keep, TextTokenizer, Truncation};

use crate::layout::RowLayout;

/// The most tokens of a row, special ones included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowLimit {
    truncation: Truncation,
    /// The key that says so, and its file.
    key: &'static str,
    file: PathBuf,
}

impl RowLimit {
    /// What the model in `folder` reads, or what it was trained on if that is less: it has seen nothing longer, and what
    /// decides may be where its training never looked.
    pub(crate) fn of_model(layout: &RowLayout, tokenizer: &TextTokenizer, folder: &Path) -> Self {
        let (max_length, key) = layout.max_length();
        let of_model = Self {
            truncation: Truncation { max_length, keep: tokenizer.keep() },
            key,
            file: folder.join("config.json"),
        };
        let trained = tokenizer.trained_truncation().map(|trained| trained.max_length);
        of_model.or_shorter(trained, "trained_truncation", folder)
    }

    /// The same, or `model_max_length` of the tokenizer if that is less, for what transformers cuts to it.
    pub(crate) fn or_model_max_length(self, tokenizer: &TextTokenizer, folder: &Path) -> Self {
        self.or_shorter(tokenizer.model_max_length(), "model_max_length", folder)
    }

    fn or_shorter(self, told: Option<usize>, key: &'static str, folder: &Path) -> Self {
        match told {
            Some(max_length) if max_length < self.max_length() => Self {
                truncation: Truncation { max_length, ..self.truncation },
                key,
                file: folder.join("tokenizer_config.json"),
            },
            _ => self,
        }
    }

    pub(crate) fn max_length(&self) -> usize {
        self.truncation.max_length
    }

    /// How a text that is longer is cut.
    pub(crate) fn truncation(&self) -> Truncation {
        self.truncation
    }

    /// What is said of a text of `length` tokens that is cut.
    pub(crate) fn note(&self, length: usize) -> String {
        let kept = match self.truncation.keep {
            Keep::Head => "its beginning",
            Keep::Tail => "its end",
            Keep::HeadTail => "both its ends",
        };
        format!(
            "a text of {length} tokens is cut to {}, {kept}, and so is every longer one; the limit is `{}` in `{}`",
            self.max_length(),
            self.key,
            self.file.display()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_names_the_key_and_the_file_that_are_to_blame() {
        let of_model = RowLimit {
            truncation: Truncation::tail(48),
            key: "max_position_embeddings",
            file: PathBuf::from("m/config.json"),
        };
        let note = of_model.note(60);
        assert!(note.contains("60 tokens is cut to 48, its end"), "{note}");
        assert!(note.contains("`max_position_embeddings` in `m/config.json`"), "{note}");
        assert_eq!(
            of_model.clone().or_shorter(Some(48), "model_max_length", Path::new("m")),
            of_model
        );
        let told = of_model.or_shorter(Some(24), "model_max_length", Path::new("m")).note(60);
        assert!(told.contains("cut to 24, its end"), "{told}");
        assert!(told.contains("`model_max_length` in `m/tokenizer_config.json`"), "{told}");
    }
}
