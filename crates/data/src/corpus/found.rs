//! What a folder holds: files of a corpus, and others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use nystromformer_files::git_lfs;
use nystromformer_files::table::{Column, Table, extension_of_content, saved_by_datasets};

use super::ReadOptions;
use super::file::{CorpusFile, FileKind, table_options};
use crate::error::DataError;

/// Names that a message about what is left out gives of each kind.
const NAMED: usize = 3;

/// What a folder holds.
#[derive(Default)]
pub(super) struct Found {
    pub(super) files: Vec<CorpusFile>,
    /// What is not read, by kind.
    others: BTreeMap<String, Vec<PathBuf>>,
}

impl Found {
    /// Looks through a folder and those in it. Hidden entries are no part of a corpus; linked folders (which could form a
    /// loop) and files of other kinds are left out, and so are tables without a column for texts, where `options` name it.
    pub(super) fn collect(
        &mut self,
        folder: &Path,
        options: Option<&ReadOptions>,
    ) -> Result<(), DataError> {
        saved_by_datasets(folder)?;
        for entry in fs::read_dir(folder).map_err(DataError::io("list", folder))? {
            let entry = entry.map_err(DataError::io("list", folder))?;
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            let kind = entry.file_type().map_err(DataError::io("look at", &path))?;
            if kind.is_dir() {
                self.collect(&path, options)?;
                continue;
            }
            let metadata = match fs::metadata(&path) {
                Err(error) if kind.is_symlink() && error.kind() == io::ErrorKind::NotFound => {
                    self.leave_out("link to nothing", path);
                    continue;
                }
                metadata => metadata.map_err(DataError::io("look at", &path))?,
            };
            if metadata.is_dir() {
                self.leave_out("linked folder", path);
            } else if metadata.is_file() {
                self.file(path, metadata.len(), options)?;
            }
        }
        Ok(())
    }

    fn file(
        &mut self,
        path: PathBuf,
        bytes: u64,
        options: Option<&ReadOptions>,
    ) -> Result<(), DataError> {
        let Some(form) = FileKind::of(&path) else {
            let kind = match extension_of_content(&path) {
                Some(extension) => format!(".{extension} file"),
                None => "file without extension".to_owned(),
            };
            self.leave_out(&kind, path);
            return Ok(());
        };
        if bytes == 0 {
            self.leave_out("empty file", path);
            return Ok(());
        }
        if let Some(options) = options.filter(|_| !form.is_certain(&path)) {
            git_lfs::check(&path)?;
            let extension = extension_of_content(&path).unwrap_or_default();
            match Table::open(&path, &table_options(options)) {
                Ok(table) if table.has(&Column::Name(options.text_field.clone())) => {}
                Ok(_) => {
                    let column = &options.text_field;
                    let kind = format!(
                        ".{extension} file without the column `{column}` (`data.text_field`)"
                    );
                    self.leave_out(&kind, path);
                    return Ok(());
                }
                Err(error) => {
                    self.leave_out(
                        &format!(".{extension} file that cannot be read ({error})"),
                        path,
                    );
                    return Ok(());
                }
            }
        }
        self.files.push(CorpusFile { path, form, bytes });
        Ok(())
    }

    fn leave_out(&mut self, kind: &str, path: PathBuf) {
        self.others.entry(kind.to_owned()).or_default().push(path);
    }

    /// How many of each kind, and the names of some; `None` if nothing is left out.
    pub(super) fn left_out(&mut self) -> Option<String> {
        let kinds = self.others.iter_mut().map(|(kind, paths)| {
            paths.sort();
            let names = paths.iter().take(NAMED).map(|path| format!("`{}`", path.display()));
            let mut names: Vec<String> = names.collect();
            if paths.len() > NAMED {
                names.push("…".to_owned());
            }
            format!("{} × {kind}: {}", paths.len(), names.join(", "))
        });
        let kinds: Vec<String> = kinds.collect();
        (!kinds.is_empty()).then(|| kinds.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_of_a_folder_is_counted_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        fs::create_dir(place("deep")).unwrap();
        for (name, content) in [
            ("a.txt", "read"),
            ("README.md", "# about"),
            ("deep/notes.md", "more"),
            ("labels.csv", "id,label\n1,2\n"),
            ("info.json", "{\"license\": \"MIT\"}"),
            ("torn.json", "{\"text\": "),
            ("book.pdf", "%PDF"),
            ("LICENSE", "MIT"),
            ("empty.jsonl", ""),
            (".hidden.md", ""),
        ] {
            fs::write(place(name), content).unwrap();
        }
        #[cfg(unix)]
        for (target, link) in [("deep", "link"), ("gone.txt", "dangling.txt")] {
            std::os::unix::fs::symlink(place(target), place(link)).unwrap();
        }
        let options = ReadOptions {
            text_field: "text".to_owned(),
            document: crate::DocumentUnit::File,
            separator: None,
            quotes: None,
            max_line_bytes: 1_000,
            max_null_texts: 0,
        };
        let mut found = Found::default();
        found.collect(folder.path(), Some(&options)).unwrap();
        assert_eq!(found.files.len(), 1);
        let told = found.left_out().unwrap();
        for part in [
            "2 × .md file: `",
            "deep/notes.md`",
            "1 × .pdf file",
            "1 × .csv file without the column `text`",
            "1 × .json file without the column `text`",
            "1 × .json file that cannot be read (",
            "1 × file without extension",
            "1 × empty file",
            #[cfg(unix)]
            "1 × linked folder",
            #[cfg(unix)]
            "1 × link to nothing",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told.contains("hidden"), "{told}");
        fs::write(place("pointer.csv"), "version https://git-lfs.github.com/spec/v1\n").unwrap();
        let error = Found::default().collect(folder.path(), Some(&options)).unwrap_err();
        assert!(error.to_string().contains("git lfs pull"), "{error}");
    }
}
