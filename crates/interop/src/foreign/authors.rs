//! Checkpoints of the authors' repository.
//!
//! Three generations of its code pretrain three models. They differ in names, in the activation (the tanh
//! formula in `code/`, the exact one later), and in where positions begin (row 2, but row 0 in
//! `reorganized_code/BERT`, which also has the pooler and the sentence-order head). The first is known by the key
//! `transformer_dim` of its configuration, the last by its pooler.

use std::path::Path;

use nystromformer::{AttentionKind, HiddenAct, Labels, NystromformerConfig, PinvInit, Semantics};
use serde_json::{Map, Value};

use super::{ForeignModel, PositionOffset, Renamed, Shapes, foreign_model::Keys};
use crate::{error::InteropError, hugging_face::config::MAX_LABELS};

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

/// Start of the names of a sequence classifier's parameters, which has tanh where transformers' has `hidden_act`.
const CLASSIFIER: &str = "sen_classifer.";

/// Start of the names of a head over tokens: with two outputs it marks answers as transformers' does, with one it
/// scores candidates.
const TOKEN_HEAD: &str = "qahead.";

/// Whether a `config.json` is the authors'.
pub(super) fn is_authors(config: &Map<String, Value>) -> bool {
    config.get("model").is_some_and(Value::is_object)
}

/// The model that the section `model` of their `config.json` describes, for weights of these shapes.
pub(super) fn read(
    path: &Path,
    config: &Map<String, Value>,
    shapes: &Shapes,
) -> Result<ForeignModel, InteropError> {
    let Some(Value::Object(section)) = config.get("model") else {
        let reason = "it has no table `model`".to_owned();
        return Err(InteropError::Damaged { path: path.to_owned(), reason });
    };
    let keys = Keys::new(path, section);
    let shape = |name: &str| shapes.get(name);
    let is_first = keys.has("transformer_dim");
    let is_bert = shape("model.pooler.weight").is_some();
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

    let Attention { kind, is_exact_by_landmarks, num_landmarks, note } =
        attention(&keys, is_first, max_seq_len)?;
    let has_convolution =
        keys.has("conv_kernel_size") && (kind == AttentionKind::Nystrom || is_exact_by_landmarks);
    let dropout = keys.number_or("dropout_prob", 0.1)?;
    let sentence_classes = shape("sen_class.weight").map_or(2, |shape| shape[0]);
    if sentence_classes > MAX_LABELS {
        let reason = format!("more than {MAX_LABELS} classes are not read");
        return Err(keys.refuse("num_classes", &Value::from(sentence_classes), &reason));
    }
    let mut config = NystromformerConfig::default();
    config.embeddings.vocab_size = keys.size("vocab_size")?;
    config.shared.hidden_size = hidden_size;
    config.encoder.num_hidden_layers = keys.size("num_layers")?;
    config.shared.num_attention_heads = heads;
    config.feed_forward.intermediate_size =
        keys.size(if is_first { "transformer_hidden_dim" } else { "hidden_dim" })?;
    config.shared.hidden_act = if is_first { HiddenAct::GeluNew } else { HiddenAct::Gelu };
    config.shared.hidden_dropout_prob = dropout;
    // Their Nyström module has none, not even where it computes exact attention.
    config.attention.softmax.attention_probs_dropout_prob =
        if is_exact_by_landmarks { 0.0 } else { dropout };
    config.embeddings.max_position_embeddings = max_seq_len;
    config.embeddings.type_vocab_size = keys.size_or("num_sen_type", 1)?;
    // RoBERTa's vocabulary, or ALBERT's.
    config.embeddings.pad_token_id = usize::from(!is_bert);
    config.embeddings.bos_token_id = if is_bert { 2 } else { 0 };
    config.embeddings.eos_token_id = if is_bert { 3 } else { 2 };
    config.classifier.id2label = Labels::numbered(sentence_classes);
    config.attention.kind = kind;
    config.shared.semantics = Semantics::Paper;
    config.attention.nystrom.num_landmarks = num_landmarks;
    config.attention.nystrom.segment_means_seq_len = max_seq_len;
    config.attention.convolution.conv_kernel_size =
        if has_convolution { keys.size("conv_kernel_size")? } else { 0 };
    config.attention.nystrom.pinv_init = pinv_init(&keys, is_first)?;
    config.encoder.num_hidden_groups = usize::from(keys.is_on("shared_weight")?);
    let marks_answers = shape("qahead.weight").is_some_and(|shape| shape[0] == 2);
    Ok(ForeignModel {
        config,
        positions: if is_bert { PositionOffset::Zero } else { PositionOffset::Two },
        has_convolution: true,
        rename: Box::new(move |name| rename(name, marks_answers)),
        family: Some("the authors' repository"),
        notes: note.into_iter().collect(),
    })
}

