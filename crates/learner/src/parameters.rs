//! Walking over a module's parameters by path.
//!
//! Burn identifies a parameter by an id that is new in every process; files and deterministic
//! orders need its path in the module instead, as in `encoder.layers.0.attention.query.weight`.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// The path to the parameter that a visitor or mapper is at, and the kind of module that holds it.
#[derive(Debug, Default)]
pub(crate) struct Path {
    names: Vec<String>,
    containers: Vec<String>,
}

impl Path {
    pub(crate) fn enter(&mut self, name: &str, container: &str) {
        self.names.push(name.to_owned());
        self.containers.push(container.to_owned());
    }

    pub(crate) fn exit(&mut self) {
        self.names.pop();
        self.containers.pop();
    }

    /// The dotted path. Which variant an enum is in is no part of it: a parameter is called the same in a
    /// model whose class is known when running as in one whose class is known when compiling.
    pub(crate) fn dotted(&self) -> String {
        let names = self.names.iter().zip(&self.containers);
        let fields: Vec<&str> = names
            .filter(|(_, container)| !container.starts_with("Enum:"))
            .map(|(name, _)| name.as_str())
            .collect();
        fields.join(".")
    }

    /// Whether this is a bias or belongs to a normalisation layer: the parameters that BERT's own
    /// recipe, unlike the Nyströmformer authors' script, exempts from weight decay.
    pub(crate) fn is_bias_or_norm(&self) -> bool {
        self.names.last().is_some_and(|name| name == "bias")
            || self.containers.last().is_some_and(|container| container.ends_with("Norm"))
    }
}

/// Path and shape of one floating-point parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParameterInfo {
    pub(crate) path: String,
    pub(crate) shape: Vec<usize>,
}

/// All floating-point parameters in the order of the module's fields.
pub(crate) fn parameters<M: Module>(module: &M) -> Vec<ParameterInfo> {
    #[derive(Default)]
    struct Visitor {
        path: Path,
        found: Vec<ParameterInfo>,
    }
    impl ModuleVisitor for Visitor {
        fn enter_module(&mut self, name: &str, container_type: &str) {
            self.path.enter(name, container_type);
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.exit();
        }

        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            self.found.push(ParameterInfo {
                path: self.path.dotted(),
                shape: parameter.lazy_shape().to_vec(),
            });
        }
    }
    let mut visitor = Visitor::default();
    module.visit(&mut visitor);
    visitor.found
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
    use burn::tensor::Device;
    use nystromformer::{Model, ModelClass, NystromformerConfig, NystromformerForMaskedLm};

    use super::*;

    #[derive(Module, Debug)]
    struct Block {
        norms: Vec<LayerNorm>,
        linear: Linear,
    }

    /// Files of optimizer states have these names, whichever form the model has in memory.
    #[test]
    fn an_enum_around_a_model_is_no_part_of_a_path() {
        let config = NystromformerConfig::default().with(|config| {
            config.embeddings.vocab_size = 5;
            config.shared.hidden_size = 4;
            config.encoder.num_hidden_layers = 1;
            config.shared.num_attention_heads = 2;
            config.feed_forward.intermediate_size = 4;
        });
        let model = NystromformerForMaskedLm::init(&config, &Device::flex()).unwrap();
        let found = parameters(&model);
        assert_eq!(parameters(&Model::MaskedLm(model)), found);
        assert_eq!(found[0].path, "nystromformer.embeddings.word_embeddings.weight");
    }

    /// Notes which parameters are exempt from decay.
    #[derive(Default)]
    struct Groups {
        path: Path,
        exempt: Vec<String>,
    }

    impl ModuleVisitor for Groups {
        fn enter_module(&mut self, name: &str, container_type: &str) {
            self.path.enter(name, container_type);
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.exit();
        }

        fn visit_float<const D: usize>(&mut self, _parameter: &Param<Tensor<D>>) {
            if self.path.is_bias_or_norm() {
                self.exempt.push(self.path.dotted());
            }
        }
    }

    #[test]
    fn paths_and_groups_follow_the_module() {
        let device = Device::flex();
        let block = Block {
            norms: vec![LayerNormConfig::new(2).init(&device)],
            linear: LinearConfig::new(2, 3).init(&device),
        };
        let found: Vec<_> =
            parameters(&block).into_iter().map(|info| (info.path, info.shape)).collect();
        assert_eq!(
            found,
            [
                ("norms.0.gamma".to_owned(), vec![2]),
                ("norms.0.beta".to_owned(), vec![2]),
                ("linear.weight".to_owned(), vec![2, 3]),
                ("linear.bias".to_owned(), vec![3]),
            ]
        );
        let mut groups = Groups::default();
        block.visit(&mut groups);
        assert_eq!(groups.exempt, ["norms.0.gamma", "norms.0.beta", "linear.bias"]);
    }
}
