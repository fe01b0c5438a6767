//! What other libraries computed, and what we compute from the same folder: every class of transformers, the
//! authors' checkpoints, BERT and RoBERTa. The scripts behind the fixtures are in `tools/reference`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a step that fails is a test that fails"
)]

mod batch;
mod foreign;
mod heads;
