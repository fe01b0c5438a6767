//! The modeling file that travels with `paper` models: with `trust_remote_code=True`, transformers computes
//! with it what this library computes.

use std::{fs, path::Path};

use nystromformer::{
    Architecture, AttentionKind, ClassInfo, FeedForwardKind, LandmarkRule, NystromConfig,
    NystromformerConfig, Pooling, PositionEmbeddingType, Semantics,
};
use serde_json::{Value, json};

use crate::error::InteropError;

const MODULE: &str = "modeling_nystromformer_paper";
const SOURCE: &str = include_str!("modeling_nystromformer_paper.py");

/// Whether transformers' own class computes something else, so that the file is of use.
pub(super) fn is_needed(config: &NystromformerConfig) -> bool {
    config.shared.semantics == Semantics::Paper
}

/// The first key, with its value, by which a model is none that transformers' class or the modeling file computes.
pub(super) fn foreign_key(
    architecture: Architecture,
    config: &NystromformerConfig,
) -> Option<(&'static str, String)> {
    let own = |key, differs: bool, value: String| differs.then_some((key, value));
    let is_classifier = architecture == Architecture::SequenceClassification;
    let act = config.classifier.classifier_act.filter(|act| *act != config.shared.hidden_act);
    let width = config.classifier.classifier_hidden_size;
    let kind = config.attention.kind;
    let is_theirs = matches!(kind, AttentionKind::Nystrom | AttentionKind::Softmax);
    own("num_features", config.vectors.is_used(), config.vectors.num_features.to_string())
        .or(own(
            "architectures",
            architecture == Architecture::DualEncoder,
            architecture.to_string(),
        ))
        .or(own("attention", !is_theirs, kind.name().to_owned()))
        .or(nystrom(config)
            .filter(|nystrom| !has_patches(nystrom))
            .and_then(NystromConfig::own_landmarks))
        .or(own("norm_first", config.shared.norm_first, config.shared.norm_first.to_string()))
        .or(own(
            "feed_forward",
            config.feed_forward.kind == FeedForwardKind::Gated,
            "gated".to_owned(),
        ))
        .or(own(
            "pooling",
            is_classifier
                && !matches!(
                    config.classifier.pooling,
                    Pooling::First | Pooling::FirstLast | Pooling::MeanMax
                ),
            json!(config.classifier.pooling).to_string(),
        ))
        .or(own("classifier_act", is_classifier && act.is_some(), json!(act).to_string()))
        .or(own(
            "classifier_hidden_size",
            is_classifier && ![0, config.shared.hidden_size].contains(&width),
            width.to_string(),
        ))
}

/// The first key, with its value, by which a model is none that transformers' class computes, while the modeling file does.
pub(super) fn key_of_the_file(
    architecture: Architecture,
    config: &NystromformerConfig,
) -> Option<(&'static str, String)> {
    let own = |key, differs: bool, value: String| differs.then_some((key, value));
    let is_classifier = architecture == Architecture::SequenceClassification;
    let (positions, stem) = (config.shared.position_embedding_type, &config.embeddings.stem);
    let per_channel = config.attention.convolution.conv_per_channel;
    let window = nystrom(config).map_or(0, |nystrom| nystrom.local_window);
    let landmarks = config.attention.nystrom.landmarks;
    let has_patches = nystrom(config).is_some_and(has_patches);
    own("conv_per_channel", per_channel, per_channel.to_string())
        .or(own("landmarks", has_patches, json!(landmarks).to_string()))
        .or(own("local_window", window > 0, window.to_string()))
        .or(own(
            "position_embedding_type",
            positions != PositionEmbeddingType::Absolute,
            json!(positions).to_string(),
        ))
        .or(own("stem_layers", stem.stem_layers > 0, stem.stem_layers.to_string()))
        .or(own(
            "pooling",
            is_classifier && config.classifier.pooling != Pooling::First,
            json!(config.classifier.pooling).to_string(),
        ))
}

/// Whether landmarks are means over patches of a picture, alone of their kind in the modeling file.
fn has_patches(nystrom: &NystromConfig) -> bool {
    nystrom.landmarks == LandmarkRule::Patches
}

/// The options of attention by the Nyström method, if that is what the model has.
fn nystrom(config: &NystromformerConfig) -> Option<&NystromConfig> {
    (config.attention.kind == AttentionKind::Nystrom).then_some(&config.attention.nystrom)
}

/// Writes the file into a folder.
pub(super) fn write(dir: &Path) -> Result<(), InteropError> {
    let path = dir.join(format!("{MODULE}.py"));
    fs::write(&path, SOURCE).map_err(|source| InteropError::Write { path, source })
}

/// The value of `auto_map` in `config.json`: which class of the file each of transformers' loaders takes.
pub(super) fn auto_map(class: &ClassInfo) -> Value {
    let base = Architecture::Base.class();
    let mut map = json!({ base.auto_class: format!("{MODULE}.{}", base.name) });
    map[class.auto_class] = json!(format!("{MODULE}.{}", class.name));
    map
}

/// Whether an `auto_map` names nothing but classes of this file, whose computation is ours.
pub(super) fn is_ours(auto_map: &Value) -> bool {
    auto_map.as_object().is_some_and(|map| {
        map.values().all(|class| {
            // transformers puts the repository before it when it saves what it loaded from the Hub.
            let class = class.as_str().map(|class| class.rsplit("--").next().unwrap_or(class));
            class.and_then(|class| class.rsplit_once('.')).is_some_and(|(file, _)| file == MODULE)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_that_is_named_is_in_the_file() {
        for architecture in Architecture::ALL {
            if [Architecture::PreTraining, Architecture::DualEncoder].contains(&architecture) {
                continue;
            }
            let map = auto_map(architecture.class());
            assert!(is_ours(&map));
            for class in map.as_object().unwrap().values() {
                let name = class.as_str().unwrap().rsplit('.').next().unwrap();
                assert!(SOURCE.contains(&format!("class {name}(")), "{name}");
            }
        }
        assert!(!is_ours(&json!({ "AutoModel": "modeling_other.Model" })));
        assert!(!is_ours(&json!("modeling_nystromformer_paper.Model")));
        let rewritten = json!({ "AutoModel": "me/v1.0--modeling_nystromformer_paper.Model" });
        assert!(is_ours(&rewritten));
    }
}
