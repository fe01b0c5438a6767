//! From serde's errors to sentences about the user's file: where, which key, which value, what was
//! probably meant.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::known_keys::{join, known_keys, section_of};
use super::merge::Layers;
use super::synonyms;
use super::wrong_value::{advice_on_value, in_words};

/// Problems with a configuration beyond this many are one problem.
const MAX_PROBLEMS: usize = 20;

/// Gives the merged values their types, or says everything that is wrong with them.
///
/// serde stops at the first error, so each wrong key is noted, taken out, and the rest tried again.
pub(super) fn typed<T: DeserializeOwned>(
    layers: &Layers,
    keys_handled_elsewhere: &[String],
) -> Result<T, Vec<String>> {
    let known = || {
        let elsewhere = keys_handled_elsewhere.iter().cloned();
        known_keys::<T>().into_iter().chain(elsewhere).collect()
    };
    typed_by(layers, known, |table| T::deserialize(table.clone()))
}

/// The same by another reader than serde's; `known` are all keys that there are.
pub(super) fn typed_by<T>(
    layers: &Layers,
    known: impl Fn() -> Vec<String>,
    read: impl Fn(&Table) -> Result<T, toml::de::Error>,
) -> Result<T, Vec<String>> {
    let mut remaining = layers.clone();
    let mut problems = Vec::new();
    for (key, problem) in no_tables(layers, &known) {
        remaining.remove(&key);
        problems.push(problem);
    }
    loop {
        match read(&remaining.table) {
            Ok(typed) if problems.is_empty() => return Ok(typed),
            Ok(_) => return Err(problems),
            Err(error) => {
                let (key, problem) = explain(&error, layers, &known);
                problems.push(problem);
                if remaining.remove(&key).is_none() || problems.len() == MAX_PROBLEMS {
                    return Err(problems);
                }
            }
        }
    }
}

/// The keys of tables that have another value, each with the sentence; serde would take a list as the table's values in the
/// order of its keys.
fn no_tables(layers: &Layers, known: impl Fn() -> Vec<String>) -> Vec<(String, String)> {
    let others: Vec<(&String, &Value)> =
        layers.table.iter().filter(|(_, value)| !value.is_table()).collect();
    if others.is_empty() {
        return Vec::new();
    }
    let known = known();
    let first_key = |section: &str| known.iter().find(|key| section_of(key) == section);
    let problem = |(section, value): (&String, &Value)| {
        let key = first_key(section)?;
        let problem = format!(
            "{}`{section}` = `{}`: expected a table, as in `[{section}]` with `{} = …` below it, or `--set {key}=…`",
            origin(layers, section),
            render(value),
            last(key)
        );
        Some((section.clone(), problem))
    };
    others.into_iter().filter_map(problem).collect()
}

/// The key to blame, and the sentence.
fn explain(
    error: &toml::de::Error,
    layers: &Layers,
    known: impl FnOnce() -> Vec<String>,
) -> (String, String) {
    let message = error.message().lines().next().unwrap_or_default();
    let rendered = error.to_string();
    // toml names the table or key it was in on the last line, as in: in `trainer.max_steps`
    let place = rendered
        .lines()
        .last()
        .and_then(|line| line.strip_prefix("in `")?.strip_suffix('`'))
        .unwrap_or_default();
    let mut quoted = message.split('`').skip(1).step_by(2);

    if message.starts_with("unknown field") {
        let name = quoted.next().unwrap_or_default();
        let key = join(place, name);
        let here: Vec<String> = quoted.map(|candidate| join(place, candidate)).collect();
        let problem = unknown_key(layers, &key, here, &known());
        return (key, problem);
    }
    if message.starts_with("unknown variant") {
        let value = quoted.next().unwrap_or_default();
        let known: Vec<String> = quoted.map(str::to_owned).collect();
        return (place.to_owned(), unknown_value(layers, place, value, &known));
    }
    let value = layers.get(place);
    let shown = value.map_or_else(String::new, |value| format!(" = `{}`", render(value)));
    let expected = message.rsplit_once("expected ").map_or_else(
        || message.to_owned(),
        |(_, expected)| match value {
            Some(value) => advice_on_value(value, expected),
            None => format!("expected {}", in_words(expected)),
        },
    );
    (place.to_owned(), format!("{}`{place}`{shown}: {expected}", origin(layers, place)))
}

