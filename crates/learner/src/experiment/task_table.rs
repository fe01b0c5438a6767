//! `[task]`, whose keys are those of the task that it names.

use nystromformer_tasks::{KeyUse, TaskConfig, TaskOptions, TaskRegistry};
use toml::{Table, Value};

use super::Experiment;
use super::explain::{self, render};
use super::known_keys::known_keys;
use super::merge::Layers;

/// Reads the table, if there is one, or says everything that is wrong with it.
///
/// The keys of other tasks that `passes_over` says are passed over, as are those that could not be followed: a configuration of an
/// earlier version lists them all.
pub(super) fn read(
    layers: &Layers,
    tasks: &TaskRegistry,
    passes_over: impl Fn(&str) -> bool,
) -> Result<Option<TaskConfig>, Vec<String>> {
    let Some(Value::Table(table)) = layers.get("task") else {
        return match layers.get("task") {
            None => Ok(None),
            Some(other) => Err(vec![format!(
                "{}`task` = `{}`: expected a table, as in `[task]` with `name = \"{}\"` below it",
                explain::origin(layers, "task"),
                render(other),
                TaskOptions::default().name
            )]),
        };
    };
    let default = TaskOptions::default().name;
    let name = table.get("name").map_or(Some(default.as_str()), Value::as_str);
    let mut problems = Vec::new();
    let mut remaining = table.clone();
    if let Some(name) = name {
        if !tasks.contains(name) {
            return Err(vec![unknown_task(layers, name, tasks)]);
        }
        let mut passed_over = Vec::new();
        for (key, value) in table {
            let dotted = format!("task.{key}");
            match tasks.key_use(name, key) {
                KeyUse::Read => continue,
                KeyUse::OfOthers(_) if passes_over(&dotted) => {}
                // A value that changes nothing is told, and not refused.
                KeyUse::OfOthers(_) if tasks.is_default(key, value) => {
                    passed_over.push(format!("`{dotted}`"));
                }
                KeyUse::OfOthers(others) => problems.push(format!(
                    "{}`{dotted}` = `{}` is read by `{}`, and not by `{name}`, which is the task here; leave it out",
                    explain::origin(layers, &dotted),
                    render(value),
                    others.join("`, `")
                )),
                KeyUse::Unknown => {
                    let here: Vec<String> =
                        tasks.keys(name).iter().map(|key| format!("task.{key}")).collect();
                    let mut known = known_keys::<Experiment>();
                    known.extend_from_slice(&here);
                    problems.push(explain::unknown_key(layers, &dotted, here, &known));
                }
            }
            remaining.remove(key);
        }
        if !passed_over.is_empty() {
            tracing::warn!(
                "the task `{name}` does not read {}; leave out what it does not read",
                passed_over.join(", ")
            );
        }
    }
    let mut of_task = layers.clone();
    of_task.table = Table::from_iter([("task".to_owned(), Value::Table(remaining))]);
    let read = explain::typed_by(&of_task, known_keys::<Experiment>, |table| {
        tasks.read(table.get("task").and_then(Value::as_table).unwrap_or(&Table::new()))
    });
    match read {
        Ok(task) if problems.is_empty() => {
            let keys = table.keys().map(|key| format!("task.{key}"));
            Ok(Some(task.passing_over(keys.filter(|key| passes_over(key)))))
        }
        Ok(_) => Err(problems),
        Err(others) => {
            problems.extend(others);
            Err(problems)
        }
    }
}

fn unknown_task(layers: &Layers, name: &str, tasks: &TaskRegistry) -> String {
    let known: Vec<String> = tasks.names().map(str::to_owned).collect();
    explain::unknown_value(layers, "task.name", name, &known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(assignments: &[&str]) -> Layers {
        let mut layers = Layers::default();
        for assignment in assignments {
            layers.set(assignment).unwrap();
        }
        layers
    }

    fn problems(assignments: &[&str]) -> Vec<String> {
        let tasks = nystromformer_lra::with_tasks(nystromformer_tasks::tasks());
        read(&layers(assignments), &tasks, |_| false).unwrap_err()
    }

    #[test]
    fn a_key_of_another_task_is_told_with_its_readers_and_a_misspelt_one_with_the_nearest() {
        let found = problems(&["task.name=imdb", "task.sentence2=b", "task.contour=\"6\""]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].contains("`task.contour` = `6` is read by `pathfinder`, and not by `imdb`")
        );
        assert!(found[1].contains("`task.sentence2` = `b` is read by `labelled`"), "{found:?}");
        let found = problems(&["task.name=labelled", "task.lables=[\"a\"]"]);
        assert!(found[0].contains("`task.lables`"), "{found:?}");
        assert!(found[0].contains("did you mean `task.labels`?"), "{found:?}");
    }

    #[test]
    fn an_unknown_task_and_values_of_another_type_are_told() {
        let found = problems(&["task.name=sst"]);
        assert!(found[0].contains("`task.name` = `sst`") && found[0].contains("sst2"), "{found:?}");
        let found = problems(&["task.name=imdb", "task.max_eval_samples=-1", "task.drop_last=1"]);
        assert!(found[0].contains("`task.drop_last` = `1`: expected `true`"), "{found:?}");
        assert!(found[1].contains("`task.max_eval_samples` = `-1`: expected a whole"), "{found:?}");
        let found = problems(&["task.name=pathfinder", "task.contour=\"7\""]);
        assert!(found[0].contains("`task.contour` = `7` is not one of its values"), "{found:?}");
        assert!(problems(&["task=imdb"])[0].contains("expected a table"));
    }

    #[test]
    fn keys_that_change_nothing_and_those_of_resolved_files_are_passed_over() {
        let tasks = nystromformer_lra::with_tasks(nystromformer_tasks::tasks());
        let found = layers(&["task.name=sst2", "task.contour=\"14\"", "task.labels=[]"]);
        let task = read(&found, &tasks, |_| false).unwrap().unwrap();
        assert_eq!(task.name(), "sst2");
        let written = toml::to_string(&task).unwrap();
        assert!(!written.contains("contour") && written.contains("split_seed = 0"), "{written}");
        let found = layers(&["task.name=sst2", "task.contour=\"6\""]);
        assert!(read(&found, &tasks, |_| false).is_err());
        assert!(read(&found, &tasks, |_| true).unwrap().is_some());
        assert!(read(&Layers::default(), &tasks, |_| false).unwrap().is_none());
    }
}
