//! Mean and standard deviation of each feature over the training vectors.

use nystromformer_data::Truncation;
use nystromformer_tasks::Vectors;
use rayon::prelude::*;

use crate::error::Result;

/// Bags whose sums are in memory together.
const AT_ONCE: usize = 64;

/// What the features of vectors are standardised by.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureStatistics {
    /// Mean of each feature.
    pub mean: Vec<f64>,
    /// Standard deviation of each feature, over all vectors (not over one less); 1 where a feature never changes.
    pub std: Vec<f64>,
}

/// Count, means and sums of squared differences from them.
struct Moments {
    count: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    fn of(features: &[f32], width: usize) -> Self {
        let count = (features.len() / width) as f64;
        let mut moments = Self { count, mean: vec![0.0; width], squares: vec![0.0; width] };
        for vector in features.chunks_exact(width) {
            for (mean, value) in moments.mean.iter_mut().zip(vector) {
                *mean += f64::from(*value) / count;
            }
        }
        for vector in features.chunks_exact(width) {
            let around = moments.squares.iter_mut().zip(&moments.mean).zip(vector);
            for ((squares, mean), value) in around {
                *squares += (f64::from(*value) - mean).powi(2);
            }
        }
        moments
    }

    /// Those of both together (Chan et al. 1979).
    fn join(&mut self, other: &Self) {
        let count = self.count + other.count;
        for (feature, mean) in self.mean.iter_mut().enumerate() {
            let difference = other.mean[feature] - *mean;
            self.squares[feature] +=
                other.squares[feature] + difference.powi(2) * self.count * other.count / count;
            *mean += difference * other.count / count;
        }
        self.count = count;
    }
}

impl FeatureStatistics {
    /// Over what is kept of each bag. The bags are joined in their order, so that the numbers are the same on any number of
    /// threads.
    ///
    /// # Errors
    /// Those of reading.
    pub(super) fn of(bags: &[&Vectors], truncation: Truncation) -> Result<Option<Self>> {
        let Some(first) = bags.first() else { return Ok(None) };
        let width = first.num_features();
        let mut all = Moments { count: 0.0, mean: vec![0.0; width], squares: vec![0.0; width] };
        for some in bags.chunks(AT_ONCE) {
            let read = |bag: &&Vectors| Ok(Moments::of(&bag.read(truncation)?.features, width));
            let moments: Vec<Moments> = some.par_iter().map(read).collect::<Result<_>>()?;
            for moments in &moments {
                all.join(moments);
            }
        }
        let std = |(squares, mean): (&f64, &f64)| {
            let std = (squares / all.count).sqrt();
            // Of a feature that never changes rounding leaves something, which is no deviation.
            if std > 1e-6 * mean.abs().max(1e-6) { std } else { 1.0 }
        };
        Ok(Some(Self { std: all.squares.iter().zip(&all.mean).map(std).collect(), mean: all.mean }))
    }
}

#[cfg(test)]
mod tests {
    use nystromformer_tasks::VectorRows;

    use super::*;

    #[test]
    fn equals_the_formula_over_all_vectors_at_once() {
        let numbers: Vec<f32> =
            (0..600u16).map(|i| (f32::from(i) * 0.37).sin() * 5.0 + 1000.0).collect();
        let bag = |features: &[f32]| {
            let features =
                features.iter().enumerate().map(|(i, x)| if i % 3 == 2 { 7.0 } else { *x });
            Vectors::new(3, VectorRows { features: features.collect(), coordinates: None })
        };
        let bags = [bag(&numbers[..3]), bag(&numbers[3..300]), bag(&numbers[300..])];
        let bags: Vec<&Vectors> = bags.iter().collect();
        let found = FeatureStatistics::of(&bags, Truncation::head(1000)).unwrap().unwrap();
        for feature in 0..2 {
            let values: Vec<f64> =
                numbers.iter().skip(feature).step_by(3).map(|value| f64::from(*value)).collect();
            let mean = values.iter().sum::<f64>() / 200.0;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 200.0;
            assert!((found.mean[feature] - mean).abs() < 1e-10);
            assert!((found.std[feature] - variance.sqrt()).abs() < 1e-10);
        }
        // What is always the same is not divided by its deviation, which is 0 but for rounding.
        assert!((found.mean[2] - 7.0).abs() < 1e-10);
        assert_eq!(found.std[2], 1.0);
        let first = FeatureStatistics::of(&bags[..1], Truncation::head(1)).unwrap().unwrap();
        assert_eq!(first.std, [1.0; 3]);
    }
}
