//! Keys of `[data]`, `[tokenizer]` and `[distill]` that nothing reads: of pretraining beside a `[task]`, or of another objective.
//!
//! Stated, such a key is refused, or only told where its value changes nothing. A resolved configuration lists what is read
//! and nothing else.

use nystromformer_data::{DataConfig, Objective, TokenizerConfig};
use toml::{Table, Value};

use super::Experiment;
use super::explain::{self, render};
use super::merge::Layers;
use crate::objectives::{self, distill::config::DistillConfig};

/// The keys that are read where there is a task.
const READ_BY_TASKS: [&str; 2] = ["data.seq_len", "data.shuffle"];

/// The same of a task that is made of texts.
const READ_BY_TASKS_OF_TEXTS: [&str; 2] = ["tokenizer.path", "tokenizer.lowercase"];

/// Keys of tokenizers that are trained, which one that is there does not need.
const READ_IN_TRAINING_A_TOKENIZER: [&str; 4] =
    ["tokenizer.kind", "tokenizer.vocab_size", "tokenizer.min_frequency", "tokenizer.max_alphabet"];

/// Everything stated that the experiment does not read, with what to do instead. What changes nothing is told by a warning.
pub(super) fn problems(layers: &Layers, experiment: &Experiment) -> Vec<String> {
    let mut problems = Vec::new();
    let mut passed_over = Vec::new();
    for (section, defaults) in [
        ("data", Table::try_from(DataConfig::default())),
        ("tokenizer", Table::try_from(TokenizerConfig::default())),
        ("distill", Table::try_from(DistillConfig::default())),
    ] {
        let defaults = defaults.unwrap_or_default();
        let stated = layers.get(section).and_then(Value::as_table);
        for (name, value) in stated.into_iter().flatten() {
            let key = format!("{section}.{name}");
            let Some(advice) = advice(&key, experiment) else { continue };
            if defaults.get(name) == Some(value) {
                passed_over.push(format!("`{key}`"));
            } else {
                let origin = explain::origin(layers, &key);
                problems
                    .push(format!("{origin}`{key}` = `{}` is not read: {advice}", render(value)));
            }
        }
    }
    if !passed_over.is_empty() {
        tracing::warn!(
            "this experiment does not read {}; leave out what it does not read",
            passed_over.join(", ")
        );
    }
    let trained: Vec<&str> = READ_IN_TRAINING_A_TOKENIZER
        .into_iter()
        .filter(|key| experiment.task.is_none() && layers.get(key).is_some())
        .collect();
    if let (Some(path), false) = (&experiment.tokenizer.path, trained.is_empty()) {
        tracing::warn!(
            "no tokenizer is trained, since `tokenizer.path` names one: `{1}`; `{0}` have no effect, leave them out",
            trained.join("`, `"),
            path.display()
        );
    }
    problems
}

/// Takes the keys that the experiment does not read out of its resolved form.
pub(super) fn remove_unread(table: &mut Table, experiment: &Experiment) {
    for section in ["data", "tokenizer", "distill"] {
        if let Some(Value::Table(keys)) = table.get_mut(section) {
            keys.retain(|name, _| advice(&format!("{section}.{name}"), experiment).is_none());
        }
    }
    table.retain(|_, value| !matches!(value, Value::Table(keys) if keys.is_empty()));
}

