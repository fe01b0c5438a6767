//! Folder to folder: from any family to one of ours.

use std::{
    fs,
    path::{Path, PathBuf},
};

use burn::{store::bridge, tensor::Device};
use nystromformer::{
    AttentionKind, LandmarkRule, Model, ModelError, NystromformerConfig, PreTrainedModel,
    Semantics, embeddings::POSITION_OFFSET,
};
use nystromformer_files::durable::ScratchFolder;
use serde_json::{Map, Value};

use super::{
    ForeignModel, PositionFill, PositionOffset, Renamed, Shapes, authors, bert,
    positions::fit_table,
};
use crate::{
    error::{InteropError, KeyMismatch, ShapeMismatch},
    hugging_face::{
        Exported, FreshConvolution, SentenceFiles, StorageType,
        config::{CONFIG_NAME, read_config_file},
        convolution::load_with_fresh_parts,
        folder::{CARD_NAME, ModelFolder, finish, write_card},
        json_file::read_json,
        load::load_files,
        tokenizer_files,
        transformers::for_transformers,
        weights::WeightFiles,
    },
    model_card::Origin,
};

const POSITIONS: &str = "nystromformer.embeddings.position_embeddings.weight";

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
    /// Folder of the tokenizer's files. Default: beside the weights.
    pub tokenizer_dir: Option<PathBuf>,
    /// A `tokenizer.json` to write beside the weights, where the tokenizer is there in another form.
    pub tokenizer: Option<String>,
}

/// Writes foreign weights as a folder with `config.json`, `model.safetensors`, the tokenizer and the model card.
///
/// `from` is a folder, a weight file, or an index of shards, of a Nyströmformer of transformers in any form that
/// [`load_model`](crate::load_model) reads, of the authors' repository, of BERT, RoBERTa, XLM-RoBERTa or `CamemBERT`. The output
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
    let files = WeightFiles::open(from)?;
    let source = read_source(&config_path, &files)?;
    let family = source.family;
    let (model, mut notes) = read_model(files, &config_path, source, options)?;
    // transformers must be told of exact attention by its own rule.
    let (config, differences) = if family.is_some() {
        for_transformers(
            model.config(),
            Some(model.config().attention.nystrom.segment_means_seq_len),
        )
    } else {
        (model.config().clone(), Vec::new())
    };

    if let Some(tokenizer) = &options.tokenizer {
        tokenizer_files::write_json(tokenizer, scratch.path())?;
    }
    let (goes_along, left_out) = SentenceFiles::going_along(folder, model.architecture());
    notes.extend(left_out);
    let contents = ModelFolder {
        model: &model,
        config: &config,
        storage: StorageType::F32,
        tokenizer_dir: options.tokenizer_dir.as_deref().unwrap_or(folder),
        sentence_dir: goes_along.then_some(folder),
    };
    let has_tokenizer = contents.write(scratch.path())?;
    let card = folder.join(CARD_NAME);
    if let Some(family) = family {
        let origin = Origin::Imported(family);
        contents.write_card(output, has_tokenizer, origin, &differences, scratch.path())?;
    } else if card.is_file() {
        let text = fs::read_to_string(&card)
            .map_err(|source| InteropError::Read { path: card, source })?;
        write_card(&text, scratch.path())?;
    }

    if config.shared.semantics == Semantics::Hf
        && config.attention.kind == AttentionKind::Nystrom
        && config.is_full_attention()
    {
        notes.push(format!(
            "num_landmarks and segment_means_seq_len are both {}: by transformers' rule this model \
             computes exact attention, in O(n²). For Nyström attention, set segment_means_seq_len to the \
             length of your inputs, or semantics to \"paper\".",
            config.attention.nystrom.num_landmarks
        ));
    }
    if config.attention.convolution.conv_kernel_size == 0 {
        notes.push(
            "The model has no convolution, which transformers 5 cannot read: give it to `export` first.".to_owned(),
        );
    }
    finish(scratch, notes)
}

