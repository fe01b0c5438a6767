//! Which columns make a question: those that the config names, or a layout that is known.

use std::path::Path;

use nystromformer_files::table::{Column, Table, TableOptions, listed};
use nystromformer_files::{FileError, say_once};

use super::columns::{ChoiceColumns, Columns};
use super::known_columns::Look;

/// The columns of a file that make a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// What is read first, joined by blanks; at least one.
    pub(super) prompt: Vec<Column>,
    /// What stands before each choice, joined by blanks.
    pub(super) question: Vec<Column>,
    /// A column for each choice, or one with a list of them.
    pub(super) choices: Vec<Column>,
    /// The names of the choices of a list.
    pub(super) choice_names: Option<Column>,
    pub(super) label: Option<Column>,
    pub(super) id: Option<Column>,
}

impl ChoiceColumns {
    /// The columns of a file.
    ///
    /// # Errors
    ///
    /// If a column is missing, with the key that names another.
    pub(super) fn layout(
        &self,
        file: &Path,
        options: &TableOptions,
        label_required: bool,
    ) -> Result<Layout, FileError> {
        let table = Table::open(file, options)?;
        let names = table.columns().unwrap_or_default().to_vec();
        let is_guess = self.prompt.is_none() || self.choices.is_none() || self.label.is_none();
        let look = Look::at(file, &table, options)?;
        let there = || listed(names.iter().map(String::as_str));
        let missing = |what: &str, key: &str| {
            let found =
                if names.is_empty() { "names none".to_owned() } else { format!("has {}", there()) };
            FileError::line(file, 1, format!("no {what} is known by its name: the file {found}"))
                .with_cure(format!("set `{key}`"))
        };
        let named = |columns: &[Column], key: &str| -> Result<Vec<Column>, FileError> {
            for column in columns {
                if !table.has(column) {
                    let error = table.missing(std::slice::from_ref(column));
                    return Err(error.with_cure(format!("set `{key}` to what is meant")));
                }
            }
            Ok(columns.to_vec())
        };
        let [prompt, question] = match (&self.prompt, &self.question) {
            (Some(prompt), question) => {
                let question = question.as_ref().map_or(&[][..], Columns::as_slice);
                [named(prompt.as_slice(), "task.prompt")?, named(question, "task.question")?]
            }
            (None, question) => {
                let [prompt, found] =
                    look.prompt().ok_or_else(|| missing("prompt", "task.prompt"))?;
                match question {
                    Some(question) => [prompt, named(question.as_slice(), "task.question")?],
                    None => [prompt, found],
                }
            }
        };
        let choices = match &self.choices {
            Some(choices) => named(choices.as_slice(), "task.choices")?,
            None => look.choices().ok_or_else(|| missing("column of choices", "task.choices"))?,
        };
        // `choices.label` stands beside `choices.text`.
        let names_of = |column: &Column| match column {
            Column::Name(name) => {
                let beside = Column::Name(format!("{}.label", name.strip_suffix(".text")?));
                table.has(&beside).then_some(beside)
            }
            Column::Index(_) => None,
        };
        let label = match &self.label {
            Some(label) if label_required => {
                named(std::slice::from_ref(label), "task.label")?.pop()
            }
            // A test set may come without.
            Some(label) => table.has(label).then(|| label.clone()),
            None => look.label().filter(|label| !choices.contains(label)),
        };
        if label_required && label.is_none() {
            return Err(missing("column of labels", "task.label"));
        }
        let id = match &self.id {
            Some(id) => named(std::slice::from_ref(id), "task.id")?.pop(),
            None => look.id(),
        };
        let choice_names = match choices.as_slice() {
            [list] => names_of(list),
            _ => None,
        };
        let layout = Layout { prompt, question, choices, choice_names, label, id };
        if is_guess {
            layout.tell(file, &names);
        }
        Ok(layout)
    }
}

impl Layout {
    /// The columns to read, in the order in which [`super::reader`] takes them apart.
    pub(super) fn columns(&self) -> Vec<Column> {
        let parts = [&self.prompt, &self.question, &self.choices];
        let all = parts
            .into_iter()
            .flatten()
            .chain(&self.choice_names)
            .chain(&self.label)
            .chain(&self.id);
        all.cloned().collect()
    }

