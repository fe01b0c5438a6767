use burn::tensor::Tensor;
use proptest::prelude::*;

use super::super::{NystromParameters, Sequences, composed, nystrom_attention, tests::same_on};
use crate::{
    Pinv, PinvScale, kernel,
    testing::{Side, cube, random},
};

const INVERSES: [Pinv; 2] = [
    Pinv::Iterative { iterations: 6, scale: PinvScale::OfEachMatrix },
    Pinv::Iterative { iterations: 6, scale: PinvScale::OfTheBatch },
];

fn same(
    dims: [usize; 4],
    is_per_channel: bool,
    sequences: &Sequences,
    parameters: NystromParameters,
) {
    same_on(Side::Cube, dims, is_per_channel, sequences, parameters);
}

#[test]
fn equals_the_composed_path() {
    for pinv in INVERSES {
        for ([batch, seq_len, width, taps], heads, num_landmarks) in [
            ([2, 40, 5, 7], 3, 8),
            ([1, 300, 32, 35], 2, 64),
            // A length that does not divide, fewer tokens than landmarks, as many, and a single one.
            ([3, 13, 4, 0], 2, 4),
            ([2, 6, 3, 65], 2, 9),
            ([2, 9, 8, 3], 1, 9),
            ([2, 1, 4, 3], 2, 4),
        ] {
            let sequences = Sequences::even(batch, seq_len);
            let parameters = NystromParameters { heads, num_landmarks, patches: None, pinv };
            for is_per_channel in [false, true] {
                same([batch, seq_len, width, taps], is_per_channel, &sequences, parameters);
            }
        }
    }
}

/// All of it is one operation, so these are.
#[test]
fn the_kernel_runs() {
    let Some(device) = cube::device() else { return };
    let shape = [2, 40, 12];
    let query = Tensor::<3>::zeros(shape, &device);
    let parameters =
        NystromParameters { heads: 3, num_landmarks: 8, patches: None, pinv: INVERSES[0] };
    let sequences = Sequences::even(2, 40);
    let kernel = super::NystromAttention { sequences, parameters };
    assert!(kernel::runs(&kernel, &query, [&shape, &shape, &shape]));
    // Sequences of different lengths.
    let sequences = Sequences::new(80, Vec::new());
    let kernel = super::NystromAttention { sequences, parameters };
    assert!(!kernel::runs(&kernel, &query, [&shape, &shape, &shape]));
}

#[test]
fn rows_that_attend_may_be_chosen() {
    let sequences = Sequences::even(3, 40).with_attending(vec![0, 1, 20, 36, 80, 119]);
    let parameters =
        NystromParameters { heads: 2, num_landmarks: 16, patches: None, pinv: INVERSES[0] };
    same([3, 40, 6, 9], false, &sequences, parameters);
}

/// Where sequences differ in length, each is composed, of kernels as far as there are some.
#[test]
fn sequences_of_any_length_equal_the_composed_path() {
    let list = [0..37, 40..53, 60..61, 70..120]
        .map(|tokens| crate::Sequence { keys: tokens.clone(), tokens });
    let sequences = Sequences::new(120, list.to_vec());
    for pinv in INVERSES {
        let parameters = NystromParameters { heads: 2, num_landmarks: 16, patches: None, pinv };
        same([3, 40, 6, 9], false, &sequences, parameters);
    }
}

#[test]
fn projections_side_by_side_are_read() {
    let parameters =
        NystromParameters { heads: 2, num_landmarks: 8, patches: None, pinv: INVERSES[0] };
    let sequences = Sequences::even(2, 50);
    let parts = |x: Tensor<3>| [0, 12, 24].map(|first| x.clone().narrow(2, first, 12));
    cube::same(
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
}

#[test]
fn special_values_behave_as_the_composed_path() {
    let sequences = Sequences::even(2, 30);
    for pinv in INVERSES {
        let parameters = NystromParameters { heads: 1, num_landmarks: 6, patches: None, pinv };
        cube::same_with_special_values(
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 70, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_shape_equals_the_composed_path(
        batch in 1usize..4,
        heads in 1usize..4,
        // Every number of landmarks is a kernel of its own to compile.
        seq_len in prop_oneof![Just(3usize), 7usize..200],
        num_landmarks in prop::sample::select(vec![4usize, 7]),
        width in prop::sample::select(vec![4usize, 5]),
        half in prop::option::of(0usize..6),
        is_per_channel: bool,
        is_of_batch: bool,
    ) {
        let taps = half.map_or(0, |half| 2 * half + 1);
        let pinv = INVERSES[usize::from(is_of_batch)];
        let parameters = NystromParameters { heads, num_landmarks, patches: None, pinv };
        let sequences = Sequences::even(batch, seq_len);
        same([batch, seq_len, width, taps], is_per_channel, &sequences, parameters);
    }
}