/// What to do about the unknown key `name` of the table `section`, in which there are the keys `here`.
fn advice_on_key(section: &str, name: &str, mut here: Vec<String>, known: &[String]) -> String {
    if let Some(advice) = synonyms::advice(section, name, known) {
        return advice;
    }
    let key = join(section, name);
    // Not allowed here, but of this table: of another kind of it.
    if known.contains(&key) {
        return format!("another kind of `{section}` has it; keys of this one: {}", listed(&here));
    }
    let elsewhere: Vec<String> =
        known.iter().filter(|key| last(key) == name && !here.contains(key)).cloned().collect();
    match &elsewhere[..] {
        [] => {}
        [top] if section_of(top).is_empty() => {
            return format!("it stands above all tables, or is one: `{top}`");
        }
        _ => return format!("it belongs in another table: {}", listed(&elsewhere)),
    }
    let of_section = known.iter().filter(|key| section_of(key) == section && *key != section);
    let with_other_kinds: Vec<&String> = here.iter().chain(of_section).collect();
    let in_section = nearest(name, with_other_kinds.iter().map(|key| last(key)), MISSPELT);
    if let Some(near) = in_section {
        return format!("did you mean `{}`?", join(section, near));
    }
    let anywhere = nearest(name, known.iter().map(|key| last(key)), SURELY_MISSPELT);
    if let Some(key) = anywhere.and_then(|near| known.iter().find(|key| last(key) == near)) {
        return format!("did you mean `{key}`?");
    }
    here.dedup();
    format!("known keys there: {}", listed(&here))
}

/// The sentence about a key that is none of `here`, the keys of its table; `known` are those of all tables.
pub(super) fn unknown_key(
    layers: &Layers,
    key: &str,
    here: Vec<String>,
    known: &[String],
) -> String {
    let advice = advice_on_key(section_of(key), last(key), here, known);
    let value = layers.get(key).map_or_else(String::new, render);
    format!("{}unknown key `{key}` = `{value}`; {advice}", origin(layers, key))
}

/// The sentence about a value that is none of `known`.
pub(super) fn unknown_value(layers: &Layers, key: &str, value: &str, known: &[String]) -> String {
    let near = || nearest(value, known.iter().map(String::as_str), MISSPELT);
    let advice = match synonyms::value(key, value, known).or_else(near) {
        Some(near) => format!("did you mean `{near}`? "),
        None => String::new(),
    };
    format!(
        "{}`{key}` = `{value}` is not one of its values; {advice}It takes `{}`",
        origin(layers, key),
        known.join("`, `")
    )
}

fn last(key: &str) -> &str {
    key.rsplit_once('.').map_or(key, |(_, name)| name)
}

fn listed(keys: &[String]) -> String {
    format!("`{}`", keys.join("`, `"))
}

/// `file:line: ` of a key, or nothing.
pub(super) fn origin(layers: &Layers, key: &str) -> String {
    layers.origin(key).map_or_else(String::new, |origin| format!("{origin}: "))
}

/// A value as a sentence shows it.
pub(super) fn render(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Table(_) => "{…}".to_owned(),
        other => other.to_string(),
    }
}

/// How alike two words must be for one to be meant by the other, of those that can stand in a place.
const MISSPELT: f64 = 0.6;

/// The same of words from anywhere.
const SURELY_MISSPELT: f64 = 0.8;

