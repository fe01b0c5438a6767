//! Settings that change what a tokenizer.json says, where transformers 4.56.2 lets them.
//!
//! Which settings count depends on transformers' class of the tokenizer, and a class has defaults for
//! those that are not written down: `BertTokenizerFast` lowercases unless told otherwise, also beside a
//! tokenizer.json that does not.

use nystromformer_files::say_once;
use serde_json::Value;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper, Tokenizer};

use super::settings::Settings;
use crate::error::DataError;

/// Classes that set the three switches of BERT's normalizer.
const LIKE_BERT: [&str; 9] = [
    "BertTokenizer",
    "ConvBertTokenizer",
    "DistilBertTokenizer",
    "ElectraTokenizer",
    "FunnelTokenizer",
    "LayoutLMTokenizer",
    "LxmertTokenizer",
    "MobileBertTokenizer",
    "SqueezeBertTokenizer",
];
/// Classes that set all but `tokenize_chinese_chars`.
const LIKE_MPNET: [&str; 4] =
    ["LayoutLMv2Tokenizer", "MPNetTokenizer", "RoFormerTokenizer", "SplinterTokenizer"];
/// Classes that hand `add_prefix_space` and `trim_offsets` on to their post-processor.
const LIKE_ROBERTA: [&str; 7] = [
    "BartTokenizer",
    "BlenderbotTokenizer",
    "LayoutLMv3Tokenizer",
    "LEDTokenizer",
    "LongformerTokenizer",
    "MvpTokenizer",
    "RobertaTokenizer",
];

/// Applies the settings to a tokenizer that was read from a tokenizer.json, and says what they change.
pub(super) fn apply(tokenizer: &mut Tokenizer, settings: &Settings) -> Result<(), DataError> {
    if settings.config().is_none() {
        return Ok(());
    }
    let mut changes = Vec::new();
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        DataError::tokenizer_at(&settings.config_path(), error)
    };
    if let Some(NormalizerWrapper::BertNormalizer(given)) = tokenizer.get_normalizer() {
        let wanted = bert_normalizer(*given, settings);
        let switches = [
            ("do_lower_case", given.lowercase != wanted.lowercase, wanted.lowercase.to_string()),
            (
                "strip_accents",
                given.strip_accents != wanted.strip_accents,
                wanted.strip_accents.map_or_else(|| "null".to_owned(), |strips| strips.to_string()),
            ),
            (
                "tokenize_chinese_chars",
                given.handle_chinese_chars != wanted.handle_chinese_chars,
                wanted.handle_chinese_chars.to_string(),
            ),
        ];
        changes.extend(
            switches
                .into_iter()
                .filter(|(_, differs, _)| *differs)
                .map(|(key, _, value)| (key, value)),
        );
        if !changes.is_empty() {
            tokenizer.with_normalizer(Some(wanted)).map_err(failed)?;
        }
    }
    if let Some(change) = set_prefix_space(tokenizer, settings) {
        changes.push(change);
    }
    for (key, value) in changes {
        let by = match settings.config().and_then(|config| config.get(key)) {
            Some(_) => format!("`{key} = {value}` of `{}`", settings.config_path().display()),
            None => format!(
                "`{key} = {value}`, the default of `{}`, since `{}` does not say it,",
                settings.class().unwrap_or("PreTrainedTokenizer"),
                settings.config_path().display()
            ),
        };
        tracing::info!("{by} holds and not what tokenizer.json says, as in transformers");
    }
    tell_unread_switches(tokenizer, settings);
    Ok(())
}