/// Where the pseudo-inverse starts: per matrix only if both of the option's names, which the authors' code asks for one
/// after the other, say something else than `original`.
fn pinv_init(keys: &Keys, is_first: bool) -> Result<PinvInit, InteropError> {
    let original = "original";
    let is_stated = keys.has("inv_coeff_init_option") && keys.has("inv_init_coeff_option");
    let option = keys.text_or("inv_init_coeff_option", original)?;
    Ok(if is_first && is_stated && option != original {
        PinvInit::Exact
    } else {
        PinvInit::Original
    })
}

/// `model_type` of exact attention without convolution, in the authors' spelling.
pub(super) const VANILLA: &str = "vanila_transformer";

/// The attention of a configuration.
struct Attention {
    kind: AttentionKind,
    /// Whether it is their Nyström module that computes exact attention, told so by as many landmarks as tokens.
    is_exact_by_landmarks: bool,
    num_landmarks: usize,
    note: Option<String>,
}

fn attention(keys: &Keys, is_first: bool, max_seq_len: usize) -> Result<Attention, InteropError> {
    let exact = Attention {
        kind: AttentionKind::Softmax,
        is_exact_by_landmarks: false,
        num_landmarks: 64,
        note: None,
    };
    if keys.text_or("model_type", "")? == VANILLA {
        return Ok(exact);
    }
    match keys.text_or("attn_type", "softmax")? {
        "softmax" => return Ok(exact),
        "nystrom" => {}
        other => {
            let reason = "only `nystrom` and `softmax` attention can be read";
            return Err(keys.refuse("attn_type", &Value::from(other), reason));
        }
    }
    let landmarks = keys.size("num_landmarks")?;
    let seq_len = if is_first { keys.size_or("seq_len", max_seq_len)? } else { max_seq_len };
    if landmarks == seq_len {
        return Ok(Attention { is_exact_by_landmarks: true, ..exact });
    }
    let nystrom = Attention { kind: AttentionKind::Nystrom, num_landmarks: landmarks, ..exact };
    if landmarks < seq_len {
        return Ok(nystrom);
    }
    // As in the repository's own configuration of `code/`.
    if is_first && keys.has("seq_len") && landmarks == max_seq_len {
        let note = format!(
            "num_landmarks is larger than seq_len in the configuration, which no attention can be: the two are \
             taken as exchanged, {seq_len} landmarks over {landmarks} tokens."
        );
        return Ok(Attention { num_landmarks: seq_len, note: Some(note), ..nystrom });
    }
    let reason = format!("there cannot be more landmarks than the {seq_len} tokens");
    Err(keys.refuse("num_landmarks", &Value::from(landmarks), &reason))
}

/// The published name of a parameter; of a model that marks answers, without the head that it was pretrained with.
fn rename(name: &str, marks_answers: bool) -> Renamed {
    if name.starts_with(CLASSIFIER) || (marks_answers && name.starts_with("mlm.")) {
        return Renamed::LeftOut;
    }
    if let Some(part) = name.strip_prefix(TOKEN_HEAD) {
        return if marks_answers {
            Renamed::To(format!("qa_outputs.{part}"))
        } else {
            Renamed::LeftOut
        };
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
                "model.backbone.backbone.encoders.3.ff.0.weight",
                "encoder.layer.3.intermediate.dense.weight",
            ),
            (
                "model.backbone.backbone.encoder.norm1.bias",
                "encoder.layer.0.attention.output.LayerNorm.bias",
            ),
            ("model.embeddings.norm.weight", "embeddings.LayerNorm.weight"),
        ] {
            let Renamed::To(name) = rename(stored, false) else { panic!("{stored} is left out") };
            assert_eq!(name, format!("nystromformer.{published}"));
        }
        assert!(matches!(rename("sen_classifer.dense.weight", false), Renamed::LeftOut));
    }

    #[test]
    fn attentions_that_do_not_exist_here_are_refused() {
        let config = serde_json::json!({ "model": {
            "transformer_dim": 8, "num_head": 2, "max_seq_len": 16, "attn_type": "linformer"
        }});
        let error = read(Path::new("config.json"), config.as_object().unwrap(), &Shapes::new());
        let error = error.err().unwrap();
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
        let source =
            read(Path::new("config.json"), config.as_object().unwrap(), &Shapes::new()).unwrap();
        assert_eq!(
            (
                source.config.attention.nystrom.num_landmarks,
                source.config.attention.nystrom.segment_means_seq_len
            ),
            (64, 512)
        );
        assert!(source.notes[0].contains("64 landmarks over 512 tokens"), "{:?}", source.notes);
    }
}
