//! Folder to folder: what transformers can load, and what it will compute.
//!
//! transformers computes the `hf` semantics only. A model trained with `paper` semantics can be exported all
//! the same: the weights are the same, and `segment_means_seq_len` is set to the one input length that
//! transformers will accept. What then differs is returned as notes and written to the model card.

use std::path::{Path, PathBuf};

use burn::{
    store::{ModuleSnapshot, bridge},
    tensor::Device,
};
use nystromformer::{Model, NystromformerForMaskedLm, PreTrainedModel};
use nystromformer_files::durable::ScratchFolder;

use super::{
    config::{CONFIG_NAME, read_config},
    convolution::{FreshConvolution, load_with_fresh_parts},
    difference::{self, Difference},
    folder::{Exported, ModelFolder, finish},
    load::load_model,
    paper_code,
    sentence_files::SentenceFiles,
    storage::StorageType,
    tokenizer_files,
    transformers::for_transformers,
    weights::WeightFiles,
};
use crate::{
    error::InteropError,
    model_card::{Origin, TrainingFacts},
};

/// What [`export_model`] cannot see in the source folder.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExportOptions {
    /// Tokens per input that transformers should expect of a `paper` model with Nyström attention, usually
    /// the length it was trained on. It is rounded up to a multiple of `num_landmarks`, or down where the
    /// model has no positions for that. Default: the longest such length.
    pub seq_len: Option<usize>,
    /// Folder of the tokenizer's files. Default: the source folder.
    pub tokenizer_dir: Option<PathBuf>,
    /// Folder of sentence-transformers' files, which go along with an encoder that has no head. Default: the source folder.
    pub sentence_dir: Option<PathBuf>,
    /// How the weights are stored. Default: in 32 bits.
    pub storage: StorageType,
    /// The training that the weights came from, for the model card. Default: not known.
    pub training: Option<TrainingFacts>,
}

/// Writes a folder that transformers' `AutoModelFor…` and `AutoTokenizer` load, from a folder that
/// [`load_model`] reads.
///
/// It holds `config.json`, `model.safetensors`, the tokenizer's files if there are any, and a model card. It
/// appears complete or not at all; `output` must be absent or an empty folder. The model passes through the
/// CPU, whatever device it was trained on.
///
/// # Errors
/// As for [`load_model`]; if `output` is in use or cannot be written.
pub fn export_model(
    source: &Path,
    output: &Path,
    options: &ExportOptions,
) -> Result<Exported, InteropError> {
    let scratch = ScratchFolder::beside(output)?;
    let (model, added) = with_convolution(source)?;
    let (model, dropped) = without_sentence_order(model);
    if let Some((key, value)) = paper_code::foreign_key(model.architecture(), model.config()) {
        return Err(InteropError::Config {
            path: source.join(CONFIG_NAME),
            key: key.to_owned(),
            value,
            reason: "transformers has no such model, so there is nothing to export to; `predict` and `evaluate` read \
                     the folder as it is"
                .to_owned(),
        });
    }
    let (model, folded) = in_units_of_the_data(model);
    let (config, mut notes) = for_transformers(model.config(), options.seq_len);
    let key_of_the_file = paper_code::key_of_the_file(model.architecture(), model.config());
    if let Some((key, value)) = &key_of_the_file {
        // What transformers would compute without the file is no neighbour of the model.
        notes = vec![format!(
            "The model has {key} = {value}, which transformers itself has not: load the folder with `trust_remote_code=True`, and \
             the modeling file in it computes what the training computed, for any length and padding. Without it, loading fails or \
             gives another model."
        )];
    }
    let config = config.with(|config| {
        (config.classifier.label_mean, config.classifier.label_std) = (None, None);
    });
    notes.extend(added.into_iter().chain(dropped).chain(folded));

    if options.storage == StorageType::F16 {
        require_range_of_f16(&model)?;
    }
    let sentence_dir = options.sentence_dir.as_deref().unwrap_or(source);
    let (goes_along, left_out) = SentenceFiles::going_along(sentence_dir, model.architecture());
    notes.extend(left_out);
    let folder = ModelFolder {
        model: &model,
        config: &config,
        storage: options.storage,
        tokenizer_dir: options.tokenizer_dir.as_deref().unwrap_or(source),
        sentence_dir: goes_along.then_some(sentence_dir),
    };
    let has_tokenizer = folder.write(scratch.path())?;
    notes.extend(tokenizer_files::windows_note(scratch.path()));
    if folder.has_modeling_file() && key_of_the_file.is_none() {
        notes.push(modeling_note(&difference::measure(scratch.path(), &config)?));
    }
    let origin = options.training.as_ref().map_or(Origin::Unknown, Origin::Trained);
    folder.write_card(output, has_tokenizer, origin, &notes, scratch.path())?;
    finish(scratch, notes)
}

