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
#[derive(Debug, Clone, PartialEq)]
pub struct GroupOptions {
    /// `optimizer.layer_decay`.
    pub layer_decay: f64,
    /// `trainer.freeze_layers`.
    pub freeze_layers: usize,
    /// `trainer.freeze_embeddings`.
    pub freeze_embeddings: bool,
    /// Which parameters are trained, by their names.
    pub trainable: TrainedNames,
    /// Patterns of the names of the parameters that the loss depends on; none where it depends on all.
    pub reached: Vec<&'static str>,
}

/// Which parameters are trained, by patterns of their names. A name has one if some words of it that follow each other, each
/// between two dots, are those of the pattern, whose `*` is any word: of `encoder.layer.0.attention.self.query.weight` are
/// `query`, `attention.self.query` and `layer.*.attention`.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum TrainedNames {
    /// All.
    #[default]
    All,
    /// Those that have one of these patterns, as a user stated them: one that is of no parameter is refused.
    Stated(Vec<String>),
    /// Those that have the first pattern and not the second: what is trained where nothing is stated, of any model.
    AllBut {
        /// They have this one.
        of: &'static str,
        /// And not this one.
        but: &'static str,
    },
}

impl TrainedNames {
    /// Whether the parameter at this path is trained.
    fn includes(&self, path: &str) -> bool {
        match self {
            Self::All => true,
            Self::Stated(patterns) => patterns.iter().any(|pattern| has(path, pattern)),
            Self::AllBut { of, but } => has(path, of) && !has(path, but),
        }
    }
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
    /// fewer layers than are to be frozen; if a pattern that was stated is of no parameter, or what is trained where none is
    /// stated is nothing of this model; if the loss depends on nothing that is trained.
    pub fn of<M: Trainable>(options: &GroupOptions, model: &M) -> Result<Self> {
        let mut groups = Self::of_depths(options, model)?;
        groups.freeze_all_but(&options.trainable, model)?;
        groups.require_reached(options, model)?;
        Ok(groups)
    }

    /// Refuses to train what has no gradient.
    fn require_reached<M: Module>(&self, options: &GroupOptions, model: &M) -> Result<()> {
        if !self.has_frozen() {
            return Ok(());
        }
        let GroupOptions { freeze_layers, freeze_embeddings, reached, .. } = options;
        let trained: Vec<String> =
            self.trained(model).into_iter().map(|parameter| parameter.path).collect();
        let is_reached =
            |path: &String| reached.is_empty() || reached.iter().any(|pattern| has(path, pattern));
        if trained.iter().any(is_reached) {
            return Ok(());
        }
        let left = match trained.first() {
            None => "nothing is left to train".to_owned(),
            Some(first) => format!(
                "the loss depends on none of the `{}` parameters that are left to train, the first `{}`",
                trained.len(),
                published(first).join(".")
            ),
        };
        Err(LearnerError::Config(format!(
            "{left}: `trainer.freeze_layers` = `{freeze_layers}`, `trainer.freeze_embeddings` = `{freeze_embeddings}`, and the objective's \
             own choice (`distill.trainable`) freeze the others; freeze fewer"
        )))
    }

    /// Freezes all that is not trained by its name.
    fn freeze_all_but<M: Module>(&mut self, trainable: &TrainedNames, model: &M) -> Result<()> {
        let paths: Vec<String> =
            parameters(model).into_iter().map(|parameter| parameter.path).collect();
        let example = || paths.first().map(|path| published(path).join(".")).unwrap_or_default();
        let is_of_none = |pattern: &&String| !paths.iter().any(|path| has(path, pattern));
        match trainable {
            TrainedNames::All => return Ok(()),
            TrainedNames::Stated(patterns) => {
                if let Some(pattern) = patterns.iter().find(is_of_none) {
                    return Err(LearnerError::Config(format!(
                        "no parameter is called like `{pattern}`, which is to be trained; names are as `{}`, and a pattern is words \
                         of them that follow each other",
                        example()
                    )));
                }
            }
            TrainedNames::AllBut { of, but } => {
                if !paths.iter().any(|path| trainable.includes(path)) {
                    return Err(LearnerError::Config(format!(
                        "what is trained where nothing is stated, all of `{of}` but `{but}`, is no parameter of this model: say \
                         yourself which are trained, by words of their names, which are as `{}`",
                        example()
                    )));
                }
            }
        }
        self.frozen.extend(paths.into_iter().filter(|path| !trainable.includes(path)));
        Ok(())
    }

    fn of_depths<M: Trainable>(options: &GroupOptions, model: &M) -> Result<Self> {
        let &GroupOptions { layer_decay: decay, freeze_layers, freeze_embeddings, .. } = options;
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

/// The words of a parameter's published name, as a folder of weights has it.
fn published(path: &str) -> Vec<&str> {
    let word = |word| match word {
        "self_attention" => "self",
        "layer_norm" => "LayerNorm",
        "gamma" => "weight",
        "beta" => "bias",
        word => word,
    };
    path.split('.').map(word).collect()
}

/// Whether the name of the parameter at this path has the pattern.
fn has(path: &str, pattern: &str) -> bool {
    let (name, pattern): (Vec<&str>, Vec<&str>) = (published(path), pattern.split('.').collect());
    name.windows(pattern.len().max(1))
        .any(|words| words.iter().zip(&pattern).all(|(word, of)| *of == "*" || word == of))
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
    fn a_pattern_is_words_of_a_name_that_follow_each_other() {
        let path = "nystromformer.encoder.layer.1.attention.self_attention.query.weight";
        for (pattern, expected) in [
            ("query", true),
            ("self.query", true),
            ("attention.self.query.weight", true),
            ("layer.*.attention", true),
            ("layer.1", true),
            ("layer.0", false),
            ("quer", false),
            ("attention.query", false),
            ("", false),
        ] {
            assert_eq!(has(path, pattern), expected, "{pattern}");
        }
        assert!(has("encoder.layer.0.output.layer_norm.gamma", "output.LayerNorm.weight"));
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
