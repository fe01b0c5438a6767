//! How far a student is from its teacher: of each token, each text, each answer.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

/// Keeps a division by a variance, or by a length, finite: far below those of any activation.
const LEAST: f64 = 1e-8;

/// The mean squared error of each token's vector over the variance of the teacher's: 0 if they are equal, 1 if the student gives
/// the vector's mean for each of its numbers. It is of each token by itself, so that a batch may be computed in any parts.
///
/// # Shapes
/// - `student`, `teacher`: `[batch, seq_len, width]`
/// - output: `[batch · seq_len]`
pub(super) fn error_over_variance(student: Tensor<3>, teacher: Tensor<3>) -> Tensor<1> {
    let deviation = teacher.clone() - teacher.clone().mean_dim(2);
    let variance = deviation.square().mean_dim(2).add_scalar(LEAST);
    let error = (student - teacher).square().mean_dim(2);
    (error / variance).flatten(0, 2)
}

/// `1 − cosine` of two vectors of each row.
///
/// # Shapes
/// - `student`, `teacher`: `[rows, width]`
/// - output: `[rows]`
pub(super) fn cosine_distance(student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
    cosine(student, teacher).neg().add_scalar(1.0)
}

/// The cosine of two vectors of each row; shapes as of [`cosine_distance`].
pub(super) fn cosine(left: Tensor<2>, right: Tensor<2>) -> Tensor<1> {
    let length = |x: &Tensor<2>| x.clone().square().sum_dim(1).sqrt().add_scalar(LEAST);
    let lengths = length(&left) * length(&right);
    ((left * right).sum_dim(1) / lengths).flatten(0, 1)
}

/// The Kullback–Leibler divergence of the student's probabilities from the teacher's, `Σ p_t (ln p_t − ln p_s)`, in nats.
///
/// # Shapes
/// - `student`, `teacher`, scores: `[answers, classes]`
/// - output: `[answers]`
pub(super) fn divergence(student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
    let [student, teacher] = [student, teacher].map(|scores| log_softmax(scores, 1));
    (teacher.clone().exp() * (teacher - student)).sum_dim(1).flatten(0, 1)
}

/// The mean of each row's tokens, sentence-transformers' embedding of a text.
///
/// # Shapes
/// - `states`: `[batch, seq_len, hidden_size]`
/// - `keep`: `[batch, seq_len, 1]`, 1 for a token and 0 for padding
/// - output: `[batch, hidden_size]`
pub(super) fn mean_of_tokens(states: Tensor<3>, keep: Tensor<3>) -> Tensor<2> {
    let tokens = keep.clone().sum_dim(1).clamp_min(1.0);
    ((states * keep).sum_dim(1) / tokens).squeeze_dim(1)
}
