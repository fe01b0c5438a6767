//! One number for all classes, from how often each was taken for each: scikit-learn's averages, and agreement beyond chance.

use super::{ClassScores, ConfusionMatrix};

impl ConfusionMatrix {
    /// The mean of precision over the classes that occur or are predicted; NaN where none is.
    pub fn precision_macro(&self) -> f64 {
        self.mean_of_classes(|scores| scores.precision)
    }

    /// The mean of recall over the classes that occur or are predicted; NaN where none is.
    pub fn recall_macro(&self) -> f64 {
        self.mean_of_classes(|scores| scores.recall)
    }

    /// The mean of F1 over the classes that occur or are predicted, as scikit-learn averages them; NaN where none is.
    pub fn f1_macro(&self) -> f64 {
        self.mean_of_classes(|scores| scores.f1)
    }

    /// The mean of F1 over the examples, each with the F1 of its class; NaN without answers.
    pub fn f1_weighted(&self) -> f64 {
        let scores = (0..self.num_labels()).map(|class| self.class_scores(class));
        let sum: f64 = scores.map(|scores| scores.f1 * scores.support as f64).sum();
        sum / self.total() as f64
    }

    /// The mean of recall over the classes that occur: accuracy as it were if each class had as many examples. NaN where none
    /// occurs.
    pub fn balanced_accuracy(&self) -> f64 {
        let scores = (0..self.num_labels()).map(|class| self.class_scores(class));
        mean(scores.filter(|scores| scores.support > 0).map(|scores| scores.recall))
    }

    /// Cohen's kappa: agreement beyond what chance gives, 1 at most. With `c` right of `s` answers, class `k` occurring `t_k`
    /// and predicted `p_k` times: `1 − s·(s − c) / (s² − Σ t_k·p_k)`. NaN where both sides know one and the same class alone.
    pub fn cohen_kappa(&self) -> f64 {
        let (right, total) = (i128::from(self.right()), i128::from(self.total()));
        let by_chance: i128 = (0..self.num_labels())
            .map(|class| i128::from(self.support(class)) * i128::from(self.predicted(class)))
            .sum();
        1.0 - (total * (total - right)) as f64 / (total * total - by_chance) as f64
    }

    /// Over the classes that occur or are predicted.
    fn mean_of_classes(&self, score: impl Fn(ClassScores) -> f64) -> f64 {
        let known = (0..self.num_labels())
            .filter(|class| self.support(*class) + self.predicted(*class) > 0);
        mean(known.map(|class| score(self.class_scores(class))))
    }
}

/// The mean of numbers; NaN of none.
pub(super) fn mean(numbers: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = numbers.fold((0.0, 0_u64), |(sum, count), number| (sum + number, count + 1));
    sum / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_is_measured_from_chance_on() {
        let matrix: ConfusionMatrix = vec![vec![20, 5], vec![10, 15]].try_into().unwrap();
        assert!((matrix.cohen_kappa() - 0.4).abs() < 1e-15);
        assert!((matrix.balanced_accuracy() - 0.7).abs() < 1e-15);
        let alone: ConfusionMatrix = vec![vec![7, 0], vec![0, 0]].try_into().unwrap();
        assert!(alone.cohen_kappa().is_nan());
        assert_eq!(alone.balanced_accuracy(), 1.0);
    }
}
