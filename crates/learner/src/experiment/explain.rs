//! From serde's errors to sentences about the user's file: where, which key, which value, what was
//! probably meant.

use serde::de::DeserializeOwned;
use toml::Value;

use super::merge::Layers;

/// Problems with a configuration beyond this many are one problem.
const MAX_PROBLEMS: usize = 20;

/// Gives the merged values their types, or says everything that is wrong with them.
///
/// serde stops at the first error, so each wrong key is noted, taken out, and the rest tried again.
pub(super) fn typed<T: DeserializeOwned>(
    layers: &Layers,
    keys_handled_elsewhere: &[&str],
) -> Result<T, Vec<String>> {
    let mut remaining = layers.clone();
    let mut problems = Vec::new();
    loop {
        match T::deserialize(remaining.table.clone()) {
            Ok(typed) if problems.is_empty() => return Ok(typed),
            Ok(_) => return Err(problems),
            Err(error) => {
                let (key, problem) = explain(&error, layers, keys_handled_elsewhere);
                problems.push(problem);
                if remaining.remove(&key).is_none() || problems.len() == MAX_PROBLEMS {
                    return Err(problems);
                }
            }
        }
    }
}

/// The key to blame, and the sentence.
fn explain(
    error: &toml::de::Error,
    layers: &Layers,
    keys_handled_elsewhere: &[&str],
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
        let mut known: Vec<String> = quoted.map(|candidate| join(place, candidate)).collect();
        known.extend(
            keys_handled_elsewhere
                .iter()
                .filter(|key| key.rsplit_once('.').map_or("", |(section, _)| section) == place)
                .map(|key| (*key).to_owned()),
        );
        let advice = match nearest(&key, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known keys there: `{}`", known.join("`, `")),
        };
        let value = layers.get(&key).map_or_else(String::new, render);
        return (
            key.clone(),
            format!("{}unknown key `{key}` = `{value}`; {advice}", origin(layers, &key)),
        );
    }
    if message.starts_with("unknown variant") {
        let value = quoted.next().unwrap_or_default();
        let known: Vec<String> = quoted.map(str::to_owned).collect();
        let advice = match nearest(value, &known) {
            Some(near) => format!("did you mean `{near}`? "),
            None => String::new(),
        };
        return (
            place.to_owned(),
            format!(
                "{}`{place}` = `{value}` is not one of its values; {advice}It takes `{}`",
                origin(layers, place),
                known.join("`, `")
            ),
        );
    }
    let value =
        layers.get(place).map_or_else(String::new, |value| format!(" = `{}`", render(value)));
    let expected = message.rsplit_once("expected ").map_or_else(
        || message.to_owned(),
        |(_, expected)| format!("expected {}", in_words(expected)),
    );
    (place.to_owned(), format!("{}`{place}`{value}: {expected}", origin(layers, place)))
}

/// serde's names of Rust types, in words.
fn in_words(expected: &str) -> &str {
    match expected {
        "usize" | "u64" | "u32" => "a whole number, zero or more",
        "f64" | "f32" => "a number",
        "a boolean" => "`true` or `false`",
        "a string" | "path string" => "a text in quotes",
        other => other,
    }
}

fn join(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

fn origin(layers: &Layers, key: &str) -> String {
    layers.origin(key).map_or_else(String::new, |origin| format!("{origin}: "))
}

fn render(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Table(_) => "{…}".to_owned(),
        other => other.to_string(),
    }
}

/// The likeliest meaning of a misspelt word, if any is near enough to be one.
fn nearest<'a>(word: &str, known: &'a [String]) -> Option<&'a String> {
    known
        .iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(word, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= 0.6)
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
        typed::<Root>(&layers, &["trainer.init_from"]).map(|_| ()).unwrap_err()
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
