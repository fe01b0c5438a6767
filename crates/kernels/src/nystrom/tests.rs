use burn::tensor::Tensor;

use super::*;
use crate::testing::{self, Side, random};

const ITERATIVE: Pinv = Pinv::Iterative { iterations: 6, scale: PinvScale::OfEachMatrix };

const INVERSES: [Pinv; 3] = [
    ITERATIVE,
    Pinv::Iterative { iterations: 6, scale: PinvScale::OfTheBatch },
    Pinv::Solve { ridge: 0.03 },
];

fn parameters(heads: usize, num_landmarks: usize, pinv: Pinv) -> NystromParameters {
    NystromParameters { heads, num_landmarks, patches: None, pinv }
}

fn sequence(tokens: Range<usize>) -> Sequence {
    Sequence { keys: tokens.clone(), tokens }
}

/// Compares both paths; filters have `taps` taps, for each head and then for each channel, or there are none.
fn same(dims: [usize; 4], sequences: &Sequences, parameters: NystromParameters) {
    let [_, _, _, taps] = dims;
    for is_per_channel in [false, true].into_iter().take(if taps == 0 { 1 } else { 2 }) {
        same_on(Side::Cpu, dims, is_per_channel, sequences, parameters);
    }
}

/// Compares both paths, on this side; filters have `taps` taps, for each head or for each channel, or there are none.
pub(super) fn same_on(
    side: Side,
    [batch, seq_len, head_dim, taps]: [usize; 4],
    is_per_channel: bool,
    sequences: &Sequences,
    parameters: NystromParameters,
) {
    let shape = [batch, seq_len, parameters.heads * head_dim];
    let [query, key, value] = [(); 3].map(|()| random(shape));
    if taps == 0 {
        side.same(
            [query, key, value],
            |[query, key, value]| nystrom_attention(query, key, value, None, sequences, parameters),
            |[query, key, value]| {
                composed::nystrom_attention(query, key, value, None, sequences, parameters)
            },
        );
        return;
    }
    let filters = if is_per_channel { shape[2] } else { parameters.heads };
    side.same(
        [query, key, value, random([1, filters, taps])],
        |[query, key, value, filter]| {
            let filter = Some(filter.squeeze_dim(0));
            nystrom_attention(query, key, value, filter, sequences, parameters)
        },
        |[query, key, value, filter]| {
            let filter = Some(filter.squeeze_dim(0));
            composed::nystrom_attention(query, key, value, filter, sequences, parameters)
        },
    );
}

#[test]
fn equals_the_composed_path() {
    for pinv in INVERSES {
        for ([batch, seq_len, head_dim, taps], heads, landmarks) in [
            ([2, 40, 5, 7], 3, 8),
            ([1, 300, 32, 35], 2, 64),
            ([3, 13, 4, 0], 2, 4),
            ([2, 9, 8, 3], 1, 9),
            ([2, 6, 3, 65], 2, 9),
            ([1, 1500, 16, 5], 1, 100),
            ([2, 130, 33, 9], 2, 129),
        ] {
            let sequences = Sequences::even(batch, seq_len);
            let parameters = parameters(heads, landmarks, pinv);
            same([batch, seq_len, head_dim, taps], &sequences, parameters);
        }
    }
}

/// Pictures side by side and with rows between them; some rows that attend, some keys.
#[test]
fn patches_of_pictures_equal_the_composed_path() {
    let patches = Patches::new([6, 8], [3, 2]).unwrap();
    let between = Sequences::new(150, [0..48, 50..98, 102..150].map(sequence).to_vec());
    let keys = [(0..48, 0..48), (48..96, 60..96)].map(|(tokens, keys)| Sequence { tokens, keys });
    for (sequences, batch, seq_len) in [
        (Sequences::even(2, 48), 2, 48),
        (Sequences::even(2, 48).with_attending(vec![0, 5, 95]), 2, 48),
        (between, 3, 50),
        (Sequences::new(96, keys.to_vec()), 2, 48),
    ] {
        for pinv in INVERSES {
            let parameters = NystromParameters { patches: Some(patches), ..parameters(2, 8, pinv) };
            for taps in [0, 9] {
                same([batch, seq_len, 6, taps], &sequences, parameters);
            }
        }
    }
}

