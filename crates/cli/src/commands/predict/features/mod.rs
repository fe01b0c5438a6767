//! `predict features`: of texts as JSON lines, or of token ids, file to file.

mod file;

use std::path::PathBuf;

use clap::ValueEnum;
use nystromformer_pipelines::{FeatureExtraction, FeaturePooling};

use super::{ModelArgs, answer_file::Answers, requests::TextArgs};
use crate::output;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Safetensors with I64 `input_ids` `[batch, seq_len]` and, if wanted, `attention_mask` and `token_type_ids`;
    /// for a multiple-choice model all are `[batch, choices, seq_len]`. For a model of feature vectors F32 `input_features`
    /// `[batch, n, num_features]` and, if wanted, `coordinates` `[batch, n, 2]`.
    #[arg(
        long, value_name = "FILE", requires = "output",
        conflicts_with_all = ["texts", "input_file", "jsonl", "pooling"]
    )]
    input: Option<PathBuf>,
    /// Safetensors to write: F32 `logits`, or `start_logits` and `end_logits`; for an encoder without a head,
    /// `last_hidden_state` `[batch, seq_len, hidden_size]`.
    #[arg(long, value_name = "FILE", requires = "input")]
    output: Option<PathBuf>,
    /// Also write `hidden_states.0` (the embeddings) to `hidden_states.L` (the last layer).
    #[arg(long, requires = "input")]
    hidden_states: bool,
    /// Also write the factors of every layer's Nyström attention: `attention_factors.0.kernel_1`
    /// `[batch, heads, seq_len, landmarks]`, `.kernel_2` and its inverse `.pinv`, `.kernel_3`.
    #[arg(long, requires = "input")]
    attention_factors: bool,
    /// What to print of each text: the hidden states of all its tokens when left out.
    #[arg(long, value_enum)]
    pooling: Option<PoolingArg>,
    #[command(flatten)]
    texts: TextArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PoolingArg {
    /// The hidden states of all tokens, an array of arrays.
    None,
    /// That of the first token.
    Cls,
    /// Their mean.
    Mean,
}

impl From<PoolingArg> for FeaturePooling {
    fn from(pooling: PoolingArg) -> Self {
        match pooling {
            PoolingArg::None => Self::None,
            PoolingArg::Cls => Self::Cls,
            PoolingArg::Mean => Self::Mean,
        }
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    if let (Some(input), Some(output)) = (&args.input, &args.output) {
        output::make_room("--output", output)?;
        let (folder, device) = args.model.open()?;
        let extras = file::Extras {
            hidden_states: args.hidden_states,
            attention_factors: args.attention_factors,
        };
        return file::run(&folder, &device, input, output, extras);
    }
    let lines = args.texts.answer_lines(Answers::Arrays)?;
    let (folder, device) = args.model.open()?;
    let pooling = args.pooling.map_or(FeaturePooling::None, FeaturePooling::from);
    args.texts.answer(&FeatureExtraction::load(&folder, &device, pooling)?, lines)
}
