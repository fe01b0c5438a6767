//! Messages by MPI.
//!
//! One thread owns MPI and calls it, so that any implementation serves that lets one thread of several do so. Whoever exchanges messages asks that thread and
//! waits with a time-out of its own: a call that never comes back, of MPI or of another rank, does not take the trainer with it. All requests are
//! non-blocking, and between two looks at one the thread yields or sleeps, so that ranks may outnumber CPUs.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mpi::datatype::Equivalence;
use mpi::point_to_point::{Message as Matched, Status};
use mpi::topology::{Process, SimpleCommunicator};
use mpi::traits::{Communicator, Destination, Source};
use mpi::{Tag, Threading};

use super::transport::{Message, Silence, Transport};
use crate::error::{LearnerError, Result};

/// What kind of message it is.
const WORDS: Tag = 1;
const FLOATS: Tag = 2;
const HALVES: Tag = 3;

/// How often the thread lets MPI go on with what is still under way, while nobody asks for anything.
const IDLE: Duration = Duration::from_millis(1);

/// How long it yields before it sleeps between two looks, and how long it sleeps.
const YIELDING: Duration = Duration::from_millis(2);
const NAP: Duration = Duration::from_micros(100);

/// By how much a call of MPI may be late before it is given up.
const SLACK: Duration = Duration::from_secs(5);

/// The exit code of a process that panicked, as Rust has it.
const PANICKED: u8 = 101;

/// What an exchange brought.
type Answer = Result<Option<Message>, Silence>;

enum Job {
    Exchange(Exchange),
    Abort(u8),
}

struct Exchange {
    peer: usize,
    outgoing: Option<Message>,
    receives: bool,
    limit: Option<Duration>,
    answer: Sender<Answer>,
}

/// A process among those that were started together.
pub(super) struct Mpi {
    rank: usize,
    world_size: usize,
    /// Absent only while it is dropped, on which the thread ends.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// Whether a rank did not answer: then there is no orderly end.
    has_lost: AtomicBool,
}

impl Mpi {
    /// Joins the others.
    ///
    /// # Errors
    /// [`LearnerError::Config`] if MPI does not come up.
    pub(super) fn join() -> Result<Self> {
        let wrong = |what: &str| {
            LearnerError::Config(format!(
                "MPI does not come up ({what}): start the ranks by the launcher of the MPI that this program was built with"
            ))
        };
        let (jobs, queue) = channel();
        let (tell, told) = channel();
        let thread = thread::Builder::new()
            .name("mpi".to_owned())
            .spawn(move || serve(&queue, &tell))
            .map_err(|error| wrong(&error.to_string()))?;
        let (rank, world_size) = told
            .recv()
            .ok()
            .flatten()
            .ok_or_else(|| wrong("it allows no thread beside the first one"))?;
        let has_lost = AtomicBool::new(false);
        Ok(Self { rank, world_size, jobs: Some(jobs), thread: Some(thread), has_lost })
    }

    fn ask(&self, job: Job) -> Result<(), Silence> {
        let jobs = self.jobs.as_ref().ok_or(Silence::Gone)?;
        jobs.send(job).map_err(|_| Silence::Gone)
    }
}

impl Transport for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world_size(&self) -> usize {
        self.world_size
    }

    fn exchange(
        &self,
        peer: usize,
        outgoing: Option<Message>,
        receives: bool,
        limit: Option<Duration>,
    ) -> Answer {
        let (answer, answered) = channel();
        self.ask(Job::Exchange(Exchange { peer, outgoing, receives, limit, answer }))?;
        let found = match limit {
            Some(limit) => answered.recv_timeout(limit + SLACK),
            None => answered.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let found = found.unwrap_or_else(|error| {
            Err(match error {
                RecvTimeoutError::Timeout => Silence::TimedOut,
                RecvTimeoutError::Disconnected => Silence::Gone,
            })
        });
        if found.is_err() {
            self.has_lost.store(true, Ordering::Relaxed);
        }
        found
    }

    /// Ends all processes; if MPI hangs, this one, at which its launcher ends the others.
    fn abort(&self, exit_code: u8) {
        if self.ask(Job::Abort(exit_code)).is_ok() {
            thread::sleep(SLACK);
        }
        std::process::exit(i32::from(exit_code));
    }
}

/// The end of a process is the end of MPI in it, for which all ranks wait for each other; after an error none of them does.
impl Drop for Mpi {
    fn drop(&mut self) {
        if thread::panicking() {
            self.abort(PANICKED);
        }
        if self.has_lost.load(Ordering::Relaxed) {
            return;
        }
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // If it panicked it has said so.
            let _ = thread.join();
        }
    }
}

