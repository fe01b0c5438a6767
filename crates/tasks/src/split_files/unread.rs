//! What the folder of a data set holds beside the files of its splits.

use std::path::Path;

use nystromformer_data::DataError;
use nystromformer_files::say_once;
use nystromformer_files::table::{Format, listed};

use super::names::{LAST, is_called, splits_in};
use super::{SplitFiles, files_of, key_of};
use crate::split::Split;

impl SplitFiles<'_> {
    /// Says which files and folders may be meant for a split, and are read for none. Those that another of the split is read in the
    /// place of are told by its choice.
    pub(super) fn tell_unread(&self, path: &Path) -> Result<(), DataError> {
        let is_chosen = |split: &Split| self.names.of(*split).is_some();
        if Split::USUAL.iter().all(is_chosen) {
            return Ok(());
        }
        let mut read = Vec::new();
        let mut unread = Vec::new();
        for split in Split::USUAL {
            // What is wrong with a split is told when its turn comes.
            let Ok(found) = self.search(path, split) else { continue };
            if found.is_none() && !is_chosen(&split) {
                for name in split.file_stems() {
                    let folder = path.join(name);
                    if folder.is_dir() && self.holds_readable(&folder)? {
                        unread.push(format!("{name}/"));
                    }
                }
            }
            read.extend(found.into_iter().flatten());
        }
        for name in files_of(path)? {
            let splits = splits_in(&name);
            let may_be_meant = match splits.as_slice() {
                [] => Format::of(Path::new(&name)).is_some(),
                [_] => false,
                several => !several.iter().any(is_chosen),
            };
            let is_last = is_called(&name, &[LAST]);
            let is_read = read.contains(&path.join(&name));
            if may_be_meant && !is_last && !is_read && (self.is_readable)(Path::new(&name)) {
                unread.push(name);
            }
        }
        if !unread.is_empty() {
            let keys = Split::USUAL.map(|split| format!("`{}`", key_of(split)));
            say_once(format!(
                "`{}`: no split is read from {}: their names do not say plainly which split they are; {} or {} names what is \
                 meant",
                path.display(),
                listed(unread.iter().map(String::as_str)),
                keys[..2].join(", "),
                keys[2]
            ));
        }
        Ok(())
    }
}
