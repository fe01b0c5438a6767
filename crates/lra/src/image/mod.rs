//! Image: what a picture of 32 × 32 pixels shows, read pixel by pixel in grey (CIFAR-10, Krizhevsky 2009).
//!
//! An id is the grey of a pixel, 0 to 255, by TensorFlow's rule; row by row, 1024 of them.
//!
//! Three forms of the data are read, told apart by what a folder holds: the official binary batches, the official
//! batches for Python, and a folder for each class.
//!
//! | module | idea |
//! |---|---|
//! | `batch` | a batch of CIFAR-10: the pictures of one file |
//! | `batches` | the official batches, one after the other |
//! | `pickle` | those for Python, without executing them |
//! | `folders` | `train/CLASS/NAME.jpg` |
//! | `task` | the task as configs know it |

mod batch;
mod batches;
mod folders;
mod pickle;
mod task;

use std::path::{Path, PathBuf};

use nystromformer_tasks::{DataError, Example, ExampleReader, Input, Label, Split};

use self::batches::BatchForm;
pub use self::task::Image;

/// Pixels of a side.
pub const SIDE: usize = 32;

/// The classes of the official batches, by their labels.
const CIFAR10_CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// A form of the data, and where it was found.
enum Found {
    Batches(BatchForm, PathBuf),
    Folders(PathBuf),
}

/// Opens a split of CIFAR-10 (`None` if it has no such) in `folder`, whatever form it has there. Pictures are decoded when they are read.
///
/// Nine tenths of the training pictures train, the others validate. Of the official batches the last tenth validates, as
/// in the Long Range Arena (whose copy of the data is in another order). The pictures of class folders are shuffled
/// before, by `seed`; otherwise the last classes alone would validate.
///
/// # Errors
///
/// [`DataError::Dataset`] if there is no such data, or a file of it is damaged, [`DataError::Io`].
pub fn open(folder: &Path, split: Split, seed: u64) -> Result<Option<ExampleReader>, DataError> {
    match find(folder)? {
        Found::Batches(format, folder) => batches::open(&folder, format, split),
        Found::Folders(folder) => folders::open(&folder, split, seed),
    }
}

/// The names of the classes, by their labels.
///
/// # Errors
///
/// Those of [`open`].
pub fn class_names(folder: &Path) -> Result<Vec<String>, DataError> {
    match find(folder)? {
        Found::Batches(..) => Ok(CIFAR10_CLASSES.map(str::to_owned).to_vec()),
        Found::Folders(folder) => folders::class_names(&folder),
    }
}

fn find(folder: &Path) -> Result<Found, DataError> {
    for format in [BatchForm::Binary, BatchForm::Python] {
        for place in [folder.to_owned(), folder.join(format.folder_name())] {
            if place.join(format.train_names()[0].as_str()).is_file() {
                return Ok(Found::Batches(format, place));
            }
        }
    }
    if folder.join("train").is_dir() && folder.join("test").is_dir() {
        return Ok(Found::Folders(folder.to_owned()));
    }
    Err(DataError::dataset(
        folder,
        "there is no CIFAR-10. Expected `data_batch_1.bin` to `_5.bin` and `test_batch.bin` (the binary version), `data_batch_1` \
         to `_5` and `test_batch` (the version for Python), both from https://www.cs.toronto.edu/~kriz/cifar.html, or \
         `train/CLASS/NAME.png` and `test/CLASS/NAME.png` (or `.jpg`)",
    ))
}

/// The splits of so many training pictures: how many of them train.
fn train_count(pictures: usize) -> usize {
    pictures - pictures / 10
}

fn example(pixels: impl Iterator<Item = u8>, class: u16) -> Example {
    Example {
        row: None,
        id: None,
        input: Input::Ids { first: pixels.map(u16::from).collect(), second: None },
        label: Some(Label::Class(class)),
    }
}

#[cfg(test)]
mod tests;
