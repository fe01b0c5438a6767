//! Which columns of a table, or keys of an object, are the fields of a request.

use nystromformer_files::{TextEncoding, table::Quotes};
use serde_json::{Map, Value};

use crate::request::{Named, Request};

/// What the asker says of a file of requests; what is left out is found.
#[derive(Debug, Clone, Default)]
pub struct RequestOptions {
    /// The column, or key of objects, of the text, or of the first of two.
    pub text: Option<String>,
    /// That of the second text.
    pub text_pair: Option<String>,
    /// What separates the fields of a CSV or TSV file.
    pub separator: Option<char>,
    /// What a quote at the beginning of a field of a CSV or TSV file is.
    pub quotes: Option<Quotes>,
    /// How the bytes of a CSV or TSV file, or of lines of text, stand for characters; JSON and Parquet are always UTF-8.
    pub encoding: TextEncoding,
}

/// A field, and the columns that it is made of: one, or of a list of fields one each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldColumns {
    pub(crate) field: &'static str,
    pub(crate) columns: Vec<String>,
    /// Whether the columns are the elements of a list.
    pub(crate) is_list: bool,
}

impl RequestOptions {
    /// Finds the fields of a request among the names of columns.
    ///
    /// # Errors
    /// What is missing, and what helps.
    pub(crate) fn find<T: Request>(&self, names: &[&str]) -> Result<Vec<FieldColumns>, String> {
        let there =
            || names.iter().take(12).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let mut fields = Vec::new();
        for (field, given, flag) in [
            ("text", &self.text, "--text-column"),
            ("text_pair", &self.text_pair, "--text-pair-column"),
        ] {
            let Some(given) = given else { continue };
            if !T::COLUMNS.iter().flat_map(|way| way.iter()).any(|(known, _)| *known == field) {
                return Err(format!(
                    "`{flag} {given}`: this command reads no such text; it reads {}",
                    T::FORM
                ));
            }
            let column = same(names, given)
                .ok_or_else(|| format!("no column `{given}`, only {}; change `{flag}`", there()))?;
            fields.push(FieldColumns { field, columns: vec![column], is_list: false });
        }
        if self.text.is_some() {
            return Ok(fields);
        }
        let found = T::COLUMNS.iter().find_map(|way| columns(way, names));
        let Some(found) = found else {
            let known: Vec<String> =
                T::COLUMNS.iter().map(|way| format!("`{}`", way[0].1)).collect();
            let flag = if T::COLUMNS[0][0].0 == "text" {
                "name it with `--text-column`"
            } else {
                "rename them"
            };
            return Err(format!(
                "no column {} among {}; {flag}, or add a header if the file has none",
                known.join(" or "),
                there()
            ));
        };
        fields.extend(
            found
                .into_iter()
                .filter(|found| found.field != "text_pair" || self.text_pair.is_none()),
        );
        Ok(fields)
    }

    /// Gives the fields of an object the names that the request knows.
    ///
    /// # Errors
    /// If a key that the asker named is missing.
    pub(crate) fn rename<T: Request>(
        &self,
        object: &mut Map<String, Value>,
    ) -> Result<Vec<FieldColumns>, String> {
        let names: Vec<&str> = object.keys().map(String::as_str).collect();
        let asked = self.text.is_some() || self.text_pair.is_some();
        let fields = match self.find::<T>(&names) {
            Ok(fields) => fields,
            Err(problem) if asked => return Err(problem),
            // What is missing is told in the request's own words.
            Err(_) => return Ok(Vec::new()),
        };
        for FieldColumns { field, columns, is_list } in &fields {
            let mut values = columns.iter().map(|column| object.remove(column).unwrap_or_default());
            let value = if *is_list {
                Value::Array(values.collect())
            } else {
                values.next().unwrap_or_default()
            };
            object.insert((*field).to_owned(), value);
        }
        Ok(fields)
    }
}

