//! The large movie review data set (Maas et al. 2011): 25,000 reviews to train on and as many to test on, half of them
//! positive. It has no validation set; [`hold_out`](crate::hold_out) makes one, unless one's own copy has one.

use std::path::{Path, PathBuf};

use nystromformer_data::{DataError, Windows};
use serde::{Deserialize, Serialize};

use crate::example::{Example, ExampleReader, Input};
use crate::label_rule::LabelRule;
use crate::labelled::{ClassNames, FolderExamples, LabelIn, Schema, TableExamples, Targets};
use crate::options::TaskOptions;
use crate::registry::SharedKeys;
use crate::split::Split;
use crate::task::{Task, TaskContext};
use crate::too_long::WindowKeys;
use nystromformer_files::table::{TableOptions, find_files};

/// `imdb`: is a film review positive?
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Imdb {
    /// How long reviews are read in windows.
    #[serde(skip)]
    pub windows: WindowKeys,
}

/// Where the reviews are looked for if nothing else is said.
pub const DEFAULT_PATH: &str = "datasets/imdb/data";

impl Task for Imdb {
    fn default_path(&self) -> PathBuf {
        PathBuf::from(DEFAULT_PATH)
    }

    fn shared_keys(&mut self) -> Vec<&mut dyn SharedKeys> {
        vec![&mut self.windows]
    }

    fn problems(&self, options: &TaskOptions) -> Vec<DataError> {
        self.windows.problems(options, false)
    }

    fn windows(&self) -> Option<Windows> {
        Some(self.windows.windows())
    }

    fn targets(&self, _: &TaskContext<'_>) -> Result<Targets, DataError> {
        Targets::classes(LABEL_NAMES)
    }

    fn examples(
        &self,
        split: Split,
        _: &Targets,
        context: &TaskContext<'_>,
    ) -> Result<Option<ExampleReader>, DataError> {
        read(context.path, split, LineBreaks::Blank, LabelRule::Required)
    }
}

/// The names of classes 0 and 1: those of the folders, and of the Hugging Face hub.
pub const LABEL_NAMES: [&str; 2] = ["neg", "pos"];

/// Longest review that is accepted, in bytes; the longest of the data set has 14 thousand.
const MAX_TEXT_BYTES: usize = 1 << 20;

/// The break that the reviews were taken over with from web pages.
const LINE_BREAK: &str = "<br />";

/// What becomes of `<br />` in the reviews.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineBreaks {
    /// A blank stands in its place: the default, for it says nothing about the film.
    #[default]
    Blank,
    /// It stays, as in the Long Range Arena's text task.
    Keep,
}

/// The reviews of a split, `None` of a validation set that is not there; from the first of these that is there in `folder`:
///
/// - the official folders, `SPLIT/{neg,pos}/ID_STARS.txt`, or `aclImdb/` with them; the classes take turns, each in the order
///   of the ids ([`FolderExamples`] tells it exactly), and `train/unsup` is not read;
/// - a table, `SPLIT.parquet`, `.csv`, `.jsonl` or `.tsv` (or its numbered parts, or `plain_text/` with them), with the columns `text`
///   and `label`, in the order of its rows.
///
/// # Errors
///
/// [`DataError::Dataset`] if there is neither (of a validation set: half of the folders), with the places looked at and where
/// the data is to be had; then, while reading,
/// [`DataError::Line`] for a review that cannot be used, and [`DataError::Io`].
pub fn read(
    folder: &Path,
    split: Split,
    line_breaks: LineBreaks,
    label_rule: LabelRule,
) -> Result<Option<ExampleReader>, DataError> {
    let reader = match open(folder, split, label_rule)? {
        Some(reader) => reader,
        None if [Split::Train, Split::Test].contains(&split) => {
            return Err(missing(folder, split));
        }
        None => return Ok(None),
    };
    Ok(Some(match line_breaks {
        LineBreaks::Keep => reader,
        LineBreaks::Blank => Box::new(reader.map(|example| example.map(without_breaks))),
    }))
}

fn open(
    folder: &Path,
    split: Split,
    label_rule: LabelRule,
) -> Result<Option<ExampleReader>, DataError> {
    let name = split.name();
    let classes = ClassNames::new(LABEL_NAMES).expect("the two names differ");
    for place in [folder.to_owned(), folder.join("aclImdb")] {
        let place = place.join(name);
        let found = LABEL_NAMES.iter().filter(|class| place.join(class).is_dir()).count();
        if found == 1 {
            return Err(missing(folder, split));
        }
        if found == LABEL_NAMES.len() {
            let examples = FolderExamples::open(&place, &classes, MAX_TEXT_BYTES)?;
            return Ok(Some(Box::new(examples)));
        }
    }
    for place in [folder.to_owned(), folder.join("plain_text")] {
        let files = find_files(&place, &[name])?;
        if !files.is_empty() {
            let schema = Schema {
                first: vec!["text".into()],
                second: Vec::new(),
                id: None,
                label: LabelIn::FirstOf(vec!["label".into()]),
                label_separator: None,
                targets: Targets::Classes(classes),
                label_rule,
                names_given: true,
                null_texts_allowed: 0,
                has_keys: false,
            };
            let options =
                TableOptions { max_line_bytes: MAX_TEXT_BYTES, ..TableOptions::default() };
            return Ok(Some(Box::new(TableExamples::new(files, schema, options))));
        }
    }
    Ok(None)
}

fn missing(folder: &Path, split: Split) -> DataError {
    let name = split.name();
    DataError::dataset(
        folder,
        format!(
            "no IMDB reviews: expected the folders `aclImdb/{name}/neg` and `aclImdb/{name}/pos` in it, or \
             `{name}.parquet`, `.csv` or `.jsonl` with columns `text` and `label`; the data comes from \
             https://ai.stanford.edu/~amaas/data/sentiment/ or https://huggingface.co/datasets/stanfordnlp/imdb; see \
             datasets/imdb/SOURCE.md"
        ),
    )
}

fn without_breaks(mut example: Example) -> Example {
    if let Input::Text { first, .. } = &mut example.input
        && first.contains(LINE_BREAK)
    {
        *first = first.replace(LINE_BREAK, " ");
    }
    example
}
