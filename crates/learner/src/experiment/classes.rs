//! Whether the classes that a model names are those of the data.

use nystromformer::{Labels, ProblemType};
use nystromformer_tasks::{Targets, say_once};

/// What keeps the answers of a model with these classes from being the task's; `None` if nothing does.
///
/// Names that say nothing (`LABEL_0`), and a task's classes that are mere numbers, are taken by their places, unless they
/// are the same names in another order; of numbers it is said.
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
    let how = match class_order(model, task) {
        Some(order) if order.is_sorted() && names == task => return None,
        Some(order) if order.is_sorted() => "classes in other letters",
        Some(_) => "classes in another order",
        None => {
            let says_nothing = *model == Labels::numbered(names.len());
            let are_numbers = task.iter().all(|name| name.parse::<i64>().is_ok());
            if are_numbers && !says_nothing {
                let places = names.iter().zip(task);
                let places: Vec<String> =
                    places.take(12).map(|(name, class)| format!("`{class}` is `{name}`")).collect();
                say_once(format!(
                    "the classes of the data are numbers, and are taken for those of the model by their place: {} (`task.labels` states \
                     another order)",
                    places.join(", ")
                ));
            }
            if says_nothing || are_numbers || task.len() == 1 {
                return None;
            }
            "other classes"
        }
    };
    Some(format!("names {how} ({}) than the task has ({})", listed(names), listed(task)))
}

/// For each class of the task the place of the model's class of the same name, where all names agree: letter by letter, or
/// but for upper and lower case where that tells them apart.
pub fn class_order(model: &Labels, task: &[String]) -> Option<Vec<usize>> {
    let exactly: [fn(&String) -> String; 2] = [String::clone, |name| name.to_lowercase()];
    exactly.into_iter().find_map(|form| {
        let [theirs, ours] =
            [model.names(), task].map(|names| names.iter().map(form).collect::<Vec<String>>());
        let order: Vec<usize> = ours
            .iter()
            .map(|name| {
                let mut places = theirs.iter().enumerate().filter(|(_, other)| *other == name);
                let (place, _) = places.next()?;
                places.next().is_none().then_some(place)
            })
            .collect::<Option<_>>()?;
        let mut places = order.clone();
        places.sort_unstable();
        places.iter().copied().eq(0..theirs.len()).then_some(order)
    })
}

/// What a model's `problem_type` must be for a task; `None` where each example has one class, which needs no word.
pub(super) fn problem_type(task: &Targets) -> Option<ProblemType> {
    match task {
        // transformers' pipeline would otherwise take the one number for a probability.
        Targets::Numbers { .. } | Targets::Columns(_) => Some(ProblemType::Regression),
        Targets::Labels(_) => Some(ProblemType::MultiLabelClassification),
        Targets::Classes(_) | Targets::Tags(_) | Targets::Choices | Targets::Answers(_) => None,
    }
}

/// What keeps a model whose answers are `stated` from being trained on a task.
pub(super) fn problem_type_difference(stated: ProblemType, task: &Targets) -> Option<String> {
    let wanted = problem_type(task).unwrap_or(ProblemType::SingleLabelClassification);
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
    fn classes_of_the_same_names_are_found_in_any_order_and_case() {
        for (model, task, order) in [
            (&["neg", "pos"][..], &["neg", "pos"][..], Some(vec![0, 1])),
            (&["pos", "neg"], &["neg", "pos"], Some(vec![1, 0])),
            (
                &["POSITIVE", "NEGATIVE", "Neutral"],
                &["negative", "neutral", "positive"],
                Some(vec![1, 2, 0]),
            ),
            // Numbers are names where they are the same.
            (&["1", "0"], &["0", "1"], Some(vec![1, 0])),
            // Letters that differ by case alone mean something.
            (&["b", "B"], &["B", "b"], Some(vec![1, 0])),
            (&["a", "A"], &["a", "Ä"], None),
            (&["a", "A"], &["A", "A"], None),
            (&["neg", "pos"], &["neg"], None),
            (&["neg", "sad"], &["neg", "pos"], None),
        ] {
            let labels = Labels::new(model.iter().copied());
            assert_eq!(class_order(&labels, &owned(task)), order, "{model:?} {task:?}");
        }
        let difference = |model: [&str; 2], task: [&str; 2]| {
            class_difference(&Labels::new(model), &owned(&task)).unwrap()
        };
        assert!(difference(["Neg", "Pos"], ["neg", "pos"]).contains("classes in other letters"));
        assert!(difference(["1", "0"], ["0", "1"]).contains("classes in another order"));
    }

    #[test]
    fn what_a_task_predicts_decides_the_type_of_problem() {
        let classes = || Targets::classes(["neg", "pos"]).unwrap();
        let of = |stated, task: &Targets| problem_type_difference(stated, task);
        assert_eq!(of(ProblemType::Regression, &Targets::numbers()), None);
        assert_eq!(of(ProblemType::SingleLabelClassification, &classes()), None);
        assert!(of(ProblemType::Regression, &classes()).unwrap().contains("`regression`"));
        assert!(of(ProblemType::MultiLabelClassification, &classes()).is_some());
        assert!(of(ProblemType::SingleLabelClassification, &Targets::numbers()).is_some());
    }
}
