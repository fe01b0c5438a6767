//! The stack, with marks that stand for opened parentheses.

use super::value::PyValue;
use crate::tensors::source_file::{Flaw, damaged};

#[derive(Default)]
pub(super) struct Stack {
    values: Vec<PyValue>,
    /// Heights at the marks. What is below the last is out of reach.
    marks: Vec<usize>,
}

impl Stack {
    pub(super) fn push(&mut self, value: PyValue) {
        self.values.push(value);
    }

    pub(super) fn mark(&mut self) {
        self.marks.push(self.values.len());
    }

    pub(super) fn top(&self) -> Result<PyValue, Flaw> {
        match self.values.last() {
            Some(top) if self.values.len() > self.floor() => Ok(*top),
            _ => damaged("its pickle takes a value from an empty stack"),
        }
    }

    pub(super) fn pop(&mut self) -> Result<PyValue, Flaw> {
        let top = self.top()?;
        self.values.pop();
        Ok(top)
    }

    /// Drops the upmost value, or the mark if that is upmost.
    pub(super) fn drop_top(&mut self) -> Result<(), Flaw> {
        if self.marks.last() == Some(&self.values.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    /// The upmost `count` values, the upmost last.
    pub(super) fn pop_many(&mut self, count: usize) -> Result<Vec<PyValue>, Flaw> {
        match self.values.len().checked_sub(count) {
            Some(start) if start >= self.floor() => Ok(self.values.drain(start..).collect()),
            _ => damaged("its pickle takes a value from an empty stack"),
        }
    }

    /// All values above the last mark, and the mark.
    pub(super) fn pop_to_mark(&mut self) -> Result<Vec<PyValue>, Flaw> {
        match self.marks.pop() {
            Some(mark) => Ok(self.values.drain(mark..).collect()),
            None => damaged("its pickle closes a list that it did not open"),
        }
    }

    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }
}