    /// Says what was taken.
    fn tell(&self, file: &Path, names: &[String]) {
        let shown = |columns: &[Column]| {
            columns.iter().map(Column::to_string).collect::<Vec<_>>().join(", ")
        };
        let question = if self.question.is_empty() {
            String::new()
        } else {
            format!(", {} before each choice", shown(&self.question))
        };
        let label = match &self.label {
            Some(label) => format!("label {label}"),
            None => "no label".to_owned(),
        };
        let used: Vec<String> = self
            .columns()
            .iter()
            .filter_map(|column| match column {
                Column::Name(name) => Some(name.split('.').next().unwrap_or(name).to_owned()),
                Column::Index(_) => None,
            })
            .collect();
        let unread = names.iter().filter(|name| !used.contains(name));
        let unread = listed(unread.map(String::as_str));
        let unread = if unread.is_empty() { unread } else { format!("; not read: {unread}") };
        say_once(format!(
            "`{}`: prompt {}{question}, choices {}, {label}{unread} (`task.prompt`, `task.question`, `task.choices` and \
             `task.label` name others)",
            file.display(),
            shown(&self.prompt),
            shown(&self.choices),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(name: &str, content: &str, named: &ChoiceColumns) -> Result<Layout, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let required = content.contains("label") || content.contains("nswer");
        let layout = named.layout(&path, &TableOptions::default(), required);
        layout.map_err(|error| error.to_string())
    }

    fn names(columns: &[Column]) -> String {
        columns
            .iter()
            .map(ToString::to_string)
            .collect::<String>()
            .replace("``", "|")
            .replace('`', "")
    }

    #[test]
    fn layouts_of_known_data_sets_are_told() {
        for (about, name, content, prompt, question, choices, label) in [
            (
                "COPA",
                "a.jsonl",
                r#"{"premise": "p", "choice1": "a", "choice2": "b", "question": "cause", "label": 0, "idx": 3}"#,
                "premise|question",
                "",
                "choice1|choice2",
                "label",
            ),
            (
                "SWAG",
                "a.csv",
                ",video-id,startphrase,sent1,sent2,gold-source,ending0,ending1,ending2,ending3,label\n0,v,p q,p,q,g,a,b,c,d,2\n",
                "sent1",
                "sent2",
                "ending0|ending1|ending2|ending3",
                "label",
            ),
            (
                "HellaSwag",
                "a.jsonl",
                r#"{"ind": 24, "ctx_a": "a", "ctx_b": "he", "ctx": "a he", "endings": ["x", "y"], "label": "1"}"#,
                "ctx_a",
                "ctx_b",
                "endings",
                "label",
            ),
            (
                "CommonsenseQA of the hub",
                "a.jsonl",
                r#"{"id": "1", "question": "q", "question_concept": "c", "choices": {"label": ["A", "B"], "text": ["x", "y"]}, "answerKey": "A"}"#,
                "question",
                "",
                "choices.text",
                "answerKey",
            ),
            (
                "CommonsenseQA",
                "a.jsonl",
                r#"{"answerKey": "B", "id": "1", "question": {"question_concept": "c", "choices": [{"label": "A", "text": "x"}, {"label": "B", "text": "y"}], "stem": "q"}}"#,
                "question.stem",
                "",
                "question.choices.text",
                "answerKey",
            ),
            (
                "SocialIQA",
                "a.jsonl",
                r#"{"context": "c", "question": "q", "answerA": "x", "answerB": "y", "answerC": "z", "correct": "C"}"#,
                "context",
                "question",
                "answerA|answerB|answerC",
                "correct",
            ),
            (
                "RACE",
                "a.jsonl",
                r#"{"example_id": "h.txt", "article": "a", "answer": "D", "question": "q", "options": ["x", "y", "z", "w"]}"#,
                "article",
                "question",
                "options",
                "answer",
            ),
            (
                "PIQA",
                "a.jsonl",
                r#"{"goal": "g", "sol1": "x", "sol2": "y", "label": 1}"#,
                "goal",
                "",
                "sol1|sol2",
                "label",
            ),
            (
                "WinoGrande",
                "a.jsonl",
                r#"{"qID": "1", "sentence": "the _ s", "option1": "x", "option2": "y", "answer": "2"}"#,
                "sentence",
                "",
                "option1|option2",
                "answer",
            ),
            (
                "a sheet of questions",
                "a.csv",
                "Question,A,B,C,Answer\nq,x,y,z,B\n",
                "Question",
                "",
                "A|B|C",
                "Answer",
            ),
            (
                "a list as text",
                "a.csv",
                "question,choices,answer\nq,\"[\"\"x\"\", \"\"y\"\"]\",x\n",
                "question",
                "",
                "choices",
                "answer",
            ),
        ] {
            let found = layout(name, content, &ChoiceColumns::default()).unwrap();
            let found = [
                names(&found.prompt),
                names(&found.question),
                names(&found.choices),
                names(found.label.as_slice()),
            ];
            assert_eq!(found, [prompt, question, choices, label], "{about}");
        }
    }

    #[test]
    fn named_columns_come_first_and_missing_ones_name_their_key() {
        let own = ChoiceColumns {
            prompt: Some(["a", "b"].into()),
            choices: Some(["x", "y"].into()),
            label: Some("gold".into()),
            ..ChoiceColumns::default()
        };
        let content = "a,b,question,x,y,choice0,choice1,gold\n1,2,3,4,5,6,7,0\n";
        let found = layout("a.csv", content, &own).unwrap();
        assert_eq!((names(&found.prompt), names(&found.question)), ("a|b".into(), String::new()));
        assert_eq!(names(&found.choices), "x|y");
        for (named, content, parts) in [
            (ChoiceColumns::default(), "x,y\n1,2\n", ["a.csv:1: no prompt", "set `task.prompt`"]),
            (
                ChoiceColumns::default(),
                "question,y\n1,2\n",
                ["no column of choices", "set `task.choices`"],
            ),
            (own.clone(), "a,x,y\n1,2,3\n", ["a.csv:1: no column `b`", "`task.prompt`"]),
        ] {
            let message = layout("a.csv", content, &named).unwrap_err();
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        }
        let names_only =
            layout("a.csv", "question,choice1,choice2\nq,a,b\n", &ChoiceColumns::default());
        assert_eq!(names_only.unwrap().label, None);
    }
}