/// The thread that owns MPI.
fn serve(queue: &Receiver<Job>, tell: &Sender<Option<(usize, usize)>>) {
    let joined = mpi::initialize_with_threading(Threading::Funneled);
    let Some((universe, _)) = joined.filter(|(_, threads)| *threads >= Threading::Funneled) else {
        // Nobody waits any more if this is not heard.
        let _ = tell.send(None);
        return;
    };
    let world = universe.world();
    let _ = tell.send(Some((world.rank() as usize, world.size() as usize)));
    loop {
        match queue.recv_timeout(IDLE) {
            Ok(Job::Exchange(exchange)) => perform(&world, exchange, queue),
            Ok(Job::Abort(code)) => world.abort(i32::from(code)),
            Err(RecvTimeoutError::Timeout) => {
                world.any_process().immediate_probe();
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Sends and receives, and says what came of it.
fn perform(world: &SimpleCommunicator, exchange: Exchange, queue: &Receiver<Job>) {
    let Exchange { peer, outgoing, receives, limit, answer } = exchange;
    let wait = Wait {
        world,
        queue,
        answer: &answer,
        limit,
        since: Instant::now(),
        told: Cell::new(false),
    };
    let peer = world.process_at_rank(peer as i32);
    let incoming = || if receives { receive(&peer, &wait).map(Some) } else { Ok(None) };
    let found = match &outgoing {
        None => incoming(),
        Some(Message::Words(words)) => sending(&peer, words, WORDS, &wait, incoming),
        Some(Message::Floats(floats)) => sending(&peer, floats, FLOATS, &wait, incoming),
        Some(Message::Halves(halves)) => sending(&peer, halves, HALVES, &wait, incoming),
    };
    if !wait.told.get() {
        let _ = answer.send(found);
    }
}

/// Sends, and does something else meanwhile.
fn sending<T: Equivalence>(
    peer: &Process<'_>,
    buffer: &[T],
    tag: Tag,
    wait: &Wait<'_>,
    meanwhile: impl FnOnce() -> Answer,
) -> Answer {
    mpi::request::scope(|scope| {
        let mut request = peer.immediate_send_with_tag(scope, buffer, tag);
        let answer = meanwhile();
        loop {
            match request.test() {
                Ok(_) => return answer,
                Err(pending) => request = pending,
            }
            wait.pause(true);
        }
    })
}

fn receive(peer: &Process<'_>, wait: &Wait<'_>) -> Result<Message, Silence> {
    let (message, status) = loop {
        if let Some(matched) = peer.immediate_matched_probe() {
            break matched;
        }
        wait.pause(false);
    };
    match status.tag() {
        WORDS => Ok(Message::Words(received(message, status, wait))),
        FLOATS => Ok(Message::Floats(received(message, status, wait))),
        HALVES => Ok(Message::Halves(received(message, status, wait))),
        _ => {
            received::<u8>(message, status, wait);
            Err(Silence::Garbled)
        }
    }
}

fn received<T: Equivalence + Default + Clone>(
    message: Matched,
    status: Status,
    wait: &Wait<'_>,
) -> Vec<T> {
    let count = usize::try_from(status.count(T::equivalent_datatype())).unwrap_or_default();
    let mut buffer = vec![T::default(); count];
    mpi::request::scope(|scope| {
        let mut request = message.immediate_matched_receive_into(scope, &mut buffer[..]);
        while let Err(pending) = request.test() {
            request = pending;
            wait.pause(true);
        }
    });
    buffer
}

/// Waits for a request, which cannot be left: whoever asked is told that the time is over, and may end the process.
struct Wait<'a> {
    world: &'a SimpleCommunicator,
    queue: &'a Receiver<Job>,
    answer: &'a Sender<Answer>,
    limit: Option<Duration>,
    since: Instant,
    told: Cell<bool>,
}

impl Wait<'_> {
    /// Between two looks. Numbers that move need every look; a rank that still computes does not.
    fn pause(&self, moves: bool) {
        let waited = self.since.elapsed();
        if self.limit.is_some_and(|limit| waited > limit) && !self.told.replace(true) {
            let _ = self.answer.send(Err(Silence::TimedOut));
        }
        if let Ok(Job::Abort(code)) = self.queue.try_recv() {
            self.world.abort(i32::from(code));
        }
        if moves && !self.told.get() || waited < YIELDING {
            thread::yield_now();
        } else {
            thread::sleep(NAP);
        }
    }
}
