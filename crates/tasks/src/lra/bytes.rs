//! Text as bytes, for models that know no words.

use crate::example::{Example, ExampleReader, Input};

/// Ids of the vocabulary: padding (0), and a byte's value plus 1.
pub const VOCAB_SIZE: usize = 257;

/// The ids of the first `max_length` bytes of a text in UTF-8, as TensorFlow's `ByteTextEncoder` gives them. The end may
/// cut a character in two.
pub fn ids(text: &str, max_length: usize) -> Vec<u16> {
    text.bytes().take(max_length).map(|byte| u16::from(byte) + 1).collect()
}

/// Turns a reader of texts into one of their [`ids`]. What comes as ids already stays as it is.
pub fn reader(texts: ExampleReader, max_length: usize) -> ExampleReader {
    Box::new(texts.map(move |example| {
        let Example { input, label } = example?;
        let input = match input {
            Input::Text { first, second } => Input::Ids {
                first: ids(&first, max_length),
                second: second.map(|second| ids(&second, max_length)),
            },
            ids @ Input::Ids { .. } => ids,
        };
        Ok(Example { input, label })
    }))
}

#[cfg(test)]
mod tests {
    use nystromformer_data::DataError;

    use super::*;
    use crate::example::Label;

    #[test]
    fn a_byte_is_its_value_plus_one_and_the_end_is_cut() {
        assert_eq!(ids("aé\0", 10), [98, 0xc3 + 1, 0xa9 + 1, 1]);
        assert_eq!(ids("aé", 2), [98, 0xc4]);
        assert!(ids("", 2).is_empty());
    }

    #[test]
    fn texts_become_ids_and_all_else_stays() {
        let label = Some(Label::Class(1));
        let text = |first: &str, second: Option<&str>| Example {
            input: Input::Text { first: first.to_owned(), second: second.map(str::to_owned) },
            label,
        };
        let ids = Input::Ids { first: vec![500], second: None };
        let texts: ExampleReader = Box::new(
            [
                Ok(text("ab", None)),
                Ok(text("a", Some("bcd"))),
                Ok(Example { input: ids.clone(), label }),
                Err(DataError::config("key", "value", "problem")),
            ]
            .into_iter(),
        );
        let read: Vec<_> = reader(texts, 2).collect();
        let input = |place: usize| &read[place].as_ref().unwrap().input;
        assert_eq!(*input(0), Input::Ids { first: vec![98, 99], second: None });
        assert_eq!(*input(1), Input::Ids { first: vec![98], second: Some(vec![99, 100]) });
        assert_eq!(*input(2), ids);
        assert!(read[..3].iter().all(|example| example.as_ref().unwrap().label == label));
        assert!(read[3].is_err());
    }
}
