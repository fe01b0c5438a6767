//! Training on several ranks: rank 0 says what is trained next, and the error of one ends all.

use std::{path::PathBuf, thread, time::Duration};

use nystromformer_learner::{
    LearnerError, out_of_memory,
    ranks::{
        Ranks,
        words::{WordReader, Words},
    },
    trainer::RunRequest,
};

use crate::{failure, output};

/// What all ranks do next. Which runs a sweep or a series has, rank 0 alone decides, by its files.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// To train a run, perhaps up to a step.
    Run {
        /// `--set` assignments.
        overrides: Vec<String>,
        /// The run directory, if one is named.
        run_dir: Option<PathBuf>,
        /// Whether to go on with what is in it.
        resume: bool,
        /// After which step it pauses.
        pause_after: Option<usize>,
    },
    /// To end, with this exit code.
    End(u8),
}

impl Order {
    /// To train what is asked for.
    pub fn to_run(request: &RunRequest, pause_after: Option<usize>) -> Self {
        Self::Run {
            overrides: request.overrides.clone(),
            run_dir: request.run_dir.clone(),
            resume: request.resume,
            pause_after,
        }
    }

    /// Says it to all others. Of rank 0.
    ///
    /// # Errors
    /// [`LearnerError::Rank`] if one is gone.
    pub fn announce(&self, ranks: &Ranks) -> Result<(), LearnerError> {
        if ranks.is_alone() {
            return Ok(());
        }
        ranks.announce(self.to_words()).map(|_| ())
    }

    /// What rank 0 says, for which it waits. Of the others.
    ///
    /// # Errors
    /// [`LearnerError::Rank`] if rank 0 is gone, [`LearnerError::Config`] if it runs another program.
    pub fn next(ranks: &Ranks) -> Result<Self, LearnerError> {
        let words = ranks.announce(Vec::new())?;
        Self::of_words(&words).ok_or_else(|| {
            LearnerError::Config(
                "rank 0 is not understood: all ranks must run the same program".to_owned(),
            )
        })
    }

    fn to_words(&self) -> Vec<u64> {
        let mut words = Words::default();
        match self {
            Self::End(code) => {
                words.count(0);
                words.count(usize::from(*code));
            }
            Self::Run { overrides, run_dir, resume, pause_after } => {
                words.count(1);
                words.count(overrides.len());
                for text in overrides {
                    words.text(text);
                }
                words.count(usize::from(run_dir.is_some()));
                words.text(&run_dir.as_deref().unwrap_or("".as_ref()).to_string_lossy());
                words.count(usize::from(*resume));
                words.count(usize::from(pause_after.is_some()));
                words.count(pause_after.unwrap_or_default());
            }
        }
        words.into_vec()
    }

    fn of_words(words: &[u64]) -> Option<Self> {
        let mut words = WordReader::new(words);
        if words.count()? == 0 {
            return Some(Self::End(u8::try_from(words.count()?).ok()?));
        }
        let overrides = (0..words.count()?).map(|_| words.text()).collect::<Option<_>>()?;
        let (has_run_dir, run_dir) = (words.count()? > 0, words.text()?);
        let resume = words.count()? > 0;
        let (pauses, step) = (words.count()? > 0, words.count()?);
        Some(Self::Run {
            overrides,
            run_dir: has_run_dir.then(|| run_dir.into()),
            resume,
            pause_after: pauses.then_some(step),
        })
    }
}

/// How long the others leave it to rank 0 to say what is wrong: it is often wrong for all.
const LEADER_FIRST: Duration = Duration::from_millis(500);

/// Says what is wrong with this rank and ends all, since the others would wait for it in vain. Returns if there are none.
pub fn end_all(ranks: &Ranks, error: &anyhow::Error) {
    if ranks.is_alone() {
        return;
    }
    let exit_code = failure::exit_code(error);
    if exit_code == 0 {
        // Nobody reads any more what rank 0 prints, after all that is trained.
        let _ = Order::End(0).announce(ranks);
        return;
    }
    if !ranks.is_leader() {
        thread::sleep(LEADER_FIRST);
    }
    output::note(&format!(
        "error: rank {} of {}: {}",
        ranks.rank(),
        ranks.world_size(),
        failure::told(error, out_of_memory::ADVICE)
    ));
    ranks.abort(exit_code);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_understood_as_they_were_meant() {
        let run = Order::Run {
            overrides: vec!["seed=3".to_owned(), "seeds=[]".to_owned()],
            run_dir: Some("runs/a/seed-3".into()),
            resume: true,
            pause_after: Some(12),
        };
        let plain =
            Order::Run { overrides: Vec::new(), run_dir: None, resume: false, pause_after: None };
        for order in [run, plain, Order::End(0), Order::End(75)] {
            assert_eq!(Order::of_words(&order.to_words()), Some(order));
        }
        assert_eq!(Order::of_words(&[1, 7]), None);
    }
}
