//! `manifest.json`: the commit mark of a checkpoint, and everything it says about itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use crate::computed_with::ComputedWith;
use crate::error::{LearnerError, Result};
use crate::loss_scale::LossScale;
use crate::metrics_log::EvaluationRecord;

/// The version of the checkpoint layout that this code writes, and the only one it reads.
pub const FORMAT_VERSION: u32 = 1;

/// The manifest's file name.
pub const MANIFEST: &str = "manifest.json";

/// What a checkpoint says about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT_VERSION`] of the code that wrote it.
    pub format_version: u32,
    /// Version of this package that wrote it.
    pub written_by: String,
    /// Where training stood.
    pub state: TrainingState,
    /// What the run was made of, by name (config, tokenizer, data): the hashes a resumed run must
    /// still have.
    pub fingerprints: BTreeMap<String, String>,
    /// Every other file of the checkpoint, by its path relative to it, with `/` between components.
    pub files: BTreeMap<String, FileRecord>,
}

/// Length and hash of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// Bytes.
    pub length: u64,
    /// BLAKE3, in hexadecimal.
    pub blake3: String,
}

/// Where training stood: all that a resumed run needs beyond weights, moments and its
/// configuration.
///
/// Everything random is derived from the seed and the step, so there is no generator's state to
/// keep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingState {
    /// Optimizer steps attempted so far; the data cursor, and the position in the schedule.
    pub step: usize,
    /// Steps whose update was applied; the optimizer's own count, for its bias correction.
    pub updates: usize,
    /// Steps that changed nothing because no example had a target.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub steps_without_targets: usize,
    /// Steps skipped in a row, up to this one, because something was not finite; those not counted that halved `loss_scale`.
    pub consecutive_skips: usize,
    /// What the next step's loss is multiplied by, of a run in `f16`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<LossScale>,
    /// The seed of the run.
    pub seed: u64,
    /// Wall seconds of training so far, evaluations and checkpoints included, over all sessions.
    pub elapsed_seconds: f64,
    /// The part of them that optimizer steps took.
    #[serde(default)]
    pub step_seconds: f64,
    /// Largest resident set of any session so far, in bytes.
    #[serde(default)]
    pub peak_rss_bytes: u64,
    /// Tokens seen so far.
    pub tokens: u64,
    /// Loss of the last step whose update was applied.
    pub last_loss: Option<f64>,
    /// The last evaluation.
    pub last_evaluation: Option<EvaluationRecord>,
    /// The best evaluation, by `trainer.metric_for_best_model`.
    pub best_evaluation: Option<EvaluationRecord>,
    /// Evaluations in a row without a new best one; what early stopping counts.
    pub evaluations_without_improvement: usize,
    /// What computed, one entry for each change between sessions. Empty in checkpoints of before 0.2.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub computed_with: Vec<ComputedWith>,
    /// What was settled at the beginning and told then: a head that was drawn anew, classes that were put in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(crate) fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl TrainingState {
    /// The state before the first step.
    pub fn start(seed: u64) -> Self {
        Self {
            step: 0,
            updates: 0,
            steps_without_targets: 0,
            consecutive_skips: 0,
            loss_scale: None,
            seed,
            elapsed_seconds: 0.0,
            step_seconds: 0.0,
            peak_rss_bytes: 0,
            tokens: 0,
            last_loss: None,
            last_evaluation: None,
            best_evaluation: None,
            evaluations_without_improvement: 0,
            computed_with: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Notes what computes from now on, unless it is what computed before. Says what of it is other than before and can
    /// change bits.
    pub(crate) fn note_computed_with(&mut self, now: ComputedWith) -> Vec<String> {
        let before = self.computed_with.last();
        let differences = before.map_or_else(Vec::new, |before| before.differences(&now));
        if before != Some(&now) {
            self.computed_with.push(now);
        }
        differences
    }
}

impl FileRecord {
    /// Reads a file to its end and notes what is there.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let mut file = File::open(path).map_err(LearnerError::io("open", path))?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; 1 << 20];
        let mut length = 0;
        loop {
            let read = file.read(&mut buffer).map_err(LearnerError::io("read", path))?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            length += read as u64;
        }
        Ok(Self { length, blake3: hasher.finalize().to_hex().to_string() })
    }
}

