//! The numbers of a model by the names of its parts.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

use burn::store::{ModuleSnapshot, bridge};
use nystromformer::Model;

use crate::{error::InteropError, hugging_face::names::full_name};

/// All parameters of a model, as Burn has them: of a linear layer `[inputs, outputs]`. Names are transformers', but that a
/// layer that several share is counted once.
pub(super) struct Weights {
    tensors: BTreeMap<String, Numbers>,
    read: RefCell<BTreeSet<String>>,
}

/// A tensor's numbers, row after row.
pub(super) struct Numbers {
    pub(super) dims: Vec<usize>,
    pub(super) values: Vec<f32>,
}

impl Weights {
    /// Draws every number of a model.
    ///
    /// # Errors
    /// [`InteropError::Damaged`] if one cannot be drawn.
    pub(super) fn of(model: &Model) -> Result<Self, InteropError> {
        let mut tensors = BTreeMap::new();
        for tensor in model.collect(None, None, true) {
            let numbers = bridge::to_data(&tensor)
                .map_err(|error| error.to_string())
                .and_then(|data| data.try_cast_as::<f32>().map_err(|error| error.to_string()))
                .and_then(|data| data.try_into_vec::<f32>().map_err(|error| error.to_string()))
                .map(|values| Numbers { dims: tensor.shape.to_vec(), values });
            let numbers = numbers.map_err(|reason| InteropError::Damaged {
                path: tensor.name.clone().into(),
                reason,
            })?;
            tensors.insert(published(&tensor.name), numbers);
        }
        Ok(Self { tensors, read: RefCell::default() })
    }

    /// The model itself, as a part.
    pub(super) fn root(&self) -> Part<'_> {
        Part { weights: self, path: String::new() }
    }

    /// A parameter that nothing has asked for: a graph without it computes another model.
    pub(super) fn unread(&self) -> Option<&str> {
        let read = self.read.borrow();
        self.tensors.keys().map(String::as_str).find(|name| !read.contains(*name))
    }

    /// Forgets what was asked for.
    pub(super) fn forget(&self) {
        self.read.borrow_mut().clear();
    }
}

/// A part of a model, e.g. `nystromformer.encoder.layer.0.output`.
#[derive(Clone)]
pub(super) struct Part<'a> {
    weights: &'a Weights,
    path: String,
}

impl<'a> Part<'a> {
    /// A part of this part.
    pub(super) fn child(&self, name: impl Display) -> Self {
        Self { weights: self.weights, path: self.name_of(name) }
    }

    /// The full name of something in this part.
    pub(super) fn name_of(&self, name: impl Display) -> String {
        if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) }
    }

    /// A parameter of this part.
    ///
    /// # Panics
    /// If the model has none of this name: then the graph is not that of the model's modules.
    pub(super) fn numbers(&self, name: &str) -> &'a Numbers {
        let name = self.name_of(name);
        let numbers = self.weights.tensors.get(&name);
        let numbers = numbers.unwrap_or_else(|| unreachable!("the model has no `{name}`"));
        self.weights.read.borrow_mut().insert(name);
        numbers
    }
}

/// transformers' name of a parameter of a module.
fn published(path: &str) -> String {
    let name = path
        .replace(".attention.self_attention.", ".attention.self.")
        .replace("layer_norm.gamma", "LayerNorm.weight")
        .replace("layer_norm.beta", "LayerNorm.bias");
    full_name(&name)
}
