//! The texts that questions are about: each is kept once, whatever the number of its questions, and held out with all of them.

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
    /// Gives a window of an example the context that others have too. Examples come in their order.
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
