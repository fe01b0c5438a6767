//! A sweep: an experiment with several values of some of its keys, in one directory a trial for each choice of them, `trial-K`, and what
//! came of all in `sweep.json`.
//!
//! | file | |
//! |---|---|
//! | this | an open sweep: which trial is next, and the report |
//! | `plan` | the trials, checked before the first one begins |
//! | `standing` | how far a trial is, and what it scored |
//!
//! A trial is a run, or a series of runs with its seeds and folds. What is to be done next is read off the trials' own files, so a sweep goes on from
//! wherever its process ended.

mod plan;
mod standing;

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::path::Path;

pub use plan::SweepPlan;

use self::plan::folder;
use self::standing::Standing;
use super::best::BestBy;
use super::same_data::require_same_data;
use super::series::run_folders;
use super::session::Session;
use super::start::RunRequest;
use crate::error::{LearnerError, Result};
use crate::experiment::sweep::{Direction, Rung, SweepMethod};
use crate::run_dir::RunDir;
use crate::sweep_report::{SweepReport, TrialReport, TrialState};
use crate::trainable::MetricName;

/// An open directory of trials.
#[derive(Debug)]
pub struct Sweep {
    plan: SweepPlan,
    run: RunDir,
    report: SweepReport,
}

/// What a sweep does next.
#[derive(Debug)]
pub struct Job {
    /// The number of the trial.
    pub trial: usize,
    /// The trial's own request: a run, or a series.
    pub request: RunRequest,
    /// After which step its runs pause; `None`: they go to their end.
    pub pause_after: Option<usize>,
}

/// What the trials' files lead to.
struct Outlook {
    /// The trial that is to go on, and up to which step.
    next: Option<(usize, Option<usize>)>,
    /// Trials that take no more steps, though they have not all of them, each with its last one.
    stopped: Vec<(usize, usize)>,
    /// The step of the rung that trials are at, and of the one before.
    rung: Option<usize>,
    passed: Option<usize>,
}

impl Sweep {
    /// Opens the sweep that a request asks for, new or to go on with; `None` as for [`SweepPlan::of`].
    ///
    /// # Errors
    /// Those of [`SweepPlan::of`]; [`LearnerError::Config`] for a directory in use or taken.
    pub fn open(request: &RunRequest) -> Result<Option<Self>> {
        let Some(plan) = SweepPlan::of(request)? else { return Ok(None) };
        let run =
            if plan.resumes { RunDir::open(&plan.path)? } else { RunDir::create(&plan.path)? };
        let mut report = plan.report();
        if let Some(before) = SweepReport::read(&plan.path)?.filter(|_| plan.resumes) {
            (report.metric, report.direction) = (before.metric, before.direction);
            // That a trial diverged is written nowhere else.
            let diverged: BTreeSet<usize> = before
                .trials
                .iter()
                .filter(|trial| trial.state == TrialState::Diverged)
                .map(|trial| trial.trial)
                .collect();
            for trial in report.trials.iter_mut().filter(|trial| diverged.contains(&trial.trial)) {
                trial.state = TrialState::Diverged;
            }
        }
        Ok(Some(Self { plan, run, report }))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.run.path()
    }

    /// The report as it was last brought up to date.
    pub fn report(&self) -> &SweepReport {
        &self.report
    }

    /// To be called when a run of a trial can begin. The first time it says what trials are compared by and writes the
    /// configuration: a start that failed before leaves the directory free.
    ///
    /// # Errors
    /// [`LearnerError::Config`] if nothing is held out to compare trials by, `sweep.direction` is the wrong way, or a trial has read
    /// other data under the same keys;
    /// [`LearnerError::Io`].
    pub fn begin(&mut self, session: &Session) -> Result<()> {
        let Some(MetricName { name, greater_is_better }) = session.best_by()? else {
            return Err(LearnerError::Config(
                "the trials of `[sweep]` are compared by the validation split, and nothing is held out for it: set \
                 `validation_fraction` of `[task]` or `[data]` above 0"
                    .to_owned(),
            ));
        };
        let trials = self.plan.trials.iter().enumerate();
        let folders = trials.flat_map(|(index, trial)| {
            run_folders(&trial.experiment, &self.path().join(folder(index + 1)))
        });
        require_same_data(session, &folders.collect::<Vec<_>>(), &self.plan.config.keys())?;
        let direction = Direction::of(greater_is_better);
        if let Some(stated) = self.plan.config.direction.filter(|stated| *stated != direction) {
            return Err(LearnerError::Config(format!(
                "`sweep.direction` = `{}`, and of `{name}` the {} is better; leave it out",
                stated.name(),
                if greater_is_better { "larger" } else { "smaller" }
            )));
        }
        (self.report.metric, self.report.direction) = (Some(name), Some(direction));
        if let Some(overrides) = self.plan.overrides.take() {
            self.report.write(self.path())?;
            self.run.write_config(&self.plan.toml, &overrides)?;
        }
        Ok(())
    }

