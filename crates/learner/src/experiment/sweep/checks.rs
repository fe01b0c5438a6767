//! What is wrong with a sweep.

use super::parameter::{Values, leaves};
use super::trials::MOST_POINTS;
use super::{SweepConfig, SweepMethod, parameter_key};
use crate::experiment::TrainerConfig;
use crate::experiment::paths::is_path;

/// Points of the largest grid that is tried whole without being asked.
const MOST_UNASKED: usize = 256;

/// Trials of the largest sweep.
const MOST_TRIALS: usize = 10_000;

impl SweepConfig {
    /// Everything wrong with it in an experiment, as (key, sentence).
    pub(in crate::experiment) fn problems(&self, trainer: &TrainerConfig) -> Vec<(String, String)> {
        let mut problems = self.own_problems();
        let mut check = |key: &str, holds: bool, problem: String| {
            if !holds {
                problems.push((key.to_owned(), problem));
            }
        };
        check(
            "trainer.eval_every",
            trainer.eval_every > 0,
            "`0`, and the trials of `[sweep]` are compared by their evaluations; set it above 0"
                .to_owned(),
        );
        let by = &trainer.metric_for_best_model;
        check(
            "sweep.metric",
            self.metric.is_empty() || by.is_empty() || *by == self.metric,
            format!(
                "`{}`, and `trainer.metric_for_best_model` is `{by}`: a trial's best model and the best trial are chosen by the \
                 same; leave out one",
                self.metric
            ),
        );
        if self.method == SweepMethod::SuccessiveHalving {
            check(
                "trainer.max_steps",
                trainer.max_steps > 0 && trainer.max_epochs == 0,
                "successive halving counts in steps: set `trainer.max_steps`, and leave out `trainer.max_epochs`"
                    .to_owned(),
            );
            let min_steps = self.min_steps.unwrap_or(1);
            check(
                "sweep.min_steps",
                trainer.max_steps == 0 || min_steps < trainer.max_steps.max(2),
                format!("`{min_steps}` is not below `trainer.max_steps` = `{}`", trainer.max_steps),
            );
        }
        problems
    }

    /// Everything wrong with it whatever the experiment is, as (key, sentence).
    pub(super) fn own_problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let leaves = leaves(&self.parameters);
        if leaves.is_empty() {
            let problem = "there is no key to try values of; add some, as in `\"optimizer.learning_rate\" = [1e-4, 3e-4]`";
            problems.push(("sweep.parameters".to_owned(), problem.to_owned()));
        }
        for (key, value) in &leaves {
            let advice = self.advice_on_key(key).map(str::to_owned);
            let problem = advice.or_else(|| match Values::read(value) {
                Ok(values) if self.method == SweepMethod::Grid && values.count().is_none() => Some(
                    "a grid has no points in a range; list the values, or set `sweep.method = \"random\"`".to_owned(),
                ),
                Ok(_) => None,
                Err(problem) => Some(problem),
            });
            problems.extend(problem.map(|problem| (parameter_key(key), problem)));
        }
        if problems.is_empty() {
            problems
                .extend(self.count_problem().map(|problem| ("sweep.trials".to_owned(), problem)));
        }
        let halves = self.method == SweepMethod::SuccessiveHalving;
        for (key, value, least) in [
            ("sweep.reduction_factor", self.reduction_factor, 2),
            ("sweep.min_steps", self.min_steps, 1),
        ] {
            let Some(value) = value else { continue };
            let problem = if !halves {
                format!("`{value}` is read with `sweep.method = \"successive_halving\"` alone")
            } else if value < least {
                format!("`{value}` is not {least} or more")
            } else {
                continue;
            };
            problems.push((key.to_owned(), problem));
        }
        problems
    }

    /// What to do instead of giving a key several values; `None` if it may have them.
    fn advice_on_key(&self, key: &str) -> Option<&'static str> {
        let section = key.split('.').next().unwrap_or_default();
        match key {
            "name" => Some("it names the directory of all trials; leave it out"),
            "seed" | "seeds" => Some(
                "seeds are no trials, they are runs of each: set `seeds = [1, 2, 3]` above all tables",
            ),
            "task.fold" | "task.folds" => {
                Some("folds are no trials, they are runs of each: set `task.folds` in `[task]`")
            }
            "trainer.metric_for_best_model" => {
                Some("trials are compared by one metric: set `sweep.metric`")
            }
            "trainer.max_steps" | "trainer.max_epochs"
                if self.method == SweepMethod::SuccessiveHalving =>
            {
                Some("successive halving says itself how long trials train; leave it out")
            }
            "task.name" => {
                Some("it names the data, and trials on other data do not compare; leave it out")
            }
            "model.init_from" => Some(
                "a model brings sizes of its own: make an experiment for each, and `compare` them",
            ),
            _ if is_path(key) => Some(
                "it says where data lies, and trials on other data do not compare; leave it out",
            ),
            _ if ["sweep", "extends"].contains(&section) => {
                Some("it is no key of a trial; leave it out")
            }
            _ => None,
        }
    }

    /// What is wrong with how many trials there are.
    fn count_problem(&self) -> Option<String> {
        let points = self.grid_points();
        let is_grid = self.method == SweepMethod::Grid;
        let all =
            points.map_or_else(|| "more than can be counted".to_owned(), |all| all.to_string());
        match (self.trials, points) {
            (Some(0), _) => Some("`0` is not 1 or more".to_owned()),
            (Some(trials), _) if trials > MOST_TRIALS => {
                Some(format!("`{trials}` is more than {MOST_TRIALS}"))
            }
            (None, _) if !is_grid => {
                Some("it is missing: say how many trials are drawn, as in `trials = 20`".to_owned())
            }
            (None, Some(points)) if points <= MOST_UNASKED => None,
            (None, _) => Some(format!(
                "the grid has {all} points; set `sweep.trials` to draw so many of them, or list fewer values"
            )),
            (Some(trials), Some(points)) if trials > points => {
                Some(format!("`{trials}` trials of {points} combinations; set `{points}` or fewer"))
            }
            (Some(_), points) if is_grid && points.is_none_or(|points| points > MOST_POINTS) => {
                Some(format!(
                    "the grid has {all} points, of more than {MOST_POINTS} none are drawn; set `sweep.method = \"random\"`"
                ))
            }
            _ => None,
        }
    }
}