/// The likeliest meaning of a misspelt word, if any is near enough to be one.
fn nearest<'a>(
    word: &str,
    known: impl Iterator<Item = &'a str>,
    least_similarity: f64,
) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::normalized_damerau_levenshtein(word, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= least_similarity)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::schedule::Schedule;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Root {
        trainer: Trainer,
        schedule: Schedule,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Trainer {
        max_steps: usize,
        max_grad_norm: f64,
    }

    fn problems(assignments: &[&str]) -> Vec<String> {
        let mut layers = Layers::default();
        for assignment in assignments {
            layers.set(assignment).unwrap();
        }
        typed::<Root>(&layers, &["trainer.init_from".to_owned()]).map(|_| ()).unwrap_err()
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_value_and_the_nearest_one() {
        assert_eq!(
            problems(&["trainer.max_step=5"]),
            ["--set: unknown key `trainer.max_step` = `5`; did you mean `trainer.max_steps`?"]
        );
        assert_eq!(
            problems(&["trainer.init_form=x"]),
            ["--set: unknown key `trainer.init_form` = `x`; did you mean `trainer.init_from`?"]
        );
    }

    #[test]
    fn a_key_like_no_other_lists_what_there_is() {
        assert_eq!(
            problems(&["colour=red"]),
            ["--set: unknown key `colour` = `red`; known keys there: `trainer`, `schedule`"]
        );
    }

    #[test]
    fn a_misspelt_value_is_answered_with_the_nearest_one() {
        let problems = problems(&["schedule.kind=cosinus"]);
        assert!(
            problems[0].starts_with(
                "--set: `schedule.kind` = `cosinus` is not one of its values; did you mean `cosine`?"
            ),
            "{problems:?}"
        );
    }

    #[test]
    fn a_wrong_type_is_told_in_words() {
        assert_eq!(
            problems(&["trainer.max_steps=-3"]),
            ["--set: `trainer.max_steps` = `-3`: expected a whole number, zero or more"]
        );
        assert_eq!(
            problems(&["trainer.max_grad_norm=lots"]),
            ["--set: `trainer.max_grad_norm` = `lots`: expected a number"]
        );
        for (assignment, advice) in [
            ("trainer.max_steps=1e5", "; write it without point and exponent, as `100000`"),
            ("trainer.max_steps=\"7\"", "; write it without quotes"),
            (
                "trainer.max_steps=9223372036854775808",
                "out of range; the largest is `9223372036854775807`",
            ),
            (
                "trainer.max_steps=99999999999999999999999",
                "out of range; the largest is `9223372036854775807`",
            ),
            ("trainer.max_steps=\"many\"", "expected a whole number, zero or more"),
            (
                "trainer.max_grad_norm=1e400",
                "out of range; the largest is `1.7976931348623157e308`",
            ),
            (
                "trainer=linear",
                "expected a table, as in `[trainer]` with `max_steps = …` below it, or `--set trainer.max_steps=…`",
            ),
            // serde reads a list as the values of the keys, in their order.
            (
                "trainer=[3]",
                "expected a table, as in `[trainer]` with `max_steps = …` below it, or `--set trainer.max_steps=…`",
            ),
            ("schedule.kind=1", "expected a text in quotes; write it in quotes"),
        ] {
            let problem = problems(&[assignment]).remove(0);
            assert!(problem.ends_with(advice), "{problem}");
        }
    }

    #[test]
    fn a_key_of_another_program_or_another_table_leads_to_ours() {
        for (assignment, advice) in [
            ("trainer.steps=5", "it is called `trainer.max_steps` here"),
            ("schedule.num_steps=5", "it is called `trainer.max_steps` here"),
            ("max_steps=5", "it belongs in another table: `trainer.max_steps`"),
            ("schedule.max_grad_norm=5", "it belongs in another table: `trainer.max_grad_norm`"),
            ("schedule.max_grad_nom=5", "did you mean `trainer.max_grad_norm`?"),
            ("trainer.schedule=linear", "it stands above all tables, or is one: `schedule`"),
            ("trainer.lr_scheduler=linear", "it is called `schedule.kind` here"),
            ("scheduler.kind=linear", "it is called `schedule` here"),
            ("trainer.warmup_ratio=0.1", "it is called `schedule.warmup_fraction` here"),
            (
                "trainer.output_dir=x",
                "name the run's directory on the command line: `--run-dir DIR`",
            ),
            (
                "schedule.div_factor=3",
                "another kind of `schedule` has it; keys of this one: `schedule.kind`",
            ),
        ] {
            let problem = problems(&[assignment]).remove(0);
            let (_, found) = problem.split_once("; ").unwrap();
            assert!(found.starts_with(advice), "{problem}");
        }
    }

    #[test]
    fn a_key_of_another_schedule_is_a_key_error() {
        assert_eq!(
            problems(&["schedule.kind=linear", "schedule.warmup_step=3"]),
            [
                "--set: unknown key `schedule.warmup_step` = `3`; did you mean `schedule.warmup_steps`?"
            ]
        );
        let other = problems(&["schedule.kind=linear", "schedule.div_factor=3"]);
        assert!(
            other[0].starts_with("--set: unknown key `schedule.div_factor` = `3`; "),
            "{other:?}"
        );
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let problems =
            problems(&["trainer.max_step=1", "trainer.max_grad_norm=x", "schedule.kind=y"]);
        assert_eq!(problems.len(), 3, "{problems:?}");
    }
}
