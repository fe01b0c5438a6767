//! The folders that a model can come from: runs, checkpoints, Hugging Face folders.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Int, Tensor};
use nystromformer::{Head, NystromformerConfig, PreTrainedModel, linear::Linear};
use nystromformer_data::TextTokenizer;
use nystromformer_interop::hugging_face::names::{STALE, is_landmark_score};
use nystromformer_interop::{
    HubFiles, InteropError, TrainingFacts, load_weights, local_folder, read_config,
    require_model_folder,
};
use nystromformer_tasks::metrics::Thresholds;
use serde_json::Value;

use super::checkpointing::EXPERIMENT;
use super::learner::Learner;
use crate::checkpoint::Manifest;
use crate::checkpoint::manifest::MANIFEST;
use crate::error::{LearnerError, Result};
use crate::experiment::{Experiment, class_difference, class_order};
use crate::report::best_run;
use crate::run_dir::{RunDir, RunSummary};
use crate::sweep_report::SweepReport;

/// Keys of a model that the shapes of its weights depend on.
const OF_SHAPES: [&str; 14] = [
    "conv_kernel_size",
    "conv_per_channel",
    "feed_forward",
    "hidden_size",
    "image_width",
    "intermediate_size",
    "max_position_embeddings",
    "num_attention_heads",
    "num_features",
    "num_hidden_layers",
    "position_embedding_type",
    "stem_layers",
    "type_vocab_size",
    "vocab_size",
];

/// Those of them that `import` gives another value.
const CHANGED_BY_IMPORT: [&str; 2] = ["conv_kernel_size", "max_position_embeddings"];

impl Learner<'_> {
    /// Takes the weights of `[model] init_from`: a run (its best or else newest checkpoint), a
    /// checkpoint, or a Hugging Face folder.
    pub(super) fn init_from(&mut self, path: &Path) -> Result<()> {
        let folder = model_folder(path)?;
        if let Some(model) = &mut self.model {
            let fresh_answers = model.label_layer_mut().cloned();
            let report = load_weights(model, &folder).map_err(|error| match error {
                InteropError::Keys { .. } => other_model(&folder, &self.experiment.model, error),
                error => error.into(),
            })?;
            let own = self.experiment.model.classifier.id2label.names();
            let theirs = read_config(&folder)?.classifier.id2label;
            let weight = model.class().label_layer.map(|layer| format!("{layer}.weight"));
            let has_answers = report.loaded.iter().any(|name| Some(name) == weight.as_ref());
            if let Some(difference) = class_difference(&theirs, own)
                && has_answers
                && let (Some(answers), Some(fresh)) = (model.label_layer_mut(), fresh_answers)
            {
                let what = if let Some(order) = class_order(&theirs, own) {
                    put_in_order(answers, &order);
                    "its layer of answers is taken class by class, by name"
                } else {
                    *answers = fresh;
                    "its layer of answers is drawn anew"
                };
                let note = format!("`{}` {difference}: {what}", folder.display());
                tracing::warn!("{note}");
                self.state.notes.push(note);
            }
            let mut notes = Vec::new();
            let (scores, drawn): (Vec<String>, Vec<String>) =
                report.fresh.iter().cloned().partition(|name| is_landmark_score(name));
            if !scores.is_empty() {
                notes.push(format!(
                    "scores of landmarks start at zero, where they are means of segments, since `{}` has none: {}",
                    folder.display(),
                    scores.join(", ")
                ));
            }
            if report.ignored.iter().any(|name| is_landmark_score(name)) {
                notes.push(format!(
                    "the scores of landmarks in `{}` are left out, for `model.landmarks` here reads none",
                    folder.display()
                ));
            }
            if !drawn.is_empty() {
                notes.push(format!(
                    "weights drawn at random, since `{}` has no such head, or one of another size (drawn anew): {}",
                    folder.display(),
                    drawn.join(", ")
                ));
            }
            // Stale names are of no weights.
            let is_weight =
                |name: &&String| !is_landmark_score(name) && !STALE.contains(&name.as_str());
            let ignored: Vec<String> = report.ignored.iter().filter(is_weight).cloned().collect();
            if !ignored.is_empty() {
                notes.push(format!(
                    "weights of `{}` that this model has not are left out: {}",
                    folder.display(),
                    ignored.join(", ")
                ));
            }
            for note in notes {
                tracing::info!("{note}");
                self.state.notes.push(note);
            }
            tracing::info!(
                path = %folder.display(),
                loaded = report.loaded.len(),
                fresh = report.fresh.len(),
                ignored = report.ignored.len(),
                "weights initialised"
            );
        }
        Ok(())
    }
}

