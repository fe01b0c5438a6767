//! What the class token of a bag takes of each of its vectors.

use std::path::Path;

use anyhow::{Context, bail};
use burn::tensor::{Device, Tensor, TensorData};
use nystromformer::{
    InputTokens, Model, ModelError, Nystromformer, NystromformerConfig, NystromformerInput,
    PreTrainedModel,
};
use nystromformer_interop::load_model;
use nystromformer_learner::{Experiment, LearnerError, run_dir::RunDir, trainer::run_of};
use nystromformer_pipelines::{LayerAttention, attention_maps::rows_of_sequence};
use nystromformer_tasks::{
    DataError, Input, Keep, Targets, TaskConfig, TaskRegistry, Truncation, Vectors,
};
use serde::Serialize;

use crate::{commands::predict::by_task::assignments, output};

/// The attention of a bag.
#[derive(Debug, Serialize)]
pub(super) struct BagMap {
    /// What its file calls it.
    pub(super) id: String,
    /// Its vectors.
    pub(super) instances: usize,
    /// Of each layer that was asked for, the row of the class token, or of the first vector without one.
    attention: Vec<LayerOfBag>,
    /// The weight of each vector in the mean that the classifier reads, where attention pools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pooling: Option<Vec<f32>>,
}

/// One row of a layer's attention matrix, for each head.
#[derive(Debug, Serialize)]
struct LayerOfBag {
    layer: usize,
    /// Of each head a weight for each vector.
    heads: Vec<Vec<f32>>,
    /// Of each head the class token's weight for itself, if there is a class token.
    #[serde(skip_serializing_if = "Option::is_none")]
    class_token: Option<Vec<f32>>,
}

impl BagMap {
    /// The layers as a page shows them; pooling stands behind the last.
    pub(super) fn layers(self) -> Vec<LayerAttention> {
        let of_layers = self.attention.into_iter();
        let mut layers: Vec<LayerAttention> = of_layers
            .map(|LayerOfBag { layer, heads, .. }| LayerAttention { layer, heads })
            .collect();
        let next = layers.last().map_or(0, |last| last.layer + 1);
        layers.extend(
            self.pooling.map(|weights| LayerAttention { layer: next, heads: vec![weights] }),
        );
        layers
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct BagRequest<'a> {
    /// The file of bags.
    pub(super) file: Option<&'a Path>,
    /// The layer, from 0; all without one.
    pub(super) layer: Option<usize>,
    /// Keys of the run's experiment that are to be others.
    pub(super) overrides: &'a [String],
    /// Keys of the task that say how the file is written, with their values.
    pub(super) table_keys: &'a [(&'static str, String)],
}

/// Gives the map of each bag in the file to `sink`.
pub(super) fn run(
    folder: &Path,
    device: &Device,
    asked: BagRequest<'_>,
    tasks: &TaskRegistry,
    sink: &mut dyn FnMut(BagMap) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let BagRequest { file, layer, .. } = asked;
    let Some(file) = file else {
        bail!(
            "the model in `{}` reads feature vectors: name a file of them with `--input-file` (.safetensors, .npy, .pt, or a \
             table as its task reads it)",
            folder.display()
        );
    };
    let model = load_model(folder, device)?;
    let config = model.config();
    let layers = config.encoder.num_hidden_layers;
    if let Some(layer) = layer.filter(|layer| *layer >= layers) {
        bail!("`--layer {layer}`: the model has {layers}, counted from 0");
    }
    if layers == 0 && pooling_of(&model).is_none() {
        bail!(
            "the model in `{}` has neither a layer nor attention that pools: there is nothing to show",
            folder.display()
        );
    }
    let Reading { task, truncation, limit } = reading_of(folder, asked, config, tasks)?;
    let task = task.with_feature_names(&config.vectors.feature_names);
    let targets = targets_of(config)?;
    let (mut bags, mut cut) = (0_usize, 0_usize);
    for (number, example) in task.file_examples(file, &targets, truncation.max_length)?.enumerate()
    {
        let example = example?;
        let Input::Vectors(vectors) = example.input else {
            bail!("the task `{}` reads no feature vectors, and the model does", task.name());
        };
        let width = config.vectors.num_features;
        vectors.require_width(
            width,
            &format!("the model reads `{width}` (`num_features`)"),
            file,
        )?;
        let id = example.id.unwrap_or_else(|| (number + 1).to_string());
        sink(map(&model, device, layer, id, &vectors, truncation)?)?;
        bags += 1;
        cut += usize::from(vectors.len() > truncation.max_length);
    }
    if cut > 0 {
        let kept = match truncation.keep {
            Keep::Head => "the beginning",
            Keep::Tail => "the end",
            Keep::HeadTail => "the beginning and the end",
        };
        output::note(&format!(
            "warning: `{cut}` of the `{bags}` bags of `{}` are longer than {limit} = `{}` vectors: {kept} of each is read, and \
             shown (`task.truncation`)",
            file.display(),
            truncation.max_length
        ));
    }
    Ok(())
}

