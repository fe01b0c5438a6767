//! Token classification (`task.name = "ner"`): a class for each word, named entities foremost.
//!
//! Files may have tags of any scheme. The model's labels, and tags in memory, are IOB2.
//!
//! | module | idea |
//! |---|---|
//! | `task` | the task and its keys |
//! | `file_form` | how a file is read, judged by its name |
//! | `layout`, `columns` | CoNLL files: a word a line with its columns |
//! | `rows` | JSON lines and Parquet: a list of words and a list of tags in each row |
//! | `sentence`, `examples` | what both give: words with tags, then examples |
//! | `tag`, `scheme` | IOB1, IOB2, BIOES: what a tag says, and how tags of one scheme become tags of another |
//! | `labels` | the model's labels: as they are named, or as the tags of the training files are |
//! | `classes` | which of these labels a tag means |
//! | `scorer` | what is measured |
//! | `writer` | predictions as CoNLL columns |

mod classes;
mod columns;
mod examples;
mod file_form;
mod labels;
mod layout;
mod rows;
mod scheme;
mod scorer;
mod sentence;
mod tag;
mod task;
mod word_table;
mod writer;

pub use columns::DocumentBoundary;
pub use scheme::Scheme;
pub use task::Ner;