/// Why weights do not fit: by the keys of `[model]` that say otherwise than their `config.json`, if any do.
fn other_model(folder: &Path, asked: &NystromformerConfig, error: InteropError) -> LearnerError {
    let Ok(theirs) = read_config(folder) else { return error.into() };
    let keys = |config: &NystromformerConfig| match serde_json::to_value(config) {
        Ok(Value::Object(keys)) => keys,
        _ => serde_json::Map::new(),
    };
    let theirs = keys(&theirs);
    let (mut differ, mut settings) = (Vec::new(), Vec::new());
    for (key, value) in keys(asked).into_iter().filter(|(key, _)| OF_SHAPES.contains(&key.as_str()))
    {
        let Some(their) = theirs.get(&key).filter(|their| **their != value) else { continue };
        differ.push(format!("`model.{key}` = `{value}`, and it has `{their}`"));
        if CHANGED_BY_IMPORT.contains(&key.as_str()) {
            settings.push(format!(" --set {key}={value}"));
        }
    }
    if differ.is_empty() {
        return error.into();
    }
    let change = if settings.is_empty() {
        String::new()
    } else {
        format!(", or change it first: `nystromformer import --from …{}`", settings.concat())
    };
    LearnerError::Config(format!(
        "the weights of `model.init_from` = `{}` do not fit the experiment's model: {}; leave these keys out to take the model as \
         it is{change}",
        folder.display(),
        differ.join("; ")
    ))
}

/// Gives each class the answer that the layer had for the class at this place.
fn put_in_order(answers: &mut Linear, order: &[usize]) {
    let places: Vec<i32> = order.iter().map(|place| *place as i32).collect();
    let device = answers.bias.val().inner().device();
    let places = Tensor::<1, Int>::from_data(places.as_slice(), &device);
    // As parameters of their own, and not as what was computed from the old ones.
    let weight = answers.weight.val().inner().select(1, places.clone());
    let bias = answers.bias.val().inner().select(0, places);
    answers.weight = answers.weight.clone().map(|_| Tensor::from_inner(weight).require_grad());
    answers.bias = answers.bias.clone().map(|_| Tensor::from_inner(bias).require_grad());
}

/// The folder with `config.json` and weights that `path` stands for: of a name on the Hub (`hub:owner/name`) what was downloaded; of runs with several seeds the best run; the best checkpoint of a run
/// (the newest valid one if the best is gone or none was evaluated), or `path` itself, whose files
/// are verified if it is a checkpoint.
///
/// # Errors
/// [`LearnerError::Weights`] if `path` is no folder, or a name that leads to none, [`LearnerError::Checkpoint`] if it is a run without a usable checkpoint, or a damaged
/// checkpoint.
pub fn model_folder(path: &Path) -> Result<PathBuf> {
    let path = local_folder(path, HubFiles::Model)?;
    let path = path.as_path();
    require_model_folder(path)?;
    if let Some(run) = best_run(path) {
        return model_folder(&run);
    }
    if !RunDir::holds_run(path) {
        if path.join(MANIFEST).is_file() {
            Manifest::verify(path)?;
        }
        return Ok(path.to_path_buf());
    }
    let store = RunDir::checkpoints_of(path);
    let newest = store.newest_valid()?.ok_or_else(|| {
        let problem = if matches!(SweepReport::read(path), Ok(Some(_))) {
            "no trial of the sweep has a number to compare, so it stands for no model: name a trial, `trial-K` in it"
        } else {
            "the run has no checkpoint yet; train it further first"
        };
        LearnerError::checkpoint(path, problem)
    })?;
    let best = newest.manifest.state.best_evaluation.map(|best| best.step);
    Ok(match best {
        Some(step) => match store.valid(step) {
            Ok(checkpoint) => checkpoint.path,
            Err(error) => {
                let newest = newest.path;
                tracing::warn!("taking `{}` for the best checkpoint: {error}", newest.display());
                newest
            }
        },
        None => newest.path,
    })
}

/// The run that a checkpoint is of, by its place: `RUN/checkpoints/step-…`.
pub fn run_of(checkpoint: &Path) -> Option<&Path> {
    let checkpoints = checkpoint.parent().filter(|parent| parent.ends_with("checkpoints"))?;
    checkpoints.parent()
}

