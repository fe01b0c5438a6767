//! The stack machine: Python's pickle, protocols 2 to 5.
//!
//! The program may only push constants, gather what is on the stack into containers, and name what should be
//! called; [`rebuild`](super::rebuild) says what the names stand for. Opcodes of the protocols 0 and 1 that
//! `torch.save` never writes are refused.

use super::value::{Object, Span, Storage, TensorRecord, Value};
use crate::source_file::{Flaw, MAX_NAME_BYTES, damaged, quoted, unsupported};

/// Steps a program may take. A state dict takes some twenty for each parameter, its optimizer seventy.
pub(super) const MAX_STEPS: usize = 1 << 19;

/// Newest protocol.
const MAX_PROTOCOL: u8 = 5;

/// A program that has run: its result, and the objects that it is made of.
pub(super) struct Pickle<'a> {
    bytes: &'a [u8],
    objects: Vec<Object>,
    root: Value,
}

impl<'a> Pickle<'a> {
    /// Runs the program that begins at byte `start`, and says where it ends.
    pub(super) fn read(bytes: &'a [u8], start: usize) -> Result<(Self, usize), Flaw> {
        let mut machine = Machine::new(bytes, start);
        let root = machine.run()?;
        let Machine { position, objects, .. } = machine;
        Ok((Self { bytes, objects, root }, position))
    }

    /// What the program leaves.
    pub(super) fn root(&self) -> Value {
        self.root
    }

    pub(super) fn objects(&self) -> &[Object] {
        &self.objects
    }

