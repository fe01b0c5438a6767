//! The parameters' published names and shapes.
//!
//! Modules here are named after transformers' wherever Rust allows it. What differs: `self` is a keyword,
//! fields are in snake case, and Burn calls a normalisation's weight and bias `gamma` and `beta`.
//! Linear weights are stored `[out, in]`, the transpose of Burn's.

use nystromformer::{Architecture, NystromformerConfig, embeddings::POSITION_OFFSET};

/// Start of every name of the encoder in a model with a head; absent from files of the bare encoder.
pub(super) const ENCODER: &str = "nystromformer.";

/// End of the name of every layer's convolution.
pub(crate) const CONVOLUTION: &str = ".attention.self.conv.weight";

/// Start of every name of the masked-language-modelling head.
pub const MASKED_LM_HEAD: &str = "cls.";

/// Regular expressions from module paths to published names, for burn-store's key remapping; its PyTorch
/// adapter knows about normalisations and transposes.
pub(super) const TO_PUBLISHED: [(&str, &str); 2] =
    [(r"\.attention\.self_attention\.", ".attention.self."), (r"\.layer_norm\.", ".LayerNorm.")];

/// Buffers that older versions of transformers stored and that hold no information.
pub(super) const STALE: [&str; 2] =
    ["nystromformer.embeddings.position_ids", "nystromformer.embeddings.token_type_ids"];

/// Starts of the names of every head's parts. A head is complete or absent part by part.
pub(super) const HEAD_PARTS: [&str; 7] = [
    MASKED_LM_HEAD,
    "pooler.",
    "sop_classifier.",
    "classifier.",
    "pair_classifier.",
    "pre_classifier.",
    "qa_outputs.",
];

/// Name, in full, and stored shape of each parameter of a model.
pub type Inventory = Vec<(String, Vec<usize>)>;

/// Name and stored shape of every parameter of a model, in transformers' order.
///
/// What a file may hold a second time (the decoder, which is the token embedding; layers that share their
/// weights) is here once, under the first name: see `second_names`.
pub fn parameters(architecture: Architecture, config: &NystromformerConfig) -> Inventory {
    let mut parameters = encoder_parameters(config);
    parameters.extend(head_parameters(architecture, config));
    parameters
}

/// Name and stored shape of every parameter of a head.
fn head_parameters(architecture: Architecture, config: &NystromformerConfig) -> Inventory {
    let (hidden, num_labels) = (config.hidden_size, config.num_labels());
    let width = config.classifier_width();
    let mut parameters = Vec::new();
    let mut linear_of = |name: &str, inputs: usize, outputs: usize| {
        parameters.push((format!("{name}.weight"), vec![outputs, inputs]));
        parameters.push((format!("{name}.bias"), vec![outputs]));
    };
    let mut linear = |name: &str, outputs: usize| linear_of(name, hidden, outputs);
    match architecture {
        Architecture::Base => {}
        Architecture::MaskedLm => parameters.extend(masked_lm_head(config)),
        Architecture::PreTraining => {
            linear("pooler.dense", hidden);
            linear("sop_classifier", num_labels);
            parameters.extend(masked_lm_head(config));
        }
        Architecture::SequenceClassification => {
            linear_of("classifier.dense", hidden, width);
            linear_of("classifier.out_proj", width, num_labels);
        }
        Architecture::DualEncoder => {
            linear_of("pair_classifier.dense", hidden.saturating_mul(4), width);
            linear_of("pair_classifier.out_proj", width, num_labels);
        }
        Architecture::MultipleChoice => {
            linear("pre_classifier", hidden);
            linear("classifier", 1);
        }
        Architecture::TokenClassification => linear("classifier", num_labels),
        Architecture::QuestionAnswering => linear("qa_outputs", 2),
    }
    parameters
}

fn masked_lm_head(config: &NystromformerConfig) -> Inventory {
    let hidden = config.hidden_size;
    [
        ("bias", vec![config.vocab_size]),
        ("transform.dense.weight", vec![hidden, hidden]),
        ("transform.dense.bias", vec![hidden]),
        ("transform.LayerNorm.weight", vec![hidden]),
        ("transform.LayerNorm.bias", vec![hidden]),
    ]
    .map(|(name, shape)| (format!("{MASKED_LM_HEAD}predictions.{name}"), shape))
    .into()
}

/// Second names of shared parameters, each with the first; files may hold either or both.
pub(super) fn second_names(config: &NystromformerConfig) -> Vec<(String, String)> {
    let mut names = vec![
        (
            format!("{MASKED_LM_HEAD}predictions.decoder.weight"),
            format!("{ENCODER}embeddings.word_embeddings.weight"),
        ),
        (
            format!("{MASKED_LM_HEAD}predictions.decoder.bias"),
            format!("{MASKED_LM_HEAD}predictions.bias"),
        ),
    ];
    let per_group = config.layers_per_group().max(1);
    let layer = |index: usize| format!("{ENCODER}encoder.layer.{index}.");
    let parts = layer_parameters(config);
    for index in (0..config.num_hidden_layers).filter(|index| !index.is_multiple_of(per_group)) {
        let (second, first) = (layer(index), layer(index - index % per_group));
        names.extend(
            parts.iter().map(|(part, _)| (format!("{second}{part}"), format!("{first}{part}"))),
        );
    }
    names
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
    let after_embeddings = format!("{embeddings}.LayerNorm");
    let after_layers = format!("{ENCODER}encoder.LayerNorm");
    if !config.norm_first {
        add(format!("{after_embeddings}.weight"), &[hidden]);
        add(format!("{after_embeddings}.bias"), &[hidden]);
    }
    let parts = layer_parameters(config);
    for index in (0..config.num_hidden_layers).step_by(config.layers_per_group().max(1)) {
        for (part, shape) in &parts {
            add(format!("{ENCODER}encoder.layer.{index}.{part}"), shape);
        }
    }
    if config.norm_first {
        add(format!("{after_layers}.weight"), &[hidden]);
        add(format!("{after_layers}.bias"), &[hidden]);
    }
    parameters
}

