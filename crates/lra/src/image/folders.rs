//! Folders of pictures, one for each class.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use nystromformer_tasks::{DataError, Example, ExampleReader, Split, random, say_once};

use super::{SIDE, example, train_count};
use crate::picture;
use crate::reading::reader;

/// Opens a split of `train/CLASS/NAME.png` and `test/CLASS/NAME.png` (or `.jpg`, `.jpeg`). Labels number the classes of
/// `train` by name; a prediction names a picture as its path in `folder`.
pub(super) fn open(
    folder: &Path,
    split: Split,
    seed: u64,
) -> Result<Option<ExampleReader>, DataError> {
    let classes = class_names(folder)?;
    let mut pictures = match split {
        Split::Train | Split::Validation => list(&folder.join("train"), &classes)?,
        Split::Test => {
            let test = folder.join("test");
            if let Some(class) = names(&test)?.into_iter().find(|name| !classes.contains(name)) {
                let problem = format!("there are no training pictures of class `{class}`");
                return Err(DataError::dataset(&test, problem));
            }
            list(&test, &classes)?
        }
        Split::ValidationMismatched | Split::TestMismatched => return Ok(None),
    };
    if split != Split::Test {
        random::shuffle(&mut pictures, &mut random::stream(seed, "image folders", 0));
        let validation = pictures.split_off(train_count(pictures.len()));
        if split == Split::Validation {
            pictures = validation;
        }
    }
    let root = folder.to_owned();
    let examples = pictures.into_iter().map(move |(path, class)| {
        let pixels = picture::read_grayscale(&path, SIDE)?.into_iter();
        let id = path.strip_prefix(&root).ok().map(|name| name.to_string_lossy().into_owned());
        Ok(Example { id, ..example(pixels, class) })
    });
    Ok(Some(reader(folder, examples)))
}

/// The classes by name, which is by label.
pub(super) fn class_names(folder: &Path) -> Result<Vec<String>, DataError> {
    let train = folder.join("train");
    let classes = names(&train)?;
    if (2..=usize::from(u16::MAX)).contains(&classes.len()) {
        return Ok(classes);
    }
    Err(DataError::dataset(
        &train,
        format!("expected a folder for each of several classes, found {}", classes.len()),
    ))
}

/// The names of the folders in a folder, in order; hidden ones are passed over.
fn names(folder: &Path) -> Result<Vec<String>, DataError> {
    let mut names = Vec::new();
    for entry in entries(folder)? {
        let name = entry.file_name().unwrap_or_default();
        if name.as_encoded_bytes().starts_with(b".") || !entry.is_dir() {
            continue;
        }
        let name = name.to_str().ok_or_else(|| {
            DataError::dataset(&entry, "the name of this class is not UTF-8; rename the folder")
        })?;
        names.push(name.to_owned());
    }
    names.sort();
    Ok(names)
}

/// The pictures of each class and its label, in the order of their names.
fn list(folder: &Path, classes: &[String]) -> Result<Vec<(PathBuf, u16)>, DataError> {
    let mut pictures = Vec::new();
    for (label, class) in (0..).zip(classes) {
        let class_folder = folder.join(class);
        if !class_folder.is_dir() {
            return Err(DataError::dataset(&class_folder, "there are no pictures of this class"));
        }
        let (mut paths, mut others): (Vec<_>, Vec<_>) =
            entries(&class_folder)?.into_iter().partition(|path| is_picture(path));
        paths.sort();
        others.sort();
        if let Some(first) = others.first() {
            say_once(format!(
                "`{}`: not read: {} entries that are no .png, .jpg or .jpeg file, such as `{}`",
                class_folder.display(),
                others.len(),
                first.display()
            ));
        }
        pictures.extend(paths.into_iter().map(|path| (path, label)));
    }
    Ok(pictures)
}

fn is_picture(path: &Path) -> bool {
    path.extension().and_then(OsStr::to_str).is_some_and(|extension| {
        ["png", "jpg", "jpeg"].iter().any(|known| extension.eq_ignore_ascii_case(known))
    })
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let entries = fs::read_dir(folder).map_err(DataError::io("list", folder))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    paths.collect::<Result<_, _>>().map_err(DataError::io("list", folder))
}
