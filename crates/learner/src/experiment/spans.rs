//! Counts of steps beside the length of the run: what never comes, or comes once, since the run ends before.

use super::{Experiment, LoadedExperiment};
use crate::schedule::Schedule;

/// What of a run of `total_steps` cannot be meant, of the keys that its files state; a sentence each.
pub(crate) fn beyond_the_end(loaded: &LoadedExperiment, total_steps: usize) -> Vec<String> {
    let stated = |key: &str| loaded.states(key);
    of_schedule(&loaded.experiment, total_steps)
        .into_iter()
        .chain(of_trainer(&loaded.experiment, total_steps))
        .filter(|(key, _)| stated(key))
        .map(|(key, problem)| format!("`{key}` = {problem}"))
        .collect()
}

/// Sentences about the schedule, with their keys.
fn of_schedule(experiment: &Experiment, total_steps: usize) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    match &experiment.schedule {
        Schedule::OneCycle(cycle) => {
            let rising = cycle.pct_start * total_steps as f64;
            if cycle.pct_start > 0.0 && rising < 1.0 {
                let problem = format!(
                    "`{}`: a fraction of all `{total_steps}` steps, which is less than one step: the learning rate begins at \
                     its peak",
                    cycle.pct_start
                );
                found.push(("schedule.pct_start", problem));
            }
        }
        Schedule::Linear(warmup)
        | Schedule::Constant(warmup)
        | Schedule::Cosine { warmup, .. }
        | Schedule::Polynomial { warmup, .. } => {
            if warmup.warmup_steps >= total_steps {
                let share =
                    100.0 * total_steps.saturating_sub(1) as f64 / warmup.warmup_steps as f64;
                let problem = format!(
                    "`{}`, and the run has `{total_steps}` steps: the learning rate ends at {share:.2} % of \
                     `optimizer.learning_rate` and never falls; lower it, or set `schedule.warmup_fraction` in its place",
                    warmup.warmup_steps
                );
                found.push(("schedule.warmup_steps", problem));
            }
        }
    }
    found
}

/// Share of the first weights in an average of all steps' weights beyond which something is said.
const MOST_OF_START: f64 = 0.05;

/// Sentences about how often something happens, with their keys.
fn of_trainer(experiment: &Experiment, total_steps: usize) -> Vec<(&'static str, String)> {
    let trainer = &experiment.trainer;
    let mut found = Vec::new();
    if trainer.eval_every > total_steps {
        let problem = format!(
            "`{}`, and the run has `{total_steps}` steps: it is evaluated once, after the last one, so that there is no \
             best checkpoint to choose",
            trainer.eval_every
        );
        found.push(("trainer.eval_every", problem));
    }
    if trainer.checkpoint_every > total_steps {
        let problem = format!(
            "`{}`, and the run has `{total_steps}` steps: there is no checkpoint before the last one, and a run that is \
             killed begins anew",
            trainer.checkpoint_every
        );
        found.push(("trainer.checkpoint_every", problem));
    }
    let patience = trainer.early_stopping_patience;
    // The first evaluation is the best so far.
    let earliest = (patience.saturating_add(1)).saturating_mul(trainer.eval_every);
    if patience > 0 && trainer.eval_every > 0 && earliest >= total_steps {
        let problem = format!(
            "`{patience}` evaluations without a better one, one every `{}` steps, are over after step `{earliest}` at the \
             soonest, and the run has `{total_steps}`: it never stops early",
            trainer.eval_every
        );
        found.push(("trainer.early_stopping_patience", problem));
    }
    // What of the averaged model are still the weights that the run begins with.
    let of_start = trainer.ema_decay.powf(total_steps as f64);
    if trainer.ema_decay > 0.0 && of_start > MOST_OF_START {
        let problem = format!(
            "`{}`, and the run has `{total_steps}` steps: {:.0} % of the averaged model, which is the one that counts, are \
             then still the weights that it begins with; lower it",
            trainer.ema_decay,
            100.0 * of_start
        );
        found.push(("trainer.ema_decay", problem));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, total_steps: usize) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tiny.toml");
        std::fs::write(&path, text).unwrap();
        beyond_the_end(
            &Experiment::load(&path, &[], &nystromformer_tasks::tasks()).unwrap(),
            total_steps,
        )
    }

    #[test]
    fn what_lies_beyond_the_last_step_is_told_with_its_numbers() {
        let none: Vec<String> = Vec::new();
        // Defaults are for long runs, and nobody asked for them.
        assert_eq!(told("", 10), none);
        for (kind, key) in
            [("linear", ""), ("cosine", ""), ("constant", ""), ("polynomial", "power = 2.0")]
        {
            let text = format!("[schedule]\nkind = \"{kind}\"\nwarmup_steps = 100\n{key}\n");
            assert_eq!(told(&text, 101), none);
            let told = told(&text, 51);
            assert!(
                told[0]
                    .starts_with("`schedule.warmup_steps` = `100`, and the run has `51` steps: "),
                "{told:?}"
            );
            assert!(told[0].contains(" 50.00 % of "), "{told:?}");
        }
        for (text, at_most, part) in [
            ("[trainer]\neval_every = 20", 20, "`trainer.eval_every` = `20`, and the run has `19`"),
            (
                "[trainer]\ncheckpoint_every = 20",
                20,
                "`trainer.checkpoint_every` = `20`, and the run has `19`",
            ),
            (
                "[trainer]\nearly_stopping_patience = 3\neval_every = 5",
                21,
                "one every `5` steps, are over after step `20`",
            ),
            (
                "[schedule]\nkind = \"one_cycle\"\npct_start = 0.05",
                20,
                "`schedule.pct_start` = `0.05`",
            ),
            (
                "[trainer]\nema_decay = 0.9",
                29,
                "`trainer.ema_decay` = `0.9`, and the run has `28` steps: 5 % of",
            ),
        ] {
            assert_eq!(told(text, at_most), none, "{text}");
            let told = told(text, at_most - 1);
            assert!(told.len() == 1 && told[0].contains(part), "{told:?}");
        }
    }
}
