//! The ways to say which choice is right.

use nystromformer_files::table::Cell;
use serde::{Deserialize, Serialize};

/// What a label is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelForm {
    /// The place of the right choice, from 0.
    #[serde(rename = "from_0")]
    From0,
    /// The place of the right choice, from 1.
    #[serde(rename = "from_1")]
    From1,
    /// The place of the right choice as a letter, from A or a.
    Letter,
    /// The text of the right choice.
    Text,
}

impl LabelForm {
    /// All of them, the likelier first where several fit.
    const ALL: [Self; 4] = [Self::Letter, Self::From0, Self::From1, Self::Text];

    /// The name of a choice that has no other, as a label of this form says it. Texts are not known here: their place, from 0.
    pub(super) fn spell(self, place: usize) -> String {
        match self {
            Self::Letter if place < 26 => char::from(b'A' + place as u8).to_string(),
            Self::From1 => (place + 1).to_string(),
            Self::From0 | Self::Text | Self::Letter => place.to_string(),
        }
    }

    /// The choice that a label means; `None` if it means none.
    fn place(self, label: &str, choices: &[Option<String>]) -> Option<usize> {
        let place = match self {
            Self::From0 => whole(label)?,
            Self::From1 => whole(label)?.checked_sub(1)?,
            Self::Letter => {
                let mut letters = label.chars();
                let letter = letters.next().filter(char::is_ascii_alphabetic)?;
                let is_one = letters.next().is_none();
                is_one.then(|| (letter.to_ascii_uppercase() as u8 - b'A').into())?
            }
            Self::Text => {
                let is_meant =
                    |choice: &Option<String>| choice.as_deref().map(str::trim) == Some(label);
                let place = choices.iter().position(is_meant)?;
                // Two choices of one text: neither is the one that is meant.
                choices[place + 1..].iter().all(|choice| !is_meant(choice)).then_some(place)?
            }
        };
        choices.get(place)?.is_some().then_some(place)
    }

    /// In words, for messages.
    pub(super) fn told(self) -> &'static str {
        match self {
            Self::From0 => "numbers from 0",
            Self::From1 => "numbers from 1",
            Self::Letter => "letters",
            Self::Text => "texts of choices",
        }
    }

    /// The value of the key `task.label_form`.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::From0 => "from_0",
            Self::From1 => "from_1",
            Self::Letter => "letter",
            Self::Text => "text",
        }
    }
}

/// What a row says of its choices, beside their texts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The choices by their places; `None` where there is none.
    pub(super) choices: &'a [Option<String>],
    /// Their own names (`A`, `B` …), where the file has some.
    pub(super) names: &'a [String],
}

impl Asked<'_> {
    /// The place of the choice that a label of some form means: by the choices' own names first.
    pub(super) fn place(self, label: &str, form: LabelForm) -> Option<usize> {
        let named = self.names.iter().position(|name| name == label);
        let named = named.filter(|place| matches!(self.choices.get(*place), Some(Some(_))));
        named.or_else(|| form.place(label, self.choices))
    }

    /// What is wrong with a label that means no choice, for what the caller knows of it.
    pub(super) fn problem(self, label: &str, form: LabelForm) -> Option<String> {
        let texts = self.choices.iter().flatten().filter(|choice| choice.trim() == label).count();
        (form == LabelForm::Text && texts > 1).then(|| {
            format!(
                "the label `{label}` is the text of `{texts}` of the `{}` choices: give the place of the right one as label in all \
                 rows, or make the texts differ",
                self.choices.len()
            )
        })
    }
}

/// A label as text, among these choices; `None` where it is kept back, `Err` for what cannot be one.
pub(super) fn text(
    cell: &Cell,
    choices: &[Option<String>],
) -> Result<Option<String>, &'static str> {
    let is_choice = |text: &str| choices.iter().flatten().any(|choice| choice.trim() == text);
    let text = match cell {
        Cell::Boolean(flag) if is_choice(&flag.to_string()) => flag.to_string(),
        Cell::Null => return Ok(None),
        Cell::Text(text) => text.trim().to_owned(),
        Cell::Integer(number) => number.to_string(),
        Cell::Boolean(flag) => u8::from(*flag).to_string(),
        Cell::Number(number) => number.to_string(),
        Cell::List(_) => return Err("the label is a list"),
    };
    let is_kept_back =
        |text: &str| text.is_empty() || ["-1", "-1.0"].contains(&text) && !is_choice(text);
    Ok(Some(text).filter(|text| !is_kept_back(text)))
}

/// A whole number; a table with missing labels has `1.0` for `1`.
fn whole(label: &str) -> Option<usize> {
    label.strip_suffix(".0").unwrap_or(label).parse().ok()
}

/// The forms that all labels seen so far could have.
#[derive(Debug, Clone)]
pub(super) struct Candidates {
    forms: Vec<LabelForm>,
    /// Labels that were no name of a choice.
    unnamed: usize,
}

impl Default for Candidates {
    fn default() -> Self {
        Self { forms: LabelForm::ALL.to_vec(), unnamed: 0 }
    }
}

impl Candidates {
    /// Strikes out what a label is not; whether any form is left.
    pub(super) fn see(&mut self, label: &str, asked: Asked<'_>) -> bool {
        if asked.names.iter().any(|name| name == label) {
            return true;
        }
        let fit = |form: &LabelForm| form.place(label, asked.choices).is_some();
        let left: Vec<LabelForm> = self.forms.iter().copied().filter(fit).collect();
        if !left.is_empty() {
            self.unnamed += 1;
            self.forms = left;
            return true;
        }
        false
    }

