//! What all ranks do together, made of messages between two. Every rank calls the same function, and every rank gets the same result.
//!
//! Sums of gradients are a balanced binary tree over the ranks: neighbours first, then neighbours of such pairs, and so on. It depends on the number of
//! ranks alone, not on who is quick or on what carries the messages. With a power of two it is carried out by recursive halving (every rank sums a part, and
//! the parts are spread again), which moves twice the numbers whatever the number of ranks; otherwise up the tree to rank 0 and down again.

use std::ops::Range;
use std::time::Duration;

use super::transport::{Message, Silence, Transport};
use super::wire::Wire;

/// Numbers in one message: MPI counts in 31 bits.
const MOST_FLOATS: usize = 1 << 28;

/// A rank that waits for one that waits itself would be the wrong one to complain: later stages wait this part of the limit longer, but at most a second.
const GRACE: u32 = 16;
const LONGEST_GRACE: Duration = Duration::from_secs(1);

/// The rank that was waited for in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) peer: usize,
    pub(super) silence: Silence,
}

/// The operations, over one transport.
pub(super) struct Collectives<'a> {
    pub(super) transport: &'a dyn Transport,
    /// How long a rank waits for another; as long as it takes without.
    pub(super) limit: Option<Duration>,
    /// In which form numbers travel.
    pub(super) wire: Wire,
}

impl Collectives<'_> {
    /// What every rank gives, in the order of the ranks.
    pub(super) fn gather(&self, words: Vec<u64>) -> Result<Vec<Vec<u64>>, Lost> {
        let (rank, size) = (self.transport.rank(), self.transport.world_size());
        if size == 1 {
            return Ok(vec![words]);
        }
        let mut framed = vec![words.len() as u64];
        framed.extend(words);
        for (stage, child) in children(rank, size).rev().enumerate() {
            framed.extend(self.receive_words(stage, child)?);
        }
        if rank > 0 {
            let stage = lowest_bit(rank).trailing_zeros() as usize;
            self.exchange(stage, parent(rank), Some(Message::Words(framed.clone())), false)?;
        }
        let all = self.broadcast_words(framed)?;
        let mut rest = all.as_slice();
        let mut frames = Vec::with_capacity(size);
        while let Some((length, more)) = rest.split_first() {
            let (frame, others) = more.split_at((*length as usize).min(more.len()));
            frames.push(frame.to_vec());
            rest = others;
        }
        Ok(frames)
    }

    /// What rank 0 gives.
    pub(super) fn broadcast_words(&self, words: Vec<u64>) -> Result<Vec<u64>, Lost> {
        match self.broadcast(Message::Words(words))? {
            Message::Words(words) => Ok(words),
            Message::Floats(_) | Message::Halves(_) => Err(garbled(0)),
        }
    }

    /// Makes of `values` their sum over all ranks. All get the same one, as the wire has it.
    pub(super) fn sum(&self, values: &mut [f32]) -> Result<(), Lost> {
        let size = self.transport.world_size();
        for values in values.chunks_mut(MOST_FLOATS) {
            if size.is_power_of_two() {
                self.sum_by_halves(values)?;
            } else {
                self.sum_at_rank_0(values)?;
            }
        }
        Ok(())
    }

    /// Each stage halves the part that this rank sums: a partner gets the other half, and gives its share of this one. Then the same way back. The wire rounds both
    /// halves, so that where a number stands among `values`, and so who sums it, changes no bit.
    fn sum_by_halves(&self, values: &mut [f32]) -> Result<(), Lost> {
        let (rank, size) = (self.transport.rank(), self.transport.world_size());
        let stages = size.trailing_zeros() as usize;
        let mut part = 0..values.len();
        let mut wholes: Vec<Range<usize>> = Vec::with_capacity(stages);
        for stage in 0..stages {
            let distance = 1 << stage;
            let middle = part.start + part.len() / 2;
            let (mine, theirs) = if rank & distance == 0 {
                (part.start..middle, middle..part.end)
            } else {
                (middle..part.end, part.start..middle)
            };
            self.wire.round(&mut values[part.clone()]);
            let share = self.swap(stage, rank ^ distance, &values[theirs], mine.len())?;
            add(&mut values[mine.clone()], &share);
            wholes.push(std::mem::replace(&mut part, mine));
        }
        self.wire.round(&mut values[part.clone()]);
        for (stage, whole) in (0..stages).rev().zip(wholes.into_iter().rev()) {
            let other = if part.start == whole.start {
                part.end..whole.end
            } else {
                whole.start..part.start
            };
            let late = 2 * stages - 1 - stage;
            let sum = self.swap(late, rank ^ (1 << stage), &values[part.clone()], other.len())?;
            values[other].copy_from_slice(&sum);
            part = whole;
        }
        Ok(())
    }

    /// Up the tree and down again.
    fn sum_at_rank_0(&self, values: &mut [f32]) -> Result<(), Lost> {
        let (rank, size) = (self.transport.rank(), self.transport.world_size());
        for (stage, child) in children(rank, size).rev().enumerate() {
            let share = self.exchange(stage, child, None, true)?;
            add(values, &numbers(share, values.len()).ok_or_else(|| garbled(child))?);
        }
        if rank > 0 {
            let stage = lowest_bit(rank).trailing_zeros() as usize;
            self.exchange(stage, parent(rank), Some(self.wire.pack(values)), false)?;
        }
        // Only what rank 0 gives is read.
        let given = if rank == 0 { self.wire.pack(values) } else { Message::Words(Vec::new()) };
        let sum = numbers(Some(self.broadcast(given)?), values.len()).ok_or_else(|| garbled(0))?;
        values.copy_from_slice(&sum);
        Ok(())
    }

    /// Down the tree from rank 0.
    fn broadcast(&self, mut message: Message) -> Result<Message, Lost> {
        let (rank, size) = (self.transport.rank(), self.transport.world_size());
        let stages = size.next_power_of_two().trailing_zeros() as usize;
        if rank > 0 {
            let stage = 2 * stages - 1 - lowest_bit(rank).trailing_zeros() as usize;
            let received = self.exchange(stage, parent(rank), None, true)?;
            message = received.ok_or_else(|| garbled(parent(rank)))?;
        }
        for child in children(rank, size) {
            self.exchange(2 * stages, child, Some(message.clone()), false)?;
        }
        Ok(message)
    }

    fn receive_words(&self, stage: usize, from: usize) -> Result<Vec<u64>, Lost> {
        match self.exchange(stage, from, None, true)? {
            Some(Message::Words(words)) => Ok(words),
            _ => Err(garbled(from)),
        }
    }

    fn swap(
        &self,
        stage: usize,
        peer: usize,
        outgoing: &[f32],
        length: usize,
    ) -> Result<Vec<f32>, Lost> {
        let incoming = self.exchange(stage, peer, Some(self.wire.pack(outgoing)), true)?;
        numbers(incoming, length).ok_or_else(|| garbled(peer))
    }

    fn exchange(
        &self,
        stage: usize,
        peer: usize,
        outgoing: Option<Message>,
        receives: bool,
    ) -> Result<Option<Message>, Lost> {
        let grace = |limit: Duration| (limit / GRACE).min(LONGEST_GRACE) * stage as u32;
        let limit = self.limit.map(|limit| limit + grace(limit));
        let answer = self.transport.exchange(peer, outgoing, receives, limit);
        answer.map_err(|silence| Lost { peer, silence })
    }
}

