//! Labelled data from files on disk: the four formats, GLUE's and IMDB's layouts, what is malformed.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod glue;
mod imdb;
mod parquet_file;
mod tables;
