//! BERT, RoBERTa and its relatives as a start for a Nyströmformer (paper, section 4.1, "from standard").
//!
//! All parameters of these encoders have their place here; the convolution is new. With exact attention and no
//! convolution (`attention = "softmax"`, `conv_kernel_size = 0`) the import computes what they compute.

use std::path::Path;

use nystromformer::{HiddenAct, NystromformerConfig, PinvInit, Semantics};
use nystromformer_files::table::listed;
use serde_json::{Map, Value};

use super::{ForeignModel, PositionOffset, Renamed, Shapes, foreign_model::Keys};
use crate::{
    error::InteropError,
    hugging_face::{
        config::{lacks_model_type, stated_labels, unread_keys},
        names::CONVOLUTION,
    },
};

/// Heads that have the same form in all three families, by the end of their class's name.
const KEPT_HEADS: [&str; 2] = ["ForTokenClassification", "ForQuestionAnswering"];

/// A family of models: its `model_type`, what it is called, how the names of its classes begin, and whether it is RoBERTa tensor for
/// tensor or BERT.
type Known = (&'static str, &'static str, &'static str, bool);

const BERT: Known = ("bert", "BERT", "Bert", false);
const ROBERTA: Known = ("roberta", "RoBERTa", "Roberta", true);

/// All families that are read.
const FAMILIES: [Known; 4] = [
    BERT,
    ROBERTA,
    ("xlm-roberta", "XLM-RoBERTa", "XLMRoberta", true),
    ("camembert", "CamemBERT", "Camembert", true),
];

/// Keys of `config.json` that are read.
const READ: [&str; 18] = [
    "attention_probs_dropout_prob",
    "bos_token_id",
    "eos_token_id",
    "hidden_act",
    "hidden_dropout_prob",
    "hidden_size",
    "id2label",
    "initializer_range",
    "intermediate_size",
    "is_decoder",
    "layer_norm_eps",
    "max_position_embeddings",
    "num_attention_heads",
    "num_hidden_layers",
    "pad_token_id",
    "position_embedding_type",
    "type_vocab_size",
    "vocab_size",
];

/// Which of the families a checkpoint is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Family {
    known: Known,
    /// Why it is taken for that family, where its `config.json` names none.
    guessed_by: Option<String>,
}

impl Family {
    /// The family of a `config.json` and of weights of these shapes; `None` if it is neither.
    ///
    /// Files of before transformers 2.4 name no `model_type`: their classes tell, or their weights.
    pub(super) fn of(config: &Map<String, Value>, shapes: &Shapes) -> Option<Self> {
        let guessed = |known, reason: String| Some(Self { known, guessed_by: Some(reason) });
        match config.get("model_type") {
            Some(Value::String(name)) => {
                let known = FAMILIES.into_iter().find(|(model_type, ..)| model_type == name)?;
                return Some(Self { known, guessed_by: None });
            }
            None | Some(Value::Null) => {}
            Some(_) => return None,
        }
        if !lacks_model_type(config) {
            return None;
        }
        if let Some(class) = first_class(config) {
            let reason = format!("`architectures` names `{class}`");
            let known = FAMILIES.into_iter().find(|(.., start, _)| class.starts_with(start))?;
            return guessed(known, reason);
        }
        for (start, known) in [("bert.", BERT), ("roberta.", ROBERTA), ("lm_head.", ROBERTA)] {
            if let Some(name) = shapes.keys().find(|name| name.starts_with(start)) {
                return guessed(known, format!("it holds `{name}`"));
            }
        }
        let is_bare = shapes.keys().any(|name| name.ends_with("embeddings.word_embeddings.weight"))
            && !shapes.keys().any(|name| name.ends_with(CONVOLUTION));
        if !is_bare {
            return None;
        }
        // RoBERTa's padding, and its one type of token.
        let is = |key: &str, value: u64| config.get(key).and_then(Value::as_u64) == Some(value);
        if is("pad_token_id", 1) && is("type_vocab_size", 1) {
            let reason = "pad_token_id and type_vocab_size are 1, as RoBERTa's";
            return guessed(ROBERTA, reason.to_owned());
        }
        guessed(BERT, "it is a bare encoder without a convolution".to_owned())
    }

