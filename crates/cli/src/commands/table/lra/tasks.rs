//! The small tasks: their experiments, and where their data is.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use nystromformer_files::durable::ScratchFolder;
use nystromformer_lra::{
    SplitSizes,
    listops::{self, GeneratorConfig},
};

use crate::output;

/// A small task of the Long Range Arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ArenaTask {
    /// Expressions of 65 to 511 symbols; generated.
    #[value(name = "listops_short")]
    ListopsShort,
    /// The first 1,000 bytes of film reviews: IMDB.
    #[value(name = "text_1k")]
    Text1k,
}

/// How many expressions.
const SIZES: SplitSizes = SplitSizes { train: 20_000, validation: 1_000, test: 2_000 };

/// Shorter expressions than the Arena has.
fn expressions() -> GeneratorConfig {
    GeneratorConfig { above_length: 64, below_length: 512, ..GeneratorConfig::default() }
}

impl ArenaTask {
    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ListopsShort => "listops_short",
            Self::Text1k => "text_1k",
        }
    }

    /// What it is.
    pub(super) fn about(self) -> &'static str {
        match self {
            Self::ListopsShort => {
                "The value of a nested expression of 65 to 511 symbols: one of ten. Where no data is named, 20,000 expressions to train \
                 on, 1,000 to choose by, 2,000 to test."
            }
            Self::Text1k => {
                "Whether a film review is positive, by its first 1,000 bytes: IMDB, of whose training reviews a twentieth is held out to \
                 choose by."
            }
        }
    }

    /// Its experiment, with whatever attention.
    pub(super) fn config(self) -> &'static str {
        match self {
            Self::ListopsShort => include_str!("listops_short.toml"),
            Self::Text1k => include_str!("text_1k.toml"),
        }
    }

    /// The folder of its data in `output`, if it is generated; `None`: the task looks by itself.
    pub(super) fn own_data(self, output: &Path) -> Option<PathBuf> {
        match self {
            Self::Text1k => None,
            Self::ListopsShort => Some(output.join("listops_short-data")),
        }
    }

    /// Generates the data unless it is there.
    ///
    /// # Errors
    /// If the disk refuses.
    pub(super) fn generate(self, output: &Path) -> anyhow::Result<()> {
        let Some(folder) = self.own_data(output).filter(|folder| !folder.is_dir()) else {
            return Ok(());
        };
        output::note(&format!("generating expressions in `{}`", folder.display()));
        let scratch = ScratchFolder::beside(&folder)?;
        listops::generate_files(scratch.path(), expressions(), SIZES, 0)?;
        scratch.publish()?;
        Ok(())
    }
}
