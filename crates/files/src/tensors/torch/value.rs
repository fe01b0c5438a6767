//! What the stack machine works on.
//!
//! Values are small and copied freely. Whatever has parts is an index into the list of objects, so an object
//! that is referred to twice is one object, a list may hold itself, and dropping a deeply nested one takes no
//! stack.

use crate::tensors::Element;

/// A Python value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PyValue {
    None,
    Bool(bool),
    Integer(i64),
    Text(Span),
    /// Index into the objects.
    Object(u32),
    /// A value that no state dict needs: a float, bytes, a set, an integer of more than 64 bits.
    Other,
}

/// A string: a place in the pickle's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub start: u32,
    pub len: u32,
}

/// A Python object with parts.
#[derive(Debug)]
pub(super) enum Object {
    Tuple(Vec<PyValue>),
    List(Vec<PyValue>),
    Dict(Vec<(PyValue, PyValue)>),
    /// A class or function, by name: `module.name`. Never looked up, never called.
    Global {
        module: Span,
        name: Span,
    },
    Storage(Storage),
    Tensor(Box<TensorRecord>),
    /// What a global that is not understood would have made; the index of that global, where there is one.
    /// Takes any state and items, and forgets them.
    Foreign(Option<u32>),
}

/// Numbers that tensors are views of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storage {
    /// `None` if it is untyped: then it is measured in bytes.
    pub element: Option<Element>,
    /// Its name in the container.
    pub key: Span,
    /// Elements in it.
    pub length: u64,
}

impl Storage {
    /// Its size, if that is a number.
    pub(super) fn bytes(&self) -> Option<u64> {
        self.length.checked_mul(self.element.map_or(1, Element::bytes))
    }
}

/// A tensor as torch's rebuilding functions are told of it, unchecked.
#[derive(Debug)]
pub(super) struct TensorRecord {
    /// Index of the storage among the objects.
    pub storage: u32,
    pub element: Element,
    /// Elements of the storage before its first.
    pub offset: PyValue,
    /// Tuple of its dimensions.
    pub shape: PyValue,
    /// Tuple of the elements from one index to the next, for each dimension.
    pub strides: PyValue,
}

/// The objects of a pickle, in the order in which they were made.
#[derive(Default)]
pub(super) struct Objects(Vec<Object>);

impl Objects {
    pub(super) fn add(&mut self, object: Object) -> PyValue {
        let index = self.0.len() as u32; // bounded by the steps of a program
        self.0.push(object);
        PyValue::Object(index)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Object> {
        self.0.iter()
    }

    pub(super) fn at(&self, index: u32) -> &Object {
        &self.0[index as usize]
    }

    pub(super) fn get(&self, value: PyValue) -> Option<&Object> {
        match value {
            PyValue::Object(index) => Some(self.at(index)),
            _ => None,
        }
    }

    pub(super) fn get_mut(&mut self, value: PyValue) -> Option<&mut Object> {
        match value {
            PyValue::Object(index) => Some(&mut self.0[index as usize]),
            _ => None,
        }
    }

    pub(super) fn tuple(&self, value: PyValue) -> Option<&[PyValue]> {
        match self.get(value)? {
            Object::Tuple(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn list(&self, value: PyValue) -> Option<&[PyValue]> {
        match self.get(value)? {
            Object::List(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn dict(&self, value: PyValue) -> Option<&[(PyValue, PyValue)]> {
        match self.get(value)? {
            Object::Dict(items) => Some(items),
            _ => None,
        }
    }
}