    /// What to know of a family that is guessed.
    fn note(&self) -> Option<String> {
        let reason = self.guessed_by.as_ref()?;
        let (key, name, ..) = self.known;
        Some(format!(
            "config.json names no model_type: it is taken for {name}'s, since {reason}. Add `\"model_type\": \"{key}\"` to \
             it if that is right, and the right one if it is not."
        ))
    }
}

/// The first class that a `config.json` names.
fn first_class(config: &Map<String, Value>) -> Option<&str> {
    config.get("architectures")?.get(0)?.as_str()
}

/// The Nyströmformer that a model of one of these families becomes.
pub(super) fn read(
    path: &Path,
    config: &Map<String, Value>,
    family: &Family,
) -> Result<ForeignModel, InteropError> {
    let keys = Keys::new(path, config);
    let (_, name, _, is_roberta) = family.known;
    let mut notes: Vec<String> = family.note().into_iter().collect();
    let unread = unread_keys(path, config, &READ)?;
    if !unread.is_empty() {
        notes.push(format!(
            "config.json has keys that nothing here reads: {}. If the model computes with one, the import is another model.",
            listed(unread)
        ));
    }
    let pad_token_id = keys.size_or("pad_token_id", usize::from(is_roberta))?;
    if is_roberta && pad_token_id != 1 {
        let reason = "RoBERTa counts positions from pad_token_id + 1; only 1 can be read";
        return Err(keys.refuse("pad_token_id", &config["pad_token_id"], reason));
    }
    let hidden_act = keys.parsed_or("hidden_act", HiddenAct::Gelu)?;
    if is_roberta && hidden_act != HiddenAct::Gelu {
        let reason = "RoBERTa's prediction head always has `gelu`; here head and encoder have one activation";
        return Err(keys.refuse("hidden_act", &config["hidden_act"], reason));
    }
    let absolute = "absolute";
    if keys.text_or("position_embedding_type", absolute)? != absolute {
        let reason = "only `absolute` position embeddings are supported";
        return Err(keys.refuse(
            "position_embedding_type",
            &config["position_embedding_type"],
            reason,
        ));
    }
    if keys.is_on("is_decoder")? {
        return Err(keys.refuse("is_decoder", &Value::Bool(true), "only encoders can be read"));
    }

    let rows = keys.size_or("max_position_embeddings", if is_roberta { 514 } else { 512 })?;
    let max_position_embeddings = if is_roberta { rows.saturating_sub(2) } else { rows };
    let mut ours = NystromformerConfig::default();
    ours.embeddings.vocab_size =
        keys.size_or("vocab_size", if family.known == ROBERTA { 50265 } else { 30522 })?;
    ours.shared.hidden_size = keys.size_or("hidden_size", 768)?;
    ours.encoder.num_hidden_layers = keys.size_or("num_hidden_layers", 12)?;
    ours.shared.num_attention_heads = keys.size_or("num_attention_heads", 12)?;
    ours.feed_forward.intermediate_size = keys.size_or("intermediate_size", 3072)?;
    ours.shared.hidden_act = hidden_act;
    ours.shared.hidden_dropout_prob = keys.number_or("hidden_dropout_prob", 0.1)?;
    ours.attention.softmax.attention_probs_dropout_prob =
        keys.number_or("attention_probs_dropout_prob", 0.1)?;
    ours.embeddings.max_position_embeddings = max_position_embeddings;
    ours.embeddings.type_vocab_size = keys.size_or("type_vocab_size", 2)?;
    ours.shared.weights.initializer_range = keys.number_or("initializer_range", 0.02)?;
    ours.shared.layer_norm_eps = keys.number_or("layer_norm_eps", 1e-12)?;
    ours.embeddings.pad_token_id = pad_token_id;
    // Ids of [CLS] and [SEP] in BERT's vocabulary, of <s> and </s> in RoBERTa's.
    ours.embeddings.bos_token_id =
        keys.size_or("bos_token_id", if is_roberta { 0 } else { 101 })?;
    ours.embeddings.eos_token_id =
        keys.size_or("eos_token_id", if is_roberta { 2 } else { 102 })?;
    ours.classifier.id2label = stated_labels(path, config)?.unwrap_or_default();
    ours.shared.semantics = Semantics::Paper;
    ours.attention.nystrom.segment_means_seq_len = max_position_embeddings;
    ours.attention.nystrom.pinv_init = PinvInit::Exact;

    let keeps_head = first_class(config)
        .is_some_and(|class| KEPT_HEADS.iter().any(|head| class.ends_with(head)));
    Ok(ForeignModel {
        config: ours,
        positions: if is_roberta { PositionOffset::Two } else { PositionOffset::Zero },
        has_convolution: false,
        rename: Box::new(move |name| {
            if is_roberta {
                rename_roberta(name, keeps_head)
            } else {
                rename_bert(name, keeps_head)
            }
        }),
        family: Some(name),
        notes,
    })
}