    pub(super) fn text(&self, span: Span) -> Result<&'a str, Flaw> {
        match text(self.bytes, span) {
            Some(text) => Ok(text),
            None => damaged(format!(
                "its pickle has a name of `{}` bytes that is too long or not UTF-8",
                span.len
            )),
        }
    }

    pub(super) fn list(&self, value: Value) -> Option<&[Value]> {
        match object(&self.objects, value)? {
            Object::List(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn tuple(&self, value: Value) -> Option<&[Value]> {
        match object(&self.objects, value)? {
            Object::Tuple(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn dict(&self, value: Value) -> Option<&[(Value, Value)]> {
        match object(&self.objects, value)? {
            Object::Dict(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn tensor(&self, value: Value) -> Option<&TensorRecord> {
        match object(&self.objects, value)? {
            Object::Tensor(record) => Some(record),
            _ => None,
        }
    }

    /// The storage of a tensor of this pickle.
    pub(super) fn storage(&self, record: &TensorRecord) -> &Storage {
        match &self.objects[record.storage as usize] {
            Object::Storage(storage) => storage,
            _ => unreachable!("a tensor is rebuilt from a storage alone"),
        }
    }

    /// Whether a value is a placeholder for what is not understood.
    pub(super) fn is_foreign(&self, value: Value) -> bool {
        matches!(object(&self.objects, value), Some(Object::Foreign(_)))
    }

    /// What a value is, for a message.
    pub(super) fn describe(&self, value: Value) -> String {
        let named = |index: u32| match &self.objects[index as usize] {
            Object::Global { module, name } => {
                let [module, name] =
                    [*module, *name].map(|span| text(self.bytes, span).unwrap_or("?"));
                quoted(&format!("{module}.{name}"))
            }
            _ => "something unnamed".to_owned(),
        };
        match value {
            Value::None => "None".to_owned(),
            Value::Bool(_) | Value::Integer(_) | Value::Other => "a plain value".to_owned(),
            Value::Text(_) => "a string".to_owned(),
            Value::Object(index) => match &self.objects[index as usize] {
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

fn object(objects: &[Object], value: Value) -> Option<&Object> {
    match value {
        Value::Object(index) => objects.get(index as usize),
        _ => None,
    }
}

/// A name in the program. Long strings are none: one that is recalled often would be read as often.
fn text(bytes: &[u8], span: Span) -> Option<&str> {
    let (start, len) = (span.start as usize, span.len as usize);
    if len > MAX_NAME_BYTES {
        return None;
    }
    str::from_utf8(&bytes[start..start + len]).ok()
}

/// A program while it runs.
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    position: usize,
    stack: Vec<Value>,
    /// Heights of the stack at the marks.
    marks: Vec<usize>,
    memo: Vec<Option<Value>>,
    objects: Vec<Object>,
    steps: usize,
}

impl<'a> Machine<'a> {
    fn new(bytes: &'a [u8], start: usize) -> Self {
        let (stack, marks, memo, objects) = Default::default();
        Self { bytes, position: start, stack, marks, memo, objects, steps: 0 }
    }

    /// Runs to the end of the program.
    fn run(&mut self) -> Result<Value, Flaw> {
        loop {
            self.spend(1)?;
            let opcode = self.byte()?;
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode)?;
        }
    }

    /// Takes `steps` from what the program may use.
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), Flaw> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MAX_STEPS {
            return damaged(format!("its pickle takes more than {MAX_STEPS} steps"));
        }
        Ok(())
    }

    fn step(&mut self, opcode: u8) -> Result<(), Flaw> {
        match opcode {
            // The program itself.
            0x80 => {
                let protocol = self.byte()?;
                if protocol > MAX_PROTOCOL {
                    return unsupported(format!(
                        "its pickle has protocol `{protocol}`; save it with pickle_protocol = 2"
                    ));
                }
            }
            0x95 => {
                let bytes = u64::from_le_bytes(self.array()?);
                if bytes > (self.bytes.len() - self.position) as u64 {
                    return damaged(format!("its pickle ends before a frame of `{bytes}` bytes"));
                }
            }

            // Constants.
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'K' => self.integer::<1>(|[byte]| byte.into())?,
            b'M' => self.integer::<2>(|bytes| u16::from_le_bytes(bytes).into())?,
            b'J' => self.integer::<4>(|bytes| i32::from_le_bytes(bytes).into())?,
            0x8a => {
                let len = self.byte()?.into();
                self.long(len)?;
            }
            0x8b => {
                let len = self.length::<4>()?;
                self.long(len)?;
            }
            b'G' => {
                self.array::<8>()?;
                self.push(Value::Other);
            }
            b'X' | b'T' => self.string::<4>()?,
            0x8c | b'U' => self.string::<1>()?,
            0x8d => self.string::<8>()?,
            b'C' => self.skip::<1>()?,
            b'B' => self.skip::<4>()?,
            0x8e | 0x96 => self.skip::<8>()?,

            // The stack and the memo.
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop()?;
                }
            }
            b'1' => {
                self.pop_to_mark()?;
            }
            b'2' => self.push(self.top()?),
            b'q' => self.remember::<1>()?,
            b'r' => self.remember::<4>()?,
            0x94 => self.memo.push(Some(self.top()?)),
            b'h' => self.recall::<1>()?,
            b'j' => self.recall::<4>()?,

            // Containers.
            b')' => self.create(Object::Tuple(Vec::new())),
            b']' => self.create(Object::List(Vec::new())),
            b'}' => self.create(Object::Dict(Vec::new())),
            0x8f => self.create(Object::Foreign(None)),
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(opcode - 0x84))?;
                self.create(Object::Tuple(items));
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.create(Object::Tuple(items));
            }
            b'l' => {
                let items = self.pop_to_mark()?;
                self.create(Object::List(items));
            }
            b'd' => {
                let items = pairs(self.pop_to_mark()?)?;
                self.create(Object::Dict(items));
            }
            0x91 => {
                self.pop_to_mark()?;
                self.create(Object::Foreign(None));
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.pop_to_mark()?;
                self.extend(items)?;
            }
            b's' => {
                let items = self.pop_many(2)?;
                self.set_items(items)?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set_items(items)?;
            }

            // Names, calls, and objects kept outside the pickle.
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.create(Object::Global { module, name });
            }
            0x93 => match self.pop_many(2)?[..] {
                [Value::Text(module), Value::Text(name)] => {
                    self.create(Object::Global { module, name });
                }
                _ => return damaged("its pickle names a class by something other than strings"),
            },
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                let result = self.call(callable, arguments)?;
                self.push(result);
            }
            0x92 => {
                let (_, arguments, class) = (self.pop()?, self.pop()?, self.pop()?);
                let result = self.call(class, arguments)?;
                self.push(result);
            }
            b'b' => {
                // State of an object: a dict's attributes and a foreign object's state are not needed.
                self.pop()?;
                self.top()?;
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = self.persistent(id)?;
                self.push(storage);
            }

            b'F' | b'I' | b'L' | b'S' | b'V' | b'P' | b'p' | b'g' | b'i' | b'o' => {
                return unsupported(format!(
                    "its pickle has the opcode `{}` of protocol 0; save it with pickle_protocol = 2",
                    char::from(opcode)
                ));
            }
            _ => {
                return damaged(format!(
                    "its pickle has `{opcode:#04x}` at byte `{}`, which is no opcode read here",
                    self.position - 1
                ));
            }
        }
        Ok(())
    }

    // What the program's bytes hold.

    fn take(&mut self, len: usize) -> Result<&'a [u8], Flaw> {
        let rest = &self.bytes[self.position..];
        let Some(taken) = rest.get(..len) else {
            return damaged(format!("its pickle ends before a value of `{len}` bytes"));
        };
        self.position += len;
        Ok(taken)
    }

    fn array<const LEN: usize>(&mut self) -> Result<[u8; LEN], Flaw> {
        Ok(self.take(LEN)?.try_into().expect("`take` gives as many bytes as were asked for"))
    }

    fn byte(&mut self) -> Result<u8, Flaw> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// A length of `LEN` bytes. One that memory could not hold is not in the program, either.
    fn length<const LEN: usize>(&mut self) -> Result<usize, Flaw> {
        let bytes = self.array::<LEN>()?;
        let length = bytes.iter().rev().fold(0u64, |length, byte| length << 8 | u64::from(*byte));
        Ok(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// Text up to the end of the line.
    fn line(&mut self) -> Result<Span, Flaw> {
        let rest = &self.bytes[self.position..];
        let Some(len) = rest.iter().position(|byte| *byte == b'\n') else {
            return damaged("its pickle ends within a name");
        };
        let span = Span { start: self.position as u32, len: len as u32 };
        self.position += len + 1;
        Ok(span)
    }

    fn string<const LEN: usize>(&mut self) -> Result<(), Flaw> {
        let len = self.length::<LEN>()?;
        let start = self.position;
        self.take(len)?;
        self.push(Value::Text(Span { start: start as u32, len: len as u32 }));
        Ok(())
    }

    fn skip<const LEN: usize>(&mut self) -> Result<(), Flaw> {
        let len = self.length::<LEN>()?;
        self.take(len)?;
        self.push(Value::Other);
        Ok(())
    }

    fn integer<const LEN: usize>(&mut self, of: fn([u8; LEN]) -> i64) -> Result<(), Flaw> {
        let value = of(self.array()?);
        self.push(Value::Integer(value));
        Ok(())
    }

    /// An integer of `len` bytes in two's complement.
    fn long(&mut self, len: usize) -> Result<(), Flaw> {
        let bytes = self.take(len)?;
        let is_negative = bytes.last().is_some_and(|byte| *byte >= 0x80);
        let mut wide = [if is_negative { 0xff } else { 0 }; 8];
        self.push(match wide.get_mut(..len) {
            Some(start) => {
                start.copy_from_slice(bytes);
                Value::Integer(i64::from_le_bytes(wide))
            }
            None => Value::Other,
        });
        Ok(())
    }

    // The stack.

    fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    fn top(&self) -> Result<Value, Flaw> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.last() {
            Some(top) if self.stack.len() > floor => Ok(*top),
            _ => damaged("its pickle takes a value from an empty stack"),
        }
    }

    fn pop(&mut self) -> Result<Value, Flaw> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// The upmost `count` values, the upmost last.
    fn pop_many(&mut self, count: usize) -> Result<Vec<Value>, Flaw> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count) {
            Some(start) if start >= floor => Ok(self.stack.drain(start..).collect()),
            _ => damaged("its pickle takes a value from an empty stack"),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, Flaw> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.drain(mark..).collect()),
            None => damaged("its pickle closes a list that it did not open"),
        }
    }

    fn remember<const LEN: usize>(&mut self) -> Result<(), Flaw> {
        let slot = self.length::<LEN>()?;
        if slot >= MAX_STEPS {
            return damaged(format!("its pickle numbers a value `{slot}`"));
        }
        if slot >= self.memo.len() {
            self.memo.resize(slot + 1, None);
        }
        self.memo[slot] = Some(self.top()?);
        Ok(())
    }

    fn recall<const LEN: usize>(&mut self) -> Result<(), Flaw> {
        let slot = self.length::<LEN>()?;
        match self.memo.get(slot) {
            Some(Some(value)) => {
                self.push(*value);
                Ok(())
            }
            _ => damaged(format!("its pickle recalls the value `{slot}`, which is not there")),
        }
    }

    // Objects.

    pub(super) fn object(&mut self, object: Object) -> Value {
        let index = self.objects.len() as u32; // bounded by the steps
        self.objects.push(object);
        Value::Object(index)
    }

    fn create(&mut self, object: Object) {
        let value = self.object(object);
        self.push(value);
    }

    /// Adds to the list that is upmost.
    fn extend(&mut self, items: Vec<Value>) -> Result<(), Flaw> {
        match self.top_object()? {
            Some(Object::List(list)) => list.extend(items),
            Some(Object::Foreign(_)) => {}
            _ => return damaged("its pickle appends to something other than a list"),
        }
        Ok(())
    }

    /// Adds to the dict that is upmost.
    fn set_items(&mut self, items: Vec<Value>) -> Result<(), Flaw> {
        let items = pairs(items)?;
        match self.top_object()? {
            Some(Object::Dict(dict)) => dict.extend(items),
            Some(Object::Foreign(_)) => {}
            _ => return damaged("its pickle sets keys of something other than a dict"),
        }
        Ok(())
    }

    fn top_object(&mut self) -> Result<Option<&mut Object>, Flaw> {
        Ok(match self.top()? {
            Value::Object(index) => self.objects.get_mut(index as usize),
            _ => None,
        })
    }

    pub(super) fn text(&self, value: Value) -> Option<&'a str> {
        match value {
            Value::Text(span) => text(self.bytes, span),
            _ => None,
        }
    }

    /// Module and name of a class or function.
    pub(super) fn global(&self, value: Value) -> Option<(&'a str, &'a str)> {
        match object(&self.objects, value)? {
            Object::Global { module, name } => {
                Some((text(self.bytes, *module)?, text(self.bytes, *name)?))
            }
            _ => None,
        }
    }

    pub(super) fn tuple(&self, value: Value) -> Option<&[Value]> {
        match object(&self.objects, value)? {
            Object::Tuple(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn list(&self, value: Value) -> Option<&[Value]> {
        match object(&self.objects, value)? {
            Object::List(items) => Some(items),
            _ => None,
        }
    }

    /// A tuple's or list's items.
    pub(super) fn sequence(&self, value: Value) -> Option<&[Value]> {
        self.tuple(value).or_else(|| self.list(value))
    }

    pub(super) fn storage(&self, value: Value) -> Option<(u32, Storage)> {
        match (value, object(&self.objects, value)?) {
            (Value::Object(index), Object::Storage(storage)) => Some((index, *storage)),
            _ => None,
        }
    }
}

/// Keys and values that alternate, as pairs.
fn pairs(items: Vec<Value>) -> Result<Vec<(Value, Value)>, Flaw> {
    let (pairs, rest) = items.as_chunks();
    if !rest.is_empty() {
        return damaged("its pickle has a key without a value");
    }
    Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
}
