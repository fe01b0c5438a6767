//! What a data set holds, counted: what there is to learn, and what a constant answer would get.

use std::path::Path;

use nystromformer_data::DataError;

use crate::example::{Example, Input, Label};

/// Counts over the examples of a split.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DatasetFacts {
    /// Examples.
    pub examples: u64,
    /// Examples without a label.
    pub unlabelled: u64,
    /// Examples of each class, up to the highest that occurs; empty for regression.
    pub classes: Vec<u64>,
    /// Lowest, mean and highest number that is a label; `None` for classes.
    pub values: Option<ValueFacts>,
    /// Length of the longest text, or sequence of ids; of a pair, both together.
    pub longest: usize,
    /// Sum of these lengths.
    pub length_sum: u64,
}

/// The labels of regression.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValueFacts {
    /// The lowest.
    pub lowest: f32,
    /// The mean.
    pub mean: f64,
    /// The highest.
    pub highest: f32,
}

impl DatasetFacts {
    /// Counts the examples, and keeps none.
    ///
    /// # Errors
    ///
    /// The first error of `examples`.
    pub fn count(
        examples: impl IntoIterator<Item = Result<Example, DataError>>,
    ) -> Result<Self, DataError> {
        let mut facts = Self::default();
        for example in examples {
            facts.add(&example?);
        }
        Ok(facts)
    }

    /// Counts one more example.
    pub fn add(&mut self, example: &Example) {
        let length = match &example.input {
            Input::Text { first, second } => first.len() + second.as_ref().map_or(0, String::len),
            Input::Ids { first, second } => first.len() + second.as_ref().map_or(0, Vec::len),
        };
        self.examples += 1;
        self.longest = self.longest.max(length);
        self.length_sum += length as u64;
        match example.label {
            None => self.unlabelled += 1,
            Some(Label::Class(class)) => {
                let class = usize::from(class);
                self.classes.resize(self.classes.len().max(class + 1), 0);
                self.classes[class] += 1;
            }
            Some(Label::Value(value)) => {
                let labelled = (self.examples - self.unlabelled) as f64;
                let facts = self.values.get_or_insert(ValueFacts {
                    lowest: value,
                    mean: 0.0,
                    highest: value,
                });
                facts.lowest = facts.lowest.min(value);
                facts.highest = facts.highest.max(value);
                facts.mean += (f64::from(value) - facts.mean) / labelled;
            }
        }
    }

    /// Checks that a classifier has something to learn from these examples, read from `path`: two classes at least.
    ///
    /// # Errors
    ///
    /// [`DataError::Dataset`].
    pub fn check_classes(&self, path: &Path, label_names: &[String]) -> Result<(), DataError> {
        let mut present = self.classes.iter().enumerate().filter(|(_, count)| **count > 0);
        match (present.next(), present.next()) {
            (Some(_), Some(_)) => Ok(()),
            (Some((class, count)), None) => {
                let name = label_names.get(class).map_or_else(|| class.to_string(), String::clone);
                let problem = format!(
                    "all `{count}` labelled examples are of class `{name}`, so there is nothing to learn; add examples of \
                     another class, or look whether the label column is the right one"
                );
                Err(DataError::dataset(path, problem))
            }
            (None, _) => Err(DataError::dataset(path, "no example has a class to learn")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(text: &str, label: Option<Label>) -> Example {
        Example { input: Input::Text { first: text.to_owned(), second: None }, label }
    }

    fn count(labels: &[Option<Label>]) -> DatasetFacts {
        DatasetFacts::count(labels.iter().map(|label| Ok(example("text", *label)))).unwrap()
    }

    #[test]
    fn classes_and_values_are_counted() {
        let class = |class| Some(Label::Class(class));
        let facts = count(&[class(2), class(0), None, class(2)]);
        assert_eq!((facts.examples, facts.unlabelled), (4, 1));
        assert_eq!(facts.classes, [1, 0, 2]);
        assert_eq!((facts.longest, facts.length_sum), (4, 16));
        let value = |value| Some(Label::Value(value));
        let facts = count(&[value(1.0), None, value(4.0), value(2.5)]);
        let expected = ValueFacts { lowest: 1.0, mean: 2.5, highest: 4.0 };
        assert_eq!(facts.values, Some(expected));
    }

    #[test]
    fn one_class_is_nothing_to_learn() {
        let names = ["bad".to_owned(), "good".to_owned()];
        let check = |labels: &[Option<Label>]| count(labels).check_classes(Path::new("x"), &names);
        let class = |class| Some(Label::Class(class));
        assert!(check(&[class(0), class(1)]).is_ok());
        let message = check(&[class(1), class(1), None]).unwrap_err().to_string();
        assert!(message.contains("all `2`") && message.contains("`good`"), "{message}");
        assert!(check(&[None]).is_err());
    }
}
