//! The files of vectors that tables of labels name: each once, and which of a folder are named by none.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use nystromformer_files::table::Row;
use nystromformer_files::{say_once, tensors};

/// The bags that were named so far.
#[derive(Debug, Default)]
pub(super) struct NamedBags(HashMap<PathBuf, Mention>);

/// Where a bag is named.
#[derive(Debug)]
struct Mention {
    table: PathBuf,
    line: u64,
}

impl NamedBags {
    /// Notes the bag that a row names.
    ///
    /// # Errors
    ///
    /// [`DataError::Line`] if another row has named it, by this name or another of the same file.
    pub(super) fn add(&mut self, id: &str, folder: &Path, row: &Row) -> Result<(), DataError> {
        match self.0.entry(file_of(folder, id)) {
            Entry::Vacant(entry) => {
                entry.insert(Mention { table: row.file().to_owned(), line: row.line() });
                Ok(())
            }
            Entry::Occupied(entry) => {
                let Mention { table, line } = entry.get();
                let place = if *table == *row.file() {
                    format!("line {line}")
                } else {
                    format!("`{}:{line}`", table.display())
                };
                let problem = format!(
                    "the bag `{id}` is in {place} too: it would be seen twice, or on both sides of a split"
                );
                Err(row.problem(problem).with_cure("drop one of the rows").into())
            }
        }
    }

    /// The same where the bag may be named already.
    pub(super) fn note(&mut self, id: &str, folder: &Path, row: &Row) {
        let mention = || Mention { table: row.file().to_owned(), line: row.line() };
        self.0.entry(file_of(folder, id)).or_insert_with(mention);
    }

    /// Says how many files of vectors lie beside those that are named, and are not.
    pub(super) fn tell_unnamed(&self) {
        let mut folders: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
        for file in self.0.keys() {
            folders.entry(file.parent().unwrap_or(Path::new(""))).or_default().insert(file);
        }
        for (folder, named) in folders {
            let files =
                std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
            let is_unnamed =
                |path: &PathBuf| has_known_extension(path) && !named.contains(path.as_path());
            let count = files.filter(is_unnamed).count();
            if count > 0 {
                say_once(format!(
                    "`{}`: `{count}` files of vectors are in no row of the table of labels, and are not read",
                    folder.display()
                ));
            }
        }
    }
}

/// The one path of a bag's file, whatever it is called in a table.
fn file_of(folder: &Path, id: &str) -> PathBuf {
    let file = find_file(folder, id).unwrap_or_else(|| folder.join(id));
    let parent = file.parent().and_then(|parent| parent.canonicalize().ok());
    match (parent, file.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => file,
    }
}

pub(super) fn has_known_extension(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| tensors::EXTENSIONS.contains(&extension))
}

/// The file of a bag: `id` itself, or with an extension more.
pub(super) fn find_file(folder: &Path, id: &str) -> Option<PathBuf> {
    let whole = folder.join(id);
    if has_known_extension(&whole) && whole.is_file() {
        return Some(whole);
    }
    tensors::EXTENSIONS
        .iter()
        .map(|extension| folder.join(format!("{id}.{extension}")))
        .find(|path| path.is_file())
}
