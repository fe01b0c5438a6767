//! Mean and deviation of the numbers to predict.

use nystromformer::Standardization;
use nystromformer_tasks::Label;

/// Mean and standard deviation (divided by the number of labels) of each number, of these `names`. Numbers that are all the same have
/// a deviation of 1, which is said: they are only moved.
pub(super) fn of<'a>(labels: impl Iterator<Item = &'a Label>, names: &[String]) -> Standardization {
    let mut count = 0_usize;
    // Welford's: the squares of large numbers that lie close together would lose what they differ by.
    let (mut means, mut squares) = (vec![0.0_f64; names.len()], vec![0.0_f64; names.len()]);
    for label in labels {
        let values = match label {
            Label::Value(value) => std::slice::from_ref(value),
            Label::Values(values) => values,
            _ => continue,
        };
        count += 1;
        for ((mean, square), value) in means.iter_mut().zip(&mut squares).zip(values) {
            let difference = f64::from(*value) - *mean;
            *mean += difference / count as f64;
            *square += difference * (f64::from(*value) - *mean);
        }
    }
    let deviation = |(square, name): (&f64, &String)| {
        let deviation = (square / count as f64).sqrt() as f32;
        if deviation > 0.0 && deviation.is_finite() {
            return deviation;
        }
        tracing::warn!(
            "`task.standardize_labels`: all training examples have the same number `{name}`: it is only moved"
        );
        1.0
    };
    Standardization {
        std: squares.iter().zip(names).map(deviation).collect(),
        mean: means.into_iter().map(|mean| mean as f32).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_its_mean_and_deviation() {
        let labels =
            [[1.0, 7.0], [3.0, 7.0], [5.0, 7.0]].map(|values| Label::Values(values.to_vec()));
        let names = ["a", "b"].map(str::to_owned);
        let found = of(labels.iter(), &names);
        assert_eq!(found.mean, [3.0, 7.0]);
        assert!((found.std[0] - (8.0_f32 / 3.0).sqrt()).abs() < 1e-6 && found.std[1] == 1.0);
        let far: Vec<Label> = [1e6, 1e6 + 1.0].into_iter().map(Label::Value).collect();
        assert!((of(far.iter(), &names[..1]).std[0] - 0.5).abs() < 1e-6);
    }
}
