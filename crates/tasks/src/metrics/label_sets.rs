//! Sets of labels: any number of them may apply to an example (multi-label classification).

use super::averages::mean;
use super::ranking::{average_precision, label_ranking_precision, roc_auc};
use super::thresholds::best_threshold;

/// A score of every label for every example, beside what applies.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LabelSets {
    num_labels: usize,
    /// Row after row.
    scores: Vec<f32>,
    applies: Vec<bool>,
}

/// What was predicted by thresholds, counted.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelSetCounts {
    /// Of each label.
    pub labels: Vec<LabelCount>,
    /// Examples.
    pub examples: u64,
    /// Examples all of whose labels are right, and no other is predicted.
    pub exact: u64,
    /// The F1 of every example's set, summed up.
    f1_of_examples: f64,
}

/// How often a label is predicted, applies, and both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LabelCount {
    /// It applies and is predicted.
    pub right: u64,
    /// It is predicted.
    pub predicted: u64,
    /// It applies.
    pub support: u64,
}

impl LabelSets {
    /// None yet, of `num_labels` labels.
    pub fn new(num_labels: usize) -> Self {
        Self { num_labels, scores: Vec::new(), applies: Vec::new() }
    }

    /// Takes in one more example: its scores, and the labels that apply by their numbers.
    ///
    /// # Panics
    ///
    /// If there is not one score for each label, or a number is none.
    pub fn record(&mut self, scores: &[f32], right: &[u16]) {
        assert_eq!(scores.len(), self.num_labels, "each label has a score");
        self.scores.extend_from_slice(scores);
        let begin = self.applies.len();
        self.applies.resize(begin + self.num_labels, false);
        for label in right {
            self.applies[begin..][usize::from(*label)] = true;
        }
    }

    /// The number of labels.
    pub fn num_labels(&self) -> usize {
        self.num_labels
    }

    /// The number of examples.
    pub fn len(&self) -> usize {
        self.applies.len() / self.num_labels.max(1)
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.applies.is_empty()
    }

    /// For each label the threshold of the best F1; `None` for one that never applies (`best_threshold`).
    pub fn best_thresholds(&self) -> Vec<Option<f32>> {
        (0..self.num_labels).map(|label| best_threshold(self.of_label(label))).collect()
    }

    /// Counts what is predicted if a label is from its threshold on. NaN reaches no threshold.
    ///
    /// # Panics
    ///
    /// If there is not one threshold for each label.
    pub fn counts(&self, thresholds: &[f64]) -> LabelSetCounts {
        assert_eq!(thresholds.len(), self.num_labels, "each label has a threshold");
        let mut counts = LabelSetCounts {
            labels: vec![LabelCount::default(); self.num_labels],
            examples: 0,
            exact: 0,
            f1_of_examples: 0.0,
        };
        for (scores, applies) in self.rows() {
            let mut row = LabelCount::default();
            for (label, (score, applies)) in scores.iter().zip(applies).enumerate() {
                let one = LabelCount::of(f64::from(*score) >= thresholds[label], *applies);
                counts.labels[label].add(one);
                row.add(one);
            }
            counts.examples += 1;
            counts.exact += u64::from(row.right == row.predicted && row.right == row.support);
            counts.f1_of_examples += row.f1();
        }
        counts
    }

    /// The mean over the examples of how well their labels are ranked, scikit-learn's
    /// `label_ranking_average_precision_score`; NaN without examples.
    pub fn label_ranking_average_precision(&self) -> f64 {
        mean(self.rows().map(|(scores, applies)| label_ranking_precision(scores, applies)))
    }

    /// The mean of [`roc_auc`] over the labels that apply to some examples and not to all; NaN where there is none.
    pub fn roc_auc(&self) -> f64 {
        mean((0..self.num_labels).filter_map(|label| roc_auc(self.of_label(label))))
    }

    /// The mean of [`average_precision`] over the labels that apply to some example; NaN where there is none.
    pub fn average_precision(&self) -> f64 {
        mean((0..self.num_labels).filter_map(|label| average_precision(self.of_label(label))))
    }

