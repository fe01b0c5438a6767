//! [`LabelColumns`]: in which column of a table the label stands, or in which several.

use nystromformer_data::DataError;
use nystromformer_files::table::Column;
use serde::{Deserialize, Serialize};

/// Where the label stands. In a config: `"label"`, `2`, or `["toxic", "insult"]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LabelColumns {
    /// In one column.
    One(Column),
    /// A column for each class, which says whether it applies, or for each number.
    Each(Vec<Column>),
}

impl LabelColumns {
    /// The columns.
    pub fn columns(&self) -> &[Column] {
        match self {
            Self::One(column) => std::slice::from_ref(column),
            Self::Each(columns) => columns,
        }
    }

    /// What the classes or numbers of a column each are called: as the columns, `column_3` for one that is told by its place.
    pub(super) fn names(&self) -> Vec<String> {
        let name = |column: &Column| match column {
            Column::Name(name) => name.clone(),
            Column::Index(index) => format!("column_{index}"),
        };
        self.columns().iter().map(name).collect()
    }

    /// A [`DataError::Config`] for a list of columns that is none.
    pub(super) fn problem(&self) -> Option<DataError> {
        let Self::Each(columns) = self else { return None };
        let refused = |problem| Some(DataError::config("task.label", self.shown(), problem));
        if columns.is_empty() {
            return refused("names no column; name one, or a column for each class or number");
        }
        let twice = (1..columns.len()).any(|place| columns[..place].contains(&columns[place]));
        if twice { refused("names a column twice") } else { None }
    }

    fn shown(&self) -> String {
        let columns: Vec<String> = self.columns().iter().map(Column::to_string).collect();
        format!("[{}]", columns.join(", "))
    }
}

impl From<Column> for LabelColumns {
    fn from(column: Column) -> Self {
        Self::One(column)
    }
}

impl From<&str> for LabelColumns {
    fn from(name: &str) -> Self {
        Self::One(name.into())
    }
}

impl From<usize> for LabelColumns {
    fn from(index: usize) -> Self {
        Self::One(index.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_names_one_or_several() {
        #[derive(Deserialize)]
        struct Keys {
            label: LabelColumns,
        }
        let read = |text: &str| toml::from_str::<Keys>(text).unwrap().label;
        assert_eq!(read("label = \"a\""), "a".into());
        assert_eq!(read("label = 3"), 3.into());
        let each = read("label = [\"a\", \"b\"]");
        assert_eq!(each, LabelColumns::Each(vec!["a".into(), "b".into()]));
        assert_eq!(each.names(), ["a", "b"]);
        assert!(each.problem().is_none() && read("label = 3").problem().is_none());
        for list in ["label = []", "label = [\"a\", \"a\"]"] {
            assert!(read(list).problem().unwrap().to_string().contains("`task.label`"), "{list}");
        }
    }
}
