//! Names of parameters as the model itself has them, from files that were saved with something around it.
//!
//! Training code wraps models, and what wraps them gets into every name: `torch.compile` writes
//! `_orig_mod.nystromformer.…`, `DataParallel` `module.nystromformer.…`, a Lightning module
//! `model.nystromformer.…`. A wrapper is known by one of two things: a component that nothing but a wrapper
//! writes, wherever it stands; or a start that all names of the file share, before the place where the names of
//! an encoder begin. Normalisations have TensorFlow's names in files of some age.

use std::collections::BTreeMap;

/// Components that only wrappers write: `torch.compile`, FSDP, activation checkpointing, Lightning's Fabric.
const MARKERS: [&str; 4] =
    ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"];

/// What a model calls its encoder, in the families that are read; a bare encoder has no such start.
const ROOTS: [&str; 3] = ["nystromformer", "bert", "roberta"];

/// The parameter that every encoder has.
const ANCHOR: &str = "embeddings.word_embeddings.weight";

/// The start that `DataParallel` and its kin write, also around a head alone.
const DATA_PARALLEL: &str = "module";

/// Starts of the names of blocks in the authors' code, whose models name their own encoder `model`.
const AUTHORS_BLOCKS: [&str; 2] = ["model.transformer_", "model.backbone."];

/// Number of averaged steps, which torch's `AveragedModel` keeps beside the model that it wraps.
const AVERAGED: &str = "n_averaged";

/// The same tensors under the names that the model itself gives them.
///
/// # Errors
/// The name that two of them would have.
pub(super) fn unwrapped<T>(tensors: BTreeMap<String, T>) -> Result<BTreeMap<String, T>, String> {
    let mut named: Vec<(String, T)> = tensors
        .into_iter()
        .map(|(stored, tensor)| (published_normalisation(&without_markers(&stored)), tensor))
        .collect();
    while let Some(start) = shared_start(&named) {
        named.retain(|(name, _)| name != AVERAGED);
        for (name, _) in &mut named {
            name.drain(..start.len());
        }
    }
    let mut unwrapped = BTreeMap::new();
    for (name, tensor) in named {
        if unwrapped.insert(name.clone(), tensor).is_some() {
            return Err(name);
        }
    }
    Ok(unwrapped)
}

fn without_markers(stored: &str) -> String {
    let components: Vec<&str> =
        stored.split('.').filter(|component| !MARKERS.contains(component)).collect();
    components.join(".")
}

/// TensorFlow calls a normalisation's weight and bias `gamma` and `beta`.
fn published_normalisation(name: &str) -> String {
    for (theirs, ours) in [("gamma", "weight"), ("beta", "bias")] {
        if let Some(layer) = name.strip_suffix(theirs).and_then(|rest| rest.strip_suffix('.'))
            && layer.rsplit('.').next().is_some_and(is_normalisation)
        {
            return format!("{layer}.{ours}");
        }
    }
    name.to_owned()
}

fn is_normalisation(component: &str) -> bool {
    component.to_ascii_lowercase().contains("norm")
}

/// The start, with its dot, that a wrapper wrote before every name; `None` if there is none.
fn shared_start<T>(named: &[(String, T)]) -> Option<String> {
    let mut names = named.iter().map(|(name, _)| name.as_str()).filter(|name| *name != AVERAGED);
    let first = names.next()?;
    let encoder = named.iter().map(|(name, _)| name).find(|name| name.ends_with(ANCHOR));
    if encoder.is_some_and(|name| is_own(name)) {
        return None;
    }
    let (component, _) = encoder.map_or(first, String::as_str).split_once('.')?;
    let is_wrapper = component == DATA_PARALLEL || encoder.is_some();
    let start = format!("{component}.");
    let is_theirs = |name: &str| AUTHORS_BLOCKS.iter().any(|block| name.starts_with(block));
    let is_shared = named
        .iter()
        .all(|(name, _)| name == AVERAGED || (name.starts_with(&start) && !is_theirs(name)));
    (is_wrapper && is_shared).then_some(start)
}

/// Whether this is the encoder's parameter as its own model names it.
fn is_own(anchor: &str) -> bool {
    let before = anchor.strip_suffix(ANCHOR).unwrap_or(anchor);
    before.is_empty() || ROOTS.iter().any(|root| before.strip_prefix(root) == Some("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(stored: &[&str]) -> Vec<String> {
        let tensors = stored.iter().map(|name| ((*name).to_owned(), ())).collect();
        unwrapped(tensors).unwrap().into_keys().collect()
    }

    #[test]
    fn whatever_wraps_every_name_is_taken_off() {
        let own = [
            "cls.predictions.bias",
            "nystromformer.embeddings.word_embeddings.weight",
            "nystromformer.encoder.layer.0.output.dense.bias",
        ];
        for start in [
            "",
            "module.",
            "model.",
            "_orig_mod.",
            "net.",
            "nystromformer.",
            "bert.",
            "module._orig_mod.model.",
        ] {
            let stored = own.map(|name| format!("{start}{name}"));
            assert_eq!(names(&stored.each_ref().map(String::as_str)), own, "{start}");
        }
        let within = [
            "model._fsdp_wrapped_module.cls.predictions.bias",
            "model.nystromformer.embeddings._fsdp_wrapped_module.word_embeddings.weight",
            "model.nystromformer.encoder.layer.0._checkpoint_wrapped_module._orig_mod.output.dense.bias",
        ];
        assert_eq!(names(&within), own);
        let averaged: Vec<String> = own.iter().map(|name| format!("module.{name}")).collect();
        let averaged: Vec<&str> =
            averaged.iter().map(String::as_str).chain(["n_averaged"]).collect();
        assert_eq!(names(&averaged), own);
    }

    #[test]
    fn names_that_are_the_models_own_stay() {
        for own in [
            // The authors' encoder is called `model`.
            &["model.embeddings.word_embeddings.weight", "model.transformer_0.norm1.weight"][..],
            &["mlm.dense.weight", "model.embeddings.word_embeddings.weight"],
            // Only some are of the model that is wrapped.
            &["loss.weight", "model.nystromformer.embeddings.word_embeddings.weight"],
            &["encoder.layer.0.output.dense.bias", "embeddings.word_embeddings.weight"],
            &["bert.embeddings.word_embeddings.weight"],
            &["classifier.weight"],
        ] {
            let mut expected = own.to_vec();
            expected.sort_unstable();
            assert_eq!(names(own), expected);
        }
        let wrapped = ["module.mlm.norm.bias", "module.model.embeddings.word_embeddings.weight"];
        assert_eq!(
            names(&wrapped),
            ["mlm.norm.bias", "model.embeddings.word_embeddings.weight"],
            "the authors' model in `DataParallel`"
        );
    }

    #[test]
    fn normalisations_have_one_name() {
        let old = [
            "embeddings.LayerNorm.gamma",
            "embeddings.word_embeddings.weight",
            "model.lm_head.layer_norm.beta",
            "norm1.gamma",
        ];
        let new = [
            "embeddings.LayerNorm.weight",
            "embeddings.word_embeddings.weight",
            "model.lm_head.layer_norm.bias",
            "norm1.weight",
        ];
        assert_eq!(names(&old), new);
        assert_eq!(names(&["attention.gamma"]), ["attention.gamma"]);
        let twice = BTreeMap::from([("LayerNorm.beta".into(), 1), ("LayerNorm.bias".into(), 2)]);
        assert_eq!(unwrapped(twice).unwrap_err(), "LayerNorm.bias");
    }
}
