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
use crate::error::{Result, TableError};
use crate::output;

/// The file of measurements.
const FILE: &str = "approximation.json";

/// `approximation.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approximation {
    /// In the order in which they were begun.
    pub blocks: Vec<Block>,
    /// Means and worst; `None` before the end of a session.
    #[serde(skip_deserializing)]
    pub summary: Option<Summary>,
    #[serde(skip)]
    path: PathBuf,
}

impl Approximation {
    /// The measurements in a folder, or none yet.
    ///
    /// # Errors
    /// [`TableError::Damaged`] if the file is something else.
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
    /// Of the device, if the disk refuses, and [`TableError::Asked`] if other numbers of the same name are there.
    pub fn measure(&mut self, heads: &Heads, grid: &Grid) -> Result<usize> {
        let hash = heads.hash();
        let rows = grid.rows_of(heads.seq_len());
        let of_grid = |found: &Block| (found.rows, found.seed) == (rows.len(), grid.seed);
        let place = self.blocks.iter().position(|found| of_grid(found) && found.is_named_as(heads));
        if place.is_some_and(|place| self.blocks[place].hash != hash) {
            let Heads { source, sample, layer, .. } = heads;
            return Err(TableError::Asked(format!(
                "`{}` holds measurements of other queries and keys as {source}, sequence {sample}, layer {layer}: the weights or the \
                 texts have changed since, or another machine rounds otherwise; choose another --output",
                self.path.display()
            )));
        }
        // The same numbers may have another name too: the lower layers of a model that differs above, a text of two files.
        let same = self.blocks.iter().find(|found| of_grid(found) && found.hash == hash);
        let mut block = match place.map(|place| &self.blocks[place]).or(same) {
            Some(known) => known.named_as(heads),
            None => Block::new(heads, hash, rows.len(), grid.seed),
        };
        let measured = block.complete(heads, grid, &rows)?;
        match place {
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

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};
    use nystromformer::Seed;
    use nystromformer_kernels::random;

    use super::*;

    #[test]
    fn numbers_of_a_known_name_that_are_others_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let heads = |seed: u64, layer: usize| {
            let one = || random([1, 2, 12, 4], Distribution::Normal(0.0, 1.0), &Device::flex());
            let tensors = Seed::new(seed).scope(|| [(); 3].map(|()| one()));
            Heads::new("run on texts.txt", 1, layer, tensors).unwrap()
        };
        let (landmarks, iterations) = (vec![4], vec![6]);
        let grid = Grid { landmarks, num_landmarks: 4, iterations, most_rows: 12, seed: 0 };
        let mut file = Approximation::open(folder.path()).unwrap();
        assert!(file.measure(&heads(1, 0), &grid).unwrap() > 0);
        assert_eq!(file.measure(&heads(1, 0), &grid).unwrap(), 0);
        let error = file.measure(&heads(2, 0), &grid).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("run on texts.txt, sequence 1, layer 0"), "{error}");
        // Another layer is another name, and other rows are another table.
        assert!(file.measure(&heads(2, 1), &grid).unwrap() > 0);
        // The same numbers by a second name are there by both, and measured once.
        assert_eq!(file.measure(&heads(1, 5), &grid).unwrap(), 0);
        assert_eq!(file.blocks.iter().map(|block| block.layer).collect::<Vec<_>>(), [0, 1, 5]);
        assert!(file.measure(&heads(2, 0), &Grid { most_rows: 5, ..grid }).unwrap() > 0);
        let again = Approximation::open(folder.path()).unwrap();
        assert_eq!(again.blocks, file.blocks);
    }
}
