//! Parts of a text by characters, as tokenizers and Python count them.

/// A text and where its characters begin.
pub(crate) struct Characters<'a> {
    text: &'a str,
    /// Byte at which each character begins, and the text's end.
    starts: Vec<usize>,
}

impl<'a> Characters<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let starts = text.char_indices().map(|(start, _)| start).chain([text.len()]).collect();
        Self { text, starts }
    }

    /// The characters from `start` up to, but not including, `end`; cut to the text, as Python's slices are.
    pub(crate) fn slice(&self, start: usize, end: usize) -> &'a str {
        let byte =
            |character: usize| self.starts.get(character).copied().unwrap_or(self.text.len());
        self.text.get(byte(start)..byte(end)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Characters;

    #[test]
    fn slices_count_characters_and_stay_within_the_text() {
        let characters = Characters::new("é😀a");
        assert_eq!(characters.slice(0, 1), "é");
        assert_eq!(characters.slice(1, 3), "😀a");
        assert_eq!(characters.slice(2, 9), "a");
        assert_eq!(characters.slice(2, 1), "");
        assert_eq!(characters.slice(7, 9), "");
    }
}
