//! How this process was started: by itself, or as one of several by a launcher of MPI.

use std::env;

use super::Ranks;
use super::placement::{located, settle_threads};
use crate::error::Result;

/// How many processes a launcher started together, where it says so.
const SIZES: [&str; 2] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"];

/// The number of this process.
const RANKS: [&str; 3] = ["OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"];

/// How many tasks a step of SLURM has; of several only if they are told their ranks, since a step may be tasks that know nothing of each other.
const SLURM_TASKS: &str = "SLURM_STEP_NUM_TASKS";

/// The number that a launcher gave this process, if one did.
pub fn launched_rank() -> Option<usize> {
    number(&RANKS, &environment)
}

fn environment(name: &str) -> Option<String> {
    env::var(name).ok()
}

fn number(names: &[&str], variable: &dyn Fn(&str) -> Option<String>) -> Option<usize> {
    names.iter().find_map(|name| variable(name)?.parse().ok())
}

/// How many processes were started together with this one, itself counted.
fn launched_size(variable: &dyn Fn(&str) -> Option<String>) -> usize {
    let of_slurm = || number(&RANKS, variable).and_then(|_| number(&[SLURM_TASKS], variable));
    number(&SIZES, variable).or_else(of_slurm).unwrap_or(1)
}

pub(super) fn join() -> Result<Ranks> {
    let size = launched_size(&environment);
    if size <= 1 {
        return Ok(Ranks::alone());
    }
    let ranks = located(Ranks::over(transport(size)?))?;
    settle_threads(ranks.placement());
    Ok(ranks)
}

#[cfg(feature = "mpi")]
fn transport(_size: usize) -> Result<super::mpi::Mpi> {
    super::mpi::Mpi::join()
}

#[cfg(not(feature = "mpi"))]
fn transport(size: usize) -> Result<super::transport::Alone> {
    Err(crate::error::LearnerError::Config(format!(
        "this is one of `{size}` processes that were started together, and this program was built without MPI: build it with `--features mpi`, or start one \
         process"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_launchers_say_is_understood() {
        let size = |variables: &[(&str, &str)]| {
            launched_size(&|name| {
                let found = variables.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        for (variables, expected) in [
            (&[][..], 1),
            (&[("OMPI_COMM_WORLD_SIZE", "4"), ("OMPI_COMM_WORLD_RANK", "0")], 4),
            (&[("PMI_SIZE", "3"), ("PMI_RANK", "2")], 3),
            (&[("SLURM_STEP_NUM_TASKS", "8"), ("PMIX_RANK", "7")], 8),
            // Tasks that were not started for MPI.
            (&[("SLURM_STEP_NUM_TASKS", "8")], 1),
            (&[("OMPI_COMM_WORLD_SIZE", "many")], 1),
        ] {
            assert_eq!(size(variables), expected, "{variables:?}");
        }
    }
}
