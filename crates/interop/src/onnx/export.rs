//! Folder to folder: a model as ONNX.

use std::{
    fs,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use nystromformer::{
    Architecture, Model, NystromformerConfig, PinvInit, PinvMethod, PreTrainedModel, Semantics,
    VectorPositions,
};
use nystromformer_files::durable::ScratchFolder;
use serde_json::json;

use super::{
    element::Precision,
    file::{self, LARGEST_MESSAGE},
    folder,
    model::{ModelGraph, NoGraph},
    proto::{ModelProto, OperatorSetIdProto, StringStringEntryProto},
    weights::Weights,
};
use crate::{
    error::InteropError,
    hugging_face::{
        Exported, SentenceFiles, SentencePooling, config::CONFIG_NAME,
        export::require_range_of_f16, folder::finish, load::load_model, tokenizer_files,
    },
};

/// The operators that a graph is made of.
const OPSET: i64 = 17;

/// The version of the format that belongs to them.
const IR_VERSION: i64 = 8;

/// The folder of the graphs in a model's folder.
const GRAPHS: &str = "onnx";

/// What [`export_onnx`] writes beside `onnx/model.onnx`, and of what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnnxOptions {
    /// Leave the head out: the graph answers with `last_hidden_state`. Default: no.
    pub without_head: bool,
    /// Also write `onnx/model_fp16.onnx`, in half the size. Default: no.
    pub f16: bool,
    /// Also write `onnx/model_quantized.onnx`. Default: no.
    pub quantize: Option<Quantization>,
    /// What servers of embeddings are told to make of the hidden states of an encoder without a head. Default: what the source
    /// folder says to sentence-transformers, or else their mean.
    pub pooling: Option<SentencePooling>,
    /// Folder of the tokenizer's files. Default: the source folder.
    pub tokenizer_dir: Option<PathBuf>,
}

/// How weights are made integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantization {
    /// 8 bits: those of linear layers with a scale for each output, those of the token table with one for each token.
    Int8,
}

/// Writes a folder that onnxruntime, text-embeddings-inference and transformers.js read, from one that
/// [`load_model`] reads: `onnx/model.onnx`, `config.json`, the tokenizer's files, and for an encoder without a head
/// `1_Pooling/config.json`.
///
/// Inputs are I64 `input_ids`, `attention_mask` and `token_type_ids` `[batch, sequence]` (for a multiple-choice model
/// `[batch, num_choices, sequence]`; for one of feature vectors F32 `input_features` `[batch, sequence, num_features]` and
/// the mask), outputs F32 by transformers' names. Sizes are free, but where `hf` semantics fix the length. Under `paper`
/// semantics a row's answer is its own, however it is padded. The folder appears complete or not at all; `output` must be
/// absent or an empty folder.
///
/// # Errors
/// As for [`load_model`]; [`InteropError::Config`] if a part of the model has no graph; [`InteropError::Override`] if a pooling
/// is named and there is a head, or no text to pool; if `output` is in use or cannot be written.
pub fn export_onnx(
    source: &Path,
    output: &Path,
    options: &OnnxOptions,
) -> Result<Exported, InteropError> {
    let scratch = ScratchFolder::beside(output)?;
    let mut model = load_model(source, &Device::flex())?;
    if options.without_head {
        model = Model::Base(model.nystromformer().clone());
    }
    if let Some(pooling) = options.pooling {
        require_no_head(&model, pooling)?;
    }
    if options.f16 {
        require_range_of_f16(&model)?;
    }
    let graphs = scratch.path().join(GRAPHS);
    fs::create_dir(&graphs)
        .map_err(|source| InteropError::Write { path: graphs.clone(), source })?;
    let tokenizer_dir = options.tokenizer_dir.as_deref().unwrap_or(source);
    // A model with a head is pooled by nobody.
    let beside = match (options.pooling, model.architecture()) {
        (None, Architecture::Base) => SentenceFiles::of_folder(source)?,
        (pooling, _) => SentenceFiles { pooling, ..SentenceFiles::default() },
    };
    folder::write(&model, tokenizer_dir, beside.pooling.unwrap_or_default(), scratch.path())?;

    let (architecture, config) = (model.architecture(), model.config().clone());
    let weights = Weights::of(&model)?;
    drop(model);
    let mut files = vec![("model.onnx", Precision::F32)];
    files.extend(options.f16.then_some(("model_fp16.onnx", Precision::F16)));
    let int8 = options.quantize.map(|Quantization::Int8| Precision::Int8);
    files.extend(int8.map(|precision| ("model_quantized.onnx", precision)));
    for (name, precision) in files {
        let message = message(source, architecture, &config, &weights, precision)?;
        file::write(message, &graphs.join(name), LARGEST_MESSAGE)?;
    }
    let mut notes = notes(&config, options);
    notes.extend(beside.left_out);
    if !options.without_head {
        notes.extend(tokenizer_files::windows_note(scratch.path()));
    }
    finish(scratch, notes)
}

