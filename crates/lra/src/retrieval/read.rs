//! Files of pairs as examples.

use std::path::Path;

use nystromformer_tasks::{DataError, Example, ExampleReader, Input, Label};

use crate::bytes;
use crate::reading::{NumberedLines, reader};

/// Bytes of a line that is still read: two whole papers have far fewer.
const MAX_LINE_BYTES: usize = 16 << 20;

/// Opens a file of pairs: label, two names and two texts, with a TAB between them, without a header. Quotes are
/// characters like others. Ids are bytes plus 1 ([`bytes::ids`]). Class 1 is a pair that belongs together.
///
/// # Errors
///
/// [`DataError::Dataset`] if there is no such file; the reader gives [`DataError::Line`] for a line that is no pair, and
/// [`DataError::Dataset`] if there is none at all.
pub fn open(path: &Path) -> Result<ExampleReader, DataError> {
    if !path.is_file() {
        return Err(DataError::dataset(
            path,
            "there is no such file. Expected `new_aan_pairs.train.tsv`, `.eval.tsv` and `.test.tsv` of the Long Range \
             Arena's `tsv_data`; `generate retrieval --output DIR` generates pairs of made-up documents in their form",
        ));
    }
    let lines = NumberedLines::open(path, MAX_LINE_BYTES)?;
    let file = path.to_owned();
    let examples = lines.map(move |line| {
        let (number, line) = line?;
        parse(&line).map_err(|problem| DataError::line(&file, number, problem))
    });
    Ok(reader(path, examples))
}

fn parse(line: &str) -> Result<Example, String> {
    let columns: Vec<&str> = line.split('\t').take(6).collect();
    let [label, _, _, first, second] = columns.as_slice() else {
        let found = if columns.len() > 5 { "more".to_owned() } else { columns.len().to_string() };
        return Err(format!(
            "expected five columns (label, two names, two texts) with a TAB between them, found {found}"
        ));
    };
    let class = match label.parse::<f32>() {
        Ok(0.0) => 0,
        Ok(1.0) => 1,
        _ => {
            let label: String = label.chars().take(20).collect();
            return Err(format!("label `{label}` is neither 0 nor 1"));
        }
    };
    for (column, text) in [(4, first), (5, second)] {
        if text.is_empty() {
            return Err(format!("the text in column {column} is empty"));
        }
    }
    Ok(Example {
        row: None,
        id: None,
        input: Input::Ids { first: bytes::ids(first), second: Some(bytes::ids(second)) },
        label: Some(Label::Class(class)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Result<Vec<Example>, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new_aan_pairs.eval.tsv");
        std::fs::write(&path, content).unwrap();
        open(&path)?.collect()
    }

    fn pair(first: &str, second: &str, class: u16) -> Example {
        let ids = |text: &str| text.bytes().map(|byte| u16::from(byte) + 1).collect();
        Example {
            row: None,
            id: None,
            input: Input::Ids { first: ids(first), second: Some(ids(second)) },
            label: Some(Label::Class(class)),
        }
    }

    #[test]
    fn pairs_are_read_as_bytes_with_quotes() {
        let content = b"1.0\tP00\tP01\t\"ab\tcdef\n0\tP02\tP03\tg\th\r\n";
        assert_eq!(read(content).unwrap(), [pair("\"ab", "cdef", 1), pair("g", "h", 0)]);
    }

    #[test]
    fn a_line_that_is_no_pair_is_named() {
        let long = [b"1\ta\tb\tc\t".to_vec(), vec![b'x'; MAX_LINE_BYTES]].concat();
        for (content, message) in [
            (&b"1\ta\tb\tc\td\n1\ta\tb\tc\n"[..], "eval.tsv:2: expected five columns"),
            (b"1\ta\tb\tc\td\te\tf\n", ":1: expected five columns"),
            (b"2\ta\tb\tc\td\n", ":1: label `2` is neither"),
            (b"label\tid1\tid2\ttext1\ttext2\n", ":1: label `label` is neither"),
            (b"1\ta\tb\tc\t\n", ":1: the text in column 5 is empty"),
            (b"1\ta\tb\tc\t\xe9\n", ":1: byte `0xe9` is not UTF-8"),
            (b"", "holds no examples"),
            (&long, ":1: the line is longer than"),
        ] {
            let error = read(content).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let error = open(Path::new("absent.tsv")).err().unwrap().to_string();
        assert!(error.contains("generate retrieval"), "{error}");
    }
}
