//! What no matrix of the same rank can come nearer than, and what landmarks drawn at random reach.

use serde::{Deserialize, Serialize};

use crate::draw::Draws;
use crate::exact::nystrom_rows;
use crate::matrix::Matrix;
use crate::singular_values::{rank_bound, rank_of_share, singular_values};

/// Steps of the inverse of landmarks drawn at random: the paper's.
const ITERATIONS: usize = 6;

/// What bounds an error from below and from above at a number of landmarks: of each head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// Landmarks, and the rank.
    pub num_landmarks: usize,
    /// The least error of any matrix of this rank: that of the truncated singular value decomposition. Of drawn rows it is that of the
    /// rows.
    pub svd: Vec<f64>,
    /// Errors of the Nyström method with as many tokens for landmarks, drawn anew for each head and number: of the matrix.
    pub random: Vec<f64>,
    /// The same of the output.
    pub random_output: Vec<f64>,
}

/// Ranks that hold 90, 99 and 99.9 % of the energy, the sum of squares of the singular values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranks {
    /// Of 90 %.
    pub of_90: usize,
    /// Of 99 %.
    pub of_99: usize,
    /// Of 99.9 %.
    pub of_99_9: usize,
}

/// The ranks of a matrix, and the least errors at these ranks.
pub(super) fn least_errors(exact: &Matrix, ranks: &[usize]) -> (Ranks, Vec<f64>) {
    let values = singular_values(exact);
    let of = |share| rank_of_share(&values, share);
    let found = Ranks { of_90: of(0.9), of_99: of(0.99), of_99_9: of(0.999) };
    (found, ranks.iter().map(|rank| rank_bound(&values, *rank)).collect())
}

/// One head, in double precision.
#[derive(Debug, Clone)]
pub(super) struct ExactHead {
    /// `[seq_len, head_dim]`.
    pub(super) query: Matrix,
    /// `[seq_len, head_dim]`.
    pub(super) key: Matrix,
    /// `[seq_len, head_dim]`.
    pub(super) value: Matrix,
    /// `[rows, seq_len]`: those rows of the attention matrix that are compared.
    pub(super) matrix: Matrix,
    /// `[rows, head_dim]`: the output of these rows.
    pub(super) output: Matrix,
}

/// Errors of matrix and output with tokens drawn by a key of their own for landmarks: the same for queries and keys. What is drawn
/// beside them, such as the rows that are compared, must not have this key: a row that is a landmark is nearly exact.
pub(super) fn random_errors(
    head: &ExactHead,
    rows: &[usize],
    num_landmarks: usize,
    key: &[u64],
) -> [f64; 2] {
    let [seq_len, _] = head.query.shape();
    let tokens = Draws::of(key).distinct(num_landmarks, seq_len);
    let landmarks = [&head.query, &head.key].map(|of| of.select(&tokens));
    let query = head.query.select(rows);
    let found = nystrom_rows(&query, &head.key, [&landmarks[0], &landmarks[1]], ITERATIONS);
    let output = found.times(&head.value);
    [found.relative_error(&head.matrix), output.relative_error(&head.output)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact::attention_rows;

    #[test]
    fn a_matrix_of_low_rank_has_a_bound_of_zero_there() {
        // Three different rows, repeated.
        let rows = [[0.5, 0.25, 0.25, 0.0], [0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 0.0, 1.0]];
        let values = (0..9).flat_map(|row| rows[row % 3]).collect();
        let (ranks, errors) = least_errors(&Matrix::new(9, 4, values), &[1, 2, 3, 4]);
        assert!(errors[0] > errors[1] && errors[1] > 0.01, "{errors:?}");
        assert!(errors[2] < 1e-14 && errors[3] < 1e-14, "{errors:?}");
        assert!(ranks.of_90 <= ranks.of_99 && ranks.of_99_9 <= 3, "{ranks:?}");
    }

    #[test]
    fn all_tokens_drawn_leave_the_error_of_the_inverse_alone_and_fewer_more() {
        let mut draws = Draws::new(9);
        let mut tokens =
            || Matrix::new(24, 4, (0..96).map(|_| 3.0 * draws.fraction() - 1.5).collect());
        let (query, key, value) = (tokens(), tokens(), tokens());
        let rows: Vec<usize> = (0..24).collect();
        let matrix = attention_rows(&query, &key);
        let output = matrix.times(&value);
        let head = ExactHead { query, key, value, matrix, output };
        let error = |count| random_errors(&head, &rows, count, &[3]);
        let (all, few) = (error(24), error(4));
        assert!(all[0] < few[0] && all[0] < 0.2, "{all:?} {few:?}");
        let (_, bound) = least_errors(&head.matrix, &[4]);
        assert!(bound[0] < few[0], "{bound:?} {few:?}");
    }
}
