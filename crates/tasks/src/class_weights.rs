//! [`ClassWeights`]: what rare classes count in the loss; [`Sampling`]: how often they are seen.

use std::fmt;

use nystromformer_data::DataError;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const NONE: &str = "none";
const BALANCED: &str = "balanced";
const KEY: &str = "task.class_weights";

/// `task.class_weights`: what an answer of each class counts in the loss of training.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum ClassWeights {
    /// `"none"`: all the same.
    #[default]
    None,
    /// `"balanced"`: as much the more as the class is rarer among the training examples.
    Balanced,
    /// A list: what is given for each class, in the order of the classes.
    Each(Vec<f64>),
}

/// `task.sampling`: which examples a step of training visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// Each example once in an epoch.
    #[default]
    Natural,
    /// Each class as often as every other. The examples of a class are visited in turn, so those of rare classes come again
    /// within an epoch, which is as many visits as there are training examples.
    Balanced,
}

impl ClassWeights {
    /// Whether all count the same.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Weights of classes of which one is right, from how often each of `names` is: PyTorch's `weight`. Balanced ones are
    /// scikit-learn's, `answers / (classes that occur · answers of this class)`, so that they are 1 on average over the
    /// answers; 0 for a class that does not occur.
    ///
    /// # Errors
    ///
    /// [`DataError::Config`] if there is not a weight for each class.
    pub fn of_classes(
        &self,
        counts: &[u64],
        names: &[String],
    ) -> Result<Option<Vec<f32>>, DataError> {
        let (answers, occurring) = counts
            .iter()
            .fold((0, 0), |(sum, some), count| (sum + count, some + u64::from(*count > 0)));
        self.resolve(counts, names, |count| match count {
            0 => 0.0,
            count => answers as f64 / (occurring * count) as f64,
        })
    }

    /// Factors of classes of which any number is right, from how often each is among so many examples: PyTorch's
    /// `pos_weight`. Balanced ones are `examples without the class / examples with it`, and 1 for a class that all or none
    /// of them have.
    ///
    /// # Errors
    ///
    /// As [`Self::of_classes`].
    pub fn of_labels(
        &self,
        counts: &[u64],
        examples: u64,
        names: &[String],
    ) -> Result<Option<Vec<f32>>, DataError> {
        self.resolve(counts, names, |count| match (examples.saturating_sub(count), count) {
            (0, _) | (_, 0) => 1.0,
            (without, with) => without as f64 / with as f64,
        })
    }

    fn resolve(
        &self,
        counts: &[u64],
        names: &[String],
        balanced: impl Fn(u64) -> f64,
    ) -> Result<Option<Vec<f32>>, DataError> {
        match self {
            Self::None => Ok(None),
            Self::Balanced => {
                let count = |class| counts.get(class).copied().unwrap_or(0);
                Ok(Some((0..names.len()).map(|class| balanced(count(class)) as f32).collect()))
            }
            Self::Each(weights) if weights.len() == names.len() => {
                Ok(Some(weights.iter().map(|weight| *weight as f32).collect()))
            }
            Self::Each(weights) => Err(DataError::config(
                KEY,
                self,
                format!(
                    "`{}` weights for the `{}` classes `{}`: give one for each, in this order",
                    weights.len(),
                    names.len(),
                    names.join("`, `")
                ),
            )),
        }
    }

    /// Everything wrong with the values.
    pub(crate) fn problems(&self) -> Vec<DataError> {
        let Self::Each(weights) = self else { return Vec::new() };
        // As it is computed with: one too small is zero.
        let is_weight = |weight: &f64| *weight as f32 > 0.0 && (*weight as f32).is_finite();
        if !weights.is_empty() && weights.iter().all(is_weight) {
            return Vec::new();
        }
        vec![DataError::config(KEY, self, "must be positive numbers, one for each class")]
    }
}

/// As in a config file.
impl fmt::Display for ClassWeights {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.write_str(NONE),
            Self::Balanced => formatter.write_str(BALANCED),
            Self::Each(weights) => write!(formatter, "{weights:?}"),
        }
    }
}