/// BERT's normalizer as the class of the tokenizer sets it; without a class, as the settings say.
fn bert_normalizer(given: BertNormalizer, settings: &Settings) -> BertNormalizer {
    let class = settings.class();
    let is = |classes: &[&str]| class.is_some_and(|class| classes.contains(&class));
    let (like_bert, like_mpnet) = (is(&LIKE_BERT), is(&LIKE_MPNET));
    if class.is_some() && !like_bert && !like_mpnet {
        return given;
    }
    let default = |given: bool| class.is_some() || given;
    let chinese = settings.flag("tokenize_chinese_chars");
    BertNormalizer::new(
        given.clean_text,
        if like_mpnet {
            given.handle_chinese_chars
        } else {
            chinese.unwrap_or_else(|| default(given.handle_chinese_chars))
        },
        settings.flag("strip_accents").or(if class.is_some() { None } else { given.strip_accents }),
        settings.flag("do_lower_case").unwrap_or_else(|| default(given.lowercase)),
    )
}

/// Sets whether a text begins with a blank, to byte-level tokenizers; every class has the key, off unless
/// told otherwise.
fn set_prefix_space(
    tokenizer: &mut Tokenizer,
    settings: &Settings,
) -> Option<(&'static str, String)> {
    let wanted = settings.flag("add_prefix_space").unwrap_or(false);
    let trims = settings.flag("trim_offsets").unwrap_or(true);
    let mut changed = false;
    if let Some(PreTokenizerWrapper::ByteLevel(given)) = tokenizer.get_pre_tokenizer()
        && given.add_prefix_space != wanted
    {
        let ByteLevel { trim_offsets, use_regex, .. } = *given;
        tokenizer.with_pre_tokenizer(Some(ByteLevel::new(wanted, trim_offsets, use_regex)));
        changed = true;
    }
    if settings.class().is_some_and(|class| LIKE_ROBERTA.contains(&class)) {
        let processor = match tokenizer.get_post_processor().cloned() {
            Some(PostProcessorWrapper::Roberta(mut given)) => {
                (given.add_prefix_space, given.trim_offsets) = (wanted, trims);
                Some(PostProcessorWrapper::Roberta(given))
            }
            Some(PostProcessorWrapper::ByteLevel(mut given)) => {
                (given.add_prefix_space, given.trim_offsets) = (wanted, trims);
                Some(PostProcessorWrapper::ByteLevel(given))
            }
            other => other,
        };
        tokenizer.with_post_processor(processor);
    }
    changed.then(|| ("add_prefix_space", wanted.to_string()))
}

/// Warns of a switch that is written down, differs from what the tokenizer.json does, and is not read by
/// transformers' class either.
fn tell_unread_switches(tokenizer: &Tokenizer, settings: &Settings) {
    let normalizer = serde_json::to_value(tokenizer.get_normalizer()).unwrap_or_default();
    let does = [
        ("do_lower_case", has_step(&normalizer, "Lowercase", "lowercase")),
        ("strip_accents", has_step(&normalizer, "StripAccents", "strip_accents")),
    ];
    for (key, does) in does {
        if let Some(wanted) = settings.flag(key)
            && wanted != does
        {
            say_once(format!(
                "`{key} = {wanted}` of `{}` is not followed: tokenizer.json says otherwise, and transformers' \
                 `{}` goes by that",
                settings.config_path().display(),
                settings.class().unwrap_or("PreTrainedTokenizer")
            ));
        }
    }
}

/// Whether a normalizer, or one within it, is of this type or has this switch on.
fn has_step(normalizer: &Value, kind: &str, switch: &str) -> bool {
    match normalizer {
        Value::Array(steps) => steps.iter().any(|step| has_step(step, kind, switch)),
        Value::Object(fields) => {
            // BERT's strips accents where it lowercases, unless told otherwise.
            let lowercases = fields.get("lowercase").and_then(Value::as_bool).unwrap_or(false);
            let is_on = match fields.get(switch) {
                Some(Value::Null) => switch == "strip_accents" && lowercases,
                Some(value) => value.as_bool().unwrap_or(false),
                None => false,
            };
            is_on
                || fields.get("type").is_some_and(|name| name == kind)
                || fields.values().any(|value| has_step(value, kind, switch))
        }
        _ => false,
    }
}
