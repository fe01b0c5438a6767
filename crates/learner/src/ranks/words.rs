//! Small things as words of 64 bits, which every rank reads as they were written.

/// Words that are written one after the other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Words(Vec<u64>);

impl Words {
    /// A count or a flag.
    pub fn count(&mut self, count: usize) {
        self.0.push(count as u64);
    }

    /// A number, bit by bit.
    pub fn number(&mut self, number: f64) {
        self.0.push(number.to_bits());
    }

    /// Numbers, two to a word, behind their count.
    pub fn floats(&mut self, floats: &[f32]) {
        self.count(floats.len());
        self.0.extend(floats.chunks(2).map(|pair| {
            let [low, high] = [pair[0], pair.get(1).copied().unwrap_or_default()];
            u64::from(low.to_bits()) | u64::from(high.to_bits()) << 32
        }));
    }

    /// A text, behind its length.
    pub fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend(text.as_bytes().chunks(8).map(|bytes| {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(word)
        }));
    }

    /// The words.
    pub fn into_vec(self) -> Vec<u64> {
        self.0
    }
}

/// Reads what [`Words`] wrote, in the same order. `None` where it was something else.
#[derive(Debug, Clone, Copy)]
pub struct WordReader<'a>(&'a [u64]);

impl<'a> WordReader<'a> {
    /// Of these words.
    pub fn new(words: &'a [u64]) -> Self {
        Self(words)
    }

    /// Whether all was read.
    pub fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    fn word(&mut self) -> Option<u64> {
        let (word, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*word)
    }

    fn some(&mut self, count: usize) -> Option<&'a [u64]> {
        let (words, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(words)
    }

    /// As [`Words::count`].
    pub fn count(&mut self) -> Option<usize> {
        self.word().map(|word| word as usize)
    }

    /// As [`Words::number`].
    pub fn number(&mut self) -> Option<f64> {
        self.word().map(f64::from_bits)
    }

    /// As [`Words::floats`].
    pub fn floats(&mut self) -> Option<Vec<f32>> {
        let count = self.count()?;
        let words = self.some(count.div_ceil(2))?;
        let pair = |word: &u64| [f32::from_bits(*word as u32), f32::from_bits((word >> 32) as u32)];
        let mut floats: Vec<f32> = words.iter().flat_map(pair).collect();
        floats.truncate(count);
        Some(floats)
    }

    /// As [`Words::text`].
    pub fn text(&mut self) -> Option<String> {
        let count = self.count()?;
        let words = self.some(count.div_ceil(8))?;
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.truncate(count);
        String::from_utf8(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_read_as_it_was_written_and_nothing_beyond_it() {
        let mut words = Words::default();
        words.count(3);
        words.number(f64::NEG_INFINITY);
        words.floats(&[1.5, f32::MIN_POSITIVE, -0.0]);
        words.floats(&[]);
        words.text("précision");
        words.number(-0.0);
        let words = words.into_vec();
        let mut reader = WordReader::new(&words);
        assert_eq!((reader.count(), reader.number()), (Some(3), Some(f64::NEG_INFINITY)));
        let floats = reader.floats().unwrap();
        assert_eq!(floats, [1.5, f32::MIN_POSITIVE, 0.0]);
        assert!(floats[2].is_sign_negative());
        assert_eq!(reader.floats(), Some(Vec::new()));
        assert_eq!(reader.text().as_deref(), Some("précision"));
        assert!(reader.number().unwrap().is_sign_negative() && reader.is_at_end());
        assert_eq!((reader.count(), reader.text()), (None, None));
        // What says that it is longer than all there is.
        assert_eq!(WordReader::new(&[u64::MAX, 1]).floats(), None);
        assert_eq!(WordReader::new(&[9, 1]).text(), None);
    }
}
