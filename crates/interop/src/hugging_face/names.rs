//! The parameters' published names and shapes.
//!
//! Modules here are named after transformers' wherever Rust allows it. What differs: `self` is a keyword,
//! fields are in snake case, and Burn calls a normalisation's weight and bias `gamma` and `beta`.
//! Linear weights are stored `[out, in]`, the transpose of Burn's. So names and shapes are read off the modules, and
//! a new head, or another layer, needs nothing here.

use std::{collections::BTreeSet, sync::LazyLock};

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Device, Tensor},
};
use nystromformer::{Architecture, Model, ModelClass, NystromformerConfig, PreTrainedModel};

/// Start of every name of the encoder in a model with a head; absent from files of the bare encoder.
pub(super) const ENCODER: &str = "nystromformer.";

/// Start of every name of the layers.
const LAYERS: &str = "nystromformer.encoder.layer.";

/// End of the name of every layer's convolution.
pub(crate) const CONVOLUTION: &str = ".attention.self.conv.weight";

/// Whether this is a score of landmarks (`landmarks = "weighted"`), which a model of another rule has not and which starts at zero.
pub fn is_landmark_score(name: &str) -> bool {
    [".query_score", ".key_score"].iter().any(|end| name.ends_with(end))
}

/// Start of every name of the masked-language-modelling head.
pub const MASKED_LM_HEAD: &str = "cls.";

/// Regular expressions from module paths to published names, for burn-store's key remapping; its PyTorch
/// adapter knows about normalisations and transposes.
pub(super) const TO_PUBLISHED: [(&str, &str); 2] =
    [(r"\.attention\.self_attention\.", ".attention.self."), (r"\.layer_norm\.", ".LayerNorm.")];

/// The modules whose scale and shift burn-store's PyTorch adapter calls weight and bias.
const NORMS: [&str; 4] =
    ["Struct:LayerNorm", "Struct:BatchNorm", "Struct:GroupNorm", "Struct:RmsNorm"];

/// Buffers that older versions of transformers stored and that hold no information.
pub const STALE: [&str; 2] =
    ["nystromformer.embeddings.position_ids", "nystromformer.embeddings.token_type_ids"];

/// The names of every head's parameters.
static HEADS: LazyLock<Vec<(Architecture, BTreeSet<String>)>> = LazyLock::new(|| {
    let names = |architecture| {
        let parameters = parameters(architecture, &NystromformerConfig::default()).into_iter();
        parameters.map(|(name, _)| name).filter(|name| !name.starts_with(ENCODER)).collect()
    };
    Architecture::ALL.into_iter().map(|architecture| (architecture, names(architecture))).collect()
});

/// Starts of the names of every head's parts, e.g. `classifier.`. A head is complete or absent part by part.
static HEAD_PARTS: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
    HEADS.iter().flat_map(|(_, names)| names).map(|name| start_of(name)).collect()
});

/// Name, in full, and stored shape of each parameter of a model.
pub type Inventory = Vec<(String, Vec<usize>)>;

/// Name and stored shape of every parameter of a model. Nothing is drawn, and no memory taken, whatever the sizes.
///
/// What a file may hold a second time (the decoder, which is the token embedding; layers that share their
/// weights) is here once, under the first name: see `second_names`.
pub fn parameters(architecture: Architecture, config: &NystromformerConfig) -> Inventory {
    let model = Model::build(architecture, &with_one_layer(config), &Device::flex());
    with_all_layers(listed(&model), config)
}

/// The same of a class that is known when compiling.
pub(super) fn parameters_of_class<M: ModelClass>(config: &NystromformerConfig) -> Inventory {
    let model = M::build(&with_one_layer(config), &Device::flex());
    with_all_layers(listed(&model), config)
}

/// The same of a model that exists.
pub(super) fn parameters_of(model: &impl PreTrainedModel) -> Inventory {
    with_all_layers(listed(model), model.config())
}

/// Layers are alike: the names of one give those of all.
fn with_one_layer(config: &NystromformerConfig) -> NystromformerConfig {
    config.clone().with(|config| {
        config.encoder.num_hidden_layers = 1;
        config.encoder.num_hidden_groups = 0;
    })
}

/// What a model has of each layer of its own, from what its first one has.
fn with_all_layers(parameters: Inventory, config: &NystromformerConfig) -> Inventory {
    let of_layers = first_layer(&parameters);
    let mut all = Inventory::new();
    for (name, shape) in parameters {
        if !name.starts_with(LAYERS) {
            all.push((name, shape));
        }
    }
    for index in
        (0..config.encoder.num_hidden_layers).step_by(config.encoder.layers_per_group().max(1))
    {
        let named = |(part, shape): &(String, _)| (layer_name(index, part), Vec::clone(shape));
        all.extend(of_layers.iter().map(named));
    }
    all
}

/// The parameters of the first layer, by their names in it.
fn first_layer(parameters: &Inventory) -> Inventory {
    let of_layer = |(name, shape): &(String, Vec<usize>)| {
        Some((name.strip_prefix(LAYERS)?.strip_prefix("0.")?.to_owned(), shape.clone()))
    };
    parameters.iter().filter_map(of_layer).collect()
}

fn layer_name(index: usize, part: &str) -> String {
    format!("{LAYERS}{index}.{part}")
}

