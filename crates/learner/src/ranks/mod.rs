//! Ranks: the processes that train one model together, each on its own micro-batches of every step.
//!
//! | file | |
//! |---|---|
//! | this | [`Ranks`], the handle that a trainer has |
//! | `config` | `[ranks]` |
//! | [`transport`] | what carries messages between two ranks; one rank alone |
//! | `collectives` | what all do together, made of such messages |
//! | `share` | which micro-batches are whose, and in which order their gradients are summed |
//! | `step_facts` | what the ranks tell each other of a step before its backward pass |
//! | `gradient_sum`, [`wire`] | the sum of their gradients, and in which form they travel |
//! | `overlap`, `arrivals` | the same while a backward pass goes on: the plan of what is sent when, and what has come of a pass so far |
//! | [`words`] | small things as messages |
//! | [`measure`](mod@measure) | how long an exchange takes |
//! | `placement` | which ranks run on one machine, and what each has of it |
//! | [`in_process`] | ranks that are threads, for tests |
//! | `launcher`, `mpi` | how processes were started, and messages by MPI (cargo feature `mpi`) |
//!
//! Rank 0 is the leader: it alone holds the run directory, writes and is heard. The number of ranks is no part of a configuration, and a run may go on
//! with another number of them.

mod arrivals;
mod collectives;
pub(crate) mod config;
pub(crate) mod gradient_sum;
pub mod in_process;
mod launcher;
pub mod measure;
#[cfg(feature = "mpi")]
mod mpi;
pub(crate) mod overlap;
mod placement;
pub(crate) mod share;
pub(crate) mod step_facts;
pub mod transport;
pub mod wire;
pub mod words;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub use config::RanksConfig;
pub use launcher::launched_rank;
pub use placement::Placement;

use self::collectives::{Collectives, Lost};
use self::gradient_sum::BUCKET;
use self::share::share;
use self::transport::{Alone, Silence, Transport};
use self::wire::Wire;
use crate::error::{LearnerError, Result};
use crate::experiment::TrainerConfig;
use crate::stop::StopReason;

/// The processes that train together, as one of them sees them. Cloning gives another handle of the same.
#[derive(Clone)]
pub struct Ranks {
    transport: Arc<dyn Transport>,
    placement: Placement,
    /// How long one waits for another; as long as it takes without.
    limit: Option<Duration>,
    wire: Wire,
    /// Whether gradients are sent while a backward pass goes on.
    overlaps: bool,
    /// Numbers of gradients that are sent at a time.
    bucket: usize,
    /// The step that is taken, for messages.
    step: Arc<AtomicUsize>,
}

impl fmt::Debug for Ranks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "rank {} of {}", self.rank(), self.world_size())
    }
}

impl Default for Ranks {
    fn default() -> Self {
        Self::alone()
    }
}

impl Ranks {
    /// One process by itself.
    pub fn alone() -> Self {
        Self::over(Alone)
    }

    /// Ranks that talk over this, without a limit of time. Each is taken to have a machine to itself.
    pub fn over(transport: impl Transport + 'static) -> Self {
        Self {
            transport: Arc::new(transport),
            placement: Placement::default(),
            limit: None,
            wire: Wire::default(),
            overlaps: RanksConfig::default().overlap,
            bucket: BUCKET,
            step: Arc::default(),
        }
    }

    /// The ranks that this process was started as one of, by `mpirun`, `srun` or the like; alone if it was not. Where several share a machine, each
    /// takes its part of the threads.
    ///
    /// # Errors
    /// [`LearnerError::Config`] if there are several and this program was built without MPI.
    pub fn join() -> Result<Self> {
        launcher::join()
    }

    /// The same where one waits for another so long at most.
    #[must_use]
    pub fn with_limit(self, limit: Duration) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// The same as `[ranks]` has it.
    #[must_use]
    pub fn configured(self, config: RanksConfig) -> Self {
        Self { wire: config.wire, overlaps: config.overlap, ..self }.with_limit(config.limit())
    }

    /// The same where so many numbers of gradients are sent at a time.
    #[cfg(test)]
    pub(crate) fn with_buckets_of(self, bucket: usize) -> Self {
        Self { bucket, ..self }
    }

    /// The number of this process, from 0.
    pub fn rank(&self) -> usize {
        self.transport.rank()
    }

    /// How many processes there are.
    pub fn world_size(&self) -> usize {
        self.transport.world_size()
    }

    /// Whether there is no other.
    pub fn is_alone(&self) -> bool {
        self.world_size() == 1
    }

    /// Whether this is rank 0, which writes the run's files and is heard.
    pub fn is_leader(&self) -> bool {
        self.rank() == 0
    }

    /// Where this process stands among those of its machine.
    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// This rank's micro-batches of a step; alone, all that there are.
    pub(crate) fn share(&self, trainer: &TrainerConfig) -> Range<usize> {
        if self.is_alone() {
            return 0..usize::MAX;
        }
        share(self.rank(), self.world_size(), trainer.num_micro_batches())
    }

