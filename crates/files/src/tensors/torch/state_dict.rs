//! Finding the parameters among everything else.
//!
//! A file's top level is a state dict, or a dict that holds one beside an optimizer, a scheduler and whatever
//! its author wanted to keep. The keys differ; what a state dict looks like does not.

use std::collections::HashSet;

use super::{pickle::Pickle, value::PyValue};
use crate::tensors::source_file::{Flaw, damaged, quoted, unsupported};

/// Keys under which a state dict is kept, the surest first. Whatever they hold beside them is not looked at.
const USUAL_KEYS: [&str; 3] = ["model_state_dict", "state_dict", "model"];

/// End of the name of a module's own state, which may be of any type.
const EXTRA_STATE: &str = "_extra_state";

/// The parameters of a model in a pickle.
pub(super) struct StateDict<'a> {
    /// The top level's key that holds it, unless it is the top level.
    key: Option<&'a str>,
    items: &'a [(PyValue, PyValue)],
    pickle: &'a Pickle<'a>,
}

impl<'a> StateDict<'a> {
    /// The dict under one of the usual keys, or else the one with the most floating-point tensors: the top level
    /// itself or one of its values.
    pub(super) fn find(pickle: &'a Pickle<'a>) -> Result<Self, Flaw> {
        let top = pickle.root;
        let Some(items) = pickle.objects.dict(top) else {
            return unsupported(format!(
                "its top level is {}, not a state dict; save `model.state_dict()` with torch.save",
                pickle.describe(top)
            ));
        };
        let mut candidates = vec![(None, top)];
        let mut seen = HashSet::from([object_index(top)]);
        for (key, value) in items {
            // A dict that stands under two keys counts as the first.
            if let PyValue::Text(key) = key
                && pickle.objects.dict(*value).is_some()
                && seen.insert(object_index(*value))
            {
                candidates.push((Some(pickle.text(*key)?), *value));
            }
        }
        let mut candidates: Vec<_> = candidates
            .into_iter()
            .map(|(key, value)| {
                let items = pickle.objects.dict(value).unwrap_or_default();
                let floats = items.iter().filter(|(_, value)| {
                    pickle.tensor(*value).is_some_and(|record| record.element.is_float())
                });
                (floats.count(), Self { key, items, pickle })
            })
            .filter(|(floats, _)| *floats > 0)
            .collect();
        for usual in USUAL_KEYS {
            if let Some(at) = candidates.iter().position(|(_, dict)| dict.key == Some(usual)) {
                return Ok(candidates.swap_remove(at).1);
            }
        }
        candidates.sort_by_key(|(floats, _)| std::cmp::Reverse(*floats));
        match &candidates[..] {
            [] => unsupported(
                "it holds no state dict: neither its top level nor a dict in it has floating-point tensors",
            ),
            [(most, first), (next, second), ..] if most == next => unsupported(format!(
                "it holds two state dicts of `{most}` tensors, {} and {}; save the one to load by itself",
                first.title(),
                second.title()
            )),
            _ => Ok(candidates.swap_remove(0).1),
        }
    }

    /// Names and values.
    pub(super) fn entries(&self) -> Result<Vec<(&'a str, PyValue)>, Flaw> {
        let mut entries = Vec::with_capacity(self.items.len());
        for (name, value) in self.items {
            let PyValue::Text(name) = name else {
                return damaged(format!("{} has a name that is no string", self.title()));
            };
            entries.push((self.pickle.text(*name)?, *value));
        }
        Ok(entries)
    }

    /// Where the tensor `name` is, for a message.
    pub(super) fn place(&self, name: &str) -> String {
        match self.key {
            None => quoted(name),
            Some(key) => format!("{} in {}", quoted(name), quoted(key)),
        }
    }

    fn title(&self) -> String {
        self.key.map_or_else(|| "the top level".to_owned(), quoted)
    }
}

/// Whether an entry that is not a tensor may stand in a state dict: a module's own state, and the plain values
/// and containers that old versions and other libraries put there.
pub(super) fn is_extra(name: &str, value: PyValue, pickle: &Pickle) -> bool {
    name.ends_with(EXTRA_STATE) || !pickle.is_foreign(value)
}

fn object_index(value: PyValue) -> Option<u32> {
    match value {
        PyValue::Object(index) => Some(index),
        _ => None,
    }
}
