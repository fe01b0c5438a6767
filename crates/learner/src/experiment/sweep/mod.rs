//! `[sweep]`: one experiment with several values of some of its keys, a trial for each choice of them.
//!
//! | file | |
//! |---|---|
//! | this | the keys, and what a trial puts in the place of the table |
//! | `parameter` | the values of one key: a list or a range |
//! | `trials` | which values a trial has, a function of the sweep and the trial's number |
//! | `halving` | how long trials train under successive halving |
//! | `checks` | what is wrong with a sweep |
//!
//! In a configuration whose `sweep.trial` is a number, that trial's values stand in the place of the whole table: so a trial is an
//! experiment like any other, and `--set sweep.trial=3` is the third one by itself.

mod checks;
mod halving;
mod parameter;
mod trials;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::merge::{ConfigLayer, Layers, Origin};
use super::{explain, refuse};
use crate::error::{LearnerError, Result};
pub use halving::Rung;

/// The table's name.
const SWEEP: &str = "sweep";

/// The key that names one trial.
const TRIAL: &str = "sweep.trial";

/// The table of values.
const PARAMETERS: &str = "sweep.parameters";

/// `[sweep]`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SweepConfig {
    /// How values are chosen. Default: `grid`.
    pub method: SweepMethod,
    /// What trials are compared by, `loss` or a metric; it is `trainer.metric_for_best_model` of each. Default: what the
    /// experiment has there.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub metric: String,
    /// Which way is better. Default: what is known of the metric; another word is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// How many trials there are. Of a grid: so many of its points, drawn. Default: all points of a grid; the other methods need it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trials: Option<usize>,
    /// What draws depend on beside the trial's number. Default: 0.
    pub seed: u64,
    /// Of successive halving: one trial of so many goes on at each rung. Default: 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reduction_factor: Option<usize>,
    /// Of successive halving: steps that every trial takes. Default: so many that one trial is left for all of
    /// `trainer.max_steps`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_steps: Option<usize>,
    /// One trial by itself, from 1. Default: all, one after the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial: Option<usize>,
    /// The values of each key, by its dotted name: a list, or a range `{ min, max, log }`.
    pub parameters: Table,
}

/// How the values of trials are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SweepMethod {
    /// Every combination of the values that are listed.
    #[default]
    Grid,
    /// Each value is drawn, from its list or its range.
    Random,
    /// As random; all trials train a little, and the best of them on.
    SuccessiveHalving,
}

/// Which way a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More is better.
    Maximize,
    /// Less is better.
    Minimize,
}

impl Direction {
    /// That of a metric.
    pub fn of(greater_is_better: bool) -> Self {
        if greater_is_better { Self::Maximize } else { Self::Minimize }
    }

    /// Its word in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Maximize => "maximize",
            Self::Minimize => "minimize",
        }
    }
}

/// Dotted names in `sweep.parameters` of a file, as in `"optimizer.learning_rate" = [1e-4]`, as the tables that `--set` would make of
/// them.
///
/// # Errors
/// What is wrong if a key is there in both forms.
pub(super) fn nest_parameters(table: &mut Table) -> Result<(), String> {
    let parameters = table.get_mut(SWEEP).and_then(Value::as_table_mut);
    let Some(Value::Table(parameters)) = parameters.and_then(|sweep| sweep.get_mut("parameters"))
    else {
        return Ok(());
    };
    let (dotted, mut nested): (Table, Table) =
        std::mem::take(parameters).into_iter().partition(|(name, _)| name.contains('.'));
    for (key, value) in dotted {
        let mut place = &mut nested;
        let mut names = key.split('.').peekable();
        while let Some(name) = names.next() {
            let twice = || {
                format!("`{PARAMETERS}` has `{key}` twice, in quotes and as a table; leave out one")
            };
            if names.peek().is_none() {
                if place.contains_key(name) {
                    return Err(twice());
                }
                place.insert(name.to_owned(), value);
                break;
            }
            let below = place.entry(name).or_insert_with(|| Value::Table(Table::new()));
            place = below.as_table_mut().ok_or_else(twice)?;
        }
    }
    *parameters = nested;
    Ok(())
}

/// Whether a configuration is a sweep.
pub(super) fn is_sweep(layers: &Layers) -> bool {
    layers.get(SWEEP).is_some()
}

/// Puts the values of the trial that `sweep.trial` names in the place of the table; nothing if it names none. The configuration of a
/// trial's own run (`of_a_run`) has them already.
///
/// # Errors
/// [`LearnerError::Config`] if the table is wrong or there is no such trial.
pub(super) fn settle_trial(layers: &mut Layers, of_a_run: bool) -> Result<()> {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct OfSweep {
        sweep: SweepConfig,
    }
    if layers.get(TRIAL).is_none() {
        return Ok(());
    }
    if of_a_run && layers.get(PARAMETERS).is_none() {
        remove(layers);
        return Ok(());
    }
    let mut own = layers.clone();
    own.table.retain(|name, _| name == SWEEP);
    let OfSweep { sweep } = explain::typed(&own, &[]).map_err(|problems| refuse(&problems))?;
    let problems: Vec<String> = sweep
        .own_problems()
        .into_iter()
        .map(|(key, problem)| format!("{}`{key}`: {problem}", explain::origin(layers, &key)))
        .collect();
    if !problems.is_empty() {
        return Err(refuse(&problems));
    }
    let (number, count) = (sweep.trial.unwrap_or_default(), sweep.num_trials());
    if !(1..=count).contains(&number) {
        return Err(LearnerError::Config(format!(
            "{}`{TRIAL}` = `{number}`: the sweep has the trials `1` to `{count}`",
            explain::origin(layers, TRIAL)
        )));
    }
    let mut values = sweep.values(number);
    if !sweep.metric.is_empty() {
        values.push((METRIC.to_owned(), Value::String(sweep.metric.clone())));
    }
    let mut own = Layers::default();
    for (key, value) in values {
        let stated = if key == METRIC { "sweep.metric".to_owned() } else { parameter_key(&key) };
        let origin = layers.origin(&stated).cloned().unwrap_or(Origin::Override);
        own.insert(&key, value.clone(), &origin);
        layers.insert(&key, value, &origin);
    }
    remove(layers);
    layers.stated.push(ConfigLayer { source: format!("trial {number}"), values: own.table });
    Ok(())
}

