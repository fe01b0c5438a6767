//! Words and special tokens beyond a vocabulary's own file, as transformers 4.56.2 adds them.

use nystromformer_files::say_once;
use tokenizers::{AddedToken, Tokenizer};

use super::named_token::NamedToken;
use super::settings::Settings;
use crate::error::DataError;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Adds what the settings have to `tokenizer`: words by their ids, then the special tokens that are
/// named and not there yet.
///
/// As in transformers' fast tokenizers an added word that the vocabulary lacks gets the next free id,
/// whatever id the file says; a difference is told.
pub(super) fn add(tokenizer: &mut Tokenizer, settings: &Settings) -> Result<(), DataError> {
    let mut listed = settings.added_tokens().clone();
    if !settings.lists_all_added_tokens() {
        listed.extend(tokenizer.get_added_tokens_decoder());
    }
    let named = settings.named_tokens()?;
    let is_named = |token: &AddedToken| named.iter().any(|name| name.text() == token.content);
    let there = tokenizer.get_added_tokens_decoder();
    let mut added: Vec<AddedToken> = listed
        .values()
        .map(|token| token.clone().special(token.special || is_named(token)))
        .collect();
    for name in &named {
        let is_listed =
            added.iter().chain(there.values()).any(|token| token.content == name.text());
        match name {
            NamedToken::Text(text) if !is_listed => {
                added.push(AddedToken::from(text.clone(), true));
            }
            // What is written out in full says how the token is to be treated from now on.
            NamedToken::Full(token) => added.push(token.clone().special(true)),
            NamedToken::Text(_) => {}
        }
    }
    if added.is_empty() {
        return Ok(());
    }
    let before = tokenizer.get_vocab_size(true);
    let failed = |error: Failure| DataError::tokenizer_at(&settings.config_path(), error);
    tokenizer.add_tokens(added).map_err(failed)?;
    tell_other_ids(tokenizer, settings);
    let new = tokenizer.get_vocab_size(true) - before;
    if new > 0 {
        tracing::info!(
            "{new} added tokens beside the vocabulary's {before} entries, by the files in `{}`",
            settings.folder().display()
        );
    }
    Ok(())
}

/// Says so if words did not get the ids that their file gives them.
fn tell_other_ids(tokenizer: &Tokenizer, settings: &Settings) {
    let others: Vec<(u32, &str, u32)> = settings
        .added_tokens()
        .iter()
        .filter_map(|(id, token)| {
            let got = tokenizer.token_to_id(&token.content)?;
            (got != *id).then_some((*id, token.content.as_str(), got))
        })
        .collect();
    if let Some((id, token, got)) = others.first() {
        say_once(format!(
            "`{}`: {} added tokens cannot have their ids, the first of them `{token}`: the file says \
             `{id}`, it gets `{got}`, the next that is free, as in transformers",
            settings.folder().display(),
            others.len()
        ));
    }
}
