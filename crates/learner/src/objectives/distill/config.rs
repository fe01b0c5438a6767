//! `[distill]`: what a student learns of a teacher.

use std::path::PathBuf;

use nystromformer::AttentionKind;
use serde::{Deserialize, Serialize};

use crate::parameter_groups::TrainedNames;

/// `[distill]`, read with `data.objective = "distill"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DistillConfig {
    /// The teacher: a Hugging Face folder, a run or a checkpoint, with the student's tokenizer, layers and `hidden_size`.
    /// Default: the model in `model.init_from`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher: Option<PathBuf>,
    /// The attention that the teacher computes, whatever its own configuration says. Default: `softmax`, exact attention.
    pub teacher_attention: AttentionKind,
    /// What is trained towards what. Default: `layers`.
    pub stage: Stage,
    /// `stage = "layers"`: where in a layer student and teacher are compared. Default: `layer`, which brought the whole
    /// network nearest at the same number of tokens.
    pub layer_target: LayerTarget,
    /// The parameters that are trained: parts of their names, e.g. `conv`, `attention.self.query`, `encoder.layer.0`, where `*`
    /// stands for any one word between two dots. Default: of `stage = "layers"` all of `attention.self` but `value`: query, key,
    /// convolution and what the kind of attention brings itself; of `stage = "network"` all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trainable: Vec<String>,
    /// `stage = "network"`: weight of the hidden states, the mean over all layers of the squared error over the teacher's
    /// variance. Default: 1.
    pub hidden_weight: f64,
    /// `stage = "network"`: weight of `1 − cosine` between the two models' embeddings of a text, each the mean of its last hidden
    /// states. Default: 0.
    pub cosine_weight: f64,
    /// `stage = "network"`: weight of the Kullback–Leibler divergence of the student's scores from the teacher's, in nats, where
    /// the model has a head that makes scores of classes: of tokens (a share of them, `data.mlm_probability`) or of texts.
    /// Default: 1.
    pub kl_weight: f64,
    /// The class of model that is trained, e.g. `NystromformerForMaskedLM`. Default: that of the model in `model.init_from`, or
    /// else of the teacher.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_class: Option<String>,
}

/// What is trained towards what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Every layer by itself: it reads what the teacher's layer reads, and is compared with it. Nothing is passed back through
    /// the stack.
    #[default]
    Layers,
    /// The whole network: it reads text, and all of its hidden states are compared.
    Network,
}

/// Where in a layer student and teacher are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerTarget {
    /// The contexts of all heads, before the output projection.
    Context,
    /// The output of the attention half: projected, added to the layer's input and normalised.
    Attention,
    /// The output of the layer.
    #[default]
    Layer,
}

impl Default for DistillConfig {
    fn default() -> Self {
        Self {
            teacher: None,
            teacher_attention: AttentionKind::Softmax,
            stage: Stage::default(),
            layer_target: LayerTarget::default(),
            trainable: Vec::new(),
            hidden_weight: 1.0,
            cosine_weight: 0.0,
            kl_weight: 1.0,
            model_class: None,
        }
    }
}

/// What `stage = "layers"` trains if nothing else is said: all that says how tokens attend to each other, whatever the kind of
/// attention brings for it.
const APPROXIMATION: TrainedNames =
    TrainedNames::AllBut { of: "attention.self", but: "attention.self.value" };

impl DistillConfig {
    /// The parameters that are trained.
    pub(super) fn trainable(&self) -> TrainedNames {
        match self.stage {
            _ if !self.trainable.is_empty() => TrainedNames::Stated(self.trainable.clone()),
            Stage::Layers => APPROXIMATION,
            Stage::Network => TrainedNames::All,
        }
    }

    /// Patterns of the names of the parameters that the loss depends on; none where it depends on all.
    pub(super) fn reached(&self) -> Vec<&'static str> {
        match (self.stage, self.layer_target) {
            (Stage::Layers, LayerTarget::Context) => vec!["layer.*.attention.self"],
            (Stage::Layers, LayerTarget::Attention) => vec!["layer.*.attention"],
            (Stage::Layers, LayerTarget::Layer) => vec!["encoder"],
            // Without scores a head is not asked.
            (Stage::Network, _) if self.kl_weight == 0.0 => vec!["encoder", "embeddings"],
            (Stage::Network, _) => Vec::new(),
        }
    }

    /// Everything wrong with the values, as (key, sentence).
    pub(super) fn problems(&self) -> Vec<(String, String)> {
        let weights = [
            ("hidden_weight", self.hidden_weight),
            ("cosine_weight", self.cosine_weight),
            ("kl_weight", self.kl_weight),
        ];
        let mut problems: Vec<(String, String)> = weights
            .into_iter()
            .filter(|(_, weight)| !(*weight >= 0.0 && weight.is_finite()))
            .map(|(key, weight)| {
                (format!("distill.{key}"), format!("`{weight}` is not zero or a positive number"))
            })
            .collect();
        if self.stage == Stage::Network && self.hidden_weight == 0.0 && self.cosine_weight == 0.0 {
            let problem = "`0`, and `distill.cosine_weight` is 0 too: one of them must say what is learned of the encoder";
            problems.push(("distill.hidden_weight".to_owned(), problem.to_owned()));
        }
        problems
    }
}