impl Manifest {
    /// The text of the file.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self)
            .expect("a manifest is strings, numbers and maps with string keys")
    }

    /// Reads the manifest of `directory`, without a look at the files it names.
    ///
    /// # Errors
    /// [`LearnerError::Checkpoint`] if there is no manifest, it does not parse, or is of another
    /// version.
    pub fn read(directory: &Path) -> Result<Self> {
        let wrong = |message: String| LearnerError::checkpoint(directory, message);
        let path = directory.join(MANIFEST);
        let text = std::fs::read_to_string(&path)
            .map_err(|error| wrong(format!("`{MANIFEST}` cannot be read ({error})")))?;
        let manifest: Self = serde_json::from_str(&text).map_err(|error| {
            // A future layout may not parse at all, so its version is looked for first.
            match serde_json::from_str::<serde_json::Value>(&text)
                .ok()
                .and_then(|value| value["format_version"].as_u64())
            {
                Some(version) if version != u64::from(FORMAT_VERSION) => {
                    wrong(unknown_version(version))
                }
                _ => wrong(format!("`{MANIFEST}` does not parse ({error})")),
            }
        })?;
        if manifest.format_version != FORMAT_VERSION {
            return Err(wrong(unknown_version(u64::from(manifest.format_version))));
        }
        Ok(manifest)
    }

    /// Reads the manifest of `directory` and checks every file it names.
    ///
    /// # Errors
    /// [`LearnerError::Checkpoint`] as for [`Self::read`], and if it names a path outside the
    /// directory, or any file differs in length or hash; the message says which.
    pub fn verify(directory: &Path) -> Result<Self> {
        let wrong = |message: String| LearnerError::checkpoint(directory, message);
        let manifest = Self::read(directory)?;
        for (name, expected) in &manifest.files {
            if !is_plain_relative(name) {
                return Err(wrong(format!(
                    "`{MANIFEST}` names `{name}`, which is not a file inside the checkpoint"
                )));
            }
            let found = FileRecord::of(&directory.join(name))
                .map_err(|error| wrong(format!("`{name}` is missing or unreadable ({error})")))?;
            if found.length != expected.length {
                return Err(wrong(format!(
                    "`{name}` is `{}` bytes long instead of `{}`",
                    found.length, expected.length
                )));
            }
            if found.blake3 != expected.blake3 {
                return Err(wrong(format!(
                    "`{name}` is damaged: its hash is not the one it was written with"
                )));
            }
        }
        Ok(manifest)
    }
}

fn unknown_version(version: u64) -> String {
    format!(
        "has format version `{version}`, but this program reads `{FORMAT_VERSION}`; \
         resume with the version that wrote it"
    )
}

/// Whether a name from a file can only denote something inside its directory.
fn is_plain_relative(name: &str) -> bool {
    let mut components = Path::new(name).components().peekable();
    components.peek().is_some()
        && !name.contains('\\')
        && components.all(|component| matches!(component, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Experiment;

    proptest! {
        /// Without `serde_json`'s `float_roundtrip` about one number in a thousand comes back with another
        /// last bit.
        #[test]
        fn numbers_keep_their_bits(bits in proptest::collection::vec(any::<u64>(), 64)) {
            for bits in bits.into_iter().chain([(0.1_f64 + 0.2).to_bits(), 1]) {
                let number = f64::from_bits(bits);
                prop_assume!(number.is_finite());
                let state = TrainingState { elapsed_seconds: number, ..TrainingState::start(0) };
                let json = serde_json::to_string(&state).unwrap();
                let read: TrainingState = serde_json::from_str(&json).unwrap();
                prop_assert_eq!(read.elapsed_seconds.to_bits(), bits, "{}", json);
            }
        }
    }

    #[test]
    fn what_computed_is_kept_once_for_each_change_and_may_be_absent() {
        let mut state = TrainingState::start(3);
        let json = serde_json::to_string(&state).unwrap();
        assert!(!json.contains("computed_with") && !json.contains("notes"), "{json}");
        assert_eq!(serde_json::from_str::<TrainingState>(&json).unwrap(), state);

        let here = ComputedWith::now(&Experiment::default());
        assert_eq!(state.note_computed_with(here.clone()), Vec::<String>::new());
        assert_eq!(state.note_computed_with(here.clone()), Vec::<String>::new());
        let there = ComputedWith { vectors: "sse".to_owned(), ..here.clone() };
        let told = state.note_computed_with(there.clone());
        assert_eq!(told, [format!("vectors: was `{}`, now `sse`", here.vectors)]);
        assert_eq!(state.computed_with, [here, there]);
        let json = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<TrainingState>(&json).unwrap(), state);
    }

    #[test]
    fn only_plain_relative_names_are_accepted() {
        for name in ["model.safetensors", "tokenizer/vocab.txt"] {
            assert!(is_plain_relative(name), "{name}");
        }
        for name in ["", ".", "../model", "a/../../b", "/etc/passwd", "..\\x"] {
            assert!(!is_plain_relative(name), "{name}");
        }
    }
}
