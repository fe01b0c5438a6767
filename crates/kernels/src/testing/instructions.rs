//! The instructions that kernels are tested with: all that this machine has, one set after the other.

use std::{cell::Cell, io::Write};

use pulp::{Arch, Scalar128b, Simd, WithSimd};
use rayon::ThreadPoolBuilder;

use crate::product::has_matrix_unit;

/// What kernels compute with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instructions {
    pub(crate) name: &'static str,
    pub(crate) vectors: Vectors,
    pub(crate) products: Products,
}

/// What passes over elements run on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Vectors {
    /// Vectors of this machine, or none.
    Machine(Arch),
    /// Four lanes, as NEON has them, in plain code.
    FourLanes,
}

/// What products with weights run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Products {
    /// The library `gemm`, on the widest vectors of the machine.
    Vectors,
    /// The machine's matrix unit.
    Unit,
    /// A matrix unit in plain code.
    Emulation,
}

impl Vectors {
    #[inline(always)]
    pub(crate) fn dispatch<O: WithSimd>(self, operation: O) -> O::Output {
        match self {
            Self::Machine(arch) => arch.dispatch(operation),
            Self::FourLanes => Scalar128b.vectorize(operation),
        }
    }
}

thread_local! {
    static ASKED: Cell<Option<Instructions>> = const { Cell::new(None) };
}

/// What the test that this thread works for asks for.
pub(crate) fn asked() -> Option<Instructions> {
    ASKED.get()
}

impl Instructions {
    /// All that this machine can run.
    pub(crate) fn all() -> Vec<Self> {
        let set = |name, vectors, products| Self { name, vectors, products };
        let mut all = vec![
            set(
                "scalar, with an emulated matrix unit",
                Vectors::Machine(Arch::Scalar),
                Products::Emulation,
            ),
            set("four lanes", Vectors::FourLanes, Products::Vectors),
        ];
        let mut add = |name, arch| all.push(set(name, Vectors::Machine(arch), Products::Vectors));
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(simd) = pulp::x86::V3::try_new() {
                add("avx2", Arch::V3(simd));
            }
            if let Some(simd) = pulp::x86::V4::try_new() {
                add("avx512", Arch::V4(simd));
            }
        }
        #[cfg(target_arch = "aarch64")]
        if let Some(simd) = pulp::aarch64::Neon::try_new() {
            add("neon", Arch::Neon(simd));
        }
        if has_matrix_unit() {
            all.push(set("amx", Vectors::Machine(Arch::new()), Products::Unit));
        }
        all
    }

    /// One set for each kind of product that this machine can run.
    pub(crate) fn all_products() -> Vec<Self> {
        let mut all = Self::all();
        // Of those with products on vectors the last has the widest.
        let widest = all.iter().rposition(|set| set.products == Products::Vectors);
        let mut places = 0..;
        all.retain(|set| {
            let place = places.next();
            set.products != Products::Vectors || place == widest
        });
        all
    }

    /// Runs `body` with these instructions, on so many threads.
    pub(crate) fn run<R: Send>(self, threads: usize, body: impl FnOnce() -> R + Send) -> R {
        // A test that fails prints this.
        println!("on {}, with {threads} threads", self.name);
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .start_handler(move |_| ASKED.set(Some(self)))
            .build()
            .expect("a pool of threads");
        pool.install(body)
    }
}

/// Says what a test leaves out on this machine: to the stream itself, since the test runner shows what is printed only
/// where a test fails.
pub(crate) fn say(what: &str) {
    std::io::stderr().write_all(format!("kernels: {what}\n").as_bytes()).expect("a line of text");
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;
    use crate::simd;

    struct Lanes;

    impl WithSimd for Lanes {
        type Output = usize;

        fn with_simd<S: Simd>(self, _simd: S) -> usize {
            S::F32_LANES
        }
    }

    /// Says what is tested here and what is not, and that each set runs on every thread that works for it.
    #[test]
    fn every_set_of_this_machine_is_run() {
        let all = Instructions::all();
        for set in &all {
            let lanes = match set.name {
                "four lanes" | "neon" => 4,
                "avx2" => 8,
                "avx512" | "amx" => 16,
                _ => 1,
            };
            let seen = set.run(3, || {
                (0..64).into_par_iter().map(|_| simd::dispatch(Lanes)).collect::<Vec<_>>()
            });
            assert_eq!(seen, [lanes; 64], "{}", set.name);
        }
        assert!(asked().is_none(), "the test's own thread keeps the machine's instructions");
        let names: Vec<_> = all.iter().map(|set| set.name).collect();
        let products: Vec<_> =
            Instructions::all_products().iter().map(|set| (set.products, set.name)).collect();
        assert_eq!(products[0], (Products::Emulation, names[0]));
        assert_eq!(products[1].0, Products::Vectors);
        let skipped: Vec<_> = ["avx2", "avx512", "amx", "neon"]
            .into_iter()
            .filter(|name| !names.contains(name))
            .collect();
        let skipped = if skipped.is_empty() {
            String::new()
        } else {
            format!("; skipped: {}", skipped.join(", "))
        };
        say(&format!("tested on {}{skipped}", names.join("; ")));
    }
}
