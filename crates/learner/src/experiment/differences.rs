//! What a resumed run must not change, and what it may.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::Experiment;
use super::paths::is_path;

/// Keys that say how a run is kept, watched and fitted into memory, not what it computes. A resumed run may change them.
const BOOKKEEPING: [&str; 9] = [
    "data.cache_dir",
    "ranks.overlap",
    "ranks.timeout_seconds",
    "trainer.checkpoint_every",
    "trainer.gradient_checkpointing",
    "trainer.keep_last",
    "trainer.log_every",
    "trainer.self_check",
    "trainer.tensorboard",
];

impl Experiment {
    /// Every value that the result may depend on, by its dotted key, to compare two experiments
    /// field by field.
    pub fn fields(&self) -> BTreeMap<String, String> {
        fn collect(table: &Table, prefix: &str, fields: &mut BTreeMap<String, String>) {
            for (name, value) in table {
                let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                match value {
                    Value::Table(inner) => collect(inner, &key, fields),
                    Value::String(text) => {
                        fields.insert(key, text.clone());
                    }
                    other => {
                        fields.insert(key, other.to_string());
                    }
                }
            }
        }
        // Whether a table of defaults is written must not depend on what is left out below.
        let mut same = self.clone();
        same.take_bookkeeping(&Self::default());
        let mut fields = BTreeMap::new();
        collect(&same.to_table(), "", &mut fields);
        fields.retain(|key, _| !BOOKKEEPING.contains(&key.as_str()));
        fields
    }

    /// The same without the places of files, whose contents have fingerprints of their own.
    pub(crate) fn fields_without_paths(&self) -> BTreeMap<String, String> {
        let mut fields = self.fields();
        fields.retain(|key, _| !is_path(key));
        fields
    }

    /// Takes over what [`Self::fields`] leaves out; says whether anything of it was different.
    pub(crate) fn take_bookkeeping(&mut self, from: &Self) -> bool {
        let before = self.clone();
        self.data.cache_dir.clone_from(&from.data.cache_dir);
        self.ranks.overlap = from.ranks.overlap;
        self.ranks.timeout_seconds = from.ranks.timeout_seconds;
        self.trainer.checkpoint_every = from.trainer.checkpoint_every;
        self.trainer.gradient_checkpointing = from.trainer.gradient_checkpointing;
        self.trainer.keep_last = from.trainer.keep_last;
        self.trainer.log_every = from.trainer.log_every;
        self.trainer.self_check = from.trainer.self_check;
        self.trainer.tensorboard = from.trainer.tensorboard;
        *self != before
    }
}

/// The differences between two flat lists of named values, one sentence each; empty if there are
/// none.
pub(crate) fn differences(
    was: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
) -> Vec<String> {
    let absent = "nothing".to_owned();
    let keys: BTreeSet<&String> = was.keys().chain(now.keys()).collect();
    keys.into_iter()
        .filter_map(|key| {
            let (was, now) = (was.get(key).unwrap_or(&absent), now.get(key).unwrap_or(&absent));
            (was != now).then(|| format!("{key}: was `{was}`, now `{now}`"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranks::RanksConfig;

    #[test]
    fn differences_name_field_and_both_values() {
        let map = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let was = map(&[("seed", "1"), ("name", "a"), ("old", "x")]);
        let now = map(&[("seed", "2"), ("name", "a"), ("new", "y")]);
        assert_eq!(
            differences(&was, &now),
            [
                "new: was `nothing`, now `y`",
                "old: was `x`, now `nothing`",
                "seed: was `1`, now `2`"
            ]
        );
    }

    #[test]
    fn bookkeeping_is_taken_over_whole_and_nothing_else_is() {
        // A table of defaults is not written.
        let ranks = RanksConfig { timeout_seconds: 5, ..RanksConfig::default() };
        let run = Experiment { ranks, ..Experiment::default() };
        let mut asked = run.clone();
        asked.ranks.timeout_seconds += 1;
        asked.ranks.overlap = !asked.ranks.overlap;
        asked.data.cache_dir = "elsewhere".into();
        for count in [
            &mut asked.trainer.checkpoint_every,
            &mut asked.trainer.keep_last,
            &mut asked.trainer.log_every,
        ] {
            *count += 1;
        }
        asked.trainer.gradient_checkpointing = !asked.trainer.gradient_checkpointing;
        asked.trainer.self_check = !asked.trainer.self_check;
        asked.trainer.tensorboard = !asked.trainer.tensorboard;
        // Every key of the list was changed, and no other.
        let whole = |experiment: &Experiment| experiment.to_toml();
        let changed =
            whole(&run).lines().zip(whole(&asked).lines()).filter(|(a, b)| a != b).count();
        assert_eq!(changed, BOOKKEEPING.len());
        assert_eq!(run.fields(), asked.fields());
        assert_eq!(run.fields(), Experiment::default().fields());

        let mut resumed = run.clone();
        assert!(resumed.take_bookkeeping(&asked));
        assert_eq!(resumed, asked);
        assert!(!resumed.take_bookkeeping(&asked));
        asked.seed += 1;
        assert!(!resumed.take_bookkeeping(&asked));
        assert_ne!(resumed.fields(), asked.fields());
    }
}
