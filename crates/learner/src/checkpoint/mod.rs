//! Checkpoints that are complete or absent.
//!
//! `checkpoints/step-00000123/` is written in a scratch directory beside it, every file synced,
//! `manifest.json` with the length and hash of every other file last; then one rename makes it
//! appear. A process killed at any instant leaves either the old state or the new one, and perhaps
//! a scratch directory, which the next start sweeps away. A checkpoint whose files no longer match
//! its manifest is named and passed over.
//!
//! | file | |
//! |---|---|
//! | [`manifest`] | what a checkpoint says about itself |
//! | [`store`] | writing, finding, verifying and retiring checkpoints in a run |
//!
//! The few file operations this rests on are `nystromformer_files`'s `durable`; a test can make each of them fail.

pub mod manifest;
pub mod store;

pub use manifest::{Manifest, TrainingState};
pub use store::{Checkpoint, CheckpointStore};
