//! Parts of a text by characters, as tokenizers and Python count them.

/// A text and where its characters begin.
#[derive(Debug, Clone)]
pub struct Characters<'a> {
    text: &'a str,
    /// Byte at which each character begins, and the text's end; empty where every character is a byte.
    starts: Vec<usize>,
}

impl<'a> Characters<'a> {
    /// Finds the characters of a text.
    pub fn new(text: &'a str) -> Self {
        let starts = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().map(|(start, _)| start).chain([text.len()]).collect()
        };
        Self { text, starts }
    }

    /// The characters from `start` up to, but not including, `end`; cut to the text, as Python's slices are.
    pub fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(self.byte(start)..self.byte(end)).unwrap_or_default()
    }

    /// Whether `part` stands at the character `start`.
    pub fn has_at(&self, start: usize, part: &str) -> bool {
        self.text[self.byte(start)..].starts_with(part)
    }

    /// The characters at which `part` stands, in increasing order; of places that overlap the first.
    pub fn places(&self, part: &str) -> impl Iterator<Item = usize> {
        self.text.match_indices(part).map(|(byte, _)| {
            if self.starts.is_empty() {
                byte
            } else {
                self.starts.partition_point(|start| *start < byte)
            }
        })
    }

    /// The character that begins at a byte; `None` if none does.
    pub fn at_byte(&self, byte: usize) -> Option<usize> {
        if self.starts.is_empty() {
            return (byte <= self.text.len()).then_some(byte);
        }
        self.starts.binary_search(&byte).ok()
    }

    fn byte(&self, character: usize) -> usize {
        if self.starts.is_empty() {
            return character.min(self.text.len());
        }
        self.starts.get(character).copied().unwrap_or(self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::Characters;

    #[test]
    fn slices_count_characters_and_stay_within_the_text() {
        for (text, parts) in [("é😀a", ["é", "😀a", "a"]), ("xya", ["x", "ya", "a"])] {
            let characters = Characters::new(text);
            assert_eq!(characters.slice(0, 1), parts[0]);
            assert_eq!(characters.slice(1, 3), parts[1]);
            assert_eq!(characters.slice(2, 9), parts[2]);
            assert_eq!(characters.slice(2, 1), "");
            assert_eq!(characters.slice(7, 9), "");
        }
    }

    #[test]
    fn no_character_begins_within_another() {
        assert_eq!(Characters::new("éa").at_byte(1), None);
    }

    #[test]
    fn parts_are_found_by_their_characters() {
        for text in ["éa éa", "ea ea"] {
            let characters = Characters::new(text);
            assert!(characters.has_at(1, "a ") && !characters.has_at(0, "a"));
            assert!(!characters.has_at(9, "a") && characters.has_at(5, ""));
            assert_eq!(characters.places("a").collect::<Vec<_>>(), [1, 4]);
            assert_eq!(characters.places("x").count(), 0);
            assert_eq!(characters.at_byte(text.find(' ').unwrap()), Some(2));
            assert_eq!(characters.at_byte(text.len() + 1), None);
        }
    }
}
