//! The functions that are understood: those by which torch describes tensors, and Python's ordered dict.

use super::{
    machine::Machine,
    value::{Object, PyValue, Storage, TensorRecord},
};
use crate::tensors::{
    Element,
    source_file::{Flaw, damaged, unsupported},
};

impl Machine<'_> {
    /// What `callable(*arguments)` stands for.
    pub(super) fn call(&mut self, callable: PyValue, arguments: PyValue) -> Result<PyValue, Flaw> {
        let (mut callable, mut arguments) = (callable, arguments);
        if self.global(callable) == Some(("torch._tensor", "_rebuild_from_type_v2")) {
            // A subclass of Tensor: (function, class, arguments, state).
            if let Some([function, _, inner, _]) = self.objects.tuple(arguments) {
                (callable, arguments) = (*function, *inner);
            }
        }
        let PyValue::Object(index) = callable else { return Ok(self.foreign(None)) };
        let Some((module, name)) = self.global(callable) else { return Ok(self.foreign(None)) };
        let Some(arguments) = self.objects.tuple(arguments) else {
            return damaged("the arguments of a call are no tuple");
        };
        match (module, name, arguments) {
            ("collections", "OrderedDict", []) => Ok(self.objects.add(Object::Dict(Vec::new()))),
            ("collections", "OrderedDict", [pairs]) => self.dict_of_pairs(*pairs),
            (
                "torch._utils",
                "_rebuild_tensor" | "_rebuild_tensor_v2",
                [storage, offset, shape, strides, ..],
            ) => Ok(self.rebuild_tensor(index, None, [*storage, *offset, *shape, *strides])),
            (
                "torch._utils",
                "_rebuild_tensor_v3",
                [storage, offset, shape, strides, _, _, dtype, ..],
            ) => {
                Ok(self.rebuild_tensor(index, Some(*dtype), [*storage, *offset, *shape, *strides]))
            }
            (
                "torch._utils",
                "_rebuild_parameter" | "_rebuild_parameter_with_state",
                [tensor, ..],
            ) => Ok(*tensor),
            _ => Ok(self.foreign(Some(index))),
        }
    }

    /// A tensor, or a placeholder if its type is not known here.
    fn rebuild_tensor(
        &mut self,
        callable: u32,
        dtype: Option<PyValue>,
        [storage, offset, shape, strides]: [PyValue; 4],
    ) -> PyValue {
        let Some((index, found)) = self.storage(storage) else {
            return self.foreign(Some(callable));
        };
        let element = match dtype.map(|dtype| self.global(dtype)) {
            None => found.element,
            Some(Some(("torch", name))) => Element::of_dtype(name),
            Some(_) => None,
        };
        match element {
            None => self.foreign(Some(callable)),
            Some(element) => {
                let record = TensorRecord { storage: index, element, offset, shape, strides };
                self.objects.add(Object::Tensor(Box::new(record)))
            }
        }
    }

    /// The storage that a persistent id names: `("storage", class, key, device, length)`, in the older format
    /// followed by the place in another storage that it is a view of, or `None`.
    pub(super) fn persistent(&mut self, id: PyValue) -> Result<PyValue, Flaw> {
        let (class, key, length) = match self.objects.tuple(id) {
            Some([kind, class, key, _, length, view @ ..])
                if self.text(*kind) == Some("storage") && matches!(view, [] | [PyValue::None]) =>
            {
                (*class, *key, *length)
            }
            Some([_, _, _, _, _, _]) => {
                return unsupported(
                    "it shares storages in the way of PyTorch before 0.4; load it there and save it again",
                );
            }
            _ => return damaged("a persistent id is not that of a storage"),
        };
        let (PyValue::Text(key), PyValue::Integer(length)) = (key, length) else {
            return damaged("a storage has no key or no length");
        };
        let Ok(length) = u64::try_from(length) else {
            return damaged(format!("a storage has the length `{length}`"));
        };
        let element = match self.global(class) {
            Some(("torch" | "torch.storage", "UntypedStorage")) => None,
            Some(("torch" | "torch.cuda" | "torch.storage", name)) => {
                match Element::of_storage(name) {
                    Some(element) => Some(element),
                    None => return Ok(self.foreign_of(class)),
                }
            }
            _ => return Ok(self.foreign_of(class)),
        };
        Ok(self.objects.add(Object::Storage(Storage { element, key, length })))
    }

    /// A dict of a list of pairs.
    fn dict_of_pairs(&mut self, pairs: PyValue) -> Result<PyValue, Flaw> {
        let Some(pairs) = self.objects.list(pairs) else {
            return damaged("a dict is made of no list");
        };
        let mut items = Vec::new();
        for pair in pairs {
            let pair = self.objects.tuple(*pair).or_else(|| self.objects.list(*pair));
            let Some([key, value]) = pair else {
                return damaged("a dict is made of something other than pairs");
            };
            items.push((*key, *value));
        }
        // Else the same list could be copied at every step.
        self.spend(items.len())?;
        Ok(self.objects.add(Object::Dict(items)))
    }

    fn foreign(&mut self, global: Option<u32>) -> PyValue {
        self.objects.add(Object::Foreign(global))
    }

    fn foreign_of(&mut self, class: PyValue) -> PyValue {
        let index = match class {
            PyValue::Object(index) if self.global(class).is_some() => Some(index),
            _ => None,
        };
        self.foreign(index)
    }
}
