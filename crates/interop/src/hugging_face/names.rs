//! The parameters' published names and shapes.
//!
//! Modules here are named after transformers' wherever Rust allows it. What differs: `self` is a keyword,
//! fields are in snake case, and Burn calls a normalisation's weight and bias `gamma` and `beta`.
//! Linear weights are stored `[out, in]`, the transpose of Burn's.

use nystromformer::{NystromformerConfig, embeddings::POSITION_OFFSET};

/// Start of every name of the encoder in a model with a head; absent from files of the bare encoder.
pub(super) const ENCODER: &str = "nystromformer.";

/// Start of every name of the masked-language-modelling head.
pub const MASKED_LM_HEAD: &str = "cls.";

/// Regular expressions from module paths to published names, for burn-store's key remapping; its PyTorch
/// adapter knows about normalisations and transposes.
pub(super) const TO_PUBLISHED: [(&str, &str); 2] =
    [(r"\.attention\.self_attention\.", ".attention.self."), (r"\.layer_norm\.", ".LayerNorm.")];

/// Second names of shared parameters, and the first: files may hold either or both.
pub(super) const TIED: [(&str, &str); 2] = [
    ("cls.predictions.decoder.weight", "nystromformer.embeddings.word_embeddings.weight"),
    ("cls.predictions.decoder.bias", "cls.predictions.bias"),
];

/// Buffers that older versions of transformers stored and that hold no information.
pub(super) const STALE: [&str; 2] =
    ["nystromformer.embeddings.position_ids", "nystromformer.embeddings.token_type_ids"];

/// Starts of the names of other heads' parameters.
const OTHER_HEADS: [&str; 3] = ["classifier.", "pre_classifier.", "qa_outputs."];

/// Name, in full, and stored shape of each parameter of a model.
pub type Inventory = Vec<(String, Vec<usize>)>;

/// Name and stored shape of every parameter of a masked language model, in transformers' order.
///
/// The decoder is not among them: it is the token embedding.
pub fn masked_lm_parameters(config: &NystromformerConfig) -> Inventory {
    let hidden = config.hidden_size;
    let mut parameters = encoder_parameters(config);
    let mut add = |name: &str, shape: &[usize]| {
        parameters.push((format!("{MASKED_LM_HEAD}predictions.{name}"), shape.to_vec()));
    };
    add("bias", &[config.vocab_size]);
    add("transform.dense.weight", &[hidden, hidden]);
    add("transform.dense.bias", &[hidden]);
    add("transform.LayerNorm.weight", &[hidden]);
    add("transform.LayerNorm.bias", &[hidden]);
    parameters
}

/// Name, in full, and stored shape of every parameter of the encoder, in transformers' order.
pub fn encoder_parameters(config: &NystromformerConfig) -> Inventory {
    let hidden = config.hidden_size;
    let mut parameters = Vec::new();
    let mut add = |name: String, shape: &[usize]| parameters.push((name, shape.to_vec()));

    let embeddings = format!("{ENCODER}embeddings");
    let positions = config.max_position_embeddings.saturating_add(POSITION_OFFSET);
    add(format!("{embeddings}.word_embeddings.weight"), &[config.vocab_size, hidden]);
    add(format!("{embeddings}.position_embeddings.weight"), &[positions, hidden]);
    add(format!("{embeddings}.token_type_embeddings.weight"), &[config.type_vocab_size, hidden]);
    add(format!("{embeddings}.LayerNorm.weight"), &[hidden]);
    add(format!("{embeddings}.LayerNorm.bias"), &[hidden]);

    for index in 0..config.num_hidden_layers {
        let layer = format!("{ENCODER}encoder.layer.{index}");
        if config.conv_kernel_size > 0 {
            let shape = [config.num_attention_heads, 1, config.conv_kernel_size, 1];
            add(format!("{layer}.attention.self.conv.weight"), &shape);
        }
        for (linear, outputs, inputs) in [
            ("attention.self.query", hidden, hidden),
            ("attention.self.key", hidden, hidden),
            ("attention.self.value", hidden, hidden),
            ("attention.output.dense", hidden, hidden),
            ("intermediate.dense", config.intermediate_size, hidden),
            ("output.dense", hidden, config.intermediate_size),
        ] {
            add(format!("{layer}.{linear}.weight"), &[outputs, inputs]);
            add(format!("{layer}.{linear}.bias"), &[outputs]);
        }
        for normalisation in ["attention.output.LayerNorm", "output.LayerNorm"] {
            add(format!("{layer}.{normalisation}.weight"), &[hidden]);
            add(format!("{layer}.{normalisation}.bias"), &[hidden]);
        }
    }
    parameters
}

/// Whether this is a head's parameter, whichever head.
pub(super) fn belongs_to_a_head(name: &str) -> bool {
    name.starts_with(MASKED_LM_HEAD) || belongs_to_another_head(name)
}

/// Whether this is a parameter of a head other than masked language modelling's.
pub(super) fn belongs_to_another_head(name: &str) -> bool {
    OTHER_HEADS.iter().any(|head| name.starts_with(head))
}

/// The full name of a parameter, which a file of the bare encoder stores without its start.
pub(super) fn full_name(stored: &str) -> String {
    if stored.starts_with("embeddings.") || stored.starts_with("encoder.") {
        format!("{ENCODER}{stored}")
    } else {
        stored.to_owned()
    }
}

/// Path of the module field that a published name stands for. Normalisations keep `weight` and `bias`,
/// which burn-store's PyTorch adapter looks up.
pub(super) fn module_path(published: &str) -> String {
    published
        .replace(".attention.self.", ".attention.self_attention.")
        .replace(".LayerNorm.", ".layer_norm.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_bare_encoder_are_completed() {
        for (stored, full) in [
            (
                "embeddings.word_embeddings.weight",
                "nystromformer.embeddings.word_embeddings.weight",
            ),
            (
                "encoder.layer.3.output.dense.bias",
                "nystromformer.encoder.layer.3.output.dense.bias",
            ),
            ("nystromformer.embeddings.LayerNorm.bias", "nystromformer.embeddings.LayerNorm.bias"),
            ("cls.predictions.bias", "cls.predictions.bias"),
        ] {
            assert_eq!(full_name(stored), full);
        }
    }

    #[test]
    fn module_paths_are_fields() {
        assert_eq!(
            module_path("nystromformer.encoder.layer.0.attention.self.query.weight"),
            "nystromformer.encoder.layer.0.attention.self_attention.query.weight"
        );
        assert_eq!(
            module_path("cls.predictions.transform.LayerNorm.bias"),
            "cls.predictions.transform.layer_norm.bias"
        );
    }
}
