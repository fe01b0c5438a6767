//! How often each class is the label: what there is to learn, and to measure.

use std::path::Path;

use nystromformer_data::DataError;

use crate::example::{Example, Label};

/// Counts over the labels of a split.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelCounts {
    /// Examples.
    pub examples: u64,
    /// Examples without a label.
    pub unlabelled: u64,
    /// How often each class is a label, up to the highest that occurs; empty for regression.
    pub classes: Vec<u64>,
}

impl LabelCounts {
    /// Counts the examples, and keeps none.
    ///
    /// # Errors
    ///
    /// The first error of `examples`.
    pub fn count(
        examples: impl IntoIterator<Item = Result<Example, DataError>>,
    ) -> Result<Self, DataError> {
        let mut counts = Self::default();
        for example in examples {
            counts.add(example?.label.as_ref());
        }
        Ok(counts)
    }

    /// Counts one more label.
    pub fn add(&mut self, label: Option<&Label>) {
        self.examples += 1;
        match label {
            None => self.unlabelled += 1,
            Some(Label::Class(class)) => self.count_class(*class),
            Some(Label::Classes(classes)) => {
                for class in classes {
                    self.count_class(*class);
                }
            }
            Some(Label::Tags(tags)) => {
                for class in tags.classes.iter().flatten() {
                    self.count_class(*class);
                }
            }
            Some(Label::Value(_) | Label::Values(_) | Label::Answers(_)) => {}
        }
    }

    fn count_class(&mut self, class: u16) {
        let class = usize::from(class);
        self.classes.resize(self.classes.len().max(class + 1), 0);
        self.classes[class] += 1;
    }

    /// The classes that occur here and not in `other`, by their numbers.
    pub fn classes_beyond(&self, other: &Self) -> Vec<usize> {
        let occurs =
            |counts: &[u64], class: usize| counts.get(class).is_some_and(|count| *count > 0);
        (0..self.classes.len())
            .filter(|class| occurs(&self.classes, *class) && !occurs(&other.classes, *class))
            .collect()
    }

    /// Checks that a classifier has something to learn from these examples, read from `path`: two classes at least.
    /// `max_train_samples` is how many were drawn at most, 0 if all were read.
    ///
    /// # Errors
    ///
    /// [`DataError::Dataset`].
    pub fn check_classes(
        &self,
        path: &Path,
        label_names: &[String],
        max_train_samples: usize,
    ) -> Result<(), DataError> {
        let mut present = self.classes.iter().enumerate().filter(|(_, count)| **count > 0);
        match (present.next(), present.next()) {
            (Some(_), Some(_)) => Ok(()),
            (Some((class, count)), None) => {
                let name = label_names.get(class).map_or_else(|| class.to_string(), String::clone);
                let cure = if max_train_samples > 0 {
                    format!("raise `task.max_train_samples` = `{max_train_samples}`")
                } else {
                    "add examples of another class, or look whether the label column is the right one".to_owned()
                };
                let problem = format!(
                    "all `{count}` labelled examples are of class `{name}`, so there is nothing to learn; {cure}"
                );
                Err(DataError::dataset(path, problem))
            }
            (None, _) => Err(DataError::dataset(path, "no example has a class to learn")),
        }
    }
}

impl<'a> FromIterator<Option<&'a Label>> for LabelCounts {
    fn from_iter<I: IntoIterator<Item = Option<&'a Label>>>(labels: I) -> Self {
        let mut counts = Self::default();
        for label in labels {
            counts.add(label);
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(labels: &[Option<Label>]) -> LabelCounts {
        labels.iter().map(Option::as_ref).collect()
    }

    #[test]
    fn classes_and_what_has_no_label_are_counted() {
        let class = |class| Some(Label::Class(class));
        let counts = count(&[class(2), class(0), None, class(2)]);
        assert_eq!((counts.examples, counts.unlabelled), (4, 1));
        assert_eq!(counts.classes, [1, 0, 2]);
        assert_eq!(counts.classes_beyond(&count(&[class(1), class(2)])), [0]);
        assert_eq!(count(&[class(1), class(2)]).classes_beyond(&counts), [1]);
        let counts = count(&[Some(Label::Value(1.0)), None]);
        assert_eq!((counts.examples, counts.unlabelled), (2, 1));
        assert!(counts.classes.is_empty());
    }

    #[test]
    fn one_class_is_nothing_to_learn() {
        let names = ["bad".to_owned(), "good".to_owned()];
        let limited = |labels: &[Option<Label>], limit| {
            count(labels).check_classes(Path::new("x"), &names, limit)
        };
        let check = |labels: &[Option<Label>]| limited(labels, 0);
        let class = |class| Some(Label::Class(class));
        assert!(check(&[class(0), class(1)]).is_ok());
        let message = check(&[class(1), class(1), None]).unwrap_err().to_string();
        assert!(message.contains("all `2`") && message.contains("`good`"), "{message}");
        assert!(message.contains("label column"), "{message}");
        let message = limited(&[class(1)], 1).unwrap_err().to_string();
        assert!(message.contains("raise `task.max_train_samples` = `1`"), "{message}");
        assert!(check(&[None]).is_err());
    }
}
