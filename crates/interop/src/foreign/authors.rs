//! Checkpoints of the authors' repository.
//!
//! Three generations of its code pretrain three models. They differ in names, in the activation (the tanh
//! formula in `code/`, the exact one later), and in where positions begin (row 2, but row 0 in
//! `reorganized_code/BERT`, which also has the pooler and the sentence-order head). Their `config.json` says
//! which: `transformer_dim` is a key of the first, `num_classes` one of the last.

use std::path::Path;

use nystromformer::{AttentionKind, HiddenAct, Labels, NystromformerConfig, PinvInit, Semantics};
use serde_json::{Map, Value};

use super::{PositionOffset, Renamed, Source, source::Keys};
use crate::error::InteropError;

/// Names within a block, and transformers'. `mha.ff` stands before what it begins with.
pub(super) const WITHIN_BLOCK: [(&str, &str); 11] = [
    ("mha.ff.", "attention.output.dense."),
    ("mha.W_q.", "attention.self.query."),
    ("mha.W_k.", "attention.self.key."),
    ("mha.W_v.", "attention.self.value."),
    ("mha.attn.conv.", "attention.self.conv."),
    ("norm1.", "attention.output.LayerNorm."),
    ("norm2.", "output.LayerNorm."),
    ("ff1.", "intermediate.dense."),
    ("ff2.", "output.dense."),
    ("ff.0.", "intermediate.dense."),
    ("ff.2.", "output.dense."),
];

/// Starts of names outside blocks, and transformers' (ours, for the sentence-order head).
pub(super) const OUTSIDE_BLOCKS: [(&str, &str); 7] = [
    ("model.embeddings.norm.", "nystromformer.embeddings.LayerNorm."),
    ("model.embeddings.", "nystromformer.embeddings."),
    ("model.pooler.", "pooler.dense."),
    ("mlm.dense.", "cls.predictions.transform.dense."),
    ("mlm.norm.", "cls.predictions.transform.LayerNorm."),
    ("mlm.mlm_class.", "cls.predictions.decoder."),
    ("sen_class.", "sop_classifier."),
];

/// Starts of the names of heads that compute something else than transformers' (tanh), or nothing here.
const OTHER_HEADS: [&str; 3] = ["sen_classifer.", "qahead.", "wikihop."];

/// Whether a `config.json` is the authors'.
pub(super) fn is_authors(config: &Map<String, Value>) -> bool {
    config.get("model").is_some_and(Value::is_object)
}

/// The model that the section `model` of their `config.json` describes.
pub(super) fn read(path: &Path, config: &Map<String, Value>) -> Result<Source, InteropError> {
    let Some(Value::Object(section)) = config.get("model") else {
        let reason = "it has no table `model`".to_owned();
        return Err(InteropError::Damaged { path: path.to_owned(), reason });
    };
    let keys = Keys::new(path, section);
    let is_first = keys.has("transformer_dim");
    let is_bert = keys.has("num_classes");
    let hidden_size = keys.size(if is_first { "transformer_dim" } else { "dim" })?;
    let heads = keys.size("num_head")?;
    let max_seq_len = keys.size("max_seq_len")?;
    for (key, wanted) in [("embedding_dim", hidden_size), ("head_dim", hidden_size / heads.max(1))]
    {
        if keys.size_or(key, wanted)? != wanted {
            let reason =
                format!("only {key} = {wanted} exists here, which is what the width asks for");
            return Err(keys.refuse(key, &section[key], &reason));
        }
    }

    let mut notes = Vec::new();
    let attention = attention(&keys, is_first, max_seq_len)?;
    if attention == (AttentionKind::Nystrom, true) {
        notes.push(format!(
            "num_landmarks is larger than seq_len in the configuration, which no attention can be: the two are \
             taken as exchanged, {} landmarks over {} tokens.",
            keys.size_or("seq_len", 0)?,
            keys.size_or("num_landmarks", 0)?
        ));
    }
    let (attention, exchanged) = attention;
    let landmarks_key = if exchanged { "seq_len" } else { "num_landmarks" };
    let vanilla = keys.text_or("model_type", "")? == VANILLA;
    let has_convolution =
        !vanilla && keys.has("conv_kernel_size") && keys.text_or("attn_type", "")? == "nystrom";

    let config = NystromformerConfig {
        vocab_size: keys.size("vocab_size")?,
        hidden_size,
        num_hidden_layers: keys.size("num_layers")?,
        num_attention_heads: heads,
        intermediate_size: keys.size(if is_first {
            "transformer_hidden_dim"
        } else {
            "hidden_dim"
        })?,
        hidden_act: if is_first { HiddenAct::GeluNew } else { HiddenAct::Gelu },
        hidden_dropout_prob: keys.number_or("dropout_prob", 0.1)?,
        attention_probs_dropout_prob: keys.number_or("attention_dropout", 0.1)?,
        max_position_embeddings: max_seq_len,
        type_vocab_size: keys.size_or("num_sen_type", 1)?,
        // RoBERTa's vocabulary, or ALBERT's.
        pad_token_id: usize::from(!is_bert),
        bos_token_id: if is_bert { 2 } else { 0 },
        eos_token_id: if is_bert { 3 } else { 2 },
        id2label: if is_bert {
            Labels::numbered(keys.size("num_classes")?)
        } else {
            Labels::default()
        },
        attention,
        semantics: Semantics::Paper,
        num_landmarks: keys.size_or(landmarks_key, 64)?,
        segment_means_seq_len: max_seq_len,
        conv_kernel_size: if has_convolution { keys.size("conv_kernel_size")? } else { 0 },
        pinv_init: PinvInit::Original,
        num_hidden_groups: usize::from(keys.is_on("shared_weight")),
        ..NystromformerConfig::default()
    };
    Ok(Source {
        config,
        positions: if is_bert { PositionOffset::Zero } else { PositionOffset::Two },
        has_convolution: true,
        rename,
        notes,
    })
}

