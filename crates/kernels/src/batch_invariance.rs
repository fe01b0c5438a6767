//! A row's bits, whatever rows are computed beside it.
//!
//! Results never depend on the number of threads, but how many rows a batch has may decide how a sum is split: a product of one
//! row takes another path than one of many, and the keys of a long sequence are split where there are few sequences. Both
//! round differently. Inside of [`batch_invariant`] neither is asked how many rows there are.

use std::cell::Cell;

thread_local! {
    static IS_ON: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body` such that no row of [`linear`](crate::linear()), no sequence of
/// [`nystrom_attention`](crate::nystrom_attention) and no batch element of [`attention`](crate::attention()) depends in any bit
/// on how many others there are, if they are called on this thread and on the CPU. Small batches cost a little more: products
/// have at least 4 rows, with a matrix unit 32, and 64 where there are up to 64 columns.
pub fn batch_invariant<R>(body: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            IS_ON.set(self.0);
        }
    }
    let _restore = Restore(IS_ON.replace(true));
    body()
}

/// Whether the innermost call on this thread is inside of [`batch_invariant`].
pub fn is_batch_invariant() -> bool {
    IS_ON.get()
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use burn::tensor::Tensor;

    use super::*;
    use crate::{
        NystromParameters, Pinv, PinvScale, Sequence, Sequences, WeightLayout, attention, linear,
        nystrom_attention,
        testing::{instructions::Instructions, random},
    };

    #[test]
    fn the_scope_ends_with_its_body_even_by_a_panic() {
        assert!(!is_batch_invariant());
        assert!(batch_invariant(|| batch_invariant(is_batch_invariant) && is_batch_invariant()));
        assert!(std::panic::catch_unwind(|| batch_invariant(|| panic!("on purpose"))).is_err());
        assert!(!is_batch_invariant());
    }

    fn bits<const D: usize>(tensor: Tensor<D>) -> Vec<u32> {
        let values: Vec<f32> = tensor.into_data().try_into_vec().unwrap();
        values.into_iter().map(f32::to_bits).collect()
    }

    /// Sizes on both sides of every limit: `gemm`'s of 64 rows and of 256 values, the matrix unit's of 32 rows.
    #[test]
    fn a_row_of_a_product_has_the_same_bits_in_every_company() {
        for (inputs, outputs) in [(768, 2), (768, 1), (600, 65), (40, 130), (1030, 70), (3, 64)] {
            for layout in [WeightLayout::InputsFirst, WeightLayout::OutputsFirst] {
                let shape = match layout {
                    WeightLayout::InputsFirst => [inputs, outputs],
                    WeightLayout::OutputsFirst => [outputs, inputs],
                };
                let (weight, bias) = (random(shape), random([outputs]));
                let x: Tensor<2> = random([200, inputs]);
                let product = |rows: Range<usize>| {
                    let x = x.clone().narrow(0, rows.start, rows.len());
                    let product = || linear(x, weight.clone(), Some(bias.clone()), layout);
                    bits(batch_invariant(product))
                };
                for set in Instructions::all_products() {
                    set.run(2, || {
                        let all = product(0..200);
                        for rows in [0..1, 199..200, 5..7, 31..34, 60..64, 64..97, 1..66, 3..180] {
                            let expected = &all[rows.start * outputs..rows.end * outputs];
                            assert_eq!(product(rows.clone()), expected, "{inputs} {rows:?}");
                        }
                    });
                }
            }
        }
    }

    /// From 2,048 keys on they are split where there is little else to do at the same time.
    #[test]
    fn a_long_sequence_has_the_same_bits_in_every_company() {
        let pinv = Pinv::Iterative { iterations: 6, scale: PinvScale::OfEachMatrix };
        let parameters = NystromParameters { heads: 2, num_landmarks: 8, patches: None, pinv };
        let lengths = [2300, 40, 2048, 1];
        let rows: usize = lengths.iter().sum();
        let [query, key, value] = [(); 3].map(|()| random::<3>([1, rows, 12]));
        let mut start = 0;
        let sequences = lengths.map(|length| {
            start += length;
            Sequence { tokens: start - length..start, keys: start - length..start }
        });
        let of = |rows: Range<usize>, sequences: &Sequences| {
            let [query, key, value] =
                [&query, &key, &value].map(|x| x.clone().narrow(1, rows.start, rows.len()));
            bits(batch_invariant(|| {
                nystrom_attention(query, key, value, None, sequences, parameters)
            }))
        };
        let together = of(0..rows, &Sequences::new(rows, sequences.to_vec()));
        for Sequence { tokens, .. } in sequences {
            let alone = of(tokens.clone(), &Sequences::even(1, tokens.len()));
            assert_eq!(together[tokens.start * 12..tokens.end * 12], alone);
        }

        let [query, key, value] = [3, 2100, 2100].map(|rows| random::<4>([20, 2, rows, 4]));
        let exact = |batch: Range<usize>| {
            let [query, key, value] =
                [&query, &key, &value].map(|x| x.clone().narrow(0, batch.start, batch.len()));
            bits(batch_invariant(|| attention(query, key, value, None, 0.5)))
        };
        let (all, alone) = (exact(0..20), exact(7..8));
        assert_eq!(all[7 * alone.len()..8 * alone.len()], alone);
    }
}
