//! What a `spiece.model` says: SentencePiece's `ModelProto`, as far as encoding needs it.
//!
//! Field numbers and defaults are those of `sentencepiece_model.proto`, version 0.2.

use std::collections::HashSet;

use super::wire::{FieldValue, fields};

/// Pieces beyond which a file is not a vocabulary; the largest published ones have about 262,000.
const MOST_PIECES: usize = 1 << 20;
/// Bytes of a piece beyond which it is not one; training stops at a few dozen.
const LONGEST_PIECE: usize = 1 << 10;

/// What a piece is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PieceKind {
    Normal,
    Unknown,
    /// A symbol that text never becomes, such as `[CLS]`.
    Control,
    /// A symbol that text is always split at.
    UserDefined,
    /// One byte, as `<0x41>`, for characters that have no piece.
    Byte,
}

/// An entry of the vocabulary; its place is its id.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    /// Logarithm of its probability.
    pub(super) score: f32,
    pub(super) kind: PieceKind,
}

/// How a text was split when the model was trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Unigram,
    Bpe,
    Word,
    Char,
}

/// The parts of a model that encoding needs.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a field of the file, independent of the others"
)]
pub(super) struct ModelFile<'a> {
    pub(super) pieces: Vec<Piece<'a>>,
    pub(super) unknown_id: usize,
    pub(super) algorithm: Algorithm,
    /// Whether characters without a piece are spelt as bytes.
    pub(super) byte_fallback: bool,
    /// Whether a word's blank stands after it; before it is usual.
    pub(super) blank_as_suffix: bool,
    /// A trie of rewritten characters and what they become, empty if none are.
    pub(super) charsmap: &'a [u8],
    /// Whether a text gets a blank in front.
    pub(super) add_dummy_prefix: bool,
    /// Whether blanks are stripped from both ends and runs of them become one.
    pub(super) remove_extra_whitespaces: bool,
    /// Whether blanks become `▁`.
    pub(super) escape_whitespaces: bool,
}

impl<'a> ModelFile<'a> {
    /// Reads the bytes of a file. Every text is a part of them.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let mut model = Self {
            pieces: Vec::new(),
            unknown_id: 0,
            algorithm: Algorithm::Unigram,
            byte_fallback: false,
            blank_as_suffix: false,
            charsmap: &[],
            add_dummy_prefix: true,
            remove_extra_whitespaces: true,
            escape_whitespaces: true,
        };
        for field in fields(bytes) {
            match field? {
                (1, value) => {
                    let id = model.pieces.len();
                    let piece = Piece::parse(value.bytes()?)
                        .map_err(|problem| format!("piece {id}: {problem}"))?;
                    if id == MOST_PIECES {
                        return Err(format!("it has more than {MOST_PIECES} pieces"));
                    }
                    model.pieces.push(piece);
                }
                (2, value) => model.read_trainer(value.bytes()?)?,
                (3, value) => model.read_normalizer(value.bytes()?)?,
                _ => {}
            }
        }
        model.unknown_id = model.checked_unknown_id()?;
        Ok(model)
    }

    fn read_trainer(&mut self, message: &[u8]) -> Result<(), String> {
        for field in fields(message) {
            match field? {
                (3, value) => {
                    self.algorithm = match value.number()? {
                        1 => Algorithm::Unigram,
                        2 => Algorithm::Bpe,
                        3 => Algorithm::Word,
                        4 => Algorithm::Char,
                        other => {
                            return Err(format!("`model_type` is `{other}`, which is unknown"));
                        }
                    }
                }
                (24, value) => self.blank_as_suffix = value.number()? != 0,
                (35, value) => self.byte_fallback = value.number()? != 0,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_normalizer(&mut self, message: &'a [u8]) -> Result<(), String> {
        for field in fields(message) {
            match field? {
                (2, value) => self.charsmap = value.bytes()?,
                (3, value) => self.add_dummy_prefix = value.number()? != 0,
                (4, value) => self.remove_extra_whitespaces = value.number()? != 0,
                (5, value) => self.escape_whitespaces = value.number()? != 0,
                _ => {}
            }
        }
        Ok(())
    }

    /// The id of the one unknown piece; all pieces must differ.
    fn checked_unknown_id(&self) -> Result<usize, String> {
        let mut seen = HashSet::with_capacity(self.pieces.len());
        if let Some(twice) = self.pieces.iter().find(|piece| !seen.insert(piece.text)) {
            return Err(format!("the piece `{}` is there twice", twice.text.escape_debug()));
        }
        let unknown = |(_, piece): &(usize, &Piece)| piece.kind == PieceKind::Unknown;
        let mut unknown = self.pieces.iter().enumerate().filter(unknown).map(|(id, _)| id);
        match (unknown.next(), unknown.next()) {
            (Some(id), None) => Ok(id),
            (None, _) => {
                Err(format!("none of its {} pieces is the unknown one", self.pieces.len()))
            }
            (Some(first), Some(second)) => {
                Err(format!("two pieces, {first} and {second}, are the unknown one"))
            }
        }
    }
}

impl<'a> Piece<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, String> {
        let mut piece = Self { text: "", score: 0.0, kind: PieceKind::Normal };
        for field in fields(message) {
            match field? {
                (1, value) => piece.text = value.text()?,
                (2, value) => piece.score = value.float()?,
                (3, value) => piece.kind = PieceKind::parse(value)?,
                _ => {}
            }
        }
        if piece.text.is_empty() || piece.text.len() > LONGEST_PIECE {
            return Err(format!(
                "its text has {} bytes instead of 1 to {LONGEST_PIECE}",
                piece.text.len()
            ));
        }
        if !piece.score.is_finite() {
            return Err(format!("its score is `{}`", piece.score));
        }
        Ok(piece)
    }
}

