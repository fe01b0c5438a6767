//! A batch of CIFAR-10 for Python: a dictionary, pickled by Python 2 in protocol 2.
//!
//! A pickle is a program that may call anything. Here only what the official batches hold is understood, and nothing is
//! called: where NumPy would be asked to rebuild an array, its shape and bytes are noted. Whatever else stands there is an
//! error.

use std::ops::Range;

use super::batches::{Batch, PICTURE_BYTES};

const NESTED: &str = "the pickle nests values deeper than a batch of CIFAR-10 does";
const EMPTY_STACK: &str = "the pickle takes values that are not there; is the file damaged?";

/// Values that a batch may hold; the official ones have 20,000, a label and a file name for each picture.
const MAX_VALUES: usize = 200_000;

/// What lies on the stack of the program.
#[derive(Debug, Clone)]
enum Value {
    Mark,
    Nothing,
    Boolean(bool),
    Integer(i64),
    /// Where the bytes of a string stand in the file.
    String(Range<usize>),
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
    Array(i64, i64, Range<usize>),
}

impl Value {
    fn holds_others(&self) -> bool {
        matches!(self, Self::Tuple(_) | Self::List(_) | Self::Dictionary(_))
    }
}

/// The labels and pictures of a batch.
pub(super) fn batch(file: &[u8]) -> Result<Batch, String> {
    let Value::Dictionary(entries) = Reader::new(file).run()? else {
        return Err("the pickle holds no dictionary; is this a batch of CIFAR-10?".to_owned());
    };
    let entry = |wanted: &str| {
        let found = entries.iter().find(|(key, _)| {
            matches!(key, Value::String(place) if file[place.clone()] == *wanted.as_bytes())
        });
        found.map(|(_, value)| value).ok_or_else(|| format!("the dictionary has no key `{wanted}`"))
    };
    let Value::List(labels) = entry("labels")? else {
        return Err("`labels` is no list".to_owned());
    };
    let labels = labels
        .iter()
        .map(|label| match label {
            Value::Integer(label) => u8::try_from(*label).ok(),
            _ => None,
        })
        .collect::<Option<Vec<u8>>>()
        .ok_or("`labels` holds what is no label")?;
    let Value::Array(rows, columns, place) = entry("data")? else {
        return Err("`data` is no array of NumPy".to_owned());
    };
    if (*rows, *columns) != (labels.len() as i64, PICTURE_BYTES as i64)
        || place.len() != labels.len() * PICTURE_BYTES
    {
        return Err(format!(
            "`data` has {rows} rows of {columns} and {} bytes; expected {} rows, one for each label, of {PICTURE_BYTES}",
            place.len(),
            labels.len()
        ));
    }
    Ok(Batch { labels, pictures: file[place.clone()].to_vec() })
}

struct Reader<'a> {
    file: &'a [u8],
    position: usize,
    stack: Vec<Value>,
    /// Values kept for later by their number. Those that hold others are not: a batch never asks for them again, and
    /// copies of copies could fill any memory.
    memo: Vec<Option<Value>>,
    values: usize,
}

impl<'a> Reader<'a> {
    fn new(file: &'a [u8]) -> Self {
        Self { file, position: 0, stack: Vec::new(), memo: Vec::new(), values: 0 }
    }

    /// Runs to the end and gives what is left.
    fn run(mut self) -> Result<Value, String> {
        loop {
            let at = self.position;
            let code = self.byte()?;
            match code {
                b'.' => return self.pop(),
                0x80 => match self.byte()? {
                    2 => {}
                    other => return Err(format!("pickle protocol {other}, expected 2")),
                },
                b'(' => self.push(Value::Mark)?,
                b'N' => self.push(Value::Nothing)?,
                0x88 | 0x89 => self.push(Value::Boolean(code == 0x88))?,
                b'K' => {
                    let number = i64::from(self.byte()?);
                    self.push(Value::Integer(number))?;
                }
                b'M' => {
                    let number = u16::from_le_bytes(self.array()?);
                    self.push(Value::Integer(number.into()))?;
                }
                b'J' => {
                    let number = i32::from_le_bytes(self.array()?);
                    self.push(Value::Integer(number.into()))?;
                }
                b'U' => {
                    let length = self.byte()?;
                    self.string(length.into())?;
                }
                b'T' => {
                    let length = u32::from_le_bytes(self.array()?);
                    self.string(length as usize)?;
                }
                b'c' => {
                    let name = format!("{}.{}", self.line()?, self.line()?);
                    self.push(Value::Global(name))?;
                }
                b'}' => self.push(Value::Dictionary(Vec::new()))?,
                b']' => self.push(Value::List(Vec::new()))?,
                b'e' => self.append()?,
                b'u' => self.set_items()?,
                b't' => {
                    let items = self.pop_to_mark()?;
                    self.tuple(items)?;
                }
                0x85..=0x87 => {
                    let length = usize::from(code - 0x84);
                    let start = self.stack.len().checked_sub(length).ok_or(EMPTY_STACK)?;
                    let items = self.stack.split_off(start);
                    self.tuple(items)?;
                }
                b'R' => self.reduce()?,
                b'b' => self.build()?,
                b'q' => {
                    let number = self.byte()?;
                    self.keep(number.into())?;
                }
                b'r' => {
                    let number = u32::from_le_bytes(self.array()?);
                    self.keep(number as usize)?;
                }
                b'h' => {
                    let number = self.byte()?;
                    self.fetch(number.into())?;
                }
                b'j' => {
                    let number = u32::from_le_bytes(self.array()?);
                    self.fetch(number as usize)?;
                }
                other => {
                    return Err(format!(
                        "opcode `0x{other:02x}` at byte {at} is none that a batch of CIFAR-10 needs; nothing was executed"
                    ));
                }
            }
        }
    }

