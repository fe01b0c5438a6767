//! What lies on the stack of the program.

use std::ops::Range;
use std::sync::Arc;

/// A value of Python, as far as a batch has it.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Mark,
    Nothing,
    Boolean(bool),
    Integer(i64),
    /// Text or bytes: a batch does not tell them apart.
    String(Bytes),
    Tuple(Vec<Value>),
    List(Vec<Value>),
    Dictionary(Vec<(Value, Value)>),
    /// A name of Python, with its module.
    Global(String),
    /// The type of an array of bytes.
    ByteType,
    /// An array that has still to be told its shape and bytes.
    EmptyArray,
    /// Rows, columns and bytes of an array.
    Array(i64, i64, Bytes),
}

impl Value {
    pub(super) fn holds_others(&self) -> bool {
        matches!(self, Self::Tuple(_) | Self::List(_) | Self::Dictionary(_))
    }
}

/// Bytes of a string.
#[derive(Debug, Clone)]
pub(super) enum Bytes {
    /// Where they stand in the file.
    InFile(Range<usize>),
    /// Decoded: protocol 2 of Python 3 writes bytes as a text of as many characters.
    Decoded(Arc<[u8]>),
}

impl Bytes {
    pub(super) fn of<'a>(&'a self, file: &'a [u8]) -> &'a [u8] {
        match self {
            Self::InFile(place) => &file[place.clone()],
            Self::Decoded(bytes) => bytes,
        }
    }
}
