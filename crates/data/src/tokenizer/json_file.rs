//! Reads a `tokenizer.json`, and checks first what the `tokenizers` crate takes for granted.
//!
//! That crate stops the program, instead of returning an error, when a file is cut off or malformed
//! within its decoder, when the table of a `Precompiled` normalizer is damaged, and when a merge makes
//! a piece longer than any in the vocabulary.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use tokenizers::Tokenizer;

use super::sentencepiece::check_charsmap;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The parts that are looked into; the syntax of the others is checked on the way past.
#[derive(serde::Deserialize)]
struct Document<'a> {
    #[serde(default)]
    normalizer: Value,
    #[serde(default, rename = "decoder")]
    _decoder: Value,
    #[serde(default, borrow)]
    model: ModelPart<'a>,
}

#[derive(Default, serde::Deserialize)]
struct ModelPart<'a> {
    continuing_subword_prefix: Option<String>,
    #[serde(default)]
    vocab: VocabularyPart,
    #[serde(default, borrow)]
    merges: Vec<Merge<'a>>,
}

/// Two pieces that become one, in the newer and in the older form.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Merge<'a> {
    Pair(#[serde(borrow)] Cow<'a, str>, #[serde(borrow)] Cow<'a, str>),
    Text(#[serde(borrow)] Cow<'a, str>),
}

/// The tokenizer that a file has in it.
pub(super) fn read(bytes: &[u8]) -> Result<Tokenizer, Failure> {
    let Document { normalizer, model, .. } = serde_json::from_slice(bytes)?;
    check_tables(&normalizer)?;
    let prefix = model.continuing_subword_prefix.unwrap_or_default();
    check_merges(
        model.vocab.longest,
        &prefix,
        model.merges.iter().filter_map(|merge| match merge {
            Merge::Pair(left, right) => Some((left.as_ref(), right.as_ref())),
            Merge::Text(text) => text.split_once(' '),
        }),
    )?;
    Tokenizer::from_bytes(bytes)
}

/// Checks every table of rewritten characters in a normalizer and the normalizers within it.
fn check_tables(normalizer: &Value) -> Result<(), Failure> {
    /// The tag of SentencePiece's normalizer, and its only field.
    const TAG: &str = "Precompiled";
    const TABLE: &str = "precompiled_charsmap";
    match normalizer {
        Value::Array(items) => items.iter().try_for_each(check_tables),
        Value::Object(fields) => {
            let table = fields.get(TABLE);
            if table.is_some() || fields.get("type").is_some_and(|tag| tag == TAG) {
                let text = table.and_then(Value::as_str);
                let text = text.ok_or_else(|| format!("a {TAG} normalizer has no `{TABLE}`"))?;
                let table = base64::decode(text)
                    .map_err(|error| format!("the `{TABLE}` is not base64: {error}"))?;
                check_charsmap(&table)?;
            }
            fields.values().try_for_each(check_tables)
        }
        _ => Ok(()),
    }
}

/// Checks that no merge makes a piece of more bytes than the `longest` one. `prefix` marks pieces
/// within a word, and is dropped from the right one of two.
pub(super) fn check_merges<'a>(
    longest: usize,
    prefix: &str,
    mut merges: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<(), Failure> {
    let fits = |left: &str, right: &str| {
        right.len().checked_sub(prefix.len()).is_some_and(|right| left.len() + right <= longest)
    };
    merges.find(|(left, right)| !fits(left, right)).map_or(Ok(()), |(left, right)| {
        Err(format!("the merge of `{left}` and `{right}` makes a piece that has no id").into())
    })
}

/// What is looked at of a vocabulary. One that is a map is refused if two of its entries have the same id: `tokenizers` reads
/// it, and cannot read what it writes of it. In the list of a unigram model an id is a place.
#[derive(Default)]
struct VocabularyPart {
    /// Bytes of the longest entry of a map; 0 for a list.
    longest: usize,
}

impl<'de> Deserialize<'de> for VocabularyPart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = VocabularyPart;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a vocabulary")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<VocabularyPart, A::Error> {
                let mut longest = 0;
                let mut ids = HashSet::new();
                while let Some((entry, id)) = map.next_entry::<String, u32>()? {
                    longest = longest.max(entry.len());
                    if !ids.insert(id) {
                        return Err(A::Error::custom(format!(
                            "`{entry}` has the id `{id}` of another entry of the vocabulary"
                        )));
                    }
                }
                Ok(VocabularyPart { longest })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<VocabularyPart, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(VocabularyPart::default())
            }
        }
        deserializer.deserialize_any(Entries)
    }
}
