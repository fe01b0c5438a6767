//! Seeds, derived from what they are for.
//!
//! No generator's state is saved. Every use gets a generator of its own instead, seeded from the run's seed and the
//! place in the run: resuming then needs no state, and no use disturbs another.

use burn::tensor::Device;
use nystromformer_kernels::Seed;

/// What random numbers are for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    /// Fresh weights.
    Weights,
    /// Dropout in the given micro-batch of the given step.
    Dropout { step: usize, micro_batch: usize },
    /// Weights of the model that a device is checked with.
    SelfCheck,
}

/// Runs `body` with the random numbers of one purpose of a run. Our modules draw from a [`Seed`]; for modules that draw from
/// the device's own generator, as Burn's do, that is seeded too.
pub(crate) fn seeded<R>(
    seed: u64,
    purpose: Purpose,
    device: &Device,
    body: impl FnOnce() -> R,
) -> R {
    #[cfg(test)]
    if fault::is_omitted() {
        return body();
    }
    Seed::new(derive(seed, purpose)).scope_on(device, body)
}

fn derive(seed: u64, purpose: Purpose) -> u64 {
    let (tag, step, micro_batch) = match purpose {
        Purpose::Weights => (0_u64, 0, 0),
        Purpose::Dropout { step, micro_batch } => (1, step as u64, micro_batch as u64),
        Purpose::SelfCheck => (2, 0, 0),
    };
    let mut hasher = blake3::Hasher::new_derive_key("nystromformer-learner 2026 device seeds");
    for number in [seed, tag, step, micro_batch] {
        hasher.update(&number.to_le_bytes());
    }
    let mut bytes = [0; 8];
    hasher.finalize_xof().fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Lets a test leave the seeding out, to show that the tests of exact resume would notice.
#[cfg(test)]
pub(crate) mod fault {
    use std::cell::Cell;

    thread_local! {
        static OMITTED: Cell<bool> = const { Cell::new(false) };
    }

    pub(crate) fn omit_seeding(omit: bool) {
        OMITTED.set(omit);
    }

    pub(super) fn is_omitted() -> bool {
        OMITTED.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_place_matters() {
        let dropout = |step, micro_batch| Purpose::Dropout { step, micro_batch };
        let mut seeds = vec![
            derive(1, Purpose::Weights),
            derive(2, Purpose::Weights),
            derive(1, dropout(0, 0)),
            derive(1, dropout(0, 1)),
            derive(1, dropout(1, 0)),
        ];
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), 5);
        assert_eq!(derive(1, dropout(3, 4)), derive(1, dropout(3, 4)));
    }
}
