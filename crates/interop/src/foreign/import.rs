//! Folder to folder: from any family to one of ours.

use std::{
    fs,
    path::{Path, PathBuf},
};

use burn::{store::bridge, tensor::Device};
use nystromformer::{AttentionKind, Model, NystromformerConfig, PreTrainedModel, Semantics};
use serde_json::{Map, Value};

use super::{PositionFill, PositionOffset, Renamed, Source, authors, bert, positions::fit_table};
use crate::{
    error::InteropError,
    hugging_face::{
        Exported, StorageType,
        config::{CONFIG_NAME, read_config, write_config},
        export::{CARD_NAME, clear_convolution, finish, input_len},
        load::Matched,
        names::{CONVOLUTION, architecture_of},
        save::save_weights,
        tokenizer_files,
        weights::{WeightFiles, read_json},
    },
    scratch::ScratchFolder,
};

const POSITIONS: &str = "nystromformer.embeddings.position_embeddings.weight";

/// The filters of a convolution that the source does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FreshConvolution {
    /// Zeros: at first the model computes what it would without.
    #[default]
    Zero,
    /// Drawn from the normal distribution of fresh weights, from this seed.
    Normal(u64),
}

/// How foreign weights become a model here.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// `config.json` of the source. Default: beside the weights.
    pub config: Option<PathBuf>,
    /// Keys of `config.json` and their values in the result, in place of the source's.
    pub overrides: Map<String, Value>,
    /// How a longer position table is filled.
    pub position_fill: PositionFill,
    /// The convolution, where the source has none (or one of another length than asked for).
    pub convolution: FreshConvolution,
    /// A `tokenizer.json` to write beside the weights, where the source has its tokenizer in another form.
    pub tokenizer: Option<String>,
}

/// Writes foreign weights as a folder with `config.json`, `model.safetensors`, the tokenizer and the model card.
///
/// `from` is a folder, a weight file, or an index of shards, of a Nyströmformer of transformers in any form that
/// [`load_model`](crate::load_model) reads, of the authors' repository, of BERT or of RoBERTa. The output
/// appears complete or not at all; it must be absent or an empty folder. Weights keep their bits, but where an
/// option says otherwise.
///
/// # Errors
/// As for [`load_model`](crate::load_model); if a configuration has what no model here computes; if `output` is
/// in use or cannot be written.
pub fn import_model(
    from: &Path,
    output: &Path,
    options: &ImportOptions,
) -> Result<Exported, InteropError> {
    let scratch = ScratchFolder::beside(output)?;
    let folder = if from.is_dir() { from } else { from.parent().unwrap_or(Path::new("")) };
    let config_path = options.config.clone().unwrap_or_else(|| folder.join(CONFIG_NAME));
    let source = read_source(&config_path)?;
    let (model, mut notes) = read_model(from, &config_path, source, options)?;
    let config = model.config();

    save_weights(&model, StorageType::F32, scratch.path())?;
    write_config(config, model.architecture(), StorageType::F32, scratch.path())?;
    if let Some(tokenizer) = &options.tokenizer {
        tokenizer_files::write_json(tokenizer, scratch.path())?;
    }
    tokenizer_files::copy(folder, scratch.path(), config, input_len(config))?;
    let card = folder.join(CARD_NAME);
    if card.is_file() {
        fs::copy(&card, scratch.path().join(CARD_NAME))
            .map_err(|source| InteropError::Read { path: card, source })?;
    }

    if config.semantics == Semantics::Hf
        && config.attention == AttentionKind::Nystrom
        && config.is_full_attention()
    {
        notes.push(format!(
            "num_landmarks and segment_means_seq_len are both {}: by transformers' rule this model \
             computes exact attention, in O(n²). For Nyström attention, set segment_means_seq_len to the \
             length of your inputs, or semantics to \"paper\".",
            config.num_landmarks
        ));
    }
    finish(scratch, notes)
}

/// The family that a configuration belongs to.
fn read_source(path: &Path) -> Result<Source, InteropError> {
    let expected = "the weights' configuration lies beside them, or is named by `--config`";
    let keys = read_json(path, expected)?;
    if authors::is_authors(&keys) {
        return authors::read(path, &keys);
    }
    if bert::is_bert(&keys) {
        return bert::read(path, &keys);
    }
    Ok(Source {
        config: read_config(path.parent().unwrap_or(Path::new("")))?,
        positions: PositionOffset::Two,
        has_convolution: true,
        rename: |name| Renamed::To(name.to_owned()),
        notes: Vec::new(),
    })
}

