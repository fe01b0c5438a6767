//! A model in the form of the authors' repository: `cp-0000.model` and a `config.json` that its scripts read.
//!
//! Which generation of its code is served depends on the model: `reorganized_code/BERT` for pretraining with
//! sentence order, `code/` for masked language modelling with its activation, `reorganized_code/RoBERT` for that
//! with the exact one.

use std::{fs, path::Path};

use burn::{
    store::{
        BurnToPyTorchAdapter, FloatCastAdapter, ModuleAdapter, ModuleSnapshot, bridge,
        burn_pack::Tensor,
    },
    tensor::{DType, Device},
};
use nystromformer::{
    Architecture, AttentionKind, FeedForwardKind, HiddenAct, Model, NystromformerConfig, PinvInit,
    PinvMethod, PositionEmbeddingType, PreTrainedModel, embeddings::POSITION_OFFSET,
};
use nystromformer_files::durable::ScratchFolder;
use serde_json::{Value, json};

use super::authors::{OUTSIDE_BLOCKS, VANILLA, WITHIN_BLOCK};
use crate::{
    error::InteropError,
    hugging_face::{
        Exported, config::CONFIG_NAME, folder::finish, load::load_model, tokenizer_files,
        transformers::HF_PINV_ITERATIONS,
    },
    torch_writer::{self, Entry},
};

/// In all layer normalisations of their code.
const LAYER_NORM_EPS: f64 = 1e-5;

/// The first epoch's name in their scripts, which look for the last one.
const MODEL_NAME: &str = "cp-0000.model";
const WORDS: &str = "model.embeddings.word_embeddings.weight";
const DECODER: &str = "mlm.mlm_class.weight";
const POSITIONS: &str = "model.embeddings.position_embeddings.weight";

/// A generation of the authors' code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Generation {
    /// `code/`.
    First,
    /// `reorganized_code/RoBERT`.
    Roberta,
    /// `reorganized_code/BERT`.
    Bert,
}

/// Writes the model in `source` as the authors' scripts save it, with its tokenizer's files beside it.
///
/// As for [`export_model`](crate::export_model), the output appears complete or not at all.
///
/// # Errors
/// As for [`load_model`]; [`InteropError::NoAuthorsForm`] if their code has no such model; if the output cannot be
/// written.
pub fn export_for_authors(source: &Path, output: &Path) -> Result<Exported, InteropError> {
    let scratch = ScratchFolder::beside(output)?;
    let model = load_model(source, &Device::flex())?;
    let generation = generation(&model)?;
    write_weights(&model, generation, &scratch.path().join(MODEL_NAME))?;
    let path = scratch.path().join(CONFIG_NAME);
    let text = format!("{:#}\n", config(model.config(), generation));
    fs::write(&path, text).map_err(|source| InteropError::Write { path, source })?;
    let config = model.config();
    tokenizer_files::copy(
        source,
        scratch.path(),
        config,
        config.embeddings.max_position_embeddings,
    )?;
    let note = "The authors' code attends to padding in part: over a partly padded segment it divides by the whole \
                segment's length, so its predictions for padded inputs differ.";
    let mut notes = vec![note.to_owned()];
    if !config.is_full_attention() && config.attention.nystrom.pinv_init == PinvInit::Exact {
        notes.push(
            "The pseudo-inverse of each matrix starts from that matrix's own scale; the authors' code takes one scale \
             from the whole batch."
                .to_owned(),
        );
    }
    finish(scratch, notes)
}

