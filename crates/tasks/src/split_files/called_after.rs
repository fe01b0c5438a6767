//! The files of a split where the config names none: what is called after it.

use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use nystromformer_files::say_once;
use nystromformer_files::table::{find_files, listed};

use super::names::{LAST, is_called, rank_of, splits_in, words_of};
use super::{SplitFiles, files_of, key_of};
use crate::split::Split;

impl SplitFiles<'_> {
    /// The files in a folder of the split's name, or that are called after it; which of several is said.
    pub(super) fn called_after(
        &self,
        path: &Path,
        split: Split,
    ) -> Result<Option<Vec<PathBuf>>, DataError> {
        let folders = self.folders_of(path, split)?;
        let mut readable = Vec::new();
        for name in &folders {
            if self.holds_readable(&path.join(name))? {
                readable.push(*name);
            }
        }
        let names = self.names_of(path, split)?;
        let place = |name: &str| split.file_stems().iter().position(|stem| *stem == name);
        let comes_first = |folder: &str, files: &[String]| {
            let rank = files.iter().filter_map(|name| rank_of(name, split)).min();
            rank.is_none_or(|rank| place(folder) <= Some(rank))
        };
        let files = match readable.first() {
            Some(folder) if comes_first(folder, &names) => None,
            // A folder says it where the names of files do not.
            Some(_) => self.files_of_split(path, split).unwrap_or_default(),
            None => self.files_of_split(path, split)?,
        };
        let (taken, is_guess) = match (readable.first(), &files) {
            (Some(folder), None) => (vec![format!("{folder}/")], *folder == LAST),
            (Some(folder), Some(files)) if comes_first(folder, files) => {
                (vec![format!("{folder}/")], false)
            }
            (_, Some(files)) => (files.clone(), is_guess(files, split)),
            (None, None) => {
                // Folders of these names, and nothing in them: whoever made them meant them.
                let meant = folders.iter().find(|name| **name != LAST);
                return meant.map(|name| self.files_in(&path.join(name))).transpose();
            }
        };
        let folders = readable.into_iter().map(|name| format!("{name}/"));
        let mut others: Vec<String> =
            folders.chain(names).filter(|name| !taken.contains(name)).collect();
        others.sort_unstable();
        if is_guess || !others.is_empty() {
            let but = if others.is_empty() {
                String::new()
            } else {
                format!(", and not {}", listed(others.iter().map(String::as_str)))
            };
            say_once(format!(
                "`{}`: the {} split is {}{but} (`{}` names another)",
                path.display(),
                split.name(),
                listed(taken.iter().map(String::as_str)),
                key_of(split)
            ));
        }
        match taken.as_slice() {
            [folder] if folder.ends_with('/') => self.files_in(&path.join(folder)).map(Some),
            files => Ok(Some(files.iter().map(|name| path.join(name)).collect())),
        }
    }

    /// The folders of the split's names, the first name first. One that scripts and scores stand in too is meant only beside a folder
    /// to train on.
    fn folders_of(&self, path: &Path, split: Split) -> Result<Vec<&'static str>, DataError> {
        let mut found = Vec::new();
        for name in split.file_stems() {
            let folder = path.join(name);
            if !folder.is_dir() || self.is_of_another(&folder, path, split) {
                continue;
            }
            if *name == LAST {
                let training = self.search(path, Split::Train)?.unwrap_or_default();
                if training.first().and_then(|file| file.parent()).is_none_or(|at| at == path) {
                    continue;
                }
            }
            found.push(*name);
        }
        Ok(found)
    }

    pub(super) fn holds_readable(&self, folder: &Path) -> Result<bool, DataError> {
        Ok(files_of(folder)?.iter().any(|name| (self.is_readable)(Path::new(name))))
    }

    /// The names of all files that may be the split's: those that speak of it alone, and those of its [last](LAST) name.
    fn names_of(&self, folder: &Path, split: Split) -> Result<Vec<String>, DataError> {
        let has_last = split.file_stems().contains(&LAST);
        let speaks =
            |name: &String| splits_in(name) == [split] || has_last && is_called(name, &[LAST]);
        let is_free = |name: &String| !self.is_of_another(&folder.join(name), folder, split);
        let names = files_of(folder)?.into_iter().filter(speaks).filter(is_free);
        Ok(names.filter(|name| (self.is_readable)(Path::new(name))).collect())
    }

    /// The file of a folder that is called after the split, or its numbered parts.
    fn files_of_split(
        &self,
        folder: &Path,
        split: Split,
    ) -> Result<Option<Vec<String>>, DataError> {
        let names = self.names_of(folder, split)?;
        let (names, last): (Vec<String>, Vec<String>) =
            names.into_iter().partition(|name| splits_in(name) == [split]);
        let usual = self.best_of(folder, split, &words_of(split), &names)?;
        if usual.is_some() || !split.file_stems().contains(&LAST) {
            return Ok(usual);
        }
        self.best_of(folder, split, &[LAST], &last)
    }

    /// The file among `names` that is called by one of these stems, or the only one.
    fn best_of(
        &self,
        folder: &Path,
        split: Split,
        stems: &[&str],
        names: &[String],
    ) -> Result<Option<Vec<String>>, DataError> {
        // A table of exactly that name, or its parts; of several formats the first that is known.
        let tables = find_files(folder, stems)?;
        let tables = tables.iter().filter_map(|path| path.file_name()?.to_str());
        let tables: Vec<String> = tables
            .filter(|name| !self.is_of_another(&folder.join(name), folder, split))
            .map(str::to_owned)
            .collect();
        let mut exact = names.iter().filter(|name| is_called(name, stems));
        match (tables.is_empty(), names, exact.next(), exact.next()) {
            (false, ..) => Ok(Some(tables)),
            (true, [], ..) => Ok(None),
            (true, [one], ..) | (true, _, Some(one), None) => Ok(Some(vec![one.clone()])),
            _ => {
                let problem = format!(
                    "several files may be the {} split: {}; name one in `{}`, or a list of them",
                    split.name(),
                    listed(names.iter().map(String::as_str)),
                    key_of(split)
                );
                Err(DataError::dataset(folder, problem))
            }
        }
    }
}

/// Whether the one file of a split is called otherwise than the split, or as other things are too.
fn is_guess(files: &[String], split: Split) -> bool {
    matches!(files, [one] if !is_called(one, &words_of(split)))
}
