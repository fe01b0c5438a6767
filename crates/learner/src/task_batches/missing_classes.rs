//! Which classes have no examples: to train on, to measure on, or none at all.

use nystromformer_tasks::table::listed;
use nystromformer_tasks::{LabelCounts, Split, TaskOptions};

/// What is to be said of the classes `names`, a sentence each. `has_labels_key` is whether `task.labels` names them.
pub(super) fn sentences(
    names: &[String],
    trained: &LabelCounts,
    measured: &[(Split, LabelCounts)],
    options: &TaskOptions,
    has_labels_key: bool,
) -> Vec<String> {
    let spelt = |classes: Vec<usize>| {
        listed(classes.into_iter().map(|class| names.get(class).map_or("?", String::as_str)))
    };
    let limit = |key: &str, limit: usize| {
        if limit > 0 { format!("; raise `{key}`") } else { String::new() }
    };
    let of_training = limit("task.max_train_samples", options.max_train_samples);
    let of_evaluation = limit("task.max_eval_samples", options.max_eval_samples);
    let mut told = Vec::new();
    let all = || std::iter::once(trained).chain(measured.iter().map(|(_, counts)| counts));
    let occurs =
        |class: usize| all().any(|counts| counts.classes.get(class).is_some_and(|n| *n > 0));
    let absent: Vec<usize> = (0..names.len()).filter(|class| !occurs(*class)).collect();
    if !absent.is_empty() {
        let cure = if has_labels_key {
            ": leave it out of `task.labels`, or look how the data spells it"
        } else {
            ""
        };
        told.push(format!(
            "no example is of the class {}, so no model can learn it{cure}{of_training}",
            spelt(absent)
        ));
    }
    for (split, counts) in measured {
        let split = split.name();
        let unmeasured = trained.classes_beyond(counts);
        if !unmeasured.is_empty() {
            told.push(format!(
                "the {split} split has no example of the class {}: its scores do not say how well that is predicted{of_evaluation}",
                spelt(unmeasured)
            ));
        }
        let untrained = counts.classes_beyond(trained);
        if !untrained.is_empty() {
            told.push(format!(
                "the {split} split has examples of the class {}, and the training set has none: the model cannot get them \
                 right{of_training}",
                spelt(untrained)
            ));
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(classes: &[u64]) -> LabelCounts {
        LabelCounts { classes: classes.to_vec(), ..LabelCounts::default() }
    }

    #[test]
    fn classes_without_examples_are_named_with_what_helps() {
        let names = ["a", "b", "c", "d"].map(str::to_owned);
        let options = TaskOptions { max_eval_samples: 9, ..TaskOptions::default() };
        let measured = [(Split::Validation, counts(&[4, 0, 2]))];
        let told = sentences(&names, &counts(&[5, 5]), &measured, &options, true);
        assert_eq!(told.len(), 3, "{told:?}");
        for (sentence, parts) in told.iter().zip([
            ["no example is of the class `d`", "`task.labels`"],
            ["validation split has no example of the class `b`", "; raise `task.max_eval_samples`"],
            ["validation split has examples of the class `c`", "the training set has none"],
        ]) {
            for part in parts {
                assert!(sentence.contains(part), "{sentence}");
            }
        }
        let whole = [(Split::Test, counts(&[1, 1, 1, 1]))];
        let none = sentences(&names, &counts(&[2, 2, 2, 2]), &whole, &options, true);
        assert_eq!(none, Vec::<String>::new());
    }
}
