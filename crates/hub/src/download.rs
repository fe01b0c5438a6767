//! From a name to a folder.

use std::{
    cell::Cell,
    collections::BTreeSet,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{
    Hub, Progress,
    cache::Repository,
    client::{Call, quoted, read_json},
    error::{HubError, Result, brief},
    fetch::RemoteFile,
    name::{ModelName, is_commit},
    wanted::{Wanted, is_index, shards},
};

/// Largest index of weights that is read. That of a model with a million tensors has some 100 MB, and no model here has so many.
const MAX_INDEX_BYTES: u64 = 32 << 20;

/// A model in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The folder of its files.
    pub folder: PathBuf,
    /// The commit that they are of.
    pub commit: String,
    /// Bytes that were downloaded for it now; 0 if everything was there.
    pub downloaded: u64,
}

/// What the Hub says of a repository at a revision.
#[derive(Debug, Deserialize)]
struct Listing {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Debug, Deserialize)]
struct Sibling {
    rfilename: String,
}

impl Hub {
    /// Brings the wanted files of a model into the cache, those that are not there yet, and gives their folder.
    ///
    /// `progress` is told of the bytes of all files together. Where the Hub cannot be reached, the commit that is in the cache
    /// is taken, with a warning.
    ///
    /// # Errors
    /// [`HubError::Refused`] if there is no such model, revision or permission, none of the files, or none in the cache when offline;
    /// [`HubError::Damaged`] if a file is not what the Hub announced; [`HubError::Unreachable`] and [`HubError::Disk`].
    pub fn download(
        &self,
        model: &ModelName,
        wanted: Wanted<'_>,
        progress: Progress<'_>,
    ) -> Result<Snapshot> {
        let repository = self.cache.repository(model);
        if self.offline {
            return cached(model, &repository).ok_or_else(|| {
                HubError::Refused(format!(
                    "`HF_HUB_OFFLINE` is set, and it is not in `{}`: download it once without, or name a revision that is there",
                    self.cache.folder().display()
                ))
            });
        }
        let listing = match self.listing(model) {
            Ok(listing) => listing,
            Err(error @ HubError::Unreachable(_)) => {
                let Some(cached) = cached(model, &repository) else { return Err(error) };
                tracing::warn!(
                    "`{model}` is taken from the cache, as it was at commit `{}`: {error}",
                    cached.commit
                );
                return Ok(cached);
            }
            Err(error) => return Err(error),
        };
        let commit = &listing.sha;
        if !is_commit(commit) {
            let problem = format!("`{}` is no commit; check `HF_ENDPOINT`", brief(commit));
            return Err(HubError::Damaged(problem));
        }
        let listed: BTreeSet<String> =
            listing.siblings.into_iter().map(|sibling| sibling.rfilename).collect();
        let downloaded = self.complete(model, &repository, commit, &listed, wanted, progress)?;
        if !is_commit(model.revision()) {
            repository.keep_commit(model.revision(), commit)?;
        }
        Ok(Snapshot { folder: repository.snapshot(commit), commit: commit.clone(), downloaded })
    }

    /// The commit of a revision, and its files.
    fn listing(&self, model: &ModelName) -> Result<Listing> {
        let (endpoint, revision) = (self.client.endpoint(), quoted(model.revision()));
        let url = format!("{endpoint}/api/models/{}/revision/{revision}", model.id());
        read_json(self.client.accept(self.client.send(&Call::get(url))?, model)?)
    }

