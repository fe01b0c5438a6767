//! Names on the Hugging Face Hub in the place of folders: `hub:owner/name`, `hub:owner/name@revision`.
//!
//! This crate makes no connection. A program that can download says how with [`use_hub`]; wherever a folder is read,
//! [`local_folder`] turns a name into the folder that it was downloaded to.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};

use super::{config::CONFIG_NAME, sentence_files, tokenizer_files, weights};
use crate::error::InteropError;

/// What stands before a name.
const PREFIX: &str = "hub:";

/// Which files of a model are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HubFiles {
    /// Configuration, weights and tokenizer.
    Model,
    /// The tokenizer alone.
    Tokenizer,
}

impl HubFiles {
    /// Names of the files that are read where they are there, without weights. `config.json` comes last: where it is, everything is.
    pub fn names(self) -> Vec<&'static str> {
        let config = (self == Self::Model).then_some(CONFIG_NAME);
        let of_model = (self == Self::Model).then_some(sentence_files::FILES);
        let beside = of_model.into_iter().flatten();
        tokenizer_files::FILES.into_iter().chain(beside).chain(config).collect()
    }

    /// Names of files with weights, and of indexes that name such files. The first that is there is read.
    pub fn weights(self) -> &'static [&'static str] {
        match self {
            Self::Model => &weights::CANDIDATES,
            Self::Tokenizer => &[],
        }
    }
}

/// Why there is no folder for a name, by what the caller can do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HubFailure {
    /// The name cannot be meant, or this program does not download. Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// There is no such model, it is not for everyone, or it came damaged. Exit code 4.
    #[error("{0}")]
    Model(String),
    /// The Hub or the disk does not answer. Exit code 7.
    #[error("{0}")]
    Io(String),
}

impl HubFailure {
    /// The process exit code for this failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Model(_) => 4,
            Self::Io(_) => 7,
        }
    }
}

/// Downloads what is read of the model with a name (`owner/name`, perhaps with `@revision`), and gives its folder.
pub type Download = fn(&str, HubFiles) -> Result<PathBuf, HubFailure>;

static DOWNLOAD: OnceLock<Download> = OnceLock::new();

/// The folders of names that were asked for: a name means the same files for as long as the process runs.
static FOLDERS: Mutex<BTreeMap<(String, HubFiles), PathBuf>> = Mutex::new(BTreeMap::new());

/// Lets this process download models by name. The first call counts.
pub fn use_hub(download: Download) {
    DOWNLOAD.get_or_init(|| download);
}

/// Whether names on the Hub are downloaded.
pub(super) fn downloads() -> bool {
    DOWNLOAD.get().is_some()
}

/// Whether it is a name on the Hub, and no path.
pub fn is_hub_name(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// The path itself; or the folder with the files of the model that it names on the Hub, downloaded if they are not there yet.
///
/// # Errors
/// [`InteropError::Hub`] if a name leads to no folder, or this process downloads nothing.
pub fn local_folder(path: &Path, files: HubFiles) -> Result<PathBuf, InteropError> {
    let Some(name) = path.to_str().and_then(|text| text.strip_prefix(PREFIX)) else {
        return Ok(path.to_owned());
    };
    let failed = |failure| InteropError::Hub { name: name.to_owned(), failure };
    let Some(download) = DOWNLOAD.get() else {
        let problem = "this program was built without the feature `hub`, and downloads nothing: build it with \
            `--features hub`, or download the folder (`hf download NAME --local-dir DIR`) and name that";
        return Err(failed(HubFailure::Usage(problem.to_owned())));
    };
    let key = (name.to_owned(), files);
    // One at a time, so that a name is asked for once. A panic meanwhile has left no half of an entry.
    let mut folders = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(folder) = folders.get(&key) {
        return Ok(folder.clone());
    }
    let folder = download(name, files).map_err(failed)?;
    folders.insert(key, folder.clone());
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    static ASKED: Mutex<Vec<(String, HubFiles)>> = Mutex::new(Vec::new());

    #[test]
    fn a_name_means_the_same_folder_for_as_long_as_the_process_runs() {
        // The only test of this process that downloads.
        let name = Path::new("hub:owner/name");
        let error = local_folder(name, HubFiles::Model).unwrap_err().to_string();
        assert!(
            error.starts_with("`hub:owner/name`: ") && error.contains("`--features hub`"),
            "{error}"
        );
        for path in ["runs/a", "hub", "./hub:owner/name"] {
            assert_eq!(local_folder(Path::new(path), HubFiles::Model).unwrap(), Path::new(path));
        }

        use_hub(|name, files| {
            ASKED.lock().unwrap().push((name.to_owned(), files));
            if name == "gone" {
                Err(HubFailure::Model("it is gone".to_owned()))
            } else {
                Ok("folder".into())
            }
        });
        use_hub(|_, _| panic!("the first counts"));
        for _ in 0..2 {
            assert_eq!(local_folder(name, HubFiles::Model).unwrap(), Path::new("folder"));
        }
        local_folder(name, HubFiles::Tokenizer).unwrap();
        let error = local_folder(Path::new("hub:gone"), HubFiles::Model).unwrap_err();
        assert_eq!(error.to_string(), "`hub:gone`: it is gone");
        assert!(matches!(error, InteropError::Hub { failure, .. } if failure.exit_code() == 4));
        let asked = ASKED.lock().unwrap();
        let asked: Vec<_> = asked.iter().map(|(name, files)| (name.as_str(), *files)).collect();
        let [model, tokenizer] = [HubFiles::Model, HubFiles::Tokenizer];
        assert_eq!(asked, [("owner/name", model), ("owner/name", tokenizer), ("gone", model)]);
    }
}
