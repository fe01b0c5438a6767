//! The program of a pickle: one step for each opcode that a batch needs.

use std::ops::Range;

use super::value::{Bytes, Value};

const NESTED: &str = "the pickle nests values deeper than a batch of CIFAR-10 does";
const EMPTY_STACK: &str = "the pickle takes values that are not there; is the file damaged?";

/// Values that a batch may hold; the official ones have 20,000, a label and a file name for each picture, and written anew by
/// protocol 2 of Python 3 five times as many.
pub(super) const MAX_VALUES: usize = 200_000;

/// A program while it runs.
pub(super) struct Machine<'a> {
    file: &'a [u8],
    position: usize,
    stack: Vec<Value>,
    /// Values kept for later by their number. Those that hold others are not: a batch never asks for them again, and
    /// copies of copies could fill any memory.
    memo: Vec<Option<Value>>,
    values: usize,
    /// Bytes that texts were decoded to.
    decoded: usize,
}

impl<'a> Machine<'a> {
    pub(super) fn new(file: &'a [u8]) -> Self {
        Self { file, position: 0, stack: Vec::new(), memo: Vec::new(), values: 0, decoded: 0 }
    }

    /// Runs to the end and gives what is left.
    pub(super) fn run(mut self) -> Result<Value, String> {
        loop {
            let at = self.position;
            let code = self.byte()?;
            match code {
                b'.' => return self.pop(),
                0x80 => match self.byte()? {
                    2..=5 => {}
                    other => return Err(format!("pickle protocol {other}, expected 2 to 5")),
                },
                // A frame says only how much may be read at once.
                0x95 => {
                    self.take(8)?;
                }
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
                b'U' | b'C' | 0x8c => {
                    let length = self.byte()?;
                    self.string(length.into())?;
                }
                b'T' | b'B' | b'X' => {
                    let length = u32::from_le_bytes(self.array()?);
                    self.string(length as usize)?;
                }
                0x8d | 0x8e | 0x96 => {
                    let length = u64::from_le_bytes(self.array()?);
                    self.string(usize::try_from(length).unwrap_or(usize::MAX))?;
                }
                b'c' => {
                    let name = format!("{}.{}", self.line()?, self.line()?);
                    self.push(Value::Global(name))?;
                }
                0x93 => self.global()?,
                b'}' => self.push(Value::Dictionary(Vec::new()))?,
                b']' => self.push(Value::List(Vec::new()))?,
                b')' => self.push(Value::Tuple(Vec::new()))?,
                b'e' => {
                    let items = self.pop_to_mark()?;
                    self.append(items)?;
                }
                b'a' => {
                    let item = self.pop()?;
                    self.append(vec![item])?;
                }
                b'u' => {
                    let items = self.pop_to_mark()?;
                    self.set_items(items)?;
                }
                b's' => {
                    let items = self.pop_many(2)?;
                    self.set_items(items)?;
                }
                b't' => {
                    let items = self.pop_to_mark()?;
                    self.tuple(items)?;
                }
                0x85..=0x87 => {
                    let items = self.pop_many(usize::from(code - 0x84))?;
                    self.tuple(items)?;
                }
                b'R' => self.reduce()?,
                b'b' => self.build()?,
                0x94 => self.keep(self.memo.len())?,
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

    /// A name of Python, out of two strings.
    fn global(&mut self) -> Result<(), String> {
        let (name, module) = (self.pop()?, self.pop()?);
        let (Value::String(module), Value::String(name)) = (module, name) else {
            return Err("a name of Python is not made of strings".to_owned());
        };
        let [module, name] = [module, name].map(|text| {
            let text = text.of(self.file);
            String::from_utf8_lossy(&text[..text.len().min(100)]).into_owned()
        });
        self.push(Value::Global(format!("{module}.{name}")))
    }

    /// The file.
    pub(super) fn file(&self) -> &'a [u8] {
        self.file
    }

    /// Takes note of so many bytes that a text was decoded to: a text that is decoded again and again could fill any memory.
    pub(super) fn count_decoded(&mut self, bytes: usize) -> Result<(), String> {
        self.decoded += bytes;
        if self.decoded > self.file.len() {
            return Err("the pickle decodes more bytes than it has".to_owned());
        }
        Ok(())
    }

    fn string(&mut self, length: usize) -> Result<(), String> {
        let place = self.take(length)?;
        self.push(Value::String(Bytes::InFile(place)))
    }

    pub(super) fn push(&mut self, value: Value) -> Result<(), String> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(format!("the pickle holds more than {MAX_VALUES} values"));
        }
        self.stack.push(value);
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Result<Value, String> {
        self.stack.pop().ok_or_else(|| EMPTY_STACK.to_owned())
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Value>, String> {
        let start = self.stack.len().checked_sub(count).ok_or(EMPTY_STACK)?;
        Ok(self.stack.split_off(start))
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

    fn append(&mut self, items: Vec<Value>) -> Result<(), String> {
        if items.iter().any(Value::holds_others) {
            return Err(NESTED.to_owned());
        }
        match self.stack.last_mut() {
            Some(Value::List(list)) => list.extend(items),
            _ => return Err("values are appended to what is no list".to_owned()),
        }
        Ok(())
    }

    fn set_items(&mut self, items: Vec<Value>) -> Result<(), String> {
        let mut items = items.into_iter();
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