/// The fields of one way to name them, or `None` if its first is not there.
fn columns(way: &[Named], names: &[&str]) -> Option<Vec<FieldColumns>> {
    let mut fields = Vec::new();
    for (place, (field, column)) in way.iter().enumerate() {
        let found = match column.strip_suffix('#') {
            None => same(names, column).map(|column| vec![column]),
            Some(stem) => Some(numbered(names, stem)).filter(|columns| columns.len() > 1),
        };
        match found {
            Some(columns) => {
                fields.push(FieldColumns { field, columns, is_list: column.ends_with('#') });
            }
            None if place == 0 => return None,
            None => {}
        }
    }
    // A way that names what every request of the kind has fits only if all of it is there.
    let is_needed = |field: &str| !matches!(field, "id" | "text_pair");
    let complete = way.iter().filter(|(field, _)| is_needed(field));
    complete
        .clone()
        .all(|(field, _)| fields.iter().any(|found| found.field == *field))
        .then_some(fields)
}

/// The column of this name, whatever its capitals and the blanks around it.
fn same(names: &[&str], wanted: &str) -> Option<String> {
    let exact = names.iter().find(|name| **name == wanted);
    let close = || names.iter().find(|name| name.trim().eq_ignore_ascii_case(wanted));
    exact.or_else(close).map(|name| (*name).to_owned())
}

/// The columns `STEM0`, `STEM1`, …, or from 1 on.
fn numbered(names: &[&str], stem: &str) -> Vec<String> {
    let first = usize::from(same(names, &format!("{stem}0")).is_none());
    (first..).map_while(|number| same(names, &format!("{stem}{number}"))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::request::{Choices, Question, Sentence, TextPair};

    fn found<T: Request>(names: &[&str]) -> Vec<(&'static str, String)> {
        let fields = RequestOptions::default().find::<T>(names).unwrap();
        fields.into_iter().map(|field| (field.field, field.columns.join(","))).collect()
    }

    #[test]
    fn columns_are_found_by_the_fields_words() {
        let pair = |first: &str, second: &str| {
            [("text", first.to_owned()), ("text_pair", second.to_owned())]
        };
        assert_eq!(found::<TextPair>(&["id", "Text", "label"]), [("text", "Text".to_owned())]);
        assert_eq!(found::<TextPair>(&["sentence2", "sentence1"]), pair("sentence1", "sentence2"));
        assert_eq!(
            found::<TextPair>(&["text", "sentence1", "sentence2"]),
            [("text", "text".to_owned())]
        );
        assert_eq!(found::<Sentence>(&["ner_tags", "tokens"]), [("tokens", "tokens".to_owned())]);
        let question = found::<Question>(&["id", "passage", "question"]);
        assert_eq!(question.len(), 3, "{question:?}");
        let choices = found::<Choices>(&["startphrase", "ending0", "ending1", "ending2"]);
        assert_eq!(choices[0], ("choices", "ending0,ending1,ending2".to_owned()));
        let plausible = found::<Choices>(&["premise", "choice1", "choice2", "label"]);
        assert_eq!(plausible[1], ("prompt", "premise".to_owned()));
    }

    #[test]
    fn what_is_not_there_is_told() {
        let problem = RequestOptions::default().find::<TextPair>(&["a", "b"]).unwrap_err();
        assert!(problem.contains("`text` or") && problem.contains("among `a`, `b`"), "{problem}");
        assert!(problem.contains("--text-column"), "{problem}");
        let given = RequestOptions { text: Some("Body".to_owned()), ..RequestOptions::default() };
        assert!(given.find::<TextPair>(&["a"]).unwrap_err().contains("no column `Body`, only `a`"));
        assert_eq!(given.find::<TextPair>(&["text", "body"]).unwrap()[0].columns, ["body"]);
        assert!(RequestOptions::default().find::<Question>(&["question"]).is_err());
    }

    #[test]
    fn objects_get_the_names_of_the_request() {
        let rename = |object: Value| {
            let Value::Object(mut fields) = object else { panic!("{object}") };
            RequestOptions::default().rename::<Choices>(&mut fields).unwrap();
            Value::Object(fields)
        };
        let renamed = rename(json!({"question": "q", "choice1": "a", "choice2": "b"}));
        assert_eq!(renamed, json!({"prompt": "q", "choices": ["a", "b"]}));
        let own = json!({"prompt": "q", "choices": ["a"]});
        assert_eq!(rename(own.clone()), own);
    }
}
