//! Which files are a corpus, and what a folder holds besides.

use std::fs;
use std::io;
use std::path::Path;

use nystromformer_files::say_once;
use nystromformer_files::table::Format;

use super::ReadOptions;
use super::file::{CorpusFile, FileKind};
use super::found::Found;
use crate::config::{DataConfig, SAMPLE_CORPUS};
use crate::error::DataError;

/// What is read, for messages.
const READ: &str =
    ".txt, .jsonl or .parquet file, nor a .json, .csv or .tsv with the column of the text";

/// The files of the corpus at `name`, in the order of their paths. What a folder holds besides is said.
pub(super) fn corpus_files(
    name: &Path,
    options: &ReadOptions,
) -> Result<Vec<CorpusFile>, DataError> {
    let metadata = match fs::metadata(name) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(DataError::corpus(
                name,
                "there is no such file or folder; `data.corpus` names a file or folder of .txt, .jsonl, .parquet, .json, \
                 .csv or .tsv, or is \"sample\"",
            ));
        }
        Err(error) => return Err(DataError::io("open the corpus", name)(error)),
    };
    if !metadata.is_dir() {
        let form = FileKind::of(name).ok_or_else(|| {
            let cure = if Format::is_unread(name) {
                Format::cure(name)
            } else {
                format!("call it .txt if it is plain text, or use a {}", Format::KNOWN)
            };
            DataError::corpus(name, format!("unknown extension; {cure}"))
        })?;
        return Ok(vec![CorpusFile { path: name.to_owned(), form, bytes: metadata.len() }]);
    }
    let mut found = Found::default();
    found.collect(name, Some(options))?;
    found.files.sort_by(|left, right| left.path.cmp(&right.path));
    let left_out = found.left_out();
    if found.files.is_empty() {
        let besides =
            left_out.map_or_else(String::new, |left_out| format!("; it holds {left_out}"));
        return Err(DataError::corpus(name, format!("the folder holds no {READ}{besides}")));
    }
    if let Some(left_out) = left_out {
        say_once(format!("corpus `{}`: left out of it: {left_out}", name.display()));
    }
    Ok(found.files)
}

/// Whether there is anything to read at `path`: a file, or a folder with a file of text in it.
fn holds_text(path: &Path) -> Result<bool, DataError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let mut found = Found::default();
            found.collect(path, None)?;
            Ok(!found.files.is_empty())
        }
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(DataError::io("open the corpus", path)(error)),
    }
}

/// Settles [`DataConfig::sample_if_missing`]: the sample becomes the corpus if there is no text at the
/// one that is named, which is then returned. Afterwards the key is off, so that a resolved
/// config says what is trained on, whatever appears at that path later.
///
/// # Errors
///
/// [`DataError::Io`] if the path is there but cannot be looked at.
pub fn settle_corpus(config: &mut DataConfig) -> Result<Option<String>, DataError> {
    if !std::mem::take(&mut config.sample_if_missing)
        || config.corpus == SAMPLE_CORPUS
        || holds_text(Path::new(&config.corpus))?
    {
        return Ok(None);
    }
    Ok(Some(std::mem::replace(&mut config.corpus, SAMPLE_CORPUS.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_stands_in_until_there_is_text() {
        let folder = tempfile::tempdir().unwrap();
        let named = folder.path().join("data");
        let config = DataConfig {
            corpus: named.to_str().unwrap().to_owned(),
            sample_if_missing: true,
            ..DataConfig::default()
        };
        let settled = || {
            let mut config = config.clone();
            let replaced = settle_corpus(&mut config).unwrap();
            assert!(!config.sample_if_missing);
            (config.corpus, replaced)
        };
        let sample = (SAMPLE_CORPUS.to_owned(), Some(config.corpus.clone()));
        assert_eq!(settled(), sample);
        fs::create_dir(&named).unwrap();
        fs::write(named.join("README.md"), "not text to train on").unwrap();
        assert_eq!(settled(), sample);
        fs::write(named.join("a.txt"), "text").unwrap();
        assert_eq!(settled(), (config.corpus.clone(), None));
    }

    #[test]
    fn a_missing_corpus_stays_missing_unless_told_otherwise() {
        let mut config = DataConfig { corpus: "nowhere".to_owned(), ..DataConfig::default() };
        assert_eq!(settle_corpus(&mut config).unwrap(), None);
        assert_eq!(config.corpus, "nowhere");
    }
}
