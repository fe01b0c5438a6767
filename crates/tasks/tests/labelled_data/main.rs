//! Labelled data from files on disk: GLUE's and IMDB's layouts, data sets of one's own, questions,
//! submissions, and what is malformed.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod bags;
mod choice;
mod doubtful;
mod glue;
mod imdb;
mod labels;
#[path = "../../../interop/tests/hostile/memory.rs"]
mod memory;
mod ner;
mod own_files;
#[expect(dead_code, reason = "the other tests write columns that these do not")]
#[path = "../../../files/tests/tables/parquet_file.rs"]
mod parquet_file;
mod qa;
mod submission;