/// The thresholds that the run of a checkpoint chose on its validation split; `None` if it has not ended, or if they were chosen
/// for another checkpoint.
///
/// # Errors
/// As [`RunSummary::read`].
pub fn chosen_thresholds(checkpoint: &Path) -> Result<Option<Thresholds>> {
    let Some(run) = run_of(checkpoint) else { return Ok(None) };
    let best = RunSummary::read(run)?.and_then(|summary| summary.best_model);
    let is_of = |step: usize| checkpoint.ends_with(format!("step-{step:08}"));
    Ok(best.filter(|best| is_of(best.step)).map(|best| best.thresholds))
}

/// Tokens per block that the model in a checkpoint was trained on; `None` for other folders.
pub fn trained_seq_len(folder: &Path) -> Option<usize> {
    let path = folder.join(EXPERIMENT);
    Some(read_if_there(&path, Experiment::load_without_task)?.0.data.seq_len)
}

/// The training behind the model in a checkpoint, for its model card; `None` for other folders.
pub fn trained_facts(folder: &Path) -> Option<TrainingFacts> {
    let state = manifest(folder)?.state;
    let (experiment, task) =
        read_if_there(&folder.join(EXPERIMENT), Experiment::load_without_task)?;
    let mut metrics = BTreeMap::new();
    if let Some(evaluation) = state.last_evaluation.filter(|record| record.step == state.step) {
        metrics.insert("loss".to_owned(), evaluation.loss);
        metrics.extend(evaluation.metrics);
    }
    let settings = experiment.fields().into_iter().filter(|(key, _)| {
        let section = key.split('.').next().unwrap_or_default();
        section == "seed" || ["optimizer", "schedule", "trainer"].contains(&section)
    });
    Some(TrainingFacts {
        data: task.unwrap_or_else(|| last_component(&experiment.data.corpus)),
        steps: state.step,
        tokens: state.tokens,
        metrics,
        thresholds: read_if_there(folder, chosen_thresholds).flatten().unwrap_or_default(),
        settings: settings.collect(),
    })
}

/// What a corpus is called, without the folders of the machine that it lies on.
fn last_component(corpus: &str) -> String {
    let name = Path::new(corpus).file_name().unwrap_or_default().to_string_lossy();
    if name.is_empty() { corpus.to_owned() } else { name.into_owned() }
}

/// Hashes of what the model in a checkpoint was trained on, by name (`data`, `tokenizer`); `None` for
/// other folders.
pub fn trained_fingerprints(folder: &Path) -> Option<BTreeMap<String, String>> {
    Some(manifest(folder)?.fingerprints)
}

fn manifest(folder: &Path) -> Option<Manifest> {
    read_if_there(&folder.join(MANIFEST), |_| Manifest::read(folder))
}

/// What a file of a run says; `None` where it is not there, and with a warning where it cannot be read: what is known
/// of the training is then left out.
fn read_if_there<T>(path: &Path, read: impl FnOnce(&Path) -> Result<T>) -> Option<T> {
    if !path.exists() {
        return None;
    }
    read(path)
        .inspect_err(|error| {
            let path = path.display();
            tracing::warn!("`{path}` is left out, and what it says of the training: {error}");
        })
        .ok()
}

/// Refuses `[model] init_from` if the folder has a tokenizer with another vocabulary: its embeddings
/// would be taken for other tokens'.
pub(super) fn require_same_vocabulary(source: &Path, tokenizer: &TextTokenizer) -> Result<()> {
    let folder = model_folder(source)?;
    if !TextTokenizer::is_in(&folder) {
        return Ok(());
    }
    let theirs = match TextTokenizer::load(&folder, true) {
        Ok(theirs) => theirs,
        Err(error) => {
            tracing::warn!(
                "cannot tell whether `{}` has this run's vocabulary: {error}",
                folder.display()
            );
            return Ok(());
        }
    };
    let Some((id, theirs, ours)) = theirs.vocabulary_difference(tokenizer) else {
        return Ok(());
    };
    let entry = |entry: Option<String>| entry.unwrap_or_else(|| "nothing".to_owned());
    Err(LearnerError::Config(format!(
        "`model.init_from` = `{}` was trained with another vocabulary than this run's tokenizer has: id \
         `{id}` is `{}` there and `{}` here; set `tokenizer.path = \"{}\"` to go on with its tokenizer",
        source.display(),
        entry(theirs),
        entry(ours),
        folder.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_by_the_place_of_its_checkpoints() {
        let run = |path: &'static str| run_of(Path::new(path));
        assert_eq!(run("runs/a/checkpoints/step-00000003"), Some(Path::new("runs/a")));
        // A folder of a model in somebody's site, say, which has a `config.toml` too.
        assert_eq!(run("site/models/bert"), None);
        assert_eq!(run("bert"), None);
    }
}
