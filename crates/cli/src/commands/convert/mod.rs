//! From a BERT to a Nyströmformer that computes nearly the same; see `nystromformer convert --help`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use nystromformer_data::{SAMPLE_CORPUS, prepare};
use nystromformer_files::durable::{self, ScratchFolder};
use nystromformer_interop::{
    ExportOptions, FreshConvolution, HubFiles, ImportOptions, export_model, import_model,
    local_folder, read_config,
};
use nystromformer_learner::{
    Experiment, LearnerError,
    metrics_log::{EvaluationRecord, MetricsLog, MetricsRecord},
    progress::{self, WorkDisplay},
    trainer::{
        EndReason, RunRequest, Session, TrainOutput, model_folder, trained_facts, trained_seq_len,
    },
};
use nystromformer_pipelines::tokenizer_of_model;
use nystromformer_tasks::TaskRegistry;
use serde_json::{Map, Value, json};

use super::import::{Positions, tokenizer_json};
use crate::{assignment::key_and_value, output, run_report, signals::StopSignals};

/// Make a Nyströmformer of a pretrained BERT, RoBERTa or Nyströmformer: swap its attention, and train it to compute what the
/// exact attention computes.
///
/// Three steps, each left in the run directory: `import`; a run that trains convolution, query and key of every layer by itself; a
/// run that trains everything. `configs/convert/` has the same as experiments. Prints how near the result is as one line of JSON.
#[derive(clap::Args)]
pub struct Args {
    /// The pretrained model: a folder, a weight file, an index of shards, or `hub:owner/name`.
    #[arg(long, value_name = "PATH")]
    from: PathBuf,
    /// The folder to write; must not exist yet, or be empty.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Landmarks per head.
    #[arg(long, value_name = "N", default_value_t = 64)]
    num_landmarks: usize,
    /// Taps of the convolution beside the attention, which starts at zero; 0 for none. Default: as `import` has it.
    #[arg(long, value_name = "N")]
    conv_kernel_size: Option<usize>,
    /// Longest input of the result, in tokens. Default: that of the pretrained model.
    #[arg(long, value_name = "N")]
    max_position_embeddings: Option<usize>,
    /// How a longer position table is filled.
    #[arg(long, value_enum, default_value = "tile")]
    positions: Positions,
    /// Text to train on, of the kind that the model will read: a file or a folder, as of `data.corpus`. Default: the built-in
    /// sample, which is a stopgap.
    #[arg(long, value_name = "PATH")]
    text: Option<PathBuf>,
    /// Tokens to train on in both stages together, e.g. 500k or 2M; half of them in each.
    #[arg(long, value_name = "N", default_value = "2M", value_parser = count)]
    tokens: u64,
    /// Tokens of a text at most. Default: 512, or the longest input if that is shorter.
    #[arg(long, value_name = "N")]
    seq_len: Option<usize>,
    /// Where the steps are left. Default: runs/convert-NAME, of the output folder's name.
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Go on with what is in the run directory.
    #[arg(long)]
    resume: bool,
    /// Override a key of both runs, e.g. data.document=line. May be repeated. What another option says is refused.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    overrides: Vec<String>,
}

/// The recipes, which are those of `configs/convert`.
const RECIPES: [(&str, &str); 2] =
    [("layers", include_str!("layers.toml")), ("network", include_str!("network.toml"))];

/// The imported model, with which both runs begin, and whose exact attention is the teacher.
const START: &str = "start";

/// What the imported model was made with, which a conversion that goes on must be asked for again.
const IMPORTED: &str = "imported.json";

/// Keys that options of this command say.
const OF_OPTIONS: [(&str, &str); 5] = [
    ("model.attention", "a conversion is to Nyström attention"),
    ("model.num_landmarks", "give `--num-landmarks`"),
    ("model.conv_kernel_size", "give `--conv-kernel-size`"),
    ("model.max_position_embeddings", "give `--max-position-embeddings`"),
    ("trainer.max_steps", "give `--tokens`, which both stages share"),
];

