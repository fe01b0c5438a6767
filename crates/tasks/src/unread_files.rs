//! What the folder of a data set holds beside its splits, and nothing reads.

use std::fs;
use std::path::{Path, PathBuf};

use nystromformer_files::say_once;
use nystromformer_files::table::{Format, extension_of_content, is_called_after, listed};

use crate::split::Split;

/// Says which tables in the folder of a data set are read for no split, and which folders that hold tables or texts. `read` are the
/// files and folders that are. A table that is called after a split is told by whoever chose another of such a name.
pub(crate) fn tell_unread(path: &Path, read: &[PathBuf]) {
    let unread = unread_in(path, read);
    if !unread.is_empty() {
        say_once(format!(
            "`{}`: no split is read from {}: a split is a table or folder called `train`, `validation` (`dev`, `valid`, `val`) or `test`; what \
             is called otherwise (`eval`, `testing`) is one if there is none of these, and if it is as the training split is; rename \
             what is meant, and remove the rest",
            path.display(),
            listed(unread.iter().map(String::as_str))
        ));
    }
}

/// Names, sorted; those of folders with a slash behind them.
fn unread_in(path: &Path, read: &[PathBuf]) -> Vec<String> {
    let tables = read.iter().filter(|read| read.parent() == Some(path));
    let tables: Vec<&str> = tables.filter_map(|read| read.file_name()?.to_str()).collect();
    let is_told = |name: &str| {
        let mut names = Split::USUAL
            .into_iter()
            .flat_map(|split| [split.own_stems(), split.shared_stems()])
            .filter(|stems| is_called_after(name, stems));
        names.any(|stems| tables.iter().any(|table| is_called_after(table, stems)))
    };
    let mut unread = Vec::new();
    // A folder that cannot be listed is told by whoever reads it.
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let found = entry.path();
        if name.starts_with('.') || read.contains(&found) {
            continue;
        }
        if found.is_file() {
            if Format::of(&found).is_some() && !is_told(&name) {
                unread.push(name);
            }
        } else if !read.iter().any(|read| read == path) && holds_data(&found, 1) {
            // Where the whole folder is read, its folders are the classes.
            unread.push(format!("{name}/"));
        }
    }
    unread.sort_unstable();
    unread
}

/// Whether a folder, or one in it down to this depth, holds a table or a text.
fn holds_data(folder: &Path, depth: usize) -> bool {
    let is_data = |path: &Path| {
        Format::of(path).is_some()
            || extension_of_content(path).is_some_and(|extension| extension == "txt")
    };
    fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| {
        // Of many files none is looked at more closely than this.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let path = entry.path();
        if is_folder { depth > 0 && holds_data(&path, depth - 1) } else { is_data(&path) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_folders_of_texts_that_no_split_is_read_from_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for name in [
            "train.csv",
            "train.jsonl",
            "train2.csv",
            "extra.tsv",
            "README.md",
            ".hidden.csv",
            "train/pos/1.txt",
            "pictures/a.jpg",
            "test/pos/1.txt",
        ] {
            let file = path.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        let read = [path.join("train.csv"), path.join("test")];
        assert_eq!(unread_in(path, &read), ["extra.tsv", "train/", "train2.csv"]);
        // Nothing told of `train.jsonl`, and of `train.csv` neither, where no table is read in their place.
        let tables = ["extra.tsv", "train.csv", "train.jsonl", "train2.csv"];
        assert_eq!(unread_in(path, &[path.to_owned()]), tables);
        // `eval` is told by nobody who reads `dev`, and `valid` is.
        let [dev, eval, valid] = ["dev.csv", "eval.csv", "valid.csv"].map(|name| path.join(name));
        for file in [&dev, &eval, &valid] {
            fs::write(file, "").unwrap();
        }
        let read = [path.join("train.csv"), dev, path.join("test")];
        assert_eq!(unread_in(path, &read), ["eval.csv", "extra.tsv", "train/", "train2.csv"]);
    }
}
