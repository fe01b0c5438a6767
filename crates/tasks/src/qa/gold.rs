//! The right answers of a row, and where they stand in the context.

use nystromformer_data::Characters;
use nystromformer_files::FileError;
use nystromformer_files::table::{Cell, Row};

use crate::example::GoldAnswer;

/// Characters by which an answer may stand elsewhere than it is said to, where the context has its words more than once.
const NEAR: usize = 32;

/// An answer as a row gives it, and its first character in the context, if that is said.
pub(super) type TextAndPlace = (String, Option<usize>);

/// The answers of a row.
#[derive(Debug, Default)]
pub(super) struct RowAnswers {
    pub(super) answers: Vec<TextAndPlace>,
    /// Whether a list of them holds an empty text, which is left out.
    pub(super) has_blanks: bool,
}

/// How an answer was found in its context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerMatch {
    /// Where it is said to be.
    There,
    /// Where it is said to be, counted in bytes.
    InBytes,
    /// So many characters from there.
    Moved(usize),
    /// By its words: nothing is said of its place.
    ByWords,
    /// Nowhere.
    Nowhere,
}

/// Finds an answer, without the blanks around it: at the character `start` of the context; else at the byte `start`; else at the
/// place of the same words that is nearest to `start`, if that is near or the only one. Without a `start` it is found at the first
/// place. An answer that is found nowhere keeps the place that is said.
pub(super) fn find(
    characters: &Characters<'_>,
    text: &str,
    start: Option<usize>,
) -> (GoldAnswer, AnswerMatch) {
    let words = text.trim();
    let blanks = text.chars().take_while(|character| character.is_whitespace()).count();
    let told = start.map(|start| start.saturating_add(blanks));
    let answer = |start| GoldAnswer { text: words.to_owned(), start };
    if let Some(told) = told.filter(|told| characters.has_at(*told, words)) {
        return (answer(told), AnswerMatch::There);
    }
    let blank_bytes = text.len() - text.trim_start().len();
    let byte = start.map(|start| start.saturating_add(blank_bytes));
    if let Some(place) = byte.and_then(|byte| characters.at_byte(byte))
        && characters.has_at(place, words)
    {
        return (answer(place), AnswerMatch::InBytes);
    }
    let mut places = characters.places(words);
    let Some(first) = places.next() else {
        return (answer(told.unwrap_or(0)), AnswerMatch::Nowhere);
    };
    let Some(told) = told else { return (answer(first), AnswerMatch::ByWords) };
    let mut is_only = true;
    let nearest = places.fold(first, |nearest, place| {
        is_only = false;
        if place.abs_diff(told) < nearest.abs_diff(told) { place } else { nearest }
    });
    let distance = nearest.abs_diff(told);
    if is_only || distance <= NEAR {
        (answer(nearest), AnswerMatch::Moved(distance))
    } else {
        (answer(told), AnswerMatch::Nowhere)
    }
}

/// The answers that a row gives to a question about `context`, each with its place if that is said; `None` if the row does not say.
/// `texts` and `starts` are the cells of answers and of their places.
///
/// # Errors
///
/// [`FileError::Content`] for answers that are no texts, and places that are no numbers or of another count. In CSV and TSV a list
/// written as text is no answer, unless it stands so in the context.
pub(super) fn of_row(
    row: &Row,
    texts: usize,
    starts: Option<usize>,
    context: &str,
) -> Result<Option<RowAnswers>, FileError> {
    if !matches!(row.cell(texts), Cell::Text(text) if context.contains(text.trim())) {
        let otherwise = "if it is the answer itself, it must stand so in the context";
        row.refuse_written_list(texts, Some(otherwise))?;
    }
    let texts_of = match row.cell(texts) {
        Cell::Null => return Ok(None),
        Cell::List(cells) => cells.as_slice(),
        // A table without lists has no other way to say that there is no answer.
        Cell::Text(text) if text.trim().is_empty() => &[],
        cell => std::slice::from_ref(cell),
    };
    let starts_of = match starts.map(|starts| row.cell(starts)) {
        None | Some(Cell::Null) => None,
        Some(Cell::List(cells)) => Some(cells.as_slice()),
        Some(Cell::Text(text)) if text.trim().is_empty() => None,
        Some(cell) => Some(std::slice::from_ref(cell)),
    };
    if let (Some(starts_of), Some(starts)) = (starts_of, starts)
        && starts_of.len() != texts_of.len()
        && !texts_of.is_empty()
    {
        return Err(row
            .problem(format!(
                "{} has `{}` answers, and {} has `{}` places",
                row.column(texts),
                texts_of.len(),
                row.column(starts),
                starts_of.len()
            ))
            .with_cure("give each answer its place, or none of them"));
    }
    let mut found = RowAnswers::default();
    for (at, text) in texts_of.iter().enumerate() {
        let text = match text {
            Cell::Text(text) => text.clone(),
            // Hugging Face's datasets hold years and counts as text; tables of one's own may not.
            Cell::Integer(number) => number.to_string(),
            _ => {
                return Err(row
                    .problem(format!("an answer in {} is no text", row.column(texts)))
                    .with_cure("write it as a string, in quotes"));
            }
        };
        let start = match (starts_of.and_then(|cells| cells.get(at)), starts) {
            (Some(cell), Some(starts)) => place(cell)
                .map_err(|problem| row.problem(format!("{problem} in {}", row.column(starts))))?,
            _ => None,
        };
        if text.trim().is_empty() {
            found.has_blanks = true;
        } else {
            found.answers.push((text, start));
        }
    }
    Ok(Some(found))
}