/// Runs the command.
///
/// # Errors
/// See the exit codes in [`crate::failure`].
pub fn run(args: Args, tasks: &TaskRegistry) -> anyhow::Result<ExitCode> {
    let conversion = Conversion::begin(&args)?;
    let signals = StopSignals::listen()?;
    let work = WorkDisplay::stderr();
    let mut result = None;
    for (stage, _) in RECIPES {
        match conversion.train(stage, tasks, &signals, &work)? {
            Ok(outcome) => result = outcome.summary.best_evaluation,
            Err(ended_by) => return Ok(ExitCode::from(ended_by.exit_code())),
        }
    }
    conversion.publish(result)?;
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// What is trained on.
    fn corpus(&self) -> String {
        let text = self.text.as_ref();
        text.map_or_else(|| SAMPLE_CORPUS.to_owned(), |path| path.display().to_string())
    }

    /// What the start is made with.
    fn import(&self) -> Value {
        let from = fs::canonicalize(&self.from).unwrap_or_else(|_| self.from.clone());
        json!({
            "--from": from,
            "--num-landmarks": self.num_landmarks,
            "--conv-kernel-size": self.conv_kernel_size,
            "--max-position-embeddings": self.max_position_embeddings,
            "--positions": format!("{:?}", self.positions).to_lowercase(),
        })
    }

    /// Refuses to go on with a start that was made with other options.
    fn require_same_import(&self, path: &Path) -> anyhow::Result<()> {
        // Earlier versions did not write it.
        let Ok(text) = fs::read_to_string(path) else { return Ok(()) };
        let before: Map<String, Value> = serde_json::from_str(&text)
            .with_context(|| format!("`{}` is damaged: remove it", path.display()))?;
        let now = self.import();
        if let Some((option, value)) = before.iter().find(|(option, value)| now[*option] != **value)
        {
            bail!(
                "`{}` was imported with `{option}` {value}, and {} is asked for: ask for the same, or name another `--run-dir`",
                path.with_file_name(START).display(),
                now[option]
            );
        }
        Ok(())
    }
}

/// A conversion in its run directory.
struct Conversion<'a> {
    args: &'a Args,
    path: PathBuf,
}

impl<'a> Conversion<'a> {
    /// The directory with the recipes and the imported model.
    fn begin(args: &'a Args) -> anyhow::Result<Self> {
        for assignment in &args.overrides {
            let (key, _) = key_and_value(assignment);
            if let Some((_, advice)) = OF_OPTIONS.iter().find(|(name, _)| *name == key) {
                bail!("`--set {assignment}`: {advice}");
            }
        }
        let output = &args.output;
        let name = output
            .file_name()
            .with_context(|| format!("`--output {}` is no name of a folder", output.display()))?;
        if fs::read_dir(output).is_ok_and(|mut entries| entries.next().is_some()) {
            bail!("`--output {}` is not empty; name another folder", output.display());
        }
        // A probe: two trainings come before anything is written there.
        let probe = ScratchFolder::beside(output).map_err(LearnerError::from);
        drop(probe.with_context(|| {
            format!(
                "`--output {}`: no folder can be made there, name another place",
                output.display()
            )
        })?);
        let path = args.run_dir.clone().unwrap_or_else(|| {
            Path::new("runs").join(format!("convert-{}", name.to_string_lossy()))
        });
        let start = path.join(START);
        if start.exists() && !args.resume {
            bail!(
                "`{}` holds a conversion already: go on with `--resume`, or name another `--run-dir`",
                path.display()
            );
        }
        fs::create_dir_all(&path)
            .with_context(|| format!("cannot make the folder `{}`", path.display()))?;
        for (stage, recipe) in RECIPES {
            durable::replace(&path.join(format!("{stage}.toml")), recipe.as_bytes())
                .map_err(LearnerError::from)?;
        }
        let import = path.join(IMPORTED);
        if start.exists() {
            args.require_same_import(&import)?;
        } else {
            let text = args.import().to_string();
            durable::replace(&import, text.as_bytes()).map_err(LearnerError::from)?;
            let from = local_folder(&args.from, HubFiles::Model)?;
            let mut overrides = Map::from_iter([
                ("attention".to_owned(), json!("nystrom")),
                ("num_landmarks".to_owned(), json!(args.num_landmarks)),
            ]);
            let stated = [
                ("conv_kernel_size", args.conv_kernel_size),
                ("max_position_embeddings", args.max_position_embeddings),
            ];
            for (key, value) in stated {
                overrides.extend(value.map(|value| (key.to_owned(), json!(value))));
            }
            let options = ImportOptions {
                overrides,
                position_fill: args.positions.fill(),
                convolution: FreshConvolution::Zero,
                tokenizer: tokenizer_json(&from, None)?,
                ..ImportOptions::default()
            };
            for note in import_model(&from, &start, &options)?.notes {
                output::note(&format!("note: {note}"));
            }
        }
        Ok(Self { args, path })
    }

