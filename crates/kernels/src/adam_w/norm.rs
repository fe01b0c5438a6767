//! The squares of many tensors, for the norm of all gradients.

#[cfg(all(feature = "cube", not(feature = "fused")))]
mod cube;

use burn::{
    backend::{Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor},
    tensor::{Shape, Tensor},
};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::{
    kernel::{self, Tensors},
    simd,
    trace::{self, Pass},
};

/// The sum of the squares of each of these tensors.
///
/// # Shapes
/// - `tensors`: `[length]`, any number; no derivative is recorded
/// - output: `[tensors.len()]`
///
/// # Panics
/// If there is no tensor.
pub fn sums_of_squares(tensors: Vec<Tensor<1>>) -> Tensor<1> {
    assert!(!tensors.is_empty(), "of some tensors");
    let tensors: Vec<_> = tensors.into_iter().map(Tensor::without_autodiff).collect();
    if !tensors.iter().all(kernel::takes) {
        return Tensor::cat(tensors.into_iter().map(composed).collect(), 0);
    }
    let _span = trace::kernel("SumsOfSquares", Pass::Update, || {
        tensors.iter().map(|tensor| tensor.dims().to_vec()).collect()
    });
    Tensor::from_dispatch(Dispatch::sums_of_squares(tensors.into_iter().collect()))
}

/// The same of one tensor by Burn's elementary operations: of rows as long as there are rows first, so that rounding does not grow with the
/// tensor's length.
fn composed(x: Tensor<1>) -> Tensor<1> {
    let [length] = x.dims();
    let columns = length.isqrt().max(1);
    let whole = length - length % columns;
    if whole == 0 {
        return Tensor::zeros([1], &x.device());
    }
    let squares = x.square();
    let rows = squares.clone().narrow(0, 0, whole).reshape([whole / columns, columns]);
    let sum = rows.sum_dim(1).sum();
    if whole == length { sum } else { sum + squares.narrow(0, whole, length - whole).sum() }
}

/// One number for each of many tensors does not fit the shape of a kernel, and needs no derivative.
#[backend_extension(Flex, Cube: cfg(all(feature = "cube", not(feature = "fused"))))]
pub(crate) trait NormBackend: Backend {
    /// The sum of the squares of each, `[tensors]`.
    fn sums_of_squares(#[extension_type] tensors: Tensors<Self>) -> FloatTensor<Self>;
}

impl NormBackend for Flex {
    fn sums_of_squares(tensors: Tensors<Self>) -> FlexTensor {
        let of = |tensor| sum_of_squares(simd::values(&simd::contiguous(tensor)));
        let sums: Vec<f32> = tensors.0.into_iter().map(of).collect();
        let count = sums.len();
        simd::tensor(sums, Shape::new([count]))
    }
}

/// In parts that the length alone fixes.
fn sum_of_squares(values: &[f32]) -> f32 {
    let parts: Vec<f64> = values
        .par_chunks(simd::TASK)
        .map(|chunk| {
            let sum = simd::vectorised(
                #[inline(always)]
                || {
                    simd::sum(
                        chunk,
                        #[inline(always)]
                        |value| value * value,
                    )
                },
            );
            f64::from(sum)
        })
        .collect();
    parts.into_iter().sum::<f64>() as f32
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::testing::{instructions::Instructions, random};

    const LENGTHS: [usize; 9] = [1, 7, 256, 40_001, 3, 768, 100_000, 2, 90_000];

    fn tensors() -> Vec<Tensor<1>> {
        LENGTHS.map(|length| random([length]).inner()).to_vec()
    }

    fn values(tensor: Tensor<1>) -> Vec<f32> {
        tensor.try_into_vec_as().unwrap()
    }

    #[test]
    fn both_paths_give_the_sums_of_squares() {
        let exact =
            |x: Tensor<1>| values(x).into_iter().map(|value| f64::from(value).powi(2)).sum::<f64>();
        let tensors = tensors();
        let exact: Vec<f64> = tensors.iter().cloned().map(exact).collect();
        let close = |found: Vec<f32>| {
            assert_eq!(found.len(), exact.len());
            for (found, exact) in found.into_iter().zip(&exact) {
                assert!((f64::from(found) / exact - 1.0).abs() < 1e-6, "{found} {exact}");
            }
        };
        for set in Instructions::all() {
            close(set.run(2, || values(sums_of_squares(tensors.clone()))));
        }
        close(tensors.into_iter().flat_map(|x| values(composed(x))).collect());
    }

    /// Whatever stands beside it, and however many threads there are.
    #[test]
    fn each_has_the_bits_that_it_has_alone() {
        let tensors = tensors();
        for set in Instructions::all() {
            let alone = tensors.iter().map(|x| sums_of_squares(vec![x.clone()])).collect();
            let alone = set.run(1, || values(Tensor::cat(alone, 0)));
            let together = set.run(3, || values(sums_of_squares(tensors.clone())));
            assert!(together == alone, "{}: {together:?} {alone:?}", set.name);
        }
    }

    #[test]
    fn what_is_no_number_is_none_of_its_tensor_alone_and_nothing_is_0() {
        let device = Device::flex();
        let vector = |values: &[f32]| Tensor::<1>::from_floats(values, &device);
        let all = || vec![vector(&[1.0, f32::NAN]), vector(&[]), vector(&[3.0, 4.0])];
        let paths: [fn(Vec<Tensor<1>>) -> Vec<f32>; 2] = [
            |all| values(sums_of_squares(all)),
            |all| all.into_iter().flat_map(|x| values(composed(x))).collect(),
        ];
        for path in paths {
            let found = path(all());
            assert!(found[0].is_nan());
            assert_eq!(found[1..], [0.0, 25.0]);
        }
    }
}