fn read_model(
    from: &Path,
    config_path: &Path,
    source: Source,
    options: &ImportOptions,
) -> Result<(Model, Vec<String>), InteropError> {
    let config = overridden(&source.config, config_path, &options.overrides)?;
    let mut files = WeightFiles::open(from)?;
    let (tensors, left_out) = source.rename_all(&files.path, std::mem::take(&mut files.tensors))?;
    files.tensors = tensors;
    fit_positions(&mut files, &source, &config, options.position_fill)?;

    let architecture = architecture_of(files.tensors.keys().map(String::as_str));
    let has_taps = source.config.conv_kernel_size == config.conv_kernel_size;
    let fresh_convolution = config.conv_kernel_size > 0 && !(source.has_convolution && has_taps);
    let mut matched = Matched::new(files, architecture, &config)?;
    if !(source.has_convolution && has_taps) {
        matched.keep_own(|name| name.ends_with(CONVOLUTION));
    }
    let device = Device::flex();
    if let FreshConvolution::Normal(seed) = options.convolution {
        device.seed(seed);
    }
    let folder = config_path.parent().unwrap_or(Path::new(""));
    let mut model = matched.into_model(folder, architecture, &device, |device| {
        config.init_model(architecture, device)
    })?;
    let mut notes = source.notes;
    if fresh_convolution {
        notes.push(match options.convolution {
            FreshConvolution::Zero => {
                clear_convolution(&mut model);
                "The convolution is new and starts at zero.".to_owned()
            }
            FreshConvolution::Normal(_) => "The convolution is new and drawn at random.".to_owned(),
        });
    }
    if !left_out.is_empty() {
        let names: Vec<String> = left_out.iter().map(|name| format!("`{name}`")).collect();
        notes.push(format!("Left out, since nothing here computes with it: {}.", names.join(", ")));
    }
    Ok((model, notes))
}

/// The source's configuration with the keys that were asked for.
fn overridden(
    config: &NystromformerConfig,
    path: &Path,
    overrides: &Map<String, Value>,
) -> Result<NystromformerConfig, InteropError> {
    let Ok(Value::Object(mut keys)) = serde_json::to_value(config) else {
        unreachable!("a struct of plain fields serialises to an object");
    };
    for (key, value) in overrides {
        let refuse = |reason: &str| InteropError::Config {
            path: path.to_owned(),
            key: key.clone(),
            value: value.to_string(),
            reason: reason.to_owned(),
        };
        if !keys.contains_key(key) {
            return Err(refuse("there is no such key to override; see the keys of `[model]`"));
        }
        let single = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
        serde_json::from_value::<NystromformerConfig>(single)
            .map_err(|error| refuse(&error.to_string()))?;
        keys.insert(key.clone(), value.clone());
    }
    let config: NystromformerConfig =
        serde_json::from_value(Value::Object(keys)).map_err(|error| InteropError::Damaged {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
    config.validate().map_err(|source| InteropError::Model { path: path.to_owned(), source })?;
    Ok(config)
}

/// Brings the position table to where ours begins, and to the length asked for.
fn fit_positions(
    files: &mut WeightFiles,
    source: &Source,
    config: &NystromformerConfig,
    fill: PositionFill,
) -> Result<(), InteropError> {
    let as_stored = source.positions == PositionOffset::Two
        && source.config.max_position_embeddings == config.max_position_embeddings;
    let Some(stored) = files.tensors.get(POSITIONS).filter(|_| !as_stored) else {
        return Ok(());
    };
    let damaged = |reason: String| InteropError::Damaged { path: files.path.clone(), reason };
    let &[rows, width] = &stored.shape[..] else {
        return Err(damaged(format!("`{POSITIONS}` is no table but has shape {:?}", stored.shape)));
    };
    // A view can claim to be larger than the file that holds it, and a length can be asked for by mistake.
    if stored.byte_len() as u64 > files.bytes || rows == 0 || width != config.hidden_size {
        return Err(damaged(format!("`{POSITIONS}` has shape {:?}", stored.shape)));
    }
    if config.max_position_embeddings > MAX_POSITIONS {
        let (key, value) =
            ("max_position_embeddings".into(), config.max_position_embeddings.to_string());
        let reason = format!("position tables are filled up to {MAX_POSITIONS} rows");
        return Err(InteropError::Config { path: files.path.clone(), key, value, reason });
    }
    let data = bridge::to_data(stored)
        .map_err(|error| damaged(error.to_string()))?
        .try_cast_as::<f32>()
        .map_err(|error| damaged(error.to_string()))?;
    let table = data.as_slice::<f32>().map_err(|error| damaged(format!("{error:?}")))?;
    let table = fit_table(table, width, source.positions, config.max_position_embeddings, fill);
    files.bytes = files.bytes.saturating_add(table.bytes().len() as u64);
    files.tensors.insert(POSITIONS.into(), bridge::from_data(table, POSITIONS.into(), None));
    Ok(())
}

/// Longest position table that is made: longer ones would be memory asked for by mistake.
const MAX_POSITIONS: usize = 1 << 22;