/// One row high, patches are the segments.
#[test]
fn patches_of_one_row_give_the_bits_of_segments() {
    let [query, key, value] = [(); 3].map(|()| random([2, 24, 10]));
    let filter = Some(random([2, 5]));
    let of = |patches| {
        let [query, key, value] = [&query, &key, &value].map(Clone::clone);
        let parameters = NystromParameters { patches, ..parameters(2, 6, ITERATIVE) };
        let sequences = Sequences::even(2, 24);
        nystrom_attention(query, key, value, filter.clone(), &sequences, parameters).into_data()
    };
    of(Patches::new([3, 8], [1, 4])).assert_eq(&of(None), true);
}

/// Rows between sequences, sequences shorter than the number of landmarks, one of a single token, an empty one.
#[test]
fn sequences_of_any_length_equal_the_composed_path() {
    let list = [0..37, 40..53, 60..61, 61..61, 70..120].map(sequence).to_vec();
    let sequences = Sequences::new(120, list);
    for pinv in INVERSES {
        for taps in [0, 9] {
            same([3, 40, 6, taps], &sequences, parameters(2, 16, pinv));
            let packed = sequences.packed();
            assert_eq!(packed.rows(), sequences.num_tokens());
            same([1, packed.rows(), 6, taps], &packed, parameters(2, 16, pinv));
        }
    }
}

/// transformers attends to some tokens only, and averages and convolves over all.
#[test]
fn keys_may_be_fewer_than_tokens() {
    let list = [(0..40, 0..31), (40..80, 45..80), (80..120, 80..120)];
    let list = list.map(|(tokens, keys)| Sequence { tokens, keys }).to_vec();
    for pinv in INVERSES {
        let sequences = Sequences::new(120, list.clone());
        same([3, 40, 6, 9], &sequences, parameters(2, 10, pinv));
    }
}

/// The context of some rows: the bits that it has among all, and the same gradients as the composed path.
#[test]
fn rows_that_attend_may_be_chosen() {
    let tokens = [0..37, 40..53, 60..61, 70..120].map(sequence).to_vec();
    let some = [0, 1, 20, 36, 39, 45, 80, 81, 119].to_vec();
    for (sequences, some) in [
        (Sequences::even(3, 40), some.clone()),
        (Sequences::new(120, tokens), some),
        (Sequences::even(3, 40), vec![0, 80]),
        // None of the first sequence, and none of the last.
        (Sequences::even(3, 40), vec![41, 60]),
    ] {
        let chosen = sequences.clone().with_attending(some.clone());
        for pinv in INVERSES {
            for taps in [0, 9, 65] {
                same([3, 40, 6, taps], &chosen, parameters(2, 16, pinv));
            }
        }
        let [query, key, value] = [(); 3].map(|()| random([3, 40, 66]));
        let parameters = parameters(2, 16, ITERATIVE);
        for filters in [2, 66] {
            let filter = Some(random([filters, 65]));
            let of = |sequences| {
                let [query, key, value] = [&query, &key, &value].map(Clone::clone);
                nystrom_attention(query, key, value, filter.clone(), sequences, parameters)
            };
            let all = of(&sequences).reshape([1, 120, 66]);
            for (place, row) in some.iter().enumerate() {
                let alone = of(&chosen).narrow(1, place, 1);
                alone.into_data().assert_eq(&all.clone().narrow(1, *row, 1).into_data(), true);
            }
        }
    }
}

