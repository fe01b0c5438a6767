//! Neighbours of one class become one entity.

use nystromformer_data::TextTokenizer;
use serde::Serialize;

use crate::error::PipelineError;

/// Something that is named in a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Entity {
    /// A token, when tokens are not aggregated.
    Token {
        /// Its class.
        entity: String,
        /// The class's probability.
        score: f64,
        /// The token's place among all of the text's, special tokens included.
        index: usize,
        /// The token as the vocabulary spells it.
        word: String,
        /// Its first character in the text.
        start: usize,
        /// The character after its last.
        end: usize,
    },
    /// Neighbouring tokens or words of one class.
    Group {
        /// Their class, without `B-` or `I-`.
        entity_group: String,
        /// The mean of their probabilities.
        score: f64,
        /// Their text, joined from tokens.
        word: String,
        /// Their first character in the text.
        start: usize,
        /// The character after their last.
        end: usize,
    },
}

impl Entity {
    /// Its class.
    pub fn label(&self) -> &str {
        match self {
            Self::Token { entity, .. } => entity,
            Self::Group { entity_group, .. } => entity_group,
        }
    }

    /// Its probability.
    pub fn score(&self) -> f64 {
        match self {
            Self::Token { score, .. } | Self::Group { score, .. } => *score,
        }
    }

    /// Its first character in the text, and the one after its last.
    pub fn span(&self) -> (usize, usize) {
        match self {
            Self::Token { start, end, .. } | Self::Group { start, end, .. } => (*start, *end),
        }
    }
}

/// A token or word with its class.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LabelledToken {
    pub(super) class: usize,
    pub(super) score: f64,
    pub(super) index: usize,
    pub(super) word: String,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl LabelledToken {
    pub(super) fn into_entity(self, labels: &[String]) -> Entity {
        let Self { class, score, index, word, start, end } = self;
        Entity::Token { entity: labels[class].clone(), score, index, word, start, end }
    }
}

/// Puts neighbours of one class together; `B-` begins another entity.
pub(super) fn group(
    tokenizer: &TextTokenizer,
    labelled: Vec<LabelledToken>,
    labels: &[String],
) -> Result<Vec<Entity>, PipelineError> {
    let goes_on = |before: &LabelledToken, next: &LabelledToken| {
        let (begins, kind) = begins_and_kind(&labels[next.class]);
        !begins && kind == begins_and_kind(&labels[before.class]).1
    };
    let groups = labelled.chunk_by(goes_on);
    groups
        .map(|group| {
            let label = &labels[group[0].class];
            // transformers takes what follows the first hyphen, whatever stands before it.
            let entity_group = label.split_once('-').map_or(label.as_str(), |(_, kind)| kind);
            let scores: f64 = group.iter().map(|labelled| labelled.score).sum();
            let words = group.iter().map(|labelled| labelled.word.clone()).collect();
            Ok(Entity::Group {
                entity_group: entity_group.to_owned(),
                score: scores / group.len() as f64,
                word: tokenizer.tokens_to_string(words)?,
                start: group[0].start,
                end: group[group.len() - 1].end,
            })
        })
        .collect()
}

/// Whether a class always begins an entity, and what its entities are: `B-PER` does and is `PER`, `I-PER` and
/// `PER` go on with one.
fn begins_and_kind(label: &str) -> (bool, &str) {
    match label.strip_prefix("B-") {
        Some(kind) => (true, kind),
        None => (false, label.strip_prefix("I-").unwrap_or(label)),
    }
}

/// Of entities that begin within one another, which overlapping windows have found, the longest, or the likelier
/// of equally long ones.
pub(super) fn without_overlaps(mut entities: Vec<Entity>) -> Vec<Entity> {
    entities.sort_by_key(|entity| entity.span().0);
    let mut kept: Vec<Entity> = Vec::new();
    for entity in entities {
        let (start, end) = entity.span();
        match kept.last_mut() {
            Some(last) if (last.span().0..last.span().1).contains(&start) => {
                let last_length = last.span().1 - last.span().0;
                let is_likelier = end - start == last_length && entity.score() > last.score();
                if end - start > last_length || is_likelier {
                    *last = entity;
                }
            }
            _ => kept.push(entity),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(score: f64, start: usize, end: usize) -> Entity {
        let (entity_group, word) = ("PER".to_owned(), String::new());
        Entity::Group { entity_group, score, word, start, end }
    }

    #[test]
    fn the_longest_of_overlapping_entities_stays_then_the_likeliest() {
        let found = vec![
            entity(0.9, 10, 14),
            entity(0.5, 0, 4),
            entity(0.4, 2, 8),
            entity(0.95, 10, 14),
            entity(0.99, 14, 15),
        ];
        let kept = without_overlaps(found);
        assert_eq!(kept, [entity(0.4, 2, 8), entity(0.95, 10, 14), entity(0.99, 14, 15)]);
    }

    #[test]
    fn labels_tell_whether_they_begin() {
        assert_eq!(begins_and_kind("B-PER"), (true, "PER"));
        assert_eq!(begins_and_kind("I-PER"), (false, "PER"));
        assert_eq!(begins_and_kind("PER"), (false, "PER"));
        assert_eq!(begins_and_kind("O"), (false, "O"));
    }
}
