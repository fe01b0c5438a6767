//! Schemes of tags (IOB1, IOB2, BIOES), and how tags of one become tags of another.

use serde::{Deserialize, Serialize};

use super::tag::{EntityPosition, Tag, spelt};
use crate::metrics::{EntityMode, EntitySpan, EntityTag, entities};

/// How tags say where entities begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// `I-`; `B-` only for an entity right behind another of its type, as in the files of CoNLL-2003.
    Iob1,
    /// `B-` for the first word of every entity, `I-` for the others; also called BIO.
    #[serde(alias = "bio", alias = "iob")]
    Iob2,
    /// As `iob2`, and `E-` for the last of several words, `S-` for a single one. BILOU (`L-`, `U-`) and BMES (`M-`) are this by
    /// other letters, and are read too.
    #[serde(alias = "iobes", alias = "bilou", alias = "bmes")]
    Bioes,
    /// None: every tag is a class of its own, such as a part of speech.
    None,
}

impl Scheme {
    /// The value of `task.scheme`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Iob1 => "iob1",
            Self::Iob2 => "iob2",
            Self::Bioes => "bioes",
            Self::None => "none",
        }
    }

    /// Whether the scheme has such a tag.
    pub(super) fn has(self, tag: &str) -> bool {
        let position = Tag::parse(tag).map(|tag| tag.position);
        match self {
            Self::None => true,
            Self::Bioes => position.is_some(),
            Self::Iob1 | Self::Iob2 => {
                matches!(
                    position,
                    Some(EntityPosition::Outside | EntityPosition::Begin | EntityPosition::Inside)
                )
            }
        }
    }
}

/// Tags of any scheme in IOB2. An `I-` or `E-` that continues no entity becomes a `B-`. A word without a tag ends the entity
/// before it.
pub(super) fn to_iob2<'a>(tags: &[Option<Tag<'a>>]) -> Vec<Option<EntityTag<'a>>> {
    // The type of the entity that the next word may go on with.
    let mut open: Option<&str> = None;
    let mut converted = Vec::with_capacity(tags.len());
    for tag in tags {
        let Some(Tag { position, kind }) = *tag else {
            open = None;
            converted.push(None);
            continue;
        };
        let goes_on =
            matches!(position, EntityPosition::Inside | EntityPosition::End) && open == Some(kind);
        converted.push(Some(match position {
            EntityPosition::Outside => EntityTag::Outside,
            _ if goes_on => EntityTag::Inside(kind),
            _ => EntityTag::Begin(kind),
        }));
        open = matches!(position, EntityPosition::Begin | EntityPosition::Inside).then_some(kind);
    }
    converted
}

/// Tags of IOB2 as this scheme writes them.
pub(super) fn from_iob2(tags: &[EntityTag<'_>], scheme: Scheme) -> Vec<String> {
    let mut written = vec!["O".to_owned(); tags.len()];
    let mut before: Option<EntitySpan<'_>> = None;
    for span in entities(tags, EntityMode::Lenient) {
        let EntitySpan { start, end, kind } = span;
        let touches = before.is_some_and(|before| before.end == start && before.kind == kind);
        for (word, tag) in written.iter_mut().enumerate().take(end).skip(start) {
            let (is_first, is_last) = (word == start, word + 1 == end);
            let prefix = match scheme {
                Scheme::Iob1 if is_first && touches => "B",
                Scheme::Iob1 => "I",
                Scheme::Bioes if is_first && is_last => "S",
                Scheme::Bioes if is_last => "E",
                _ if is_first => "B",
                _ => "I",
            };
            *tag = spelt(prefix, kind);
        }
        before = Some(span);
    }
    written
}

/// What the tags that were looked at say of their scheme.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence {
    /// `B-` where IOB1 would write `I-`.
    begins: u64,
    /// `I-` that continues no entity; IOB2 has none.
    loose: u64,
    /// Tags that only BIOES has.
    ends: u64,
    /// Tags of entities, `O` not counted.
    of_entities: u64,
    /// Tags that are no entity tags.
    others: u64,
}

impl Evidence {
    /// Looks at the tags of one more sentence.
    pub(super) fn add(&mut self, tags: &[Option<String>]) {
        let mut before: Option<Tag<'_>> = None;
        for text in tags {
            let tag = text.as_deref().map(Tag::parse);
            let Some(Some(tag)) = tag else {
                self.others += u64::from(tag.is_some());
                before = None;
                continue;
            };
            let follows_its_kind = before.is_some_and(|before| {
                before.position != EntityPosition::Outside && before.kind == tag.kind
            });
            match tag.position {
                EntityPosition::Outside => {}
                EntityPosition::Begin => self.begins += u64::from(!follows_its_kind),
                EntityPosition::Inside => self.loose += u64::from(!follows_its_kind),
                EntityPosition::End | EntityPosition::Single => self.ends += 1,
            }
            // `M-` is of BMES alone.
            self.ends += u64::from(text.as_deref().is_some_and(|text| text.starts_with("M-")));
            self.of_entities += u64::from(tag.position != EntityPosition::Outside);
            before = Some(tag);
        }
    }

