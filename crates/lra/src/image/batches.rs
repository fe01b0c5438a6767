//! The official batches of CIFAR-10, one after the other; one is in memory at a time.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nystromformer_tasks::{DataError, Example, ExampleReader, Split, git_lfs};

use super::batch::{CifarBatch, PICTURE_BYTES};
use super::{CIFAR10_CLASSES, pickle, train_count};
use crate::reading::reader;

/// Bytes of a batch that is still read; the official ones have 31 million.
const MAX_BATCH_BYTES: u64 = 64 << 20;

/// Which of the two official versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BatchForm {
    /// A label's byte and a picture's bytes, over and over.
    Binary,
    /// A pickled dictionary.
    Python,
}

impl BatchForm {
    /// The folder in the official archive.
    pub(super) fn folder_name(self) -> &'static str {
        match self {
            Self::Binary => "cifar-10-batches-bin",
            Self::Python => "cifar-10-batches-py",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Binary => ".bin",
            Self::Python => "",
        }
    }

    pub(super) fn train_names(self) -> [String; 5] {
        [1, 2, 3, 4, 5].map(|number| format!("data_batch_{number}{}", self.extension()))
    }

    fn test_name(self) -> String {
        format!("test_batch{}", self.extension())
    }
}

/// Opens a split; the last tenth of the training pictures validates.
pub(super) fn open(
    folder: &Path,
    format: BatchForm,
    split: Split,
) -> Result<Option<ExampleReader>, DataError> {
    let names = match split {
        Split::Train | Split::Validation => Vec::from(format.train_names()),
        Split::Test => vec![format.test_name()],
        Split::ValidationMismatched | Split::TestMismatched => return Ok(None),
    };
    let paths: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    let mut pictures = 0;
    for path in &paths {
        pictures += count(path, format)?;
    }
    let train = train_count(pictures);
    let wanted = match split {
        Split::Train => 0..train,
        Split::Validation => train..pictures,
        _ => 0..pictures,
    };
    let is_first = wanted.start == 0;
    let examples = paths
        .into_iter()
        .flat_map(move |path| places(&path, format))
        .enumerate()
        // An error is passed on wherever it stands: no number behind it is known.
        .filter(move |(number, place)| place.is_err() || wanted.contains(number))
        .map(move |(number, place)| {
            let (batch, picture) = place?;
            let row = (!is_first).then_some(number);
            Ok(Example { row, ..batch.example(picture) })
        });
    Ok(Some(reader(folder, examples)))
}

/// The pictures of a file, by place; or the error why there are none.
fn places(
    path: &Path,
    format: BatchForm,
) -> impl Iterator<Item = Result<(Arc<CifarBatch>, usize), DataError>> + use<> {
    let (batch, error) = match load(path, format) {
        Ok(batch) => (Some(Arc::new(batch)), None),
        Err(error) => (None, Some(Err(error))),
    };
    let pictures = batch.into_iter().flat_map(|batch| {
        (0..batch.labels.len()).map(move |picture| Ok((Arc::clone(&batch), picture)))
    });
    error.into_iter().chain(pictures)
}

/// How many pictures a file holds.
fn count(path: &Path, format: BatchForm) -> Result<usize, DataError> {
    match format {
        BatchForm::Binary => Ok((size(path)? / (1 + PICTURE_BYTES as u64)) as usize),
        BatchForm::Python => Ok(load(path, format)?.labels.len()),
    }
}

fn size(path: &Path) -> Result<u64, DataError> {
    let bytes = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(_) => return Err(DataError::dataset(path, "this batch of CIFAR-10 is missing")),
    };
    if bytes > MAX_BATCH_BYTES {
        return Err(DataError::dataset(path, format!("{bytes} bytes are no batch of CIFAR-10")));
    }
    Ok(bytes)
}

fn load(path: &Path, format: BatchForm) -> Result<CifarBatch, DataError> {
    size(path)?;
    git_lfs::check(path)?;
    let bytes = fs::read(path).map_err(DataError::io("read", path))?;
    let batch = match format {
        BatchForm::Binary => binary(&bytes),
        BatchForm::Python => pickle::batch(&bytes),
    };
    let batch = batch.map_err(|problem| DataError::dataset(path, problem))?;
    match batch.labels.iter().position(|label| usize::from(*label) >= CIFAR10_CLASSES.len()) {
        Some(picture) => Err(DataError::dataset(
            path,
            format!("the label of picture {picture} is `{}`, not 0 to 9", batch.labels[picture]),
        )),
        None => Ok(batch),
    }
}

fn binary(bytes: &[u8]) -> Result<CifarBatch, String> {
    let records = bytes.chunks_exact(1 + PICTURE_BYTES);
    if bytes.is_empty() || !records.remainder().is_empty() {
        return Err(format!(
            "{} bytes are not a whole number of pictures of {} bytes; is the file cut off?",
            bytes.len(),
            1 + PICTURE_BYTES
        ));
    }
    let mut batch = CifarBatch {
        labels: Vec::with_capacity(records.len()),
        pictures: Vec::with_capacity(bytes.len()),
    };
    for record in records {
        batch.labels.push(record[0]);
        batch.pictures.extend_from_slice(&record[1..]);
    }
    Ok(batch)
}
