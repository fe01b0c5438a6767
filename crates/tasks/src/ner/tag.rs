//! What a tag says of its word.

/// Stands for a tag that is kept back.
pub(super) const NO_TAG: &str = "_";

/// Where in an entity a word stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntityPosition {
    /// In none: `O`.
    Outside,
    /// `B-`: it begins one.
    Begin,
    /// `I-`, in BMES `M-`: it goes on with one, or in IOB1 begins one.
    Inside,
    /// `E-`, in BILOU `L-`: it is the last of several.
    End,
    /// `S-`, in BILOU `U-`: it is all of one.
    Single,
}

/// A tag of an entity: `B-PER`, or without a type `B`; or `O`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag<'a> {
    pub(super) position: EntityPosition,
    /// What the entity is; empty of `O`, and where entities have no types.
    pub(super) kind: &'a str,
}

impl<'a> Tag<'a> {
    /// Reads a tag; `None` if it is no tag of an entity.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if text == "O" {
            return Some(Self { position: EntityPosition::Outside, kind: "" });
        }
        let (prefix, kind) = match text.split_once('-') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (text, ""),
        };
        let position = match prefix {
            "B" => EntityPosition::Begin,
            "I" | "M" => EntityPosition::Inside,
            "E" | "L" => EntityPosition::End,
            "S" | "U" => EntityPosition::Single,
            _ => return None,
        };
        Some(Self { position, kind })
    }
}

/// A tag in words: `B-PER`, or `B` of an entity without a type.
pub(super) fn spelt(prefix: &str, kind: &str) -> String {
    if kind.is_empty() { prefix.to_owned() } else { format!("{prefix}-{kind}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_have_a_position_and_a_type() {
        let tag = |position, kind| Some(Tag { position, kind });
        assert_eq!(Tag::parse("O"), tag(EntityPosition::Outside, ""));
        assert_eq!(Tag::parse("B-creative-work"), tag(EntityPosition::Begin, "creative-work"));
        assert_eq!(Tag::parse("L-PER"), tag(EntityPosition::End, "PER"));
        assert_eq!(Tag::parse("U-PER"), tag(EntityPosition::Single, "PER"));
        assert_eq!(Tag::parse("M-PER"), tag(EntityPosition::Inside, "PER"));
        assert_eq!(Tag::parse("I"), tag(EntityPosition::Inside, ""));
        for other in ["", "NN", "B-", "o", "-PER", "PER", "O-PER", "BI-PER"] {
            assert_eq!(Tag::parse(other), None, "{other}");
        }
        assert_eq!((spelt("B", "PER"), spelt("I", "")), ("B-PER".to_owned(), "I".to_owned()));
    }
}
