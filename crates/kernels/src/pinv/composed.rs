//! The inverses by Burn's elementary operations, for where no kernel runs.

use burn::tensor::{Device, Tensor};

use super::{LEAST_SCALE, Pinv, PinvScale};

/// As [`Pinv::invert`].
pub(super) fn invert(matrices: Tensor<4>, pinv: Pinv) -> Tensor<4> {
    let column_sums = matrices.clone().sum_dim(2); // [batch, heads, 1, size]
    let scale = match pinv.scale() {
        PinvScale::OfEachMatrix => column_sums.max_dim(3),
        PinvScale::OfTheBatch => column_sums.max().reshape([1, 1, 1, 1]),
    };
    let scale = scale.clamp_min(LEAST_SCALE);
    match pinv {
        Pinv::Iterative { iterations, .. } => iterate(matrices, scale, iterations),
        Pinv::Solve { ridge } => solve(matrices, scale, ridge),
    }
}

fn iterate(matrices: Tensor<4>, scale: Tensor<4>, iterations: usize) -> Tensor<4> {
    let [_, _, size, _] = matrices.dims();
    let mut inverse = matrices.clone().transpose() / scale;

    let identity = identity(size, &matrices.device());
    for _ in 0..iterations {
        let product = matrices.clone().matmul(inverse.clone());
        let inner = identity.clone().mul_scalar(7.0) - product.clone();
        let middle = identity.clone().mul_scalar(15.0) - product.clone().matmul(inner);
        let outer = identity.clone().mul_scalar(13.0) - product.matmul(middle);
        inverse = inverse.mul_scalar(0.25).matmul(outer);
    }
    inverse
}

/// Burn has no solve. So the inverse of `AᵀA + λ I` is iterated to its end, and then improved by one step of refinement,
/// which alone is recorded: its derivative is that of the inverse itself.
fn solve(matrices: Tensor<4>, scale: Tensor<4>, ridge: f64) -> Tensor<4> {
    let [_, _, size, _] = matrices.dims();
    let transposed = matrices.clone().transpose();
    let identity = identity(size, &matrices.device());
    let diagonal = identity.clone() * scale.clone().mul_scalar(ridge);
    let gram = transposed.clone().matmul(matrices) + diagonal;
    let inverse = symmetric_inverse(gram.clone().detach(), scale.detach(), identity, ridge);
    let solved = inverse.clone().matmul(transposed.clone().detach());
    solved.clone() + inverse.matmul(transposed - gram.matmul(solved))
}

/// The inverse of symmetric matrices whose eigenvalues are between `ridge · scale` and `(1 + ridge) · scale`, by Newton's
/// iteration `X ← X (2 I − M X)`.
///
/// # Shapes
/// - `matrices`, output: `[batch, heads, size, size]`
/// - `scale`: `[batch, heads, 1, 1]`
fn symmetric_inverse(
    matrices: Tensor<4>,
    scale: Tensor<4>,
    identity: Tensor<4>,
    ridge: f64,
) -> Tensor<4> {
    // Begun at the middle of the eigenvalues, the residual is 1 / (1 + 2 ridge); each iteration squares it.
    let mut inverse = identity.clone() / scale.mul_scalar(0.5 + ridge);
    let iterations = (-f64::EPSILON.ln() / (2.0 * ridge).ln_1p()).log2().ceil().max(1.0);
    for _ in 0..iterations as usize {
        let residual = identity.clone() - matrices.clone().matmul(inverse.clone());
        inverse = inverse.clone() + inverse.matmul(residual);
    }
    inverse
}

pub(super) fn identity(size: usize, device: &Device) -> Tensor<4> {
    Tensor::<2>::eye(size, device).unsqueeze()
}
