//! Question answering: questions, each with the text that holds its answer.
//!
//! | module | idea |
//! |---|---|
//! | `task` | the task `qa` |
//! | `columns` | which columns of a table hold the parts of a question |
//! | `reader` | from the rows of tables to questions |
//! | `gold` | the right answers, and where they stand in the context |
//! | `candidates` | from a model's outputs to the likeliest answers |
//! | `scorer` | how good they are, and when "no answer" is given |
//! | `output` | answers as files |

mod candidates;
mod columns;
mod gold;
mod output;
mod reader;
mod scorer;
mod task;

pub use candidates::{AnswerCandidate, AnswerCandidates, AnswerSearch, WindowLogits};
pub use task::Qa;

/// What the threshold of "no answer" is called among thresholds.
pub const NULL_SCORE_DIFF_THRESHOLD: &str = "null_score_diff_threshold";
