//! The classes of words: the model's labels, and which of them a tag of a file means.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use nystromformer_data::DataError;
use nystromformer_files::say_once;
use nystromformer_files::table::listed;

use super::scheme::{Evidence, Scheme, to_iob2};
use super::sentence::TaggedWords;
use super::tag::{EntityPosition, Tag, spelt};
use crate::example::Label;
use crate::labelled::ClassNames;
use crate::metrics::EntityTag;

/// Different tags up to which a column is taken for one of tags, where nobody names them.
const MOST_COLLECTED: usize = 1_000;

/// What stands in the place of a tag that is kept back.
const NO_TAG: &str = "_";

/// The model's labels, and which of them a tag means.
#[derive(Debug, Clone)]
pub(super) struct TagClasses {
    by_name: HashMap<String, u16>,
    /// The names, for messages.
    names: Vec<String>,
    /// Whether they are tags of entities, in IOB2.
    of_entities: bool,
    /// What `task.scheme` says.
    told: Option<Scheme>,
}

impl TagClasses {
    pub(super) fn new(names: &ClassNames, told: Option<Scheme>) -> Self {
        let names = names.names().to_vec();
        let numbered = names.iter().zip(0..);
        Self {
            by_name: numbered.map(|(name, class)| (name.clone(), class)).collect(),
            of_entities: are_of_entities(&names) && told != Some(Scheme::None),
            names,
            told,
        }
    }

    /// The classes of a sentence's words; `None` if no word has one.
    pub(super) fn label(&self, sentence: &TaggedWords) -> Result<Option<Label>, DataError> {
        let Some(tags) = &sentence.tags else { return Ok(None) };
        let classes: Vec<Option<u16>> = if self.of_entities {
            let read: Vec<Option<Tag<'_>>> = tags
                .iter()
                .enumerate()
                .map(|(word, tag)| self.tag(sentence, word, tag.as_deref()))
                .collect::<Result<_, _>>()?;
            let parts = sentence.parts().into_iter();
            let converted = parts.flat_map(|part| to_iob2(&read[part])).enumerate();
            converted
                .map(|(word, tag)| self.class(sentence, word, tag))
                .collect::<Result<_, _>>()?
        } else {
            let named = tags.iter().enumerate();
            named
                .map(|(word, tag)| self.named(sentence, word, tag.as_deref()))
                .collect::<Result<_, _>>()?
        };
        Ok(classes.iter().any(Option::is_some).then_some(Label::Tags(classes)))
    }

    fn tag<'a>(
        &self,
        sentence: &TaggedWords,
        word: usize,
        tag: Option<&'a str>,
    ) -> Result<Option<Tag<'a>>, DataError> {
        let Some(text) = tag.filter(|text| *text != NO_TAG) else { return Ok(None) };
        if let Some(told) = self.told.filter(|told| !told.has(text)) {
            return Err(sentence.problem(
                word,
                format!(
                    "`{text}` is no tag of `task.scheme = \"{}\"`; leave it out to have the scheme told by the tags",
                    told.name()
                ),
            ));
        }
        Tag::parse(text).map(Some).ok_or_else(|| self.unknown(sentence, word, text))
    }

    fn class(
        &self,
        sentence: &TaggedWords,
        word: usize,
        tag: Option<EntityTag<'_>>,
    ) -> Result<Option<u16>, DataError> {
        let name = match tag {
            None => return Ok(None),
            Some(EntityTag::Outside) => "O".to_owned(),
            Some(EntityTag::Begin(kind)) => spelt("B", kind),
            Some(EntityTag::Inside(kind)) => spelt("I", kind),
        };
        let class = self.by_name.get(&name).copied();
        class.map(Some).ok_or_else(|| self.unknown(sentence, word, &name))
    }

    fn named(
        &self,
        sentence: &TaggedWords,
        word: usize,
        tag: Option<&str>,
    ) -> Result<Option<u16>, DataError> {
        let Some(text) = tag else { return Ok(None) };
        match self.by_name.get(text) {
            None if text == NO_TAG => Ok(None),
            class => class.copied().map(Some).ok_or_else(|| self.unknown(sentence, word, text)),
        }
    }

    fn unknown(&self, sentence: &TaggedWords, word: usize, tag: &str) -> DataError {
        let names = listed(self.names.iter().map(String::as_str));
        sentence.problem(
            word,
            format!(
                "the tag `{tag}` is none of {names}; correct it, name it in `task.labels`, or set `task.tags` if another column \
                 holds the tags"
            ),
        )
    }
}

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

/// The labels of a model that is to say what `names` say, in any scheme: they themselves if they are in IOB2 already.
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
        // Whatever begins with nothing before it needs a class to begin with.
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

/// `O`, and `B-` and `I-` of each type.
fn labels_of_kinds<'a>(kinds: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let of = |kind: &str| ["B", "I"].map(|prefix| spelt(prefix, kind));
    std::iter::once("O".to_owned()).chain(kinds.into_iter().flat_map(of)).collect()
}

/// The tags that occur in the training files: which there are, and in what scheme.
#[derive(Debug, Default)]
pub(super) struct Collected {
    evidence: Evidence,
    names: BTreeSet<String>,
}