    /// Refuses ranks that would have nothing to do.
    ///
    /// # Errors
    /// [`LearnerError::Config`].
    pub(crate) fn require_work(&self, trainer: &TrainerConfig) -> Result<()> {
        let micro_batches = trainer.num_micro_batches();
        if self.world_size() <= micro_batches {
            return Ok(());
        }
        Err(LearnerError::Config(format!(
            "there are `{}` ranks, and a step has `{micro_batches}` micro-batches (`trainer.batch_size` = {} in parts of \
             `trainer.micro_batch_size` = {}), of which each rank takes one at least: start `{micro_batches}` ranks at most, or lower \
             `trainer.micro_batch_size`",
            self.world_size(),
            trainer.batch_size,
            trainer.micro_batch_size
        )))
    }

    /// Notes the step that is taken, for messages.
    pub(crate) fn at_step(&self, step: usize) {
        self.step.store(step, Ordering::Relaxed);
    }

    /// What every rank gives, in the order of the ranks.
    ///
    /// # Errors
    /// [`LearnerError::Rank`] if one does not answer in time, here and below. `what` names what is exchanged.
    pub(crate) fn gather(&self, what: &'static str, words: Vec<u64>) -> Result<Vec<Vec<u64>>> {
        self.timed().gather(words).map_err(|lost| self.lost(what, lost))
    }

    /// Which of as many flags are set on any rank.
    pub(crate) fn any(&self, what: &'static str, own: &[bool]) -> Result<Vec<bool>> {
        let bits = |flags: &[bool]| {
            flags.iter().enumerate().fold(0, |bits, (place, flag)| bits | u64::from(*flag) << place)
        };
        let all = self.gather(what, own.chunks(64).map(bits).collect())?;
        let is_set = |place: usize| {
            all.iter().any(|words| {
                words.get(place / 64).is_some_and(|bits| bits >> (place % 64) & 1 == 1)
            })
        };
        Ok((0..own.len()).map(is_set).collect())
    }

    /// Makes of `values` their sum over all ranks, by a balanced tree.
    pub(crate) fn sum(&self, what: &'static str, values: &mut [f32]) -> Result<()> {
        self.timed().sum(values).map_err(|lost| self.lost(what, lost))
    }

    /// Waits until all are here.
    pub(crate) fn meet(&self, what: &'static str) -> Result<()> {
        self.gather(what, Vec::new()).map(|_| ())
    }

    /// Why any rank is asked to stop; all get the same answer.
    pub(crate) fn agree_on_stop(&self, own: Option<StopReason>) -> Result<Option<StopReason>> {
        if self.is_alone() {
            return Ok(own);
        }
        let all = self.gather("whether to stop", vec![own.map_or(0, StopReason::code)])?;
        let strongest = all.into_iter().flatten().max().unwrap_or_default();
        Ok(StopReason::of_code(strongest))
    }

    /// Lets rank 0 do `work` before the others, since it may make files that they then find. They wait for it however long it takes, as it may be a corpus
    /// that is cut into tokens; and all go on together.
    ///
    /// # Errors
    /// Those of `work`.
    pub(crate) fn leader_first<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.is_alone() {
            return work();
        }
        let done = if self.is_leader() {
            let done = work()?;
            self.announce(Vec::new())?;
            done
        } else {
            self.announce(Vec::new())?;
            work()?
        };
        let patient = Self { limit: None, ..self.clone() };
        patient.meet("the beginning")?;
        Ok(done)
    }

    /// What rank 0 gives, for which the others wait however long it takes.
    ///
    /// # Errors
    /// [`LearnerError::Rank`] if a rank is gone.
    pub fn announce(&self, words: Vec<u64>) -> Result<Vec<u64>> {
        let patient = Collectives { limit: None, ..self.timed() };
        patient.broadcast_words(words).map_err(|lost| self.lost("what is next", lost))
    }

    /// Refuses a rank for which `bytes` are others than for rank 0.
    ///
    /// # Errors
    /// [`LearnerError::Config`] on all ranks.
    pub(crate) fn require_same(&self, what: &'static str, bytes: &[u8]) -> Result<()> {
        if self.is_alone() {
            return Ok(());
        }
        let mut word = [0; 8];
        blake3::Hasher::new().update(bytes).finalize_xof().fill(&mut word);
        let all = self.gather(what, vec![u64::from_le_bytes(word)])?;
        match all.iter().position(|found| *found != all[0]) {
            None => Ok(()),
            Some(rank) => Err(LearnerError::Config(format!(
                "rank `{rank}` and rank 0 differ in {what}: all ranks must run the same program and see the same files, on CPUs of one kind"
            ))),
        }
    }

    /// Ends all ranks with this exit code; for errors, on which the others would wait in vain. Where ranks are processes it does not return.
    pub fn abort(&self, exit_code: u8) {
        self.transport.abort(exit_code);
    }

    fn timed(&self) -> Collectives<'_> {
        Collectives { transport: &*self.transport, limit: self.limit, wire: self.wire }
    }

    fn lost(&self, what: &'static str, Lost { peer, silence }: Lost) -> LearnerError {
        let message = match (silence, self.limit) {
            (Silence::TimedOut, limit) => format!(
                "it gave no sign for `{}` s, or waits for one that does not; see what it does, or raise `ranks.timeout_seconds`",
                limit.unwrap_or_default().as_secs_f64()
            ),
            (Silence::Gone, _) => "it has ended; see what it said last".to_owned(),
            (Silence::Garbled, _) => {
                "it sent something else than was due: all ranks must run the same program"
                    .to_owned()
            }
        };
        let (rank, step) = (self.rank(), self.step.load(Ordering::Relaxed));
        LearnerError::Rank { rank, peer, step, what, message }
    }
}
