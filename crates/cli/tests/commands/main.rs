//! The commands as their users meet them: the built program, exit codes, and what is left on the disk.
//!
//! Every test has a [`fixture::Fixture`], a temporary folder with a little text, and trains the tiny
//! configuration there in a fraction of a second.
//!
//! | module | |
//! |---|---|
//! | `run_directory` | what `train` leaves, and what it refuses to touch |
//! | `refusals` | wrong input: exit code, one line, what to do |
//! | `stopping` | signals, kill -9, full disks, and the same bits after a resume |
//! | `sweeps` | trials of an experiment, killed and resumed |
//! | `tables` | `table`: efficiency, approximation, the Long Range Arena in small |
//! | `traces` | `--profile`, event files for TensorBoard |
//! | `corpora` | the three forms of text, tokenizers from files, `prepare` |
//! | `predictions` | `evaluate`, `predict fill-mask` and `features` of a run, `export`, `import` |
//! | `onnx` | `export --format onnx` |
//! | `pipelines` | `predict` for every head: texts in, JSON lines out |
//! | `serving` | `serve`: every route, batches, limits, hostile clients, the end in order |
//! | `tasks` | `train` and `evaluate` on labelled data, good and malformed; `generate` |
//! | `files_to_predict` | `predict --input-file`: what files may be, and what is written of them |
//! | `former_runs` | runs that earlier versions wrote |
//! | `questions` | question answering, from files to answers |
//! | `glue` | GLUE's own: two validation sets, the submission |
//! | `ner` | token classification: CoNLL files in, entity scores and CoNLL files out |
//! | `convert` | a BERT made a Nyströmformer |
//! | `configs` | the experiments that are shipped |
//! | `mutations` | readers of weights, tokenizers, experiments and tables, given altered files |
//! | `moved_data` | a run's model where its training data is gone or lies elsewhere |
//! | `bags` | feature vectors: trained on, measured, looked at; malformed |
//! | `reports` | the page of a run, the page of several, the list of runs |
//! | `device_memory` | a GPU without room, with the feature `wgpu` |
//! | `documentation` | the README and the guides: commands, experiments, links |
//! | `small_commands` | `bench`, `completions`, `man`, `--help`, closed pipes |

#![cfg(unix)] // signals and file-size limits are sent and set as Unix does it
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bags;
mod configs;
mod convert;
mod corpora;
#[cfg(feature = "wgpu")]
mod device_memory;
mod documentation;
mod files_to_predict;
mod fixture;
mod former_runs;
mod glue;
#[path = "../../../interop/tests/hostile/memory.rs"]
mod memory;
mod moved_data;
mod mutations;
mod ner;
mod onnx;
mod pipelines;
mod predictions;
mod questions;
mod refusals;
mod reports;
mod run_directory;
mod serving;
mod small_commands;
mod stopping;
mod sweeps;
mod tables;
mod tasks;
mod traces;

use nystromformer_tasks::TaskRegistry;

/// The tasks that the program knows.
fn known_tasks() -> TaskRegistry {
    nystromformer_lra::with_tasks(nystromformer_tasks::tasks())
}
