//! Files of expressions as examples.

use std::path::Path;

use nystromformer_tasks::{DataError, Example, ExampleReader, Input, Label};

use super::files::HEADER;
use super::symbol::{Symbol, symbols};
use crate::reading::{NumberedLines, reader};

/// Bytes of a line that is still read. The Arena's longest have 13,000.
const MAX_LINE_BYTES: usize = 1 << 20;

/// How the columns of a file are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// The Long Range Arena's: a header, expression, value.
    SourceTarget,
    /// Nangia and Bowman's: no header, value, expression.
    LabelExpression,
}

/// Opens a file of expressions: `basic_*.tsv` of the Long Range Arena (a header `Source TAB Target`), or lines of
/// `label TAB expression` without a header. Ids are those of [`Symbol::id`], without parentheses.
///
/// # Errors
///
/// [`DataError::Dataset`] if there is no such file or nothing in it; the reader gives [`DataError::Line`] for a line that
/// is no example.
pub fn open(path: &Path) -> Result<ExampleReader, DataError> {
    let examples = ExpressionReader::open(path)?.map(|expression| {
        let (tokens, value) = expression?;
        let first = tokens.iter().map(|token| token.id()).collect();
        Ok(Example {
            row: None,
            id: None,
            input: Input::Ids { first, second: None },
            label: Some(Label::Class(u16::from(value))),
        })
    });
    Ok(reader(path, examples))
}

/// The expressions of a file with the values that the file gives them.
struct ExpressionReader {
    lines: NumberedLines,
    /// The first line, if it is no header.
    first: Option<(u64, String)>,
    layout: Layout,
}

impl ExpressionReader {
    fn open(path: &Path) -> Result<Self, DataError> {
        if !path.is_file() {
            return Err(DataError::dataset(
                path,
                "there is no such file. Expected `basic_train.tsv`, `basic_val.tsv` and `basic_test.tsv` of the Long Range \
                 Arena's `listops-1000`; `generate listops --output DIR` generates them",
            ));
        }
        let mut lines = NumberedLines::open(path, MAX_LINE_BYTES)?;
        let Some(first) = lines.next().transpose()? else {
            return Err(DataError::dataset(path, "the file is empty"));
        };
        let (first, layout) = if first.1 == HEADER {
            (None, Layout::SourceTarget)
        } else {
            (Some(first), Layout::LabelExpression)
        };
        Ok(Self { lines, first, layout })
    }

    fn parse(&self, line: &str) -> Result<(Vec<Symbol>, u8), String> {
        let (left, right) = line
            .split_once('\t')
            .filter(|(_, right)| !right.contains('\t'))
            .ok_or("expected two columns with a TAB between them")?;
        let (label, expression) = match self.layout {
            Layout::SourceTarget => (right, left),
            Layout::LabelExpression => (left, right),
        };
        let [digit @ b'0'..=b'9'] = label.as_bytes() else {
            let columns = match self.layout {
                Layout::SourceTarget => "expression TAB value, as the header says",
                Layout::LabelExpression => {
                    "value TAB expression, as there is no header `Source TAB Target`"
                }
            };
            let label: String = label.chars().take(20).collect();
            return Err(format!("`{label}` is no value, which is a digit; columns are {columns}"));
        };
        let tokens = symbols(expression).map_err(|error| error.to_string())?;
        if tokens.is_empty() {
            return Err("the expression is empty".to_owned());
        }
        Ok((tokens, digit - b'0'))
    }
}

impl Iterator for ExpressionReader {
    type Item = Result<(Vec<Symbol>, u8), DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.first.take().map(Ok).or_else(|| self.lines.next())?;
        Some(line.and_then(|(number, line)| {
            self.parse(&line).map_err(|problem| DataError::line(self.lines.path(), number, problem))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Result<Vec<(Vec<u16>, u16)>, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("basic_val.tsv");
        std::fs::write(&path, content).unwrap();
        open(&path)?
            .map(|example| match example? {
                Example {
                    row: None,
                    id: None,
                    input: Input::Ids { first, second: None },
                    label: Some(Label::Class(class)),
                } => Ok((first, class)),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn both_layouts_give_the_same_examples() {
        let expected = vec![(vec![1, 12, 9, 5], 3), (vec![4, 15, 5], 9)];
        for content in [
            "Source\tTarget\n( ( ( [MIN 6 ) 3 ) ] )\t3\n( ( [SM 9 ) ] )\t9\n",
            "\u{feff}Source\tTarget\r\n[MIN 6 3 ]\t3\r\n[SM 9 ]\t9",
            "3\t( ( ( [MIN 6 ) 3 ) ] )\n9\t( ( [SM 9 ) ] )\n",
        ] {
            assert_eq!(read(content.as_bytes()).unwrap(), expected);
        }
    }

    #[test]
    fn a_line_that_is_no_example_is_named() {
        let long = format!("Source\tTarget\n{}\t1\n", "1 ".repeat(MAX_LINE_BYTES));
        for (content, message) in [
            (&b"Source\tTarget\n[MIN 1 ]\n"[..], "basic_val.tsv:2: expected two columns"),
            (b"Source\tTarget\n[MIN 1 ]\t1\t1\n", ":2: expected two columns"),
            (b"Source\tTarget\n[MIN 1 ]\t12\n", ":2: `12` is no value"),
            (b"Source\tTarget\n[MIN 1 ]\t1\n\t1\n", ":3: the expression is empty"),
            (b"Source\tTarget\n\"[MIN 1 ]\"\t1\n", ":2: `\"[MIN` is no symbol"),
            (b"[MIN 1 ]\t1\n", ":1: `[MIN 1 ]` is no value"),
            (b"3\t[MIN \xff ]\n", ":1: byte `0xff` is not UTF-8"),
            (b"", "the file is empty"),
            (b"Source\tTarget\n", "holds no examples"),
            (long.as_bytes(), ":2: the line is longer than"),
        ] {
            let error = read(content).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn a_missing_file_says_what_to_do() {
        let error = open(Path::new("absent/basic_train.tsv")).err().unwrap().to_string();
        assert!(
            error.contains("absent/basic_train.tsv") && error.contains("generate listops"),
            "{error}"
        );
    }
}
