//! How well named entities are found: precision, recall and F1 of whole entities, as `seqeval` 1.2.2 has them.

use std::collections::BTreeMap;

use super::ClassScores;

/// The tag of a word in IOB2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntityTag<'a> {
    /// `O`: the word belongs to no entity.
    Outside,
    /// `B-TYPE`: it begins one.
    Begin(&'a str),
    /// `I-TYPE`: it goes on with one.
    Inside(&'a str),
}

impl<'a> EntityTag<'a> {
    /// Reads `O`, `B-TYPE` or `I-TYPE` (`B` or `I` of entities without types); `None` for anything else.
    pub fn parse(text: &'a str) -> Option<Self> {
        match text.split_once('-') {
            None => match text {
                "O" => Some(Self::Outside),
                "B" => Some(Self::Begin("")),
                "I" => Some(Self::Inside("")),
                _ => None,
            },
            Some((_, "")) => None,
            Some(("B", kind)) => Some(Self::Begin(kind)),
            Some(("I", kind)) => Some(Self::Inside(kind)),
            Some(_) => None,
        }
    }

    /// The type of the entity that the word belongs to.
    pub fn kind(self) -> Option<&'a str> {
        match self {
            Self::Outside => None,
            Self::Begin(kind) | Self::Inside(kind) => Some(kind),
        }
    }
}

/// What counts as the beginning of an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntityMode {
    /// `B-`, and `I-` where no entity of its type goes on: the rule of `conlleval`, and of `seqeval` if nothing is said.
    Lenient,
    /// `B-` alone: `mode="strict", scheme=IOB2` of `seqeval`. An `I-` that continues no entity belongs to none.
    Strict,
}

/// An entity: its type, its first word and the one after its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntitySpan<'a> {
    /// The first word, from 0.
    pub start: usize,
    /// The word after the last.
    pub end: usize,
    /// What it is.
    pub kind: &'a str,
}

/// The entities of a sentence, in their order.
pub fn entities<'a>(tags: &[EntityTag<'a>], mode: EntityMode) -> Vec<EntitySpan<'a>> {
    let mut found: Vec<EntitySpan<'a>> = Vec::new();
    // The entity that the word before belongs to, if any.
    let mut open: Option<EntitySpan<'a>> = None;
    for (word, tag) in tags.iter().enumerate() {
        let goes_on =
            matches!((tag, open), (EntityTag::Inside(kind), Some(span)) if span.kind == *kind);
        if goes_on {
            open = open.map(|span| EntitySpan { end: word + 1, ..span });
            continue;
        }
        found.extend(open.take());
        open = match (tag, mode) {
            (EntityTag::Begin(kind), _) | (EntityTag::Inside(kind), EntityMode::Lenient) => {
                Some(EntitySpan { start: word, end: word + 1, kind })
            }
            (EntityTag::Outside, _) | (EntityTag::Inside(_), EntityMode::Strict) => None,
        };
    }
    found.extend(open);
    found
}

/// How many entities of a type there are, were predicted, and both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    right: u64,
    predicted: u64,
    support: u64,
}

impl Counts {
    fn scores(self) -> ClassScores {
        let share = |part: u64, whole: u64| {
            if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
        };
        ClassScores {
            precision: share(self.right, self.predicted),
            recall: share(self.right, self.support),
            f1: share(2 * self.right, self.predicted + self.support),
            support: self.support,
        }
    }
}

/// Counts of entities over sentences. An entity is right if its type, its first and its last word are.
///
/// ```
/// use nystromformer_tasks::metrics::{EntityMode, EntityScores, EntityTag};
///
/// let tags = |text: &'static str| -> Vec<EntityTag<'static>> {
///     text.split(' ').map(|tag| EntityTag::parse(tag).expect("a tag")).collect()
/// };
/// let mut scores = EntityScores::new(EntityMode::Lenient);
/// scores.add(&tags("B-PER I-PER O I-LOC"), &tags("B-PER I-PER O B-LOC"));
/// scores.add(&tags("B-ORG O"), &tags("B-ORG I-ORG"));
/// assert_eq!(scores.micro().f1, 2.0 / 3.0);
/// assert_eq!(scores.per_type()["LOC"].recall, 1.0);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityScores {
    mode: EntityMode,
    types: BTreeMap<String, Counts>,
}

