//! The names of classes, where nobody gives them: the labels that occur in the training data.

use std::collections::BTreeMap;
use std::path::Path;

use nystromformer_data::DataError;
use nystromformer_files::table::{Cell, Column, Row, listed};
use nystromformer_files::{FileError, say_once};

use super::ClassNames;
use super::class_names::{NO_LABEL, tell_blanks, text, whole};
use super::joined_names::tell_joined;
use super::label_sets::parts;
use super::targets::IF_A_CLASS;
use crate::missing_labels::check_missing;

/// Different labels up to which a column is taken for one of classes, where nobody names them.
const MOST_COLLECTED: usize = 1_000;

/// What helps where one label is expected and a list stands.
const SET_CURE: &str = "name another column in `task.label`, or, if any number of labels applies to a row, set `task.multi_label = true`";

/// What says that a cell may name any number of labels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sets<'a> {
    /// What separates them in a text.
    pub(super) separator: Option<&'a str>,
}

/// The labels that occur in some files.
#[derive(Debug, Default)]
pub(super) struct CollectedNames<'a> {
    /// Each with how often.
    counts: BTreeMap<String, u64>,
    /// Classes that a model has, which need not look like some.
    known: &'a [String],
}

impl<'a> CollectedNames<'a> {
    /// None yet.
    pub(super) fn new(known: &'a [String]) -> Self {
        Self { known, ..Self::default() }
    }

    /// Adds the labels that occur in a column: one a cell, or with `sets` [any number](parts). Empty cells are no label.
    ///
    /// # Errors
    ///
    /// The first error of `rows`, and [`DataError::Line`] at the 1,001st label and for a list that is written as text in a CSV or TSV file.
    pub(super) fn add(
        &mut self,
        rows: impl IntoIterator<Item = Result<Row, FileError>>,
        sets: Option<Sets<'_>>,
    ) -> Result<(), DataError> {
        let mut names: BTreeMap<String, u64> = BTreeMap::new();
        let mut first = None;
        for row in rows {
            let row = row?;
            first.get_or_insert_with(|| row.clone());
            let is_known =
                |cell: &Cell| text(cell).is_some_and(|name| self.known.contains(&whole(name)));
            if !is_known(row.cell(0)) {
                row.refuse_written_list(0, Some(IF_A_CLASS))?;
            }
            let mut add = |cell: &Cell| {
                if let Some(name) = text(cell).filter(|text| !text.is_empty()) {
                    *names.entry(whole(name)).or_default() += 1;
                }
            };
            if let Some(Sets { separator }) = sets {
                parts(row.cell(0), separator).iter().flatten().for_each(add);
            } else {
                row.refuse_list(0).map_err(|error| error.with_cure(SET_CURE))?;
                tell_blanks(&row, 0);
                add(row.cell(0));
            }
            if names.len() > MOST_COLLECTED {
                return Err(row.problem(format!(
                    "{} has more than `{MOST_COLLECTED}` different labels; name the classes in `task.labels`, or train for \
                     numbers, `task.regression = true`",
                    row.column(0)
                ))
                .into());
            }
        }
        if let Some(first) = first {
            tell_header(&first, &names);
        }
        for (name, count) in names {
            *self.counts.entry(name).or_default() += count;
        }
        Ok(())
    }

    /// Says that some of the names are several, joined, where nothing is told that separates them.
    pub(super) fn tell_joined(&self, path: &Path, column: &Column) {
        tell_joined(self.counts.keys().map(String::as_str), path, column);
    }

    /// The classes of these labels, which are from `column` of the data at `path`, in the order in which Hugging Face's scripts number
    /// them: by value if all are whole numbers, else as text.
    ///
    /// # Errors
    ///
    /// [`DataError::Dataset`] if they are hardly classes: none at all, numbers with fractions, or −1 beside others, which may be
    /// a class or mean that there is no label, as [what stands for a missing value](check_missing) may. As [`ClassNames::new`]
    /// otherwise.
    pub(super) fn classes(self, path: &Path, column: &Column) -> Result<ClassNames, DataError> {
        let refused = |problem| Err(DataError::dataset(path, problem));
        if self.counts.is_empty() {
            return refused(format!("no row has a label in {column}"));
        }
        check_missing(&self.counts, path, column, self.known)?;
        let is_doubtful = |name: &String| !self.known.contains(name);
        let mut names: Vec<String> = self.counts.into_keys().collect();
        let occurs =
            |pair: [&str; 2]| pair.iter().any(|part| names.iter().any(|name| name == part));
        if occurs(["false", "true"]) && occurs(["0", "1"]) {
            say_once(format!(
                "`{}`: {column} holds Booleans and numbers, which are different classes: {} (`task.labels` names them)",
                path.display(),
                listed(names.iter().map(String::as_str))
            ));
        }
        let numbers = names.iter().all(|name| name.parse::<f64>().is_ok_and(f64::is_finite));
        let is_fraction = |name: &&String| name.parse::<i64>().is_err() && is_doubtful(name);
        if let Some(fraction) = names.iter().find(is_fraction).filter(|_| numbers) {
            return refused(format!(
                "the labels in {column} are numbers with fractions, such as `{fraction}`: to predict numbers set \
                 `task.regression = true`; if they are names of classes, list them in `task.labels`"
            ));
        }
        // −1 and 1 are two classes, and with 0 three (a sentiment), or more with another negative one. Otherwise −1 is as often the
        // mark of rows that nobody labelled.
        let is_negative = |name: &String| name.parse::<i64>().is_ok_and(|number| number < -1);
        let signs = names == [NO_LABEL, "1"]
            || names == [NO_LABEL, "0", "1"]
            || names.iter().any(is_negative);
        let marks = names.iter().any(|name| name == NO_LABEL);
        if marks && (signs && numbers || self.known.iter().any(|name| name == NO_LABEL)) {
            say_once(format!(
                "`{}`: `{NO_LABEL}` in {column} is taken for a class; if it means that there is no label, drop these rows",
                path.display()
            ));
        } else if marks {
            let quoted = |with: bool| {
                let names = names.iter().filter(|name| with || *name != NO_LABEL);
                names.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
            };
            return refused(format!(
                "{column} holds `{NO_LABEL}` beside other labels: if it is a class, set `task.labels = [{}]`; if it means that \
                 there is no label, set `task.labels = [{}]` and drop these rows",
                quoted(true),
                quoted(false)
            ));
        }
        if names.iter().all(|name| name.parse::<i64>().is_ok()) {
            names.sort_by_key(|name| name.parse::<i64>().ok());
        }
        ClassNames::new(names)
    }
}