    /// What is to be done next; `None` if all is done. Brings the report up to date and, once the sweep has begun, writes it.
    ///
    /// # Errors
    /// [`LearnerError::Io`], and [`LearnerError::Data`] if a file of a trial cannot be read.
    pub fn next_job(&mut self) -> Result<Option<Job>> {
        let standings: Vec<Standing> = self
            .plan
            .trials
            .iter()
            .enumerate()
            .map(|(index, trial)| Standing::of(trial, &self.path().join(folder(index + 1))))
            .collect::<Result<_>>()?;
        let outlook = self.outlook(&standings)?;
        self.update_report(&standings, &outlook)?;
        if RunDir::holds_run(self.path()) {
            self.report.write(self.path())?;
        }
        Ok(outlook.next.map(|(trial, pause_after)| Job {
            trial,
            request: self.plan.trials[trial - 1].request.clone(),
            pause_after,
        }))
    }

    /// Notes that a trial's loss or gradient was not finite any more: it is not tried again.
    ///
    /// # Errors
    /// [`LearnerError::Io`].
    pub fn diverged(&mut self, trial: usize) -> Result<()> {
        self.report.trials[trial - 1].state = TrialState::Diverged;
        self.report.write(self.path())
    }

    fn rungs(&self) -> Vec<Rung> {
        let trials = self.plan.trials.len();
        match self.plan.config.method {
            SweepMethod::Grid | SweepMethod::Random => vec![Rung { steps: None, trials }],
            SweepMethod::SuccessiveHalving => {
                self.plan.config.rungs(self.plan.experiment.trainer.max_steps)
            }
        }
    }

    /// Follows the rungs as far as the trials have come.
    fn outlook(&self, standings: &[Standing]) -> Result<Outlook> {
        let rungs = self.rungs();
        let mut outlook = Outlook { next: None, stopped: Vec::new(), rung: None, passed: None };
        let mut here: Vec<usize> = (1..=standings.len()).collect();
        for (number, rung) in rungs.iter().enumerate() {
            here.retain(|trial| self.report.trials[trial - 1].state != TrialState::Diverged);
            outlook.passed = outlook.rung;
            outlook.rung = rung.steps;
            let late = here.iter().find(|trial| !standings[**trial - 1].has_come_to(rung.steps));
            if let Some(trial) = late {
                outlook.next = Some((*trial, rung.steps));
                return Ok(outlook);
            }
            if let (Some(next), Some(steps)) = (rungs.get(number + 1), rung.steps) {
                let out = self
                    .ranked(&here, standings, Some(steps))?
                    .split_off(next.trials.min(here.len()));
                here.retain(|trial| !out.contains(trial));
                outlook.stopped.extend(out.into_iter().map(|trial| (trial, steps)));
            }
        }
        Ok(outlook)
    }

    /// What evaluations are compared by, once it is known.
    fn by(&self) -> Option<BestBy> {
        let direction = self.report.direction?;
        Some(BestBy::named(self.report.metric.clone()?, direction == Direction::Maximize))
    }

    /// Trials by what they scored up to `step`, the best one first, the first of equals.
    fn ranked(
        &self,
        trials: &[usize],
        standings: &[Standing],
        step: Option<usize>,
    ) -> Result<Vec<usize>> {
        let by = self.by();
        let mut scored = Vec::new();
        for trial in trials {
            let value = match &by {
                Some(by) => standings[trial - 1].value(by, step)?,
                None => None,
            };
            scored.push((*trial, value));
        }
        let greater_is_better = by.is_some_and(|by| by.greater_is_better());
        scored.sort_by(|(_, left), (_, right)| match (left, right) {
            (Some(left), Some(right)) if greater_is_better => right.total_cmp(left),
            (Some(left), Some(right)) => left.total_cmp(right),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        });
        Ok(scored.into_iter().map(|(trial, _)| trial).collect())
    }

    fn update_report(&mut self, standings: &[Standing], outlook: &Outlook) -> Result<()> {
        let by = self.by();
        for (TrialReport { trial, state, steps, value, .. }, standing) in
            self.report.trials.iter_mut().zip(standings)
        {
            if *state == TrialState::Diverged {
                continue;
            }
            let stopped = outlook.stopped.iter().find(|(stopped, _)| stopped == trial);
            let mut rungs = outlook.rung.into_iter().chain(outlook.passed);
            let reached = rungs.find(|rung| standing.has_come_to(Some(*rung)));
            // Up to which step it is compared; without one, in the end.
            let compared;
            (*state, compared) = if standing.has_come_to(None) {
                (TrialState::Finished, None)
            } else if let Some((_, steps)) = stopped {
                (TrialState::Stopped, Some(*steps))
            } else if reached.is_some() {
                (TrialState::Paused, reached)
            } else {
                (*state, *steps, *value) = (TrialState::Pending, 0, None);
                continue;
            };
            *steps = standing.steps();
            *value = match &by {
                Some(by) => standing.value(by, compared)?,
                None => None,
            };
        }
        let finished =
            self.report.trials.iter().filter(|trial| trial.state == TrialState::Finished);
        let finished: Vec<usize> =
            finished.filter(|trial| trial.value.is_some()).map(|trial| trial.trial).collect();
        self.report.best = self.ranked(&finished, standings, None)?.first().copied();
        Ok(())
    }
}
