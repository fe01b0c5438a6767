//! Labelled tasks from files to a finished run: small data sets made here, and tiny models.
//!
//! | file | |
//! |---|---|
//! | `fixture` | the folder with data, tokenizer and experiment |
//! | `verdicts` | what a run says of its model, and which checkpoint that is |
//! | `beginnings` | tokenizers and weights of pretrained models, and what is refused before a run begins |
//! | `former_runs` | runs that an earlier version began |
//! | `choices` | multiple choice, from files to predictions |
//! | `resume` | the same bits after an interruption, of one run and of a series of seeds |
//! | `imbalance` | options for small and uneven data, and the mistakes that a summary names |
//! | `inputs` | a task that learns its own inputs |
//! | `labels` | labels of any number, several numbers, metrics by name, folds, class folders |
//! | `questions` | question answering |
//! | `ranks` | the same files from several processes |
//! | `switches` | padding, hold-out, and the keys of `[task]` |
//! | `windows` | long texts in windows, whose outputs are pooled |

mod beginnings;
mod choices;
mod fixture;
mod former_runs;
mod imbalance;
mod inputs;
mod labels;
mod questions;
mod ranks;
mod resume;
mod switches;
mod verdicts;
mod windows;
