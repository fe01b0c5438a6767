//! The tokenizer beside a model: the data crate's tokenizer in the files of the interop crate.

use std::path::Path;

use nystromformer::NystromformerConfig;
use nystromformer_data::{TextTokenizer, TrainedReading};

use crate::error::Result;

/// Writes `tokenizer.json`, `tokenizer_config.json` and `special_tokens_map.json` into `directory`,
/// which must exist, so that `transformers.AutoTokenizer` reads them. `trained` is how the model is trained, and so how all texts for
/// it are to be read; without a truncation `model` alone bounds their length.
///
/// # Errors
/// [`LearnerError::Io`](crate::LearnerError::Io).
pub fn write_tokenizer(
    tokenizer: &TextTokenizer,
    trained: TrainedReading,
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
    let settings = tokenizer.settings(trained);
    nystromformer_interop::write_tokenizer(
        tokenizer.to_json(),
        &roles,
        settings,
        model,
        directory,
    )?;
    Ok(())
}
