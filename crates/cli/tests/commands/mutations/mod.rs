//! Readers of other people's files, given valid files in which bytes were altered: each answers with a value or an error, never
//! with a panic, and never with memory on the file's word.
//!
//! Some hundred mutants of each form by default. `NYSTROMFORMER_MUTATION_SECONDS=60 cargo test --release --workspace mutations`
//! goes on for a minute each, and with `-- --nocapture` says how many there were. A failure names the mutant's number; the same number is
//! the same mutant.

#![expect(clippy::print_stdout, reason = "how many mutants there were")]

mod experiments;
mod tables;
mod tokenizers;
mod weights;

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, Instant},
};

use crate::memory;

/// Mutants where no time is given.
const MUTANTS: u64 = 300;

/// More than any mutant may make its reader take, in bytes. The valid files are some kilobytes.
const MEMORY: usize = 100 << 20;

/// Has `read` read mutants of the valid `seeds`, each written to `path` first. `read` returns an error's message; of a value
/// it asserts that it is valid.
fn read_mutants(seeds: &[Vec<u8>], path: &Path, read: impl Fn(&Path) -> Result<(), String>) {
    for seed in seeds {
        fs::write(path, seed).unwrap();
        read(path).unwrap_or_else(|error| panic!("the file is valid, and is refused: {error}"));
    }
    let seconds = std::env::var("NYSTROMFORMER_MUTATION_SECONDS");
    let until = seconds.ok().map(|seconds| {
        let seconds = seconds.parse().expect("NYSTROMFORMER_MUTATION_SECONDS is a number");
        Instant::now() + Duration::from_secs(seconds)
    });
    let (mut number, mut refused) = (0, 0);
    while until.map_or(number < MUTANTS, |until| Instant::now() < until) {
        let mutant = mutant(seeds, number);
        fs::write(path, &mutant).unwrap();
        let (outcome, growth) = memory::growth(|| catch_unwind(AssertUnwindSafe(|| read(path))));
        let name = path.file_name().unwrap().display();
        let outcome = outcome.unwrap_or_else(|_| panic!("{name}: mutant {number} panics"));
        assert!(growth < MEMORY, "{name}: mutant {number} takes {growth} bytes");
        if let Err(message) = outcome {
            refused += 1;
            assert!(message.len() < 4000, "{name}, mutant {number}: {} bytes", message.len());
            assert!(!message.contains('\u{1b}'), "{name}, mutant {number}: an escape in {message}");
        }
        number += 1;
    }
    println!("{}: {number} mutants, {refused} refused", path.file_name().unwrap().display());
    assert!(refused > 0 && refused < number, "{refused} of {number} refused");
}

/// The mutant of this number: one of the seeds with one to four alterations.
fn mutant(seeds: &[Vec<u8>], number: u64) -> Vec<u8> {
    let mut random = Random(number.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(4) {
        alter(&mut bytes, &mut random);
    }
    bytes
}

/// Values at which readers' arithmetic goes wrong.
const EDGES: [u64; 8] =
    [0, 1, 0x7f, 0x80, 0x7fff_ffff, 0x8000_0000, 0x7fff_ffff_ffff_ffff, 0xffff_ffff_ffff_ffff];

fn alter(bytes: &mut Vec<u8>, random: &mut Random) {
    if bytes.is_empty() {
        bytes.push(random.next() as u8);
        return;
    }
    let start = random.below(bytes.len());
    let length = 1 + random.below((bytes.len() - start).min(64));
    let range = start..start + length;
    match random.below(8) {
        0 | 1 => bytes[start] ^= 1 << random.below(8),
        2 => bytes[start] = random.next() as u8,
        // A number of one, two, four or eight bytes, either end first.
        3 => {
            let width = [1, 2, 4, 8][random.below(4)];
            let edge = EDGES[random.below(EDGES.len())];
            let number = if random.below(2) == 0 {
                edge.to_le_bytes()[..width].to_vec()
            } else {
                edge.to_be_bytes()[8 - width..].to_vec()
            };
            let end = bytes.len().min(start + width);
            bytes[start..end].copy_from_slice(&number[..end - start]);
        }
        4 => bytes.truncate(start),
        5 => drop(bytes.drain(range)),
        // Duplicated in place, or copied to somewhere else.
        6 => {
            let copy = bytes[range.clone()].to_vec();
            bytes.splice(range.end..range.end, copy);
        }
        _ => {
            let copy = bytes[range].to_vec();
            let place = random.below(bytes.len());
            let end = bytes.len().min(place + copy.len());
            bytes[place..end].copy_from_slice(&copy[..end - place]);
        }
    }
}

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// A file of a crate's fixtures.
fn fixture_file(path: &str) -> Vec<u8> {
    fs::read(crate::fixture::repository().join("crates").join(path)).unwrap()
}
