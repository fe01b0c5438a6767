//! Fixture files, written by `tools/reference` from transformers, PyTorch and NumPy in float64.

use std::{collections::HashMap, path::Path};

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Device, Gradients, Int, Tensor, TensorData},
};
use nystromformer::{
    Architecture, Model, ModelClass, NystromformerConfig, NystromformerForMaskedLm,
    NystromformerInput, PinvInit, Semantics,
};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// One fixture file in memory.
pub(crate) struct Fixture {
    pub(crate) config: NystromformerConfig,
    pub(crate) architecture: Architecture,
    floats: HashMap<String, TensorData>,
    integers: HashMap<String, TensorData>,
    only_valid: bool,
}

impl Fixture {
    /// Names of the fixtures of masked language models.
    pub(crate) fn names() -> Vec<String> {
        Self::names_in("")
    }

    /// Names of the fixtures in a folder within that of all.
    pub(crate) fn names_in(folder: &str) -> Vec<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .expect("the fixtures are checked in")
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".safetensors").map(String::from))
            .collect();
        names.sort();
        names
    }

    pub(crate) fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/fixtures/{name}.safetensors"));
        let bytes = std::fs::read(path).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let metadata = header.metadata().as_ref().unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let (mut floats, mut integers) = (HashMap::new(), HashMap::new());
        for (name, view) in file.tensors() {
            let (bytes, mut shape) = (view.data(), view.shape().to_vec());
            if shape.is_empty() {
                shape.push(1); // a scalar
            }
            match view.dtype() {
                Dtype::F32 => {
                    let values: Vec<f32> = bytes
                        .as_chunks()
                        .0
                        .iter()
                        .map(|&chunk| f32::from_le_bytes(chunk))
                        .collect();
                    floats.insert(name, TensorData::new(values, shape));
                }
                Dtype::I64 => {
                    let values: Vec<i64> = bytes
                        .as_chunks()
                        .0
                        .iter()
                        .map(|&chunk| i64::from_le_bytes(chunk))
                        .collect();
                    integers.insert(name, TensorData::new(values, shape));
                }
                other => panic!("{name} has dtype {other:?}"),
            }
        }
        Self {
            config: config(&metadata["config"]),
            architecture: architecture(&metadata["config"]),
            floats,
            integers,
            only_valid: metadata["compared_positions"] == "valid",
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.floats.contains_key(name)
    }

    pub(crate) fn float<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let data = self.floats.get(name).unwrap_or_else(|| panic!("no tensor {name}"));
        Tensor::from_data(data.clone(), device)
    }

    pub(crate) fn integer(&self, name: &str, device: &Device) -> Tensor<2, Int> {
        Tensor::from_data(self.integers[name].clone(), device)
    }

    /// The class of each row, or of each pair of rows.
    pub(crate) fn classes(&self, device: &Device) -> Tensor<1, Int> {
        Tensor::from_data(self.integers["labels"].clone(), device)
    }

    pub(crate) fn input(&self, device: &Device) -> NystromformerInput {
        NystromformerInput::new(self.integer("input_ids", device))
            .with_attention_mask(self.integer("attention_mask", device))
            .with_token_type_ids(self.integer("token_type_ids", device))
    }

    /// Flat indices of the positions that have a label, and the labels.
    pub(crate) fn labelled(&self, device: &Device) -> (Tensor<1, Int>, Tensor<1, Int>) {
        let labels: Vec<i64> = self.integers["labels"].clone().try_into_vec().unwrap();
        let positions: Vec<i64> =
            (0..).zip(&labels).filter(|(_, label)| **label != -100).map(|(i, _)| i).collect();
        let labels: Vec<i64> = labels.into_iter().filter(|label| *label != -100).collect();
        (
            Tensor::from_ints(positions.as_slice(), device),
            Tensor::from_ints(labels.as_slice(), device),
        )
    }

    /// The model with the fixture's parameters.
    pub(crate) fn model(&self, device: &Device) -> NystromformerForMaskedLm {
        let model = NystromformerForMaskedLm::init(&self.config, device).unwrap();
        model.map(&mut Load { fixture: self, names: Names::default() })
    }

    /// The same of a model of any class.
    pub(crate) fn any_model(&self, device: &Device) -> Model {
        let model = Model::init(self.architecture, &self.config, device).unwrap();
        model.map(&mut Load { fixture: self, names: Names::default() })
    }

    /// Names of the parameters that it has gradients of, sorted.
    pub(crate) fn parameters(&self) -> Vec<&str> {
        let names = self.floats.keys().filter_map(|name| name.strip_prefix("grad."));
        let mut names: Vec<&str> = names.collect();
        names.sort_unstable();
        names
    }

    /// The largest difference between `got` and tensor `name`, relative to the tensor's largest value.
    /// Outputs of padded positions are left out where the fixture defines none.
    pub(crate) fn error<const D: usize>(&self, name: &str, got: Tensor<D>) -> f32 {
        let device = got.device();
        let expected = self.float::<D>(name, &device);
        assert_eq!(got.dims(), expected.dims(), "{name}");
        let mut difference = (got - expected.clone()).abs();
        if self.only_valid {
            difference = match name {
                "logits" | "stage.layer_output" if D == 3 => self.valid_only(difference, 0, 1),
                "stage.attention_context" | "stage.kernel_1" => self.valid_only(difference, 0, 2),
                name if name.starts_with("hidden_states.") => self.valid_only(difference, 0, 1),
                _ => difference,
            };
        }
        let scale = expected.abs().max().into_scalar::<f32>();
        difference.max().into_scalar::<f32>() / scale.max(f32::MIN_POSITIVE)
    }

    /// Zeroes what lies at padded positions, given where batch and sequence are among the dimensions.
    fn valid_only<const D: usize>(
        &self,
        tensor: Tensor<D>,
        batch_dim: usize,
        sequence_dim: usize,
    ) -> Tensor<D> {
        let mask = self.integer("attention_mask", &tensor.device()).float();
        let [batch, seq_len] = mask.dims();
        let mut shape = [1; D];
        shape[batch_dim] = batch;
        shape[sequence_dim] = seq_len;
        tensor * mask.reshape(shape)
    }
}

