//! Writes a tokenizer so that `transformers.AutoTokenizer.from_pretrained` reads it.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::{SpecialTokens, TextTokenizer};
use crate::error::DataError;

/// Writes the three files; see [`TextTokenizer::save`].
pub(super) fn save(
    tokenizer: &TextTokenizer,
    folder: &Path,
    model_max_length: usize,
) -> Result<(), DataError> {
    let SpecialTokens { pad, unk, cls, sep, mask } = tokenizer.special_tokens();
    let special_tokens = json!({
        "pad_token": pad,
        "unk_token": unk,
        "cls_token": cls,
        "sep_token": sep,
        "bos_token": cls,
        "eos_token": sep,
        "mask_token": mask,
    });
    let mut config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": model_max_length,
        // transformers 5 leaves token_type_ids out unless told, and the model wants them.
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        "clean_up_tokenization_spaces": false,
    });
    if let (Some(config), Some(tokens)) = (config.as_object_mut(), special_tokens.as_object()) {
        config.extend(tokens.clone());
    }
    write(&folder.join("tokenizer.json"), tokenizer.to_json())?;
    write(&folder.join("tokenizer_config.json"), &format!("{config:#}\n"))?;
    write(&folder.join("special_tokens_map.json"), &format!("{special_tokens:#}\n"))
}

fn write(path: &Path, content: &str) -> Result<(), DataError> {
    fs::write(path, content).map_err(DataError::io("write", path))
}