/// Refuses a pooling that nobody would read.
fn require_no_head(model: &Model, pooling: SentencePooling) -> Result<(), InteropError> {
    let reason = if model.config().vectors.is_used() {
        "the model reads feature vectors, of which no server of embeddings makes one: leave it out"
    } else if model.architecture() == Architecture::Base {
        return Ok(());
    } else {
        "the model's head answers, and what it answers is not pooled: add `--without-head`, or leave it out"
    };
    Err(InteropError::Override {
        key: "--pooling".to_owned(),
        value: pooling.name().to_owned(),
        reason: reason.to_owned(),
    })
}

/// The model's file in one precision.
pub(super) fn message(
    source: &Path,
    architecture: Architecture,
    config: &NystromformerConfig,
    weights: &Weights,
    precision: Precision,
) -> Result<ModelProto, InteropError> {
    let graph = ModelGraph::of(architecture, config).map_err(|part| refusal(part, source))?;
    weights.forget();
    let graph = graph.build(weights, precision);
    if let Some(name) = weights.unread() {
        return Err(InteropError::Unsupported {
            path: source.to_owned(),
            reason: format!(
                "the graph has no place for `{name}`, so it would compute another model"
            ),
        });
    }
    let about = [
        ("semantics", json!(config.shared.semantics)),
        ("attention", json!(config.attention.kind)),
    ];
    let entry = |(key, value): (&str, serde_json::Value)| StringStringEntryProto {
        key: key.to_owned(),
        value: value.as_str().unwrap_or_default().to_owned(),
    };
    Ok(ModelProto {
        ir_version: IR_VERSION,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        producer_name: "nystromformer".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph.into_proto()),
        metadata_props: about.into_iter().map(entry).collect(),
    })
}

/// The error for a part that has no graph, by the key that names it.
pub(super) fn refusal(part: NoGraph, source: &Path) -> InteropError {
    let (key, value) = match part {
        NoGraph::Attention(kind) => ("attention", kind.name().to_owned()),
        NoGraph::Option(key, value) => (key, value),
        NoGraph::Head(architecture) => ("architectures", architecture.name().to_owned()),
    };
    InteropError::Config {
        path: source.join(CONFIG_NAME),
        key: key.to_owned(),
        value,
        reason: "it has no ONNX graph; `predict` and `evaluate` read the folder as it is"
            .to_owned(),
    }
}

/// What a user of the graphs must know.
fn notes(config: &NystromformerConfig, options: &OnnxOptions) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(length) = config.required_seq_len() {
        notes.push(format!(
            "Under `hf` semantics inputs have exactly segment_means_seq_len = {length} tokens, padding included, as in \
             transformers; the graph refuses others."
        ));
    } else if let Some(longest) = config.longest_sequence() {
        notes.push(format!("Inputs may have any length up to {longest} tokens."));
    }
    if config.shared.semantics == Semantics::Hf {
        notes.push(
            "Padding leaks into landmarks and the convolution, as in transformers, whose numbers these are.".to_owned(),
        );
    }
    let approximates = !config.is_full_attention() && config.encoder.num_hidden_layers > 0;
    let nystrom = &config.attention.nystrom;
    if approximates
        && nystrom.pinv == PinvMethod::Iterative
        && nystrom.pinv_init == PinvInit::Original
    {
        notes.push(
            "The pseudo-inverse takes one scale from the whole batch (`pinv_init = \"original\"`), so an answer depends on \
             the other rows of its batch."
                .to_owned(),
        );
    }
    if config.vectors.vector_positions == VectorPositions::Grid {
        notes.push(
            "The graph reads no coordinates: vectors fill a square row by row, as in `predict` without coordinates."
                .to_owned(),
        );
    }
    if options.f16 {
        notes.push(
            "`model_fp16.onnx` computes in 16 bits, but for the attention between its projections, which stays in 32."
                .to_owned(),
        );
    }
    if options.quantize.is_some() {
        notes.push(
            "`model_quantized.onnx` rounds what each layer reads by one scale for the whole batch, so an answer depends a \
             little on the other rows and on padding."
                .to_owned(),
        );
    }
    notes
}