fn rename_bert(stored: &str, keeps_head: bool) -> Renamed {
    let name = match stored.strip_prefix("bert.") {
        Some(rest) => format!("nystromformer.{rest}"),
        None => stored.to_owned(),
    };
    // Next-sentence prediction is another question than sentence order.
    if name.starts_with("cls.seq_relationship.") {
        return Renamed::LeftOut;
    }
    rename_common(name, keeps_head)
}

fn rename_roberta(stored: &str, keeps_head: bool) -> Renamed {
    for (theirs, ours) in [
        ("roberta.", "nystromformer."),
        ("lm_head.dense.", "cls.predictions.transform.dense."),
        ("lm_head.layer_norm.", "cls.predictions.transform.LayerNorm."),
        ("lm_head.decoder.", "cls.predictions.decoder."),
        ("lm_head.", "cls.predictions."),
    ] {
        if let Some(rest) = stored.strip_prefix(theirs) {
            return rename_common(format!("{ours}{rest}"), keeps_head);
        }
    }
    rename_common(stored.to_owned(), keeps_head)
}

/// Poolers, and the heads that read them or that are formed otherwise here, are left out.
fn rename_common(name: String, keeps_head: bool) -> Renamed {
    let pooler = name.starts_with("pooler.") || name.starts_with("nystromformer.pooler.");
    let head = name.starts_with("classifier.") || name.starts_with("qa_outputs.");
    if pooler || (head && !keeps_head) { Renamed::LeftOut } else { Renamed::To(name) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn family(config: Value, names: &[&str]) -> Option<(&'static str, bool)> {
        let shapes = names.iter().map(|name| ((*name).to_owned(), vec![1])).collect();
        let family = Family::of(config.as_object().unwrap(), &shapes)?;
        Some((family.known.1, family.note().is_some()))
    }

    #[test]
    fn a_configuration_without_a_model_type_is_known_by_its_classes_or_weights() {
        let words = "embeddings.word_embeddings.weight";
        let plain = json!({ "hidden_size": 8 });
        for (config, names, expected) in [
            (json!({ "model_type": "bert" }), &[][..], Some(("BERT", false))),
            (json!({ "model_type": "roberta" }), &[], Some(("RoBERTa", false))),
            (json!({ "model_type": "xlm-roberta" }), &[], Some(("XLM-RoBERTa", false))),
            (json!({ "model_type": "camembert" }), &[], Some(("CamemBERT", false))),
            (json!({ "model_type": "xlm-roberta-xl" }), &["roberta.pooler.dense.bias"], None),
            (json!({ "architectures": ["XLMRobertaModel"] }), &[], Some(("XLM-RoBERTa", true))),
            (json!({ "model_type": "electra" }), &["bert.pooler.dense.bias"], None),
            (json!({ "architectures": ["BertForMaskedLM"] }), &[], Some(("BERT", true))),
            (json!({ "architectures": ["RobertaModel"] }), &[], Some(("RoBERTa", true))),
            (json!({ "architectures": ["ElectraModel"] }), &["bert.pooler.dense.bias"], None),
            (plain.clone(), &["bert.pooler.dense.bias"], Some(("BERT", true))),
            (
                plain.clone(),
                &["lm_head.dense.bias", "roberta.pooler.dense.bias"],
                Some(("RoBERTa", true)),
            ),
            (plain.clone(), &[words], Some(("BERT", true))),
            (json!({ "pad_token_id": 1, "type_vocab_size": 1 }), &[words], Some(("RoBERTa", true))),
            (
                plain.clone(),
                &["nystromformer.encoder.layer.0.attention.self.conv.weight", words],
                None,
            ),
            (plain, &[], None),
            // A Nyströmformer's own key.
            (json!({ "num_landmarks": 8 }), &[words], None),
        ] {
            assert_eq!(family(config.clone(), names), expected, "{config} {names:?}");
        }
    }
}
