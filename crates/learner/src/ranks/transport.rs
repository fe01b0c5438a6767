//! [`Transport`]: what carries messages between two ranks. All that many ranks do together is made of it in `collectives.rs`.

use std::time::Duration;

/// What one rank sends to another.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Counts, and the bits of other small things.
    Words(Vec<u64>),
    /// Numbers of gradients.
    Floats(Vec<f32>),
    /// The same as the bits of `bf16`.
    Halves(Vec<u16>),
}

/// Why a message did not come or go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// The other rank was not there within the limit.
    TimedOut,
    /// The other rank has ended, or what carries messages has.
    Gone,
    /// The other rank sent something else than this one would have: it is at another place, or another program.
    Garbled,
}

/// Carries messages between ranks. Between two ranks they come in the order in which they were sent.
pub trait Transport: Send + Sync {
    /// The number of this process, from 0.
    fn rank(&self) -> usize;

    /// How many processes there are.
    fn world_size(&self) -> usize;

    /// Sends a message to `peer`, if there is one, and with `receives` waits for one from it. Both go on at the same time, so two ranks
    /// may do this with each other. Without a limit it waits as long as it takes.
    ///
    /// # Errors
    /// [`Silence`] if the peer did not take or send one.
    fn exchange(
        &self,
        peer: usize,
        outgoing: Option<Message>,
        receives: bool,
        limit: Option<Duration>,
    ) -> Result<Option<Message>, Silence>;

    /// Ends all ranks, which did not get on, with this exit code. Where ranks are processes it does not return.
    fn abort(&self, exit_code: u8);
}

/// One process by itself: nobody to talk to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Transport for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn world_size(&self) -> usize {
        1
    }

    fn exchange(
        &self,
        _peer: usize,
        _outgoing: Option<Message>,
        _receives: bool,
        _limit: Option<Duration>,
    ) -> Result<Option<Message>, Silence> {
        Err(Silence::Gone)
    }

    fn abort(&self, _exit_code: u8) {}
}
