//! How near the Nyström method comes to exact attention, on the queries and keys of random tokens or of a trained model's layers.
//!
//! | file | idea |
//! |---|---|
//! | this | the file of measurements, which a later session goes on with |
//! | `setting` | which options are measured |
//! | `block` | the queries, keys and values of one layer, and all that is measured on them |
//! | `bounds` | what no matrix of the same rank can come nearer than, and what landmarks drawn at random reach |
//! | `summary` | means and worst over heads, samples and layers |
//! | `pages` | tables and curves |
//!
//! The measured matrix is `K1 Z K3` of the model's own factors in single precision, and the measured output that of its forward pass.
//! The exact matrix and output, errors and bounds are in double precision.

mod block;
mod bounds;
mod pages;
mod setting;
mod summary;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::block::{Block, Errors, Heads};
pub use self::bounds::{Bound, Ranks};
pub use self::setting::{Grid, Setting};
pub use self::summary::{
    BoundSpread, LayerErrors, OfLayer, OfSource, SettingSpread, Spread, Summary,
};
use crate::error::Result;
use crate::output;

/// The file of measurements.
const FILE: &str = "approximation.json";

/// `approximation.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approximation {
    /// In the order in which they were begun.
    pub blocks: Vec<Block>,
    /// Means and worst; `None` before the end of a session.
    pub summary: Option<Summary>,
    #[serde(skip)]
    path: PathBuf,
}

impl Approximation {
    /// The measurements in a folder, or none yet.
    ///
    /// # Errors
    /// [`TableError::Damaged`](crate::TableError::Damaged) if the file is something else.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let found: Option<Self> = output::read(&path)?;
        let blocks = found.map(|found| found.blocks).unwrap_or_default();
        Ok(Self { blocks, summary: None, path })
    }

    /// Measures what the grid asks for and is not there yet, on the tokens of one layer; keeps it, on the disk too. Returns how many
    /// settings were measured.
    ///
    /// # Errors
    /// Of the device, and if the disk refuses.
    pub fn measure(&mut self, heads: &Heads, grid: &Grid) -> Result<usize> {
        let hash = heads.hash();
        let rows = grid.rows_of(heads.seq_len());
        let known = self.blocks.iter().position(|found| {
            (&found.hash, found.rows, found.seed) == (&hash, rows.len(), grid.seed)
        });
        let mut block = match known {
            Some(place) => self.blocks[place].clone(),
            None => Block::new(heads, hash, rows.len(), grid.seed),
        };
        // The same numbers may have another name now.
        (block.source, block.sample, block.layer) =
            (heads.source.clone(), heads.sample, heads.layer);
        let measured = block.complete(heads, grid, &rows)?;
        match known {
            Some(place) => self.blocks[place] = block,
            None => self.blocks.push(block),
        }
        output::replace(&self.path, self)?;
        Ok(measured)
    }

    /// Draws the conclusions and writes everything: the measurements, `approximation.md`, curves. Returns the tables.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn finish(&mut self, grid: &Grid) -> Result<String> {
        let summary = Summary::of(&self.blocks);
        let pages = pages::pages(&summary, grid);
        self.summary = Some(summary);
        output::replace(&self.path, self)?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let title = "How near the Nyström method comes to exact attention";
        pages.write(folder, "approximation", title)?;
        Ok(pages.markdown(title))
    }
}
