//! Checkpoints of other families, made into Nyströmformers of ours.
//!
//! | file | reads |
//! |---|---|
//! | `authors` | the authors' repository: `cp-XXXX.model` and `.cp`, of all three generations of its code |
//! | `authors_export` | the other way |
//! | `bert` | BERT, RoBERTa, XLM-RoBERTa and `CamemBERT` of transformers, as a start: attention is swapped, everything else is theirs |
//! | `positions` | position tables: shifted to where ours begin, tiled or interpolated to other lengths |
//! | `import` | folder to folder |
//!
//! Each family is a `ForeignModel`: a configuration, new names for its weights, and how its positions are
//! counted. What happens then is the same for all.

mod authors;
mod authors_export;
mod bert;
mod foreign_model;
mod import;
mod positions;

pub use authors_export::export_for_authors;
pub use import::{ImportOptions, import_model};
pub use positions::PositionFill;

use foreign_model::{ForeignModel, PositionOffset, Renamed, Shapes};
