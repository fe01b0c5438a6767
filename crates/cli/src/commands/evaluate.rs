//! Measures a trained model on held-out data; see `evaluate --help`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap::{Parser, ValueEnum};
use nystromformer::PreTrainedModel;
use nystromformer_interop::{InteropError, load_model};
use nystromformer_learner::{
    Experiment,
    batch::BatchSource,
    corpus_batches::CorpusBatches,
    evaluate::evaluate,
    trainer::{model_folder, trained_fingerprints},
};
use nystromformer_pipelines::tokenizer_of_model;
use serde_json::json;

use crate::{output, preparation::PreparationNotes};

/// Measure a model on held-out data; prints one JSON object.
#[derive(Parser)]
#[command(name = "evaluate", version)]
pub struct Args {
    /// A run directory (its best checkpoint, else the newest), a checkpoint, or a Hugging Face folder.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The experiment whose data is used.
    #[arg(long, value_name = "CONFIG.toml")]
    config: PathBuf,
    /// Override a key of the experiment.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    overrides: Vec<String>,
    /// Which part of the data.
    #[arg(long, value_enum, default_value = "validation")]
    split: Split,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Split {
    Validation,
    Test,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes in [`crate::failure`].
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.split == Split::Test {
        bail!("`--split test`: a masked language model has a training and a validation split only");
    }
    let experiment = Experiment::load(&args.config, &args.overrides)?.experiment;
    let folder = model_folder(&args.model)?;
    let device = experiment.device.open()?;
    let model = load_model(&folder, &device)?;
    if model.architecture() != experiment.architecture() {
        let architecture = experiment.architecture();
        return Err(InteropError::NoHead { path: folder, architecture }.into());
    }
    let notes = PreparationNotes::default();
    let data = CorpusBatches::prepare(&experiment, &|report| notes.report(report))?;
    if tokenizer_of_model(&folder)?.hash() != data.data().tokenizer.hash() {
        bail!(
            "`{}` was trained with another tokenizer than `{}` makes: set tokenizer.path={}",
            folder.display(),
            args.config.display(),
            folder.display()
        );
    }
    if trained_fingerprints(&folder).is_some_and(|trained| trained != data.fingerprints()) {
        output::note(&format!(
            "warning: `{}` was not trained on the data of `{}` as it is now (corpus, split, length, masking or \
             seed differ): what is held out here may have been trained on",
            folder.display(),
            args.config.display()
        ));
    }
    // The whole split: `trainer.eval_batches` only keeps evaluations during training short.
    let record = evaluate(&model, &data, &device, experiment.trainer.micro_batch_size, 0, 0)?;
    let mut line = json!({
        "split": "validation",
        "loss": record.loss,
        "examples": data.data().validation.len(),
    });
    for (name, value) in &record.metrics {
        line[name] = json!(value);
    }
    output::json_line(&line)?;
    Ok(ExitCode::SUCCESS)
}
