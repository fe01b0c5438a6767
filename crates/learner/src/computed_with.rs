//! What computed a run: the part of the machine that decides on the last bits of its numbers.

use nystromformer_kernels::{Precision, instruction_set};
use serde::{Deserialize, Serialize};

use crate::experiment::Experiment;

/// What computed a run or a session of it, for `summary.json` and the manifests of checkpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComputedWith {
    /// The device, as named in the configuration.
    pub device: String,
    /// The CPU's model, as the system names it; empty where it does not say.
    pub cpu: String,
    /// Vectors of the CPU's kernels: `avx512`, `avx2`, `neon` or `scalar`. On another device, of the host.
    pub vectors: String,
    /// What multiplies matrices on the CPU: `amx`, or vectors as above.
    pub products: String,
    /// Precision of products with weights, that of `trainer.precision`. Earlier versions wrote `f32` where the machine had no unit for another.
    pub precision: String,
    /// Threads of the CPU's kernels. They change no bit.
    pub threads: usize,
    /// Processes that trained together. Powers of two change no bit.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub ranks: usize,
}

fn one() -> usize {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(count: &usize) -> bool {
    *count == 1
}

impl ComputedWith {
    /// What computes `experiment` in this process.
    pub fn now(experiment: &Experiment) -> Self {
        let instructions = instruction_set();
        Self {
            device: experiment.device.to_string(),
            cpu: cpu_model(),
            vectors: instructions.vectors.to_owned(),
            products: instructions.products.to_owned(),
            precision: Precision::from(experiment.trainer.precision).name().to_owned(),
            threads: rayon::current_num_threads(),
            ranks: 1,
        }
    }

    /// What the two differ in that can change bits, one sentence part each; empty if nothing does.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let fields = |of: &Self| {
            [
                ("device", of.device.clone()),
                ("CPU", of.cpu.clone()),
                ("vectors", of.vectors.clone()),
                ("matrix products", of.products.clone()),
                ("precision of products", of.precision.clone()),
            ]
        };
        let fields = fields(self).into_iter().zip(fields(now));
        let round_alike = self.ranks.is_power_of_two() && now.ranks.is_power_of_two();
        let ranks = [self, now].map(|of| ("ranks", of.ranks.to_string()));
        let [was, now] = ranks;
        fields
            .chain((!round_alike).then_some((was, now)))
            .filter(|((_, was), (_, now))| was != now)
            .map(|((name, was), (_, now))| format!("{name}: was `{was}`, now `{now}`"))
            .collect()
    }
}

/// The model of the CPU, as Linux names it; empty where the system does not say.
#[must_use]
pub fn cpu_model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    model_name(&text)
}

fn model_name(cpuinfo: &str) -> String {
    let named = cpuinfo.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.trim().to_owned())
    });
    named.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_change_bits_is_told_and_threads_cannot() {
        let was = ComputedWith::now(&Experiment::default());
        let now = ComputedWith { threads: was.threads + 1, ..was.clone() };
        assert_eq!(was.differences(&now), Vec::<String>::new());
        let now = ComputedWith { products: "amx".to_owned(), vectors: "sse".to_owned(), ..now };
        let before = ComputedWith { products: "avx2".to_owned(), ..was.clone() };
        assert_eq!(
            before.differences(&now),
            [
                format!("vectors: was `{}`, now `sse`", was.vectors),
                "matrix products: was `avx2`, now `amx`".to_owned()
            ]
        );
    }

    #[test]
    fn numbers_of_ranks_are_told_unless_they_round_alike_and_one_is_not_written() {
        let one = ComputedWith::now(&Experiment::default());
        let of = |ranks| ComputedWith { ranks, ..one.clone() };
        assert_eq!(one.differences(&of(8)), Vec::<String>::new());
        assert_eq!(of(3).differences(&of(3)), Vec::<String>::new());
        assert_eq!(of(4).differences(&of(3)), ["ranks: was `4`, now `3`"]);
        let json = serde_json::to_string(&one).unwrap();
        assert!(!json.contains("ranks"), "{json}");
        assert_eq!(serde_json::from_str::<ComputedWith>(&json).unwrap(), one);
        let json = serde_json::to_string(&of(3)).unwrap();
        assert_eq!(serde_json::from_str::<ComputedWith>(&json).unwrap(), of(3));
    }

    /// As of an earlier version, which computed in `f32` what it had no matrix unit for, and said so.
    #[test]
    fn a_run_that_fell_back_is_told_that_it_does_no_more() {
        let mut experiment = Experiment::default();
        experiment.trainer.precision = crate::experiment::Precision::Bf16;
        let now = ComputedWith::now(&experiment);
        assert_eq!(now.precision, "bf16");
        let mut before = serde_json::to_value(&now).unwrap();
        before["precision"] = "f32".into();
        before["precision_asked"] = "bf16".into();
        let before: ComputedWith = serde_json::from_value(before).unwrap();
        assert_eq!(before.differences(&now), ["precision of products: was `f32`, now `bf16`"]);
    }

    #[test]
    fn the_model_is_the_first_that_is_named() {
        assert_eq!(model_name("processor : 0\nmodel name\t: A B\nmodel name : C\n"), "A B");
        assert_eq!(model_name("processor : 0\n"), "");
    }
}