    /// Downloads what a snapshot lacks of the files that are read, and says how many bytes that were.
    fn complete(
        &self,
        model: &ModelName,
        repository: &Repository,
        commit: &str,
        listed: &BTreeSet<String>,
        wanted: Wanted<'_>,
        progress: Progress<'_>,
    ) -> Result<u64> {
        let snapshot = repository.snapshot(commit);
        let lacking = |name: &str| !snapshot.join(name).exists();
        let mut names: Vec<String> = Vec::new();
        let mut downloaded = 0;
        if let Some(weights) = wanted.listed_weights(listed) {
            if is_index(weights) {
                if lacking(weights) {
                    let index = self.remote_file(model, commit, weights)?;
                    downloaded += self.bring(model, repository, commit, &[index], progress)?;
                }
                let shards = read_index(&snapshot.join(weights), listed).map_err(|problem| {
                    HubError::Damaged(format!("its `{weights}` cannot be used: {problem}"))
                })?;
                names.extend(shards);
            }
            names.push(weights.to_owned());
        }
        names.extend(wanted.listed_files(listed).into_iter().map(str::to_owned));
        if names.is_empty() {
            return Err(HubError::Refused(nothing_wanted(wanted, listed)));
        }
        let read = names.len();
        names.retain(|name| lacking(name));
        let missing = names
            .iter()
            .map(|name| self.remote_file(model, commit, name))
            .collect::<Result<Vec<RemoteFile>>>()?;
        if missing.is_empty() {
            return Ok(downloaded);
        }
        tracing::info!(
            "downloading {} of the {read} files of `{model}` that are read ({:.1} MB): {}; {} others stay where they are",
            missing.len(),
            total(&missing) as f64 / 1e6,
            names.join(", "),
            listed.len().saturating_sub(read)
        );
        Ok(downloaded + self.bring(model, repository, commit, &missing, progress)?)
    }

    /// Brings files into a snapshot, in their order, and says how many bytes had to be downloaded.
    fn bring(
        &self,
        model: &ModelName,
        repository: &Repository,
        commit: &str,
        files: &[RemoteFile],
        progress: Progress<'_>,
    ) -> Result<u64> {
        let total = total(files);
        let mut downloaded = 0;
        let before = Cell::new(0);
        for file in files {
            let blob = repository.blob(&file.tag);
            let lock = repository.lock(&file.tag, &file.name)?;
            // Of another commit, or brought by another process meanwhile.
            let is_there = fs::metadata(&blob).is_ok_and(|found| found.len() == file.size);
            if !is_there {
                self.fetch(model, file, &blob, &|done, _| progress(before.get() + done, total))?;
                downloaded += file.size;
            }
            repository.link(&file.tag, commit, &file.name)?;
            drop(lock);
            before.set(before.get() + file.size);
            progress(before.get(), total);
        }
        Ok(downloaded)
    }
}

/// What to say where a repository has no file that is read.
fn nothing_wanted(wanted: Wanted<'_>, listed: &BTreeSet<String>) -> String {
    let quoted = |names: &mut dyn Iterator<Item = &str>| {
        names.map(|name| format!("`{}`", brief(name))).collect::<Vec<_>>().join(", ")
    };
    let looked_for = quoted(&mut wanted.weights.iter().chain(wanted.files).copied());
    let there = quoted(&mut listed.iter().take(8).map(String::as_str));
    let problem = format!(
        "none of the files that are read ({looked_for}) is among its `{}` files",
        listed.len()
    );
    if there.is_empty() { problem } else { format!("{problem}: {there}") }
}

/// What is in the cache of a revision, if anything is.
fn cached(model: &ModelName, repository: &Repository) -> Option<Snapshot> {
    let commit = repository.commit_of(model.revision())?;
    let folder = repository.snapshot(&commit);
    folder.is_dir().then_some(Snapshot { folder, commit, downloaded: 0 })
}

/// Bytes of all files together, as a server announces them.
fn total(files: &[RemoteFile]) -> u64 {
    files.iter().map(|file| file.size).fold(0, u64::saturating_add)
}

/// The files that an index names; or what is wrong with it.
fn read_index(path: &Path, listed: &BTreeSet<String>) -> Result<Vec<String>, String> {
    let mut index = Vec::new();
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_INDEX_BYTES + 1).read_to_end(&mut index).map_err(|error| error.to_string())?;
    if index.len() as u64 > MAX_INDEX_BYTES {
        return Err(format!("it is longer than {MAX_INDEX_BYTES} bytes"));
    }
    shards(&index, listed)
}