    /// The scheme that the fewest tags break, and how many do; `None` if some tags are of entities and some are not.
    pub(super) fn scheme(&self) -> Option<(Scheme, u64)> {
        match self {
            Self { others: 1.., of_entities: 0, .. } => Some((Scheme::None, 0)),
            Self { others: 1.., .. } => None,
            Self { ends: 1.., .. } => Some((Scheme::Bioes, 0)),
            Self { begins, loose, .. } if loose > begins => Some((Scheme::Iob1, *begins)),
            Self { loose, .. } => Some((Scheme::Iob2, *loose)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(tags: &str) -> Vec<Option<Tag<'_>>> {
        tags.split(' ').map(Tag::parse).collect()
    }

    fn iob2(tags: &str) -> String {
        let written = to_iob2(&parsed(tags)).into_iter().map(|tag| match tag {
            None => "?".to_owned(),
            Some(EntityTag::Outside) => "O".to_owned(),
            Some(EntityTag::Begin(kind)) => spelt("B", kind),
            Some(EntityTag::Inside(kind)) => spelt("I", kind),
        });
        written.collect::<Vec<_>>().join(" ")
    }

    fn found(tags: &[&str]) -> Option<(Scheme, u64)> {
        let mut evidence = Evidence::default();
        for tags in tags {
            evidence.add(&tags.split(' ').map(|tag| Some(tag.to_owned())).collect::<Vec<_>>());
        }
        evidence.scheme()
    }

    #[test]
    fn every_scheme_becomes_iob2() {
        assert_eq!(iob2("I-A I-A B-A I-B O I-B"), "B-A I-A B-A B-B O B-B");
        assert_eq!(iob2("B-A I-A B-A O I-A I-B"), "B-A I-A B-A O B-A B-B");
        assert_eq!(iob2("B-A I-A E-A S-A B-A E-A I-A"), "B-A I-A I-A B-A B-A I-A B-A");
        assert_eq!(iob2("B-A L-A U-A O M-B E-B"), "B-A I-A B-A O B-B I-B");
        assert_eq!(iob2("B I x I O"), "B I ? B O");
    }

    #[test]
    fn the_scheme_shows_in_what_begins_and_ends() {
        assert_eq!(found(&["O I-A I-A", "I-B B-B"]), Some((Scheme::Iob1, 0)));
        // In each of these one tag breaks the scheme.
        assert_eq!(found(&["O I-A", "B-B"]), Some((Scheme::Iob2, 1)));
        assert_eq!(found(&["O I-A", "B-B", "I-B"]), Some((Scheme::Iob1, 1)));
        assert_eq!(found(&["B-A I-A O", "B-A B-A"]), Some((Scheme::Iob2, 0)));
        assert_eq!(found(&["B-A E-A O", "S-A"]), Some((Scheme::Bioes, 0)));
        assert_eq!(found(&["B-A M-A O"]), Some((Scheme::Bioes, 0)));
        assert_eq!(found(&["B-A U-A"]), Some((Scheme::Bioes, 0)));
        assert_eq!(found(&["O O"]), Some((Scheme::Iob2, 0)));
        assert_eq!(found(&["NN DT O"]), Some((Scheme::None, 0)));
        assert_eq!(found(&["NN B-A"]), None);
    }

    #[test]
    fn a_told_scheme_has_its_own_tags() {
        assert!(Scheme::Iob2.has("I-A") && !Scheme::Iob2.has("E-A") && !Scheme::Iob1.has("NN"));
        assert!(Scheme::Bioes.has("U-A") && !Scheme::Bioes.has("NN") && Scheme::None.has("NN"));
    }

    proptest! {
        #[test]
        fn what_is_written_in_a_scheme_is_read_from_it(
            words in prop::collection::vec((0..3usize, prop::sample::select(vec!["A", "B"])), 0..20)
        ) {
            let tags: Vec<Option<Tag<'_>>> = words
                .iter()
                .map(|(position, kind)| {
                    let position = [EntityPosition::Outside, EntityPosition::Begin, EntityPosition::Inside][*position];
                    Some(Tag { position, kind: if position == EntityPosition::Outside { "" } else { kind } })
                })
                .collect();
            let iob2: Vec<EntityTag<'_>> = to_iob2(&tags).into_iter().flatten().collect();
            for scheme in [Scheme::Iob1, Scheme::Iob2, Scheme::Bioes] {
                let written = from_iob2(&iob2, scheme);
                let read: Vec<Option<Tag<'_>>> = written.iter().map(|tag| Tag::parse(tag)).collect();
                let read: Vec<EntityTag<'_>> = to_iob2(&read).into_iter().flatten().collect();
                prop_assert_eq!(&read, &iob2, "{:?}", scheme);
                prop_assert!(written.iter().all(|tag| scheme.has(tag)));
            }
        }
    }
}