/// The code that has this model.
fn generation(model: &Model) -> Result<Generation, InteropError> {
    let config = model.config();
    let generation = match (model.architecture(), config.shared.hidden_act) {
        (Architecture::PreTraining, HiddenAct::Gelu) => Generation::Bert,
        (Architecture::MaskedLm, HiddenAct::GeluNew) => Generation::First,
        (Architecture::MaskedLm, HiddenAct::Gelu) => Generation::Roberta,
        (architecture, activation) => {
            let reason = format!("{architecture} with `hidden_act` {activation:?}");
            return Err(InteropError::NoAuthorsForm { reason });
        }
    };
    let landmarks = config.attention.nystrom.num_landmarks;
    let tokens = config.embeddings.max_position_embeddings;
    let kind = config.attention.kind;
    let own_option = config.attention.nystrom.own_option();
    let positions = config.shared.position_embedding_type;
    let stem_layers = config.embeddings.stem.stem_layers;
    let refusals = [
        (
            !matches!(kind, AttentionKind::Nystrom | AttentionKind::Softmax),
            format!("attention = `{}`", kind.name()),
        ),
        (
            kind == AttentionKind::Nystrom && own_option.is_some(),
            own_option.map_or_else(String::new, |(key, value)| format!("{key} = `{value}`")),
        ),
        (config.attention.convolution.conv_per_channel, "conv_per_channel = `true`".to_owned()),
        (
            positions != PositionEmbeddingType::Absolute,
            format!("position_embedding_type = `{}`", positions.name()),
        ),
        (stem_layers > 0, format!("stem_layers = `{stem_layers}`")),
        (config.feed_forward.kind == FeedForwardKind::Gated, "feed_forward = `gated`".to_owned()),
        (config.encoder.num_hidden_groups > 1, "layers shared in more than one group".to_owned()),
        (
            config.encoder.num_hidden_groups == 1 && generation == Generation::First,
            "shared layers with `hidden_act` gelu_new".to_owned(),
        ),
        (
            config.shared.layer_norm_eps.to_bits() != LAYER_NORM_EPS.to_bits(),
            format!(
                "layer_norm_eps = {}, where it always has {LAYER_NORM_EPS}",
                config.shared.layer_norm_eps
            ),
        ),
        (
            !config.is_full_attention() && config.attention.nystrom.pinv == PinvMethod::Solve,
            "pinv = `solve`, where it always iterates".to_owned(),
        ),
        (
            !config.is_full_attention()
                && config.attention.nystrom.pinv_iterations != HF_PINV_ITERATIONS,
            format!(
                "pinv_iterations = {}, where it always has {HF_PINV_ITERATIONS}",
                config.attention.nystrom.pinv_iterations
            ),
        ),
        (
            !config.is_full_attention()
                && (landmarks >= tokens || !tokens.is_multiple_of(landmarks)),
            format!("{landmarks} landmarks over {tokens} positions, which they must divide"),
        ),
    ];
    if let Some((_, reason)) = refusals.into_iter().find(|(is_refused, _)| *is_refused) {
        return Err(InteropError::NoAuthorsForm { reason });
    }
    Ok(generation)
}

fn write_weights(model: &Model, generation: Generation, path: &Path) -> Result<(), InteropError> {
    let adapter = BurnToPyTorchAdapter.chain(FloatCastAdapter::to(DType::F32));
    let tensors = model.collect(None, Some(Box::new(adapter)), true);
    let damaged = |reason: String| InteropError::Damaged { path: path.to_owned(), reason };

    let mut entries: Vec<Entry> = Vec::new();
    let mut sources: Vec<(&Tensor, usize)> = Vec::new();
    for tensor in &tensors {
        let published = tensor
            .name
            .replace(".attention.self_attention.", ".attention.self.")
            .replace(".layer_norm.", ".LayerNorm.");
        let name =
            authors_name(&published, generation, model.config().encoder.num_hidden_groups == 1)
                .ok_or_else(|| {
                    damaged(format!("`{published}` has no name in the authors' code"))
                })?;
        let mut shape = tensor.shape.to_vec();
        // Their BERT counts positions from row 0.
        let skipped = if generation == Generation::Bert && name == POSITIONS {
            shape[0] -= POSITION_OFFSET;
            POSITION_OFFSET * shape[1]
        } else {
            0
        };
        entries.push(Entry { name, shape, storage: sources.len() });
        sources.push((tensor, skipped));
    }
    let words = entries.iter().find(|entry| entry.name == WORDS);
    let decoder = words.map(|words| Entry {
        name: DECODER.to_owned(),
        shape: words.shape.clone(),
        storage: words.storage,
    });
    entries.extend(decoder);

    let sizes: Vec<usize> =
        entries[..sources.len()].iter().map(|entry| entry.shape.iter().product()).collect();
    torch_writer::write(path, "model_state_dict", &entries, &sizes, |index| {
        let (tensor, skipped) = sources[index];
        let data = bridge::to_data(tensor).map_err(|error| damaged(error.to_string()))?;
        let values = data.as_slice::<f32>().map_err(|error| damaged(format!("{error:?}")))?;
        Ok(values[skipped..].iter().flat_map(|value| value.to_le_bytes()).collect())
    })
}