    fn take(&mut self, length: usize) -> Result<Range<usize>, String> {
        let start = self.position;
        let end = start.checked_add(length).filter(|end| *end <= self.file.len());
        self.position = end.ok_or("the pickle ends too early; is the file cut off?")?;
        Ok(start..self.position)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.array::<1>()?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let place = self.take(N)?;
        Ok(self.file[place].try_into().expect("as many bytes were taken"))
    }

    /// The text up to the end of the line, of a name.
    fn line(&mut self) -> Result<String, String> {
        let rest = &self.file[self.position..];
        let length = rest.iter().take(100).position(|byte| *byte == b'\n');
        let place = self.take(length.ok_or("a name of Python does not end")? + 1)?;
        let name = &self.file[place.start..place.end - 1];
        Ok(String::from_utf8_lossy(name).into_owned())
    }

    fn string(&mut self, length: usize) -> Result<(), String> {
        let place = self.take(length)?;
        self.push(Value::String(place))
    }

    fn push(&mut self, value: Value) -> Result<(), String> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(format!("the pickle holds more than {MAX_VALUES} values"));
        }
        self.stack.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, String> {
        self.stack.pop().ok_or_else(|| EMPTY_STACK.to_owned())
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.stack.iter().rposition(|value| matches!(value, Value::Mark));
        let items = self.stack.split_off(mark.ok_or(EMPTY_STACK)? + 1);
        self.stack.pop();
        Ok(items)
    }

    /// A tuple, which may hold tuples of simple values, as the state of an array does.
    fn tuple(&mut self, items: Vec<Value>) -> Result<(), String> {
        let shallow = |item: &Value| match item {
            Value::Tuple(inner) => !inner.iter().any(Value::holds_others),
            item => !item.holds_others(),
        };
        if !items.iter().all(shallow) {
            return Err(NESTED.to_owned());
        }
        self.push(Value::Tuple(items))
    }

    fn append(&mut self) -> Result<(), String> {
        let items = self.pop_to_mark()?;
        if items.iter().any(Value::holds_others) {
            return Err(NESTED.to_owned());
        }
        match self.stack.last_mut() {
            Some(Value::List(list)) => list.extend(items),
            _ => return Err("values are appended to what is no list".to_owned()),
        }
        Ok(())
    }

    fn set_items(&mut self) -> Result<(), String> {
        let mut items = self.pop_to_mark()?.into_iter();
        match self.stack.last_mut() {
            Some(Value::Dictionary(entries)) => {
                while let (Some(key), Some(value)) = (items.next(), items.next()) {
                    if matches!(
                        (&key, &value),
                        (Value::Dictionary(_), _) | (_, Value::Dictionary(_))
                    ) {
                        return Err(NESTED.to_owned());
                    }
                    entries.push((key, value));
                }
            }
            _ => return Err("values are set in what is no dictionary".to_owned()),
        }
        Ok(())
    }

    /// Where Python would call something: what the two calls of a batch would give.
    fn reduce(&mut self) -> Result<(), String> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let (Value::Tuple(arguments), Value::Global(name)) = (arguments, callee) else {
            return Err("something is called that has no name".to_owned());
        };
        let value = match (name.as_str(), arguments.first()) {
            ("numpy.core.multiarray._reconstruct", _) => Value::EmptyArray,
            ("numpy.dtype", Some(Value::String(place))) => match &self.file[place.clone()] {
                b"u1" => Value::ByteType,
                other => {
                    let other = String::from_utf8_lossy(&other[..other.len().min(20)]);
                    return Err(format!("the array's type is `{other}`, expected `u1`"));
                }
            },
            _ => {
                return Err(format!(
                    "the pickle calls `{name}`, which a batch of CIFAR-10 does not; nothing was executed"
                ));
            }
        };
        self.push(value)
    }

    /// Where Python would fill what it has made: notes shape and bytes of an array.
    fn build(&mut self) -> Result<(), String> {
        let (state, object) = (self.pop()?, self.pop()?);
        let built = match (object, state) {
            (Value::ByteType, Value::Tuple(_)) => Value::ByteType,
            (Value::EmptyArray, Value::Tuple(state)) => match state.as_slice() {
                [
                    Value::Integer(_),
                    Value::Tuple(shape),
                    Value::ByteType,
                    Value::Boolean(false),
                    Value::String(bytes),
                ] => match shape.as_slice() {
                    [Value::Integer(rows), Value::Integer(columns)] => {
                        Value::Array(*rows, *columns, bytes.clone())
                    }
                    _ => return Err("the array has not two dimensions".to_owned()),
                },
                _ => return Err("the array is not one of bytes, row by row".to_owned()),
            },
            _ => return Err("something is filled that is no array".to_owned()),
        };
        self.push(built)
    }

    fn keep(&mut self, number: usize) -> Result<(), String> {
        let last = self.stack.last().ok_or(EMPTY_STACK)?;
        let value = (!last.holds_others()).then(|| last.clone());
        if number > MAX_VALUES {
            return Err(format!("a value is kept under number {number}"));
        }
        if self.memo.len() <= number {
            self.memo.resize(number + 1, None);
        }
        self.memo[number] = value;
        Ok(())
    }

    fn fetch(&mut self, number: usize) -> Result<(), String> {
        let value = self.memo.get(number).cloned().flatten();
        self.push(value.ok_or_else(|| format!("number {number} stands for no value"))?)
    }
}

#[cfg(test)]
pub(super) mod tests;
