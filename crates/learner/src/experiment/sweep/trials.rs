//! Which values a trial has: a function of the sweep and the trial's number.

use toml::Value;

use super::parameter::{Values, leaves};
use super::{SweepConfig, SweepMethod};

/// Points of the largest grid that some are drawn of.
pub(super) const MOST_POINTS: usize = 100_000;

impl SweepConfig {
    /// The keys that have several values, sorted, each with them; what is wrong is left out.
    pub(super) fn read_parameters(&self) -> Vec<(String, Values)> {
        let read = |(key, value)| Some((key, Values::read(value).ok()?));
        leaves(&self.parameters).into_iter().filter_map(read).collect()
    }

    /// The keys that have several values, sorted.
    pub fn keys(&self) -> Vec<String> {
        leaves(&self.parameters).into_iter().map(|(key, _)| key).collect()
    }

    /// Points of the grid of all listed values; `None` if a key has a range, or they are too many to count.
    pub(super) fn grid_points(&self) -> Option<usize> {
        let parameters = self.read_parameters();
        parameters
            .iter()
            .try_fold(1_usize, |points, (_, values)| points.checked_mul(values.count()?))
    }

    /// How many trials there are.
    pub fn num_trials(&self) -> usize {
        let all = if self.method == SweepMethod::Grid { self.grid_points() } else { None };
        self.trials.or(all).unwrap_or_default()
    }

    /// The values of a trial, by key; the first trial is 1.
    pub fn values(&self, trial: usize) -> Vec<(String, Value)> {
        let parameters = self.read_parameters();
        if self.method != SweepMethod::Grid {
            let draw = |(key, values): (String, Values)| {
                let value = values.at(self.draw(trial as u64, &key));
                (key, value)
            };
            return parameters.into_iter().map(draw).collect();
        }
        // The last key changes first.
        let mut point = self.point(trial);
        let mut chosen: Vec<(String, Value)> = parameters
            .into_iter()
            .rev()
            .filter_map(|(key, values)| {
                let Values::List(list) = values else { return None };
                let value = list[point % list.len()].clone();
                point /= list.len();
                Some((key, value))
            })
            .collect();
        chosen.reverse();
        chosen
    }

    /// The grid's point of a trial, from 0: all of them, or those that are drawn, in the grid's order.
    fn point(&self, trial: usize) -> usize {
        let points = self.grid_points().unwrap_or_default();
        let count = self.num_trials();
        if count >= points {
            return trial - 1;
        }
        let mut drawn: Vec<(f64, usize)> = (0..points.min(MOST_POINTS))
            .map(|point| (self.draw(point as u64, ""), point))
            .collect();
        drawn.sort_by(|left, right| left.0.total_cmp(&right.0));
        drawn.truncate(count);
        let mut chosen: Vec<usize> = drawn.into_iter().map(|(_, point)| point).collect();
        chosen.sort_unstable();
        chosen[trial - 1]
    }

    /// A number in `[0, 1)`.
    fn draw(&self, number: u64, key: &str) -> f64 {
        let mut hasher = blake3::Hasher::new_derive_key("nystromformer-learner 2026 sweeps");
        hasher
            .update(&self.seed.to_le_bytes())
            .update(&number.to_le_bytes())
            .update(key.as_bytes());
        let mut bytes = [0; 8];
        hasher.finalize_xof().fill(&mut bytes);
        (u64::from_le_bytes(bytes) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn sweep(text: &str) -> SweepConfig {
        toml::from_str(text).unwrap()
    }

    fn shown(values: &[(String, Value)]) -> String {
        let shown: Vec<String> =
            values.iter().map(|(key, value)| format!("{key}={value}")).collect();
        shown.join(" ")
    }

    const GRID: &str = "[parameters]\nb = [1, 2, 3]\n[parameters.a]\nx = [0.5, 0.25]\n";

    #[test]
    fn a_grid_has_every_combination_once_in_order() {
        let grid = sweep(GRID);
        assert_eq!((grid.num_trials(), grid.keys()), (6, vec!["a.x".to_owned(), "b".to_owned()]));
        let trials: Vec<String> = (1..=6).map(|trial| shown(&grid.values(trial))).collect();
        assert_eq!(
            trials,
            [
                "a.x=0.5 b=1",
                "a.x=0.5 b=2",
                "a.x=0.5 b=3",
                "a.x=0.25 b=1",
                "a.x=0.25 b=2",
                "a.x=0.25 b=3"
            ]
        );
    }

    #[test]
    fn a_part_of_a_grid_is_drawn_without_repetition_by_the_seed() {
        let of_seed = |seed: u64| {
            let part = sweep(&format!("trials = 4\nseed = {seed}\n{GRID}"));
            (1..=4).map(|trial| shown(&part.values(trial))).collect::<Vec<_>>()
        };
        let whole = sweep(GRID);
        let all: Vec<String> = (1..=6).map(|trial| shown(&whole.values(trial))).collect();
        let parts: BTreeSet<Vec<String>> = (0..20).map(of_seed).collect();
        assert!(parts.len() > 5, "{parts:?}");
        for part in &parts {
            let places: Vec<_> =
                part.iter().map(|trial| all.iter().position(|of_all| of_all == trial)).collect();
            assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{part:?}");
            assert_eq!(places.iter().collect::<BTreeSet<_>>().len(), 4);
        }
        assert_eq!(of_seed(3), of_seed(3));
    }

    #[test]
    fn draws_are_a_function_of_seed_and_trial_and_fill_their_range() {
        let text = "method = \"random\"\ntrials = 400\nseed = 5\n\
                    [parameters]\nx = { min = 1e-5, max = 1e-1, log = true }\nn = { min = 2, max = 5 }\nc = [\"a\", \"b\"]\n";
        let random = sweep(text);
        let more = sweep(&text.replace("trials = 400", "trials = 9000"));
        let other = sweep(&text.replace("seed = 5", "seed = 6"));
        assert_eq!(random.values(7), more.values(7));
        assert_ne!(random.values(7), other.values(7));
        let of = |key: usize| (1..=400).map(move |trial| (trial, key));
        let value = |(trial, key): (usize, usize)| random.values(trial)[key].1.clone();
        let texts: Vec<String> =
            of(0).filter_map(|place| value(place).as_str().map(str::to_owned)).collect();
        let of_a = texts.iter().filter(|text| *text == "a").count();
        assert!(texts.len() == 400 && (150..250).contains(&of_a), "{of_a}");
        let whole: Vec<i64> = of(1).filter_map(|place| value(place).as_integer()).collect();
        for number in 2..=5 {
            let count = whole.iter().filter(|drawn| **drawn == number).count();
            assert!((60..140).contains(&count), "{number}: {count}");
        }
        let reals: Vec<f64> = of(2).filter_map(|place| value(place).as_float()).collect();
        let below = reals.iter().filter(|real| **real < 1e-3).count();
        assert!((150..250).contains(&below), "{below}");
        assert!(reals.iter().all(|real| (1e-5..=1e-1).contains(real)));
    }
}
