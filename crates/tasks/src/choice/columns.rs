//! [`ChoiceColumns`]: the keys of `[task]` that say which columns make a question.

use nystromformer_files::table::Column;
use serde::{Deserialize, Serialize};

/// One column, or several in an order; in a config a string or a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Columns {
    /// One.
    One(Column),
    /// Several.
    Several(Vec<Column>),
}

impl Columns {
    pub(super) fn as_slice(&self) -> &[Column] {
        match self {
            Self::One(column) => std::slice::from_ref(column),
            Self::Several(columns) => columns,
        }
    }
}

impl From<&str> for Columns {
    fn from(name: &str) -> Self {
        Self::One(name.into())
    }
}

impl<const N: usize> From<[&str; N]> for Columns {
    fn from(names: [&str; N]) -> Self {
        Self::Several(names.map(Column::from).to_vec())
    }
}

/// Keys of `[task]` that say which columns make a question; what they leave out is found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChoiceColumns {
    /// The column of what is read first, or several, joined by blanks. Default: found, and said: `context`, `article`, `question`
    /// and the like.
    pub prompt: Option<Columns>,
    /// The column of what stands before each choice, or several (`sent2` of SWAG). Default: found with the prompt; none if that
    /// is named.
    pub question: Option<Columns>,
    /// A column for each choice, or one with a list of them: `["ending0", "ending1"]`, `"options"`, `"choices.text"`.
    /// Default: found, and said.
    pub choices: Option<Columns>,
    /// The column of the label. Default: found, and said.
    pub label: Option<Column>,
    /// The column that names a question, for its prediction to carry. Default: `id` and the like, if there is one.
    pub id: Option<Column>,
}

impl ChoiceColumns {
    /// The columns that are named, each with its key.
    pub(super) fn named(&self) -> impl Iterator<Item = (&'static str, &Column)> {
        let several = [
            ("task.prompt", &self.prompt),
            ("task.question", &self.question),
            ("task.choices", &self.choices),
        ];
        let several = several.into_iter().flat_map(|(key, columns)| {
            columns.iter().flat_map(Columns::as_slice).map(move |column| (key, column))
        });
        let label = self.label.iter().map(|column| ("task.label", column));
        let id = self.id.iter().map(|column| ("task.id", column));
        several.chain(label).chain(id)
    }
}
