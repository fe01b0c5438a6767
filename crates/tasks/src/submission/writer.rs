//! From predictions to files, and to the zip.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};

use nystromformer_data::DataError;
use nystromformer_files::durable;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipWriter};

use super::{SubmissionFile, check};
use crate::example::Label;

/// A folder in which the files of a submission gather.
#[derive(Debug)]
pub struct Submission {
    folder: PathBuf,
}

impl Submission {
    /// Opens a folder, or makes it. Files of a submission that are there already stay, so that it can be made task by task.
    ///
    /// # Errors
    ///
    /// [`DataError::Io`].
    pub fn new(folder: &Path) -> Result<Self, DataError> {
        fs::create_dir_all(folder).map_err(DataError::io("create", folder))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Writes the predictions for a test set, in the order of its examples, in the place of the ones that were there.
    ///
    /// # Errors
    ///
    /// [`DataError::Dataset`] if there is not one prediction for each example; [`DataError::Line`] for one that is no label of
    /// the task; [`DataError::Io`].
    pub fn write(&self, file: &SubmissionFile, predictions: &[Label]) -> Result<(), DataError> {
        let path = self.folder.join(file.name);
        if predictions.len() != file.rows {
            return Err(DataError::dataset(
                &path,
                format!(
                    "`{}` predictions for the `{}` examples of the test set; predict each of them, in their order",
                    predictions.len(),
                    file.rows
                ),
            ));
        }
        let mut table = format!("{}\n", SubmissionFile::HEADER);
        for (index, label) in predictions.iter().enumerate() {
            let answer = file.spell(label).map_err(|problem| {
                DataError::line(
                    &path,
                    index as u64 + 2,
                    format!("prediction `{index}` is {problem}"),
                )
            })?;
            writeln!(table, "{index}\t{answer}").expect("a string takes what is written");
        }
        Ok(durable::replace(&path, table.as_bytes())?)
    }

    /// Whether there are predictions for a test set, from now or from before.
    pub fn has(&self, file: &SubmissionFile) -> bool {
        self.folder.join(file.name).exists()
    }

    /// Writes class 0, or the number 0, for each example of the test sets that have no file yet: the site takes complete
    /// submissions only. Gives the files filled so; what the site says about them says nothing about a model.
    ///
    /// # Errors
    ///
    /// [`DataError::Io`].
    pub fn fill_missing(&self) -> Result<Vec<SubmissionFile>, DataError> {
        let is_missing = |file: &SubmissionFile| !self.has(file);
        let missing: Vec<SubmissionFile> =
            SubmissionFile::ALL.into_iter().filter(is_missing).collect();
        for file in &missing {
            let answer =
                if file.task.is_regression() { Label::Value(0.0) } else { Label::Class(0) };
            self.write(file, &vec![answer; file.rows])?;
        }
        Ok(missing)
    }

    /// Removes files again, so that answers that say nothing are not taken for a model's later.
    ///
    /// # Errors
    ///
    /// [`DataError::Io`].
    pub fn remove(&self, files: &[SubmissionFile]) -> Result<(), DataError> {
        files
            .iter()
            .map(|file| self.folder.join(file.name))
            .try_for_each(|path| fs::remove_file(&path).map_err(DataError::io("remove", &path)))
    }

    /// Checks the folder as [`check()`] does, and writes its files as a zip, in the place of the one that was there. The same
    /// files give the same bytes.
    ///
    /// # Errors
    ///
    /// Those of [`check()`], and [`DataError::Io`].
    pub fn zip(&self, path: &Path) -> Result<(), DataError> {
        check(&self.folder)?;
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        // No clock, owner or system of the machine goes into the file.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644)
            .system(System::Unix);
        for file in SubmissionFile::ALL {
            let source = self.folder.join(file.name);
            let mut table = File::open(&source).map_err(DataError::io("open", &source))?;
            writer
                .start_file(file.name, options)
                .map_err(io::Error::from)
                .and_then(|()| io::copy(&mut table, &mut writer))
                .map_err(DataError::io("compress", &source))?;
        }
        let bytes =
            writer.finish().map_err(io::Error::from).map_err(DataError::io("write", path))?;
        Ok(durable::replace(path, bytes.get_ref())?)
    }
}