/// What the modeling file is for, with the size of the difference without it.
fn modeling_note(difference: &Difference) -> String {
    let Difference { seq_len, unpadded, padded } = difference;
    format!(
        "With `trust_remote_code=True`, transformers computes with the modeling file in this folder what the \
         training computed, for any length and padding. Without it, hidden states of {seq_len} random tokens \
         differ by {unpadded:.1e} of the largest, and where half of the row is padding by {padded:.1e}."
    )
}

/// Refuses weights that 16-bit floats cannot hold.
pub(crate) fn require_range_of_f16(model: &Model) -> Result<(), InteropError> {
    const MAX: f32 = 65504.0;
    for tensor in model.collect(None, None, true) {
        let data = bridge::to_data(&tensor)
            .map_err(|error| error.to_string())
            .and_then(|data| data.try_cast_as::<f32>().map_err(|error| error.to_string()))
            .map_err(|reason| InteropError::Damaged { path: tensor.name.clone().into(), reason })?;
        let values = data.as_slice::<f32>().expect("it was made of 32-bit floats");
        if let Some(value) = values.iter().find(|value| value.abs() > MAX) {
            return Err(InteropError::BeyondStorage {
                key: tensor.name.clone(),
                value: *value,
                storage: StorageType::F16.name(),
            });
        }
    }
    Ok(())
}

/// The model in a folder, and a note if it has no convolution: transformers 5 refuses `conv_kernel_size = null`, so
/// it gets one that adds nothing.
fn with_convolution(source: &Path) -> Result<(Model, Option<String>), InteropError> {
    let config = read_config(source)?;
    if config.attention.convolution.conv_kernel_size > 0 {
        return Ok((load_model(source, &Device::flex())?, None));
    }
    let config = config.with(|config| config.attention.convolution.conv_kernel_size = 1);
    let files = WeightFiles::open(source)?;
    let model = load_with_fresh_parts(files, &config, source, Some(FreshConvolution::Zero))?;
    let note = "The model has no convolution. Newer releases of transformers cannot be told so: the export has one of \
                a single tap whose weight is zero, which adds nothing.";
    Ok((model, Some(note.to_owned())))
}

/// The part of a pretraining model that transformers has a class for, and a note if that is not all.
fn without_sentence_order(model: Model) -> (Model, Option<String>) {
    match model {
        Model::PreTraining(model) => {
            let (nystromformer, cls) = (model.nystromformer, model.cls);
            let note = "The pooler and the sentence-order head are left out: transformers has no class that \
                        holds them, and its own converter leaves them out too.";
            let model = Model::MaskedLm(NystromformerForMaskedLm { nystromformer, cls });
            (model, Some(note.to_owned()))
        }
        other => (other, None),
    }
}

/// A regression that was trained towards standardized numbers, with a last layer that answers in their own units by itself:
/// transformers knows of no other.
fn in_units_of_the_data(model: Model) -> (Model, Option<String>) {
    match model {
        Model::SequenceClassification(mut model) => {
            let Some(standardization) = model.config().classifier.standardization() else {
                return (Model::SequenceClassification(model), None);
            };
            model.classifier.out_proj = standardization.fold_into(model.classifier.out_proj);
            let note = "The model was trained towards numbers less their mean, over their deviation; both are part of its last \
                        layer's weights here, so that it answers in the numbers' own units.";
            (Model::SequenceClassification(model), Some(note.to_owned()))
        }
        other => (other, None),
    }
}