/// The family that a configuration and its weights belong to.
fn read_source(path: &Path, files: &WeightFiles) -> Result<ForeignModel, InteropError> {
    let expected = "the weights' configuration lies beside them, or is named by `--config`";
    let keys = read_json(path, expected)?;
    let shapes: Shapes =
        files.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shape.to_vec())).collect();
    if authors::is_authors(&keys) {
        return authors::read(path, &keys, &shapes);
    }
    let mut source = match bert::Family::of(&keys, &shapes) {
        Some(family) => bert::read(path, &keys, &family)?,
        None => ForeignModel {
            config: read_config_file(path)?,
            positions: PositionOffset::Two,
            has_convolution: true,
            rename: Box::new(|name| Renamed::To(name.to_owned())),
            family: None,
            notes: Vec::new(),
        },
    };
    if keys.get("tie_word_embeddings") == Some(&Value::Bool(false)) && lacks_decoder(&shapes) {
        source.notes.push(
            "config.json has tie_word_embeddings = false and the weights hold no decoder: transformers draws a new one, and \
             here it is the token embedding, as in every Nyströmformer."
                .to_owned(),
        );
    }
    Ok(source)
}

/// Whether weights with a masked-language-modelling head have no decoder of their own.
fn lacks_decoder(shapes: &Shapes) -> bool {
    let has = |end: &str| {
        ["cls.predictions.", "lm_head."]
            .iter()
            .any(|head| shapes.contains_key(&format!("{head}{end}")))
    };
    has("bias") && !has("decoder.weight")
}

fn read_model(
    mut files: WeightFiles,
    config_path: &Path,
    source: ForeignModel,
    options: &ImportOptions,
) -> Result<(Model, Vec<String>), InteropError> {
    let config = overridden(&source.config, config_path, &options.overrides)?;
    let (tensors, left_out) = source.rename_all(&files.path, files.tensors)?;
    files.tensors = tensors;
    fit_positions(&mut files, &source, &config, options.position_fill)?;

    let folder = config_path.parent().unwrap_or(Path::new(""));
    let mut notes = source.notes;
    let taps = source.config.attention.convolution.conv_kernel_size;
    let is_the_same = source.config.attention.convolution == config.attention.convolution;
    let rule = |config: &NystromformerConfig| config.attention.nystrom.landmarks;
    let is_of_the_same_rule = rule(&source.config) == rule(&config);
    if !is_of_the_same_rule && rule(&config) == LandmarkRule::Weighted {
        notes.push(
            "The scores of landmarks are new and start at zero, where they are means of segments."
                .to_owned(),
        );
    } else if !is_of_the_same_rule && rule(&source.config) == LandmarkRule::Weighted {
        notes.push("The source's scores of landmarks are left out.".to_owned());
    }
    let model = if source.has_convolution && is_the_same {
        if is_of_the_same_rule {
            load_files(files, &config, folder, &Device::flex())?
        } else {
            load_with_fresh_parts(files, &config, folder, None)?
        }
    } else {
        if source.has_convolution && taps > 0 {
            notes.push(format!("The source's convolution of {taps} taps is left out."));
        }
        if config.attention.convolution.conv_kernel_size > 0 {
            let start = match options.convolution {
                FreshConvolution::Zero => "starts at zero",
                FreshConvolution::Normal(_) => "drawn at random",
            };
            notes.push(format!("The convolution is new and {start}."));
        }
        load_with_fresh_parts(files, &config, folder, Some(options.convolution))?
    };
    if !left_out.is_empty() {
        let names: Vec<String> = left_out.iter().map(|name| format!("`{name}`")).collect();
        notes.push(format!("Left out, since nothing here computes with it: {}.", names.join(", ")));
    }
    Ok((model, notes))
}

