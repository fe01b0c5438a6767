//! [`TooLong`] and [`WindowKeys`]: the keys of `[task]` that say what becomes of what is longer than a row.

use nystromformer_data::{DataError, Keep, WindowPooling, Windows};
use serde::{Deserialize, Serialize};

use crate::class_weights::Sampling;
use crate::options::TaskOptions;

/// What becomes of a sequence that is longer than `data.seq_len`: `task.truncation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TooLong {
    /// Its beginning is kept.
    #[default]
    Head,
    /// Its end is kept.
    Tail,
    /// Half of either is kept.
    HeadTail,
    /// Nothing is cut off: it is read in overlapping windows ([`WindowKeys`]).
    Windows,
}

impl TooLong {
    /// What is kept of a sequence that is cut: of what cannot be read in windows, as a pair, its beginning.
    pub fn keep(self) -> Keep {
        match self {
            Self::Head | Self::Windows => Keep::Head,
            Self::Tail => Keep::Tail,
            Self::HeadTail => Keep::HeadTail,
        }
    }
}

/// Keys of `[task]` of tasks whose texts can be read in windows, each with the label of its text (`task.truncation = "windows"`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WindowKeys {
    /// Overlap, in tokens, of the windows over a text that is longer than `data.seq_len`. Default: 64.
    pub stride: usize,
    /// How the scores of a text come from those of its windows: `"mean"`, of each class the mean of the windows' logits, and of
    /// numbers their mean; or `"max"`, of each class the greatest logit. Default: `"mean"`.
    pub window_pooling: WindowPooling,
    /// Most windows of a text; what comes after them is not read, and is counted. It bounds memory. Default: 64.
    pub max_windows: usize,
}

impl Default for WindowKeys {
    fn default() -> Self {
        Self { stride: 64, window_pooling: WindowPooling::Mean, max_windows: 64 }
    }
}

impl WindowKeys {
    /// The same as a rule.
    pub fn windows(self) -> Windows {
        let Self { stride, window_pooling: pooling, max_windows } = self;
        Windows { stride, max_windows, pooling }
    }

    /// A [`DataError::Config`] for everything that is wrong with them, beside `options`; `is_regression` is whether numbers are to be
    /// predicted.
    pub fn problems(self, options: &TaskOptions, is_regression: bool) -> Vec<DataError> {
        let mut problems = Vec::new();
        let mut refuse = |key, value: &dyn ToString, problem: &str| {
            problems.push(DataError::config(key, value.to_string(), problem));
        };
        let Self { stride, window_pooling, max_windows } = self;
        if options.truncation != Some(TooLong::Windows) {
            let standard = Self::default();
            let unread =
                "is read with `task.truncation = \"windows\"` alone; set that, or leave it out";
            if stride != standard.stride {
                refuse("task.stride", &stride, unread);
            }
            if window_pooling != standard.window_pooling {
                refuse("task.window_pooling", &"max", unread);
            }
            if max_windows != standard.max_windows {
                refuse("task.max_windows", &max_windows, unread);
            }
            return problems;
        }
        if max_windows == 0 {
            refuse("task.max_windows", &max_windows, "must be at least 1");
        }
        if is_regression && window_pooling == WindowPooling::Max {
            refuse(
                "task.window_pooling",
                &"max",
                "is the greatest score of a class, and numbers have none; use \"mean\"",
            );
        }
        if options.sampling == Sampling::Balanced {
            refuse(
                "task.sampling",
                &"balanced",
                "would draw windows evenly, and not texts; with `task.truncation = \"windows\"` use `task.class_weights = \"balanced\"`",
            );
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_nothing_would_read_are_refused_and_so_is_what_they_cannot_mean() {
        let keys = |table: &str| {
            let config = crate::tasks().read(&table.parse().unwrap()).unwrap();
            let problems = config.problems().iter().map(ToString::to_string).collect::<Vec<_>>();
            (config.windows(), problems.join("\n"))
        };
        let windows = "truncation = \"windows\"";
        for name in ["labelled", "imdb"] {
            let named = format!("name = \"{name}\"\n");
            let (none, problems) = keys(&named);
            assert!(none.is_none() && problems.is_empty(), "{problems}");
            let (standard, problems) = keys(&format!("{named}{windows}"));
            assert_eq!(standard, Some(WindowKeys::default().windows()), "{problems}");
            assert!(problems.is_empty(), "{problems}");
            let (_, problems) =
                keys(&format!("{named}stride = 3\nwindow_pooling = \"max\"\nmax_windows = 2"));
            for key in ["stride", "window_pooling", "max_windows"] {
                assert!(problems.contains(&format!("`task.{key}` is")), "{problems}");
            }
            let (_, problems) = keys(&format!("{named}{windows}\nmax_windows = 0"));
            assert!(problems.contains("must be at least 1"), "{problems}");
            let (_, problems) = keys(&format!("{named}{windows}\nsampling = \"balanced\""));
            assert!(problems.contains("class_weights"), "{problems}");
        }
        let numbers = "regression = true\nwindow_pooling = \"max\"";
        let (_, problems) = keys(&format!("name = \"labelled\"\n{windows}\n{numbers}"));
        assert!(problems.contains("numbers have none"), "{problems}");
        for name in ["ner", "qa", "choice", "bags", "sst2"] {
            let (none, problems) = keys(&format!("name = \"{name}\"\n{windows}"));
            assert!(
                none.is_none() && problems.contains("`task.truncation` is `windows`"),
                "{problems}"
            );
        }
    }
}
