//! What can be wrong with a folder of weights, in words for the person who has it.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use nystromformer::ModelError;
use nystromformer_files::FileError;
use nystromformer_files::tensors::{Flaw, brief};

use crate::hugging_face::HubFailure;

/// Names listed in full before a message says "and n more".
const LISTED: usize = 8;

/// Characters of a file's own text that a message repeats.
const REPEATED: usize = 400;

/// Errors of reading and writing model folders. Every one names the path, what was found there and what to
/// do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InteropError {
    /// Occurs when a file or folder is not there.
    #[error("`{}` not found: {expected}", path.display())]
    Missing {
        /// What was looked for.
        path: PathBuf,
        /// What should be there.
        expected: String,
    },
    /// Occurs when a name on the Hugging Face Hub leads to no folder.
    #[error("`hub:{name}`: {failure}")]
    Hub {
        /// The name, as it was written.
        name: String,
        /// Why there is none, and what to do.
        failure: HubFailure,
    },
    /// Occurs when the operating system cannot read a path.
    #[error("cannot read `{}`: {source}; check that it is a readable file", path.display())]
    Read {
        /// What was read.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Occurs when the operating system cannot write a path.
    #[error("cannot write `{}`: {source}; check the permissions and the free space", path.display())]
    Write {
        /// What was written.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Occurs when the folder to write is in use.
    #[error(
        "`{}` exists and is not an empty folder: nothing was written; choose another output folder or \
         remove this one",
        path.display()
    )]
    OutputExists {
        /// The folder asked for.
        path: PathBuf,
    },
    /// Occurs when a file is not what its name says: cut short, altered, or of another format.
    #[error("`{}` is damaged: {}; get the file again from where it came", path.display(), brief(reason, REPEATED))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with its bytes.
        reason: String,
    },
    /// Occurs when a file is sound, as far as was looked, but holds what this library does not read.
    #[error("`{}`: {}", path.display(), brief(reason, REPEATED))]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it holds and how to save it instead.
        reason: String,
    },
    /// Occurs when a key of `config.json` has a value that this library has no model for.
    #[error(
        "`{}`: {} = `{}`: {}",
        path.display(),
        brief(key, REPEATED),
        brief(value, REPEATED),
        brief(reason, REPEATED)
    )]
    Config {
        /// The `config.json`.
        path: PathBuf,
        /// Key of the top level.
        key: String,
        /// Its value, as JSON.
        value: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// Occurs when the values of a configuration contradict each other.
    #[error("`{}`: {source}", path.display())]
    Model {
        /// The `config.json`.
        path: PathBuf,
        /// The model's reason.
        source: ModelError,
    },
    /// Occurs when the weights are not those of the model that the configuration describes.
    #[error(
        "`{}` does not fit the model: {keys}; use the config.json that these weights were saved with",
        path.display()
    )]
    Keys {
        /// The weight file, or the index of several.
        path: PathBuf,
        /// What does not fit.
        keys: KeyMismatch,
    },
    /// Occurs when a model of a class is asked for and the weights have no head of that class.
    #[error(
        "`{}` is no {class}: it holds a bare encoder or a model with another head; train that head from \
         it with `model.init_from`, choose a folder that has it, or read hidden states with `predict features`",
        path.display()
    )]
    NoHead {
        /// The weight file, or the index of several.
        path: PathBuf,
        /// The name of the class asked for.
        class: &'static str,
    },
    /// Occurs when a file stores a shared parameter twice, with two values.
    #[error(
        "`{}`: `{key}` differs from `{tied_to}`, but here both are one parameter: {}",
        path.display(),
        cure_of_untied(key, tied_to)
    )]
    Untied {
        /// The weight file, or the index of several.
        path: PathBuf,
        /// The second copy.
        key: String,
        /// The parameter.
        tied_to: String,
    },
    /// Occurs when a key of the configuration is to have a value that no model has.
    #[error("`{key}={value}`: {reason}")]
    Override {
        /// The key.
        key: String,
        /// The value asked for.
        value: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// Occurs when a model is to be written for the authors' code, which has none like it.
    #[error(
        "the authors' code has no such model ({reason}): it has masked language models with `hidden_act` gelu_new or \
         gelu, and pretraining models with gelu; export for transformers instead"
    )]
    NoAuthorsForm {
        /// What it has not.
        reason: String,
    },
    /// Occurs when a weight is too large for the numbers it is to be stored in.
    #[error(
        "`{key}` holds `{value}`, which {storage} cannot hold: store the weights as bf16 or f32"
    )]
    BeyondStorage {
        /// The parameter.
        key: String,
        /// The value.
        value: f32,
        /// The type of number asked for.
        storage: &'static str,
    },
    /// Occurs when a weight is NaN or infinite.
    #[error(
        "`{}`: element {index} of `{key}` is `{value}`: the training that wrote it had diverged; use an \
         earlier checkpoint",
        path.display()
    )]
    NonFinite {
        /// The weight file, or the index of several.
        path: PathBuf,
        /// The parameter.
        key: String,
        /// Flat index into it.
        index: usize,
        /// The value.
        value: f32,
    },
}