/// Name within a layer and stored shape of every parameter of a layer.
fn layer_parameters(config: &NystromformerConfig) -> Inventory {
    let hidden = config.hidden_size;
    let mut parameters = Vec::new();
    let mut add = |name: String, shape: &[usize]| parameters.push((name, shape.to_vec()));
    if config.conv_kernel_size > 0 {
        let shape = [config.num_attention_heads, 1, config.conv_kernel_size, 1];
        add("attention.self.conv.weight".into(), &shape);
    }
    for (linear, outputs, inputs) in [
        ("attention.self.query", hidden, hidden),
        ("attention.self.key", hidden, hidden),
        ("attention.self.value", hidden, hidden),
        ("attention.output.dense", hidden, hidden),
        ("intermediate.dense", config.intermediate_size, hidden),
        ("output.dense", hidden, config.intermediate_size),
    ] {
        add(format!("{linear}.weight"), &[outputs, inputs]);
        add(format!("{linear}.bias"), &[outputs]);
    }
    for normalisation in ["attention.output.LayerNorm", "output.LayerNorm"] {
        add(format!("{normalisation}.weight"), &[hidden]);
        add(format!("{normalisation}.bias"), &[hidden]);
    }
    parameters
}

/// The class of model that has parameters of these names.
pub(crate) fn architecture_of<'name>(names: impl Iterator<Item = &'name str>) -> Architecture {
    let mut found = Architecture::Base;
    for name in names {
        let architecture = match name {
            _ if name.starts_with("qa_outputs.") => Architecture::QuestionAnswering,
            _ if name.starts_with("sop_classifier.") => Architecture::PreTraining,
            _ if name.starts_with("classifier.out_proj.") => Architecture::SequenceClassification,
            _ if name.starts_with("pair_classifier.") => Architecture::DualEncoder,
            _ if name.starts_with("pre_classifier.") => Architecture::MultipleChoice,
            "classifier.weight" | "classifier.bias" => Architecture::TokenClassification,
            _ if name.starts_with(MASKED_LM_HEAD) => Architecture::MaskedLm,
            _ => continue,
        };
        // Two heads share the name `classifier`, and two the masked-language-modelling part: what only one
        // of them has decides.
        found = match (found, architecture) {
            (Architecture::MultipleChoice, Architecture::TokenClassification)
            | (Architecture::PreTraining, Architecture::MaskedLm) => found,
            _ => architecture,
        };
    }
    found
}

/// The part of a head that this is a parameter of, by its start; `None` for one of the encoder.
pub(super) fn head_part(name: &str) -> Option<&'static str> {
    HEAD_PARTS.into_iter().find(|part| name.starts_with(part))
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
/// which burn-store's PyTorch adapter looks up; a layer that stands for a group is counted by groups.
pub(super) fn module_path(published: &str, layers_per_group: usize) -> String {
    let path = published
        .replace(".attention.self.", ".attention.self_attention.")
        .replace(".LayerNorm.", ".layer_norm.");
    let Some((start, rest)) = path.split_once("encoder.layer.") else {
        return path;
    };
    match rest.split_once('.').and_then(|(index, rest)| Some((index.parse::<usize>().ok()?, rest)))
    {
        Some((index, rest)) => format!("{start}encoder.layer.{}.{rest}", index / layers_per_group),
        None => path,
    }
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
            module_path("nystromformer.encoder.layer.6.attention.self.query.weight", 3),
            "nystromformer.encoder.layer.2.attention.self_attention.query.weight"
        );
        assert_eq!(
            module_path("cls.predictions.transform.LayerNorm.bias", 1),
            "cls.predictions.transform.layer_norm.bias"
        );
    }

    #[test]
    fn names_tell_the_class() {
        for architecture in Architecture::ALL {
            let config = NystromformerConfig { num_hidden_layers: 1, ..Default::default() };
            let mut names: Vec<String> =
                parameters(architecture, &config).into_iter().map(|(name, _)| name).collect();
            for _ in 0..2 {
                let found = architecture_of(names.iter().map(String::as_str));
                assert_eq!(found, architecture);
                names.reverse();
            }
        }
    }

    #[test]
    fn shared_layers_are_listed_once_and_named_again() {
        let config = NystromformerConfig {
            num_hidden_layers: 4,
            num_hidden_groups: 2,
            ..Default::default()
        };
        let own: Vec<String> = parameters(Architecture::Base, &config)
            .into_iter()
            .filter_map(|(name, _)| Some(name.split_once("layer.")?.1.split_once('.')?.0.into()))
            .collect();
        assert_eq!((own.len(), own[0].as_str(), own[17].as_str()), (2 * 17, "0", "2"));
        let second = second_names(&config);
        assert_eq!(second.len(), 2 + 2 * 17);
        assert_eq!(
            second[2 + 17],
            (
                "nystromformer.encoder.layer.3.attention.self.conv.weight".into(),
                "nystromformer.encoder.layer.2.attention.self.conv.weight".into()
            )
        );
    }
}