/// The authors' name of a parameter.
fn authors_name(published: &str, generation: Generation, is_shared: bool) -> Option<String> {
    if published == "cls.predictions.bias" {
        return Some("mlm.mlm_class.bias".to_owned());
    }
    if let Some(rest) = published.strip_prefix("nystromformer.encoder.layer.") {
        let (layer, part) = rest.split_once('.')?;
        let block = match generation {
            Generation::First => format!("model.transformer_{layer}"),
            _ if is_shared => "model.backbone.backbone.encoder".to_owned(),
            _ => format!("model.backbone.backbone.encoders.{layer}"),
        };
        // The feed-forward block is called otherwise in the first generation.
        let is_other_generation = |theirs: &str| match generation {
            Generation::First => theirs.starts_with("ff."),
            _ => theirs == "ff1." || theirs == "ff2.",
        };
        let (theirs, ours) = WITHIN_BLOCK
            .iter()
            .find(|(theirs, ours)| part.starts_with(ours) && !is_other_generation(theirs))?;
        return Some(format!("{block}.{theirs}{}", &part[ours.len()..]));
    }
    let (theirs, ours) = OUTSIDE_BLOCKS.iter().find(|(_, ours)| published.starts_with(ours))?;
    Some(format!("{theirs}{}", &published[ours.len()..]))
}

/// The section `model` of their configuration.
fn config(config: &NystromformerConfig, generation: Generation) -> Value {
    let is_first = generation == Generation::First;
    let exact = config.is_full_attention();
    let max_seq_len = config.embeddings.max_position_embeddings;
    let mut model = json!({
        "mixed_precision": true,
        "vocab_size": config.embeddings.vocab_size,
        "num_sen_type": config.embeddings.type_vocab_size,
        "max_seq_len": max_seq_len,
        "embedding_dim": config.shared.hidden_size,
        "num_layers": config.encoder.num_hidden_layers,
        "dropout_prob": config.shared.hidden_dropout_prob,
        "num_head": config.shared.num_attention_heads,
        "head_dim": config.shared.head_dim(),
    });
    let mut set = |key: &str, value: Value| model[key] = value;
    if is_first {
        set("transformer_dim", json!(config.shared.hidden_size));
        set("transformer_hidden_dim", json!(config.feed_forward.intermediate_size));
        set("attention_grad_checkpointing", json!(false));
        set("gelu_grad_checkpointing", json!(false));
    } else {
        set("dim", json!(config.shared.hidden_size));
        set("hidden_dim", json!(config.feed_forward.intermediate_size));
        set("shared_weight", json!(config.encoder.num_hidden_groups == 1));
        set("model_type", json!("efficient_attention"));
    }
    if generation == Generation::Bert {
        set("num_classes", json!(config.num_labels()));
    }
    if exact && config.attention.convolution.conv_kernel_size == 0 {
        set("attn_type", json!("softmax"));
        if !is_first {
            set("model_type", json!(VANILLA));
        }
    } else {
        set("attn_type", json!("nystrom"));
        // As many landmarks as tokens mean exact attention there.
        set(
            "num_landmarks",
            json!(if exact { max_seq_len } else { config.attention.nystrom.num_landmarks }),
        );
        if is_first {
            set("seq_len", json!(max_seq_len));
        }
        if config.attention.convolution.conv_kernel_size > 0 {
            set("conv_kernel_size", json!(config.attention.convolution.conv_kernel_size));
        }
    }
    json!({ "model": model })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_back_to_each_generation() {
        let query = "nystromformer.encoder.layer.1.attention.self.query.weight";
        let inner = "nystromformer.encoder.layer.0.output.dense.bias";
        for (published, generation, is_shared, expected) in [
            (query, Generation::First, false, "model.transformer_1.mha.W_q.weight"),
            (
                query,
                Generation::Roberta,
                false,
                "model.backbone.backbone.encoders.1.mha.W_q.weight",
            ),
            (inner, Generation::First, false, "model.transformer_0.ff2.bias"),
            (inner, Generation::Bert, true, "model.backbone.backbone.encoder.ff.2.bias"),
            ("pooler.dense.bias", Generation::Bert, false, "model.pooler.bias"),
            (
                "nystromformer.embeddings.LayerNorm.bias",
                Generation::Bert,
                false,
                "model.embeddings.norm.bias",
            ),
            ("cls.predictions.transform.LayerNorm.bias", Generation::Bert, false, "mlm.norm.bias"),
        ] {
            let name = authors_name(published, generation, is_shared);
            assert_eq!(name.as_deref(), Some(expected), "{published}");
        }
        assert_eq!(authors_name("classifier.weight", Generation::Bert, false), None);
    }
}