    fn rows(&self) -> impl Iterator<Item = (&[f32], &[bool])> {
        let width = self.num_labels.max(1);
        self.scores.chunks(width).zip(self.applies.chunks(width))
    }

    fn of_label(&self, label: usize) -> impl Iterator<Item = (f32, bool)> {
        self.rows().map(move |(scores, applies)| (scores[label], applies[label]))
    }
}

impl LabelCount {
    fn of(is_predicted: bool, applies: bool) -> Self {
        Self {
            right: u64::from(is_predicted && applies),
            predicted: u64::from(is_predicted),
            support: u64::from(applies),
        }
    }

    fn add(&mut self, other: Self) {
        self.right += other.right;
        self.predicted += other.predicted;
        self.support += other.support;
    }

    /// The share of right ones among those predicted; 0 where none is.
    pub fn precision(self) -> f64 {
        share(self.right, self.predicted)
    }

    /// The share of right ones among those that apply; 0 where none does.
    pub fn recall(self) -> f64 {
        share(self.right, self.support)
    }

    /// The harmonic mean of both; 0 where neither anything is predicted nor applies.
    pub fn f1(self) -> f64 {
        share(2 * self.right, self.predicted + self.support)
    }
}

impl LabelSetCounts {
    /// All labels together, each of an example's counting by itself (micro average).
    pub fn together(&self) -> LabelCount {
        self.labels.iter().fold(LabelCount::default(), |mut sum, count| {
            sum.add(*count);
            sum
        })
    }

    /// The mean of a score over all labels (macro average); NaN of no label.
    pub fn macro_average(&self, score: impl Fn(LabelCount) -> f64) -> f64 {
        mean(self.labels.iter().map(|count| score(*count)))
    }

    /// The mean of F1 over the labels, each weighed by how often it applies; 0 where none does.
    pub fn f1_weighted(&self) -> f64 {
        let support = self.together().support;
        let sum: f64 = self.labels.iter().map(|count| count.f1() * count.support as f64).sum();
        if support == 0 { 0.0 } else { sum / support as f64 }
    }

    /// The mean over the examples of the F1 of their sets; 0 for an example to which nothing applies and of which nothing is
    /// predicted, scikit-learn's choice.
    pub fn f1_samples(&self) -> f64 {
        self.f1_of_examples / self.examples as f64
    }

    /// The share of examples with all of their labels right, and no other.
    pub fn subset_accuracy(&self) -> f64 {
        self.exact as f64 / self.examples as f64
    }

    /// The share of wrong answers among all, of each label of each example.
    pub fn hamming_loss(&self) -> f64 {
        let LabelCount { right, predicted, support } = self.together();
        let answers = self.examples as f64 * self.labels.len() as f64;
        (predicted + support - 2 * right) as f64 / answers
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_counted_by_label_and_by_example() {
        let mut sets = LabelSets::new(3);
        sets.record(&[0.9, 0.2, 0.6], &[0]);
        sets.record(&[0.1, 0.7, 0.4], &[1]);
        sets.record(&[0.3, 0.4, 0.1], &[]);
        let counts = sets.counts(&[0.5; 3]);
        assert_eq!((counts.examples, counts.exact), (3, 2));
        assert_eq!(counts.together(), LabelCount { right: 2, predicted: 3, support: 2 });
        assert!((counts.hamming_loss() - 1.0 / 9.0).abs() < 1e-15);
        assert!((counts.f1_samples() - (2.0 / 3.0 + 1.0) / 3.0).abs() < 1e-15);
        assert_eq!(sets.best_thresholds()[2], None);
    }

    #[test]
    fn of_no_examples_nothing_is_defined() {
        let none = LabelSets::new(2);
        assert!(none.is_empty());
        assert!(none.counts(&[0.5; 2]).f1_samples().is_nan());
        assert!(none.label_ranking_average_precision().is_nan() && none.roc_auc().is_nan());
    }
}
