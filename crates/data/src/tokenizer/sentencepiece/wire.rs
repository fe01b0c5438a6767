//! The fields of a protocol-buffers message.
//!
//! A message is a run of fields: a key (field number and wire type, as a varint), then a number or a
//! length and as many bytes. Nothing is copied or reserved on the word of a length, so a file that
//! lies about them costs no memory.

/// The payload of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum FieldValue<'a> {
    Varint(u64),
    Fixed32(u32),
    Fixed64(u64),
    /// A string, bytes or a nested message.
    Bytes(&'a [u8]),
}

impl<'a> FieldValue<'a> {
    pub(super) fn bytes(self) -> Result<&'a [u8], String> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            other => Err(format!("{other:?} stands where bytes belong")),
        }
    }

    pub(super) fn text(self) -> Result<&'a str, String> {
        std::str::from_utf8(self.bytes()?).map_err(|_| "a text is not UTF-8".to_owned())
    }

    pub(super) fn number(self) -> Result<u64, String> {
        match self {
            Self::Varint(number) => Ok(number),
            other => Err(format!("{other:?} stands where a whole number belongs")),
        }
    }

    pub(super) fn float(self) -> Result<f32, String> {
        match self {
            Self::Fixed32(bits) => Ok(f32::from_bits(bits)),
            other => Err(format!("{other:?} stands where a 32-bit float belongs")),
        }
    }
}

/// The fields of `message` in their order, as number and value, up to the first that is malformed.
pub(super) fn fields(
    message: &[u8],
) -> impl Iterator<Item = Result<(u64, FieldValue<'_>), String>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let at = message.len() - rest.len();
        let field = next(&mut rest);
        if field.is_none() {
            rest = &[];
        }
        Some(field.ok_or_else(|| format!("byte {at} of a message begins no valid field")))
    })
}

/// Reads one field off the front of `rest`; `None` if it is malformed or goes on past the end.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(u64, FieldValue<'a>)> {
    let key = varint(rest)?;
    let value = match key & 7 {
        0 => FieldValue::Varint(varint(rest)?),
        1 => FieldValue::Fixed64(u64::from_le_bytes(take(rest, 8)?.try_into().ok()?)),
        2 => {
            let length = varint(rest)?;
            FieldValue::Bytes(take(rest, usize::try_from(length).ok()?)?)
        }
        5 => FieldValue::Fixed32(u32::from_le_bytes(take(rest, 4)?.try_into().ok()?)),
        _ => return None,
    };
    // Field numbers begin at 1.
    (key >> 3 > 0).then_some((key >> 3, value))
}

/// A number in groups of seven bits, the lowest first, each byte but the last with its top bit set.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(taken)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn put_varint(out: &mut Vec<u8>, mut number: u64) {
        while number >= 0x80 {
            out.push(number as u8 | 0x80);
            number >>= 7;
        }
        out.push(number as u8);
    }

    /// Appends a field to a message.
    pub(in super::super) fn put(out: &mut Vec<u8>, number: u64, value: FieldValue) {
        let kind = match value {
            FieldValue::Varint(_) => 0,
            FieldValue::Fixed64(_) => 1,
            FieldValue::Bytes(_) => 2,
            FieldValue::Fixed32(_) => 5,
        };
        put_varint(out, number << 3 | kind);
        match value {
            FieldValue::Varint(value) => put_varint(out, value),
            FieldValue::Fixed64(value) => out.extend(value.to_le_bytes()),
            FieldValue::Fixed32(value) => out.extend(value.to_le_bytes()),
            FieldValue::Bytes(value) => {
                put_varint(out, value.len() as u64);
                out.extend(value);
            }
        }
    }

    #[test]
    fn malformed_fields_end_the_message() {
        let overlong = [&[0x08][..], &[0xff; 10]].concat();
        for bytes in [&[0x0a, 5, 1][..], &[0x0d, 1, 2], &[0x0b], &[0x80], &[0x02, 0], &overlong] {
            let read: Vec<_> = fields(bytes).collect();
            assert_eq!(read.len(), 1, "{read:?}");
            assert!(read[0].as_ref().is_err_and(|error| error.starts_with("byte 0")), "{read:?}");
        }
        let huge = [&[0x08, 1, 0x12][..], &[0xff; 9], &[1, 7]].concat();
        let read: Vec<_> = fields(&huge).collect();
        assert_eq!(read[0], Ok((1, FieldValue::Varint(1))));
        assert!(read.len() == 2 && read[1].is_err(), "{read:?}");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            number in 1u64..1 << 29, varint: u64, fixed: u32, double: u64, bytes: Vec<u8>,
        ) {
            let mut message = Vec::new();
            let values =
                [FieldValue::Varint(varint), FieldValue::Fixed32(fixed), FieldValue::Fixed64(double), FieldValue::Bytes(&bytes)];
            for value in values {
                put(&mut message, number, value);
            }
            let read: Result<Vec<_>, _> = fields(&message).collect();
            prop_assert_eq!(read, Ok(values.map(|value| (number, value)).to_vec()));
        }

        #[test]
        fn any_bytes_end_in_fields_or_an_error(bytes: Vec<u8>) {
            prop_assert!(fields(&bytes).count() <= bytes.len());
        }
    }
}
