//! Training a Nyströmformer: from one TOML file to a verified model, exactly resumable at any step.
//!
//! This crate binds the [model](nystromformer) to the [data](nystromformer_data). It owns the
//! experiment file, the step loop and all that makes a long run dependable: checkpoints that are
//! complete or absent, a resume that gives the same bits as an unbroken run, non-finite steps that
//! change nothing. It draws no command line.
//!
//! A *step* is always an optimizer step. Everything random in it (masking, order, dropout) is
//! derived from the seed and the step's number, so the state of a run is weights, moments and a few
//! integers.
//!
//! | module | |
//! |---|---|
//! | [`error`] | one error type, grouped by exit code |
//! | [`experiment`] | the TOML file: `extends`, `--set`, validation |
//! | [`device`], [`self_check`] | from a device's name to one that computes as the CPU does |
//! | [`schedule`], [`optimizer`], [`gradients`] | learning rate, `AdamW`, accumulation and clipping |
//! | [`parameter_groups`], `weight_average` | what is frozen, rates by layer, the average of weights |
//! | [`checkpoint`], [`run_dir`], [`metrics_log`], `record_sinks`, `tensorboard`, [`report`], [`sweep_report`] | what a run leaves on disk |
//! | [`batch`], [`feature_rows`], [`batches`], [`corpus_batches`], `corpus_stages`, [`task_batches`], [`examples`] | what a step reads, and where it comes from |
//! | [`objectives`] | what is learned from a corpus: masked tokens, sentence order, what a teacher computes |
//! | [`trainable`], [`evaluate`](mod@evaluate), [`trainer`] | what is asked of a model, how good it is, the loop |
//! | [`ranks`] | processes that train one model together |
//! | [`stop`], [`progress`] | being stopped from outside, and being watched |
//! | [`tokenizer_files`] | the tokenizer that travels with a model |
//! | [`memory_estimate`], [`machine_memory`], [`gpu_memory`], [`process_memory`] | memory needed, there, used |
//! | [`out_of_memory`] | a device without room, told in one line |
//! | [`computed_with`] | the part of the machine that decides on last bits |
#![recursion_limit = "256"]

pub mod batch;
pub mod batches;
mod cgroup_memory;
pub mod checkpoint;
pub mod computed_with;
pub mod corpus_batches;
mod corpus_stages;
pub mod device;
pub mod error;
pub mod evaluate;
pub mod examples;
pub mod experiment;
pub mod feature_rows;
pub mod gpu_memory;
pub mod gradients;
mod half_precision;
mod head_counts;
mod line_log;
pub mod loss_scale;
pub mod machine_memory;
pub mod memory_estimate;
pub mod metrics_log;
pub mod objectives;
pub mod optimizer;
pub mod out_of_memory;
mod parameter_file;
pub mod parameter_groups;
mod parameters;
pub mod process_memory;
pub mod progress;
mod random;
pub mod ranks;
mod record_sinks;
pub mod report;
pub mod resource_log;
pub mod run_dir;
pub mod run_list;
pub mod schedule;
pub mod self_check;
pub mod stop;
pub mod sweep_report;
pub mod task_batches;
mod tensorboard;
pub mod tokenizer_files;
mod trace_file;
pub mod trainable;
pub mod trainer;
mod weight_average;

pub use error::{LearnerError, Result};
pub use experiment::Experiment;
