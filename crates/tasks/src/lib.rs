//! Labelled data sets in, examples out: GLUE, IMDB, files of one's own; their metrics and
//! submissions. It knows nothing of models.
//!
//! | module | idea |
//! |---|---|
//! | `task` | [`Task`]: what a data set must say of itself to be trained on |
//! | `options`, `config` | the `[task]` table: the keys of all tasks, and those of one |
//! | `objective` | what is learned of a task, and what is done to its examples in training |
//! | `registry` | which tasks there are, by name |
//! | `example`, `split` | what every reader gives, and of which part |
//! | `prediction`, `prediction_files` | what a model says of an example, and how it is written |
//! | [`labelled`] | a data set of one's own: rows and text files as examples, and what a label may be |
//! | [`glue`] | the ten tasks of GLUE |
//! | [`imdb`] | film reviews |
//! | [`bags`], `vectors` | bags and sequences of feature vectors |
//! | [`qa`] | questions and the texts that hold their answers |
//! | [`ner`] | a class for each word: named entities |
//! | [`choice`] | questions, each with some choices of which one is right |
//! | [`submission`] | predictions as GLUE's site takes them |
//! | `hold_out`, `folds`, `sample` | a validation set out of a training set, parts to test on in turn, and a part of a set in place of the whole |
//! | `strata` | the classes by which all of these are drawn evenly |
//! | `label_counts`, `class_weights` | how often each class occurs, and what rare ones count |
//! | `split_file_names`, `table_keys`, `too_long` | keys that several tasks share: the files of splits, how tables are written, what becomes of long texts |
//! | `files_in_turn`, `row_counter` | examples out of some files, one file after the other, and which rows they are |
//! | `split_files` | which files of a folder are a split |
//! | [`metrics`] | how good predictions are |

pub mod bags;
pub mod choice;
mod class_weights;
mod config;
mod example;
mod files_in_turn;
mod folds;
pub mod glue;
mod hold_out;
pub mod imdb;
mod label_counts;
mod label_rule;
pub mod labelled;
pub mod metrics;
mod missing_labels;
pub mod ner;
mod objective;
mod options;
mod prediction;
mod prediction_files;
mod prediction_tables;
pub mod qa;
mod registry;
mod row_counter;
mod sample;
mod split;
mod split_file_names;
mod split_files;
mod strata;
pub mod submission;
mod table_keys;
mod task;
mod too_long;
mod unread_files;
mod vectors;

/// What the readers of another crate's tasks rest on.
pub use nystromformer_data::{DataError, Keep, Truncation, WindowPooling, Windows, random};
pub use nystromformer_files::{
    BoundedLines, Line, LineReader, TextEncoding, durable, git_lfs, say_once, table,
};

pub use class_weights::{ClassWeights, Sampling};
pub use config::TaskConfig;
pub use example::{
    ColumnLines, Example, ExampleReader, GoldAnswer, Input, Label, WordLabels, WordSequence,
};
pub use folds::folds;
pub use hold_out::{HeldOut, hold_out, hold_out_groups};
pub use label_counts::LabelCounts;
pub use label_rule::LabelRule;
pub use labelled::{ClassNames, Targets};
pub use objective::{Augmentation, TaskObjective};
pub use options::TaskOptions;
pub use prediction::{Prediction, WordTag};
pub use prediction_files::{Predicted, PredictionFile, PredictionReader, json_lines};
pub use prediction_tables::{delimited, parquet};
pub use registry::{KeyUse, SharedKeys, TaskRegistry};
pub use sample::sample;
pub use split::Split;
pub use split_file_names::{FileNames, SplitFileNames};
pub use split_files::SplitFiles;
pub use strata::strata;
pub use table_keys::TableKeys;
pub use task::{ColumnUse, OwnVocabulary, SEQUENCE_CLASSIFICATION, Task, TaskContext, WordOptions};
pub use too_long::{TooLong, WindowKeys};
pub use vectors::{VectorRows, Vectors};

/// The tasks of this crate: GLUE's, `imdb`, `labelled`, `ner`, `qa`, `choice` and `bags`.
pub fn tasks() -> TaskRegistry {
    let others = TaskRegistry::default()
        .with::<imdb::Imdb>("imdb")
        .with::<labelled::Labelled>("labelled")
        .with::<bags::Bags>("bags")
        .with::<ner::Ner>("ner")
        .with::<qa::Qa>("qa")
        .with::<choice::Choice>("choice");
    glue::GlueTask::ALL
        .into_iter()
        .fold(others, |tasks, task| tasks.with_keys(task.name(), move |_: &glue::NoKeys| task))
}
