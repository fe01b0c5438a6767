//! Logits or hidden states of token ids, file to file.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, bail};
use burn::tensor::{Device, Int, Tensor, TensorData};
use nystromformer::{
    Head, InputTokens, Model, NystromformerConfig, NystromformerInput, PreTrainedModel,
    RowsPerAnswer,
};
use nystromformer_files::{git_lfs, table::listed};
use nystromformer_interop::load_model;
use nystromformer_learner::LearnerError;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::output;

/// What to write beside the model's answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extras {
    pub(super) hidden_states: bool,
    pub(super) attention_factors: bool,
}

/// Writes what the model makes of the token ids in `input` to `output`.
pub(super) fn run(
    folder: &Path,
    device: &Device,
    input: &Path,
    output: &Path,
    extras: Extras,
) -> anyhow::Result<()> {
    git_lfs::check(input).map_err(LearnerError::from)?;
    let model = load_model(folder, device)?;
    let unusable = |error: anyhow::Error| {
        LearnerError::Data(format!("cannot use `{}`: {error:#}", input.display()))
    };
    let batch = read_input(input, &model, device).map_err(unusable)?;

    let mut outputs = BTreeMap::new();
    for answer in model
        .outputs(batch.input.clone(), batch.num_choices)
        .map_err(|error| unusable(error.into()))?
    {
        let (_, values) = floats(answer.values)?;
        outputs.insert(answer.name.to_owned(), (answer.shape, values));
    }
    let encoder = model.nystromformer();
    if extras.hidden_states {
        let states = encoder.hidden_states(batch.input.clone())?;
        for (layer, state) in states.into_iter().enumerate() {
            outputs.insert(format!("hidden_states.{layer}"), floats(state)?);
        }
    }
    if extras.attention_factors {
        let factors = encoder.attention_factors(batch.input)?;
        if factors.is_empty() {
            bail!("`--attention-factors`: this model's attention is exact and has none");
        }
        for (layer, factors) in factors.into_iter().enumerate() {
            for (name, factor) in [
                ("kernel_1", factors.kernel_1),
                ("kernel_2", factors.kernel_2),
                ("pinv", factors.pinv),
                ("kernel_3", factors.kernel_3),
            ] {
                outputs.insert(format!("attention_factors.{layer}.{name}"), floats(factor)?);
            }
        }
    }
    write_outputs(&outputs, output)
}

/// The content of an input file.
struct Batch {
    /// The rows; of a multiple-choice model those of all choices, one question after the other.
    input: NystromformerInput,
    /// Rows of a question; 1 for other models.
    num_choices: usize,
}

/// The input in a file, checked against the model that will read it.
fn read_input(path: &Path, model: &Model, device: &Device) -> anyhow::Result<Batch> {
    let bytes = fs::read(path)?;
    let file = SafeTensors::deserialize(&bytes).context("it is not a safetensors file")?;
    if model.config().vectors.is_used() {
        tell_unread(path, &file, &["input_features", "coordinates", "attention_mask"]);
        return Ok(Batch { input: read_vectors(&file, device)?, num_choices: 1 });
    }
    tell_unread(path, &file, &["input_ids", "attention_mask", "token_type_ids"]);
    let chooses = model.class().rows_per_answer == RowsPerAnswer::Choices;
    let ids_shape = file.tensor("input_ids").map(|view| view.shape().to_vec()).unwrap_or_default();
    let tensor = |name: &str| -> anyhow::Result<Option<(Tensor<2, Int>, usize)>> {
        let Ok(view) = file.tensor(name) else {
            return Ok(None);
        };
        if view.shape() != ids_shape {
            bail!(
                "`{name}` has shape `{:?}`, but `input_ids` has `{ids_shape:?}`: give both the same",
                view.shape()
            );
        }
        if ids_shape.contains(&0) {
            bail!("`{name}` has shape `{ids_shape:?}`: give at least one row and one token");
        }
        let (rows, num_choices, seq_len) = match *view.shape() {
            [batch, seq_len] if !chooses => (batch, 1, seq_len),
            [batch, choices, seq_len] if chooses => (batch * choices, choices, seq_len),
            _ => {
                let wanted = if chooses { "[batch, choices, seq_len]" } else { "[batch, seq_len]" };
                bail!("`{name}` has shape `{:?}`: it must be {wanted}", view.shape());
            }
        };
        if view.dtype() != Dtype::I64 {
            bail!("`{name}` has dtype `{:?}`: it must be I64", view.dtype());
        }
        let (values, _) = view.data().as_chunks();
        let values: Vec<i64> = values.iter().map(|&value| i64::from_le_bytes(value)).collect();
        let values = TensorData::new(values, [rows, seq_len]);
        Ok(Some((Tensor::from_data(values, device), num_choices)))
    };
    let Some((input_ids, num_choices)) = tensor("input_ids")? else {
        bail!("it has no tensor `input_ids`");
    };
    let config: &NystromformerConfig = model.config();
    check_ids("input_ids", &input_ids, config.embeddings.vocab_size)?;
    let mut input = NystromformerInput::new(input_ids);
    if let Some((mask, _)) = tensor("attention_mask")? {
        check_mask(&mask)?;
        input = input.with_attention_mask(mask);
    }
    if let Some((types, _)) = tensor("token_type_ids")? {
        check_ids("token_type_ids", &types, config.embeddings.type_vocab_size)?;
        input = input.with_token_type_ids(types);
    }
    Ok(Batch { input, num_choices })
}

