//! Fields within the values of a column, named by their path: `answers.text`.

use serde_json::{Map, Value};

/// A column that is wanted, or a field within each of its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ColumnPath {
    /// The place of the column.
    pub(super) column: usize,
    /// The path of the field, names joined by dots; `None` for the whole value.
    pub(super) within: Option<String>,
}

impl ColumnPath {
    pub(super) fn whole(column: usize) -> Self {
        Self { column, within: None }
    }
}

/// The ways to take a path apart into a name and the path within it, the shortest name first: a name may hold dots.
pub(super) fn splits(path: &str) -> impl Iterator<Item = (&str, &str)> {
    path.match_indices('.').map(|(dot, _)| (&path[..dot], &path[dot + 1..]))
}

/// The value at a path within a value. Of a list it is the list of what is in each of its elements; `null` where there is none.
pub(super) fn value_within(value: &Value, path: &str) -> Value {
    match value {
        Value::Object(fields) => field(fields, path),
        Value::Array(values) => {
            Value::Array(values.iter().map(|value| value_within(value, path)).collect())
        }
        _ => Value::Null,
    }
}

fn field(fields: &Map<String, Value>, path: &str) -> Value {
    if let Some(value) = fields.get(path) {
        return value.clone();
    }
    splits(path)
        .find_map(|(name, rest)| Some(value_within(fields.get(name)?, rest)))
        .unwrap_or_default()
}

/// Whether the values of a key may have fields within them: there are objects, or lists of objects, or nothing but empty lists.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Nesting {
    has_fields: bool,
    is_empty: bool,
    is_plain: bool,
}

impl Nesting {
    /// One value more.
    pub(super) fn see(&mut self, value: &Value) {
        match value {
            Value::Object(_) => self.has_fields = true,
            Value::Array(values) => match values.first() {
                Some(first) => self.see(first),
                None => self.is_empty = true,
            },
            // Nothing is said.
            Value::Null => {}
            _ => self.is_plain = true,
        }
    }

    pub(super) fn may_nest(self) -> bool {
        self.has_fields || self.is_empty && !self.is_plain
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_leads_through_objects_and_lists_of_them() {
        let lists = json!({"text": ["a", "b"], "answer_start": [1, 2]});
        let objects = json!([{"text": "a", "answer_start": 1}, {"text": "b"}]);
        assert_eq!(value_within(&lists, "text"), json!(["a", "b"]));
        assert_eq!(value_within(&objects, "text"), json!(["a", "b"]));
        assert_eq!(value_within(&objects, "answer_start"), json!([1, null]));
        assert_eq!(value_within(&json!([]), "text"), json!([]));
        let deep = json!({"stem": "q", "a.b": {"c": 3}, "choices": [{"x": {"y": 1}}]});
        assert_eq!(value_within(&deep, "stem"), json!("q"));
        assert_eq!(value_within(&deep, "a.b.c"), json!(3));
        assert_eq!(value_within(&deep, "choices.x.y"), json!([1]));
        for (value, path) in [(&deep, "none"), (&deep, "stem.x"), (&json!("text"), "text")] {
            assert_eq!(value_within(value, path), Value::Null, "{path}");
        }
        let may_nest = |values: &[Value]| {
            let mut nesting = Nesting::default();
            for value in values {
                nesting.see(value);
            }
            nesting.may_nest()
        };
        for value in [&lists, &objects, &json!([])] {
            assert!(may_nest(std::slice::from_ref(value)), "{value}");
        }
        // An empty list is one of texts, where others are.
        assert!(!may_nest(&[json!(["text"]), json!([])]) && !may_nest(&[json!([]), json!("text")]));
        assert!(may_nest(&[json!([]), json!([{"text": "a"}]), json!(null)]));
        assert!(!may_nest(&[json!(null)]) && !may_nest(&[json!("text")]));
    }
}
