//! What training may make of the losses of answers: weights of the classes, smoothed labels, weights of the rows.

use std::sync::Arc;

use burn::tensor::{Int, Tensor, TensorData, activation::log_sigmoid};

use super::{LossTerm, Losses, TargetTensors, TargetsData, targets::cross_entropy};

/// How answers count in the loss; by default all alike, and each label for what it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LossOptions {
    /// Weight of each class, positive. Of one class of several it is PyTorch's `weight` of `cross_entropy`: the mean is
    /// `Σ weight · loss / Σ weight`. Of answers that say of each class whether it applies, its `pos_weight` of
    /// `binary_cross_entropy_with_logits`: the factor where it does, and the mean is over all answers. `None`: all are 1.
    pub class_weights: Option<Arc<[f32]>>,
    /// Share ε of a label that is spread evenly over all classes, in `[0, 1)`; of one class of several only.
    pub label_smoothing: f64,
    /// Weight of each row, positive, of answers that are about whole rows: one class, numbers, or of each class whether it applies.
    /// It is a factor of the row's losses and of what the mean divides by, `Σ weight · loss / Σ weight`. `None`: all are 1.
    pub row_weights: Option<Arc<[f32]>>,
}

impl LossOptions {
    /// Whether they change nothing.
    pub fn is_plain(&self) -> bool {
        self.leaves_classes() && self.row_weights.is_none()
    }

    /// Whether answers that are classes have the losses of their head.
    fn leaves_classes(&self) -> bool {
        self.class_weights.is_none() && self.label_smoothing == 0.0
    }

    /// What the sum of the losses of such targets is to be divided by, for each term: the sum of the weights of those
    /// that count in rows of `seq_len` tokens, or their number.
    pub fn denominators(&self, targets: &TargetsData, seq_len: usize) -> Vec<f64> {
        let of_class = |label: &i32| match &self.class_weights {
            Some(weights) => f64::from(weights[*label as usize]),
            None => 1.0,
        };
        match (targets, &self.row_weights) {
            (TargetsData::Class(labels), Some(rows)) => {
                let weighed = labels.iter().zip(rows.iter());
                vec![weighed.map(|(label, weight)| of_class(label) * f64::from(*weight)).sum()]
            }
            (TargetsData::Values(values), Some(rows)) => {
                let of_rows: f64 = rows.iter().copied().map(f64::from).sum();
                vec![of_rows * (values.len() / rows.len().max(1)) as f64]
            }
            (TargetsData::Tokens { labels, .. } | TargetsData::Class(labels), None)
                if self.class_weights.is_some() =>
            {
                vec![labels.iter().map(of_class).sum()]
            }
            _ => targets.counts(seq_len).into_iter().map(|count| count as f64).collect(),
        }
    }

    /// The same answers with the losses that these options give them. Spans, choices and numbers are left as they are.
    pub fn apply(&self, losses: Losses, targets: TargetTensors) -> Losses {
        let losses = if self.leaves_classes() { losses } else { self.of_classes(losses, targets) };
        match &self.row_weights {
            Some(weights) => weighted_rows(losses, weights),
            None => losses,
        }
    }

    /// The losses that weights of classes and smoothed labels give.
    fn of_classes(&self, losses: Losses, targets: TargetTensors) -> Losses {
        let Losses { terms, logits } = losses;
        let weights = self.class_weights.as_ref().zip(logits.first()).map(|(weights, logits)| {
            let data = TensorData::new(weights.to_vec(), [weights.len()]);
            Tensor::<1>::from_data(data, &logits.device())
        });
        let labels = match targets {
            TargetTensors::Tokens { labels, .. } | TargetTensors::Class(labels) => vec![labels],
            // Both terms are smoothed; there are no classes to weigh.
            TargetTensors::TokensAndOrder { labels, order, .. } => vec![labels, order],
            TargetTensors::Values(values) => {
                let (Some(weights), [scores], [term]) = (weights, &*logits, &*terms) else {
                    return Losses { terms, logits };
                };
                let losses = weighted_binary_cross_entropy(scores.clone(), values, weights);
                let terms = vec![LossTerm { losses, weight: term.weight }];
                return Losses { terms, logits };
            }
            TargetTensors::Span { .. } | TargetTensors::Choice { .. } => {
                return Losses { terms, logits };
            }
        };
        let terms = terms
            .into_iter()
            .zip(logits.iter().zip(labels))
            .map(|(LossTerm { weight, .. }, (logits, labels))| LossTerm {
                losses: self.cross_entropy(logits.clone(), labels, weights.clone()),
                weight,
            })
            .collect();
        Losses { terms, logits }
    }

