//! [`TaskKind`]: which tasks there are, and what each of them is.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// GLUE: is a sentence acceptable English?
    Cola,
    /// GLUE: is a sentence of a film review positive?
    Sst2,
    /// GLUE: do two sentences say the same?
    Mrpc,
    /// GLUE: how much do two sentences say the same, from 0 to 5?
    Stsb,
    /// GLUE: do two questions ask the same?
    Qqp,
    /// GLUE: does one sentence follow from another, contradict it, or neither?
    Mnli,
    /// GLUE: does a sentence answer a question?
    Qnli,
    /// GLUE: does one sentence follow from another?
    Rte,
    /// GLUE: does a sentence follow in which a pronoun was replaced?
    Wnli,
    /// GLUE: the diagnostic set, to be answered by a model of `mnli`.
    Ax,
    /// Is a film review positive?
    Imdb,
    /// A data set of one's own.
    #[default]
    Labelled,
    /// Long Range Arena: the value of a nested expression.
    Listops,
    /// Long Range Arena: IMDB, byte by byte.
    Text,
    /// Long Range Arena: does one paper cite another, byte by byte?
    Retrieval,
    /// Long Range Arena: CIFAR-10 in gray, pixel by pixel.
    Image,
    /// Long Range Arena: are two points joined by a dashed line?
    Pathfinder,
}

impl TaskKind {
    /// The value of `task.name` that names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cola => "cola",
            Self::Sst2 => "sst2",
            Self::Mrpc => "mrpc",
            Self::Stsb => "stsb",
            Self::Qqp => "qqp",
            Self::Mnli => "mnli",
            Self::Qnli => "qnli",
            Self::Rte => "rte",
            Self::Wnli => "wnli",
            Self::Ax => "ax",
            Self::Imdb => "imdb",
            Self::Labelled => "labelled",
            Self::Listops => "listops",
            Self::Text => "text",
            Self::Retrieval => "retrieval",
            Self::Image => "image",
            Self::Pathfinder => "pathfinder",
        }
    }

    /// Where its files are looked for if nothing else is said.
    pub fn default_path(self) -> PathBuf {
        PathBuf::from(match self {
            Self::Cola
            | Self::Sst2
            | Self::Mrpc
            | Self::Stsb
            | Self::Qqp
            | Self::Mnli
            | Self::Qnli
            | Self::Rte
            | Self::Wnli
            | Self::Ax => "datasets/glue/data",
            Self::Imdb | Self::Text => "datasets/imdb/data",
            Self::Labelled => "datasets/labelled/data",
            Self::Listops => "datasets/lra/listops/data",
            Self::Retrieval => "datasets/lra/retrieval/data",
            Self::Image => "datasets/lra/image/data",
            Self::Pathfinder => "datasets/lra/pathfinder/data",
        })
    }

    /// Whether its examples are ids of a vocabulary of its own, and need no tokenizer.
    pub fn has_own_vocabulary(self) -> bool {
        matches!(
            self,
            Self::Listops | Self::Text | Self::Retrieval | Self::Image | Self::Pathfinder
        )
    }

    /// Whether its tokens are gray values of pixels.
    pub fn is_pixels(self) -> bool {
        matches!(self, Self::Image | Self::Pathfinder)
    }

    /// Whether its examples are pairs whose parts are encoded one by one.
    pub fn is_dual(self) -> bool {
        self == Self::Retrieval
    }
}
