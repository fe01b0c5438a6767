//! `predict features`: logits or hidden states of token ids, file to file.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use burn::tensor::{Device, Int, Tensor, TensorData};
use nystromformer::{
    Nystromformer, NystromformerConfig, NystromformerForMaskedLm, NystromformerInput,
};
use nystromformer_interop::{is_bare_encoder, load_masked_lm, load_nystromformer};
use nystromformer_learner::{LearnerError, trainer::model_folder};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::ModelArgs;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Safetensors with I64 `input_ids` `[batch, seq_len]` and, if wanted, `attention_mask` and `token_type_ids`.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Safetensors to write: F32 `logits` `[batch, seq_len, vocab_size]`; for an encoder without a head,
    /// `last_hidden_state` `[batch, seq_len, hidden_size]`.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Also write `hidden_states.0` (the embeddings) to `hidden_states.L` (the last layer).
    #[arg(long)]
    hidden_states: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let folder = model_folder(&args.model.model)?;
    let device = args.model.device.kind().open()?;
    let model = Model::load(&folder, &device)?;
    let encoder = model.encoder();
    let input = read_input(&args.input, encoder.config(), &device).map_err(|error| {
        LearnerError::Data(format!("cannot use `{}`: {error:#}", args.input.display()))
    })?;

    let mut outputs = BTreeMap::new();
    let (name, output) = model.forward(input.clone())?;
    outputs.insert(name.to_owned(), float_tensor(output)?);
    if args.hidden_states {
        for (layer, state) in encoder.hidden_states(input)?.into_iter().enumerate() {
            outputs.insert(format!("hidden_states.{layer}"), float_tensor(state)?);
        }
    }
    write_outputs(&outputs, &args.output)
}

/// The models whose features can be read.
enum Model {
    MaskedLm(Box<NystromformerForMaskedLm>),
    Encoder(Box<Nystromformer>),
}

impl Model {
    fn load(folder: &Path, device: &Device) -> anyhow::Result<Self> {
        Ok(if is_bare_encoder(folder)? {
            Self::Encoder(Box::new(load_nystromformer(folder, device)?))
        } else {
            Self::MaskedLm(Box::new(load_masked_lm(folder, device)?))
        })
    }

    fn encoder(&self) -> &Nystromformer {
        match self {
            Self::MaskedLm(model) => &model.nystromformer,
            Self::Encoder(encoder) => encoder,
        }
    }

    /// The output by transformers' name for it: `[batch, seq_len, …]`.
    fn forward(&self, input: NystromformerInput) -> anyhow::Result<(&'static str, Tensor<3>)> {
        Ok(match self {
            Self::MaskedLm(model) => ("logits", model.forward(input)?),
            Self::Encoder(encoder) => ("last_hidden_state", encoder.forward(input)?),
        })
    }
}

/// The input in a file, checked against the model that will read it.
fn read_input(
    path: &Path,
    config: &NystromformerConfig,
    device: &Device,
) -> anyhow::Result<NystromformerInput> {
    let bytes = fs::read(path)?;
    let file = SafeTensors::deserialize(&bytes).context("it is not a safetensors file")?;
    let tensor = |name: &str| -> anyhow::Result<Option<Tensor<2, Int>>> {
        let Ok(view) = file.tensor(name) else {
            return Ok(None);
        };
        let &[batch, seq_len] = view.shape() else {
            bail!("`{name}` has shape `{:?}`: it must be [batch, seq_len]", view.shape());
        };
        if view.dtype() != Dtype::I64 {
            bail!("`{name}` has dtype `{:?}`: it must be I64", view.dtype());
        }
        let (values, _) = view.data().as_chunks();
        let values: Vec<i64> = values.iter().map(|&value| i64::from_le_bytes(value)).collect();
        Ok(Some(Tensor::from_data(TensorData::new(values, [batch, seq_len]), device)))
    };
    let Some(input_ids) = tensor("input_ids")? else {
        bail!("it has no tensor `input_ids`");
    };
    let mut input = NystromformerInput::new(input_ids);
    input.attention_mask = tensor("attention_mask")?;
    input.token_type_ids = tensor("token_type_ids")?;
    check_ids("input_ids", &input.input_ids, config.vocab_size)?;
    if let Some(mask) = &input.attention_mask {
        check_ids("attention_mask", mask, 2)?;
    }
    if let Some(types) = &input.token_type_ids {
        check_ids("token_type_ids", types, config.type_vocab_size)?;
    }
    Ok(input)
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

fn float_tensor(tensor: Tensor<3>) -> anyhow::Result<Floats> {
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
