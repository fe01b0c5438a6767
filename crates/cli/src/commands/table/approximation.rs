//! `table approximation`: errors of the Nyström method on random tokens, and on the layers of a model that reads texts.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::bail;
use burn::tensor::{Device, Distribution, Int, Tensor};
use nystromformer::{Nystromformer, NystromformerInput, Seed};
use nystromformer_data::Truncation;
use nystromformer_interop::load;
use nystromformer_kernels::random;
use nystromformer_learner::{LearnerError, trainer::model_folder};
use nystromformer_pipelines::{LineForm, RequestOptions, Requests, Text, tokenizer_of_model};
use nystromformer_tables::{
    approximation::{Approximation, Grid, Heads},
    output::make_folder,
};

use super::{ascending, at_least_one};
use crate::{device_arg::DeviceArg, output};

/// Numbers of landmarks that are measured where none are named.
const LANDMARKS: [usize; 7] = [8, 16, 32, 64, 128, 256, 512];

/// Iterations of the inverse that are measured where none are named.
const ITERATIONS: [usize; 11] = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20];

/// The source of random tokens.
const RANDOM: &str = "random";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where measurements, tables and curves go, and where those of before are.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Measure on the queries and keys of this model too: a run directory, a checkpoint, or a Hugging Face folder. Its layers compute
    /// with the attention that it has: for queries and keys of exact attention name a model that has that.
    #[arg(long, value_name = "DIR", requires = "text")]
    model: Option<PathBuf>,
    /// The texts that the model reads: a table (.csv, .tsv, .parquet), objects (.json, .jsonl), or lines. Those of fewer tokens than
    /// --seq-len are passed over, longer ones cut.
    #[arg(long, value_name = "FILE", requires = "model")]
    text: Option<PathBuf>,
    /// So many of the texts.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = at_least_one())]
    texts: usize,
    /// Tokens of each sequence.
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = at_least_one())]
    seq_len: usize,
    /// Numbers of landmarks.
    #[arg(long, value_delimiter = ',', value_name = "N", default_values_t = LANDMARKS, value_parser = at_least_one())]
    landmarks: Vec<usize>,
    /// Landmarks where iterations and rules are varied.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least_one())]
    num_landmarks: usize,
    /// Iterations of the inverse.
    #[arg(long, value_delimiter = ',', value_name = "N", default_values_t = ITERATIONS, value_parser = at_least_one())]
    iterations: Vec<usize>,
    /// Rows of a matrix that are compared, at most; of longer sequences so many are drawn.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = at_least_one())]
    rows: usize,
    /// Random sequences.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = at_least_one())]
    samples: usize,
    /// Attention heads of random tokens.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = at_least_one())]
    heads: usize,
    /// Channels per head of random tokens.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least_one())]
    head_dim: usize,
    /// Seed of random tokens, of rows and of landmarks that are drawn.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    device: DeviceArg,
}

impl Args {
    fn grid(&self) -> anyhow::Result<Grid> {
        if self.num_landmarks > self.seq_len {
            bail!(
                "--num-landmarks `{}` is more than the `{}` tokens of --seq-len: give fewer",
                self.num_landmarks,
                self.seq_len
            );
        }
        let (landmarks, beyond): (Vec<usize>, Vec<usize>) =
            ascending(&self.landmarks).into_iter().partition(|count| *count <= self.seq_len);
        if !beyond.is_empty() {
            output::note(&format!(
                "--landmarks `{beyond:?}` are left out: there are `{}` tokens (--seq-len)",
                self.seq_len
            ));
        }
        if self.rows < self.seq_len {
            output::note(&format!(
                "`{}` of {} rows of each matrix are compared, drawn by seed {} (--rows)",
                self.rows, self.seq_len, self.seed
            ));
        }
        Ok(Grid {
            landmarks,
            num_landmarks: self.num_landmarks,
            iterations: ascending(&self.iterations),
            most_rows: self.rows,
            seed: self.seed,
        })
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let grid = args.grid()?;
    let device = args.device.kind().open()?;
    make_folder(&args.output)?;
    let mut table = Approximation::open(&args.output)?;
    for seed in (args.seed..).take(args.samples) {
        let shape = [1, args.heads, args.seq_len, args.head_dim];
        let normal = Distribution::Normal(0.0, 1.0);
        let tensors =
            Seed::new(seed).scope(|| [(); 3].map(|()| random::<4>(shape, normal, &device)));
        measure(&mut table, &Heads::new(RANDOM, seed, 0, tensors)?, &grid)?;
    }
    if let (Some(model), Some(text)) = (&args.model, &args.text) {
        measure_model(args, model, text, &device, &mut table, &grid)?;
    }
    output::text(&table.finish(&grid)?)?;
    Ok(ExitCode::SUCCESS)
}

/// Measures one layer's tokens, and says so.
fn measure(table: &mut Approximation, heads: &Heads, grid: &Grid) -> anyhow::Result<()> {
    let measured = table.measure(heads, grid)?;
    let what = match measured {
        0 => "all settings are there already".to_owned(),
        count => format!("{count} settings"),
    };
    output::note(&format!(
        "{}, sequence {}, layer {}: {what}",
        heads.source, heads.sample, heads.layer
    ));
    Ok(())
}

/// Measures every layer of a model on the first texts that are long enough.
fn measure_model(
    args: &Args,
    model: &Path,
    text: &Path,
    device: &Device,
    table: &mut Approximation,
    grid: &Grid,
) -> anyhow::Result<()> {
    let folder = model_folder(model)?;
    let source = format!("{} on {}", model.display(), text.display());
    let tokenizer = tokenizer_of_model(&folder)?;
    let encoder: Nystromformer = load(&folder, device)?;
    let truncation = Some(Truncation::head(args.seq_len));
    let (mut found, mut short) = (0, 0_usize);
    for request in Requests::<Text>::open(text, LineForm::Text, &RequestOptions::default())? {
        if found == args.texts {
            break;
        }
        let request = request?;
        let line = request.place.map_or(0, |place| place.line);
        let encoding = tokenizer.encode_text(&request.request.text, None, truncation)?;
        if encoding.input_ids.len() < args.seq_len {
            short += 1;
            continue;
        }
        found += 1;
        let ids: Vec<i32> = encoding.input_ids.iter().map(|id| *id as i32).collect();
        let ids = Tensor::<1, Int>::from_ints(ids.as_slice(), device).unsqueeze();
        let layers = encoder.attention_inputs(NystromformerInput::new(ids))?;
        for (layer, tensors) in layers.into_iter().enumerate() {
            measure(table, &Heads::new(&source, line, layer, tensors)?, grid)?;
        }
    }
    if found == 0 {
        return Err(LearnerError::Data(format!(
            "`{}` has no text of `{}` tokens: name other texts, or a smaller --seq-len",
            text.display(),
            args.seq_len
        ))
        .into());
    }
    if short > 0 || found < args.texts {
        output::note(&format!(
            "`{found}` of {} texts; {short} of fewer than {} tokens were passed over (--texts, --seq-len)",
            args.texts, args.seq_len
        ));
    }
    Ok(())
}