/// So many numbers, if the message is such.
fn numbers(message: Option<Message>, count: usize) -> Option<Vec<f32>> {
    message.and_then(Wire::unpack).filter(|numbers| numbers.len() == count)
}

fn garbled(peer: usize) -> Lost {
    Lost { peer, silence: Silence::Garbled }
}

fn add(sum: &mut [f32], share: &[f32]) {
    for (sum, share) in sum.iter_mut().zip(share) {
        *sum += share;
    }
}

fn lowest_bit(rank: usize) -> usize {
    rank & rank.wrapping_neg()
}

/// Whom a rank above 0 sends to on the way up.
fn parent(rank: usize) -> usize {
    rank - lowest_bit(rank)
}

/// Those whose parent a rank is, the farthest first.
fn children(rank: usize, size: usize) -> impl DoubleEndedIterator<Item = usize> {
    let reach = if rank == 0 { size.next_power_of_two() } else { lowest_bit(rank) };
    (0..reach.trailing_zeros())
        .rev()
        .map(move |bit| rank + (1 << bit))
        .filter(move |child| *child < size)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::super::in_process::InProcess;
    use super::*;

    /// What each of `size` ranks makes of `work`, in their order.
    fn on_ranks<T: Send>(size: usize, work: impl Fn(&Collectives<'_>) -> T + Sync) -> Vec<T> {
        let work = &work;
        thread::scope(|scope| {
            let ranks: Vec<_> = InProcess::world(size)
                .into_iter()
                .map(|transport| {
                    scope.spawn(move || {
                        let limit = Some(Duration::from_secs(20));
                        work(&Collectives { transport: &transport, limit, wire: Wire::F32 })
                    })
                })
                .collect();
            ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
        })
    }

    #[test]
    fn every_rank_gets_what_all_give_in_their_order() {
        for size in [1, 2, 3, 4, 5, 7, 8] {
            let expected: Vec<Vec<u64>> =
                (0..size).map(|rank| vec![rank as u64; rank % 3]).collect();
            let found = on_ranks(size, |ranks| {
                let rank = ranks.transport.rank();
                ranks.gather(vec![rank as u64; rank % 3]).unwrap()
            });
            assert!(found.iter().all(|found| *found == expected), "{size}: {found:?}");
            let found = on_ranks(size, |ranks| {
                ranks.broadcast_words(vec![7 + ranks.transport.rank() as u64]).unwrap()
            });
            assert!(found.iter().all(|found| found == &[7]), "{size}: {found:?}");
        }
    }

    /// Numbers whose sum depends on the order of summing.
    fn values(rank: usize, count: usize) -> Vec<f32> {
        (0..count).map(|place| ((rank * 7919 + place * 104_729) as f32).sin() * 1e3).collect()
    }

    fn tree(parts: &[Vec<f32>]) -> Vec<f32> {
        match parts {
            [one] => one.clone(),
            parts => {
                let (left, right) = parts.split_at(parts.len() / 2);
                let mut sum = tree(left);
                add(&mut sum, &tree(right));
                sum
            }
        }
    }

    #[test]
    fn sums_are_those_of_the_balanced_tree_to_the_bit() {
        for size in [1, 2, 4, 8, 16] {
            // Fewer numbers than ranks, too.
            for count in [0, 1, 3, 1000] {
                let parts: Vec<_> = (0..size).map(|rank| values(rank, count)).collect();
                let expected = tree(&parts);
                let both = on_ranks(size, |ranks| {
                    let mut halves = values(ranks.transport.rank(), count);
                    let mut at_rank_0 = halves.clone();
                    ranks.sum(&mut halves).unwrap();
                    ranks.sum_at_rank_0(&mut at_rank_0).unwrap();
                    (halves, at_rank_0)
                });
                for (halves, at_rank_0) in both {
                    assert!(halves == expected && at_rank_0 == expected, "{size} {count}");
                }
            }
        }
    }

    /// Each share is rounded before it travels, and so is the sum: by 2⁻⁹ of itself at most each time.
    #[test]
    fn in_half_precision_all_ranks_get_the_same_sum_near_the_true_one() {
        for size in [2, 3, 8] {
            let sums = on_ranks(size, |ranks| {
                let ranks = Collectives { wire: Wire::Bf16, ..*ranks };
                let mut sum = values(ranks.transport.rank(), 100);
                ranks.sum(&mut sum).unwrap();
                sum
            });
            assert!(sums.iter().all(|sum| *sum == sums[0]), "{size}");
            for (place, sum) in sums[0].iter().enumerate() {
                let parts = (0..size).map(|rank| values(rank, 100)[place]);
                let (exact, scale) = parts.fold((0.0, 0.0), |(sum, scale), part| {
                    (sum + f64::from(part), scale + f64::from(part.abs()))
                });
                let off = (f64::from(*sum) - exact).abs();
                assert!(off <= 5.0 * scale / 512.0, "{size}: {sum} {exact}");
            }
        }
    }

    /// So gradients may travel in any order, in buckets of any size.
    #[test]
    fn in_half_precision_a_sum_does_not_depend_on_its_place() {
        for size in [2, 3, 4] {
            let sums = on_ranks(size, |ranks| {
                let ranks = Collectives { wire: Wire::Bf16, ..*ranks };
                let mut whole = values(ranks.transport.rank(), 101);
                let mut parts = whole.clone();
                parts.reverse();
                ranks.sum(&mut whole).unwrap();
                for part in parts.chunks_mut(7) {
                    ranks.sum(part).unwrap();
                }
                parts.reverse();
                (whole, parts)
            });
            assert!(sums.iter().all(|(whole, parts)| whole == parts), "{size}");
        }
    }

    #[test]
    fn sums_of_other_numbers_of_ranks_are_the_same_on_all_of_them() {
        for size in [3, 5, 6, 7] {
            let sums = on_ranks(size, |ranks| {
                let mut sum = values(ranks.transport.rank(), 100);
                ranks.sum(&mut sum).unwrap();
                sum
            });
            assert!(sums.iter().all(|sum| *sum == sums[0]));
            for (place, sum) in sums[0].iter().enumerate() {
                let exact: f64 = (0..size).map(|rank| f64::from(values(rank, 100)[place])).sum();
                assert!((f64::from(*sum) - exact).abs() < 1e-3, "{size}: {sum} {exact}");
            }
        }
    }

    /// Whoever waits for a hung rank itself names it.
    #[test]
    fn a_rank_that_hangs_is_named() {
        for hung in 0..4 {
            let all_have_complained = Barrier::new(4);
            let complaints = on_ranks(4, |ranks| {
                let limit = Some(Duration::from_millis(50));
                let ranks = Collectives { limit, ..*ranks };
                let is_hung = ranks.transport.rank() == hung;
                let complaint = (!is_hung).then(|| ranks.gather(vec![1]).unwrap_err());
                all_have_complained.wait();
                complaint
            });
            let expected = Lost { peer: hung, silence: Silence::TimedOut };
            assert!(complaints.contains(&Some(expected)), "{complaints:?}");
        }
    }

    #[test]
    fn a_rank_that_is_gone_is_named_at_once() {
        let complaints = on_ranks(2, |ranks| {
            let is_there = ranks.transport.rank() == 1;
            is_there.then(|| ranks.gather(vec![1]).unwrap_err())
        });
        assert_eq!(complaints[1], Some(Lost { peer: 0, silence: Silence::Gone }));
    }
}