    fn cross_entropy(
        &self,
        logits: Tensor<2>,
        labels: Tensor<1, Int>,
        weights: Option<Tensor<1>>,
    ) -> Tensor<1> {
        if self.label_smoothing > 0.0 {
            return smoothed_cross_entropy(logits, labels, weights, self.label_smoothing);
        }
        let is_empty = logits.dims()[0] == 0;
        let losses = cross_entropy(logits, labels.clone());
        match weights.filter(|_| !is_empty) {
            Some(weights) => losses * weights.select(0, labels),
            None => losses,
        }
    }
}

/// The losses of each row times its weight; a row has one loss, or as many as any other.
fn weighted_rows(losses: Losses, weights: &[f32]) -> Losses {
    let Losses { terms, logits } = losses;
    let terms = terms
        .into_iter()
        .map(|LossTerm { losses, weight }| {
            let [count] = losses.dims();
            let of_row = count / weights.len().max(1);
            let of_losses: Vec<f32> =
                weights.iter().flat_map(|weight| std::iter::repeat_n(*weight, of_row)).collect();
            let of_losses =
                Tensor::<1>::from_data(TensorData::new(of_losses, [count]), &losses.device());
            LossTerm { losses: losses * of_losses, weight }
        })
        .collect();
    Losses { terms, logits }
}

/// PyTorch's `cross_entropy` with `label_smoothing` and, where there are any, `weight`, before its mean: with the
/// probabilities `p` of `C` classes, the weights `w` and the label `y`
///
/// ```text
/// (1 − ε) · w[y] · (−ln p[y])  +  ε / C · Σ_c w[c] · (−ln p[c])
/// ```
///
/// Without weights this is transformers' `LabelSmoother`.
///
/// # Shapes
/// - `logits`: `[rows, classes]`, of any number of rows, 0 too
/// - `labels`, output: `[rows]`
/// - `weights`: `[classes]`
pub fn smoothed_cross_entropy(
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
    weights: Option<Tensor<1>>,
    label_smoothing: f64,
) -> Tensor<1> {
    let [rows, classes] = logits.dims();
    if rows == 0 {
        return cross_entropy(logits, labels);
    }
    let of_label = cross_entropy(logits.clone(), labels.clone());
    let score = logits.clone().gather(1, labels.clone().unsqueeze_dim(1));
    let log_sum = of_label.clone().unsqueeze_dim::<2>(1) + score;
    let of_all = log_sum - logits;
    let (of_label, of_all) = match weights {
        None => (of_label, of_all),
        Some(weights) => {
            let of_label = of_label * weights.clone().select(0, labels);
            (of_label, of_all * weights.unsqueeze_dim(0))
        }
    };
    let spread = of_all.sum_dim(1).squeeze_dim::<1>(1);
    of_label * (1.0 - label_smoothing) + spread * (label_smoothing / classes as f64)
}

