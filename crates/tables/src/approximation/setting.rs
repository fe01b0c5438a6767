//! Which options of Nyström attention are measured.

use std::fmt;

use nystromformer::{LandmarkRule, NystromConfig, PinvInit, PinvMethod};
use serde::{Deserialize, Serialize};

use crate::draw::Draws;

/// Options of Nyström attention, as in `[model]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Landmarks.
    pub num_landmarks: usize,
    /// What a landmark is made of.
    pub landmarks: LandmarkRule,
    /// Whether the ends of the sequence are landmarks of their own.
    pub keep_ends: bool,
    /// How the inverse is computed.
    pub pinv: PinvMethod,
    /// How the iteration starts.
    pub pinv_init: PinvInit,
    /// Its steps.
    pub pinv_iterations: usize,
}

impl Setting {
    /// The paper's: means over segments, six iterations, each matrix with a start of its own.
    pub fn paper(num_landmarks: usize) -> Self {
        let NystromConfig { landmarks, keep_ends, pinv, pinv_init, pinv_iterations, .. } =
            NystromConfig::default();
        Self { num_landmarks, landmarks, keep_ends, pinv, pinv_init, pinv_iterations }
    }

    /// The same as a part of a model's configuration.
    pub fn config(&self) -> NystromConfig {
        NystromConfig {
            num_landmarks: self.num_landmarks,
            landmarks: self.landmarks,
            keep_ends: self.keep_ends,
            pinv: self.pinv,
            pinv_init: self.pinv_init,
            pinv_iterations: self.pinv_iterations,
            ..NystromConfig::default()
        }
    }

    /// What a row is called by: the rule for landmarks, and how the inverse is computed where it is not the paper's way.
    pub fn rule(&self) -> String {
        let ends = if self.keep_ends { " + keep_ends" } else { "" };
        let inverse = if self.pinv == PinvMethod::Solve { ", solve" } else { "" };
        format!("{}{ends}{inverse}", self.landmarks.name())
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, {} landmarks", self.rule(), self.num_landmarks)?;
        if self.pinv == PinvMethod::Iterative {
            let init = match self.pinv_init {
                PinvInit::Exact => "exact",
                PinvInit::Original => "original",
            };
            write!(formatter, ", {} iterations from {init}", self.pinv_iterations)?;
        }
        Ok(())
    }
}

/// What is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// Numbers of landmarks, ascending.
    pub landmarks: Vec<usize>,
    /// Landmarks where something else is varied.
    pub num_landmarks: usize,
    /// Iterations of the inverse, ascending.
    pub iterations: Vec<usize>,
    /// Rows of the matrix that are compared, at most: others are drawn from all.
    pub most_rows: usize,
    /// Seed of what is drawn: rows, and landmarks for the floor.
    pub seed: u64,
}

impl Grid {
    /// The settings for sequences of `seq_len`, each once: rules for landmarks and a solve over their number; iterations from both
    /// starts; every rule, with and without the ends. Numbers of landmarks beyond the tokens are left out.
    pub fn settings(&self, seq_len: usize) -> Vec<Setting> {
        let mut settings: Vec<Setting> = Vec::new();
        let mut add = |setting: Setting| {
            let is_new = !settings.contains(&setting);
            if setting.num_landmarks <= seq_len && is_new {
                settings.push(setting);
            }
        };
        let by_number = [LandmarkRule::SegmentMeans, LandmarkRule::Strided, LandmarkRule::KMeans];
        for count in &self.landmarks {
            let paper = Setting::paper(*count);
            for landmarks in by_number {
                add(Setting { landmarks, ..paper.clone() });
            }
            add(Setting { pinv: PinvMethod::Solve, ..paper });
        }
        let paper = Setting::paper(self.num_landmarks);
        for pinv_init in [PinvInit::Exact, PinvInit::Original] {
            for iterations in &self.iterations {
                add(Setting { pinv_init, pinv_iterations: *iterations, ..paper.clone() });
            }
        }
        let rules = by_number.into_iter().chain([LandmarkRule::Weighted]);
        for (landmarks, keep_ends) in rules.flat_map(|rule| [(rule, false), (rule, true)]) {
            // Two of the landmarks are the ends.
            if !keep_ends || self.num_landmarks > 2 {
                add(Setting { landmarks, keep_ends, ..paper.clone() });
            }
        }
        settings
    }

    /// Numbers of landmarks whose bounds are computed.
    pub fn ranks(&self, seq_len: usize) -> Vec<usize> {
        let mut ranks = self.landmarks.clone();
        ranks.push(self.num_landmarks);
        ranks.retain(|rank| *rank <= seq_len);
        ranks.sort_unstable();
        ranks.dedup();
        ranks
    }

    /// The rows of the matrix that are compared: all, or some drawn by the seed.
    pub fn rows_of(&self, seq_len: usize) -> Vec<usize> {
        Draws::new(self.seed).distinct(self.most_rows, seq_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let (landmarks, iterations) = (vec![8, 64, 128], vec![1, 6, 20]);
        Grid { landmarks, num_landmarks: 64, iterations, most_rows: 10, seed: 1 }
    }

    #[test]
    fn each_setting_comes_once_and_none_has_more_landmarks_than_tokens() {
        let settings = grid().settings(100);
        // 2 × 4 by number; 3 + 3 iterations, one of which is the paper's; 8 rules, three of which are there.
        assert_eq!(settings.len(), 8 + 5 + 5);
        assert!(settings.iter().all(|setting| setting.num_landmarks <= 100));
        for (place, setting) in settings.iter().enumerate() {
            assert!(!settings[..place].contains(setting), "{setting}");
        }
        assert_eq!(grid().settings(128).len(), 12 + 5 + 5);
        assert_eq!(grid().ranks(100), [8, 64]);
    }

    #[test]
    fn rows_are_all_or_drawn() {
        assert_eq!(grid().rows_of(3), [0, 1, 2]);
        let drawn = grid().rows_of(1000);
        assert_eq!(drawn.len(), 10);
        assert_eq!(drawn, grid().rows_of(1000));
    }

    #[test]
    fn a_setting_says_what_it_is() {
        let setting =
            Setting { landmarks: LandmarkRule::KMeans, keep_ends: true, ..Setting::paper(32) };
        assert_eq!(
            setting.to_string(),
            "k_means + keep_ends, 32 landmarks, 6 iterations from exact"
        );
        let solve = Setting { pinv: PinvMethod::Solve, ..Setting::paper(32) };
        assert_eq!(solve.to_string(), "segment_means, solve, 32 landmarks");
        assert_eq!(solve.config().num_landmarks, 32);
    }
}
