//! Which ranks run on one machine, and what each has of it: a device, and a part of the threads.

use std::env;
use std::fs;
use std::num::NonZero;
use std::thread;

use super::Ranks;
use super::words::{WordReader, Words};
use crate::error::{LearnerError, Result};

/// Where a rank stands among those of its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// The number of this rank among those of its machine, from 0, or `LOCAL_RANK` of the environment: the device that it takes.
    pub local_rank: usize,
    /// How many ranks there are on this machine.
    pub local_size: usize,
    /// How many of them may run on the same CPUs as this one.
    pub on_same_cpus: usize,
}

/// A machine to itself.
impl Default for Placement {
    fn default() -> Self {
        Self { local_rank: 0, local_size: 1, on_same_cpus: 1 }
    }
}

/// What a rank says of itself.
#[derive(Debug, Clone, PartialEq, Default)]
struct Place {
    machine: String,
    /// The CPUs that it may run on, as Linux lists them.
    cpus: String,
}

impl Place {
    fn here() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        // Containers on one machine have one boot and several names, and devices of their own.
        let machine = ["/proc/sys/kernel/hostname", "/proc/sys/kernel/random/boot_id"].map(read);
        Self {
            machine: machine.concat(),
            cpus: allowed_cpus(&read("/proc/self/status")).to_owned(),
        }
    }
}

impl Placement {
    fn of(rank: usize, places: &[Place]) -> Self {
        let own = &places[rank];
        let is_here = |place: &&Place| place.machine == own.machine;
        Self {
            local_rank: places[..rank].iter().filter(is_here).count(),
            local_size: places.iter().filter(is_here).count(),
            on_same_cpus: places.iter().filter(|place| *place == own).count(),
        }
    }

    /// Threads for this rank, of so many that may run at once: those that it does not share with others.
    fn threads(self, available: usize) -> usize {
        (available / self.on_same_cpus).max(1)
    }
}

/// The same ranks, which know where they are.
///
/// # Errors
/// [`LearnerError::Rank`] if one does not say.
pub(super) fn located(ranks: Ranks) -> Result<Ranks> {
    let here = Place::here();
    let mut words = Words::default();
    words.text(&here.machine);
    words.text(&here.cpus);
    let all = ranks.gather("where each is", words.into_vec())?;
    let place = |(rank, words): (usize, &Vec<u64>)| {
        let mut reader = WordReader::new(words);
        let place = reader.text().and_then(|machine| Some(Place { machine, cpus: reader.text()? }));
        place.ok_or_else(|| LearnerError::unreadable_rank(rank))
    };
    let places = all.iter().enumerate().map(place).collect::<Result<Vec<_>>>()?;
    let mut placement = Placement::of(ranks.rank(), &places);
    if let Some(local_rank) = env::var("LOCAL_RANK").ok().and_then(|value| value.parse().ok()) {
        placement.local_rank = local_rank;
    }
    Ok(Ranks { placement, ..ranks })
}

/// Gives the rank its part of this machine's threads, unless `RAYON_NUM_THREADS` says how many. To be called before anything is computed.
pub(super) fn settle_threads(placement: Placement) {
    if env::var_os("RAYON_NUM_THREADS").is_some() {
        return;
    }
    let available = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = placement.threads(available);
    // Threads that are at work already keep their number, which is their user's affair.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let (online, allowed) = (count_of_list(online.trim()), Place::here().cpus);
    let usual = online / placement.local_size;
    if threads == 1 && usual > 1 && count_of_list(&allowed) < usual {
        tracing::warn!(
            "this rank may run on the CPUs `{allowed}` alone, and the machine has {online} for {} ranks: start with `mpirun --bind-to none`, or with as many CPUs for each",
            placement.local_size
        );
    }
}

/// The CPUs that a process may run on, of what Linux says of it.
fn allowed_cpus(status: &str) -> &str {
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.unwrap_or_default().trim()
}

/// How many numbers a list like `0-3,8` has.
fn count_of_list(list: &str) -> usize {
    let count = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        Some((last + 1).saturating_sub(first))
    };
    list.split(',').filter_map(count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_of_a_machine_are_counted_and_share_what_they_may_run_on() {
        let place =
            |machine: &str, cpus: &str| Place { machine: machine.into(), cpus: cpus.into() };
        // Two that are bound to CPUs of their own, and three that are not.
        let places = [
            place("a", "0-3"),
            place("b", "0-15"),
            place("a", "4-7"),
            place("b", "0-15"),
            place("b", "0-15"),
        ];
        let placement = |rank| Placement::of(rank, &places);
        assert_eq!(placement(2), Placement { local_rank: 1, local_size: 2, on_same_cpus: 1 });
        assert_eq!(placement(4), Placement { local_rank: 2, local_size: 3, on_same_cpus: 3 });
        assert_eq!((placement(2).threads(4), placement(4).threads(16)), (4, 5));
        assert_eq!(placement(4).threads(2), 1);
    }

    #[test]
    fn lists_of_cpus_are_counted() {
        for (list, count) in [("0-15", 16), ("3", 1), ("0-1,8,10-11", 5), ("", 0)] {
            assert_eq!(count_of_list(list), count, "{list}");
        }
        assert_eq!(allowed_cpus("Name:\tx\nCpus_allowed_list:\t0-1,4\nMems:\t0\n"), "0-1,4");
        assert_eq!(allowed_cpus(""), "");
    }
}