/// PyTorch's `binary_cross_entropy_with_logits` with `pos_weight`, before its mean.
///
/// # Shapes
/// - `logits`, `values`: `[batch, num_labels]`, values between 0 and 1
/// - `weights`: `[num_labels]`
/// - output: `[batch · num_labels]`
pub fn weighted_binary_cross_entropy(
    logits: Tensor<2>,
    values: Tensor<2>,
    weights: Tensor<1>,
) -> Tensor<1> {
    let applies = values.clone() * log_sigmoid(logits.clone()) * weights.unsqueeze_dim(0);
    let does_not = (values.neg() + 1.0) * log_sigmoid(logits.neg());
    (applies + does_not).neg().flatten(0, 1)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn weighted(weights: &[f32]) -> LossOptions {
        LossOptions { class_weights: Some(weights.into()), ..LossOptions::default() }
    }

    #[test]
    fn a_mean_is_over_the_weights_of_the_labels_or_over_their_number() {
        let options = weighted(&[0.5, 2.0, 1.0]);
        let class = TargetsData::Class(vec![0, 1, 1]);
        assert_eq!(options.denominators(&class, 8), [4.5]);
        let tokens = TargetsData::Tokens { positions: vec![3, 9], labels: vec![2, 0] };
        assert_eq!(options.denominators(&tokens, 8), [1.5]);
        let values = TargetsData::Values(vec![1.0, 0.0, 0.0]);
        assert_eq!(options.denominators(&values, 8), [3.0]);
        assert_eq!(LossOptions::default().denominators(&class, 8), [3.0]);
        let span = TargetsData::Span { start: vec![1, 8], end: vec![2, 3] };
        assert_eq!(options.denominators(&span, 8), [1.0, 2.0]);
    }

    #[test]
    fn rows_weigh_what_their_weights_say_whatever_their_classes_do() {
        let device = Device::flex();
        let rows: Arc<[f32]> = [1.0, 0.25, 0.5].into();
        let options = LossOptions { row_weights: Some(rows.clone()), ..LossOptions::default() };
        let both = LossOptions { row_weights: Some(rows), ..weighted(&[0.5, 2.0]) };
        let logits = Tensor::<2>::from_floats([[0.3, -1.0], [2.0, 0.1], [0.0, 0.4]], &device);
        let values = |tensor: Tensor<1>| tensor.into_data().try_to_vec::<f32>().unwrap();
        let weighed = |options: &LossOptions, losses: &Losses, targets: &TargetTensors| {
            let found = options.apply(losses.clone(), targets.clone());
            values(found.terms[0].losses.clone())
        };
        let data = TargetsData::Class(vec![1, 0, 1]);
        let labels = data.clone().into_targets(3, &device);
        let TargetTensors::Class(classes) = &labels else { panic!("classes") };
        let losses = Losses::of_classes(logits.clone(), classes.clone());
        let plain = values(losses.terms[0].losses.clone());
        assert_eq!(weighed(&options, &losses, &labels), [plain[0], plain[1] / 4.0, plain[2] / 2.0]);
        assert_eq!(options.denominators(&data, 8), [1.75]);
        let expected = [plain[0] * 2.0, plain[1] / 8.0, plain[2]];
        assert_eq!(weighed(&both, &losses, &labels), expected);
        assert_eq!(both.denominators(&data, 8), [2.0 + 0.125 + 1.0]);
        // Two numbers a row: each of them weighs what its row does.
        let data = TargetsData::Values(vec![1.0, 2.0, 0.0, 1.0, 3.0, 0.0]);
        let targets = data.clone().into_targets(3, &device);
        let TargetTensors::Values(numbers) = &targets else { panic!("numbers") };
        let distance = (logits.clone() - numbers.clone()).flatten::<1>(0, 1);
        let losses = Losses::one(distance.clone(), logits);
        let plain = values(distance);
        let factors = [1.0, 1.0, 0.25, 0.25, 0.5, 0.5];
        let expected: Vec<f32> = plain.iter().zip(factors).map(|(loss, w)| loss * w).collect();
        assert_eq!(weighed(&options, &losses, &targets), expected);
        assert_eq!(options.denominators(&data, 8), [3.5]);
    }

    /// Without options not a bit changes.
    #[test]
    fn plain_losses_stay_as_they_are() {
        let device = Device::flex();
        let logits = Tensor::<2>::from_floats([[0.3, -1.0], [2.0, 0.1]], &device);
        let labels = Tensor::<1, Int>::from_ints([0, 1], &device);
        let plain = Losses::of_classes(logits, labels.clone());
        let losses = |losses: Losses| losses.terms[0].losses.clone().into_data();
        let before = losses(plain.clone());
        let targets = TargetTensors::Class(labels);
        assert_eq!(losses(LossOptions::default().apply(plain.clone(), targets.clone())), before);
        assert_eq!(losses(weighted(&[1.0, 1.0]).apply(plain, targets)), before);
    }
}
