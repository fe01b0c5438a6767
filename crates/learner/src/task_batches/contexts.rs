//! The texts that questions are about. Each is kept in memory once. All questions about it are held out together.

use std::collections::HashMap;
use std::sync::Arc;

use super::forms::ContextWindow;

/// The contexts of a split's questions.
#[derive(Debug, Default)]
pub(super) struct Contexts {
    numbers: HashMap<Arc<str>, usize>,
    of_examples: Vec<usize>,
}

impl Contexts {
    /// Makes a window share the context of earlier windows, if it is the same text. Examples come in their order.
    pub(super) fn share(&mut self, window: &mut ContextWindow, example: usize) {
        let next = self.numbers.len();
        if let Some((context, _)) = self.numbers.get_key_value(&window.context) {
            window.context = Arc::clone(context);
        }
        let number = *self.numbers.entry(Arc::clone(&window.context)).or_insert(next);
        if self.of_examples.len() == example {
            self.of_examples.push(number);
        }
    }

    /// The number of the context that each of the examples is a question about; `None` of other examples.
    pub(super) fn of_examples(&self) -> Option<&[usize]> {
        (!self.of_examples.is_empty()).then_some(self.of_examples.as_slice())
    }
}
