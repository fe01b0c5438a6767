//! What is measured of tags: entities, and words.

use std::collections::BTreeMap;

use nystromformer_data::DataError;

use crate::example::Label;
use crate::metrics::{
    ClassificationReport, ConfusionMatrix, EntityMode, EntityScores, EntityTag, LabelledPrediction,
    MetricName, Scorer, Thresholds,
};
use crate::prediction::{Prediction, WordTag};

/// Entities as `seqeval` counts them, and the share of words whose tag is right. Words without a right tag take no part.
#[derive(Debug, Clone)]
pub(super) struct TagScorer {
    names: Vec<String>,
    /// Whether they are tags of entities.
    of_entities: bool,
}

/// What is measured of words.
const OF_WORDS: &str = "accuracy";
/// What is measured of classes that are no tags of entities.
const OF_CLASSES: &str = "f1_macro";

impl TagScorer {
    pub(super) fn new(names: Vec<String>, of_entities: bool) -> Self {
        Self { names, of_entities }
    }

    /// The predicted and the right class of each word that has one, sentence by sentence. A word that the model gives nothing
    /// for is in no entity.
    fn pairs(&self, answered: &[LabelledPrediction<'_>]) -> Vec<Vec<(Option<u16>, u16)>> {
        let outside = self.class("O");
        let of_word = |(tag, right): (&Option<WordTag>, &Option<u16>)| {
            Some((tag.map(|tag| tag.class).or(outside), (*right)?))
        };
        let mut sentences = Vec::new();
        for LabelledPrediction { prediction, label, .. } in answered {
            let (Prediction::Tags(tags), Label::Tags(right)) = (prediction, label) else {
                continue;
            };
            for words in right.sentences() {
                let found = tags.get(words.clone()).unwrap_or_default();
                let pairs = found.iter().zip(&right.classes[words]);
                sentences.push(pairs.filter_map(of_word).collect());
            }
        }
        sentences
    }

    fn class(&self, name: &str) -> Option<u16> {
        self.names.iter().position(|known| known == name).map(|class| class as u16)
    }

    fn tag(&self, class: u16) -> EntityTag<'_> {
        let name = self.names.get(usize::from(class));
        name.and_then(|name| EntityTag::parse(name)).unwrap_or(EntityTag::Outside)
    }

    fn entities(&self, pairs: &[Vec<(Option<u16>, u16)>], mode: EntityMode) -> EntityScores {
        let mut scores = EntityScores::new(mode);
        for words in pairs {
            let tags =
                |class: Option<u16>| class.map_or(EntityTag::Outside, |class| self.tag(class));
            let predicted: Vec<EntityTag<'_>> = words.iter().map(|(tag, _)| tags(*tag)).collect();
            let right: Vec<EntityTag<'_>> =
                words.iter().map(|(_, right)| self.tag(*right)).collect();
            scores.add(&predicted, &right);
        }
        scores
    }

    fn matrix(&self, pairs: &[Vec<(Option<u16>, u16)>]) -> ConfusionMatrix {
        let mut matrix = ConfusionMatrix::new(self.names.len());
        for (predicted, right) in pairs.iter().flatten() {
            if let Some(predicted) = predicted {
                matrix.record(*predicted, *right);
            }
        }
        matrix
    }

    fn measured(&self, pairs: &[Vec<(Option<u16>, u16)>]) -> BTreeMap<String, f64> {
        let words = pairs.iter().flatten();
        let right = words.clone().filter(|(tag, right)| *tag == Some(*right)).count();
        let mut scores =
            BTreeMap::from([(OF_WORDS.to_owned(), right as f64 / words.count() as f64)]);
        if !self.of_entities {
            scores.insert(OF_CLASSES.to_owned(), self.matrix(pairs).f1_macro());
            return scores;
        }
        for (mode, suffix) in [(EntityMode::Lenient, ""), (EntityMode::Strict, "_strict")] {
            let micro = self.entities(pairs, mode).micro();
            for (name, value) in
                [("precision", micro.precision), ("recall", micro.recall), ("f1", micro.f1)]
            {
                scores.insert(format!("{name}{suffix}"), value);
            }
        }
        scores
    }
}

