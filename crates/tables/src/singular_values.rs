//! Singular values: what no matrix of a lower rank can come nearer than (Eckart and Young 1936).
//!
//! Householder reflections from both sides make the matrix bidiagonal (Golub and Kahan 1965). Its singular values are the eigenvalues
//! above zero of a tridiagonal matrix whose diagonal is zero, and are found by bisection: of each number it is known how many
//! eigenvalues lie below (Sturm's sequence). Nothing is squared, so a singular value is right to the precision of the largest. Of n
//! rows and columns: time O(n³), and O(n²) for each digit.

use crate::matrix::Matrix;

/// Singular values, the largest first, as many as the matrix has rows or columns, whichever are fewer.
///
/// Each is right to about 1e-15 of the largest, times the number of rows.
pub fn singular_values(matrix: &Matrix) -> Vec<f64> {
    let [rows, columns] = matrix.shape();
    let tall = if rows < columns { matrix.transposed() } else { matrix.clone() };
    let (diagonal, above) = bidiagonal(tall);
    values_of(&diagonal, &above)
}

/// The least relative error of any matrix of rank `rank`, in the Frobenius norm: the part of the singular values behind the first
/// `rank`.
///
/// # Shapes
/// - `singular_values`: the largest first
pub fn rank_bound(singular_values: &[f64], rank: usize) -> f64 {
    let square = |value: &f64| value * value;
    // The smallest first, so that none is lost in a sum of large ones.
    let behind: f64 = singular_values.iter().skip(rank).rev().map(square).sum();
    let all: f64 = singular_values.iter().rev().map(square).sum();
    if all > 0.0 { (behind / all).sqrt() } else { 0.0 }
}

/// The lowest rank that holds this share of the energy, the sum of squares.
pub fn rank_of_share(singular_values: &[f64], share: f64) -> usize {
    let most = (1.0 - share).max(0.0);
    (0..singular_values.len())
        .find(|rank| rank_bound(singular_values, *rank).powi(2) <= most)
        .unwrap_or(singular_values.len())
}

/// A bidiagonal matrix with the same singular values: its diagonal, and what stands above it.
fn bidiagonal(mut matrix: Matrix) -> (Vec<f64>, Vec<f64>) {
    let [rows, columns] = matrix.shape();
    let (mut diagonal, mut above) = (Vec::new(), Vec::new());
    for place in 0..columns {
        let column: Vec<f64> = (place..rows).map(|row| matrix.row(row)[place]).collect();
        let (length, reflector) = reflection(column);
        diagonal.push(length);
        // A − v (vᵀ A), of the columns behind.
        let mut sums = vec![0.0; columns - place - 1];
        for (row, factor) in (place..rows).zip(&reflector) {
            for (sum, value) in sums.iter_mut().zip(&matrix.row(row)[place + 1..]) {
                *sum += factor * value;
            }
        }
        for (row, factor) in (place..rows).zip(&reflector) {
            for (value, sum) in matrix.row_mut(row)[place + 1..].iter_mut().zip(&sums) {
                *value -= factor * sum;
            }
        }
        if place + 1 == columns {
            break;
        }
        let (length, reflector) = reflection(matrix.row(place)[place + 1..].to_vec());
        above.push(length);
        // A − (A v) vᵀ, of the rows below.
        for row in place + 1..rows {
            let values = &mut matrix.row_mut(row)[place + 1..];
            let sum: f64 = values.iter().zip(&reflector).map(|(value, part)| value * part).sum();
            for (value, part) in values.iter_mut().zip(&reflector) {
                *value -= sum * part;
            }
        }
    }
    (diagonal, above)
}

/// The reflection `I − v vᵀ` that turns a vector onto the first axis: where on it, and `v`, whose square is 2; a vector of zeros stays
/// where it is.
fn reflection(mut vector: Vec<f64>) -> (f64, Vec<f64>) {
    let norm = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
    if norm == 0.0 {
        return (0.0, vector);
    }
    let place = -norm.copysign(vector[0]);
    vector[0] -= place;
    // |v|² = 2 norm (norm + |first|), without a difference of near numbers.
    let square = 2.0 * norm * vector[0].abs();
    let scale = (2.0 / square).sqrt();
    for value in &mut vector {
        *value *= scale;
    }
    (place, vector)
}

/// The singular values of a bidiagonal matrix, the largest first.
fn values_of(diagonal: &[f64], above: &[f64]) -> Vec<f64> {
    let count = diagonal.len();
    // The squares beside the diagonal of zeros: first, above it, second, above it …
    let mut beside: Vec<f64> = Vec::with_capacity(2 * count);
    for (place, value) in diagonal.iter().enumerate() {
        beside.push(value * value);
        beside.extend(above.get(place).map(|value| value * value));
    }
    let widest = beside.iter().map(|square| square.sqrt()).fold(0.0, f64::max);
    let bound = 2.0 * widest * (1.0 + f64::EPSILON);
    let least = f64::MIN_POSITIVE * beside.iter().copied().fold(1.0, f64::max);
    // How many singular values are below a number above zero.
    let below = |number: f64| {
        let mut negative = 0;
        let mut pivot = -number;
        for square in &beside {
            negative += usize::from(pivot < 0.0);
            if pivot.abs() < least {
                pivot = -least;
            }
            pivot = -number - square / pivot;
        }
        negative += usize::from(pivot < 0.0);
        // Each singular value is an eigenvalue twice, once below zero.
        negative - count
    };
    let mut values = Vec::with_capacity(count);
    let mut high = bound;
    for place in 0..count {
        let mut low = 0.0;
        // The largest first: `count − 1 − place` of them are smaller.
        while high - low > f64::EPSILON * bound {
            let middle = f64::midpoint(low, high);
            if below(middle) > count - 1 - place {
                high = middle;
            } else {
                low = middle;
            }
        }
        values.push(f64::midpoint(low, high));
        // The next one is not larger; what rounding makes of the bound is given back.
        high = (high + 2.0 * f64::EPSILON * bound).min(bound);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_diagonal_matrix_and_of_a_matrix_of_rank_one() {
        let diagonal = Matrix::new(3, 3, vec![0.0, -2.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 7.0]);
        let close = |found: &[f64], expected: &[f64]| {
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-14 * 8.0, "{found} {expected}");
            }
        };
        close(&singular_values(&diagonal), &[7.0, 2.0, 0.5]);
        // Of u vᵀ: |u| |v|.
        let outer = Matrix::new(2, 3, vec![3.0, 0.0, 4.0, 6.0, 0.0, 8.0]);
        close(&singular_values(&outer), &[5.0 * 5_f64.sqrt(), 0.0]);
        assert!(rank_bound(&singular_values(&outer), 1) < 1e-14);
        close(&singular_values(&Matrix::zeros(2, 2)), &[0.0, 0.0]);
        close(&singular_values(&Matrix::new(1, 1, vec![-3.0])), &[3.0]);
    }

    #[test]
    fn bounds_and_ranks_by_hand() {
        let values = [4.0, 2.0, 2.0, 1.0];
        assert_eq!(rank_bound(&values, 0), 1.0);
        assert_eq!(rank_bound(&values, 3), 0.2);
        assert_eq!(rank_bound(&values, 4), 0.0);
        // 16 and 20 of 25.
        assert_eq!([0.6, 0.63, 0.79, 1.0].map(|share| rank_of_share(&values, share)), [1, 1, 2, 4]);
        assert_eq!(rank_bound(&[0.0, 0.0], 1), 0.0);
    }
}
