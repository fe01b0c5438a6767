//! Which files are a corpus, and what a folder holds besides.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nystromformer_files::table::{
    Column, Format, Table, TableOptions, extension_of_content, saved_by_datasets,
};
use nystromformer_files::{git_lfs, say_once};

use super::ReadOptions;
use crate::config::{DataConfig, SAMPLE_CORPUS};
use crate::error::DataError;

/// What is read, for messages.
const READ: &str =
    ".txt, .jsonl or .parquet file, nor a .json, .csv or .tsv with the column of the text";

/// Names that a message about what is left out gives of each kind.
const NAMED: usize = 3;

/// What a file is, told by its extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Plain text.
    Text,
    /// A table, of which a column holds the texts.
    Table(Format),
}

impl Form {
    fn of(path: &Path) -> Option<Self> {
        if extension_of_content(path)? == "txt" {
            return Some(Self::Text);
        }
        Format::of(path).map(Self::Table)
    }

    /// Whether a file in a folder is one of texts beyond doubt. Others often hold something about the texts.
    fn is_certain(self, path: &Path) -> bool {
        match self {
            Self::Text | Self::Table(Format::Parquet) => true,
            Self::Table(Format::Json) => {
                extension_of_content(path).is_some_and(|extension| extension != "json")
            }
            Self::Table(Format::Csv | Format::Tsv) => false,
        }
    }

    /// What stands for it in fingerprints. They are of files as they are on the disk, so compression needs no tag.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::Text => "Text",
            Self::Table(Format::Json) => "JsonLines",
            Self::Table(Format::Parquet) => "Parquet",
            Self::Table(Format::Csv) => "Csv",
            Self::Table(Format::Tsv) => "Tsv",
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct CorpusFile {
    pub(super) path: PathBuf,
    pub(super) form: Form,
    pub(super) bytes: u64,
}

/// How the tables of a corpus are read.
pub(super) fn table_options(options: &ReadOptions) -> TableOptions {
    TableOptions {
        max_line_bytes: options.max_line_bytes,
        may_be_empty: true,
        ..TableOptions::default()
    }
}

/// The files of the corpus at `name`, in the order of their paths. What a folder holds besides is said.
pub(super) fn corpus_files(
    name: &Path,
    options: &ReadOptions,
) -> Result<Vec<CorpusFile>, DataError> {
    let metadata = match fs::metadata(name) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(DataError::corpus(
                name,
                "there is no such file or folder; `data.corpus` names a file or folder of .txt, .jsonl, .parquet, .json, \
                 .csv or .tsv, or is \"sample\"",
            ));
        }
        Err(error) => return Err(DataError::io("open the corpus", name)(error)),
    };
    if !metadata.is_dir() {
        let form = Form::of(name).ok_or_else(|| {
            let cure = if Format::is_unread(name) {
                Format::cure(name)
            } else {
                format!("call it .txt if it is plain text, or use a {}", Format::KNOWN)
            };
            DataError::corpus(name, format!("unknown extension; {cure}"))
        })?;
        return Ok(vec![CorpusFile { path: name.to_owned(), form, bytes: metadata.len() }]);
    }
    let mut found = Found::default();
    found.collect(name, Some(options))?;
    found.files.sort_by(|left, right| left.path.cmp(&right.path));
    let left_out = found.left_out();
    if found.files.is_empty() {
        let besides =
            left_out.map_or_else(String::new, |left_out| format!("; it holds {left_out}"));
        return Err(DataError::corpus(name, format!("the folder holds no {READ}{besides}")));
    }
    if let Some(left_out) = left_out {
        say_once(format!("corpus `{}`: left out of it: {left_out}", name.display()));
    }
    Ok(found.files)
}

/// Whether there is anything to read at `path`: a file, or a folder with a file of text in it.
fn holds_text(path: &Path) -> Result<bool, DataError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let mut found = Found::default();
            found.collect(path, None)?;
            Ok(!found.files.is_empty())
        }
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(DataError::io("open the corpus", path)(error)),
    }
}

/// Settles [`DataConfig::sample_if_missing`]: the sample becomes the corpus if there is no text at the
/// one that is named, which is then returned. Afterwards the key is off, so that a resolved
/// config says what is trained on, whatever appears at that path later.
///
/// # Errors
///
/// [`DataError::Io`] if the path is there but cannot be looked at.
pub fn settle_corpus(config: &mut DataConfig) -> Result<Option<String>, DataError> {
    if !std::mem::take(&mut config.sample_if_missing)
        || config.corpus == SAMPLE_CORPUS
        || holds_text(Path::new(&config.corpus))?
    {
        return Ok(None);
    }
    Ok(Some(std::mem::replace(&mut config.corpus, SAMPLE_CORPUS.to_owned())))
}

/// What a folder holds.
#[derive(Default)]
struct Found {
    files: Vec<CorpusFile>,
    /// What is not read, by kind.
    others: BTreeMap<String, Vec<PathBuf>>,
}

impl Found {
    /// Looks through a folder and those in it. Hidden entries are no part of a corpus; linked folders (which could form a
    /// loop) and files of other kinds are left out, and so are tables without a column for texts, where `options` name it.
    fn collect(&mut self, folder: &Path, options: Option<&ReadOptions>) -> Result<(), DataError> {
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
            let metadata = fs::metadata(&path).map_err(DataError::io("look at", &path))?;
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
        let Some(form) = Form::of(&path) else {
            let kind = match extension_of_content(&path) {
                Some(extension) => format!(".{extension} file"),
                None => "file without extension".to_owned(),
            };
            self.leave_out(&kind, path);
            return Ok(());
        };
        if form != Form::Text && bytes == 0 {
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
    fn left_out(&mut self) -> Option<String> {
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
        std::os::unix::fs::symlink(place("deep"), place("link")).unwrap();
        let options = ReadOptions {
            text_field: "text".to_owned(),
            document: crate::DocumentUnit::File,
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
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told.contains("hidden"), "{told}");
        fs::write(place("pointer.csv"), "version https://git-lfs.github.com/spec/v1\n").unwrap();
        let error = Found::default().collect(folder.path(), Some(&options)).unwrap_err();
        assert!(error.to_string().contains("git lfs pull"), "{error}");
    }

    #[test]
    fn the_sample_stands_in_until_there_is_text() {
        let folder = tempfile::tempdir().unwrap();
        let named = folder.path().join("data");
        let config = DataConfig {
            corpus: named.to_str().unwrap().to_owned(),
            sample_if_missing: true,
            ..DataConfig::default()
        };
        let settled = || {
            let mut config = config.clone();
            let replaced = settle_corpus(&mut config).unwrap();
            assert!(!config.sample_if_missing);
            (config.corpus, replaced)
        };
        let sample = (SAMPLE_CORPUS.to_owned(), Some(config.corpus.clone()));
        assert_eq!(settled(), sample);
        fs::create_dir(&named).unwrap();
        fs::write(named.join("README.md"), "not text to train on").unwrap();
        assert_eq!(settled(), sample);
        fs::write(named.join("a.txt"), "text").unwrap();
        assert_eq!(settled(), (config.corpus.clone(), None));
    }

    #[test]
    fn a_missing_corpus_stays_missing_unless_told_otherwise() {
        let mut config = DataConfig { corpus: "nowhere".to_owned(), ..DataConfig::default() };
        assert_eq!(settle_corpus(&mut config).unwrap(), None);
        assert_eq!(config.corpus, "nowhere");
    }
}
