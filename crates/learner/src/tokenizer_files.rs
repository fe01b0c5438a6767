//! The tokenizer beside a model: the data crate's tokenizer in the files of the interop crate.

use std::path::Path;

use nystromformer::NystromformerConfig;
use nystromformer_data::TextTokenizer;

use crate::error::Result;

/// Writes `tokenizer.json`, `tokenizer_config.json` and `special_tokens_map.json` into `directory`,
/// which must exist, so that `transformers.AutoTokenizer` reads them. `model` bounds the length of
/// an input.
///
/// # Errors
/// [`LearnerError::Io`](crate::LearnerError::Io).
pub fn write_tokenizer(
    tokenizer: &TextTokenizer,
    model: &NystromformerConfig,
    directory: &Path,
) -> Result<()> {
    let tokens = tokenizer.special_tokens();
    let roles = [
        ("pad_token", tokens.pad.as_str()),
        ("unk_token", &tokens.unk),
        ("cls_token", &tokens.cls),
        ("sep_token", &tokens.sep),
        ("bos_token", &tokens.cls),
        ("eos_token", &tokens.sep),
        ("mask_token", &tokens.mask),
    ];
    nystromformer_interop::write_tokenizer(tokenizer.to_json(), &roles, model, directory)?;
    Ok(())
}
