//! How fields are told apart in a file of lines: by which separator, and whether quotes hold them together.
//!
//! What is not said is found by a look at the file, and said.

use std::path::Path;

use super::options::{Quotes, lines};
use super::records::Records;
use super::{Format, TableOptions};
use crate::error::Result;
use crate::lines::BoundedLines;
use crate::notice::say_once;
use crate::setting::setting;

/// How the fields of a file are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) separator: char,
    pub(super) quotes: Quotes,
}

/// Separators that are tried where the format's own separates nothing.
const SEPARATORS: [char; 4] = [';', '\t', ',', '|'];

/// Records that must agree before a separator is believed.
const LOOKED_AT: usize = 20;

impl Dialect {
    /// What `options` say and the format implies; the rest is found in the file.
    pub(super) fn of(path: &Path, format: Format, options: &TableOptions) -> Result<Self> {
        let usual = if format == Format::Tsv { '\t' } else { ',' };
        let separator = match options.separator {
            Some(separator) => separator,
            None => find_separator(path, usual, options)?,
        };
        let quotes = match options.quotes {
            Some(quotes) => quotes,
            None if separator == '\t' => look_for_quotes(path, options)?,
            None => Quotes::Double,
        };
        Ok(Self { separator, quotes })
    }
}

fn called(separator: char) -> String {
    if separator == '\t' { "a tab".to_owned() } else { format!("`{separator}`") }
}

/// The format's usual separator, unless it does not occur in the first row and another separates that and the next rows alike.
fn find_separator(path: &Path, usual: char, options: &TableOptions) -> Result<char> {
    let first = outside_quotes(&first_filled(lines(path, options)?)?);
    if first.contains(usual) {
        return Ok(usual);
    }
    for separator in SEPARATORS.into_iter().filter(|separator| first.contains(*separator)) {
        if separates(records(path, options, separator)?) {
            let other = options
                .key("separator")
                .map_or_else(String::new, |key| format!("; `{key}` sets another separator"));
            say_once(format!(
                "`{}`: its fields are separated by {}, not by {} as the name says, and it is read so{other}",
                path.display(),
                called(separator),
                called(usual)
            ));
            return Ok(separator);
        }
    }
    Ok(usual)
}

/// A line without what stands in quotes, which separates nothing.
fn outside_quotes(line: &str) -> String {
    line.split('"').step_by(2).collect()
}

/// The records of a file, as if its fields were quoted.
fn records(path: &Path, options: &TableOptions, separator: char) -> Result<Records> {
    Ok(Records::of(lines(path, options)?, separator, options.key("quotes")))
}

fn first_filled(lines: BoundedLines) -> Result<String> {
    for line in lines {
        let line = line?;
        if !line.text.is_empty() {
            return Ok(line.text);
        }
    }
    Ok(String::new())
}

/// Whether the first records have as many fields each, and more than one.
fn separates(mut records: Records) -> bool {
    let mut width = None;
    for _ in 0..LOOKED_AT {
        match records.next() {
            Ok(None) => break,
            Ok(Some(record))
                if record.fields.len() == *width.get_or_insert(record.fields.len()) => {}
            Ok(Some(_)) | Err(_) => return false,
        }
    }
    width.is_some_and(|width| width > 1)
}

