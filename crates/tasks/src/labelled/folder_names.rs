//! What the folders of a data set are called: of a split, or of the classes themselves.

use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use nystromformer_files::say_once;
use nystromformer_files::table::{listed, names_in};

use super::class_folders;
use super::text_files::holds_text;
use crate::split::Split;

/// The folder of a split by a name of its own.
pub(super) fn own_folder(path: &Path, split: Split) -> Result<Option<PathBuf>, DataError> {
    called(path, split, split.own_stems(), &|_| Ok(true))
}

/// The folder of a split by a name that other things have too. It is one if it holds folders of texts, as those of the classes are:
/// called as one in the folder `training`, or where there is none, two of them.
pub(super) fn shared_folder(
    path: &Path,
    split: Split,
    training: Option<&Path>,
) -> Result<Option<PathBuf>, DataError> {
    called(path, split, split.shared_stems(), &|folder| {
        let mut classes = 0;
        for name in folders(folder)? {
            let is_known = training.is_none_or(|training| training.join(&name).is_dir());
            classes += usize::from(is_known && holds_text(&folder.join(name))?);
        }
        Ok(classes > usize::from(training.is_none()))
    })
}

/// The folder of one of these names, or the only one that ends with one (`20news-bydate-train`), which is said.
fn called(
    path: &Path,
    split: Split,
    names: &[&str],
    is_split: &dyn Fn(&Path) -> Result<bool, DataError>,
) -> Result<Option<PathBuf>, DataError> {
    for name in names {
        let folder = path.join(name);
        if folder.is_dir() && is_split(&folder)? {
            return Ok(Some(folder));
        }
    }
    let mut found = folders(path)?;
    found.retain(|folder| names.iter().any(|name| is_ending(folder, name)));
    let mut splits = Vec::new();
    for folder in &found {
        if is_split(&path.join(folder))? {
            splits.push(folder);
        }
    }
    match splits.as_slice() {
        [] => Ok(None),
        [folder] => {
            say_once(format!(
                "`{}`: the {} split is read from its folder `{folder}`",
                path.display(),
                split.name()
            ));
            Ok(Some(path.join(folder)))
        }
        several => {
            let shown = listed(several.iter().map(|name| name.as_str()));
            let problem = format!(
                "several folders may be the {} split: {shown}; rename one to `{}`",
                split.name(),
                split.name()
            );
            Err(DataError::dataset(path, problem))
        }
    }
}

/// The folder itself, if it has no folder of a split but folders of texts: these are its classes, and all of it trains.
pub(super) fn whole_set(path: &Path) -> Result<Option<PathBuf>, DataError> {
    let folders = folders(path)?;
    let is_of_split = |folder: &String| {
        let mut names = Split::USUAL.into_iter().flat_map(Split::own_stems);
        names.any(|name| folder == name || is_ending(folder, name))
    };
    if folders.iter().any(is_of_split) {
        return Ok(None);
    }
    for folder in &folders {
        if holds_text(&path.join(folder))? {
            let names = class_folders(path)?;
            say_once(format!(
                "`{}`: no split is told by a name in it: its `{}` folders with texts are the classes ({}), and all texts are \
                 training examples, of which a part of each class is held out (`task.validation_fraction`)",
                path.display(),
                names.names().len(),
                listed(names.names().iter().map(String::as_str))
            ));
            return Ok(Some(path.to_owned()));
        }
    }
    Ok(None)
}

/// Whether a folder is called as another name with `name` behind it.
fn is_ending(folder: &str, name: &str) -> bool {
    let before = folder.strip_suffix(name).unwrap_or_default();
    before.len() > 1 && before.ends_with(['-', '_', '.'])
}

/// The names of the folders in a folder, hidden ones apart.
fn folders(path: &Path) -> Result<Vec<String>, DataError> {
    let is_folder = |name: &String| !name.starts_with('.') && path.join(name).is_dir();
    Ok(names_in(path)?.into_iter().filter(is_folder).collect())
}
