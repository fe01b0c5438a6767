//! A batch of CIFAR-10 for Python: a pickled dictionary, as Python 2 wrote the official ones or as Python 3 writes them anew
//! (protocols 2 to 5, keys of text or bytes).
//!
//! A pickle is a program that may call anything. Here only what such batches hold is understood, and nothing is
//! called: where NumPy would be asked to rebuild an array, its shape and bytes are noted. Whatever else stands there is an
//! error.
//!
//! | module | idea |
//! |---|---|
//! | `machine` | the program: one step for each opcode |
//! | `value` | what lies on its stack |
//! | `calls` | what the calls of a batch would give |

mod calls;
mod machine;
mod value;

use self::machine::Machine;
use self::value::Value;
use super::batch::{CifarBatch, PICTURE_BYTES};

/// The labels and pictures of a batch.
pub(super) fn batch(file: &[u8]) -> Result<CifarBatch, String> {
    let Value::Dictionary(entries) = Machine::new(file).run()? else {
        return Err("the pickle holds no dictionary; is this a batch of CIFAR-10?".to_owned());
    };
    let entry = |wanted: &str| {
        let found = entries.iter().find(
            |(key, _)| matches!(key, Value::String(text) if text.of(file) == wanted.as_bytes()),
        );
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
    let Value::Array(rows, columns, bytes) = entry("data")? else {
        return Err("`data` is no array of NumPy".to_owned());
    };
    let pictures = bytes.of(file);
    if (*rows, *columns) != (labels.len() as i64, PICTURE_BYTES as i64)
        || pictures.len() != labels.len() * PICTURE_BYTES
    {
        return Err(format!(
            "`data` has {rows} rows of {columns} and {} bytes; expected {} rows, one for each label, of {PICTURE_BYTES}",
            pictures.len(),
            labels.len()
        ));
    }
    Ok(CifarBatch { labels, pictures: pictures.to_vec() })
}

#[cfg(test)]
pub(super) mod tests;
