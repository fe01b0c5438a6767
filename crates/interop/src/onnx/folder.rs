//! What lies beside the graphs: what those who run them look for.

use std::path::Path;

use nystromformer::{Architecture, Model, PreTrainedModel};

use crate::{
    error::InteropError,
    hugging_face::{
        SentencePooling, StorageType, sentence_files::write_pooling, tokenizer_files, write_config,
    },
};

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
        write_pooling(pooling, config.shared.hidden_size, dir)?;
    }
    Ok(())
}
