//! Labelled data from files on disk: the four formats, GLUE's and IMDB's layouts, data sets of one's own, submissions,
//! and what is malformed.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod glue;
mod imdb;
mod own_files;
mod parquet_file;
mod submission;
mod tables;