/// Each sequence of a padded batch gives the bits that it gives alone.
#[test]
fn neighbours_change_no_bit_of_a_short_sequence() {
    let [query, key, value] = [(); 3].map(|()| random([1, 90, 12]));
    let filter = random([2, 5]);
    let parameters = parameters(2, 8, ITERATIVE);
    let sequences = Sequences::new(90, [3..40, 40..47, 60..90].map(sequence).to_vec());
    let together = nystrom_attention(
        query.clone(),
        key.clone(),
        value.clone(),
        Some(filter.clone()),
        &sequences,
        parameters,
    );
    for Sequence { tokens, .. } in sequences.list() {
        let [query, key, value] =
            [&query, &key, &value].map(|x| x.clone().narrow(1, tokens.start, tokens.len()));
        let alone = Sequences::even(1, tokens.len());
        let alone = nystrom_attention(query, key, value, Some(filter.clone()), &alone, parameters);
        let row = together.clone().narrow(1, tokens.start, tokens.len());
        row.into_data().assert_eq(&alone.into_data(), true);
    }
    for (start, length) in [(0, 3), (47, 13)] {
        let between = together.clone().narrow(1, start, length).abs().max();
        assert_eq!(between.into_scalar::<f32>(), 0.0);
    }
}

#[test]
fn projections_side_by_side_are_read_as_they_lie() {
    let sequences = Sequences::even(2, 50);
    let parameters = parameters(2, 8, ITERATIVE);
    let parts = |x: Tensor<3>| [0, 12, 24].map(|first| x.clone().narrow(2, first, 12));
    testing::same(
        [random([2, 50, 36])],
        |[x]| {
            let [query, key, value] = parts(x);
            nystrom_attention(query, key, value, None, &sequences, parameters)
        },
        |[x]| {
            let [query, key, value] = parts(x);
            composed::nystrom_attention(query, key, value, None, &sequences, parameters)
        },
    );
    testing::same(
        [random([50, 12, 2])],
        |[x]| {
            let x = x.permute([2, 0, 1]);
            nystrom_attention(x.clone(), x.clone(), x, None, &sequences, parameters)
        },
        |[x]| {
            let x = x.permute([2, 0, 1]);
            composed::nystrom_attention(x.clone(), x.clone(), x, None, &sequences, parameters)
        },
    );
}

#[test]
fn special_values_behave_as_the_composed_path() {
    let sequences = Sequences::new(60, [0..25, 30..60].map(sequence).to_vec());
    for pinv in INVERSES {
        let parameters = parameters(1, 6, pinv);
        testing::same_with_special_values(
            [random([2, 30, 4]), random([2, 30, 4]), random([2, 30, 4])],
            |[query, key, value]| {
                nystrom_attention(query, key, value, None, &sequences, parameters)
            },
            |[query, key, value]| {
                composed::nystrom_attention(query, key, value, None, &sequences, parameters)
            },
        );
    }
}

#[test]
fn patches_do_not_depend_on_the_number_of_threads() {
    let patches = Patches::new([32, 32], [4, 4]);
    let parameters = NystromParameters { patches, ..parameters(2, 64, ITERATIVE) };
    testing::same_bits_for_any_threads(
        [random([2, 1024, 8]), random([2, 1024, 8]), random([2, 1024, 8]), random([1, 2, 9])],
        |[query, key, value, filter]| {
            let (filter, sequences) = (Some(filter.squeeze_dim(0)), Sequences::even(2, 1024));
            nystrom_attention(query, key, value, filter, &sequences, parameters)
        },
    );
}

#[test]
fn does_not_depend_on_the_number_of_threads() {
    let list = [0..1100, 1100..1107, 1200..1900, 2000..3300].map(sequence).to_vec();
    for sequences in [
        Sequences::new(3300, list),
        Sequences::even(3, 1100),
        Sequences::even(3, 1100).with_attending((0..3300).step_by(7).collect()),
    ] {
        for pinv in INVERSES {
            testing::same_bits_for_any_threads(
                [
                    random([3, 1100, 8]),
                    random([3, 1100, 8]),
                    random([3, 1100, 8]),
                    random([1, 2, 9]),
                ],
                |[query, key, value, filter]| {
                    let filter = Some(filter.squeeze_dim(0));
                    let parameters = parameters(2, 16, pinv);
                    nystrom_attention(query, key, value, filter, &sequences, parameters)
                },
            );
        }
    }
}
