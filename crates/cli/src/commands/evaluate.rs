//! Measures a trained model on held-out data; see `nystromformer evaluate --help`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::ValueEnum;
use nystromformer::{Architecture, Model};
use nystromformer_interop::{InteropError, load_model, read_config};
use nystromformer_learner::{
    Experiment, LearnerError,
    batch::TokenBatch,
    batches::Batches,
    evaluate::Evaluator,
    experiment::class_difference,
    progress::WorkDisplay,
    ranks::Ranks,
    run_dir::RunDir,
    stop::StopFlag,
    trainer::{chosen_thresholds, model_folder, run_of, trained_fingerprints},
};
use nystromformer_pipelines::tokenizer_of_model;
use nystromformer_tasks::{Targets, TaskRegistry, metrics::Thresholds};
use serde_json::json;

use crate::output;

/// Measure a model on held-out data; prints one JSON object.
#[derive(clap::Args)]
pub struct Args {
    /// A run directory (its best checkpoint, else the newest), a checkpoint, a Hugging Face folder, or `hub:owner/name`.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The experiment whose data is used. Default: that of the run.
    #[arg(long, value_name = "CONFIG.toml")]
    config: Option<PathBuf>,
    /// Override a key of the experiment.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    overrides: Vec<String>,
    /// Which part of the data.
    #[arg(long, value_enum, default_value = "validation")]
    split: MeasuredSplit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MeasuredSplit {
    Validation,
    Test,
}

impl MeasuredSplit {
    fn in_data(self) -> nystromformer_tasks::Split {
        match self {
            Self::Validation => nystromformer_tasks::Split::Validation,
            Self::Test => nystromformer_tasks::Split::Test,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// See the exit codes in [`crate::failure`].
pub fn run(args: Args, tasks: &TaskRegistry) -> anyhow::Result<ExitCode> {
    let folder = model_folder(&args.model)?;
    let config = read_config(&folder)?;
    let is_of_run = args.config.is_none();
    let source = args.config.map_or_else(|| config_of_run(&folder), Ok)?;
    let load = if is_of_run { Experiment::load_run } else { Experiment::load_for };
    let experiment = load(&source, &args.overrides, tasks, &config)?.experiment;
    let device = experiment.device.open()?;
    let model = load_model(&folder, &device)?;
    require_class(&model, experiment.architecture(), &folder)?;
    let work = WorkDisplay::stderr();
    let data = Batches::prepare_for(&experiment, &folder, &work);
    work.finish();
    let data = data.map_err(|error| {
        let moved = experiment.missing_path(&args.model).filter(|_| is_of_run);
        moved.map_or(error, LearnerError::Data)
    })?;
    if let Some(tokenizer) = data.tokenizer()
        && tokenizer_of_model(&folder)?.hash() != tokenizer.hash()
    {
        bail!(
            "`{}` was trained with another tokenizer than `{}` makes: set tokenizer.path={}",
            folder.display(),
            source.display(),
            folder.display()
        );
    }
    if let Some(difference) = data
        .targets()
        .map(Targets::names)
        .filter(|names| !names.is_empty())
        .and_then(|names| class_difference(&config.classifier.id2label, &names))
    {
        bail!(
            "`{}` {difference}: name the data that it was trained for, or give `task.labels` its order",
            folder.display()
        );
    }
    let open_threshold = match &data {
        Batches::Task(batches) if !batches.predicts_inputs() => batches.open_threshold(),
        Batches::Task(_) | Batches::Corpus(_) => None,
    };
    let data = data.source();
    let split = args.split.in_data();
    let examples = data.evaluation_examples(split);
    if examples == 0 {
        bail!("`--split {}`: `{}` has no such split with labels", split.name(), source.display());
    }
    if trained_fingerprints(&folder).is_some_and(|trained| trained != data.fingerprints()) {
        output::note(&format!(
            "warning: `{}` was not trained on the data of `{}` as it is now (corpus, split, length, masking or \
             seed differ): what is held out here may have been trained on",
            folder.display(),
            source.display()
        ));
    }
    // The whole split: `trainer.eval_examples` only keeps evaluations during training short.
    let evaluator = Evaluator {
        data,
        device: &device,
        batch_size: experiment.trainer.micro_batch_size,
        max_examples: 0,
        step: 0,
        stop: StopFlag::new(),
        ranks: &Ranks::alone(),
        progress: &work,
    };
    // Thresholds are those that the run chose on its validation split. They are never chosen by what is tested with, and by other
    // rows to validate on only where there are none.
    let chosen = chosen_thresholds(&folder)?;
    let evaluation = match args.split {
        MeasuredSplit::Validation => {
            let chosen = chosen.filter(|chosen| !chosen.is_empty());
            let evaluation = evaluator.evaluate_validation(&model, chosen.as_ref())?;
            if let (None, Some((key, _))) = (&chosen, open_threshold) {
                work.finish();
                output::note(&format!(
                    "note: no run has chosen thresholds for this model: they are chosen by the very rows that are measured, \
                     whose scores are then those of the best choice; `--set {key}=…` sets another"
                ));
            }
            evaluation
        }
        MeasuredSplit::Test => {
            let thresholds = match chosen {
                Some(chosen) => chosen,
                None if open_threshold.is_some() => thresholds_of_validation(&evaluator, &model)?,
                None => Thresholds::new(),
            };
            evaluator.evaluate(&model, split, Some(&thresholds))?
        }
    };
    work.finish();
    let record = &evaluation.record;
    let mut line = json!({
        "split": split.name(),
        "loss": record.loss,
        "examples": evaluation.examples,
    });
    for (name, value) in &record.metrics {
        line[name] = json!(value);
    }
    output::json_line(&line)?;
    Ok(ExitCode::SUCCESS)
}

/// The thresholds that score best on the validation split; none, which are the usual ones, if there is no such split.
fn thresholds_of_validation(
    evaluator: &Evaluator<'_, TokenBatch>,
    model: &Model,
) -> anyhow::Result<Thresholds> {
    let validation = nystromformer_tasks::Split::Validation;
    if evaluator.data.evaluation_examples(validation) == 0 {
        return Ok(Thresholds::new());
    }
    let thresholds = evaluator.evaluate(model, validation, None)?.thresholds;
    if !thresholds.is_empty() {
        output::note(
            "note: no run has chosen thresholds for this model; those that score best on the validation split are taken",
        );
    }
    Ok(thresholds)
}

/// The experiment of the run that a checkpoint is of.
fn config_of_run(checkpoint: &Path) -> anyhow::Result<PathBuf> {
    let config = run_of(checkpoint).map(RunDir::config_path);
    config.filter(|path| path.is_file()).with_context(|| {
        format!(
            "`{}` is no checkpoint of a run, whose `config.toml` would say on what data to measure it; name an \
             experiment with `--config`",
            checkpoint.display()
        )
    })
}

/// Refuses a model whose head gives other answers than the experiment asks for.
fn require_class(model: &Model, wanted: Architecture, folder: &Path) -> anyhow::Result<()> {
    let found = model.architecture();
    if found == wanted {
        return Ok(());
    }
    let pretraining = [Architecture::MaskedLm, Architecture::PreTraining];
    if pretraining.contains(&found) && pretraining.contains(&wanted) {
        bail!(
            "`{}` is a {found}, and the configuration measures a {wanted}: set data.objective to `mlm` for the one \
             and to `mlm_sop` for the other",
            folder.display()
        );
    }
    Err(InteropError::NoHead { path: folder.to_owned(), class: wanted.name() }.into())
}
