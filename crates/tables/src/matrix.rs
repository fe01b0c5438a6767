//! Matrices in double precision.

/// A matrix, row after row.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// A matrix of these values, row after row.
    ///
    /// # Panics
    /// If they are not `rows · columns`.
    pub fn new(rows: usize, columns: usize, values: Vec<f64>) -> Self {
        assert_eq!(values.len(), rows * columns, "values of a matrix");
        Self { rows, columns, values }
    }

    /// The same of values in single precision.
    ///
    /// # Panics
    /// If they are not `rows · columns`.
    pub fn of_singles(rows: usize, columns: usize, values: &[f32]) -> Self {
        Self::new(rows, columns, values.iter().copied().map(f64::from).collect())
    }

    /// Zeros.
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self::new(rows, columns, vec![0.0; rows * columns])
    }

    /// Rows and columns.
    pub fn shape(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// All values, row after row.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// One row.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [f64] {
        &mut self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// These rows, in this order.
    pub fn select(&self, rows: &[usize]) -> Self {
        let values = rows.iter().flat_map(|row| self.row(*row)).copied().collect();
        Self::new(rows.len(), self.columns, values)
    }

    /// Rows as columns.
    pub fn transposed(&self) -> Self {
        let mut turned = Self::zeros(self.columns, self.rows);
        for row in 0..self.rows {
            for (column, value) in self.row(row).iter().enumerate() {
                turned.values[column * self.rows + row] = *value;
            }
        }
        turned
    }

    /// The product with another matrix.
    ///
    /// # Panics
    /// If this one has not as many columns as the other one rows.
    pub fn times(&self, other: &Self) -> Self {
        assert_eq!(self.columns, other.rows, "sizes of a product");
        let mut product = Self::zeros(self.rows, other.columns);
        for row in 0..self.rows {
            let sums = product.row_mut(row);
            for (place, factor) in self.row(row).iter().enumerate() {
                for (sum, value) in sums.iter_mut().zip(other.row(place)) {
                    *sum += factor * value;
                }
            }
        }
        product
    }

    /// Each value multiplied by a number.
    #[must_use]
    pub fn scaled(mut self, factor: f64) -> Self {
        for value in &mut self.values {
            *value *= factor;
        }
        self
    }

    /// The softmax of each row.
    #[must_use]
    pub fn softmax(mut self) -> Self {
        for row in 0..self.rows {
            let scores = self.row_mut(row);
            let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            for score in scores.iter_mut() {
                *score = (*score - greatest).exp();
            }
            let sum: f64 = scores.iter().sum();
            for score in scores {
                *score /= sum;
            }
        }
        self
    }

    /// Its Frobenius norm.
    pub fn norm(&self) -> f64 {
        self.values.iter().map(|value| value * value).sum::<f64>().sqrt()
    }

    /// The Frobenius norm of the difference, over that of `exact`: `‖self − exact‖ / ‖exact‖`.
    ///
    /// # Panics
    /// If they are of different shapes.
    pub fn relative_error(&self, exact: &Self) -> f64 {
        assert_eq!(self.shape(), exact.shape(), "shapes of a comparison");
        let squares = self.values.iter().zip(&exact.values);
        squares.map(|(left, right)| (left - right).powi(2)).sum::<f64>().sqrt() / exact.norm()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_and_norms_by_hand() {
        let left = Matrix::new(2, 3, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let right = Matrix::new(3, 1, vec![1.0, 0.0, -1.0]);
        assert_eq!(left.times(&right), Matrix::new(2, 1, vec![-2.0, -2.0]));
        assert_eq!(left.transposed().row(2), [3.0, 6.0]);
        assert_eq!(left.select(&[1, 1]).values(), [4.0, 5.0, 6.0, 4.0, 5.0, 6.0]);
        assert_eq!(Matrix::new(1, 2, vec![3.0, 4.0]).norm(), 5.0);
        let exact = Matrix::new(1, 2, vec![0.0, 2.0]);
        assert_eq!(Matrix::new(1, 2, vec![3.0, 2.0]).relative_error(&exact), 1.5);
    }

    #[test]
    fn a_softmax_sums_to_one_whatever_the_scores() {
        let scores = Matrix::new(2, 2, vec![1000.0, 1000.0, -5.0, 3.0]).softmax();
        assert_eq!(scores.row(0), [0.5, 0.5]);
        assert!((scores.row(1)[0] - 1.0 / (1.0 + 8_f64.exp())).abs() < 1e-15);
    }
}