impl PieceKind {
    fn parse(value: FieldValue) -> Result<Self, String> {
        match value.number()? {
            1 => Ok(Self::Normal),
            2 => Ok(Self::Unknown),
            3 => Ok(Self::Control),
            4 => Ok(Self::UserDefined),
            6 => Ok(Self::Byte),
            // 5, unused, marks pieces while a program runs and is not written to files.
            other => Err(format!("its type is `{other}`, which is unknown")),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::wire::tests::put;
    use super::*;

    /// The bytes of a model with these pieces (type as in the file), and nothing else.
    pub(in super::super) fn model_of(pieces: &[(&str, f32, u64)]) -> Vec<u8> {
        let mut file = Vec::new();
        for (text, score, kind) in pieces {
            let mut piece = Vec::new();
            put(&mut piece, 1, FieldValue::Bytes(text.as_bytes()));
            put(&mut piece, 2, FieldValue::Fixed32(score.to_bits()));
            put(&mut piece, 3, FieldValue::Varint(*kind));
            put(&mut file, 1, FieldValue::Bytes(&piece));
        }
        file
    }

    #[test]
    fn fields_are_read_and_others_passed_over() {
        let mut file = model_of(&[("<unk>", 0.0, 2), ("▁a", -1.5, 1), ("(", 0.0, 4)]);
        let mut normalizer = Vec::new();
        put(&mut normalizer, 1, FieldValue::Bytes(b"nfkc"));
        put(&mut normalizer, 2, FieldValue::Bytes(b"map"));
        put(&mut normalizer, 3, FieldValue::Varint(0));
        put(&mut file, 3, FieldValue::Bytes(&normalizer));
        let mut trainer = Vec::new();
        put(&mut trainer, 3, FieldValue::Varint(2));
        put(&mut trainer, 10, FieldValue::Fixed32(0.9995_f32.to_bits()));
        put(&mut file, 2, FieldValue::Bytes(&trainer));
        put(&mut file, 4, FieldValue::Bytes(b"self test"));
        let model = ModelFile::parse(&file).unwrap();
        assert_eq!(model.pieces[1], Piece { text: "▁a", score: -1.5, kind: PieceKind::Normal });
        assert_eq!(model.pieces[2].kind, PieceKind::UserDefined);
        assert_eq!((model.unknown_id, model.algorithm), (0, Algorithm::Bpe));
        assert_eq!((model.charsmap, model.add_dummy_prefix), (&b"map"[..], false));
        assert!(model.remove_extra_whitespaces && model.escape_whitespaces);
    }

    #[test]
    fn unusable_pieces_are_refused() {
        let refused =
            |pieces: &[(&str, f32, u64)]| ModelFile::parse(&model_of(pieces)).unwrap_err();
        assert!(refused(&[("a", 0.0, 1)]).contains("none of its 1 pieces is the unknown"));
        assert!(refused(&[("u", 0.0, 2), ("v", 0.0, 2)]).contains("two pieces, 0 and 1"));
        assert!(
            refused(&[("u", 0.0, 2), ("a", 0.0, 1), ("a", 1.0, 1)]).contains("`a` is there twice")
        );
        assert!(refused(&[("u", f32::NAN, 2)]).contains("piece 0: its score is `NaN`"));
        assert!(refused(&[("u", 0.0, 2), ("", 0.0, 1)]).contains("piece 1: its text has 0 bytes"));
        assert!(refused(&[("u", 0.0, 7)]).contains("type is `7`"));
    }
}
