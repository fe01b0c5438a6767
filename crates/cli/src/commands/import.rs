//! Reads foreign weights into a folder of ours; see `nystromformer import --help`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::bail;
use clap::ValueEnum;
use nystromformer_data::TextTokenizer;
use nystromformer_interop::{
    FreshConvolution, HubFiles, ImportOptions, PositionFill, import_model, local_folder,
};
use serde_json::Value;

use crate::output;

/// Read weights of another library or family into a folder of ours.
///
/// Nyströmformers of transformers in any published form, checkpoints of the authors' repository (`.model`, `.cp`),
/// and BERT, RoBERTa, XLM-RoBERTa and `CamemBERT` as a start: their attention is swapped, everything else is theirs.
#[derive(clap::Args)]
pub struct Args {
    /// A folder, a weight file (safetensors or PyTorch's), an index of shards, or `hub:owner/name`.
    #[arg(long, value_name = "PATH")]
    from: PathBuf,
    /// The folder to write; must not exist yet, or be empty.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// `config.json` of the weights. Default: beside them.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A folder with the tokenizer, in any form: `tokenizer.json`, `spiece.model`, `vocab.txt`, or `vocab.json` with
    /// `merges.txt`. Default: beside the weights.
    #[arg(long, value_name = "DIR")]
    tokenizer: Option<PathBuf>,
    /// Set a key of the resulting configuration, as in `attention=softmax` or `max_position_embeddings=4096`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// How a longer position table is filled.
    #[arg(long, value_enum, default_value = "tile")]
    positions: Positions,
    /// How a convolution starts that the source does not have.
    #[arg(long, value_enum, default_value = "zero")]
    convolution: Convolution,
    /// Seed of a convolution that is drawn.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// How a longer position table is filled.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Positions {
    /// By repeating the trained positions, as the authors do.
    Tile,
    /// By stretching them.
    Interpolate,
}

impl Positions {
    pub(super) fn fill(self) -> PositionFill {
        match self {
            Self::Tile => PositionFill::Tile,
            Self::Interpolate => PositionFill::Interpolate,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Convolution {
    /// At zero: the model first computes what it would without it.
    Zero,
    /// At random weights.
    Normal,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes in [`crate::failure`].
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let from = local_folder(&args.from, HubFiles::Model)?;
    let tokenizer = args.tokenizer.map(|path| local_folder(&path, HubFiles::Tokenizer));
    let tokenizer = tokenizer.transpose()?;
    let options = ImportOptions {
        config: args.config,
        overrides: args.overrides.iter().map(|text| assignment(text)).collect::<Result<_, _>>()?,
        position_fill: args.positions.fill(),
        convolution: match args.convolution {
            Convolution::Zero => FreshConvolution::Zero,
            Convolution::Normal => FreshConvolution::Normal(args.seed),
        },
        tokenizer: tokenizer_json(&from, tokenizer.as_deref())?,
        tokenizer_dir: tokenizer,
    };
    for note in import_model(&from, &args.output, &options)?.notes {
        output::note(&format!("note: {note}"));
    }
    output::note(&format!("imported `{}` to `{}`", args.from.display(), args.output.display()));
    Ok(ExitCode::SUCCESS)
}

/// The tokenizer as a `tokenizer.json`, if it is there in another form. One that is named must be there.
pub(super) fn tokenizer_json(from: &Path, named: Option<&Path>) -> anyhow::Result<Option<String>> {
    let beside = if from.is_dir() { Some(from) } else { from.parent() };
    let Some(folder) = named.or(beside) else {
        return Ok(None);
    };
    if named.is_some() && !TextTokenizer::is_in(folder) {
        bail!("`--tokenizer {}`: there is no tokenizer in it", folder.display());
    }
    if folder.join("tokenizer.json").is_file() || !TextTokenizer::is_in(folder) {
        return Ok(None);
    }
    match TextTokenizer::load(folder, true) {
        Ok(tokenizer) => Ok(Some(tokenizer.to_json().to_owned())),
        Err(error) if named.is_some() => Err(error.into()),
        Err(error) => {
            // The weights are good without it, and its files are copied as they are.
            let error = anyhow::Error::from(error);
            output::note(&format!("note: no `tokenizer.json` is made: {error:#}"));
            Ok(None)
        }
    }
}

/// `key=value`, where a value that is not JSON is a text.
fn assignment(text: &str) -> anyhow::Result<(String, Value)> {
    let Some((key, value)) = text.split_once('=') else {
        bail!("`--set {text}`: write it as KEY=VALUE");
    };
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    Ok((key.to_owned(), value))
}