/// The input of a model of feature vectors: `input_features` `[batch, n, num_features]`, and if wanted `coordinates`
/// `[batch, n, 2]` and I64 `attention_mask` `[batch, n]`.
fn read_vectors(file: &SafeTensors<'_>, device: &Device) -> anyhow::Result<NystromformerInput> {
    let floats = |name: &str| -> anyhow::Result<Option<Tensor<3>>> {
        let Ok(view) = file.tensor(name) else { return Ok(None) };
        let ([_, _, _], Dtype::F32) = (view.shape(), view.dtype()) else {
            bail!(
                "`{name}` has shape `{:?}` and dtype `{:?}`: it must be F32 [batch, n, features]",
                view.shape(),
                view.dtype()
            );
        };
        let (values, _) = view.data().as_chunks();
        let values: Vec<f32> = values.iter().map(|&value| f32::from_le_bytes(value)).collect();
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            bail!("`{name}` holds `{value}`: its values must be finite");
        }
        Ok(Some(Tensor::from_data(TensorData::new(values, view.shape().to_vec()), device)))
    };
    let Some(features) = floats("input_features")? else {
        bail!("it has no tensor `input_features`, which the model reads");
    };
    let [rows, seq_len, _] = features.dims();
    let mut input = NystromformerInput::from_features(features);
    if let InputTokens::Vectors { coordinates, .. } = &mut input.tokens {
        *coordinates = floats("coordinates")?;
    }
    if let Ok(view) = file.tensor("attention_mask") {
        if (view.shape(), view.dtype()) != (&[rows, seq_len][..], Dtype::I64) {
            bail!(
                "`attention_mask` has shape `{:?}` and dtype `{:?}`: it must be I64 [{rows}, {seq_len}]",
                view.shape(),
                view.dtype()
            );
        }
        let (values, _) = view.data().as_chunks();
        let values: Vec<i64> = values.iter().map(|&value| i64::from_le_bytes(value)).collect();
        let mask = Tensor::from_data(TensorData::new(values, [rows, seq_len]), device);
        check_mask(&mask)?;
        input = input.with_attention_mask(mask);
    }
    Ok(input)
}

/// Says which tensors of the file are not read.
fn tell_unread(path: &Path, file: &SafeTensors<'_>, read: &[&str]) {
    let mut unread = file.names();
    unread.retain(|name| !read.contains(name));
    unread.sort_unstable();
    if !unread.is_empty() {
        output::note(&format!(
            "note: `{}`: tensors that are not read: {}",
            path.display(),
            listed(unread)
        ));
    }
}

/// A mask of 0 and 1. A row without a token is told: there is nothing that the answer could say.
fn check_mask(mask: &Tensor<2, Int>) -> anyhow::Result<()> {
    check_ids("attention_mask", mask, 2)?;
    let [_, seq_len] = mask.dims();
    let values: Vec<i64> = mask.try_to_vec_as()?;
    let empty = values.chunks(seq_len.max(1)).filter(|row| row.iter().all(|kept| *kept == 0));
    let empty = empty.count();
    if empty > 0 {
        output::note(&format!(
            "note: `attention_mask` is 0 throughout `{empty}` of the rows: what is written of them means nothing"
        ));
    }
    Ok(())
}

/// Ids beyond the table would read outside it.
fn check_ids(name: &str, ids: &Tensor<2, Int>, rows: usize) -> anyhow::Result<()> {
    let values: Vec<i64> = ids.try_to_vec_as()?;
    if let Some(bad) = values.into_iter().find(|id| !(0..rows as i64).contains(id)) {
        bail!("`{name}` holds `{bad}`: its values must lie between 0 and {}", rows - 1);
    }
    Ok(())
}

type Floats = (Vec<usize>, Vec<u8>);

fn floats<const D: usize>(tensor: Tensor<D>) -> anyhow::Result<Floats> {
    let shape = tensor.dims().to_vec();
    let values: Vec<f32> = tensor.try_into_vec_as()?;
    Ok((shape, values.into_iter().flat_map(f32::to_le_bytes).collect()))
}

fn write_outputs(outputs: &BTreeMap<String, Floats>, path: &Path) -> anyhow::Result<()> {
    let views = outputs
        .iter()
        .map(|(name, (shape, bytes))| {
            Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let bytes = safetensors::serialize(views, None)?;
    fs::write(path, bytes).with_context(|| format!("cannot write `{}`", path.display()))
}