    /// What the recipes leave open, of a stage.
    fn overrides(&self, stage: &str) -> anyhow::Result<Vec<String>> {
        let Args { seq_len, overrides, .. } = self.args;
        let start = self.path.join(START);
        let positions = read_config(&start)?.embeddings.max_position_embeddings;
        // What the first stage has trained, the second begins with.
        let init_from = if stage == "layers" { start.clone() } else { self.path.join("layers") };
        let seq_len = seq_len.unwrap_or_else(|| positions.min(512));
        let mut settings = vec![
            format!("model.init_from={}", init_from.display()),
            format!("distill.teacher={}", start.display()),
            format!("data.corpus={}", self.args.corpus()),
            format!("data.seq_len={seq_len}"),
            format!("data.cache_dir={}", self.path.join("cache").display()),
        ];
        settings.extend(overrides.iter().cloned());
        Ok(settings)
    }

    /// Runs a stage, or the rest of it; how it ended if it was stopped.
    fn train(
        &self,
        stage: &str,
        tasks: &TaskRegistry,
        signals: &StopSignals,
        work: &WorkDisplay,
    ) -> anyhow::Result<Result<TrainOutput, EndReason>> {
        if let Some(reason) = signals.preparation_begins() {
            return Ok(Err(EndReason::Stopped(reason)));
        }
        let config = self.path.join(format!("{stage}.toml"));
        let mut overrides = self.overrides(stage)?;
        let (steps, tokens_of_a_row) = self.steps(&config, &overrides, tasks, work)?;
        if stage == "layers" {
            self.tell_of_texts(tokens_of_a_row)?;
        }
        overrides.push(format!("trainer.max_steps={steps}"));
        let request = RunRequest {
            config,
            overrides,
            run_dir: Some(self.path.join(stage)),
            resume: self.args.resume,
            tasks: tasks.clone(),
        };
        let session = Session::open(&request, work)?;
        work.finish();
        if let Some(checkpoint) = session.checkpoint() {
            output::note(&format!("resuming from {}", checkpoint.path.display()));
        }
        let mut display = progress::for_stderr(session.experiment().trainer.log_every);
        let outcome = session.train(signals.training_begins(), display.as_mut())?;
        drop(display);
        if outcome.ended_by.exit_code() == 0 {
            run_report::of_run(&session);
            return Ok(Ok(outcome));
        }
        output::note(&format!(
            "stopped after step {} of `{stage}`; `--resume` goes on from there",
            outcome.summary.steps
        ));
        Ok(Err(outcome.ended_by))
    }

    /// Says what is trained on, if that teaches little: a stopgap, or rows whose every token is a landmark.
    fn tell_of_texts(&self, tokens_of_a_row: f64) -> anyhow::Result<()> {
        if self.args.text.is_none() {
            output::note(
                "training on the built-in sample, a stopgap of short plain sentences: name texts of the kind that the model will read \
                 with `--text`",
            );
        }
        let landmarks = read_config(&self.path.join(START))?.attention.nystrom.num_landmarks;
        if tokens_of_a_row <= landmarks as f64 {
            output::note(&format!(
                "a row has `{tokens_of_a_row:.0}` tokens on average, and there are `{landmarks}` landmarks: where each token is a landmark, \
                 nothing is learned of longer texts; name longer ones with `--text`, or fewer `--num-landmarks`"
            ));
        }
        Ok(())
    }