/// Says that the first row of a file without a header may be one: no other row has its label, and all other labels occur again.
fn tell_header(first: &Row, names: &BTreeMap<String, u64>) {
    let Some(label) = text(first.cell(0)).map(whole) else { return };
    let mut once = names.iter().filter(|(_, count)| **count == 1);
    let is_odd = once.next().is_some_and(|(name, _)| *name == label) && once.next().is_none();
    if matches!(first.column(0), Column::Index(_)) && is_odd && names.len() > 1 {
        say_once(format!(
            "`{}`: the first line is read as a row, and no other has its label `{label}`; if it names the columns, set \
             `task.header = true`",
            first.file().display()
        ));
    }
}

#[cfg(test)]
mod tests {
    use nystromformer_files::table::{Table, TableOptions};

    use super::*;

    #[test]
    fn blanks_around_a_label_are_no_part_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.csv");
        std::fs::write(&path, "text, label\na, good\nb, bad \nc,good\nd, \n").unwrap();
        let table = Table::open(&path, &TableOptions::default()).unwrap();
        let mut found = CollectedNames::default();
        found.add(table.select(&["label".into()]).unwrap(), None).unwrap();
        assert_eq!(
            found.counts.into_iter().collect::<Vec<_>>(),
            [("bad".to_owned(), 1), ("good".to_owned(), 2)]
        );
    }

    fn collected(names: &[&str]) -> Result<Vec<String>, String> {
        let names = names.iter().map(|name| (whole((*name).to_owned()), 3));
        let names = CollectedNames { counts: names.collect(), known: &[] };
        let classes = names.classes(Path::new("train.csv"), &"label".into());
        classes.map(|names| names.names().to_vec()).map_err(|error| error.to_string())
    }

    #[test]
    fn labels_that_are_hardly_classes_are_refused_with_the_key_that_helps() {
        let scores = collected(&["0.0", "0.8", "1.0"]).unwrap_err();
        assert!(
            scores.contains("`0.8`") && scores.contains("`task.regression = true`"),
            "{scores}"
        );
        assert_eq!(collected(&["-1", "0", "1"]).unwrap(), ["-1", "0", "1"]);
        assert_eq!(collected(&["-2", "-1", "0", "1"]).unwrap(), ["-2", "-1", "0", "1"]);
        let marked = collected(&["-1", "0", "1", "2"]).unwrap_err();
        for part in [r#"task.labels = ["-1", "0", "1", "2"]"#, r#"task.labels = ["0", "1", "2"]"#] {
            assert!(marked.contains(part), "{marked}");
        }
        assert_eq!(collected(&["-1", "1"]).unwrap(), ["-1", "1"]);
        assert_eq!(collected(&["0.0", "1.0"]).unwrap(), ["0", "1"]);
        assert_eq!(collected(&["0.5", "good"]).unwrap(), ["0.5", "good"]);
        assert!(collected(&[]).unwrap_err().contains("no row has a label"));
    }

    #[test]
    fn what_stands_for_a_missing_value_is_no_class_unless_people_call_some_so() {
        for missing in ["nan", "NaN", "<NA>", "\\N", "null", "NULL", "#N/A"] {
            for others in [["neg", "pos"], ["0.0", "1.0"]] {
                let message = collected(&[missing, others[0], others[1]]).unwrap_err();
                for part in [
                    format!("`train.csv`: `label` holds `{missing}` `3` times"),
                    format!(
                        "task.labels = [\"{}\", \"{}\"]",
                        whole(others[0].into()),
                        whole(others[1].into())
                    ),
                    "drop these rows".to_owned(),
                ] {
                    assert!(message.contains(&part), "{message}");
                }
            }
        }
        for perhaps in ["NA", "N/A", "None", "none"] {
            assert!(collected(&[perhaps, "pos"]).unwrap().contains(&perhaps.to_owned()));
        }
    }

    #[test]
    fn lists_that_are_written_as_text_are_no_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.csv");
        std::fs::write(&path, "text,label\na,fine\nb,\"['toxic', 'insult']\"\n").unwrap();
        for sets in [None, Some(Sets { separator: None }), Some(Sets { separator: Some(",") })] {
            let table = Table::open(&path, &TableOptions::default()).unwrap();
            let rows = table.select(&["label".into()]).unwrap();
            let message = CollectedNames::default().add(rows, sets).unwrap_err().to_string();
            for part in ["train.csv:3: ", "`['toxic', 'insult']`", "JSON Lines or Parquet"] {
                assert!(message.contains(part), "{message}");
            }
        }
    }

    #[test]
    fn whole_numbers_are_sorted_by_value() {
        let sorted = |names: &[&str]| collected(names).unwrap();
        assert_eq!(sorted(&["10", "9", "0"]), ["0", "9", "10"]);
        assert_eq!(sorted(&["b", "10", "9"]), ["10", "9", "b"]);
    }
}
