//! What lies beside the graphs: what those who run them look for.

use std::{fs, path::Path};

use nystromformer::{Architecture, Model, PreTrainedModel};
use serde_json::json;

use crate::{
    error::InteropError,
    hugging_face::{StorageType, tokenizer_files, write_config},
};

/// What a server of embeddings makes of a text's hidden states, by the words of sentence-transformers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SentencePooling {
    /// Their mean.
    #[default]
    Mean,
    /// That of the first token.
    Cls,
}

impl SentencePooling {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Cls => "cls",
        }
    }
}

/// Writes `config.json`, the tokenizer's files and, of an encoder without a head, `1_Pooling/config.json`.
pub(super) fn write(
    model: &Model,
    tokenizer_dir: &Path,
    pooling: SentencePooling,
    dir: &Path,
) -> Result<(), InteropError> {
    let config = model.config();
    // The graph undoes what these keys say.
    let written = config.clone().with(|config| {
        (config.classifier.label_mean, config.classifier.label_std) = (None, None);
    });
    write_config(&written, model.class(), StorageType::F32, dir)?;
    if config.vectors.is_used() {
        return Ok(());
    }
    let longest = config.embeddings.max_position_embeddings;
    let length = config.required_seq_len().unwrap_or_else(|| {
        tokenizer_files::trained_length_in(tokenizer_dir).unwrap_or(longest).min(longest)
    });
    tokenizer_files::copy(tokenizer_dir, dir, config, length)?;
    if model.architecture() == Architecture::Base {
        write_pooling(pooling, config.shared.hidden_size, &dir.join("1_Pooling"))?;
    }
    Ok(())
}

fn write_pooling(
    pooling: SentencePooling,
    hidden_size: usize,
    dir: &Path,
) -> Result<(), InteropError> {
    let keys = json!({
        "word_embedding_dimension": hidden_size,
        "pooling_mode_cls_token": pooling == SentencePooling::Cls,
        "pooling_mode_mean_tokens": pooling == SentencePooling::Mean,
        "pooling_mode_max_tokens": false,
        "pooling_mode_mean_sqrt_len_tokens": false,
        "pooling_mode_weightedmean_tokens": false,
        "pooling_mode_lasttoken": false,
        "include_prompt": true,
    });
    let path = dir.join("config.json");
    fs::create_dir(dir)
        .and_then(|()| fs::write(&path, format!("{keys:#}\n")))
        .map_err(|source| InteropError::Write { path, source })
}
