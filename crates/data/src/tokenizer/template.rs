//! The special tokens that go around a text and between two.

use serde_json::Value;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::processors::sequence::Sequence;
use tokenizers::processors::template::{TemplateProcessing, TemplateProcessingBuilderError};
use tokenizers::{EncodeInput, PostProcessor, Tokenizer};

use super::SpecialTokens;

/// The opening token of RoBERTa's family, whose pairs are put together in its own way.
const ROBERTA_CLS: &str = "<s>";

/// The post-processor of a tokenizer, completed: one that adds no special tokens, to a text or to a
/// pair, gets those of BERT's family (`[CLS] A [SEP] B [SEP]`, types 0 and 1) or, where texts open
/// with `<s>`, of RoBERTa's (`<s> A </s></s> B </s>`, type 0).
pub(super) fn complete(
    given: Option<PostProcessorWrapper>,
    tokens: &SpecialTokens<String>,
    ids: &SpecialTokens<u32>,
) -> Result<PostProcessorWrapper, String> {
    let usual = usual(tokens, ids).map_err(|error| error.to_string())?;
    let Some(given) = given else { return Ok(usual.into()) };
    check(&given)?;
    match (given.added_tokens(false), given.added_tokens(true)) {
        // It may still have to trim offsets, as byte-level tokenizers do.
        (0, 0) => Ok(Sequence::new(vec![given, usual.into()]).into()),
        (1.., 0) => Ok(with_pair_of(given, &usual)),
        _ => Ok(given),
    }
}

/// The template of the family that the opening token belongs to.
fn usual(
    tokens: &SpecialTokens<String>,
    ids: &SpecialTokens<u32>,
) -> Result<TemplateProcessing, TemplateProcessingBuilderError> {
    let SpecialTokens { cls, sep, .. } = tokens;
    let (pair, second) = if cls == ROBERTA_CLS {
        (vec![cls.clone(), "$A".into(), sep.clone(), sep.clone()], ["$B:0".into(), sep.clone()])
    } else {
        (vec![cls.clone(), "$A".into(), sep.clone()], ["$B:1".into(), format!("{sep}:1")])
    };
    TemplateProcessing::builder()
        .try_single(vec![cls.clone(), "$A".into(), sep.clone()])?
        .try_pair([pair, second.to_vec()].concat())?
        .special_tokens(vec![(cls.clone(), ids.cls), (sep.clone(), ids.sep)])
        .build()
}

/// `given` with the pair template of `usual` in all its templates.
fn with_pair_of(given: PostProcessorWrapper, usual: &TemplateProcessing) -> PostProcessorWrapper {
    match given {
        PostProcessorWrapper::Template(mut template) => {
            let mut known = template.get_special_tokens().clone();
            known.0.extend(usual.get_special_tokens().0.clone());
            template.set_special_tokens(known);
            template.set_pair(usual.get_pair().clone());
            template.set_added_pair(usual.get_added_pair());
            template.into()
        }
        PostProcessorWrapper::Sequence(sequence) => Sequence::new(
            sequence.into_iter().map(|processor| with_pair_of(processor, usual)).collect(),
        )
        .into(),
        other => other,
    }
}

/// Refuses templates that could not be filled in: the library takes them from a file as they are.
fn check(processor: &PostProcessorWrapper) -> Result<(), String> {
    match processor {
        PostProcessorWrapper::Template(template) => {
            let known = &template.get_special_tokens().0;
            let pieces = |template| {
                let value = serde_json::to_value(template).map_err(|error| error.to_string())?;
                Ok::<_, String>(value.as_array().cloned().unwrap_or_default())
            };
            let (single, pair) = (pieces(&template.single)?, pieces(template.get_pair())?);
            let texts = |pieces: &[Value], id| {
                pieces.iter().filter(|piece| piece["Sequence"]["id"] == id).count()
            };
            if texts(&single, "B") > 0 {
                return Err("its template for one text asks for a second one, `$B`".to_owned());
            }
            if texts(&pair, "A") != 1 || texts(&pair, "B") != 1 || texts(&single, "A") != 1 {
                return Err("its templates must use each text once".to_owned());
            }
            let tokens = single.iter().chain(&pair).filter_map(|piece| piece.get("SpecialToken"));
            tokens.filter_map(|token| token["id"].as_str()).try_for_each(|token| {
                let unknown = || format!("its template has no id for its special token `{token}`");
                known.contains_key(token).then_some(()).ok_or_else(unknown)
            })
        }
        PostProcessorWrapper::Sequence(sequence) => sequence.as_ref().iter().try_for_each(check),
        _ => Ok(()),
    }
}