/// Whether a file of tab-separated fields quotes them, as pandas and the modules called csv write those that hold a quote, a
/// tab or a line break: every quote in the whole file must be one that they would write. Official files of GLUE have no such
/// quoting, and quotes that nothing closes.
fn look_for_quotes(path: &Path, options: &TableOptions) -> Result<Quotes> {
    let mut records = records(path, options, '\t')?;
    let mut width = None;
    let (mut quoted, mut holds_ends) = (None, false);
    let mut doubt = loop {
        match records.next() {
            Ok(None) => break None,
            Ok(Some(record)) => {
                if record.is_quoted {
                    quoted.get_or_insert(record.line);
                }
                holds_ends |= record.fields.iter().any(|field| field.contains(['\t', '\n']));
                if record.fields.len() != *width.get_or_insert(record.fields.len()) {
                    break Some(format!("line {} has another number of fields then", record.line));
                }
            }
            // What is wrong without quotes too is told by whoever reads the rows.
            Err(error) => break Some(error.to_string()),
        }
    };
    let Some(line) = quoted else { return Ok(Quotes::None) };
    // A field that holds the end of another must be one: without quotes the lines must not come out even.
    if holds_ends && doubt.is_none() && is_even_without_quotes(path, options)? {
        doubt = Some("without them each line has as many fields".to_owned());
    }
    let name = path.display();
    if let Some(doubt) = doubt {
        let other = options.key("quotes").map_or_else(String::new, |key| {
            format!("; {} takes them off", setting(&key, "double"))
        });
        say_once(format!(
            "`{name}`: quotes are kept as text: line {line} has a field in quotes, but not every line is written so \
             ({doubt}){other}"
        ));
        return Ok(Quotes::None);
    }
    let other = options
        .key("quotes")
        .map_or_else(String::new, |key| format!("; {} keeps them as text", setting(&key, "none")));
    say_once(format!(
        "`{name}`: the quotes around fields (line {line}) are taken off, for every one in the file is written as pandas and \
         csv write them{other}"
    ));
    Ok(Quotes::Double)
}

/// Whether all lines have as many fields, if quotes are characters like any other.
fn is_even_without_quotes(path: &Path, options: &TableOptions) -> Result<bool> {
    let mut width = None;
    for line in lines(path, options)? {
        let text = line?.text;
        let fields = text.split('\t').count();
        if !text.is_empty() && fields != *width.get_or_insert(fields) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect(name: &str, content: &str) -> (char, Quotes) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let format = Format::of(&path).unwrap();
        let found = Dialect::of(&path, format, &TableOptions::default()).unwrap();
        (found.separator, found.quotes)
    }

    #[test]
    fn a_separator_that_the_name_does_not_say_is_found() {
        for (name, content, separator) in [
            ("a.csv", "text,label\nx;y,1\n", ','),
            ("a.csv", "text;label\nx, y;1\n", ';'),
            ("a.csv", "\ntext\tlabel\nx\t1\n", '\t'),
            ("a.csv", "text|label\nx|1\n", '|'),
            ("a.tsv", "text,label\n\"x, y\",1\n", ','),
            // What stands in quotes separates nothing.
            ("a.csv", "\"text, clean\";\"label\"\nx;1\n", ';'),
            ("a.csv", "\"text; clean\",\"label\"\nx,1\n", ','),
            // One column, whose texts hold what could separate.
            ("a.csv", "text\nx;y\n", ','),
            ("a.csv", "so; a name\nx\n", ','),
            ("a.tsv", "a film, seen; twice\nanother\n", '\t'),
        ] {
            assert_eq!(dialect(name, content).0, separator, "{content}");
        }
    }

    #[test]
    fn quotes_are_told_by_every_one_of_them() {
        let quotes = |content| dialect("a.tsv", content).1;
        assert_eq!(quotes("text\tlabel\n\"say \"\"hi\"\"\"\t1\nplain\t0\n"), Quotes::Double);
        assert_eq!(quotes("text\tlabel\n\"two\nlines\"\t1\n"), Quotes::Double);
        for raw in [
            "text\tlabel\nplain\t0\n",
            "text\tlabel\n\" open\t1\n",
            "text\tlabel\n\"Fine,\" he said.\t1\n",
            "text\tlabel\nthe 5\" disk\t1\n",
            "text\tlabel\n\"whole\"\t1\n\"Fine,\" he said.\t1\n",
            "text\tlabel\n\"open\t1\nand closed\"\t0\n",
        ] {
            assert_eq!(quotes(raw), Quotes::None, "{raw}");
        }
        assert_eq!(dialect("a.csv", "a,b\n1,2\n").1, Quotes::Double);
    }
}
