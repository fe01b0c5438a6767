//! Text as bytes, for models that know no words.

use nystromformer_tasks::{Example, ExampleReader, Input, OwnVocabulary};

/// The vocabulary: padding (0), and a byte's value plus 1.
pub const VOCABULARY: OwnVocabulary = OwnVocabulary::new(257, 0);

/// The ids of a text's bytes in UTF-8, as TensorFlow's `ByteTextEncoder` gives them. A row that is cut may end within a character.
pub fn ids(text: &str) -> Vec<u16> {
    text.bytes().map(|byte| u16::from(byte) + 1).collect()
}

/// Turns a reader of texts into one of their [`ids`]. What comes as ids already stays as it is.
pub fn reader(texts: ExampleReader) -> ExampleReader {
    Box::new(texts.map(|example| {
        let example = example?;
        let input = match example.input {
            Input::Text { first, second } => {
                Input::Ids { first: ids(&first), second: second.as_deref().map(ids) }
            }
            // Ids already, or no texts.
            other => other,
        };
        Ok(Example { input, ..example })
    }))
}

#[cfg(test)]
mod tests {
    use nystromformer_tasks::{DataError, Label};

    use super::*;

    #[test]
    fn a_byte_is_its_value_plus_one() {
        assert_eq!(ids("aé\0"), [98, 0xc3 + 1, 0xa9 + 1, 1]);
        assert!(ids("").is_empty());
    }

    #[test]
    fn texts_become_ids_and_all_else_stays() {
        let label = || Some(Label::Class(1));
        let text = |first: &str, second: Option<&str>| Example {
            row: None,
            id: None,
            input: Input::Text { first: first.to_owned(), second: second.map(str::to_owned) },
            label: label(),
        };
        let ids = Input::Ids { first: vec![500], second: None };
        let texts: ExampleReader = Box::new(
            [
                Ok(text("ab", None)),
                Ok(text("a", Some("bcd"))),
                Ok(Example { row: None, id: None, input: ids.clone(), label: label() }),
                Err(DataError::config("key", "value", "problem")),
            ]
            .into_iter(),
        );
        let read: Vec<_> = reader(texts).collect();
        let input = |place: usize| &read[place].as_ref().unwrap().input;
        assert_eq!(*input(0), Input::Ids { first: vec![98, 99], second: None });
        assert_eq!(*input(1), Input::Ids { first: vec![98], second: Some(vec![99, 100, 101]) });
        assert_eq!(*input(2), ids);
        assert!(read[..3].iter().all(|example| example.as_ref().unwrap().label == label()));
        assert!(read[3].is_err());
    }
}
