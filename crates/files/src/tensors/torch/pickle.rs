//! A pickle's result, and the objects that it is made of.

use super::{
    machine::Machine,
    program::name,
    value::{Object, Objects, PyValue, Span, Storage, TensorRecord},
};
use crate::tensors::source_file::{Flaw, damaged, quoted};

/// A program that has run.
pub(super) struct Pickle<'a> {
    bytes: &'a [u8],
    /// What the program left.
    pub root: PyValue,
    pub objects: Objects,
}

impl<'a> Pickle<'a> {
    /// Runs the program that begins at byte `start`, and says where it ends.
    pub(super) fn read(bytes: &'a [u8], start: usize) -> Result<(Self, usize), Flaw> {
        let (root, objects, end) = Machine::new(bytes, start).run()?;
        Ok((Self { bytes, root, objects }, end))
    }

    /// A name or key.
    pub(super) fn text(&self, span: Span) -> Result<&'a str, Flaw> {
        match name(self.bytes, span) {
            Some(text) => Ok(text),
            None => damaged(format!(
                "its pickle has a name of `{}` bytes that is too long or not UTF-8",
                span.len
            )),
        }
    }

    pub(super) fn tensor(&self, value: PyValue) -> Option<&TensorRecord> {
        match self.objects.get(value)? {
            Object::Tensor(record) => Some(record),
            _ => None,
        }
    }

    /// The storage of a tensor of this pickle.
    pub(super) fn storage(&self, record: &TensorRecord) -> &Storage {
        match self.objects.at(record.storage) {
            Object::Storage(storage) => storage,
            _ => unreachable!("a tensor is rebuilt from a storage alone"),
        }
    }

    /// Whether a value is a placeholder for what is not understood.
    pub(super) fn is_foreign(&self, value: PyValue) -> bool {
        matches!(self.objects.get(value), Some(Object::Foreign(_)))
    }

    /// What a value is, for a message.
    pub(super) fn describe(&self, value: PyValue) -> String {
        let named = |index: u32| match self.objects.at(index) {
            Object::Global { module, name: class } => {
                let [module, class] =
                    [*module, *class].map(|span| name(self.bytes, span).unwrap_or("?"));
                quoted(&format!("{module}.{class}"))
            }
            _ => "something unnamed".to_owned(),
        };
        match value {
            PyValue::None => "None".to_owned(),
            PyValue::Bool(_) | PyValue::Integer(_) | PyValue::Other => "a plain value".to_owned(),
            PyValue::Text(_) => "a string".to_owned(),
            PyValue::Object(index) => match self.objects.at(index) {
                Object::Tuple(_) => "a tuple".to_owned(),
                Object::List(_) => "a list".to_owned(),
                Object::Dict(_) => "a dict".to_owned(),
                Object::Global { .. } => format!("the name {}", named(index)),
                Object::Storage(_) => "a storage".to_owned(),
                Object::Tensor(_) => "a tensor".to_owned(),
                Object::Foreign(Some(global)) => format!("a product of {}", named(*global)),
                Object::Foreign(None) => "an object".to_owned(),
            },
        }
    }
}