impl Collected {
    /// Looks at one more sentence.
    ///
    /// # Errors
    ///
    /// [`DataError::Line`] at the 1,001st tag.
    pub(super) fn add(&mut self, sentence: &TaggedWords) -> Result<(), DataError> {
        let Some(tags) = &sentence.tags else { return Ok(()) };
        for part in sentence.parts() {
            self.evidence.add(&tags[part]);
        }
        for (word, tag) in tags.iter().enumerate() {
            let Some(tag) = tag.as_ref().filter(|tag| *tag != NO_TAG && !self.names.contains(*tag))
            else {
                continue;
            };
            self.names.insert(tag.clone());
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
    /// [`DataError::Dataset`] if there are none, or if some are tags of entities and others are not.
    pub(super) fn labels(
        &self,
        path: &Path,
        told: Option<Scheme>,
    ) -> Result<ClassNames, DataError> {
        let refused = |problem| Err(DataError::dataset(path, problem));
        if self.names.is_empty() {
            return refused("no word of it has a tag".to_owned());
        }
        let scheme = match (told, self.evidence.scheme()) {
            (Some(told), _) => told,
            (None, Some((scheme, breaks))) => {
                tell(path, scheme, breaks);
                scheme
            }
            (None, None) => {
                let is_other = |name: &&String| Tag::parse(name).is_none();
                let other = self.names.iter().find(is_other).map_or("", String::as_str);
                return refused(format!(
                    "`{other}` is no tag of an entity, such as `O`, `B-PER` or `I-PER`, and others are: set `task.tags` to the column \
                     that holds the tags, or `task.scheme = \"none\"` if every tag is a class of its own"
                ));
            }
        };
        if scheme == Scheme::None {
            return ClassNames::new(&self.names);
        }
        let kinds: BTreeSet<&str> = self
            .names
            .iter()
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
            "`{path}`: its tags are none of entities (`O`, `B-PER`, `I-PER`), so every tag is a class of its own (`task.scheme`)"
        ),
        Scheme::Iob1 if breaks > 0 => format!(
            "`{path}`: its tags are read as `{name}` (`task.scheme`); `{breaks}` of them are a `B-` where it has `I-`, and begin an \
             entity all the same"
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

    fn sentence(tags: &str) -> TaggedWords {
        let tags: Vec<Option<String>> =
            tags.split(' ').map(|tag| (tag != "?").then(|| tag.to_owned())).collect();
        TaggedWords {
            file: Path::new("a.conll").into(),
            id: None,
            words: vec![String::new(); tags.len()],
            lines: (3..3 + tags.len() as u64).collect(),
            tags: Some(tags),
        }
    }

    fn collected(tags: &[&str], told: Option<Scheme>) -> Result<Vec<String>, String> {
        let mut collected = Collected::default();
        for tags in tags {
            collected.add(&sentence(tags)).map_err(|error| error.to_string())?;
        }
        let labels = collected.labels(Path::new("a.conll"), told);
        labels.map(|names| names.names().to_vec()).map_err(|error| error.to_string())
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn label(classes: &[&str], told: Option<Scheme>, tags: &str) -> Result<Option<Label>, String> {
        let classes = TagClasses::new(&ClassNames::new(names(classes)).unwrap(), told);
        classes.label(&sentence(tags)).map_err(|error| error.to_string())
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

    /// A document of several sentences: an entity ends with its sentence.
    #[test]
    fn no_entity_goes_on_in_the_next_sentence() {
        let names = ClassNames::new(names(&["O", "B-A", "I-A"])).unwrap();
        let mut document = sentence("I-A I-A I-A");
        document.lines = vec![3, 4, 6];
        let label = TagClasses::new(&names, None).label(&document).unwrap();
        assert_eq!(label, Some(Label::Tags([1, 2, 1].map(Some).to_vec())));
    }

    #[test]
    fn further_tokens_of_a_word_go_on_with_it() {
        let given = names(&["B-A", "I-A", "O", "B-B"]);
        assert_eq!(continuations(&given, true), [1, 1, 2, 3]);
        assert_eq!(continuations(&given, false), [0, 1, 2, 3]);
    }

    #[test]
    fn tags_are_classes_by_what_they_mean() {
        let classes = ["O", "B-A", "I-A"];
        let tags = |classes: &[Option<u16>]| Ok(Some(Label::Tags(classes.to_vec())));
        assert_eq!(
            label(&classes, None, "I-A E-A S-A O"),
            tags(&[Some(1), Some(2), Some(1), Some(0)])
        );
        assert_eq!(label(&classes, None, "B-A ? I-A _"), tags(&[Some(1), None, Some(1), None]));
        assert_eq!(label(&classes, None, "_ ?"), Ok(None));
        let message = label(&classes, None, "O B-B").unwrap_err();
        assert!(message.starts_with("a.conll:4: the tag `B-B` is none of `O`, `B-A`"), "{message}");
        let message = label(&classes, Some(Scheme::Iob2), "S-A").unwrap_err();
        assert!(
            message.contains("a.conll:3") && message.contains("task.scheme = \"iob2\""),
            "{message}"
        );
        assert_eq!(label(&["NN", "_"], None, "_ NN"), tags(&[Some(1), Some(0)]));
        assert!(label(&["NN", "DT"], None, "VB").is_err());
    }
}
