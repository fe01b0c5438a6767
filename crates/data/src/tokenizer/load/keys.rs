//! Every key of `tokenizer_config.json` that the fast tokenizers of transformers 4.56.2 read, and what
//! becomes of it here.

use serde_json::{Value, json};

use super::super::lengths::{TRAINED_ANSWERS, TRAINED_TRUNCATION, TRAINED_WINDOWS};
use super::settings::Settings;

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    /// It does here what it does in transformers.
    Followed,
    /// It is not followed; a warning tells of any value but this one, the default, written as JSON.
    FollowedAtDefault(&'static str),
    /// It changes no ids, in transformers neither.
    OfNoEffect,
}

/// The keys and what becomes of each.
pub(super) const KEYS: [(&str, Treatment); 60] = {
    use Treatment::{Followed, FollowedAtDefault, OfNoEffect};
    [
        // Lengths and sides.
        (TRAINED_TRUNCATION, Followed),
        (TRAINED_WINDOWS, Followed),
        (TRAINED_ANSWERS, Followed),
        ("model_max_length", Followed),
        ("max_len", Followed),
        ("truncation_side", Followed),
        ("padding_side", FollowedAtDefault("\"right\"")),
        ("pad_to_multiple_of", FollowedAtDefault("null")),
        ("pad_token_type_id", FollowedAtDefault("0")),
        ("max_length", OfNoEffect),
        ("stride", OfNoEffect),
        ("truncation_strategy", OfNoEffect),
        ("pad_token_box", OfNoEffect),
        // Which tokens there are.
        ("bos_token", Followed),
        ("eos_token", Followed),
        ("unk_token", Followed),
        ("sep_token", Followed),
        ("pad_token", Followed),
        ("cls_token", Followed),
        ("mask_token", Followed),
        ("additional_special_tokens", Followed),
        ("extra_special_tokens", Followed),
        ("added_tokens_decoder", Followed),
        ("split_special_tokens", FollowedAtDefault("false")),
        ("add_bos_token", FollowedAtDefault("null")),
        ("add_eos_token", FollowedAtDefault("null")),
        ("extra_ids", FollowedAtDefault("0")),
        // How a text is cleaned and split.
        ("tokenizer_class", Followed),
        ("do_lower_case", Followed),
        ("strip_accents", Followed),
        ("tokenize_chinese_chars", Followed),
        ("remove_space", Followed),
        ("keep_accents", Followed),
        ("add_prefix_space", Followed),
        ("trim_offsets", Followed),
        ("clean_text", FollowedAtDefault("true")),
        ("wordpieces_prefix", FollowedAtDefault("\"##\"")),
        ("split_by_punct", FollowedAtDefault("false")),
        ("do_basic_tokenize", OfNoEffect),
        ("never_split", OfNoEffect),
        ("sp_model_kwargs", FollowedAtDefault("{}")),
        // Back to text.
        ("clean_up_tokenization_spaces", Followed),
        ("spaces_between_special_tokens", OfNoEffect),
        ("errors", OfNoEffect),
        // What is not about ids.
        ("model_input_names", Followed),
        ("chat_template", OfNoEffect),
        ("auto_map", OfNoEffect),
        ("processor_class", OfNoEffect),
        ("backend", OfNoEffect),
        ("is_local", OfNoEffect),
        ("name_or_path", OfNoEffect),
        ("special_tokens_map_file", OfNoEffect),
        ("tokenizer_file", OfNoEffect),
        ("vocab_file", OfNoEffect),
        ("merges_file", OfNoEffect),
        ("use_fast", OfNoEffect),
        ("from_slow", OfNoEffect),
        ("legacy", OfNoEffect),
        ("verbose", OfNoEffect),
        ("init_inputs", OfNoEffect),
    ]
};

/// Warns of the keys of `tokenizer_config.json` that are not followed, by their names.
pub(super) fn tell_unfollowed(settings: &Settings) {
    let unfollowed: Vec<String> = settings
        .config()
        .into_iter()
        .flatten()
        .filter(|(key, value)| !is_followed(key, value))
        .map(|(key, value)| match value {
            Value::Object(_) | Value::Array(_) => format!("`{key}`"),
            value => format!("`{key} = {value}`"),
        })
        .collect();
    if !unfollowed.is_empty() {
        tracing::warn!(
            "`{}`: not followed: {}",
            settings.config_path().display(),
            unfollowed.join(", ")
        );
    }
}

/// Whether this value of this key is followed, or does nothing.
fn is_followed(key: &str, value: &Value) -> bool {
    let treatment = KEYS.iter().find(|(name, _)| *name == key).map(|(_, treatment)| *treatment);
    match treatment {
        Some(Treatment::Followed | Treatment::OfNoEffect) => true,
        Some(Treatment::FollowedAtDefault(default)) => {
            value.is_null()
                || serde_json::from_str::<Value>(default).is_ok_and(|default| *value == default)
        }
        // A switch that is off is no loss.
        None => value.is_null() || *value == json!(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_there_once_and_its_default_is_json() {
        for (index, (key, treatment)) in KEYS.iter().enumerate() {
            assert!(KEYS[..index].iter().all(|(other, _)| other != key), "{key}");
            if let Treatment::FollowedAtDefault(default) = treatment {
                let default = serde_json::from_str(default).unwrap();
                assert!(is_followed(key, &default), "{key}");
                assert!(!is_followed(key, &json!("another")), "{key}");
            }
        }
    }

    #[test]
    fn what_changes_ids_and_is_not_followed_is_told() {
        assert!(!is_followed("padding_side", &json!("left")));
        assert!(!is_followed("split_special_tokens", &json!(true)));
        assert!(!is_followed("a_key_of_tomorrow", &json!("x")));
        assert!(is_followed("chat_template", &json!("{{ x }}")));
        assert!(is_followed("strip_accents", &Value::Null));
    }
}
