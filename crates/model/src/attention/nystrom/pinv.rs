//! The Moore–Penrose inverse of a softmax kernel: the paper's iteration (section 3.2, equation 14), or a direct solve.

use burn::tensor::Tensor;
pub use nystromformer_kernels::Pinv;
use nystromformer_kernels::PinvScale;
use serde::{Deserialize, Serialize};

/// How the kernel of landmarks over landmarks is inverted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PinvMethod {
    /// The paper's iteration.
    #[default]
    Iterative,
    /// A direct solve with a ridge: a small part of the iteration's arithmetic, and another result, though a near one.
    Solve,
}

/// How the iteration starts: `Z₀ = Aᵀ / s` with `s` from the column sums of `A` (its row sums are 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PinvInit {
    /// `s` is each matrix's own largest column sum, as the theory asks.
    #[default]
    Exact,
    /// `s` is the largest column sum of the whole batch, as in the authors' first code and in
    /// transformers: the result of one example then depends on the others.
    Original,
}

impl From<PinvInit> for PinvScale {
    fn from(init: PinvInit) -> Self {
        match init {
            PinvInit::Exact => Self::OfEachMatrix,
            PinvInit::Original => Self::OfTheBatch,
        }
    }
}

/// Moore–Penrose inverse by a third-order iteration.
///
/// `Z₀ = Aᵀ / (‖A‖₁ ‖A‖∞)`, then `Z ← ¼ Z (13 I − A Z (15 I − A Z (7 I − A Z)))`, `iterations` times.
/// Rows of `kernel` sum to 1, so `‖A‖∞ = 1`. Rows and columns of zeros (spare landmarks) stay zero, and the
/// rest is inverted as if they were not there.
///
/// # Shapes
/// - `kernel`: `[batch, heads, landmarks, landmarks]`, rows sum to 1 or are zero
/// - output: the same
pub fn iterative_pinv(kernel: Tensor<4>, iterations: usize, init: PinvInit) -> Tensor<4> {
    nystromformer_kernels::iterative_pinv(kernel, iterations, init.into())
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, activation::softmax};
    use nystromformer_kernels::{Seed, random};

    use super::*;
    use crate::attention::factors::pinv_residual;

    fn kernel(landmarks: usize) -> Tensor<4> {
        let shape = [2, 3, landmarks, landmarks];
        let normal = Distribution::Normal(0.0, 1.0);
        softmax(Seed::new(7).scope(|| random::<4>(shape, normal, &Device::flex())), 3)
    }

    #[test]
    fn inverts_after_enough_iterations() {
        for init in [PinvInit::Exact, PinvInit::Original] {
            let kernel = kernel(8);
            let pinv = iterative_pinv(kernel.clone(), 20, init);
            let residual = pinv_residual(kernel, pinv).max().into_scalar::<f32>();
            assert!(residual < 1e-3, "{init:?}: {residual}");
        }
    }

    #[test]
    fn more_iterations_come_closer() {
        let kernel = kernel(8);
        let residual = |iterations| {
            let pinv = iterative_pinv(kernel.clone(), iterations, PinvInit::Exact);
            pinv_residual(kernel.clone(), pinv).mean().into_scalar::<f32>()
        };
        assert!(residual(12) < residual(6));
        assert!(residual(6) < residual(2));
    }

    /// Six iterations multiply small singular values by `(13/4)⁶` and the start's `1/s`; a ridge of `(4/13)⁶ s` does too.
    #[test]
    fn a_solve_leaves_about_the_residual_of_six_iterations() {
        let kernel = kernel(32);
        let residual = |pinv: Pinv| {
            let pinv = pinv.invert(kernel.clone());
            pinv_residual(kernel.clone(), pinv).mean().into_scalar::<f32>()
        };
        let iterative = residual(Pinv::Iterative { iterations: 6, scale: PinvScale::OfEachMatrix });
        let solved = residual(Pinv::Solve { ridge: 1e-3 });
        assert!((0.3..3.0).contains(&(solved / iterative)), "{solved}, {iterative}");
        assert!(residual(Pinv::Solve { ridge: 1e-4 }) < 0.5 * solved);
    }

    #[test]
    fn spare_rows_and_columns_stay_zero() {
        let ways = [
            Pinv::Iterative { iterations: 6, scale: PinvScale::OfEachMatrix },
            Pinv::Solve { ridge: 1e-2 },
        ];
        ways.into_iter().for_each(spare_rows_and_columns_stay_zero_under);
    }

    fn spare_rows_and_columns_stay_zero_under(pinv: Pinv) {
        let small = kernel(4);
        let device = small.device();
        let padded = Tensor::<4>::zeros([2, 3, 6, 6], &device)
            .slice_assign([0..2, 0..3, 0..4, 0..4], small.clone());
        let expected = Tensor::<4>::zeros([2, 3, 6, 6], &device)
            .slice_assign([0..2, 0..3, 0..4, 0..4], pinv.invert(small));
        let got = pinv.invert(padded);
        got.to_data().assert_approx_eq::<f32>(
            &expected.to_data(),
            burn::tensor::Tolerance::relative(1e-5).set_absolute(1e-5),
        );
    }

    #[test]
    fn a_zero_matrix_gives_zero() {
        let zero = Tensor::<4>::zeros([1, 1, 3, 3], &Device::flex());
        for pinv in [
            iterative_pinv(zero.clone(), 6, PinvInit::Exact),
            Pinv::Solve { ridge: 1e-3 }.invert(zero),
        ] {
            assert_eq!(pinv.abs().max().into_scalar::<f32>(), 0.0);
        }
    }
}
