//! A part of a data set that stands for the whole.

use std::collections::BTreeMap;

use nystromformer_data::random::{shuffle, stream};

/// Draws `count` of the examples, by their places in increasing order: all of them if there are no more. Of each class as many
/// as its share of the whole, to the nearest number that makes `count` together. `strata` are the examples' classes
/// ([`Label::stratum`](crate::Label::stratum)); those without one are dealt with as one class.
///
/// Which ones is a function of `seed`, `purpose`, the classes and their order alone.
///
/// ```
/// use nystromformer_tasks::sample;
///
/// let strata: Vec<_> = (0..80).map(|place| Some(u16::from(place >= 40))).collect();
/// let drawn = sample(&strata, 10, 0, "validation");
/// assert_eq!(drawn.iter().filter(|place| **place < 40).count(), 5);
/// ```
pub fn sample(strata: &[Option<u16>], count: usize, seed: u64, purpose: &str) -> Vec<usize> {
    if count >= strata.len() {
        return (0..strata.len()).collect();
    }
    let mut classes: BTreeMap<Option<u16>, Vec<usize>> = BTreeMap::new();
    for (place, class) in strata.iter().enumerate() {
        classes.entry(*class).or_default().push(place);
    }
    let sizes: Vec<usize> = classes.values().map(Vec::len).collect();
    let mut drawn = Vec::with_capacity(count);
    for ((class, mut places), share) in classes.into_iter().zip(shares(&sizes, count)) {
        // Class 0 has stream 1: stream 0 is of the examples without a class.
        let number = class.map_or(0, |class| u64::from(class) + 1);
        shuffle(&mut places, &mut stream(seed, &format!("sample {purpose}"), number));
        drawn.extend_from_slice(&places[..share]);
    }
    drawn.sort_unstable();
    drawn
}

/// Deals `count`, which is less than their sum, out to parts of these sizes: what is left after rounding down goes to the
/// largest remainders, the first of equals.
fn shares(sizes: &[usize], count: usize) -> Vec<usize> {
    let total: u128 = sizes.iter().map(|size| *size as u128).sum();
    let exact = |size: usize| size as u128 * count as u128;
    let mut shares: Vec<usize> = sizes.iter().map(|size| (exact(*size) / total) as usize).collect();
    let mut by_remainder: Vec<usize> = (0..sizes.len()).collect();
    by_remainder.sort_by_key(|part| std::cmp::Reverse(exact(sizes[*part]) % total));
    let left = count - shares.iter().sum::<usize>();
    for part in by_remainder.into_iter().take(left) {
        shares[part] += 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn classes(classes: &[u16]) -> Vec<Option<u16>> {
        classes.iter().copied().map(Some).collect()
    }

    #[test]
    fn every_class_keeps_its_share_and_the_order_is_kept() {
        let labels = classes(&[[0; 60].as_slice(), &[1; 30], &[2; 10]].concat());
        let drawn = sample(&labels, 11, 3, "train");
        assert!(drawn.is_sorted());
        let of = |range: std::ops::Range<usize>| {
            drawn.iter().filter(|place| range.contains(place)).count()
        };
        // 6.6, 3.3 and 1.1
        assert_eq!([of(0..60), of(60..90), of(90..100)], [7, 3, 1]);
    }

    #[test]
    fn seed_and_purpose_decide_which() {
        let labels = vec![None; 100];
        let drawn = |seed, purpose| sample(&labels, 20, seed, purpose);
        assert_eq!(drawn(1, "train"), drawn(1, "train"));
        assert_ne!(drawn(1, "train"), drawn(2, "train"));
        assert_ne!(drawn(1, "train"), drawn(1, "test"));
        assert_eq!(sample(&labels, 100, 0, "train"), (0..100).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn as_many_are_drawn_as_are_wanted(
            labels in prop::collection::vec(prop::option::of(0u16..5), 0..60), count in 0usize..70, seed: u64
        ) {
            let drawn = sample(&labels, count, seed, "test");
            prop_assert_eq!(drawn.len(), count.min(labels.len()));
            prop_assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(drawn.iter().all(|place| *place < labels.len()));
        }
    }
}
