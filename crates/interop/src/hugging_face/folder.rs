//! What every folder for transformers holds, whether exported or imported.

use std::{fs, path::Path};

use nystromformer::{Architecture, Model, NystromformerConfig, PreTrainedModel};
use nystromformer_files::durable::ScratchFolder;

use super::{
    config::{name_modeling_classes, write_config},
    paper_code,
    save::save_weights,
    sentence_files::SentenceFiles,
    storage::StorageType,
    tokenizer_files,
    transformers::{input_len, transformers_approximates},
};
use crate::{
    error::InteropError,
    model_card::{ModelCard, Origin},
};

/// Name of the model card in a model folder.
pub(crate) const CARD_NAME: &str = "README.md";

/// What an export or import wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    /// Files in the output folder.
    pub files: Vec<String>,
    /// What transformers will compute differently from this library, a sentence or two each.
    pub notes: Vec<String>,
}

/// A model as it goes into a folder.
pub(crate) struct ModelFolder<'a> {
    pub(crate) model: &'a Model,
    /// As transformers is to read it.
    pub(crate) config: &'a NystromformerConfig,
    pub(crate) storage: StorageType,
    /// Where the tokenizer's files come from.
    pub(crate) tokenizer_dir: &'a Path,
    /// Where sentence-transformers' files come from, if they go along.
    pub(crate) sentence_dir: Option<&'a Path>,
}

impl ModelFolder<'_> {
    /// Writes `config.json`, the weights, the modeling file if it is of use, and the tokenizer's files. Says whether there
    /// is a tokenizer.
    pub(crate) fn write(&self, dir: &Path) -> Result<bool, InteropError> {
        let class = self.model.class();
        save_weights(self.model, self.storage, dir)?;
        write_config(self.config, class, self.storage, dir)?;
        if self.has_modeling_file() {
            paper_code::write(dir)?;
            name_modeling_classes(class, dir)?;
        }
        if let Some(source) = self.sentence_dir {
            SentenceFiles::copy(source, dir)?;
        }
        let input_len = input_len(self.config);
        let tokenizer = tokenizer_files::copy(self.tokenizer_dir, dir, self.config, input_len)?;
        Ok(!tokenizer.is_empty())
    }

    /// Whether the modeling file is among the files: it has no class with the heads of pretraining, as transformers
    /// has none.
    pub(crate) fn has_modeling_file(&self) -> bool {
        paper_code::is_needed(self.config) && self.model.architecture() != Architecture::PreTraining
    }

    /// Writes the model card of a folder that will be called `output`.
    pub(crate) fn write_card(
        &self,
        output: &Path,
        has_tokenizer: bool,
        origin: Origin<'_>,
        notes: &[String],
        dir: &Path,
    ) -> Result<(), InteropError> {
        let config = self.config;
        let card = ModelCard {
            name: &output.file_name().unwrap_or_default().to_string_lossy(),
            class: self.model.class(),
            config,
            fixed_len: transformers_approximates(config)
                .then_some(config.attention.nystrom.segment_means_seq_len),
            trained_len: tokenizer_files::trained_length_in(dir),
            has_tokenizer,
            has_modeling_file: self.has_modeling_file(),
            origin,
            notes,
        };
        write_card(&card.to_string(), dir)
    }
}

/// Writes the text of a model card into a folder.
pub(crate) fn write_card(text: &str, dir: &Path) -> Result<(), InteropError> {
    let path = dir.join(CARD_NAME);
    fs::write(&path, text).map_err(|source| InteropError::Write { path, source })
}

/// Lists the files and gives the folder its name.
pub(crate) fn finish(scratch: ScratchFolder, notes: Vec<String>) -> Result<Exported, InteropError> {
    let read = |source| InteropError::Read { path: scratch.path().to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(scratch.path()).map_err(read)? {
        files.push(entry.map_err(read)?.file_name().to_string_lossy().into_owned());
    }
    files.sort();
    scratch.publish()?;
    Ok(Exported { files, notes })
}
