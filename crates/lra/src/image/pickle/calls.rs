//! What the calls of a batch would give; nothing is called.

use super::machine::Machine;
use super::value::{Bytes, Value};

impl Machine<'_> {
    /// Where Python would call something by its name.
    pub(super) fn reduce(&mut self) -> Result<(), String> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let (Value::Tuple(arguments), Value::Global(name)) = (arguments, callee) else {
            return Err("the pickle calls something that has no name".to_owned());
        };
        // NumPy 2 has moved what NumPy 1 calls `numpy.core`.
        let value = match (name.replace("numpy._core.", "numpy.core.").as_str(), &arguments[..]) {
            ("numpy.core.multiarray._reconstruct", _) => Value::EmptyArray,
            ("numpy.dtype", [Value::String(kind), ..]) => match kind.of(self.file()) {
                b"u1" | b"|u1" => Value::ByteType,
                other => {
                    let other = String::from_utf8_lossy(&other[..other.len().min(20)]);
                    return Err(format!("the array's type is `{other}`, expected `u1`"));
                }
            },
            (
                "numpy.core.numeric._frombuffer",
                [Value::String(bytes), Value::ByteType, Value::Tuple(shape), order],
            ) => {
                if !matches!(order, Value::String(order) if order.of(self.file()) == b"C") {
                    return Err(ORDER.to_owned());
                }
                array(shape, bytes)?
            }
            ("_codecs.encode", [Value::String(text), Value::String(encoding)])
                if encoding.of(self.file()) == b"latin1" =>
            {
                Value::String(self.encode_latin1(text)?)
            }
            _ => {
                return Err(format!(
                    "the pickle calls `{name}`, which a batch of CIFAR-10 does not; nothing was executed"
                ));
            }
        };
        self.push(value)
    }

    /// Where Python would fill what it has made: notes shape and bytes of an array.
    pub(super) fn build(&mut self) -> Result<(), String> {
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
                ] => array(shape, bytes)?,
                _ => return Err(ORDER.to_owned()),
            },
            _ => {
                return Err(
                    "the pickle sets the state of something that is not an array".to_owned()
                );
            }
        };
        self.push(built)
    }

    /// The bytes that a text stands for, a character each. All of them together are no more than the file.
    fn encode_latin1(&mut self, text: &Bytes) -> Result<Bytes, String> {
        let wrong = || "a text that should hold bytes has characters above 255".to_owned();
        let text = str::from_utf8(text.of(self.file())).map_err(|_| wrong())?;
        let bytes: Option<Vec<u8>> =
            text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect();
        let bytes = bytes.ok_or_else(wrong)?;
        self.count_decoded(bytes.len())?;
        Ok(Bytes::Decoded(bytes.into()))
    }
}

const ORDER: &str = "the array does not hold bytes, row by row";

fn array(shape: &[Value], bytes: &Bytes) -> Result<Value, String> {
    match shape {
        [Value::Integer(rows), Value::Integer(columns)] => {
            Ok(Value::Array(*rows, *columns, bytes.clone()))
        }
        _ => Err("the array has not two dimensions".to_owned()),
    }
}
