//! Multiple choice: a question, and some answers of which one is right. SWAG, COPA, `CommonsenseQA`, `SocialIQA`, RACE
//! and files of one's own.
//!
//! | module | idea |
//! |---|---|
//! | `task` | [`Choice`]: the keys of `[task]` |
//! | `columns` | the columns that the config names |
//! | `layout`, `known_columns` | which columns of a file make a question: those, or others of known names |
//! | `reader` | from rows to examples |
//! | `label` | the ways to say which choice is right |
//! | `prediction_lines` | predictions as lines of JSON |
//!
//! Each choice is read as a pair, as transformers' `run_swag` does: first the prompt, then the question and the choice.

mod columns;
mod known_columns;
mod label;
mod layout;
mod prediction_lines;
mod reader;
mod task;

pub use columns::{ChoiceColumns, Columns};
pub use label::LabelForm;
pub use task::Choice;
