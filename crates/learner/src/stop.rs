//! Stopping a run from outside, between two steps or in the middle of an evaluation.
//!
//! A signal handler may only set a flag; everything else (finishing the step, writing the
//! checkpoint) happens in the training loop, which asks [`StopFlag::requested`] after every step and
//! before every batch of an evaluation. The command line installs the handlers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a run was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// `SIGINT`: someone pressed Ctrl-C.
    Interrupt,
    /// `SIGTERM` or `SIGHUP`: the machine, its scheduler or a closed terminal wants the process gone.
    Terminate,
}

impl StopReason {
    /// The exit code of a run that stopped for this reason with its checkpoint saved.
    ///
    /// 75 is `EX_TEMPFAIL`, on which schedulers requeue; 130 is the shell's code for `SIGINT`.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Terminate => 75,
            Self::Interrupt => 130,
        }
    }

    /// A number for it, from 1: the larger one is the stronger where several ranks are asked to stop for different reasons.
    pub(crate) fn code(self) -> u64 {
        match self {
            Self::Interrupt => 1,
            Self::Terminate => 2,
        }
    }

    /// The reason of this number, if it is one.
    pub(crate) fn of_code(code: u64) -> Option<Self> {
        [Self::Interrupt, Self::Terminate].into_iter().find(|reason| reason.code() == code)
    }
}

/// A flag shared between signal handlers and the training loop. Cloning shares it.
///
/// The first request wins: `SIGTERM` after `SIGINT` does not change the exit code.
#[derive(Debug, Clone, Default)]
pub struct StopFlag {
    state: Arc<AtomicU64>,
}

impl StopFlag {
    /// A flag that nobody has set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the run to stop after its current step or batch of an evaluation. Safe to call from a signal handler.
    ///
    /// Returns `false` if a stop had been requested before: the second `SIGINT`, on which the
    /// command line exits at once.
    pub fn request(&self, reason: StopReason) -> bool {
        self.state.compare_exchange(0, reason.code(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The reason, if a stop has been requested.
    pub fn requested(&self) -> Option<StopReason> {
        StopReason::of_code(self.state.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_wins_and_the_second_is_told_so() {
        let flag = StopFlag::new();
        let handler = flag.clone();
        assert_eq!(flag.requested(), None);
        assert!(handler.request(StopReason::Interrupt));
        assert!(!handler.request(StopReason::Terminate));
        assert_eq!(flag.requested(), Some(StopReason::Interrupt));
        assert_eq!(flag.requested().map(StopReason::exit_code), Some(130));
    }
}
