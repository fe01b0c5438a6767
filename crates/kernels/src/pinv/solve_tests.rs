//! The direct solve against its composed twin, and against elimination in float64.

use burn::tensor::{Device, Tensor, TensorData, activation::softmax};

use super::{Pinv, composed};
use crate::testing::{self, random};

fn ridge_pinv(matrices: Tensor<4>, ridge: f64) -> Tensor<4> {
    Pinv::Solve { ridge }.invert(matrices)
}

fn composed(matrices: Tensor<4>, ridge: f64) -> Tensor<4> {
    composed::invert(matrices, Pinv::Solve { ridge })
}

fn kernel(scores: Tensor<4>) -> Tensor<4> {
    softmax(scores.mul_scalar(3.0), 3)
}

#[test]
fn equals_the_composed_path() {
    for size in [1, 2, 3, 5, 16, 17, 64, 130] {
        testing::same(
            [random([2, 3, size, size])],
            |[scores]| ridge_pinv(kernel(scores), 0.03),
            |[scores]| composed(kernel(scores), 0.03),
        );
    }
}

/// `(AᵀA + λ I)⁻¹ Aᵀ` in float64, by Gauss's elimination with pivots.
fn reference(matrix: &[f64], size: usize, ridge: f64) -> Vec<f64> {
    let at = |row: usize, column: usize| matrix[row * size + column];
    let sum = |column| (0..size).map(|row| at(row, column)).sum::<f64>();
    let lambda = ridge * (0..size).map(sum).fold(0.0, f64::max);
    let mut rows: Vec<Vec<f64>> = (0..size)
        .map(|row| {
            let gram = (0..size).map(|column| {
                let product: f64 = (0..size).map(|k| at(k, row) * at(k, column)).sum();
                product + if row == column { lambda } else { 0.0 }
            });
            gram.chain((0..size).map(|column| at(column, row))).collect()
        })
        .collect();
    for pivot in 0..size {
        let largest = |&left: &usize, &right: &usize| {
            rows[left][pivot].abs().total_cmp(&rows[right][pivot].abs())
        };
        let best = (pivot..size).max_by(largest).unwrap();
        rows.swap(pivot, best);
        let head = rows[pivot][pivot];
        rows[pivot].iter_mut().for_each(|value| *value /= head);
        let pivot_row = rows[pivot].clone();
        for (index, row) in rows.iter_mut().enumerate() {
            let factor = row[pivot];
            if index != pivot {
                row.iter_mut().zip(&pivot_row).for_each(|(value, &p)| *value -= factor * p);
            }
        }
    }
    rows.into_iter().flat_map(|row| row[size..].to_vec()).collect()
}

#[test]
fn equals_eliminations_in_float64_and_its_central_differences() {
    for size in [7, 64] {
        let matrices = kernel(random([1, 1, size, size])).detach().require_grad();
        let exact: Vec<f64> = matrices.to_data().iter::<f64>().collect();
        let weights: Vec<f32> = (0..size * size).map(|i| (0.7 * i as f32).cos()).collect();
        let output = ridge_pinv(matrices.clone(), 1e-3);
        let weighted = TensorData::new(weights.clone(), [1, 1, size, size]);
        let weighted = Tensor::<4>::from_data(weighted, &matrices.device()) * output.clone();
        let gradients = weighted.sum().backward();
        let gradient = matrices.grad(&gradients).unwrap().into_data();

        let expected = reference(&exact, size, 1e-3);
        let largest = expected.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        for (value, expected) in output.into_data().iter::<f64>().zip(&expected) {
            assert!((value - expected).abs() < 1e-4 * largest, "{value}, not {expected}");
        }

        let loss = |place: usize, step: f64| {
            let mut nudged = exact.clone();
            nudged[place] += step;
            let output = reference(&nudged, size, 1e-3);
            output
                .iter()
                .zip(&weights)
                .map(|(value, &weight)| value * f64::from(weight))
                .sum::<f64>()
        };
        let gradient: Vec<f64> = gradient.iter::<f64>().collect();
        let largest = gradient.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        for place in (0..size * size).step_by(size * size / 9) {
            let difference = (loss(place, 1e-6) - loss(place, -1e-6)) / 2e-6;
            let error = (gradient[place] - difference).abs() / largest;
            assert!(error < 1e-3, "{place}: {}, not {difference}", gradient[place]);
        }
    }
}

#[test]
fn inverts_what_is_far_from_singular() {
    let near_identity = kernel(random([1, 2, 6, 6]).mul_scalar(0.1)).mul_scalar(0.2)
        + composed::identity(6, &Device::flex().autodiff()).mul_scalar(0.8);
    let product = near_identity.clone().matmul(ridge_pinv(near_identity, 1e-5));
    let error = (product - composed::identity(6, &Device::flex().autodiff())).abs().max();
    assert!(error.into_scalar::<f32>() < 1e-3);
}

#[test]
fn rows_and_columns_of_zeros_stay_zero() {
    // The second matrix is zero altogether.
    let keep =
        Tensor::<2>::from_floats([[1.0, 1.0, 0.0, 1.0, 0.0], [0.0; 5]], &random([1]).device());
    let keep = keep.reshape([2, 1, 5, 1]);
    let mask = keep.clone() * keep.swap_dims(2, 3);
    let masked = |scores: Tensor<4>| {
        let kept = mask.clone().sub_scalar(1.0).mul_scalar(1e9);
        softmax(scores + kept, 3) * mask.clone()
    };
    let output = ridge_pinv(masked(random([2, 1, 5, 5])), 1e-2);
    let outside = (output.clone() - output * mask.clone()).abs().max();
    assert_eq!(outside.into_scalar::<f32>(), 0.0);
    testing::same(
        [random([2, 1, 5, 5])],
        |[scores]| ridge_pinv(masked(scores), 1e-2),
        |[scores]| composed(masked(scores), 1e-2),
    );
}

#[test]
fn a_nan_does_not_vanish() {
    let mut values = vec![1.0 / 3.0; 18];
    values[4] = f32::NAN;
    let matrices = Tensor::<1>::from_floats(values.as_slice(), &Device::flex());
    let output = ridge_pinv(matrices.reshape([2, 1, 3, 3]), 1e-3);
    let output: Vec<f32> = output.try_into_vec_as().unwrap();
    assert!(output[..9].iter().all(|value| value.is_nan()));
    assert!(output[9..].iter().all(|value| value.is_finite()));
}

#[test]
fn does_not_depend_on_the_number_of_threads() {
    testing::same_bits_for_any_threads([random([3, 3, 20, 20])], |[scores]| {
        ridge_pinv(kernel(scores), 1e-3)
    });
}
