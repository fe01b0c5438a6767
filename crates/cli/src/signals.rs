//! SIGTERM and SIGINT set a flag that the training loop reads between steps; a second SIGINT exits at once.

use std::thread;

use nystromformer_learner::stop::{StopFlag, StopReason};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::output;

/// Exit code on a second SIGINT, the shell's own.
const INTERRUPTED: i32 = 130;

/// Starts listening and returns the flag.
///
/// # Errors
/// If the operating system refuses a handler.
pub fn stop_flag() -> anyhow::Result<StopFlag> {
    let flag = StopFlag::new();
    let listener = flag.clone();
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::spawn(move || {
        for signal in signals.forever() {
            let reason =
                if signal == SIGTERM { StopReason::Terminate } else { StopReason::Interrupt };
            if listener.request(reason) {
                output::note(
                    "stopping after this step; the checkpoint will be saved (Ctrl-C again: exit now)",
                );
            } else if signal == SIGINT {
                #[expect(
                    clippy::exit,
                    reason = "asked for twice; checkpoints on disk are whole at any instant"
                )]
                std::process::exit(INTERRUPTED);
            }
        }
    });
    Ok(flag)
}
