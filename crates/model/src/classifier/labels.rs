//! The names of a classifier's classes, and what kind of answer it gives.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// `id2label`: the name of each class, by its index.
///
/// Reads as a table from index to name, as in Hugging Face's `config.json`, or as a plain list; writes as
/// the table. `label2id` is its inverse and is not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels(Vec<String>);

impl Labels {
    /// These names, first class first.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }

    /// Names that say nothing, as transformers gives them: `LABEL_0`, `LABEL_1`, …
    pub fn numbered(num_labels: usize) -> Self {
        Self((0..num_labels).map(|index| format!("LABEL_{index}")).collect())
    }

    /// How many there are, `num_labels`.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none, which no model can have.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, first class first.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The class of this name, the first of several.
    pub fn id(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|label| label == name)
    }
}

impl Default for Labels {
    /// transformers' default: two.
    fn default() -> Self {
        Self::numbered(2)
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().enumerate().map(|(id, name)| (id.to_string(), name)))
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            List(Vec<String>),
            Table(BTreeMap<String, String>),
        }
        let table = match Form::deserialize(deserializer) {
            Ok(Form::List(names)) => return Ok(Self(names)),
            Ok(Form::Table(table)) => table,
            Err(_) => {
                return Err(D::Error::custom(
                    "it must be a table from class index to name, or a list of names",
                ));
            }
        };
        let count = table.len();
        let mut names = vec![None; count];
        for (id, name) in table {
            match id.parse::<usize>().ok().and_then(|id| names.get_mut(id)) {
                Some(place) => *place = Some(name),
                None => {
                    return Err(D::Error::custom(format!(
                        "`{id}` is not one of the class indices 0 to {}",
                        count - 1
                    )));
                }
            }
        }
        // As many places as entries, and no index twice but in another spelling (`0` and `00`).
        let names: Option<Vec<String>> = names.into_iter().collect();
        names.map(Self).ok_or_else(|| D::Error::custom("it names a class twice"))
    }
}

/// What a sequence classifier's answer is, and with it the loss that trains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemType {
    /// Numbers; mean squared error.
    Regression,
    /// One class of several; cross-entropy.
    SingleLabelClassification,
    /// Any of the classes, each by itself; binary cross-entropy.
    MultiLabelClassification,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_lists_read_alike() {
        let table: Labels = serde_json::from_str(r#"{"1": "yes", "0": "no"}"#).unwrap();
        let list: Labels = serde_json::from_str(r#"["no", "yes"]"#).unwrap();
        assert_eq!(table, list);
        assert_eq!(table.id("yes"), Some(1));
        assert_eq!(serde_json::to_string(&list).unwrap(), r#"{"0":"no","1":"yes"}"#);
    }

    #[test]
    fn ten_classes_keep_their_order() {
        let labels = Labels::numbered(12);
        let text = serde_json::to_string(&labels).unwrap();
        assert_eq!(serde_json::from_str::<Labels>(&text).unwrap(), labels);
    }

    #[test]
    fn gaps_doubles_and_other_types_are_refused() {
        for (text, words) in [
            (r#"{"0": "a", "2": "b"}"#, "`2` is not one of the class indices 0 to 1"),
            (r#"{"0": "a", "00": "b"}"#, "twice"),
            (r#"{"-1": "a"}"#, "`-1` is not one"),
            (r#""positive""#, "a list of names"),
        ] {
            let error = serde_json::from_str::<Labels>(text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
