//! Whether the classes that a model names are those of the data.

use std::collections::BTreeSet;

use nystromformer::{Labels, ProblemType};

/// What keeps the answers of a model with these classes from being the task's; `None` if nothing does.
///
/// Names that say nothing (`LABEL_0`), and a task's classes that are mere numbers, are taken by their places.
pub fn class_difference(model: &Labels, task: &[String]) -> Option<String> {
    let listed = |names: &[String]| names.join(", ");
    let names = model.names();
    if names.len() != task.len() {
        return Some(format!(
            "names `{}` classes ({}), and the task has `{}` ({})",
            names.len(),
            listed(names),
            task.len(),
            listed(task)
        ));
    }
    let says_nothing = *model == Labels::numbered(names.len());
    let are_numbers = task.iter().all(|name| name.parse::<i64>().is_ok());
    if names == task || says_nothing || are_numbers || task.len() == 1 {
        return None;
    }
    let [theirs, ours] = [names, task].map(|names| names.iter().collect::<BTreeSet<_>>());
    let how = if theirs == ours { "classes in another order" } else { "other classes" };
    Some(format!("names {how} ({}) than the task has ({})", listed(names), listed(task)))
}

/// What keeps a model whose answers are `stated` from being trained on a task of these classes; one stands for a number.
pub(super) fn problem_type_difference(stated: ProblemType, task: &[String]) -> Option<String> {
    let wanted = match task.len() {
        1 => ProblemType::Regression,
        _ => ProblemType::SingleLabelClassification,
    };
    let name = |kind: ProblemType| match kind {
        ProblemType::Regression => "regression",
        ProblemType::SingleLabelClassification => "single_label_classification",
        ProblemType::MultiLabelClassification => "multi_label_classification",
    };
    (stated != wanted)
        .then(|| format!("is `{}`, and the task is one of `{}`", name(stated), name(wanted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn classes_agree_by_name_or_by_place_where_names_say_nothing() {
        for (model, task) in [
            (["neg", "pos"], ["neg", "pos"]),
            (["LABEL_0", "LABEL_1"], ["neg", "pos"]),
            (["neg", "pos"], ["0", "1"]),
        ] {
            assert_eq!(class_difference(&Labels::new(model), &owned(&task)), None, "{model:?}");
        }
        for (model, part) in [
            (&["pos", "neg"][..], "in another order"),
            (&["neg", "sad"], "other classes (neg, sad) than the task has (neg, pos)"),
            (&["neg", "pos", "none"], "`3` classes (neg, pos, none)"),
            (&["LABEL_0"], "`1` classes"),
        ] {
            let labels = Labels::new(model.iter().copied());
            let difference = class_difference(&labels, &owned(&["neg", "pos"])).unwrap();
            assert!(difference.contains(part), "{difference}");
        }
        assert_eq!(class_difference(&Labels::numbered(1), &owned(&["score"])), None);
    }

    #[test]
    fn one_name_stands_for_a_number() {
        let of = |stated, task: &[&str]| problem_type_difference(stated, &owned(task));
        assert_eq!(of(ProblemType::Regression, &["score"]), None);
        assert_eq!(of(ProblemType::SingleLabelClassification, &["neg", "pos"]), None);
        assert!(of(ProblemType::Regression, &["neg", "pos"]).unwrap().contains("`regression`"));
        assert!(of(ProblemType::MultiLabelClassification, &["neg", "pos"]).is_some());
        assert!(of(ProblemType::SingleLabelClassification, &["score"]).is_some());
    }
}