    /// The form that is taken; from 0 where no label needed one.
    pub(super) fn form(&self) -> LabelForm {
        if self.unnamed == 0 { LabelForm::From0 } else { self.forms[0] }
    }

    /// Whether labels may be texts.
    pub(super) fn may_be_texts(&self) -> bool {
        self.forms.contains(&LabelForm::Text)
    }

    /// Those that are left, in words.
    pub(super) fn told(&self) -> String {
        self.forms.iter().map(|form| form.told()).collect::<Vec<_>>().join(", or ")
    }

    /// What is to be said of how labels are read: nothing if no label needed it.
    pub(super) fn notice(&self) -> Option<String> {
        let form = self.form();
        let others: Vec<String> = self.forms[1..]
            .iter()
            .map(|other| format!("`task.label_form = \"{}\"`", other.key()))
            .collect();
        match (self.unnamed, others.as_slice()) {
            (0, _) => None,
            (_, []) => Some(format!("labels are {}", form.told())),
            (_, others) => Some(format!(
                "labels are taken for {}; they could be others as well: {}",
                form.told(),
                others.join(" or ")
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| Some((*text).to_owned()).filter(|text| !text.is_empty())).collect()
    }

    #[test]
    fn a_label_is_a_place_a_letter_or_a_text() {
        let choices = choices(&["cat", "", "dog", "dog", "7"]);
        for (form, label, place) in [
            (LabelForm::From0, "0", Some(0)),
            (LabelForm::From0, "1", None),
            (LabelForm::From0, "5", None),
            (LabelForm::From0, "-2", None),
            (LabelForm::From1, "1.0", Some(0)),
            (LabelForm::From1, "0", None),
            (LabelForm::From1, "5", Some(4)),
            (LabelForm::Letter, "C", Some(2)),
            (LabelForm::Letter, "d", Some(3)),
            (LabelForm::Letter, "B", None),
            (LabelForm::Letter, "AB", None),
            (LabelForm::Text, "cat", Some(0)),
            (LabelForm::Text, "dog", None),
            (LabelForm::Text, "7", Some(4)),
            (LabelForm::Text, "", None),
        ] {
            assert_eq!(form.place(label, &choices), place, "{form:?} {label}");
        }
    }

    fn form_of(rows: &[(&str, &[&str])]) -> Result<LabelForm, String> {
        let mut candidates = Candidates::default();
        for (label, texts) in rows {
            let choices = choices(texts);
            if !candidates.see(label, Asked { choices: &choices, names: &[] }) {
                return Err((*label).to_owned());
            }
        }
        Ok(candidates.form())
    }

    #[test]
    fn the_form_is_what_all_labels_fit() {
        let two: &[&str] = &["x", "y"];
        assert_eq!(form_of(&[("1", two), ("0", two)]), Ok(LabelForm::From0));
        assert_eq!(form_of(&[("1", two), ("2", two)]), Ok(LabelForm::From1));
        assert_eq!(form_of(&[("A", two), ("b", two)]), Ok(LabelForm::Letter));
        assert_eq!(form_of(&[("x", two), ("y", two)]), Ok(LabelForm::Text));
        // Numbers beyond the places are texts, and where several fit the place from 0 is taken.
        assert_eq!(form_of(&[("7", &["3", "7"])]), Ok(LabelForm::Text));
        assert_eq!(form_of(&[("1", two)]), Ok(LabelForm::From0));
        assert_eq!(form_of(&[("0", two), ("2", two)]), Err("2".to_owned()));
        assert_eq!(form_of(&[("A", two), ("1", two)]), Err("1".to_owned()));
    }

    #[test]
    fn choices_of_a_name_are_meant_by_it() {
        let choices = choices(&["x", "y", "z"]);
        let names = ["1", "2", "3"].map(str::to_owned);
        let asked = Asked { choices: &choices, names: &names };
        assert_eq!(asked.place("3", LabelForm::From0), Some(2));
        let mut candidates = Candidates::default();
        assert!(candidates.see("1", asked) && candidates.see("3", asked));
        assert_eq!(candidates.notice(), None);
    }

    #[test]
    fn labels_that_are_kept_back_are_none() {
        let read = |cell| text(&cell, &[]).unwrap();
        for cell in [Cell::Null, Cell::Text(" ".into()), Cell::Integer(-1), Cell::Text("-1".into())]
        {
            assert_eq!(read(cell), None);
        }
        assert_eq!(read(Cell::Number(2.0)), Some("2".to_owned()));
        assert_eq!(read(Cell::Text("1.0 ".into())), Some("1.0".to_owned()));
        assert_eq!(read(Cell::Boolean(true)), Some("1".to_owned()));
        assert!(text(&Cell::List(vec![]), &[]).is_err());
        // What is the text of a choice is that.
        let choices = ["true", "false", "-1"].map(|choice| Some(choice.to_owned()));
        let among = |cell| text(&cell, &choices).unwrap();
        assert_eq!(among(Cell::Boolean(true)).as_deref(), Some("true"));
        assert_eq!(among(Cell::Integer(-1)).as_deref(), Some("-1"));
    }
}