/// What to do instead of stating a key; `None` if it is read.
fn advice(key: &str, experiment: &Experiment) -> Option<String> {
    let Some(task) = &experiment.task else {
        if key.starts_with("distill.") && experiment.data.objective != Objective::Distill {
            return Some("it goes with `data.objective = \"distill\"` only".to_owned());
        }
        let mut unread = objectives::of(experiment.data.objective).unread().iter();
        return unread.find(|(unread, _)| *unread == key).map(|(_, advice)| (*advice).to_owned());
    };
    let has_texts = task.task().vocabulary().is_none();
    if READ_BY_TASKS.contains(&key) || (has_texts && READ_BY_TASKS_OF_TEXTS.contains(&key)) {
        return None;
    }
    let (section, name) = key.split_once('.')?;
    let own = match name {
        "corpus" | "sample_if_missing" => "path",
        "text_field" => "sentence1",
        // These mean something to a task that learns its inputs only.
        "objective" | "mlm_probability" if task.masked_share().is_none() => "",
        other => other,
    };
    Some(if section == "data" && task.registry().keys(task.name()).contains(own) {
        format!("the task has a key of its own, `task.{own}`")
    } else if section == "tokenizer" && !has_texts {
        format!(
            "`{}` has a vocabulary of its own and needs no tokenizer; leave it out",
            task.name()
        )
    } else if section == "tokenizer" {
        "with a `[task]` no tokenizer is trained, it comes with `model.init_from` or `tokenizer.path`; leave it out"
            .to_owned()
    } else {
        "it is of pretraining, and there is a `[task]`; leave out one of them".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(assignments: &[&str]) -> Result<Experiment, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tiny.toml");
        std::fs::write(&path, "").unwrap();
        let assignments: Vec<String> = assignments.iter().map(|&text| text.to_owned()).collect();
        let tasks = nystromformer_lra::with_tasks(nystromformer_tasks::tasks());
        Experiment::load(&path, &assignments, &tasks)
            .map(|loaded| loaded.experiment)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_key_that_a_task_does_not_read_is_refused_with_the_key_that_does_it() {
        for (assignments, advice) in [
            (&["task.name=imdb", "data.validation_fraction=0.3"][..], "`task.validation_fraction`"),
            (&["task.name=labelled", "data.max_line_bytes=7"], "`task.max_line_bytes`"),
            (&["task.name=labelled", "data.corpus=books"], "`task.path`"),
            (&["task.name=labelled", "data.text_field=review"], "`task.sentence1`"),
            (&["task.name=labelled", "data.separator=;"], "`task.separator`"),
            (&["task.name=imdb", "data.mlm_probability=0.3"], "it is of pretraining"),
            (&["task.name=imdb", "tokenizer.vocab_size=100"], "`tokenizer.path`"),
            (&["task.name=listops", "tokenizer.path=x"], "a vocabulary of its own"),
            (&["data.short_seq_prob=0.5"], "mlm_sop"),
            (&["distill.kl_weight=0.5"], "`data.objective = \"distill\"`"),
            (&["task.name=imdb", "distill.stage=network"], "it is of pretraining"),
        ] {
            let error = load(assignments).unwrap_err();
            let key = assignments[assignments.len() - 1].split('=').next().unwrap();
            assert!(error.contains(&format!("--set: `{key}` = ")), "{error}");
            assert!(error.contains(advice), "{error}");
        }
    }

    #[test]
    fn a_resolved_file_lists_what_is_read_and_older_ones_are_read_all_the_same() {
        let resolved = load(&["task.name=listops"]).unwrap().to_toml();
        let table: Table = resolved.parse().unwrap();
        let keys = |section: &str| -> Vec<String> {
            table
                .get(section)
                .and_then(Value::as_table)
                .into_iter()
                .flat_map(Table::keys)
                .cloned()
                .collect()
        };
        assert_eq!(keys("data"), ["seq_len", "shuffle"]);
        assert!(keys("tokenizer").is_empty() && !keys("task").contains(&"regression".to_owned()));

        let older = format!("{resolved}\n[tokenizer]\nvocab_size = 77\n")
            .replace("[data]\n", "[data]\nvalidation_fraction = 0.3\ncorpus = \"sample\"\n")
            .replace("[task]\n", "[task]\nregression = true\ncontour = \"14\"\n");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        std::fs::write(&path, &older).unwrap();
        let tasks = nystromformer_lra::with_tasks(nystromformer_tasks::tasks());
        let read = Experiment::load_resolved(&path, &tasks).unwrap();
        assert_eq!(read.to_toml().parse::<Table>().unwrap(), table);
        // Elsewhere such a key is refused: of the task first, which says what else is read.
        let refused = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Experiment::load(&path, &[], &tasks).unwrap_err().to_string()
        };
        assert!(
            refused(&older).contains("`task.regression` = `true` is read by `bags`, `labelled`")
        );
        let error = refused(&older.replace("regression = true\n", ""));
        for part in ["`data.validation_fraction`", "`tokenizer.vocab_size`"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains("contour") && !error.contains("corpus"), "{error}");
    }
}