/// Why a parameter and its copy are one, and what helps where they differ.
fn cure_of_untied(key: &str, tied_to: &str) -> String {
    if key.ends_with("decoder.weight") {
        "a Nyströmformer's decoder is its token embedding; retrain with tie_word_embeddings = true"
            .to_owned()
    } else if key.ends_with("decoder.bias") {
        format!("remove the one of the two that is not meant (transformers reads `{tied_to}`)")
    } else {
        "the layers of a group share theirs; set num_hidden_groups = 0".to_owned()
    }
}

impl From<FileError> for InteropError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::OutputExists { path } => Self::OutputExists { path },
            FileError::Io { action: "open" | "read", path, source } => Self::Read { path, source },
            FileError::Io { path, source, .. } => Self::Write { path, source },
            FileError::Content { path, problem, cure, .. } => {
                let reason = cure.map_or(problem.clone(), |cure| format!("{problem}; {cure}"));
                Self::Unsupported { path, reason }
            }
        }
    }
}

impl InteropError {
    /// What is wrong with the file of tensors at `path`.
    pub(crate) fn of_flaw(flaw: Flaw, path: &Path) -> Self {
        let path = path.to_owned();
        match flaw {
            Flaw::System(source) => Self::Read { path, source },
            Flaw::Damaged(reason) => Self::Damaged { path, reason },
            Flaw::Unsupported(reason) => Self::Unsupported { path, reason },
        }
    }
}

/// Parameters that one side has and the other has not, or not in the same shape.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyMismatch {
    /// Names that the model has and the file has not.
    pub missing: Vec<String>,
    /// Names that the file has and the model has not.
    pub unexpected: Vec<String>,
    /// Names that both have, differently.
    pub mismatched: Vec<ShapeMismatch>,
}

/// A parameter whose stored form is not the model's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeMismatch {
    /// Hugging Face's name of it.
    pub name: String,
    /// Shape and type in the file, e.g. `[99, 32] F32`.
    pub found: String,
    /// Shape that the configuration asks for.
    pub expected: Vec<usize>,
}

impl fmt::Display for ShapeMismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "`{}` is {} where config.json asks for {:?}",
            self.name, self.found, self.expected
        )
    }
}

impl KeyMismatch {
    /// Whether both sides agree.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.mismatched.is_empty()
    }
}

impl fmt::Display for KeyMismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect();
        let groups: [(&str, Vec<String>); 3] = [
            ("missing", quoted(&self.missing)),
            ("unexpected", quoted(&self.unexpected)),
            ("mismatched", self.mismatched.iter().map(ShapeMismatch::to_string).collect()),
        ];
        let mut separator = "";
        for (kind, names) in groups.iter().filter(|(_, names)| !names.is_empty()) {
            write!(formatter, "{separator}{} {kind}: ", names.len())?;
            formatter.write_str(&names[..names.len().min(LISTED)].join(", "))?;
            if names.len() > LISTED {
                write!(formatter, " and {} more", names.len() - LISTED)?;
            }
            separator = "; ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_file_is_cut_and_escaped() {
        assert_eq!(brief("a \"weight\"", 80), "a \"weight\"");
        assert_eq!(brief("\u{1b}[31m", 80), "\\u{1b}[31m");
        assert_eq!(brief(&"é".repeat(500), 80).chars().count(), 81);
        let error = InteropError::Config {
            path: "config.json".into(),
            key: "k".repeat(9000),
            value: "v".repeat(9000),
            reason: "r".repeat(9000),
        };
        assert!(error.to_string().chars().count() < 1300);
    }

    #[test]
    fn long_lists_are_cut() {
        let keys = KeyMismatch {
            missing: (0..11).map(|index| format!("layer.{index}")).collect(),
            unexpected: vec!["head".into()],
            mismatched: vec![ShapeMismatch {
                name: "bias".into(),
                found: "[2] F32".into(),
                expected: vec![3],
            }],
        };
        let text = keys.to_string();
        assert!(text.starts_with("11 missing: `layer.0`, "), "{text}");
        assert!(
            text.contains("`layer.7` and 3 more; 1 unexpected: `head`; 1 mismatched: "),
            "{text}"
        );
        assert!(text.ends_with("`bias` is [2] F32 where config.json asks for [3]"), "{text}");
    }
}
