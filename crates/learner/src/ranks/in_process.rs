//! Ranks that are threads of one process, with channels between them: for tests.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::transport::{Message, Silence, Transport};

/// One of several ranks of this process. A rank that is dropped is gone for the others.
#[derive(Debug)]
pub struct InProcess {
    rank: usize,
    /// To each rank, and from each; those of this one itself are not used.
    to: Vec<Sender<Message>>,
    from: Vec<Mutex<Receiver<Message>>>,
}

impl InProcess {
    /// So many ranks that know each other, in their order.
    pub fn world(size: usize) -> Vec<Self> {
        let mut ranks: Vec<Self> =
            (0..size).map(|rank| Self { rank, to: Vec::new(), from: Vec::new() }).collect();
        for sender in 0..size {
            for receiver in 0..size {
                let (to, from) = channel();
                ranks[sender].to.push(to);
                ranks[receiver].from.push(Mutex::new(from));
            }
        }
        ranks
    }
}

impl Transport for InProcess {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world_size(&self) -> usize {
        self.to.len()
    }

    fn exchange(
        &self,
        peer: usize,
        outgoing: Option<Message>,
        receives: bool,
        limit: Option<Duration>,
    ) -> Result<Option<Message>, Silence> {
        if let Some(message) = outgoing {
            self.to[peer].send(message).map_err(|_| Silence::Gone)?;
        }
        if !receives {
            return Ok(None);
        }
        let from = self.from[peer].lock().unwrap_or_else(PoisonError::into_inner);
        let received = match limit {
            Some(limit) => from.recv_timeout(limit),
            None => from.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        received.map(Some).map_err(|error| match error {
            RecvTimeoutError::Timeout => Silence::TimedOut,
            RecvTimeoutError::Disconnected => Silence::Gone,
        })
    }

    fn abort(&self, _exit_code: u8) {}
}
