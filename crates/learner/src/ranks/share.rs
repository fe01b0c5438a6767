//! Which micro-batches of a step are a rank's, and in which order what they give is summed.
//!
//! A sum is a balanced binary tree over the micro-batches of the step. A rank's share is a branch of it where the number of ranks is a power of two, so that
//! one process and many sum up the same pairs.

use std::ops::Range;

use crate::error::Result;

/// The share of `rank` in `count` things: what is its own of them, in order. Each rank has one at least if there are so many.
pub(crate) fn share(rank: usize, world_size: usize, count: usize) -> Range<usize> {
    let (mut ranks, mut things) = (0..world_size, 0..count);
    while ranks.len() > 1 {
        let left_ranks = ranks.len().div_ceil(2);
        // Of an even number of ranks the larger half, as in `sum_in_pairs`.
        let left_things = (things.len() * left_ranks).div_ceil(ranks.len());
        let (of_ranks, of_things) = (ranks.start + left_ranks, things.start + left_things);
        if rank < of_ranks {
            (ranks.end, things.end) = (of_ranks, of_things);
        } else {
            (ranks.start, things.start) = (of_ranks, of_things);
        }
    }
    things
}

/// The sum of `count` things, which `next` makes one after the other, by a balanced tree: halves of halves, the first the larger one. Of a thing that is
/// not there the other one is the sum. It holds one more thing than the tree is deep.
///
/// # Errors
/// Those of `next`.
pub(crate) fn sum_in_pairs<T>(
    count: usize,
    next: &mut impl FnMut() -> Result<Option<T>>,
    add: &mut impl FnMut(T, T) -> T,
) -> Result<Option<T>> {
    match count {
        0 => Ok(None),
        1 => next(),
        _ => {
            let left = sum_in_pairs(count.div_ceil(2), next, add)?;
            let right = sum_in_pairs(count / 2, next, add)?;
            Ok(match (left, right) {
                (Some(left), Some(right)) => Some(add(left, right)),
                (left, right) => left.or(right),
            })
        }
    }
}

/// The sums of those of `count` things that come before number `last`, as [`sum_in_pairs`] holds them when it has come there: the sum of all is the first of
/// them and (the second and (… and thing `last`)), if none comes after it.
///
/// # Errors
/// Those of `next`.
pub(crate) fn sums_before<T>(
    mut count: usize,
    mut last: usize,
    next: &mut impl FnMut() -> Result<Option<T>>,
    add: &mut impl FnMut(T, T) -> T,
) -> Result<Vec<T>> {
    let mut waiting = Vec::new();
    while count > 1 {
        let left = count.div_ceil(2);
        if last < left {
            count = left;
        } else {
            waiting.extend(sum_in_pairs(left, next, add)?);
            count -= left;
            last -= left;
        }
    }
    Ok(waiting)
}

/// How many things [`sum_in_pairs`] holds at most, of `count`.
pub(crate) fn held_at_most(count: usize) -> usize {
    count.checked_ilog2().map_or(0, |depth| depth as usize + 1)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// The tree that sums `things`, as text.
    fn tree(things: Range<usize>) -> String {
        let mut things_left = things.clone();
        let mut next = || Ok(things_left.next().map(|thing| thing.to_string()));
        let mut add = |left: String, right: String| format!("({left} {right})");
        sum_in_pairs(things.len(), &mut next, &mut add).unwrap().unwrap_or_default()
    }

    #[test]
    fn shares_follow_each_other_and_none_is_empty_if_there_is_enough() {
        for world_size in 1..=9 {
            for count in 0..40 {
                let mut end = 0;
                for rank in 0..world_size {
                    let share = share(rank, world_size, count);
                    assert_eq!(share.start, end);
                    assert!(count < world_size || !share.is_empty(), "{world_size} {count}");
                    assert!(share.len() <= count / world_size + 2, "{world_size} {count}");
                    end = share.end;
                }
                assert_eq!(end, count);
            }
        }
    }

    #[test]
    fn with_a_power_of_two_the_tree_over_ranks_and_their_shares_is_that_of_one_process() {
        for count in 8..40 {
            for world_size in [2, 4, 8] {
                let mut parts: Vec<String> =
                    (0..world_size).map(|rank| tree(share(rank, world_size, count))).collect();
                while parts.len() > 1 {
                    let pair = |pair: &[String]| format!("({} {})", pair[0], pair[1]);
                    parts = parts.chunks(2).map(pair).collect();
                }
                assert_eq!(parts[0], tree(0..count), "{world_size} {count}");
            }
        }
    }

    #[test]
    fn up_to_three_are_summed_one_after_the_other() {
        assert_eq!(tree(0..1), "0");
        assert_eq!(tree(0..2), "(0 1)");
        assert_eq!(tree(0..3), "((0 1) 2)");
        assert_eq!(tree(0..5), "(((0 1) 2) (3 4))");
        assert_eq!(tree(0..0), "");
    }

    #[test]
    fn what_waits_for_the_last_thing_is_the_rest_of_the_tree() {
        for count in 1..40 {
            for last in 0..count {
                // Some are not there, and none after the last one.
                let is_there = |thing: usize| thing <= last && (thing == last || thing % 3 != 1);
                let mut all = 0..count;
                let mut next = || {
                    Ok(all.next().filter(|thing| is_there(*thing)).map(|thing| thing.to_string()))
                };
                let mut add = |left: String, right: String| format!("({left} {right})");
                let expected = sum_in_pairs(count, &mut next, &mut add).unwrap().unwrap();
                let mut some = 0..count;
                let mut next = || {
                    Ok(some.next().filter(|thing| is_there(*thing)).map(|thing| thing.to_string()))
                };
                let waiting = sums_before(count, last, &mut next, &mut add).unwrap();
                assert_eq!(some.next(), Some(last));
                let sum = waiting.into_iter().rfold(last.to_string(), |sum, left| add(left, sum));
                assert_eq!(sum, expected, "{last} of {count}");
            }
        }
    }

    #[test]
    fn no_more_is_held_than_is_said() {
        struct Thing<'a>(&'a Cell<usize>);
        impl<'a> Thing<'a> {
            fn new(now: &'a Cell<usize>, most: &'a Cell<usize>) -> Self {
                now.set(now.get() + 1);
                most.set(most.get().max(now.get()));
                Self(now)
            }
        }
        impl Drop for Thing<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() - 1);
            }
        }
        for count in 0..70 {
            let (now, most) = (Cell::new(0), Cell::new(0));
            let mut next = || Ok(Some(Thing::new(&now, &most)));
            // As gradients are: the right one is added to the left one's memory.
            let mut add = |left, _right| left;
            sum_in_pairs(count, &mut next, &mut add).unwrap();
            assert_eq!(most.get(), held_at_most(count), "{count}");
        }
    }

    #[test]
    fn of_things_that_are_not_there_the_others_are_the_sum() {
        let mut things = [None, Some(1), None, None, Some(5)].into_iter();
        let mut next = || Ok(things.next().flatten());
        assert_eq!(sum_in_pairs(5, &mut next, &mut |a: i32, b| a + b).unwrap(), Some(6));
        let mut next = || Ok(None::<i32>);
        assert_eq!(sum_in_pairs(4, &mut next, &mut |a, _| a).unwrap(), None);
    }
}
