//! Token classification (`task.name = "ner"`): a class for each word, named entities foremost.
//!
//! Files of any scheme of tags are read; inside, and in the model's labels, tags of entities are IOB2.
//!
//! | module | idea |
//! |---|---|
//! | `task` | the task and its keys |
//! | `file_form` | how a file is read, as far as its name tells |
//! | `layout`, `columns` | CoNLL files: a word a line with its columns |
//! | `rows` | JSON lines and Parquet: a list of words and a list of tags in each row |
//! | `sentence`, `examples` | what both give: words with tags, then examples |
//! | `tag`, `scheme` | IOB1, IOB2, BIOES: what a tag says, and how one way becomes another |
//! | `classes` | the model's labels, and which of them a tag means |
//! | `scorer` | what is measured |
//! | `writer` | predictions as CoNLL columns |

mod classes;
mod columns;
mod examples;
mod file_form;
mod layout;
mod rows;
mod scheme;
mod scorer;
mod sentence;
mod tag;
mod task;
mod writer;

pub use columns::DocumentBoundary;
pub use scheme::Scheme;
pub use task::Ner;