impl Scorer for TagScorer {
    fn names(&self) -> Vec<MetricName> {
        let names: &[&str] = if self.of_entities {
            &[
                "f1",
                "precision",
                "recall",
                OF_WORDS,
                "f1_strict",
                "precision_strict",
                "recall_strict",
            ]
        } else {
            &[OF_WORDS, OF_CLASSES]
        };
        names.iter().copied().map(MetricName::greater_is_better).collect()
    }

    fn score(
        &self,
        answered: &[LabelledPrediction<'_>],
        _: &Thresholds,
    ) -> Result<BTreeMap<String, f64>, DataError> {
        Ok(self.measured(&self.pairs(answered)))
    }

    /// Of entities the scores of each type. They have no confusion matrix: a predicted entity may differ from the right one in its
    /// type, its first word or its last.
    fn report(
        &self,
        answered: &[LabelledPrediction<'_>],
        _: &Thresholds,
    ) -> Result<Option<ClassificationReport>, DataError> {
        let pairs = self.pairs(answered);
        if !self.of_entities {
            return Ok(Some(ClassificationReport::new(self.matrix(&pairs), &self.names)));
        }
        let scores = self.entities(&pairs, EntityMode::Lenient);
        let (labels, per_class) =
            scores.per_type().into_iter().map(|(kind, scores)| (kind.to_owned(), scores)).unzip();
        Ok(Some(ClassificationReport { labels, confusion_matrix: None, per_class }))
    }

    /// Gives every word the tag that is most frequent in training.
    fn constant_predictor(
        &self,
        training: &mut dyn Iterator<Item = &Label>,
        answered: &[LabelledPrediction<'_>],
    ) -> Result<BTreeMap<String, f64>, DataError> {
        let mut counts = vec![0_u64; self.names.len()];
        for label in training {
            if let Label::Tags(tags) = label {
                tags.classes.iter().flatten().for_each(|tag| counts[usize::from(*tag)] += 1);
            }
        }
        let most = counts.iter().enumerate().rev().max_by_key(|(_, count)| **count);
        let constant = most.map_or(0, |(class, _)| class as u16);
        let mut pairs = self.pairs(answered);
        pairs.iter_mut().flatten().for_each(|(tag, _)| *tag = Some(constant));
        let mut scores = self.measured(&pairs);
        scores.retain(|_, value| value.is_finite());
        Ok(scores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::WordLabels;

    fn tags(classes: &[u16]) -> Prediction {
        Prediction::Tags(
            classes.iter().map(|class| Some(WordTag { class: *class, score: 0.9 })).collect(),
        )
    }

    fn right(classes: &[Option<u16>]) -> Label {
        Label::Tags(classes.to_vec().into())
    }

    fn scorer(names: &[&str], of_entities: bool) -> TagScorer {
        TagScorer::new(names.iter().map(|name| (*name).to_owned()).collect(), of_entities)
    }

    #[test]
    fn entities_and_words_are_measured_where_there_is_a_right_tag() {
        let scorer = scorer(&["O", "B-A", "I-A", "B-B", "I-B"], true);
        let predictions = [tags(&[1, 2, 0, 4]), tags(&[3, 0])];
        // The third word of the first example has no right tag.
        let labels = [right(&[Some(1), Some(2), None, Some(3)]), right(&[Some(3), Some(4)])];
        let answered: Vec<LabelledPrediction<'_>> = predictions
            .iter()
            .zip(&labels)
            .enumerate()
            .map(|(place, (prediction, label))| LabelledPrediction { place, prediction, label })
            .collect();
        let scores = scorer.score(&answered, &Thresholds::new()).unwrap();
        // A B-A I-A is right; I-B is one only without strictness; B-B is one word too short.
        assert_eq!(
            (scores["precision"], scores["recall"], scores["f1"]),
            (2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0)
        );
        assert_eq!((scores["precision_strict"], scores["recall_strict"]), (0.5, 1.0 / 3.0));
        assert_eq!(scores["accuracy"], 3.0 / 5.0);
        let names: Vec<String> = scorer.names().into_iter().map(|name| name.name).collect();
        assert_eq!(names.len(), scores.len());
        assert!(names.iter().all(|name| scores.contains_key(name)) && names[0] == "f1");
        let report = scorer.report(&answered, &Thresholds::new()).unwrap().unwrap();
        assert_eq!(report.labels, ["A", "B"]);
        assert_eq!((report.per_class[1].support, report.per_class[1].recall), (2, 0.5));
        let constant = scorer
            .constant_predictor(&mut [right(&[Some(0), Some(0), Some(1)])].iter(), &answered)
            .unwrap();
        assert_eq!((constant["f1"], constant["accuracy"]), (0.0, 0.0));
    }

    /// A document is measured as its sentences are, of which `conlleval` and `seqeval` see one at a time.
    #[test]
    fn an_entity_ends_with_its_sentence() {
        let scorer = scorer(&["O", "B-A", "I-A"], true);
        let prediction = tags(&[1, 2, 2, 0]);
        let classes = [1, 2, 1, 0].map(Some).to_vec();
        let label = Label::Tags(WordLabels { classes, sentence_starts: vec![2] });
        let answered = [LabelledPrediction { place: 0, prediction: &prediction, label: &label }];
        let scores = scorer.score(&answered, &Thresholds::new()).unwrap();
        assert_eq!((scores["f1"], scores["precision"], scores["recall"]), (1.0, 1.0, 1.0));
        // In the strict mode nothing begins the second entity.
        assert_eq!((scores["precision_strict"], scores["recall_strict"]), (1.0, 0.5));
        let parts = [(&[1, 2][..], &[1, 2][..]), (&[2, 0], &[1, 0])].map(|(found, right)| {
            let right: Vec<Option<u16>> = right.iter().copied().map(Some).collect();
            (tags(found), self::right(&right))
        });
        let answered: Vec<LabelledPrediction<'_>> = parts
            .iter()
            .enumerate()
            .map(|(place, (prediction, label))| LabelledPrediction { place, prediction, label })
            .collect();
        assert_eq!(scorer.score(&answered, &Thresholds::new()).unwrap(), scores);
    }

    #[test]
    fn classes_that_are_no_entities_are_measured_word_by_word() {
        let scorer = scorer(&["DT", "NN"], false);
        let prediction = tags(&[0, 1, 1]);
        let label = right(&[Some(0), Some(1), Some(0)]);
        let answered = [LabelledPrediction { place: 0, prediction: &prediction, label: &label }];
        let scores = scorer.score(&answered, &Thresholds::new()).unwrap();
        assert_eq!(scores["accuracy"], 2.0 / 3.0);
        assert!((scores["f1_macro"] - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(
            scorer.report(&answered, &Thresholds::new()).unwrap().unwrap().per_class[1].support,
            1
        );
        let constant = scorer.constant_predictor(&mut std::iter::once(&label), &answered).unwrap();
        assert_eq!(constant["accuracy"], 2.0 / 3.0);
    }

    #[test]
    fn a_word_without_an_answer_is_in_no_entity() {
        let scorer = scorer(&["O", "B-A", "I-A"], true);
        let prediction = Prediction::Tags(vec![None, Some(WordTag { class: 1, score: 1.0 })]);
        let label = right(&[Some(0), Some(1)]);
        let answered = [LabelledPrediction { place: 0, prediction: &prediction, label: &label }];
        let scores = scorer.score(&answered, &Thresholds::new()).unwrap();
        assert_eq!((scores["f1"], scores["accuracy"]), (1.0, 1.0));
    }
}
