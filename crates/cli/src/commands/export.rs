//! Writes a trained model as a folder that transformers or onnxruntime loads; see `nystromformer export --help`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{bail, ensure};
use clap::ValueEnum;
use nystromformer::AttentionKind;
use nystromformer_interop::{
    ExportOptions, Exported, OnnxOptions, Quantization, SentencePooling, StorageType,
    export_for_authors, export_model, export_onnx, fitting_seq_len, read_config,
};
use nystromformer_learner::{
    progress::{WorkDisplay, stage},
    trainer::{model_folder, trained_facts, trained_seq_len},
};

use crate::output;

/// Write a model as a Hugging Face folder, tokenizer and model card included, or as ONNX graphs.
#[derive(clap::Args)]
pub struct Args {
    /// A run directory (its best checkpoint, else the newest), a checkpoint, a Hugging Face folder, or `hub:owner/name`.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The folder to write; must not exist yet, or be empty.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Tokens per input that transformers should expect of a model with Nyström attention: there the length is
    /// fixed. Default: the length that the model was trained on, or else the longest that it has positions for.
    #[arg(long, value_name = "N")]
    seq_len: Option<usize>,
    /// How the weights are stored. With `--format onnx`, `f16` adds `onnx/model_fp16.onnx` to `onnx/model.onnx`.
    #[arg(long, value_enum, default_value = "f32")]
    dtype: Dtype,
    /// The layout of the folder.
    #[arg(long, value_enum, default_value = "hf")]
    format: Format,
    #[command(flatten)]
    onnx: OnnxArgs,
}

/// What only ONNX graphs have.
#[derive(Debug, PartialEq, Eq, clap::Args)]
struct OnnxArgs {
    /// With `--format onnx`: also write `onnx/model_quantized.onnx`, its weights integers.
    #[arg(long, value_enum)]
    quantize: Option<Quantize>,
    /// With `--format onnx`: leave the head out; the graph answers with `last_hidden_state`.
    #[arg(long)]
    without_head: bool,
    /// With `--format onnx`, of an encoder without a head: what servers of embeddings make of a text's hidden states
    /// (`1_Pooling/config.json`). Default: what the source folder says to sentence-transformers, or else `mean`.
    #[arg(long, value_enum)]
    pooling: Option<PoolingArg>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Hugging Face's, which transformers reads.
    Hf,
    /// The authors': `cp-0000.model` with their names of weights, and their `config.json`.
    Original,
    /// `onnx/model.onnx` beside `config.json` and the tokenizer, for onnxruntime, text-embeddings-inference and
    /// transformers.js.
    Onnx,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Dtype {
    /// 32 bits: the weights as they are.
    F32,
    /// 16 bits, for numbers up to 65504.
    F16,
    /// 16 bits, with the range of f32 and less precision.
    Bf16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Quantize {
    /// 8 bits: a quarter of the size.
    Int8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PoolingArg {
    /// Their mean.
    Mean,
    /// That of the first token.
    Cls,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes in [`crate::failure`].
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    args.check()?;
    let source = model_folder(&args.model)?;
    let work = WorkDisplay::stderr();
    let exported = work.during(stage::EXPORT, || export(&args, &source))?;
    report(&source, &args.output, exported);
    Ok(ExitCode::SUCCESS)
}

/// Writes the model in `source` in the form that is asked for.
fn export(args: &Args, source: &Path) -> anyhow::Result<Exported> {
    Ok(match args.format {
        Format::Hf => {
            let asked =
                args.seq_len.map(|seq_len| length_for_transformers(source, seq_len)).transpose()?;
            let options = ExportOptions {
                seq_len: asked.or_else(|| trained_seq_len(source)),
                storage: match args.dtype {
                    Dtype::F32 => StorageType::F32,
                    Dtype::F16 => StorageType::F16,
                    Dtype::Bf16 => StorageType::Bf16,
                },
                training: trained_facts(source),
                ..ExportOptions::default()
            };
            export_model(source, &args.output, &options)?
        }
        Format::Original => export_for_authors(source, &args.output)?,
        Format::Onnx => export_onnx(source, &args.output, &args.onnx_options())?,
    })
}

/// The length of inputs that the exported `config.json` is to state, for which `seq_len` is asked: with landmarks a multiple of their
/// number.
fn length_for_transformers(source: &Path, seq_len: usize) -> anyhow::Result<usize> {
    let config = read_config(source)?;
    let (longest, landmarks) =
        (config.embeddings.max_position_embeddings, config.attention.nystrom.num_landmarks);
    ensure!(
        (1..=longest).contains(&seq_len),
        "`--seq-len` = `{seq_len}`: the model has positions for 1 to {longest} tokens"
    );
    let rounded = fitting_seq_len(&config, Some(seq_len));
    if rounded != seq_len && config.attention.kind == AttentionKind::Nystrom {
        output::note(&format!(
            "`--seq-len` = `{seq_len}` is no multiple of `num_landmarks` = `{landmarks}`, as transformers needs it: \
             segment_means_seq_len is {rounded}"
        ));
    }
    Ok(seq_len)
}

impl Args {
    /// Refuses arguments that a format does not have.
    fn check(&self) -> anyhow::Result<()> {
        match self.format {
            Format::Original if self.dtype != Dtype::F32 || self.seq_len.is_some() => bail!(
                "`--format original` with `--dtype` or `--seq-len`: the authors' scripts read 32-bit weights, and \
                 inputs as long as the model has positions; leave them out"
            ),
            Format::Onnx if self.dtype == Dtype::Bf16 => bail!(
                "`--format onnx` with `--dtype bf16`: onnxruntime computes with it on few devices; use f16 or f32"
            ),
            Format::Onnx if self.seq_len.is_some() => bail!(
                "`--format onnx` with `--seq-len`: the graph reads inputs of any length that the model reads; leave it out"
            ),
            Format::Hf | Format::Original if self.onnx != OnnxArgs::NONE => bail!(
                "`--quantize`, `--without-head` and `--pooling` are of ONNX graphs; add `--format onnx`, or leave them out"
            ),
            _ => Ok(()),
        }
    }

    fn onnx_options(&self) -> OnnxOptions {
        OnnxOptions {
            without_head: self.onnx.without_head,
            f16: self.dtype == Dtype::F16,
            quantize: self.onnx.quantize.map(|Quantize::Int8| Quantization::Int8),
            pooling: self.onnx.pooling.map(|pooling| match pooling {
                PoolingArg::Mean => SentencePooling::Mean,
                PoolingArg::Cls => SentencePooling::Cls,
            }),
            tokenizer_dir: None,
        }
    }
}

impl OnnxArgs {
    const NONE: Self = Self { quantize: None, without_head: false, pooling: None };
}

fn report(source: &Path, output: &Path, exported: Exported) {
    for note in exported.notes {
        output::note(&format!("note: {note}"));
    }
    output::note(&format!("exported `{}` to `{}`", source.display(), output.display()));
}
