//! A validation set out of a training set, for data sets that come without one.

use std::collections::BTreeMap;

use nystromformer_data::DataError;
use nystromformer_data::random::{shuffle, stream};
use nystromformer_files::say_once;

/// Which examples train and which validate, by their places; both in increasing order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldOut {
    /// Examples to train on; at least one.
    pub train: Vec<usize>,
    /// Examples to validate on; at least one.
    pub validation: Vec<usize>,
}

/// Holds out `fraction` of the examples for validation, the same part of each class (stratified): of each class as many as
/// come nearest, but never all of it. `strata` are the examples' classes ([`Label::stratum`](crate::Label::stratum)); those without
/// one are dealt with as one class. Where that
/// would hold out nothing at all, one example of the largest class is.
///
/// Which ones is a function of `seed`, the labels and their order alone.
///
/// # Errors
///
/// [`DataError::Config`] (`task.validation_fraction`) if the fraction is not between 0 and 1, or there is no class with two
/// examples.
pub fn hold_out(
    strata: impl IntoIterator<Item = Option<u16>>,
    fraction: f64,
    seed: u64,
) -> Result<HeldOut, DataError> {
    let refused =
        |problem: &str| Err(DataError::config("task.validation_fraction", fraction, problem));
    if !(fraction > 0.0 && fraction < 1.0) {
        return refused(
            "must be between 0 and 1, both excluded; 0.1 holds out every tenth example",
        );
    }
    let mut classes: BTreeMap<Option<u16>, Vec<usize>> = BTreeMap::new();
    for (place, class) in strata.into_iter().enumerate() {
        classes.entry(class).or_default().push(place);
    }
    let largest = classes.values().map(Vec::len).max().unwrap_or_default();
    if largest < 2 {
        return refused(
            "no class has two examples, one to train on and one to hold out; give a validation file",
        );
    }
    let wanted = |count: usize| ((count as f64 * fraction).round() as usize).min(count - 1);
    let nothing = classes.values().all(|places| wanted(places.len()) == 0);
    let mut held_out = HeldOut { train: Vec::new(), validation: Vec::new() };
    let mut one_is_due = nothing;
    for (class, mut places) in classes {
        let mut count = wanted(places.len());
        if one_is_due && places.len() == largest {
            one_is_due = false;
            count = 1;
        }
        // Class 0 has stream 1: stream 0 is of the examples without a class.
        let mut random = stream(seed, "hold out", class.map_or(0, |class| u64::from(class) + 1));
        shuffle(&mut places, &mut random);
        held_out.train.extend(places.split_off(count));
        held_out.validation.extend(places);
    }
    held_out.train.sort_unstable();
    held_out.validation.sort_unstable();
    Ok(held_out)
}

/// Holds out `fraction` of the groups that examples are of, each with all of its examples: questions about one text teach each
/// other's answers. `groups` are the numbers of the examples' groups. Examples of a single group are held out one by one, which is
/// said.
///
/// # Errors
///
/// As [`hold_out`].
pub fn hold_out_groups(groups: &[usize], fraction: f64, seed: u64) -> Result<HeldOut, DataError> {
    let mut known = groups.to_vec();
    known.sort_unstable();
    known.dedup();
    if known.len() < 2 {
        say_once(
            "all examples are about one text: some of them are held out for validation, and their text is trained on \
             (a validation file helps)"
                .to_owned(),
        );
        return hold_out(groups.iter().map(|_| None), fraction, seed);
    }
    let held_out = hold_out(known.iter().map(|_| None), fraction, seed)?;
    let is_held_out = |place: &usize| {
        let number = known.binary_search(&groups[*place]);
        number.is_ok_and(|number| held_out.validation.binary_search(&number).is_ok())
    };
    let (validation, train) = (0..groups.len()).partition(is_held_out);
    Ok(HeldOut { train, validation })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn classes(classes: &[u16]) -> Vec<Option<u16>> {
        classes.iter().copied().map(Some).collect()
    }

    #[test]
    fn each_class_gives_its_part() {
        let labels = classes(&[[0; 60].as_slice(), &[1; 30], &[2; 10]].concat());
        let held_out = hold_out(labels.iter().copied(), 0.2, 7).unwrap();
        let of = |class| {
            let is = |place: &&usize| labels[**place] == Some(class);
            held_out.validation.iter().filter(is).count()
        };
        assert_eq!([of(0), of(1), of(2)], [12, 6, 2]);
    }

    #[test]
    fn the_seed_decides_which() {
        let labels = classes(&[0; 100]);
        let draw = |seed| hold_out(labels.iter().copied(), 0.5, seed).unwrap();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn few_examples_give_one_and_too_few_an_error() {
        let tiny = hold_out(classes(&[0, 1, 1]), 0.1, 0).unwrap();
        assert_eq!((tiny.train.len(), tiny.validation.len()), (2, 1));
        assert_ne!(tiny.validation, [0]);
        assert!(hold_out(classes(&[0, 1]), 0.5, 0).is_err());
        let message = hold_out(classes(&[0, 0]), 1.0, 0).unwrap_err().to_string();
        assert!(message.contains("`task.validation_fraction` is `1`"), "{message}");
        assert!(hold_out(classes(&[0, 0]), f64::NAN, 0).is_err());
        assert_eq!(hold_out([None; 10], 0.3, 0).unwrap().validation.len(), 3);
    }

    #[test]
    fn a_group_stays_together() {
        let groups: Vec<usize> = (0..60).map(|place| place % 12).collect();
        let held_out = hold_out_groups(&groups, 0.25, 3).unwrap();
        assert_eq!(held_out.validation.len(), 15);
        let of = |places: &[usize]| -> std::collections::BTreeSet<usize> {
            places.iter().map(|place| groups[*place]).collect()
        };
        assert!(of(&held_out.train).is_disjoint(&of(&held_out.validation)));
        // Numbers may be missing, as where a part of the examples was taken away.
        let two = hold_out_groups(&[7, 7, 900], 0.5, 3).unwrap();
        assert!(!two.train.is_empty() && !two.validation.is_empty());
        let one = hold_out_groups(&[0; 10], 0.2, 3).unwrap();
        assert_eq!((one.train.len(), one.validation.len()), (8, 2));
    }

    proptest! {
        #[test]
        fn every_example_is_on_one_side_and_both_have_some(
            labels in prop::collection::vec(0u16..4, 8..200), fraction in 0.001..0.999, seed: u64
        ) {
            let held_out = hold_out(classes(&labels), fraction, seed).unwrap();
            prop_assert!(!held_out.train.is_empty() && !held_out.validation.is_empty());
            let mut all = [held_out.train, held_out.validation].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
        }
    }
}
