//! A pickle's bytes: opcodes and what follows them.

use super::value::{PyValue, Span};
use crate::tensors::source_file::{Flaw, MAX_NAME_BYTES, damaged};

/// Bytes that are read from front to back. Nothing is copied or allocated.
pub(super) struct Program<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Program<'a> {
    pub(super) fn new(bytes: &'a [u8], start: usize) -> Self {
        Self { bytes, position: start }
    }

    /// Bytes read so far, those before the start included.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Bytes not yet read.
    pub(super) fn remaining(&self) -> u64 {
        (self.bytes.len() - self.position) as u64
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Flaw> {
        let rest = &self.bytes[self.position..];
        let Some(taken) = rest.get(..len) else {
            return damaged(format!("its pickle ends before a value of `{len}` bytes"));
        };
        self.position += len;
        Ok(taken)
    }

    pub(super) fn array<const LEN: usize>(&mut self) -> Result<[u8; LEN], Flaw> {
        Ok(self.take(LEN)?.try_into().expect("`take` gives as many bytes as were asked for"))
    }

    pub(super) fn byte(&mut self) -> Result<u8, Flaw> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// A length of `LEN` bytes. One that memory could not hold is not in the program, either.
    pub(super) fn length<const LEN: usize>(&mut self) -> Result<usize, Flaw> {
        let bytes = self.array::<LEN>()?;
        let length = bytes.iter().rev().fold(0u64, |length, byte| length << 8 | u64::from(*byte));
        Ok(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// A string after its length of `LEN` bytes.
    pub(super) fn string<const LEN: usize>(&mut self) -> Result<Span, Flaw> {
        let len = self.length::<LEN>()?;
        let start = self.position;
        self.take(len)?;
        Ok(Span { start: start as u32, len: len as u32 })
    }

    /// Text up to the end of the line.
    pub(super) fn line(&mut self) -> Result<Span, Flaw> {
        let rest = &self.bytes[self.position..];
        let Some(len) = rest.iter().position(|byte| *byte == b'\n') else {
            return damaged("its pickle ends within a name");
        };
        let span = Span { start: self.position as u32, len: len as u32 };
        self.position += len + 1;
        Ok(span)
    }

    /// An integer of `len` bytes in two's complement.
    pub(super) fn long(&mut self, len: usize) -> Result<PyValue, Flaw> {
        let bytes = self.take(len)?;
        let is_negative = bytes.last().is_some_and(|byte| *byte >= 0x80);
        let mut wide = [if is_negative { 0xff } else { 0 }; 8];
        let Some(start) = wide.get_mut(..len) else { return Ok(PyValue::Other) };
        start.copy_from_slice(bytes);
        Ok(PyValue::Integer(i64::from_le_bytes(wide)))
    }

    /// The name at `span`.
    pub(super) fn name(&self, span: Span) -> Option<&'a str> {
        name(self.bytes, span)
    }
}

/// A name in a program. Long strings are none: one that is recalled often would be read as often.
pub(super) fn name(bytes: &[u8], span: Span) -> Option<&str> {
    let (start, len) = (span.start as usize, span.len as usize);
    if len > MAX_NAME_BYTES {
        return None;
    }
    str::from_utf8(&bytes[start..start + len]).ok()
}