/// Takes the table out of a configuration, and of what it was merged from.
fn remove(layers: &mut Layers) {
    layers.remove(SWEEP);
    for layer in &mut layers.stated {
        layer.values.remove(SWEEP);
    }
}

/// The key of a trial that `sweep.metric` stands for.
const METRIC: &str = "trainer.metric_for_best_model";

/// Where the values of a key stand.
fn parameter_key(key: &str) -> String {
    format!("{PARAMETERS}.{key}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Experiment;

    fn load(text: &str, overrides: &[&str]) -> Result<Experiment> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tiny.toml");
        std::fs::write(&path, text).unwrap();
        let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
        let tasks = nystromformer_tasks::tasks();
        Ok(Experiment::load(&path, &overrides, &tasks)?.experiment)
    }

    const FILE: &str = "[optimizer]\nepsilon = 1e-7\n[sweep]\nmetric = \"accuracy\"\n\
                        [sweep.parameters]\n\"optimizer.epsilon\" = [1e-8, 1e-6]\n\
                        schedule = [{ kind = \"linear\" }, { kind = \"cosine\", num_cycles = 0.25 }]\n";

    #[test]
    fn keys_in_quotes_are_the_tables_that_set_makes_and_a_resolved_sweep_reads_back() {
        let experiment = load(FILE, &[]).unwrap();
        let sweep = experiment.sweep.clone().unwrap();
        assert_eq!(sweep.keys(), ["optimizer.epsilon", "schedule"]);
        assert_eq!(load(&experiment.to_toml(), &["name=tiny"]).unwrap(), experiment);
        let nested = FILE.replace("\"optimizer.epsilon\" = ", "optimizer.epsilon = ");
        assert_eq!(load(&nested, &[]).unwrap(), experiment);
        // An override takes the place of a list, and a bound that of a bound.
        let fewer = load(FILE, &["sweep.parameters.optimizer.epsilon=[1e-5]"]).unwrap();
        assert_eq!(fewer.sweep.unwrap().num_trials(), 2);
        let both = format!("{FILE}[sweep.parameters.optimizer]\nepsilon = [1e-5]\n");
        let error = load(&both, &[]).unwrap_err().to_string();
        assert!(error.contains("`optimizer.epsilon` twice"), "{error}");
    }

    #[test]
    fn a_trial_is_an_experiment_without_a_sweep() {
        let plain = |text: &str| load(text, &["trainer.metric_for_best_model=accuracy"]).unwrap();
        for (trial, expected) in [
            (1, "[optimizer]\nepsilon = 1e-8\n[schedule]\nkind = \"linear\"\n"),
            (4, "[optimizer]\nepsilon = 1e-6\n[schedule]\nkind = \"cosine\"\nnum_cycles = 0.25\n"),
        ] {
            let found = load(FILE, &[&format!("sweep.trial={trial}")]).unwrap();
            assert_eq!(found, plain(expected), "{trial}");
        }
        let error = load(FILE, &["sweep.trial=5"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("`1` to `4`"), "{error}");
    }

    #[test]
    fn a_wrong_value_of_a_trial_is_told_with_its_line() {
        let file = FILE.replace("1e-6]", "\"small\"]");
        let error = load(&file, &["sweep.trial=3"]).unwrap_err().to_string();
        assert!(error.contains("tiny.toml:6: `optimizer.epsilon` = `small`"), "{error}");
    }

    #[test]
    fn trials_are_compared_by_one_metric_in_steps_that_are_there() {
        let halving = [
            "sweep.method=successive_halving",
            "sweep.trials=3",
            "sweep.parameters.schedule=[{ kind = \"linear\" }, { kind = \"constant\" }]",
        ];
        assert!(load(FILE, &halving).is_ok());
        for (further, part) in [
            (&["trainer.metric_for_best_model=loss"][..], "the best trial are chosen by the same"),
            (&["trainer.max_epochs=3"], "counts in steps"),
            (&["sweep.reduction_factor=1"], "`1` is not 2 or more"),
            (&["trainer.max_steps=10", "sweep.min_steps=10"], "is not below `trainer.max_steps`"),
            (&["sweep.parameters.trainer.max_steps=[3, 4]"], "says itself how long"),
            (&["sweep.trials=5"], "`5` trials of 4"),
        ] {
            let error = load(FILE, &[&halving[..], further].concat()).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