impl Serialize for ClassWeights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_str(NONE),
            Self::Balanced => serializer.serialize_str(BALANCED),
            Self::Each(weights) => weights.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ClassWeights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

/// Takes a word or a list of numbers.
struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = ClassWeights;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("`balanced`, `none` or a list of numbers")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<ClassWeights, E> {
        match word {
            NONE => Ok(ClassWeights::None),
            BALANCED => Ok(ClassWeights::Balanced),
            other => Err(E::unknown_variant(other, &[BALANCED, NONE])),
        }
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<ClassWeights, A::Error> {
        let mut weights = Vec::new();
        while let Some(weight) = list.next_element()? {
            weights.push(weight);
        }
        Ok(ClassWeights::Each(weights))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("c{number}")).collect()
    }

    /// `sklearn.utils.class_weight.compute_class_weight("balanced", …)` of 6, 3 and 1 answers: `10 / (3 · count)`.
    #[test]
    fn balanced_weights_are_those_of_scikit_learn() {
        let weights = |counts: &[u64]| {
            ClassWeights::Balanced.of_classes(counts, &names(counts.len())).unwrap().unwrap()
        };
        assert_eq!(weights(&[6, 3, 1]), [10.0 / 18.0, 10.0 / 9.0, 10.0 / 3.0]);
        assert_eq!(weights(&[5, 5]), [1.0, 1.0]);
        // What does not occur takes no part.
        assert_eq!(weights(&[4, 0, 4]), [1.0, 0.0, 1.0]);
        // Counts end with the highest class that occurs.
        let weights = ClassWeights::Balanced.of_classes(&[2, 2], &names(3)).unwrap().unwrap();
        assert_eq!(weights, [1.0, 1.0, 0.0]);
    }

    #[test]
    fn balanced_labels_weigh_those_without_against_those_with() {
        let weights = ClassWeights::Balanced.of_labels(&[2, 8, 0, 10], 10, &names(4));
        assert_eq!(weights.unwrap().unwrap(), [4.0, 0.25, 1.0, 1.0]);
    }

    #[test]
    fn a_list_has_a_positive_weight_for_each_class() {
        let each = ClassWeights::Each(vec![1.0, 2.5]);
        assert_eq!(each.of_classes(&[1, 1], &names(2)).unwrap().unwrap(), [1.0, 2.5]);
        let error = each.of_classes(&[1, 1, 1], &names(3)).unwrap_err().to_string();
        assert!(error.contains("`task.class_weights`") || error.contains("task.class_weights"));
        assert!(error.contains("`2` weights for the `3` classes `c0`, `c1`, `c2`"), "{error}");
        assert!(each.problems().is_empty());
        for bad in
            [vec![], vec![1.0, 0.0], vec![-1.0], vec![f64::NAN], vec![1e300], vec![1e-46, 1.0]]
        {
            assert_eq!(ClassWeights::Each(bad).problems().len(), 1);
        }
    }

    #[test]
    fn a_config_has_a_word_or_a_list() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Keys {
            class_weights: ClassWeights,
        }
        for (text, expected) in [
            ("class_weights = \"balanced\"", ClassWeights::Balanced),
            ("class_weights = \"none\"", ClassWeights::None),
            ("class_weights = [1, 2.5]", ClassWeights::Each(vec![1.0, 2.5])),
        ] {
            let read: Keys = toml::from_str(text).unwrap();
            assert_eq!(read.class_weights, expected);
            assert_eq!(toml::from_str::<Keys>(&toml::to_string(&read).unwrap()).unwrap(), read);
        }
        let error = toml::from_str::<Keys>("class_weights = \"even\"").unwrap_err().to_string();
        assert!(error.contains("`even`") && error.contains("`balanced`"), "{error}");
        let error = toml::from_str::<Keys>("class_weights = true").unwrap_err().to_string();
        assert!(error.contains("list of numbers"), "{error}");
    }
}