/// Published name, in full, and stored shape of every parameter of a module.
fn listed(model: &impl Module) -> Inventory {
    /// Fields on the way to where the visitor is, each with the kind of module that has it.
    #[derive(Default)]
    struct Lister {
        path: Vec<(String, String)>,
        found: Inventory,
    }
    impl ModuleVisitor for Lister {
        fn enter_module(&mut self, name: &str, container_type: &str) {
            self.path.push((name.to_owned(), container_type.to_owned()));
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            let mut shape = parameter.lazy_shape().to_vec();
            let mut names = Vec::new();
            for (name, container) in &self.path {
                names.push(match name.as_str() {
                    // Which class a model of any class is of is no part of a name.
                    _ if container.starts_with("Enum:") => continue,
                    "gamma" if NORMS.contains(&container.as_str()) => "weight",
                    "beta" if NORMS.contains(&container.as_str()) => "bias",
                    "layer_norm" => "LayerNorm",
                    "self_attention" => "self",
                    "weight" if container == "Struct:Linear" => {
                        shape.reverse();
                        "weight"
                    }
                    name => name,
                });
            }
            self.found.push((full_name(&names.join(".")), shape));
        }
    }
    let mut lister = Lister::default();
    model.visit(&mut lister);
    lister.found
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
    let per_group = config.encoder.layers_per_group().max(1);
    if per_group == 1 {
        return names;
    }
    let parts = first_layer(&parameters(Architecture::Base, config));
    for index in
        (0..config.encoder.num_hidden_layers).filter(|index| !index.is_multiple_of(per_group))
    {
        let first = index - index % per_group;
        let shared = |(part, _): &(String, _)| (layer_name(index, part), layer_name(first, part));
        names.extend(parts.iter().map(shared));
    }
    names
}

/// The class of model that has parameters of these names: the one of whose head the most is there and the least
/// missing. Heads share names: two have a `classifier`, and two the masked-language-modelling part.
pub(crate) fn architecture_of<'name>(names: impl Iterator<Item = &'name str>) -> Architecture {
    let found: BTreeSet<&str> = names.filter(|name| head_part(name).is_some()).collect();
    let fit = |names: &BTreeSet<String>| {
        let present = names.iter().filter(|name| found.contains(name.as_str())).count();
        (2 * present as isize - names.len() as isize, present)
    };
    let best = HEADS.iter().max_by_key(|(_, names)| fit(names));
    best.map_or(Architecture::Base, |(architecture, _)| *architecture)
}

/// The part of a head that this is a parameter of, by its start; `None` for one of the encoder, and for one that no
/// class has.
pub(super) fn head_part(name: &str) -> Option<&'static str> {
    HEAD_PARTS.get(start_of(name)).copied()
}

/// A name up to its first dot.
pub(super) fn start_of(name: &str) -> &str {
    name.find('.').map_or(name, |end| &name[..=end])
}

/// The full name of a parameter, which a file of the bare encoder stores without its start.
pub(crate) fn full_name(stored: &str) -> String {
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
            let config =
                NystromformerConfig::default().with(|config| config.encoder.num_hidden_layers = 1);
            let mut names: Vec<String> =
                parameters(architecture, &config).into_iter().map(|(name, _)| name).collect();
            for _ in 0..2 {
                let found = architecture_of(names.iter().map(String::as_str));
                assert_eq!(found, architecture);
                names.reverse();
            }
        }
    }

    /// A file that was cut, or comes from elsewhere, is refused by the names of the class that it is nearest to.
    #[test]
    fn an_incomplete_head_is_still_that_head() {
        let config =
            NystromformerConfig::default().with(|config| config.encoder.num_hidden_layers = 1);
        for architecture in Architecture::ALL {
            let names = parameters(architecture, &config).into_iter().map(|(name, _)| name);
            let names: Vec<String> = names.collect();
            for missing in &names {
                let rest = names.iter().filter(|name| *name != missing).map(String::as_str);
                assert_eq!(architecture_of(rest), architecture, "without {missing}");
            }
        }
        // BERT's pooler alone is no head of ours.
        let of_bert = ["embeddings.LayerNorm.bias", "pooler.dense.weight"];
        assert_eq!(architecture_of(of_bert.into_iter()), Architecture::Base);
    }

    #[test]
    fn models_of_any_size_are_listed_without_taking_memory() {
        let config = NystromformerConfig::default().with(|config| {
            config.embeddings.vocab_size = i32::MAX as usize;
            config.shared.hidden_size = 1 << 30;
            config.shared.num_attention_heads = 1;
        });
        for architecture in Architecture::ALL {
            let listed = parameters(architecture, &config);
            let words = (
                format!("{ENCODER}embeddings.word_embeddings.weight"),
                vec![i32::MAX as usize, 1 << 30],
            );
            assert!(listed.contains(&words), "{architecture}");
        }
        let dense = ("pair_classifier.dense.weight".to_owned(), vec![1 << 30, 1 << 32]);
        assert!(parameters(Architecture::DualEncoder, &config).contains(&dense));
    }

    #[test]
    fn shared_layers_are_listed_once_and_named_again() {
        let config = NystromformerConfig::default().with(|config| {
            config.encoder.num_hidden_layers = 4;
            config.encoder.num_hidden_groups = 2;
        });
        let own: Vec<String> = parameters(Architecture::Base, &config)
            .into_iter()
            .filter_map(|(name, _)| Some(name.split_once("layer.")?.1.split_once('.')?.0.into()))
            .collect();
        assert_eq!((own.len(), own[0].as_str(), own[17].as_str()), (2 * 17, "0", "2"));
        let second = second_names(&config);
        assert_eq!(second.len(), 2 + 2 * 17);
        assert!(second.contains(&(
            "nystromformer.encoder.layer.3.attention.self.conv.weight".into(),
            "nystromformer.encoder.layer.2.attention.self.conv.weight".into()
        )));
    }
}