/// The class that a fixture's configuration names.
fn architecture(json: &str) -> Architecture {
    let keys: Value = serde_json::from_str(json).unwrap();
    keys["architectures"][0].as_str().unwrap().parse().expect("a class of ours")
}

/// Reads a fixture's configuration: Hugging Face's keys, ours where they exist.
fn config(json: &str) -> NystromformerConfig {
    let mut keys: serde_json::Map<String, Value> = serde_json::from_str(json).unwrap();
    for unused in ["architectures", "model_type", "inv_coeff_init_option"] {
        keys.remove(unused);
    }
    if keys["conv_kernel_size"].is_null() {
        keys["conv_kernel_size"] = Value::from(0);
    }
    let has_init = keys.contains_key("pinv_init");
    let mut config: NystromformerConfig = serde_json::from_value(Value::Object(keys)).unwrap();
    if config.shared.semantics == Semantics::Hf && !has_init {
        config.attention.nystrom.pinv_init = PinvInit::Original;
    }
    config
}

/// Follows a traversal and gives parameters their published names.
#[derive(Default)]
struct Names {
    fields: Vec<String>,
    containers: Vec<String>,
}

impl Names {
    fn enter(&mut self, name: &str, container: &str) {
        self.fields.push(name.to_string());
        self.containers.push(container.to_string());
    }

    fn exit(&mut self) {
        self.fields.pop();
        self.containers.pop();
    }

    fn name(&self) -> String {
        // Which variant an enum is in is no part of a name.
        let fields = self.fields.iter().zip(&self.containers);
        let names: Vec<&str> = fields
            .filter(|(_, container)| !container.starts_with("Enum:"))
            .map(|(field, _)| match field.as_str() {
                "self_attention" => "self",
                "layer_norm" => "LayerNorm",
                "gamma" => "weight",
                "beta" => "bias",
                other => other,
            })
            .collect();
        names.join(".")
    }

    /// PyTorch stores a linear layer's weight as `[outputs, inputs]`.
    fn is_transposed(&self) -> bool {
        self.fields.last().is_some_and(|field| field == "weight")
            && self.containers.iter().rev().nth(1).is_some_and(|kind| kind == "Struct:Linear")
            || self.containers.last().is_some_and(|kind| kind == "Struct:Linear")
    }
}

struct Load<'a> {
    fixture: &'a Fixture,
    names: Names,
}

impl ModuleMapper for Load<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.names.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.names.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let device = param.val().device();
        let value = self.fixture.float::<D>(&format!("param.{}", self.names.name()), &device);
        let value = if D == 2 && self.names.is_transposed() { value.transpose() } else { value };
        let value = value.detach();
        param.map(|old| {
            assert_eq!(old.dims(), value.dims());
            if old.is_require_grad() { value.require_grad() } else { value }
        })
    }
}

/// Compares the gradient of every parameter with the fixture's.
pub(crate) struct GradientErrors<'a> {
    fixture: &'a Fixture,
    gradients: &'a Gradients,
    names: Names,
    floor: f32,
    /// Name and error of each parameter, relative to the largest gradient of that parameter, but at least to
    /// a hundredth of the model's largest: a key bias has no gradient (softmax ignores shifts), and rounding
    /// is all that there is to compare.
    pub(crate) errors: Vec<(String, f32)>,
}

impl<'a> GradientErrors<'a> {
    pub(crate) fn of(
        model: &impl Module,
        fixture: &'a Fixture,
        gradients: &'a Gradients,
    ) -> Vec<(String, f32)> {
        let largest = |data: &TensorData| data.iter::<f32>().fold(0f32, |m, x| m.max(x.abs()));
        let all = fixture.floats.iter().filter(|(name, _)| name.starts_with("grad."));
        let floor = all.map(|(_, data)| largest(data)).fold(0f32, f32::max) * 1e-2;
        let mut visitor =
            Self { fixture, gradients, names: Names::default(), floor, errors: Vec::new() };
        model.visit(&mut visitor);
        visitor.errors
    }
}

impl ModuleVisitor for GradientErrors<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.names.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.names.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.names.name();
        let gradient = param.val().grad(self.gradients).unwrap_or_else(|| panic!("{name}"));
        let gradient =
            if D == 2 && self.names.is_transposed() { gradient.transpose() } else { gradient };
        let expected = self.fixture.float::<D>(&format!("grad.{name}"), &gradient.device());
        let scale = expected.clone().abs().max().into_scalar::<f32>().max(self.floor);
        let error = (gradient - expected).abs().max().into_scalar::<f32>() / scale;
        self.errors.push((name, error));
    }
}
