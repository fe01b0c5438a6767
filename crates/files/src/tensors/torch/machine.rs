//! The stack machine: Python's pickle, protocols 2 to 5.
//!
//! The program may only push constants, gather what is on the stack into containers, and name what should be
//! called; [`rebuild`](super::rebuild) says what the names stand for. Opcodes of the protocols 0 and 1 that
//! `torch.save` never writes are refused.

use super::{
    program::Program,
    stack::Stack,
    value::{Object, Objects, PyValue, Storage},
};
use crate::tensors::source_file::{Flaw, damaged, unsupported};

/// Steps a program may take. A state dict takes some twenty for each parameter, its optimizer seventy.
pub(super) const MAX_STEPS: usize = 1 << 19;

/// Newest protocol.
const MAX_PROTOCOL: u8 = 5;

/// A program while it runs.
pub(super) struct Machine<'a> {
    program: Program<'a>,
    stack: Stack,
    /// Values by the numbers that the program gave them.
    memo: Vec<Option<PyValue>>,
    pub(super) objects: Objects,
    steps: usize,
}

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8], start: usize) -> Self {
        Self {
            program: Program::new(bytes, start),
            stack: Stack::default(),
            memo: Vec::new(),
            objects: Objects::default(),
            steps: 0,
        }
    }

    /// Runs to the end of the program: its result, the objects, and where it ends.
    pub(super) fn run(mut self) -> Result<(PyValue, Objects, usize), Flaw> {
        loop {
            self.spend(1)?;
            let opcode = self.program.byte()?;
            if opcode == b'.' {
                return Ok((self.stack.pop()?, self.objects, self.program.position()));
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
                let protocol = self.program.byte()?;
                if protocol > MAX_PROTOCOL {
                    return unsupported(format!(
                        "its pickle has protocol `{protocol}`; save it with pickle_protocol = 2"
                    ));
                }
            }
            0x95 => {
                let bytes = u64::from_le_bytes(self.program.array()?);
                if bytes > self.program.remaining() {
                    return damaged(format!("its pickle ends before a frame of `{bytes}` bytes"));
                }
            }

            // Constants.
            b'N' => self.stack.push(PyValue::None),
            0x88 => self.stack.push(PyValue::Bool(true)),
            0x89 => self.stack.push(PyValue::Bool(false)),
            b'K' => self.integer::<1>(|[byte]| byte.into())?,
            b'M' => self.integer::<2>(|bytes| u16::from_le_bytes(bytes).into())?,
            b'J' => self.integer::<4>(|bytes| i32::from_le_bytes(bytes).into())?,
            0x8a => {
                let len = self.program.byte()?.into();
                let value = self.program.long(len)?;
                self.stack.push(value);
            }
            0x8b => {
                let len = self.program.length::<4>()?;
                let value = self.program.long(len)?;
                self.stack.push(value);
            }
            b'G' => {
                self.program.array::<8>()?;
                self.stack.push(PyValue::Other);
            }
            b'X' | b'T' => self.string::<4>()?,
            0x8c | b'U' => self.string::<1>()?,
            0x8d => self.string::<8>()?,
            b'C' => self.skip::<1>()?,
            b'B' => self.skip::<4>()?,
            0x8e | 0x96 => self.skip::<8>()?,

            // The stack and the memo.
            b'(' => self.stack.mark(),
            b'0' => self.stack.drop_top()?,
            b'1' => self.stack.pop_to_mark().map(drop)?,
            b'2' => self.stack.push(self.stack.top()?),
            b'q' => self.remember::<1>()?,
            b'r' => self.remember::<4>()?,
            0x94 => self.memo.push(Some(self.stack.top()?)),
            b'h' => self.recall::<1>()?,
            b'j' => self.recall::<4>()?,

            // Containers.
            b')' => self.create(Object::Tuple(Vec::new())),
            b']' => self.create(Object::List(Vec::new())),
            b'}' => self.create(Object::Dict(Vec::new())),
            0x8f => self.create(Object::Foreign(None)),
            0x85..=0x87 => {
                let items = self.stack.pop_many(usize::from(opcode - 0x84))?;
                self.create(Object::Tuple(items));
            }
            b't' => {
                let items = self.stack.pop_to_mark()?;
                self.create(Object::Tuple(items));
            }
            b'l' => {
                let items = self.stack.pop_to_mark()?;
                self.create(Object::List(items));
            }
            b'd' => {
                let items = pairs(self.stack.pop_to_mark()?)?;
                self.create(Object::Dict(items));
            }
            0x91 => {
                self.stack.pop_to_mark()?;
                self.create(Object::Foreign(None));
            }
            b'a' => {
                let item = self.stack.pop()?;
                self.extend(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.stack.pop_to_mark()?;
                self.extend(items)?;
            }
            b's' => {
                let items = self.stack.pop_many(2)?;
                self.set_items(items)?;
            }
            b'u' => {
                let items = self.stack.pop_to_mark()?;
                self.set_items(items)?;
            }

            // Names, calls, and objects kept outside the pickle.
            b'c' => {
                let (module, name) = (self.program.line()?, self.program.line()?);
                self.create(Object::Global { module, name });
            }
            0x93 => match self.stack.pop_many(2)?[..] {
                [PyValue::Text(module), PyValue::Text(name)] => {
                    self.create(Object::Global { module, name });
                }
                _ => return damaged("its pickle names a class by something other than strings"),
            },
            b'R' | 0x81 => {
                let (arguments, callable) = (self.stack.pop()?, self.stack.pop()?);
                let result = self.call(callable, arguments)?;
                self.stack.push(result);
            }
            0x92 => {
                let (_, arguments, class) =
                    (self.stack.pop()?, self.stack.pop()?, self.stack.pop()?);
                let result = self.call(class, arguments)?;
                self.stack.push(result);
            }
            b'b' => {
                // State of an object: a dict's attributes and a foreign object's state are not needed.
                self.stack.pop()?;
                self.stack.top()?;
            }
            b'Q' => {
                let id = self.stack.pop()?;
                let storage = self.persistent(id)?;
                self.stack.push(storage);
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
                    self.program.position() - 1
                ));
            }
        }
        Ok(())
    }

    fn string<const LEN: usize>(&mut self) -> Result<(), Flaw> {
        let span = self.program.string::<LEN>()?;
        self.stack.push(PyValue::Text(span));
        Ok(())
    }

    /// Bytes, which no state dict needs.
    fn skip<const LEN: usize>(&mut self) -> Result<(), Flaw> {
        self.program.string::<LEN>()?;
        self.stack.push(PyValue::Other);
        Ok(())
    }

    fn integer<const LEN: usize>(&mut self, of: fn([u8; LEN]) -> i64) -> Result<(), Flaw> {
        let value = of(self.program.array()?);
        self.stack.push(PyValue::Integer(value));
        Ok(())
    }

    fn remember<const LEN: usize>(&mut self) -> Result<(), Flaw> {
        let slot = self.program.length::<LEN>()?;
        if slot >= MAX_STEPS {
            return damaged(format!("its pickle numbers a value `{slot}`"));
        }
        if slot >= self.memo.len() {
            self.memo.resize(slot + 1, None);
        }
        self.memo[slot] = Some(self.stack.top()?);
        Ok(())
    }

    fn recall<const LEN: usize>(&mut self) -> Result<(), Flaw> {
        let slot = self.program.length::<LEN>()?;
        match self.memo.get(slot) {
            Some(Some(value)) => {
                self.stack.push(*value);
                Ok(())
            }
            _ => damaged(format!("its pickle recalls the value `{slot}`, which is not there")),
        }
    }

    fn create(&mut self, object: Object) {
        let value = self.objects.add(object);
        self.stack.push(value);
    }

    /// Adds to the list that is upmost.
    fn extend(&mut self, items: Vec<PyValue>) -> Result<(), Flaw> {
        match self.objects.get_mut(self.stack.top()?) {
            Some(Object::List(list)) => list.extend(items),
            Some(Object::Foreign(_)) => {}
            _ => return damaged("its pickle appends to something other than a list"),
        }
        Ok(())
    }

    /// Adds to the dict that is upmost.
    fn set_items(&mut self, items: Vec<PyValue>) -> Result<(), Flaw> {
        let items = pairs(items)?;
        match self.objects.get_mut(self.stack.top()?) {
            Some(Object::Dict(dict)) => dict.extend(items),
            Some(Object::Foreign(_)) => {}
            _ => return damaged("its pickle sets keys of something other than a dict"),
        }
        Ok(())
    }

    pub(super) fn text(&self, value: PyValue) -> Option<&'a str> {
        match value {
            PyValue::Text(span) => self.program.name(span),
            _ => None,
        }
    }

    /// Module and name of a class or function.
    pub(super) fn global(&self, value: PyValue) -> Option<(&'a str, &'a str)> {
        match self.objects.get(value)? {
            Object::Global { module, name } => {
                Some((self.program.name(*module)?, self.program.name(*name)?))
            }
            _ => None,
        }
    }

    pub(super) fn storage(&self, value: PyValue) -> Option<(u32, Storage)> {
        match (value, self.objects.get(value)?) {
            (PyValue::Object(index), Object::Storage(storage)) => Some((index, *storage)),
            _ => None,
        }
    }
}

/// Keys and values that alternate, as pairs.
fn pairs(items: Vec<PyValue>) -> Result<Vec<(PyValue, PyValue)>, Flaw> {
    let (pairs, rest) = items.as_chunks();
    if !rest.is_empty() {
        return damaged("its pickle has a key without a value");
    }
    Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
}