/// The source's configuration with the keys that were asked for.
fn overridden(
    source_config: &NystromformerConfig,
    path: &Path,
    overrides: &Map<String, Value>,
) -> Result<NystromformerConfig, InteropError> {
    let Ok(Value::Object(mut keys)) = serde_json::to_value(source_config) else {
        unreachable!("a struct of plain fields serialises to an object");
    };
    for (key, value) in overrides {
        let refuse = |reason: String| InteropError::Override {
            key: key.clone(),
            value: value.to_string(),
            reason,
        };
        if !keys.contains_key(key) {
            let reason = "there is no such key; it must be one of `[model]`";
            return Err(refuse(reason.to_owned()));
        }
        let single = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
        serde_json::from_value::<NystromformerConfig>(single)
            .map_err(|error| refuse(error.to_string()))?;
        keys.insert(key.clone(), value.clone());
    }
    let config: NystromformerConfig =
        serde_json::from_value(Value::Object(keys)).map_err(|error| InteropError::Damaged {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
    match config.validate() {
        Ok(()) => Ok(config),
        Err(ModelError::Config { key, value, reason }) if source_config.validate().is_ok() => {
            Err(InteropError::Override { key: key.to_owned(), value, reason })
        }
        Err(source) => Err(InteropError::Model { path: path.to_owned(), source }),
    }
}

/// Brings the position table to where ours begins, and to the length asked for.
fn fit_positions(
    files: &mut WeightFiles,
    source: &ForeignModel,
    config: &NystromformerConfig,
    fill: PositionFill,
) -> Result<(), InteropError> {
    let as_stored = source.positions == PositionOffset::Two
        && source.config.embeddings.max_position_embeddings
            == config.embeddings.max_position_embeddings;
    let Some(stored) = files.tensors.get(POSITIONS).filter(|_| !as_stored) else {
        return Ok(());
    };
    let damaged = |reason: String| InteropError::Damaged { path: files.path.clone(), reason };
    let (stated, width) = (&source.config, config.shared.hidden_size);
    let before = match source.positions {
        PositionOffset::Two => POSITION_OFFSET,
        PositionOffset::Zero => 0,
    };
    let expected = [stated.embeddings.max_position_embeddings.saturating_add(before), width];
    if stored.shape[..] != expected || !stored.dtype.is_float() {
        let mismatch = ShapeMismatch {
            name: POSITIONS.to_owned(),
            found: format!("{:?} {:?}", &stored.shape[..], stored.dtype),
            expected: expected.to_vec(),
        };
        let keys = KeyMismatch { mismatched: vec![mismatch], ..KeyMismatch::default() };
        return Err(InteropError::Keys { path: files.path.clone(), keys });
    }
    // A view can claim to be larger than the file that holds it, and a length can be asked for by mistake.
    if stored.byte_len() as u64 > files.bytes {
        return Err(damaged(format!("`{POSITIONS}` claims more bytes than the file has")));
    }
    if config.embeddings.max_position_embeddings.saturating_mul(width) > MAX_POSITION_NUMBERS {
        return Err(InteropError::Override {
            key: "max_position_embeddings".to_owned(),
            value: config.embeddings.max_position_embeddings.to_string(),
            reason: format!(
                "a position table of that many rows of {width} numbers would have over {MAX_POSITION_NUMBERS} of them"
            ),
        });
    }
    let data = bridge::to_data(stored)
        .map_err(|error| damaged(error.to_string()))?
        .try_cast_as::<f32>()
        .map_err(|error| damaged(error.to_string()))?;
    let table = data.as_slice::<f32>().map_err(|error| damaged(format!("{error:?}")))?;
    let table =
        fit_table(table, width, source.positions, config.embeddings.max_position_embeddings, fill);
    files.bytes = files.bytes.saturating_add(table.bytes().len() as u64);
    files.tensors.insert(POSITIONS.into(), bridge::from_data(table, POSITIONS.into(), None));
    Ok(())
}

/// Numbers in the largest position table that is made, a gigabyte: more would be asked for by mistake.
const MAX_POSITION_NUMBERS: usize = 1 << 28;
