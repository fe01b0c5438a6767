//! [`TagClasses`]: which of the model's labels a tag of a file means.

use std::collections::HashMap;

use nystromformer_data::DataError;
use nystromformer_files::table::listed;

use super::labels::are_of_entities;
use super::scheme::{Scheme, to_iob2};
use super::sentence::TaggedWords;
use super::tag::{NO_TAG, Tag, spelt};
use crate::example::{Label, WordLabels};
use crate::labelled::ClassNames;
use crate::metrics::EntityTag;

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
            let sentences = sentence.sentences().into_iter();
            let converted = sentences.flat_map(|words| to_iob2(&read[words])).enumerate();
            converted
                .map(|(word, tag)| self.class(sentence, word, tag))
                .collect::<Result<_, _>>()?
        } else {
            let named = tags.iter().enumerate();
            named
                .map(|(word, tag)| self.named(sentence, word, tag.as_deref()))
                .collect::<Result<_, _>>()?
        };
        if classes.iter().all(Option::is_none) {
            return Ok(None);
        }
        let starts = sentence.sentences().into_iter().map(|words| words.start);
        let sentence_starts = starts.skip(1).collect();
        Ok(Some(Label::Tags(WordLabels { classes, sentence_starts })))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn label(classes: &[&str], told: Option<Scheme>, tags: &str) -> Result<Option<Label>, String> {
        let classes = TagClasses::new(&ClassNames::new(names(classes)).unwrap(), told);
        classes.label(&TaggedWords::of_tags(tags)).map_err(|error| error.to_string())
    }

    /// A document of several sentences: an entity ends with its sentence.
    #[test]
    fn no_entity_goes_on_in_the_next_sentence() {
        let names = ClassNames::new(names(&["O", "B-A", "I-A"])).unwrap();
        let mut document = TaggedWords::of_tags("I-A I-A I-A");
        document.lines = vec![3, 4, 6];
        let label = TagClasses::new(&names, None).label(&document).unwrap();
        let classes = [1, 2, 1].map(Some).to_vec();
        assert_eq!(label, Some(Label::Tags(WordLabels { classes, sentence_starts: vec![2] })));
    }

    #[test]
    fn tags_are_classes_by_what_they_mean() {
        let classes = ["O", "B-A", "I-A"];
        let tags = |classes: &[Option<u16>]| Ok(Some(Label::Tags(classes.to_vec().into())));
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
