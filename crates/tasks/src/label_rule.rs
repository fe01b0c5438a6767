//! What is asked of the labels in files, and what becomes of those that cannot be read.

use nystromformer_data::DataError;
use nystromformer_files::say_once;

use crate::split::Split;

/// What is asked of the labels of some examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelRule {
    /// Each example has one: it trains, or validates.
    Required,
    /// An example may have none, as in a test set whose labels are kept back; what is there is a label.
    Optional,
    /// The examples are to be predicted, and need no labels. What cannot be read as one is none, which is counted and said.
    IfReadable,
    /// No label is read: inputs are learned.
    Unread,
}

impl LabelRule {
    /// Of a split of a data set.
    pub fn of_split(split: Split) -> Self {
        if split.is_test() { Self::Optional } else { Self::Required }
    }

    /// Whether each example must have a label.
    pub fn requires(self) -> bool {
        self == Self::Required
    }
}

/// The labels of a file that cannot be read. It says how many there were when it is dropped.
#[derive(Debug)]
pub(crate) struct UnreadLabels {
    rule: LabelRule,
    /// The key of `[task]` that says where labels stand.
    key: &'static str,
    count: u64,
    first: Option<String>,
}

impl UnreadLabels {
    pub(crate) fn new(rule: LabelRule, key: &'static str) -> Self {
        Self { rule, key, count: 0, first: None }
    }

    /// What was read, or no label in the place of one that cannot be read, if the rule allows that.
    ///
    /// # Errors
    ///
    /// What was read, if the rule does not.
    pub(crate) fn settle<T>(
        &mut self,
        read: Result<Option<T>, impl Into<DataError>>,
    ) -> Result<Option<T>, DataError> {
        let error = match read {
            Ok(label) => return Ok(label),
            Err(error) => error.into(),
        };
        if self.rule != LabelRule::IfReadable {
            return Err(error);
        }
        self.count += 1;
        self.first.get_or_insert_with(|| error.to_string());
        Ok(None)
    }
}

impl Drop for UnreadLabels {
    fn drop(&mut self) {
        if let Some(first) = &self.first {
            let (count, key) = (self.count, self.key);
            say_once(format!(
                "`{count}` labels cannot be read, and count as none: predictions need no labels (`{key}` says where they stand); \
                 the first: {first}"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::example::Label;

    #[test]
    fn a_label_that_cannot_be_read_is_none_only_where_none_is_needed() {
        let wrong =
            || Err::<Option<Label>, _>(DataError::line(Path::new("a.csv"), 3, "`x` is none"));
        for rule in [LabelRule::Required, LabelRule::Optional] {
            let error = UnreadLabels::new(rule, "task.label").settle(wrong()).unwrap_err();
            assert_eq!(error.to_string(), "a.csv:3: `x` is none");
        }
        let mut unread = UnreadLabels::new(LabelRule::IfReadable, "task.label");
        assert_eq!(unread.settle(wrong()).unwrap(), None);
        assert_eq!(
            unread.settle(Ok::<_, DataError>(Some(Label::Class(1)))).unwrap(),
            Some(Label::Class(1))
        );
        assert_eq!((unread.count, unread.first.as_deref()), (1, Some("a.csv:3: `x` is none")));
    }
}
