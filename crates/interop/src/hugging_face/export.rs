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
use nystromformer::{
    AttentionKind, Model, NystromformerConfig, NystromformerForMaskedLm, PinvInit, PreTrainedModel,
    Semantics,
};

use super::{
    config::{CONFIG_NAME, read_config},
    convolution::{FreshConvolution, load_with_fresh_convolution},
    difference::{self, Difference},
    folder::{ModelFolder, finish},
    load::load_model,
    paper_code,
    save::StorageType,
    weights::WeightFiles,
};
use crate::{
    error::InteropError,
    model_card::{Origin, TrainingFacts},
    scratch::ScratchFolder,
};

/// Iterations of the pseudo-inverse in transformers, which has no key for it.
pub(crate) const HF_PINV_ITERATIONS: usize = 6;

/// What [`export_model`] cannot see in the source folder.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExportOptions {
    /// Tokens per input that transformers should expect of a `paper` model with Nyström attention, usually
    /// the length it was trained on. It is rounded up to a multiple of `num_landmarks`, or down where the
    /// model has no positions for that. Default: the longest such length.
    pub seq_len: Option<usize>,
    /// Folder of the tokenizer's files. Default: the source folder.
    pub tokenizer_dir: Option<PathBuf>,
    /// How the weights are stored. Default: in 32 bits.
    pub storage: StorageType,
    /// The training that the weights came from, for the model card. Default: not known.
    pub training: Option<TrainingFacts>,
}

