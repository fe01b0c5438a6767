//! What the folders of a data set are called: of a split, or of the classes themselves.

use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use nystromformer_files::say_once;
use nystromformer_files::table::{listed, names_in};

use super::class_folders;
use super::text_files::holds_text;
use crate::split::Split;

/// What splits are called that classes are called too: such a folder is a split's only if it holds folders, as the classes' do.
const OF_CLASSES_TOO: [&str; 8] =
    ["training", "devel", "development", "eval", "evaluation", "testa", "testing", "testb"];

/// The folder of a split: of one of its names, or the only one that ends with one (`20news-bydate-train`), which is said.
pub(super) fn split_folder(path: &Path, split: Split) -> Result<Option<PathBuf>, DataError> {
    let names = split.file_stems();
    for name in names {
        let folder = path.join(name);
        if folder.is_dir() && may_be_split(&folder, name)? {
            return Ok(Some(folder));
        }
    }
    let folders = folders(path)?;
    let mut found = Vec::new();
    for folder in &folders {
        if let Some(name) = names.iter().find(|name| is_ending(folder, name))
            && may_be_split(&path.join(folder), name)?
        {
            found.push(folder);
        }
    }
    match found.as_slice() {
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
                names[0]
            );
            Err(DataError::dataset(path, problem))
        }
    }
}

/// The folder itself, if it has no folder of a split but folders of texts: these are its classes, and all of it trains.
pub(super) fn whole_set(path: &Path) -> Result<Option<PathBuf>, DataError> {
    let folders = folders(path)?;
    for folder in &folders {
        let mut names = Split::USUAL.into_iter().flat_map(Split::file_stems);
        if let Some(name) = names.find(|name| folder == *name || is_ending(folder, name))
            && may_be_split(&path.join(folder), name)?
        {
            return Ok(None);
        }
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

/// Whether a folder that is called after a split by this name may be one.
fn may_be_split(folder: &Path, name: &str) -> Result<bool, DataError> {
    Ok(!OF_CLASSES_TOO.contains(&name) || !folders(folder)?.is_empty())
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
