//! What of this machine's CPU the kernels run on.

use crate::product::has_matrix_unit;

/// The instructions that the kernels use here. They decide on the order of sums, and so on the last bits of results: two
/// machines with other ones compute the same to rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstructionSet {
    /// Of passes over elements: `avx512`, `avx2`, `neon`, or `scalar`.
    pub vectors: &'static str,
    /// Of matrix products: `amx` (the matrix unit of Intel's server CPUs), or the vectors of the library `gemm`, named as
    /// above. Products with a size below 32 never run on the unit.
    pub products: &'static str,
}

/// The instructions that the kernels use on this machine.
pub fn instruction_set() -> InstructionSet {
    InstructionSet {
        vectors: vectors(),
        products: if has_matrix_unit() { "amx" } else { gemm_vectors() },
    }
}

/// What [`pulp`] picks.
fn vectors() -> &'static str {
    match pulp::Arch::new() {
        #[cfg(target_arch = "x86_64")]
        pulp::Arch::V4(_) => "avx512",
        #[cfg(target_arch = "x86_64")]
        pulp::Arch::V3(_) => "avx2",
        #[cfg(target_arch = "aarch64")]
        pulp::Arch::Neon(_) => "neon",
        _ => "scalar",
    }
}

/// What `gemm` picks, by its own rule.
fn gemm_vectors() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            "avx512"
        } else if is_x86_feature_detected!("fma") {
            "avx2"
        } else {
            "scalar"
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    vectors()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_named_where_bf16_is_computed() {
        let found = instruction_set();
        assert_eq!(found.products == "amx", has_matrix_unit());
        for name in [found.vectors, found.products] {
            assert!(["amx", "avx512", "avx2", "neon", "scalar"].contains(&name), "{name}");
        }
        // The unit needs the widest vectors.
        assert!(found.products != "amx" || found.vectors == "avx512");
        assert_eq!(instruction_set(), found);
    }
}