/// What an export or import wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    /// Files in the output folder.
    pub files: Vec<String>,
    /// What transformers will compute differently from this library, a sentence or two each.
    pub notes: Vec<String>,
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
    let (config, mut notes) = for_transformers(model.config(), options.seq_len);
    notes.extend(added.into_iter().chain(dropped));

    if options.storage == StorageType::F16 {
        require_range_of_f16(&model)?;
    }
    let folder = ModelFolder {
        model: &model,
        config: &config,
        storage: options.storage,
        tokenizer_dir: options.tokenizer_dir.as_deref().unwrap_or(source),
    };
    let has_tokenizer = folder.write(scratch.path())?;
    if folder.has_modeling_file() {
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
fn require_range_of_f16(model: &Model) -> Result<(), InteropError> {
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
    if config.conv_kernel_size > 0 {
        return Ok((load_model(source, &Device::flex())?, None));
    }
    let config = NystromformerConfig { conv_kernel_size: 1, ..config };
    let files = WeightFiles::open(source)?;
    let model = load_with_fresh_convolution(files, &config, source, FreshConvolution::Zero)?;
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

/// Whether transformers will compute Nyström attention for this `config.json`.
pub(crate) fn transformers_approximates(config: &NystromformerConfig) -> bool {
    config.num_landmarks != config.segment_means_seq_len
}

/// Tokens of the longest input that transformers can read.
pub(crate) fn input_len(config: &NystromformerConfig) -> usize {
    if transformers_approximates(config) {
        config.segment_means_seq_len
    } else {
        config.max_position_embeddings
    }
}

/// The configuration to write for transformers, and what it will compute differently.
pub(crate) fn for_transformers(
    config: &NystromformerConfig,
    seq_len: Option<usize>,
) -> (NystromformerConfig, Vec<String>) {
    let mut exported = config.clone();
    let mut notes = Vec::new();
    let landmarks = config.num_landmarks;

    if config.attention == AttentionKind::Softmax {
        // The one switch that transformers has for exact attention.
        exported.segment_means_seq_len = landmarks;
        notes.push(format!(
            "Attention is exact. segment_means_seq_len equals num_landmarks = {landmarks}, which is how \
             transformers is told so; inputs may have any length up to {}.",
            config.max_position_embeddings
        ));
    } else if config.semantics == Semantics::Paper {
        exported.segment_means_seq_len = fitting_seq_len(config, seq_len);
        notes.push(
            "The model was trained with `paper` semantics, where padding takes no part in anything. \
             transformers lets padding into the landmarks and into the convolution, so its predictions for \
             padded inputs differ."
                .into(),
        );
        if transformers_approximates(&exported) {
            notes.push(format!(
                "transformers needs inputs of exactly segment_means_seq_len = {} tokens: pad or truncate to \
                 that, or change the key to another multiple of num_landmarks = {landmarks}. For short \
                 inputs, set it to {landmarks} when loading: transformers then computes exact attention, \
                 with padding masked.",
                exported.segment_means_seq_len
            ));
        } else {
            notes.push(format!(
                "segment_means_seq_len = {landmarks} equals num_landmarks, for which transformers computes exact \
                 attention instead of the approximation.",
            ));
        }
    }

    if config.semantics == Semantics::Paper
        && config.is_full_attention()
        && config.conv_kernel_size > 0
    {
        notes.push(
            "The model was trained with `paper` semantics, where padding takes no part in anything. \
             transformers convolves padded positions too, so its predictions beside padding differ; those \
             for unpadded inputs are the same."
                .into(),
        );
    }
    if transformers_approximates(&exported) {
        notes.push(
            "transformers 5 (5.23 at least) fails on padded inputs where attention is approximated, with an error of \
             shapes; 4.56 does not."
                .into(),
        );
    }
    if transformers_approximates(&exported) && config.pinv_iterations != HF_PINV_ITERATIONS {
        notes.push(format!(
            "The model was trained with {} iterations of the pseudo-inverse; transformers always computes \
             {HF_PINV_ITERATIONS}.",
            config.pinv_iterations
        ));
    }
    if transformers_approximates(&exported) && config.pinv_init == PinvInit::Exact {
        notes.push(
            "The pseudo-inverse of each matrix starts from that matrix's own scale; transformers takes one \
             scale from the whole batch. Predictions differ where the iteration has not converged, and there \
             depend on the batch."
                .into(),
        );
    }
    (exported, notes)
}

/// The multiple of `num_landmarks` next to `wanted` for which the model has positions, upwards first;
/// without `wanted`, the longest.
fn fitting_seq_len(config: &NystromformerConfig, wanted: Option<usize>) -> usize {
    let landmarks = config.num_landmarks;
    let longest = (config.max_position_embeddings / landmarks * landmarks).max(landmarks);
    match wanted {
        None => longest,
        Some(wanted) => wanted.max(1).div_ceil(landmarks).saturating_mul(landmarks).min(longest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(num_landmarks: usize, max_position_embeddings: usize) -> NystromformerConfig {
        NystromformerConfig { num_landmarks, max_position_embeddings, ..Default::default() }
    }

    #[test]
    fn the_length_is_a_multiple_that_has_positions() {
        for (landmarks, positions, wanted, fitting) in [
            (64, 512, None, 512),
            (64, 510, None, 448),
            (64, 512, Some(128), 128),
            (64, 512, Some(100), 128),
            (64, 510, Some(500), 448),
            (64, 512, Some(9999), 512),
            (64, 512, Some(0), 64),
            (64, 32, None, 64),
        ] {
            assert_eq!(fitting_seq_len(&config(landmarks, positions), wanted), fitting);
        }
    }

    #[test]
    fn exact_attention_is_switched_on_by_transformers_rule() {
        let exact = NystromformerConfig {
            attention: AttentionKind::Softmax,
            segment_means_seq_len: 512,
            ..config(32, 512)
        };
        let (exported, notes) = for_transformers(&exact, Some(256));
        assert_eq!(exported.segment_means_seq_len, 32);
        assert!(notes[0].starts_with("Attention is exact."));
        assert!(notes[1].contains("convolves padded positions"));
        assert_eq!(notes.len(), 2);
    }

    #[test]
    fn a_model_that_transformers_computes_alike_has_no_notes() {
        let hf = NystromformerConfig {
            semantics: Semantics::Hf,
            pinv_init: PinvInit::Original,
            segment_means_seq_len: 256,
            ..config(64, 512)
        };
        let (exported, notes) = for_transformers(&hf, None);
        assert_eq!((exported, notes.len()), (hf, 1));
        assert!(notes[0].contains("fails on padded inputs"), "{notes:?}");
    }

    #[test]
    fn every_difference_is_named() {
        let paper = NystromformerConfig { pinv_iterations: 12, ..config(64, 512) };
        let (exported, notes) = for_transformers(&paper, None);
        assert_eq!(exported.segment_means_seq_len, 512);
        for (note, words) in notes.iter().zip([
            "`paper` semantics",
            "exactly",
            "fails on padded",
            "12 iterations",
            "batch",
        ]) {
            assert!(note.contains(words), "{note}");
        }
        assert_eq!(notes.len(), 5);
    }
}