/// What stands before and after a text, found by encoding a text of one token.
pub(super) fn around_a_text(
    tokenizer: &Tokenizer,
    mask: u32,
    vocab_size: usize,
) -> Result<(Vec<u32>, Vec<u32>), String> {
    let mask_token = tokenizer.id_to_token(mask).ok_or("its mask token has no text")?;
    let encode = |text: EncodeInput| tokenizer.encode_fast(text, true);
    let single = encode(mask_token.as_str().into()).map_err(|error| error.to_string())?;
    let pair = encode((mask_token.as_str(), mask_token.as_str()).into());
    let pair = pair.map_err(|error| error.to_string())?;
    if let Some(id) =
        pair.get_ids().iter().chain(single.get_ids()).find(|id| **id as usize >= vocab_size)
    {
        return Err(format!(
            "its template adds the id `{id}`, beyond the vocabulary of {vocab_size}"
        ));
    }
    let ids = single.get_ids();
    let position = ids.iter().position(|id| *id == mask).ok_or_else(|| {
        "its mask token is not encoded as itself; it must be an added special token".to_owned()
    })?;
    Ok((ids[..position].to_vec(), ids[position + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TokenizerKind;
    use crate::tokenizer::TextTokenizer;
    use crate::tokenizer::tests::sample_tokenizer;

    /// The sample's tokenizer with another `post_processor` in its JSON, loaded again.
    fn with_post_processor(kind: TokenizerKind, processor: Value) -> Result<TextTokenizer, String> {
        let mut json: Value = serde_json::from_str(sample_tokenizer(kind, 500).to_json()).unwrap();
        json["post_processor"] = processor;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        std::fs::write(&path, json.to_string()).unwrap();
        TextTokenizer::load(&path, true).map_err(|error| error.to_string())
    }

    fn part(sequence: &str, type_id: u32) -> Value {
        serde_json::json!({ "Sequence": { "id": sequence, "type_id": type_id } })
    }

    fn token(id: &str) -> Value {
        serde_json::json!({ "SpecialToken": { "id": id, "type_id": 0 } })
    }

    fn template(single: &[Value], pair: &[Value], cls: u32) -> Value {
        let special =
            serde_json::json!({ "[CLS]": { "id": "[CLS]", "ids": [cls], "tokens": ["[CLS]"] } });
        serde_json::json!({
            "type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special
        })
    }

    #[test]
    fn a_missing_template_is_the_one_of_the_family() {
        let bytes = serde_json::json!({
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true
        });
        let bare = template(&[part("A", 0)], &[part("A", 0), part("B", 1)], 2);
        let half = template(&[token("[CLS]"), part("A", 0)], &[part("A", 0), part("B", 1)], 2);
        for (processor, closing) in
            [(Value::Null, &[3][..]), (bytes, &[3]), (bare, &[3]), (half, &[])]
        {
            let tokenizer = with_post_processor(TokenizerKind::Bpe, processor).unwrap();
            assert_eq!((tokenizer.prefix(), tokenizer.suffix()), (&[2][..], closing));
            let pair = tokenizer.encode_text("paris", Some("paris"), None).unwrap();
            let text = tokenizer.encode("paris", false).unwrap();
            let expected = [&[2][..], &text, &[3], &text, &[3]].concat();
            assert_eq!(pair.input_ids, expected);
            let (first, second) = (text.len() + 2, text.len() + 1);
            assert_eq!(pair.token_type_ids, [vec![0; first], vec![1; second]].concat());
        }
    }

    #[test]
    fn templates_that_cannot_be_filled_in_are_refused() {
        let pair = [part("A", 0), part("B", 1)];
        let refused =
            |processor| with_post_processor(TokenizerKind::WordPiece, processor).unwrap_err();
        let message = refused(template(&[part("B", 0)], &pair, 2));
        assert!(message.contains("`$B`"), "{message}");
        let message = refused(template(&[token("[SEP]"), part("A", 0)], &pair, 2));
        assert!(message.contains("no id for its special token `[SEP]`"), "{message}");
        let message = refused(template(&[part("A", 0)], &pair[..1], 2));
        assert!(message.contains("each text once"), "{message}");
        let message = refused(template(&[token("[CLS]"), part("A", 0)], &pair, 123_456));
        assert!(message.contains("`123456`"), "{message}");
    }
}
