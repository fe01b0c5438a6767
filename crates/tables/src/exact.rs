//! Attention of one head in double precision: the exact matrix, and the Nyström method's with landmarks of one's choice. Written from
//! the paper's equations alone; the model's functions are measured against it.

use crate::matrix::Matrix;

/// Rows of the exact attention matrix, `softmax(Q Kᵀ/√d)`.
///
/// # Shapes
/// - `query`: `[rows, head_dim]`, those whose rows are wanted
/// - `key`: `[seq_len, head_dim]`
/// - output: `[rows, seq_len]`
pub fn attention_rows(query: &Matrix, key: &Matrix) -> Matrix {
    scores(query, key).softmax()
}

/// Rows of `K1 Z K3`, with six iterations for the inverse or as many as one likes.
///
/// # Shapes
/// - `query`: `[rows, head_dim]`, those whose rows are wanted
/// - `key`: `[seq_len, head_dim]`
/// - `landmarks`, of queries and of keys: `[landmarks, head_dim]`
/// - output: `[rows, seq_len]`
pub fn nystrom_rows(
    query: &Matrix,
    key: &Matrix,
    landmarks: [&Matrix; 2],
    iterations: usize,
) -> Matrix {
    let [of_queries, of_keys] = landmarks;
    let kernel_1 = scores(query, of_keys).softmax();
    let kernel_2 = scores(of_queries, of_keys).softmax();
    let kernel_3 = scores(of_queries, key).softmax();
    kernel_1.times(&iterated_inverse(&kernel_2, iterations)).times(&kernel_3)
}

fn scores(query: &Matrix, key: &Matrix) -> Matrix {
    let [_, head_dim] = query.shape();
    query.times(&key.transposed()).scaled((head_dim as f64).powf(-0.5))
}

/// The paper's iteration (equation 14), begun from `Aᵀ / (‖A‖₁ ‖A‖∞)`:
/// `Z ← ¼ Z (13 I − A Z (15 I − A Z (7 I − A Z)))`.
///
/// # Shapes
/// - `kernel`, output: `[landmarks, landmarks]`
pub fn iterated_inverse(kernel: &Matrix, iterations: usize) -> Matrix {
    let [size, _] = kernel.shape();
    let transposed = kernel.transposed();
    let largest_row_sum = |matrix: &Matrix| {
        let sums =
            (0..size).map(|row| matrix.row(row).iter().map(|value| value.abs()).sum::<f64>());
        sums.fold(0.0, f64::max)
    };
    let scale = largest_row_sum(kernel) * largest_row_sum(&transposed);
    let mut inverse = transposed.scaled(1.0 / scale);
    // c I − M
    let from_diagonal = |of_diagonal: f64, matrix: Matrix| {
        let mut difference = matrix.scaled(-1.0);
        for place in 0..size {
            difference.row_mut(place)[place] += of_diagonal;
        }
        difference
    };
    for _ in 0..iterations {
        let product = kernel.times(&inverse);
        let inner = product.times(&from_diagonal(7.0, product.clone()));
        let middle = product.times(&from_diagonal(15.0, inner));
        inverse = inverse.times(&from_diagonal(13.0, middle)).scaled(0.25);
    }
    inverse
}

/// Means over segments of near equal length, the longer ones last.
///
/// # Shapes
/// - `tokens`: `[seq_len, head_dim]`
/// - output: `[min(count, seq_len), head_dim]`
pub fn segment_means(tokens: &Matrix, count: usize) -> Matrix {
    let [seq_len, head_dim] = tokens.shape();
    let count = count.min(seq_len);
    let mut means = Matrix::zeros(count, head_dim);
    for segment in 0..count {
        let (start, end) = (begin(segment, count, seq_len), begin(segment + 1, count, seq_len));
        for token in start..end {
            for (mean, value) in means.row_mut(segment).iter_mut().zip(tokens.row(token)) {
                *mean += value / (end - start) as f64;
            }
        }
    }
    means
}

/// The first token of a segment.
fn begin(segment: usize, count: usize, seq_len: usize) -> usize {
    let (short, long) = (seq_len / count, seq_len % count);
    segment * short + segment.saturating_sub(count - long)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draws;

    fn drawn(rows: usize, columns: usize, seed: u64) -> Matrix {
        let mut draws = Draws::new(seed);
        let values = (0..rows * columns).map(|_| 4.0 * draws.fraction() - 2.0).collect();
        Matrix::new(rows, columns, values)
    }

    #[test]
    fn every_token_a_landmark_is_exact_once_the_inverse_is() {
        let [query, key] = [1, 2].map(|seed| drawn(12, 4, seed));
        let exact = attention_rows(&query, &key);
        let error = |iterations| {
            nystrom_rows(&query, &key, [&query, &key], iterations).relative_error(&exact)
        };
        assert!(error(30) < 1e-6, "{}", error(30));
        assert!(error(6) > error(12), "{} {}", error(6), error(12));
    }

    #[test]
    fn the_inverse_inverts() {
        let kernel = scores(&drawn(8, 6, 3), &drawn(8, 6, 4)).softmax();
        let rebuilt = kernel.times(&iterated_inverse(&kernel, 30)).times(&kernel);
        let error = rebuilt.relative_error(&kernel);
        assert!(error < 1e-6, "{error}");
    }

    #[test]
    fn segments_as_the_authors_lay_them() {
        let tokens = Matrix::new(5, 1, vec![0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(segment_means(&tokens, 2).values(), [0.5, 3.0]);
        assert_eq!(segment_means(&tokens, 9), tokens);
    }
}
