//! What signals do: SIGTERM, SIGHUP and SIGINT end a run or a server in order, and a file-size limit is an error of writing.

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
    consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ},
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

/// Listens for SIGTERM, SIGINT and, unless it is ignored as under `nohup`, for SIGHUP.
///
/// While data is prepared any of them ends the process at once: nothing is lost that a resumed run would not make
/// again. While a model trains the first one lets the step finish, or breaks off an evaluation, and the checkpoint be saved; a
/// second SIGINT ends the process at once.
#[derive(Debug)]
pub struct StopSignals {
    flag: StopFlag,
    is_training: Arc<AtomicBool>,
}

impl StopSignals {
    /// Starts listening.
    ///
    /// # Errors
    /// If the operating system refuses a handler.
    pub fn listen() -> io::Result<Self> {
        let listener = Self { flag: StopFlag::new(), is_training: Arc::default() };
        let (flag, is_training) = (listener.flag.clone(), Arc::clone(&listener.is_training));
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        if !is_ignored(SIGHUP) {
            signals.add_signal(SIGHUP)?;
        }
        thread::spawn(move || {
            for signal in signals.forever() {
                // A terminal that is closed wants the process gone, as a scheduler does.
                let reason =
                    if signal == SIGINT { StopReason::Interrupt } else { StopReason::Terminate };
                if !is_training.load(Ordering::Acquire) {
                    exit(reason, "stopped before training began; `--resume` goes on from there");
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

    /// Says that data is prepared from now on, perhaps for a further run. A stop that the run before did not see any more is
    /// returned, and then nothing is to be prepared.
    pub fn preparation_begins(&self) -> Option<StopReason> {
        self.is_training.store(false, Ordering::Release);
        self.flag.requested()
    }

    /// Says that training begins, and returns the flag that it reads between steps and batches of an evaluation.
    pub fn training_begins(&self) -> StopFlag {
        self.is_training.store(true, Ordering::Release);
        self.flag.clone()
    }
}

/// Listens for SIGTERM, SIGINT and, unless it is ignored, for SIGHUP, on behalf of a server.
///
/// Before the server answers any of them ends the process at once. After it the first one ends the server in order, and a second
/// SIGINT the process.
#[derive(Debug)]
pub struct EndSignals {
    is_serving: Arc<AtomicBool>,
}

impl EndSignals {
    /// Starts listening; `end` begins the end of the server.
    ///
    /// # Errors
    /// If the operating system refuses a handler.
    pub fn listen(end: impl Fn() + Send + 'static) -> io::Result<Self> {
        let listener = Self { is_serving: Arc::default() };
        let is_serving = Arc::clone(&listener.is_serving);
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        if !is_ignored(SIGHUP) {
            signals.add_signal(SIGHUP)?;
        }
        thread::spawn(move || {
            let mut is_ending = false;
            for signal in signals.forever() {
                if !is_serving.load(Ordering::Acquire) {
                    let code = if signal == SIGINT { StopReason::Interrupt.exit_code() } else { 0 };
                    exit_with(code, "stopped before anything was served");
                } else if !is_ending {
                    is_ending = true;
                    output::note(
                        "answering what is accepted, and nothing else (Ctrl-C again: exit now)",
                    );
                    end();
                } else if signal == SIGINT {
                    exit_with(StopReason::Interrupt.exit_code(), "stopped at once");
                }
            }
        });
        Ok(listener)
    }

    /// Says that the server answers from now on.
    pub fn serving_begins(&self) {
        self.is_serving.store(true, Ordering::Release);
    }
}

/// Whether the process was started with this signal ignored.
#[expect(unsafe_code, reason = "the standard library does not say what a signal does")]
fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action the call only fills the old one, to which the pointer is valid; all-zero bytes are one.
    let (status, action) = unsafe {
        let status = libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
        (status, action.assume_init())
    };
    status == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// Ends the process from the listening thread.
fn exit(reason: StopReason, message: &str) -> ! {
    exit_with(reason.exit_code(), message);
}

#[expect(clippy::exit, reason = "asked for; what is on disk is whole at any instant")]
fn exit_with(code: u8, message: &str) -> ! {
    output::note(message);
    std::process::exit(i32::from(code));
}