/// How a model reads bags.
struct Reading {
    /// What reads their file.
    task: TaskConfig,
    /// What is read of a bag that is too long.
    truncation: Truncation,
    /// What says how many vectors that are.
    limit: &'static str,
}

/// As the run that a checkpoint is of reads them, whose predictions are to be looked at; of another folder, as the task of bags does
/// by itself, as far as the model has positions.
fn reading_of(
    folder: &Path,
    asked: BagRequest<'_>,
    config: &NystromformerConfig,
    tasks: &TaskRegistry,
) -> anyhow::Result<Reading> {
    let longest = config.longest_sequence().unwrap_or(usize::MAX);
    let of_model = "the model's limit";
    let of_run = run_of(folder).map(RunDir::config_path).filter(|path| path.is_file());
    if let Some(path) = of_run {
        let plain = Experiment::load_run(&path, asked.overrides, tasks, config)?.experiment;
        let mut overrides = asked.overrides.to_vec();
        overrides.extend(assignments(asked.table_keys, &plain, tasks));
        let experiment = Experiment::load_run(&path, &overrides, tasks, config)?.experiment;
        let seq_len = experiment.data.seq_len;
        if let Some(task) = experiment.task {
            let keep = task.options.truncation.unwrap_or_default().keep();
            let truncation = Truncation { max_length: seq_len.min(longest), keep };
            let limit = if seq_len <= longest { "`data.seq_len`" } else { of_model };
            return Ok(Reading { task, truncation, limit });
        }
    }
    let of_file = asked.table_keys.iter().map(|(key, value)| format!("\n{key} = {value}"));
    let bags = format!("name = \"bags\"{}", of_file.collect::<String>());
    let task = tasks.read(&bags.parse()?).context("this program does not know the task `bags`")?;
    Ok(Reading { task, truncation: Truncation::head(longest), limit: of_model })
}

/// What labels of the file may be: they are read with it, and not used.
fn targets_of(config: &NystromformerConfig) -> Result<Targets, DataError> {
    match config.classifier.id2label.names() {
        [_] => Ok(Targets::numbers()),
        names => Targets::classes(names.iter().cloned()),
    }
}

fn map(
    model: &Model,
    device: &Device,
    layer: Option<usize>,
    id: String,
    vectors: &Vectors,
    truncation: Truncation,
) -> anyhow::Result<BagMap> {
    let rows = vectors.read(truncation)?;
    let (instances, width) = (vectors.len().min(truncation.max_length), vectors.num_features());
    let table = |numbers: Vec<f32>, width: usize| {
        Tensor::<3>::from_data(TensorData::new(numbers, [1, instances, width]), device)
    };
    let input = NystromformerInput {
        tokens: InputTokens::Vectors {
            features: table(rows.features, width),
            coordinates: rows.coordinates.map(|places| table(places, 2)),
        },
        attention_mask: None,
        token_type_ids: None,
    };
    let encoder: &Nystromformer = model.nystromformer();
    let unreadable = |error| match error {
        // Of the model, not of the bag.
        ModelError::NoAttentionRow { .. } => anyhow::Error::from(error),
        error => LearnerError::Data(format!("cannot use `{id}`: {error}")).into(),
    };
    let before = encoder.config().vectors.tokens_before();
    let pooling = match pooling_of(model) {
        None => None,
        Some(pooling) => {
            let states = encoder.forward(input.clone()).map_err(unreadable)?;
            let weights: Vec<f32> = pooling.weights(states, None).try_into_vec_as()?;
            Some(weights[before..].to_vec())
        }
    };
    let layers = encoder.attention_rows(input, 0).map_err(unreadable)?;
    let attention = rows_of_sequence(&layers, 0, layer)?.into_iter().map(|row| {
        let class_token =
            (before > 0).then(|| row.heads.iter().map(|head| head[0]).collect::<Vec<_>>());
        let heads = row.heads.into_iter().map(|mut head| head.split_off(before)).collect();
        LayerOfBag { layer: row.layer, heads, class_token }
    });
    Ok(BagMap { id: id.clone(), instances, attention: attention.collect(), pooling })
}

/// The attention that pools, if that is how the classifier reads a sequence.
fn pooling_of(model: &Model) -> Option<&nystromformer::classifier::GatedAttention> {
    match model {
        Model::SequenceClassification(model) => model.pooling.attention.as_ref(),
        _ => None,
    }
}
