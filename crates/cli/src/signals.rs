//! What signals do: SIGTERM and SIGINT end a run in order, and a file-size limit is an error of writing.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use nystromformer_learner::stop::{StopFlag, StopReason};
use signal_hook::{
    consts::{SIGINT, SIGTERM, SIGXFSZ},
    iterator::Signals,
};

use crate::output;

/// Lets a write beyond the file-size limit (`ulimit -f`) fail as on a full disk. By default its signal ends the
/// process.
///
/// # Errors
/// If the operating system refuses a handler.
pub fn fail_writes_over_the_size_limit() -> io::Result<()> {
    // With any handler in place the write itself returns an error, which is reported where it happens.
    signal_hook::flag::register(SIGXFSZ, Arc::default()).map(|_| ())
}

/// Listens for SIGTERM and SIGINT.
///
/// Before training begins either ends the process at once: nothing is lost that a resumed run would not make
/// again. From then on the first one lets the step finish, or breaks off an evaluation, and the checkpoint be saved; a
/// second SIGINT ends the process at once.
#[derive(Debug)]
pub struct StopSignals {
    flag: StopFlag,
    training: Arc<AtomicBool>,
}

impl StopSignals {
    /// Starts listening.
    ///
    /// # Errors
    /// If the operating system refuses a handler.
    pub fn listen() -> io::Result<Self> {
        let listener = Self { flag: StopFlag::new(), training: Arc::default() };
        let (flag, training) = (listener.flag.clone(), Arc::clone(&listener.training));
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        thread::spawn(move || {
            for signal in signals.forever() {
                let reason =
                    if signal == SIGTERM { StopReason::Terminate } else { StopReason::Interrupt };
                if !training.load(Ordering::Acquire) {
                    exit(reason, "stopped before training began; `--resume` starts it");
                } else if flag.request(reason) {
                    output::note(
                        "stopping after this step, or in the middle of an evaluation, with a checkpoint saved (Ctrl-C again: exit now)",
                    );
                } else if reason == StopReason::Interrupt {
                    exit(reason, "stopped at once; `--resume` continues from the last checkpoint");
                }
            }
        });
        Ok(listener)
    }

    /// Says that training begins, and returns the flag that it reads between steps and batches of an evaluation.
    pub fn training_begins(&self) -> StopFlag {
        self.training.store(true, Ordering::Release);
        self.flag.clone()
    }
}

/// Ends the process from the listening thread.
#[expect(clippy::exit, reason = "asked for; what is on disk is whole at any instant")]
fn exit(reason: StopReason, message: &str) -> ! {
    output::note(message);
    std::process::exit(i32::from(reason.exit_code()));
}
