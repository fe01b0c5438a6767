//! How the parameters of a model are trained: which of them are frozen, and at which share of the learning rate the others
//! go.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use nystromformer::heads::Depth;
use nystromformer_files::say_once;

use crate::error::{LearnerError, Result};
use crate::parameters::{ParameterInfo, Path, parameters};
use crate::trainable::Trainable;

/// What an experiment says of its parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupOptions {
    /// `optimizer.layer_decay`.
    pub layer_decay: f64,
    /// `trainer.freeze_layers`.
    pub freeze_layers: usize,
    /// `trainer.freeze_embeddings`.
    pub freeze_embeddings: bool,
}

/// The parameters that are not trained as all others are, by path.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ParameterGroups {
    frozen: BTreeSet<String>,
    /// Factors on the learning rate; of those that are absent 1.
    rates: BTreeMap<String, f64>,
}

impl ParameterGroups {
    /// As an experiment has it.
    ///
    /// # Errors
    /// [`LearnerError::Config`] if it asks for any of these and the model does not say how deep its parameters are, or has
    /// fewer layers than are to be frozen.
    pub fn of<M: Trainable>(options: GroupOptions, model: &M) -> Result<Self> {
        let GroupOptions { layer_decay: decay, freeze_layers, freeze_embeddings } = options;
        let stated = [
            ("optimizer.layer_decay", decay != 1.0),
            ("trainer.freeze_layers", freeze_layers > 0),
            ("trainer.freeze_embeddings", freeze_embeddings),
        ];
        let Some((key, _)) = stated.into_iter().find(|(_, is_stated)| *is_stated) else {
            return Ok(Self::default());
        };
        let depth =
            |parameter: ParameterInfo| Some((model.depth(&parameter.path)?, parameter.path));
        let placed: Option<Vec<(Depth, String)>> =
            parameters(model).into_iter().map(depth).collect();
        let placed = placed.ok_or_else(|| {
            LearnerError::Config(format!(
                "`{key}` is set, and this model does not say in which layer its parameters are: leave it out, or give \
                 `Trainable::depth`"
            ))
        })?;
        let groups = Self::by_depth(placed, decay, freeze_layers, freeze_embeddings)?;
        if freeze_layers > 0 && !freeze_embeddings {
            say_once(format!(
                "`trainer.freeze_layers` = `{freeze_layers}` without `trainer.freeze_embeddings = true`: the backward pass goes through the \
                 frozen layers all the same, to the embeddings"
            ));
        }
        Ok(groups)
    }

    fn by_depth(
        placed: Vec<(Depth, String)>,
        decay: f64,
        freeze_layers: usize,
        freeze_embeddings: bool,
    ) -> Result<Self> {
        let layers = placed.iter().filter_map(|(depth, _)| match depth {
            Depth::Layer(number) => Some(number + 1),
            Depth::Embeddings | Depth::Head => None,
        });
        let layers = layers.max().unwrap_or(0);
        if freeze_layers > layers {
            return Err(LearnerError::Config(format!(
                "`trainer.freeze_layers` = `{freeze_layers}`, and the encoder has `{layers}` layers with weights of their own; \
                 freeze that many or fewer"
            )));
        }
        let mut groups = Self::default();
        for (depth, path) in placed {
            let (is_frozen, steps_to_head) = match depth {
                Depth::Embeddings => (freeze_embeddings, layers + 1),
                Depth::Layer(number) => (number < freeze_layers, layers - number),
                Depth::Head => (false, 0),
            };
            if is_frozen {
                groups.frozen.insert(path);
            } else if decay != 1.0 && steps_to_head > 0 {
                groups.rates.insert(path, decay.powi(steps_to_head as i32));
            }
        }
        Ok(groups)
    }

    /// Whether a parameter keeps its value.
    pub fn is_frozen(&self, path: &str) -> bool {
        self.frozen.contains(path)
    }

    /// Whether any does.
    pub fn has_frozen(&self) -> bool {
        !self.frozen.is_empty()
    }

    /// What the learning rate of a parameter is multiplied with.
    pub fn rate(&self, path: &str) -> f64 {
        self.rates.get(path).copied().unwrap_or(1.0)
    }

    /// The parameters that are trained, in the order of the module's fields.
    pub(crate) fn trained<M: Module>(&self, module: &M) -> Vec<ParameterInfo> {
        let mut trained = parameters(module);
        trained.retain(|parameter| !self.is_frozen(&parameter.path));
        trained
    }

    /// How many numbers are trained.
    pub(crate) fn num_trained<M: Module>(&self, module: &M) -> usize {
        self.trained(module).iter().map(|parameter| parameter.shape.iter().product::<usize>()).sum()
    }

    /// The module, from whose frozen parameters nothing is recorded any more: no gradient of theirs is computed, nor what
    /// lies before them, if all of that is frozen.
    pub(crate) fn freeze<M: Module>(&self, module: M) -> M {
        if !self.has_frozen() {
            return module;
        }
        module.map(&mut Freezer { path: Path::default(), groups: self })
    }
}

struct Freezer<'a> {
    path: Path,
    groups: &'a ParameterGroups,
}

impl ModuleMapper for Freezer<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.groups.is_frozen(&self.path.dotted()) {
            parameter.set_require_grad(false)
        } else {
            parameter
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed() -> Vec<(Depth, String)> {
        [
            (Depth::Embeddings, "words"),
            (Depth::Layer(0), "first"),
            (Depth::Layer(1), "second"),
            (Depth::Head, "head"),
        ]
        .map(|(depth, path)| (depth, path.to_owned()))
        .to_vec()
    }

    /// The rule of `BEiT`: with two layers the embeddings are three steps from the head.
    #[test]
    fn rates_fall_by_a_factor_a_layer_from_the_head_down() {
        let groups = ParameterGroups::by_depth(placed(), 0.5, 0, false).unwrap();
        let rates = ["words", "first", "second", "head"].map(|path| groups.rate(path));
        assert_eq!(rates, [0.125, 0.25, 0.5, 1.0]);
        assert!(!groups.has_frozen());
    }

    #[test]
    fn the_first_layers_and_the_embeddings_are_frozen_each_by_itself() {
        let frozen = |layers, embeddings| {
            let groups = ParameterGroups::by_depth(placed(), 1.0, layers, embeddings).unwrap();
            ["words", "first", "second", "head"].map(|path| groups.is_frozen(path))
        };
        assert_eq!(frozen(1, false), [false, true, false, false]);
        assert_eq!(frozen(2, true), [true, true, true, false]);
        assert_eq!(frozen(0, true), [true, false, false, false]);
        let error = ParameterGroups::by_depth(placed(), 1.0, 3, false).unwrap_err();
        assert!(error.to_string().contains("has `2` layers"), "{error}");
    }
}
