//! The factors of an attention matrix that a kind approximates by the Nyström method.

use burn::tensor::Tensor;

/// The three factors whose product approximates the attention matrix, for diagnosis. The `n × n` product
/// itself is never formed.
#[derive(Debug, Clone)]
pub struct NystromFactors {
    /// `[batch, heads, seq_len, landmarks]`: each token over the landmarks.
    pub kernel_1: Tensor<4>,
    /// `[batch, heads, landmarks, landmarks]`: each landmark over the landmarks.
    pub kernel_2: Tensor<4>,
    /// `[batch, heads, landmarks, landmarks]`: the inverse of `kernel_2`.
    pub pinv: Tensor<4>,
    /// `[batch, heads, landmarks, seq_len]`: each landmark over the tokens.
    pub kernel_3: Tensor<4>,
}

impl NystromFactors {
    /// Applies the approximated attention matrix to `value`.
    ///
    /// # Shapes
    /// - `value`, output: `[batch, heads, seq_len, head_dim]`
    pub fn apply(self, value: Tensor<4>) -> Tensor<4> {
        self.kernel_1.matmul(self.pinv.matmul(self.kernel_3.matmul(value)))
    }

    /// `‖A Z A − A‖ / ‖A‖` per matrix: large values mean that the pseudo-inverse needs more iterations.
    ///
    /// # Shapes
    /// - output: `[batch, heads]`
    pub fn residual(&self) -> Tensor<2> {
        pinv_residual(self.kernel_2.clone(), self.pinv.clone())
    }
}

/// How far `pinv` is from inverting `kernel`: `‖A Z A − A‖ / ‖A‖` in the Frobenius norm.
///
/// # Shapes
/// - `kernel`, `pinv`: `[batch, heads, landmarks, landmarks]`
/// - output: `[batch, heads]`
pub fn pinv_residual(kernel: Tensor<4>, pinv: Tensor<4>) -> Tensor<2> {
    let [batch, heads, _, _] = kernel.dims();
    let norm =
        |matrix: Tensor<4>| matrix.square().sum_dim(3).sum_dim(2).sqrt().reshape([batch, heads]);
    let rebuilt = kernel.clone().matmul(pinv).matmul(kernel.clone());
    norm(rebuilt - kernel.clone()) / norm(kernel).clamp_min(1e-12)
}