/// `model_type` of exact attention without convolution, in the authors' spelling.
pub(super) const VANILLA: &str = "vanila_transformer";

/// Which attention it is, and whether the numbers of landmarks and tokens stand in each other's place, as they do
/// in the repository's own `code/` configuration.
fn attention(
    keys: &Keys,
    is_first: bool,
    max_seq_len: usize,
) -> Result<(AttentionKind, bool), InteropError> {
    if keys.text_or("model_type", "")? == VANILLA {
        return Ok((AttentionKind::Softmax, false));
    }
    match keys.text_or("attn_type", "softmax")? {
        "softmax" => Ok((AttentionKind::Softmax, false)),
        "nystrom" => {
            let landmarks = keys.size("num_landmarks")?;
            let seq_len =
                if is_first { keys.size_or("seq_len", max_seq_len)? } else { max_seq_len };
            Ok(match landmarks.cmp(&seq_len) {
                std::cmp::Ordering::Equal => (AttentionKind::Softmax, false),
                std::cmp::Ordering::Less => (AttentionKind::Nystrom, false),
                std::cmp::Ordering::Greater => (AttentionKind::Nystrom, true),
            })
        }
        other => {
            let reason = "only `nystrom` and `softmax` attention can be read";
            Err(keys.refuse("attn_type", &Value::from(other), reason))
        }
    }
}

/// The published name of a parameter.
fn rename(stored: &str) -> Renamed {
    let name = stored.strip_prefix("module.").unwrap_or(stored);
    if OTHER_HEADS.iter().any(|head| name.starts_with(head)) {
        return Renamed::LeftOut;
    }
    if let Some((layer, part)) = block(name)
        && let Some((theirs, ours)) =
            WITHIN_BLOCK.iter().find(|(theirs, _)| part.starts_with(theirs))
    {
        let rest = &part[theirs.len()..];
        return Renamed::To(format!("nystromformer.encoder.layer.{layer}.{ours}{rest}"));
    }
    match OUTSIDE_BLOCKS.iter().find(|(theirs, _)| name.starts_with(theirs)) {
        Some((theirs, ours)) => Renamed::To(format!("{ours}{}", &name[theirs.len()..])),
        // It will be told as unexpected, under its own name.
        None => Renamed::To(name.to_owned()),
    }
}

/// The layer that a name belongs to, and the name within it. Where all layers are one, it is the first.
fn block(name: &str) -> Option<(&str, &str)> {
    if let Some(part) = name.strip_prefix("model.backbone.backbone.encoder.") {
        return Some(("0", part));
    }
    let numbered = name
        .strip_prefix("model.backbone.backbone.encoders.")
        .or_else(|| name.strip_prefix("model.transformer_"))?;
    numbered.split_once('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_generations() {
        for (stored, published) in [
            ("model.transformer_11.mha.W_q.weight", "encoder.layer.11.attention.self.query.weight"),
            ("model.transformer_0.mha.ff.bias", "encoder.layer.0.attention.output.dense.bias"),
            ("model.transformer_0.ff2.bias", "encoder.layer.0.output.dense.bias"),
            (
                "module.model.backbone.backbone.encoders.3.ff.0.weight",
                "encoder.layer.3.intermediate.dense.weight",
            ),
            (
                "model.backbone.backbone.encoder.norm1.bias",
                "encoder.layer.0.attention.output.LayerNorm.bias",
            ),
            ("model.embeddings.norm.weight", "embeddings.LayerNorm.weight"),
        ] {
            let Renamed::To(name) = rename(stored) else { panic!("{stored} is left out") };
            assert_eq!(name, format!("nystromformer.{published}"));
        }
        assert!(matches!(rename("sen_classifer.dense.weight"), Renamed::LeftOut));
    }

    #[test]
    fn attentions_that_do_not_exist_here_are_refused() {
        let config = serde_json::json!({ "model": {
            "transformer_dim": 8, "num_head": 2, "max_seq_len": 16, "attn_type": "linformer"
        }});
        let error = read(Path::new("config.json"), config.as_object().unwrap()).err().unwrap();
        assert!(
            error.to_string().contains("attn_type = `\"linformer\"`: only `nystrom`"),
            "{error}"
        );
    }

    /// `code/run_pretrain.py`'s own configuration says 512 landmarks over 64 tokens.
    #[test]
    fn exchanged_numbers_are_put_right_and_told() {
        let config = serde_json::json!({ "model": {
            "transformer_dim": 8, "transformer_hidden_dim": 8, "num_head": 2, "max_seq_len": 512,
            "attn_type": "nystrom", "num_landmarks": 512, "seq_len": 64, "num_layers": 1,
            "vocab_size": 40, "conv_kernel_size": 33
        }});
        let source = read(Path::new("config.json"), config.as_object().unwrap()).unwrap();
        assert_eq!((source.config.num_landmarks, source.config.segment_means_seq_len), (64, 512));
        assert!(source.notes[0].contains("64 landmarks over 512 tokens"), "{:?}", source.notes);
    }
}
