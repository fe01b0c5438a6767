//! Cross-validation: examples cut into parts, each of which is tested on once.

use std::collections::BTreeMap;

use nystromformer_data::random::{shuffle, stream};

/// The fold of each example, from 0: every fold has the same share of each class, and as many examples as the others or one less.
/// `strata` are the examples' classes ([`strata`](crate::strata())); those without one are dealt with as one class.
///
/// Which ones is a function of `seed`, the classes and their order alone.
///
/// # Panics
///
/// If there are no folds.
pub fn folds(strata: &[Option<u16>], folds: usize, seed: u64) -> Vec<usize> {
    assert!(folds > 0, "examples are in some fold");
    let mut classes: BTreeMap<Option<u16>, Vec<usize>> = BTreeMap::new();
    for (place, class) in strata.iter().enumerate() {
        classes.entry(*class).or_default().push(place);
    }
    let mut fold_of = vec![0; strata.len()];
    // The deal goes on from class to class, so that the folds stay of one size.
    let mut next = 0;
    for (class, mut places) in classes {
        // Class 0 has stream 1: stream 0 is of the examples without a class.
        let mut random = stream(seed, "folds", class.map_or(0, |class| u64::from(class) + 1));
        shuffle(&mut places, &mut random);
        for place in places {
            fold_of[place] = next;
            next = (next + 1) % folds;
        }
    }
    fold_of
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_seed_decides_which() {
        let strata = vec![Some(0); 60];
        assert_eq!(folds(&strata, 5, 1), folds(&strata, 5, 1));
        assert_ne!(folds(&strata, 5, 1), folds(&strata, 5, 2));
    }

    proptest! {
        #[test]
        fn folds_are_of_one_size_and_have_their_share_of_each_class(
            strata in prop::collection::vec(prop::option::of(0u16..4), 1..200),
            count in 2usize..11,
            seed: u64
        ) {
            let fold_of = folds(&strata, count, seed);
            let spread = |wanted: &dyn Fn(Option<u16>) -> bool| {
                let mut sizes = vec![0; count];
                for (class, fold) in strata.iter().zip(&fold_of) {
                    sizes[*fold] += usize::from(wanted(*class));
                }
                sizes.iter().max().unwrap() - sizes.iter().min().unwrap()
            };
            prop_assert!(spread(&|_| true) <= 1);
            for class in [None, Some(0), Some(1), Some(2), Some(3)] {
                prop_assert!(spread(&|other| other == class) <= 1, "{class:?}");
            }
        }
    }
}
