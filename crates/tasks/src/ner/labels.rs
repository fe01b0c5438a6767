//! The labels of a model: as they are named, or as the tags of the training files are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use nystromformer_data::DataError;
use nystromformer_files::say_once;

use super::scheme::{Evidence, Scheme};
use super::sentence::TaggedWords;
use super::tag::{EntityPosition, NO_TAG, Tag, spelt};
use crate::labelled::ClassNames;
use crate::metrics::EntityTag;
use crate::missing_labels::check_missing;

/// Most different tags of a column whose labels are not named. A column with more holds no tags.
const MOST_COLLECTED: usize = 1_000;

/// Whether labels are tags of entities in IOB2.
pub(super) fn are_of_entities(names: &[String]) -> bool {
    names.iter().all(|name| EntityTag::parse(name).is_some())
}

/// The class of a word's further tokens, for each class of its first: of `B-PER` it is `I-PER`, as in transformers' scripts.
pub(super) fn continuations(names: &[String], of_entities: bool) -> Vec<u16> {
    let class = |wanted: &str| names.iter().position(|name| name == wanted);
    let continuation = |(class_of_first, name): (usize, &String)| {
        let inside = match EntityTag::parse(name).filter(|_| of_entities) {
            Some(EntityTag::Begin(kind)) => class(&spelt("I", kind)),
            _ => None,
        };
        inside.unwrap_or(class_of_first) as u16
    };
    names.iter().enumerate().map(continuation).collect()
}

/// The labels of a model for tags of these names, in any scheme: the names themselves if they are IOB2 already, else `O`, and
/// `B-` and `I-` of each type.
///
/// # Errors
///
/// As [`ClassNames::new`].
pub(super) fn labels_of(names: &[String], told: Option<Scheme>) -> Result<ClassNames, DataError> {
    let tags: Option<Vec<Tag<'_>>> = names.iter().map(|name| Tag::parse(name)).collect();
    let Some(tags) = tags.filter(|_| told != Some(Scheme::None)) else {
        return ClassNames::new(names);
    };
    if are_of_entities(names) {
        // An `I-` that continues no entity is read as `B-`, so each type needs a `B-`.
        let begins = |kind: &str| names.contains(&spelt("B", kind));
        let lacks: Vec<String> = tags
            .iter()
            .filter(|tag| tag.position == EntityPosition::Inside && !begins(tag.kind))
            .map(|tag| spelt("B", tag.kind))
            .collect();
        return ClassNames::new(names.iter().chain(&lacks));
    }
    let mut kinds: Vec<&str> = Vec::new();
    for tag in tags.iter().filter(|tag| tag.position != EntityPosition::Outside) {
        if !kinds.contains(&tag.kind) {
            kinds.push(tag.kind);
        }
    }
    ClassNames::new(labels_of_kinds(kinds))
}

/// Whether `labels` are other names for the tags that a file calls `tags`: as many, and none but `O` is in both.
pub(super) fn are_renamed(tags: &[String], labels: &[String]) -> bool {
    let is_in_both = |tag: &String| tag != "O" && labels.contains(tag);
    tags.len() == labels.len() && !tags.iter().any(is_in_both)
}

/// `O`, and `B-` and `I-` of each type.
fn labels_of_kinds<'a>(kinds: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let of = |kind: &str| ["B", "I"].map(|prefix| spelt(prefix, kind));
    std::iter::once("O".to_owned()).chain(kinds.into_iter().flat_map(of)).collect()
}

/// The tags that occur in the training files: which there are, and in what scheme.
#[derive(Debug, Default)]
pub(super) struct Collected {
    evidence: Evidence,
    /// How often each occurs.
    names: BTreeMap<String, u64>,
}