/// A place, from 0; `None` where nothing is said, which may be written as −1.
fn place(cell: &Cell) -> Result<Option<usize>, String> {
    let number = match cell {
        Cell::Null => return Ok(None),
        Cell::Integer(number) => *number,
        // Columns with missing values hold whole numbers so.
        Cell::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => *number as i64,
        Cell::Text(text) if text.trim().is_empty() => return Ok(None),
        Cell::Text(text) => text
            .trim()
            .parse()
            .map_err(|_| format!("`{text}` is no place of an answer, a whole number from 0,"))?,
        _ => return Err("a place of an answer is no whole number".to_owned()),
    };
    match usize::try_from(number) {
        Ok(place) => Ok(Some(place)),
        Err(_) if number == -1 => Ok(None),
        Err(_) => Err(format!("`{number}` is no place of an answer, a whole number from 0,")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, start: Option<usize>) -> (usize, AnswerMatch) {
        let context = format!("the cat é sat. {}the cat ran", "x".repeat(60));
        let (answer, found) = find(&Characters::new(&context), text, start);
        assert_eq!(answer.text, text.trim());
        (answer.start, found)
    }

    #[test]
    fn answers_are_found_at_or_near_their_place() {
        assert_eq!(found("cat", Some(4)), (4, AnswerMatch::There));
        assert_eq!(found(" cat ", Some(3)), (4, AnswerMatch::There));
        assert_eq!(found("cat", Some(5)), (4, AnswerMatch::Moved(1)));
        assert_eq!(found("cat", Some(78)), (79, AnswerMatch::Moved(1)));
        // Neither place of the words is near.
        assert_eq!(found("cat", Some(42)), (42, AnswerMatch::Nowhere));
        assert_eq!(found("é", Some(70)), (8, AnswerMatch::Moved(62)));
        // `é` has two bytes. The other `cat` is far from 80, and neither is the only one.
        assert_eq!(found("cat", Some(80)), (79, AnswerMatch::InBytes));
        assert_eq!(found(" cat", Some(79)), (79, AnswerMatch::InBytes));
        assert_eq!(found("cat", None), (4, AnswerMatch::ByWords));
        assert_eq!(found("dog", Some(7)), (7, AnswerMatch::Nowhere));
        assert_eq!(found("dog", None), (0, AnswerMatch::Nowhere));
        assert_eq!(found("ran", Some(usize::MAX)).1, AnswerMatch::Moved(usize::MAX - 83));
    }

    #[test]
    fn places_are_whole_numbers() {
        let text = |text: &str| Cell::Text(text.to_owned());
        for (cell, expected) in [
            (Cell::Integer(3), Some(3)),
            (Cell::Number(3.0), Some(3)),
            (text(" 3"), Some(3)),
            (text(""), None),
            (Cell::Integer(-1), None),
            (Cell::Null, None),
        ] {
            assert_eq!(place(&cell).unwrap(), expected, "{cell:?}");
        }
        for cell in [Cell::Integer(-2), Cell::Number(0.5), text("x"), Cell::Boolean(true)] {
            assert!(place(&cell).is_err(), "{cell:?}");
        }
    }
}