impl EntityScores {
    /// Nothing is counted yet.
    pub fn new(mode: EntityMode) -> Self {
        Self { mode, types: BTreeMap::new() }
    }

    /// Counts the entities of one more sentence.
    ///
    /// # Panics
    ///
    /// If there is not one prediction for each word.
    pub fn add(&mut self, predictions: &[EntityTag<'_>], references: &[EntityTag<'_>]) {
        assert_eq!(
            predictions.len(),
            references.len(),
            "every word has a prediction and a reference"
        );
        let predicted = entities(predictions, self.mode);
        let right = entities(references, self.mode);
        for span in &right {
            self.of(span.kind).support += 1;
        }
        for span in &predicted {
            // Both are sorted by where they begin, and no two begin at one word.
            let is_right = right.binary_search(span).is_ok();
            let counts = self.of(span.kind);
            counts.predicted += 1;
            counts.right += u64::from(is_right);
        }
    }

    fn of(&mut self, kind: &str) -> &mut Counts {
        if !self.types.contains_key(kind) {
            self.types.insert(kind.to_owned(), Counts::default());
        }
        self.types.get_mut(kind).expect("it was put in above")
    }

    /// Precision, recall and F1 over the entities of all types; each is 0 where its denominator is.
    pub fn micro(&self) -> ClassScores {
        let sum = self.types.values().fold(Counts::default(), |sum, counts| Counts {
            right: sum.right + counts.right,
            predicted: sum.predicted + counts.predicted,
            support: sum.support + counts.support,
        });
        sum.scores()
    }

    /// The same of each type that occurs or is predicted.
    pub fn per_type(&self) -> BTreeMap<&str, ClassScores> {
        self.types.iter().map(|(kind, counts)| (kind.as_str(), counts.scores())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(tags: &'static str, mode: EntityMode) -> Vec<(usize, usize, &'static str)> {
        let tags: Vec<EntityTag<'_>> =
            tags.split(' ').map(|tag| EntityTag::parse(tag).unwrap()).collect();
        entities(&tags, mode).into_iter().map(|span| (span.start, span.end, span.kind)).collect()
    }

    #[test]
    fn the_modes_differ_by_entities_that_nothing_begins() {
        let tags = "I-A I-A O I-B B-B I-A I-B";
        assert_eq!(
            spans(tags, EntityMode::Lenient),
            [(0, 2, "A"), (3, 4, "B"), (4, 5, "B"), (5, 6, "A"), (6, 7, "B")]
        );
        assert_eq!(spans(tags, EntityMode::Strict), [(4, 5, "B")]);
        // In both an entity of another type ends the one before.
        assert_eq!(spans("B-A I-B I-A", EntityMode::Strict), [(0, 1, "A")]);
        assert_eq!(spans("B I O B", EntityMode::Strict), [(0, 2, ""), (3, 4, "")]);
    }

    #[test]
    fn nothing_found_and_nothing_there_is_zero() {
        let mut scores = EntityScores::new(EntityMode::Lenient);
        let nothing = ClassScores { precision: 0.0, recall: 0.0, f1: 0.0, support: 0 };
        assert_eq!(scores.micro(), nothing);
        scores.add(&[EntityTag::Outside], &[EntityTag::Outside]);
        assert_eq!(scores.micro(), nothing);
        assert!(scores.per_type().is_empty());
    }

    #[test]
    fn only_tags_of_iob2_are_read() {
        for other in ["NN", "E-PER", "B-", "b-PER", ""] {
            assert_eq!(EntityTag::parse(other), None, "{other}");
        }
        assert_eq!(EntityTag::parse("I-creative-work"), Some(EntityTag::Inside("creative-work")));
    }
}