impl Collected {
    /// Looks at one more sentence.
    ///
    /// # Errors
    ///
    /// [`DataError::Line`] at the 1,001st tag.
    pub(super) fn add(&mut self, sentence: &TaggedWords) -> Result<(), DataError> {
        let Some(tags) = &sentence.tags else { return Ok(()) };
        for words in sentence.sentences() {
            self.evidence.add(&tags[words]);
        }
        for (word, tag) in tags.iter().enumerate() {
            let Some(tag) = tag.as_ref().filter(|tag| *tag != NO_TAG) else { continue };
            if let Some(count) = self.names.get_mut(tag) {
                *count += 1;
                continue;
            }
            self.names.insert(tag.clone(), 1);
            if self.names.len() > MOST_COLLECTED {
                return Err(sentence.problem(
                    word,
                    format!(
                        "more than `{MOST_COLLECTED}` different tags: set `task.tags` to the column that holds them, or name them in \
                         `task.labels`"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// The model's labels: `O`, and `B-` and `I-` of each type in sorted order; tags of no scheme as they are, sorted.
    ///
    /// # Errors
    ///
    /// [`DataError::Dataset`] if there are none, if some are tags of entities and others are not, or if one that is none of the
    /// `known` is what tables write where a [value is missing](check_missing).
    pub(super) fn labels(
        &self,
        path: &Path,
        told: Option<Scheme>,
        known: &[String],
    ) -> Result<ClassNames, DataError> {
        let refused = |problem| Err(DataError::dataset(path, problem));
        if self.names.is_empty() {
            return refused("no word of it has a tag".to_owned());
        }
        check_missing(&self.names, path, &"the column of tags", known)?;
        let scheme = match (told, self.evidence.scheme()) {
            (Some(told), _) => told,
            (None, Some((scheme, breaks))) => {
                tell(path, scheme, breaks);
                scheme
            }
            (None, None) => {
                let is_other = |name: &&String| Tag::parse(name).is_none();
                let other = self.names.keys().find(is_other).map_or("", String::as_str);
                return refused(format!(
                    "`{other}` is no entity tag such as `O`, `B-PER` or `I-PER`, but other tags are: set `task.tags` to the column \
                     that holds the tags, or `task.scheme = \"none\"` if every tag is a class of its own"
                ));
            }
        };
        if scheme == Scheme::None {
            return ClassNames::new(self.names.keys());
        }
        let kinds: BTreeSet<&str> = self
            .names
            .keys()
            .filter_map(|name| Tag::parse(name))
            .filter(|tag| tag.position != EntityPosition::Outside)
            .map(|tag| tag.kind)
            .collect();
        ClassNames::new(labels_of_kinds(kinds))
    }
}

/// Says which scheme the tags show.
fn tell(path: &Path, scheme: Scheme, breaks: u64) {
    let path = path.display();
    let name = scheme.name();
    say_once(match scheme {
        Scheme::None => format!(
            "`{path}`: its tags are no entity tags (`O`, `B-PER`, `I-PER`), so every tag is a class of its own (`task.scheme`)"
        ),
        Scheme::Iob1 if breaks > 0 => format!(
            "`{path}`: its tags are read as `{name}` (`task.scheme`); `{breaks}` of them are `B-` where this scheme writes `I-`; each \
             begins an entity"
        ),
        Scheme::Iob2 if breaks > 0 => format!(
            "`{path}`: its tags are read as `{name}` (`task.scheme`); `{breaks}` of them begin an entity with `I-`, and are read as \
             `B-`"
        ),
        _ => format!("`{path}`: its tags are read as `{name}` (`task.scheme`)"),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collected(tags: &[&str], told: Option<Scheme>) -> Result<Vec<String>, String> {
        let mut collected = Collected::default();
        for tags in tags {
            collected.add(&TaggedWords::of_tags(tags)).map_err(|error| error.to_string())?;
        }
        let labels = collected.labels(Path::new("a.conll"), told, &[]);
        labels.map(|names| names.names().to_vec()).map_err(|error| error.to_string())
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn labels_are_iob2_whatever_the_file_has() {
        let expected = names(&["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]);
        assert_eq!(collected(&["I-PER O", "I-LOC"], None).unwrap(), expected);
        assert_eq!(collected(&["S-PER O E-LOC"], None).unwrap(), expected);
        assert_eq!(collected(&["B I O"], None).unwrap(), ["O", "B", "I"]);
        assert_eq!(collected(&["NN DT", "VB"], None).unwrap(), ["DT", "NN", "VB"]);
        assert_eq!(collected(&["NN B-A"], Some(Scheme::None)).unwrap(), ["B-A", "NN"]);
        let mixed = collected(&["NN B-A"], None).unwrap_err();
        assert!(mixed.contains("`NN`") && mixed.contains("task.scheme"), "{mixed}");
        assert!(collected(&["_ ?"], None).unwrap_err().contains("no word of it has a tag"));
        let missing = collected(&["O B-A nan nan"], None).unwrap_err();
        assert!(
            missing.contains("`nan` `2` times") && missing.contains("task.labels"),
            "{missing}"
        );
        let many: Vec<String> = (0..1001).map(|tag| format!("B-{tag}")).collect();
        let message = collected(&[&many.join(" ")], None).unwrap_err();
        assert!(message.starts_with("a.conll:1003: more than `1000`"), "{message}");
    }

    #[test]
    fn names_that_are_given_keep_their_order() {
        let labels = |given: &[&str]| labels_of(&names(given), None).unwrap().names().to_vec();
        let given = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];
        assert_eq!(labels(&given), given);
        assert_eq!(labels(&["B-A", "O"]), ["B-A", "O"]);
        assert_eq!(labels(&["I-A", "O"]), ["I-A", "O", "B-A"]);
        assert_eq!(labels(&["O", "S-B", "B-A", "E-A"]), ["O", "B-B", "I-B", "B-A", "I-A"]);
        assert_eq!(labels(&["NN", "O"]), ["NN", "O"]);
    }

    #[test]
    fn labels_are_other_names_where_they_have_nothing_in_common() {
        let are_renamed =
            |tags: &[&str], labels: &[&str]| are_renamed(&names(tags), &names(labels));
        assert!(are_renamed(&["0", "1"], &["O", "B-A"]) && are_renamed(&["O", "X"], &["O", "B-A"]));
        assert!(!are_renamed(&["O", "B-A"], &["B-A", "O"]) && !are_renamed(&["O"], &[]));
        assert!(!are_renamed(&["O", "B-A", "B-B"], &["O", "B-A"]));
    }

    #[test]
    fn further_tokens_of_a_word_go_on_with_it() {
        let given = names(&["B-A", "I-A", "O", "B-B"]);
        assert_eq!(continuations(&given, true), [1, 1, 2, 3]);
        assert_eq!(continuations(&given, false), [0, 1, 2, 3]);
    }
}
