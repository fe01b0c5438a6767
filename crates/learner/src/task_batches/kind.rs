//! [`TaskKind`]: which tasks there are, and what each of them is.

use std::path::PathBuf;
use std::str::FromStr;

use nystromformer_tasks::glue::GlueTask;
use serde::{Deserialize, Serialize};

/// A task, by the name that configs have for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum TaskKind {
    /// One of GLUE: `cola`, `sst2`, `mrpc`, `stsb`, `qqp`, `mnli`, `qnli`, `rte`, `wnli`, `ax`.
    Glue(GlueTask),
    /// `imdb`: is a film review positive?
    Imdb,
    /// `labelled`: a data set of one's own.
    #[default]
    Labelled,
    /// `listops`, Long Range Arena: the value of a nested expression.
    Listops,
    /// `text`, Long Range Arena: IMDB, byte by byte.
    Text,
    /// `retrieval`, Long Range Arena: does one paper cite another, byte by byte?
    Retrieval,
    /// `image`, Long Range Arena: CIFAR-10 in gray, pixel by pixel.
    Image,
    /// `pathfinder`, Long Range Arena: are two points joined by a dashed line?
    Pathfinder,
}

impl TaskKind {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        GlueTask::ALL.into_iter().map(Self::Glue).chain([
            Self::Imdb,
            Self::Labelled,
            Self::Listops,
            Self::Text,
            Self::Retrieval,
            Self::Image,
            Self::Pathfinder,
        ])
    }

    /// The value of `task.name` that names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Glue(task) => task.name(),
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
            Self::Glue(_) => "datasets/glue/data",
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
        !matches!(self, Self::Glue(_) | Self::Imdb | Self::Labelled)
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

impl FromStr for TaskKind {
    type Err = String;

    /// By [`Self::name`].
    fn from_str(name: &str) -> Result<Self, String> {
        Self::all().find(|task| task.name() == name).ok_or_else(|| {
            let known: Vec<&str> = Self::all().map(Self::name).collect();
            format!("unknown task `{name}`, expected one of: {}", known.join(", "))
        })
    }
}

impl TryFrom<String> for TaskKind {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}

impl From<TaskKind> for &'static str {
    fn from(task: TaskKind) -> Self {
        task.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_found_by_its_name() {
        for task in TaskKind::all() {
            assert_eq!(task.name().parse(), Ok(task));
        }
        let error = "sst".parse::<TaskKind>().unwrap_err();
        assert!(error.contains("`sst`") && error.contains("sst2"), "{error}");
    }
}
