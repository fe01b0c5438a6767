//! Writing, finding, verifying and retiring the checkpoints of a run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nystromformer_files::durable;

use super::manifest::{FORMAT_VERSION, FileRecord, MANIFEST, Manifest, TrainingState};
use crate::error::{LearnerError, Result};

/// The `checkpoints` directory of a run.
#[derive(Debug, Clone)]
pub struct CheckpointStore {
    directory: PathBuf,
}

/// A verified checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Its directory, which is also a model that can be loaded.
    pub path: PathBuf,
    /// What it says about itself.
    pub manifest: Manifest,
}

impl CheckpointStore {
    /// Opens or creates the directory, and removes what dead processes left half-written in it and in its checkpoints.
    ///
    /// Only the holder of the run's lock may call this: it takes every scratch directory for
    /// litter.
    ///
    /// # Errors
    /// [`LearnerError::Io`] if the directory cannot be made or read.
    pub fn open(directory: PathBuf) -> Result<Self> {
        fs::create_dir_all(&directory).map_err(LearnerError::io("create", &directory))?;
        durable::sweep(&directory)?;
        let store = Self { directory };
        for step in store.steps()? {
            // Of a manifest that was being restated.
            durable::sweep(&store.path(step))?;
        }
        Ok(store)
    }

    /// The checkpoints in `directory`, to read only: nothing is made or removed.
    pub fn read_only(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The directory of the checkpoint at `step`.
    pub fn path(&self, step: usize) -> PathBuf {
        self.directory.join(format!("step-{step:08}"))
    }

    /// Writes the checkpoint at `state.step`: `write_files` fills the (scratch) directory it is
    /// given.
    ///
    /// The files are synced and hashed here. If a checkpoint of this step is there already, it is
    /// replaced.
    ///
    /// # Errors
    /// Those of `write_files`, and [`LearnerError::Io`]; the earlier checkpoints are untouched
    /// then.
    pub fn save(
        &self,
        state: TrainingState,
        fingerprints: BTreeMap<String, String>,
        write_files: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Checkpoint> {
        let path = self.path(state.step);
        let scratch = durable::scratch_sibling(&path);
        let result = Self::fill(&scratch, state, fingerprints, write_files);
        let manifest = result.inspect_err(|_| {
            // What cannot be removed now (a full disk may refuse even that) is swept at the next
            // start.
            let _ = fs::remove_dir_all(&scratch);
        })?;
        if path.exists() {
            self.remove(&path)?;
        }
        durable::rename(&scratch, &path)?;
        Ok(Checkpoint { path, manifest })
    }

    fn fill(
        scratch: &Path,
        state: TrainingState,
        fingerprints: BTreeMap<String, String>,
        write_files: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Manifest> {
        if scratch.exists() {
            fs::remove_dir_all(scratch).map_err(LearnerError::io("remove", scratch))?;
        }
        fs::create_dir(scratch).map_err(LearnerError::io("create", scratch))?;
        write_files(scratch)?;
        let mut files = BTreeMap::new();
        for name in names(scratch)? {
            let file = scratch.join(&name);
            durable::sync_file(&file)?;
            files.insert(name, FileRecord::of(&file)?);
        }
        let manifest = Manifest {
            format_version: FORMAT_VERSION,
            written_by: env!("CARGO_PKG_VERSION").to_owned(),
            state,
            fingerprints,
            files,
        };
        durable::write_new(&scratch.join(MANIFEST), manifest.to_json().as_bytes())?;
        durable::sync_directory(scratch)?;
        Ok(manifest)
    }

    /// Notes another state in the checkpoint at `state.step`, whose files stay as they are. At any instant it has the old
    /// state or the new one.
    ///
    /// # Errors
    /// [`LearnerError::Checkpoint`] if there is no such checkpoint, and [`LearnerError::Io`].
    pub fn restate(&self, state: TrainingState) -> Result<()> {
        let path = self.path(state.step);
        let manifest = Manifest { state, ..Manifest::read(&path)? };
        Ok(durable::replace(&path.join(MANIFEST), manifest.to_json().as_bytes())?)
    }

    /// The steps of all checkpoints, valid or not, oldest first; none if there is no directory yet.
    ///
    /// # Errors
    /// [`LearnerError::Io`] if the directory cannot be read.
    pub fn steps(&self) -> Result<Vec<usize>> {
        if !self.directory.exists() {
            return Ok(Vec::new());
        }
        let mut steps: Vec<usize> = names(&self.directory)?
            .iter()
            .filter_map(|name| name.strip_prefix("step-")?.parse().ok())
            .filter(|&step| self.path(step).is_dir())
            .collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// The newest checkpoint whose files are all as they were written; damaged ones are named in a
    /// warning and passed over. `None` if there is none at all.
    ///
    /// # Errors
    /// [`LearnerError::Checkpoint`] if there are checkpoints and every one is damaged.
    pub fn newest_valid(&self) -> Result<Option<Checkpoint>> {
        let mut damaged = None;
        for step in self.steps()?.into_iter().rev() {
            match self.valid(step) {
                Ok(checkpoint) => return Ok(Some(checkpoint)),
                Err(error) => {
                    tracing::warn!("passing over a checkpoint: {error}");
                    damaged.get_or_insert(error);
                }
            }
        }
        damaged.map_or(Ok(None), |error| {
            let cure = "no older checkpoint is whole: restore the file, or train anew with another `--run-dir`";
            Err(LearnerError::checkpoint(&self.directory, format!("{error}; {cure}")))
        })
    }

    /// The checkpoint at `step`, verified.
    ///
    /// # Errors
    /// [`LearnerError::Checkpoint`] if it is not there, damaged, or was renamed.
    pub fn valid(&self, step: usize) -> Result<Checkpoint> {
        let path = self.path(step);
        let manifest = Manifest::verify(&path)?;
        if manifest.state.step != step {
            let found = manifest.state.step;
            return Err(LearnerError::checkpoint(
                &path,
                format!("holds step `{found}`: it was renamed"),
            ));
        }
        Ok(Checkpoint { path, manifest })
    }

    /// After the one at step `saved` was written: keeps the newest `keep_last` checkpoints up to it
    /// and the one at step `best`, and removes the others.
    ///
    /// Checkpoints beyond `saved` are damaged ones that were passed over; training writes them anew
    /// when it gets there, and until then they must not count as kept. A checkpoint that cannot be removed is left with a warning: it costs space, not the run.
    ///
    /// # Errors
    /// [`LearnerError::Io`] if the directory cannot be read.
    pub fn retire(&self, saved: usize, keep_last: usize, best: Option<usize>) -> Result<()> {
        let mut steps = self.steps()?;
        steps.retain(|&step| step <= saved);
        let retired = steps.len().saturating_sub(keep_last.max(1));
        for &step in &steps[..retired] {
            if Some(step) != best
                && let Err(error) = self.remove(&self.path(step))
            {
                tracing::warn!("an old checkpoint stays: {error}");
            }
        }
        Ok(())
    }

    /// Removes a checkpoint, its manifest first: half of a removal is then a checkpoint that says
    /// it is none.
    fn remove(&self, path: &Path) -> Result<()> {
        let manifest = path.join(MANIFEST);
        match fs::remove_file(&manifest) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(LearnerError::io("remove", &manifest)(error));
            }
            _ => durable::sync_directory(path)?,
        }
        fs::remove_dir_all(path).map_err(LearnerError::io("remove", path))?;
        Ok(durable::sync_directory(&self.directory)?)
    }
}

/// The names in a directory, sorted; names that are not UTF-8 are not ours.
fn names(directory: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(LearnerError::io("read", directory))? {
        let entry = entry.map_err(LearnerError::io("read", directory))?;
        if let Ok(name) = entry.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [(&str, usize); 3] =
        [("config.json", 40), ("model.safetensors", 5000), ("optimizer.safetensors", 9000)];

    fn state(step: usize) -> TrainingState {
        TrainingState { step, ..TrainingState::start(1) }
    }

    fn save(store: &CheckpointStore, step: usize) -> Result<Checkpoint> {
        store.save(state(step), BTreeMap::new(), |directory| {
            for (name, length) in FILES {
                let bytes: Vec<u8> = (0..length).map(|i| (i * step % 251) as u8).collect();
                durable::write_new(&directory.join(name), &bytes)?;
            }
            Ok(())
        })
    }

    fn newest(store: &CheckpointStore) -> Option<usize> {
        store.newest_valid().unwrap().map(|checkpoint| checkpoint.manifest.state.step)
    }

    #[test]
    fn what_is_saved_is_found_and_verified() {
        let directory = tempfile::tempdir().unwrap();
        let store = CheckpointStore::open(directory.path().join("checkpoints")).unwrap();
        assert_eq!(newest(&store), None);
        let saved = save(&store, 7).unwrap();
        assert_eq!(store.newest_valid().unwrap(), Some(saved.clone()));
        assert_eq!(saved.manifest.files.len(), FILES.len());
        save(&store, 12).unwrap();
        assert_eq!(newest(&store), Some(12));
    }

    #[test]
    fn a_failure_at_any_operation_leaves_the_old_state_or_the_new_one() {
        for operations in 0.. {
            let directory = tempfile::tempdir().unwrap();
            let store = CheckpointStore::open(directory.path().to_path_buf()).unwrap();
            save(&store, 1).unwrap();
            durable::fault::allow(Some(operations));
            let result = save(&store, 2);
            durable::fault::allow(None);
            let reopened = CheckpointStore::open(directory.path().to_path_buf()).unwrap();
            let found = newest(&reopened);
            if let Err(error) = &result {
                assert_eq!(error.exit_code(), 7, "{error}");
                assert!(error.to_string().contains(&directory.path().display().to_string()));
                assert!(found == Some(1) || found == Some(2), "{operations}: {found:?}");
                // Training goes on from there: the same step can be saved again.
                save(&reopened, 2).unwrap();
                assert_eq!(newest(&reopened), Some(2));
            } else {
                assert_eq!(found, Some(2));
                assert!(operations > 8, "the sequence has more than {operations} operations");
                break;
            }
        }
    }

    #[test]
    fn a_flipped_byte_anywhere_is_refused_and_the_older_one_used() {
        let directory = tempfile::tempdir().unwrap();
        let store = CheckpointStore::open(directory.path().to_path_buf()).unwrap();
        save(&store, 1).unwrap();
        let damaged = save(&store, 2).unwrap();
        for (name, length) in FILES {
            let file = damaged.path.join(name);
            let intact = fs::read(&file).unwrap();
            for position in (0..length).step_by(997) {
                let mut bytes = intact.clone();
                bytes[position] ^= 1;
                fs::write(&file, &bytes).unwrap();
                let error = Manifest::verify(&damaged.path).unwrap_err();
                assert_eq!(error.exit_code(), 4);
                assert!(error.to_string().contains(name), "{error}");
                assert_eq!(newest(&store), Some(1));
            }
            fs::write(&file, &intact[..length / 2]).unwrap();
            assert_eq!(newest(&store), Some(1));
            fs::write(&file, &intact).unwrap();
        }
        assert_eq!(newest(&store), Some(2));
    }

    #[test]
    fn a_manifest_cut_short_anywhere_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let store = CheckpointStore::open(directory.path().to_path_buf()).unwrap();
        let saved = save(&store, 2).unwrap();
        let file = saved.path.join(MANIFEST);
        let intact = fs::read(&file).unwrap();
        for length in 0..intact.len() {
            fs::write(&file, &intact[..length]).unwrap();
            assert!(Manifest::verify(&saved.path).is_err(), "cut to {length} bytes");
        }
    }

    #[test]
    fn a_manifest_cannot_name_files_outside_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let store = CheckpointStore::open(directory.path().to_path_buf()).unwrap();
        let mut saved = save(&store, 2).unwrap();
        let record = saved.manifest.files["config.json"].clone();
        saved.manifest.files.insert("../../secret".to_owned(), record);
        let json = serde_json::to_string(&saved.manifest).unwrap();
        fs::write(saved.path.join(MANIFEST), json).unwrap();
        let error = Manifest::verify(&saved.path).unwrap_err().to_string();
        assert!(error.contains("`../../secret`"), "{error}");
    }

    #[test]
    fn another_format_version_is_refused_by_its_number() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(MANIFEST), "{\"format_version\": 9, \"new\": {}}").unwrap();
        let error = Manifest::verify(directory.path()).unwrap_err().to_string();
        assert!(error.contains("format version `9`"), "{error}");
    }

    #[test]
    fn when_every_checkpoint_is_damaged_the_newest_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let store = CheckpointStore::open(directory.path().to_path_buf()).unwrap();
        for step in [1, 2] {
            let saved = save(&store, step).unwrap();
            fs::write(saved.path.join("config.json"), "").unwrap();
        }
        let error = store.newest_valid().unwrap_err();
        assert_eq!(error.exit_code(), 4);
        assert!(error.to_string().contains("step-00000002"), "{error}");
    }

    #[test]
    fn retirement_keeps_the_last_ones_and_the_best() {
        let directory = tempfile::tempdir().unwrap();
        let store = CheckpointStore::open(directory.path().to_path_buf()).unwrap();
        for step in 1..=6 {
            save(&store, step).unwrap();
        }
        store.retire(6, 2, Some(3)).unwrap();
        assert_eq!(store.steps().unwrap(), [3, 5, 6]);
    }

    #[test]
    fn retirement_does_not_take_a_damaged_newer_checkpoint_for_a_kept_one() {
        let directory = tempfile::tempdir().unwrap();
        let store = CheckpointStore::open(directory.path().to_path_buf()).unwrap();
        for step in [2, 3, 5] {
            save(&store, step).unwrap();
        }
        fs::write(store.path(5).join("config.json"), "").unwrap();
        store.retire(3, 1, None).unwrap();
        assert_eq!(newest(&store), Some(3));
    }

    #[test]
    fn litter_of_a_dead_process_is_swept() {
        let directory = tempfile::tempdir().unwrap();
        let litter = directory.path().join("step-00000009.scratch-4194305");
        fs::create_dir(&litter).unwrap();
        fs::write(litter.join("model.safetensors"), "half").unwrap();
        let store = CheckpointStore::open(directory.path().to_path_buf()).unwrap();
        assert!(!litter.exists());
        assert_eq!(newest(&store), None);
    }

    #[test]
    fn litter_of_a_restatement_is_swept_and_the_checkpoint_stays() {
        let directory = tempfile::tempdir().unwrap();
        let store = CheckpointStore::open(directory.path().to_path_buf()).unwrap();
        let saved = save(&store, 3).unwrap();
        let litter = saved.path.join("manifest.json.scratch-4194305");
        fs::write(&litter, "{\"format").unwrap();
        // To look is not to sweep: another process may be at work there.
        assert_eq!(newest(&CheckpointStore::read_only(directory.path().to_path_buf())), Some(3));
        assert!(litter.exists());
        let store = CheckpointStore::open(directory.path().to_path_buf()).unwrap();
        assert!(!litter.exists());
        assert_eq!(store.newest_valid().unwrap(), Some(saved));
    }
}