    /// Steps of a stage, as many as half of the tokens take by the mean length of the training texts; and that length.
    fn steps(
        &self,
        config: &Path,
        overrides: &[String],
        tasks: &TaskRegistry,
        work: &WorkDisplay,
    ) -> anyhow::Result<(u64, f64)> {
        let Experiment { data, tokenizer, seed, trainer, .. } =
            Experiment::load(config, overrides, tasks)?.experiment;
        let train = prepare(&data, &tokenizer, seed, work)?.train;
        let of_an_example = (train.num_tokens() as f64 / train.len() as f64).max(1.0);
        let of_a_step = of_an_example * trainer.batch_size as f64;
        let steps = (self.args.tokens as f64 / 2.0 / of_a_step).ceil().max(1.0) as u64;
        Ok((steps, of_an_example))
    }

    /// Writes the result to the output folder, and says how near it is.
    fn publish(&self, after: Option<EvaluationRecord>) -> anyhow::Result<()> {
        let (path, output) = (&self.path, &self.args.output);
        let source = model_folder(&path.join("network"))?;
        // What a training keeps no account of: how texts were read before, unless longer ones are now, and what becomes of
        // hidden states.
        let start = path.join(START);
        let reads_longer = self.args.max_position_embeddings.is_some();
        if reads_longer && let Some(truncation) = tokenizer_of_model(&start)?.trained_truncation() {
            output::note(&format!(
                "the model was trained on texts of up to `{}` tokens; the result reads as many as its positions allow",
                truncation.max_length
            ));
        }
        let options = ExportOptions {
            seq_len: trained_seq_len(&source),
            tokenizer_dir: (!reads_longer).then(|| start.clone()),
            sentence_dir: Some(start),
            training: trained_facts(&source),
            ..ExportOptions::default()
        };
        for note in export_model(&source, output, &options)?.notes {
            output::note(&format!("note: {note}"));
        }
        let before = first_evaluation(&path.join("layers"))?;
        let metric = |of: &Option<EvaluationRecord>, name: &str| {
            of.as_ref().and_then(|record| record.metric(name)).unwrap_or(f64::NAN)
        };
        let pair = |name: &str| [metric(&before, name), metric(&after, name)];
        let ([cosine, now], [error, error_now]) = (pair("cosine"), pair("relative_error"));
        output::note(&format!(
            "converted `{}` to `{}`: cosine to exact attention {cosine:.4} before, {now:.4} now; relative error {error:.4} \
             before, {error_now:.4} now (held-out texts)",
            self.args.from.display(),
            output.display()
        ));
        output::json_line(&json!({
            "output": output,
            "text": self.args.corpus(),
            "num_landmarks": read_config(output)?.attention.nystrom.num_landmarks,
            "cosine_before": cosine,
            "cosine": now,
            "relative_error_before": error,
            "relative_error": error_now,
        }))
    }
}

/// The evaluation with which a run began.
fn first_evaluation(run: &Path) -> anyhow::Result<Option<EvaluationRecord>> {
    let records = MetricsLog::read(&run.join("metrics.jsonl"))?;
    Ok(records.into_iter().find_map(|record| match record {
        MetricsRecord::Validation(record) => Some(record),
        MetricsRecord::Train(_) => None,
    }))
}

/// A number as people write it: `500k`, `2M`, `1.5M` or plain.
fn count(text: &str) -> Result<u64, String> {
    let (number, factor) = match text.char_indices().last() {
        Some((end, 'k' | 'K')) => (&text[..end], 1e3),
        Some((end, 'm' | 'M')) => (&text[..end], 1e6),
        _ => (text, 1.0),
    };
    match number.parse::<f64>().map(|number| number * factor) {
        Ok(count) if (1.0..1e15).contains(&count) => Ok(count as u64),
        _ => Err("write a number of tokens, as 500k, 2M or 300000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_tokens_as_people_write_them() {
        for (text, expected) in
            [("500k", 500_000), ("2M", 2_000_000), ("1.5m", 1_500_000), ("7", 7)]
        {
            assert_eq!(count(text), Ok(expected));
        }
        for text in ["", "k", "-1M", "0", "2G", "1e300M", "NaN"] {
            assert!(count(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_recipes_are_those_that_are_shipped_as_experiments() {
        let shipped = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/convert"));
        for (stage, recipe) in RECIPES {
            assert_eq!(fs::read_to_string(shipped.join(format!("{stage}.toml"))).unwrap(), recipe);
        }
    }
}
