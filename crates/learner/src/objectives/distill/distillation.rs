//! [`Distillation`]: a student is judged by what its teacher computes of the same batch.

use std::collections::BTreeMap;

use burn::tensor::{Device, Int, Tensor, TensorData};
use nystromformer::heads::{LossTerm, Scored, TargetsData};
use nystromformer::layer::Layer;
use nystromformer::{Architecture, Head, NystromformerInput, PreTrainedModel, ProblemType};
use nystromformer_files::say_once;
use nystromformer_kernels::without_dropout;

use super::config::{DistillConfig, LayerTarget, Stage};
use super::layer_states::LayerStates;
use super::losses::{cosine, cosine_distance, divergence, error_over_variance, mean_of_tokens};
use super::teacher::Teacher;
use crate::batch::{Batch, TokenBatch};
use crate::device::scalar;
use crate::error::Result;
use crate::experiment::Experiment;
use crate::objectives::criterion::{Criterion, Judged, Measured};
use crate::trainable::MetricName;

/// A student is judged by what its teacher computes of the same batch. Neither drops anything.
#[derive(Debug)]
pub(super) struct Distillation {
    teacher: Teacher,
    options: DistillConfig,
    /// What the heads' scores that are compared are of; `None` if none are.
    scored: Option<Scored>,
}

/// A batch on a device.
struct Tensors {
    input: NystromformerInput,
    /// `[batch, seq_len, 1]`: 1 for a token and 0 for padding.
    keep: Tensor<3>,
    /// `[positions]`: the tokens whose scores are compared.
    positions: Tensor<1, Int>,
}

impl Tensors {
    fn of(batch: TokenBatch, device: &Device) -> Result<Self> {
        let shape = [batch.lengths.len(), batch.seq_len];
        let positions = compared_positions(&batch).to_vec();
        let data = TensorData::new(positions.clone(), [positions.len()]);
        let (input, _) = batch.into_tensors(device)?;
        let keep = match &input.attention_mask {
            Some(mask) => mask.clone().float(),
            None => Tensor::<2>::ones(shape, device),
        };
        let positions = Tensor::from_data(data, device);
        Ok(Self { input, keep: keep.unsqueeze_dim(2), positions })
    }
}

impl Distillation {
    pub(super) fn new(teacher: Teacher, experiment: &Experiment) -> Self {
        let options = experiment.distill.clone();
        let scored = match options.stage {
            Stage::Network if options.kl_weight > 0.0 => compared_scores(&teacher, experiment),
            Stage::Network | Stage::Layers => None,
        };
        Self { teacher, options, scored }
    }

    fn layers(&self) -> usize {
        self.teacher.config().encoder.num_hidden_layers
    }

    /// What the teacher computes of a batch.
    fn taught(&self, batch: &TokenBatch, device: &Device) -> Result<(LayerStates, Tensors)> {
        let tensors = Tensors::of(batch.clone(), device)?;
        let model = self.teacher.on(device);
        let states = LayerStates::of(model.nystromformer(), tensors.input.clone())?;
        Ok((states, tensors))
    }

    /// Every layer of the student reads what the teacher's reads.
    fn terms_of_layers(
        &self,
        student: &Judged<'_>,
        tensors: Tensors,
        taught: &LayerStates,
    ) -> Result<Vec<LossTerm>> {
        let device = tensors.keep.device();
        // Of the student's embeddings only the padding is wanted: its landmarks are laid over it.
        let (_, padding) = student.encoder.embed_tokens(tensors.input)?;
        let padding = padding.as_ref();
        let kept = taught.kept().map(|kept| constant(&kept, &device));
        let encoder = &student.encoder.encoder;
        let term = |(number, layer): (usize, &Layer)| {
            let input = constant(&taught.inputs[number], &device);
            let attended = layer.attention.forward(input, padding);
            let target = &taught.attention[number];
            let (found, target) = match self.options.layer_target {
                LayerTarget::Context => (attended.context, &target.context),
                LayerTarget::Attention => (attended.output, &target.output),
                LayerTarget::Layer => {
                    let output = layer.after_attention(attended.output, padding);
                    let is_last = number + 1 == self.layers();
                    let output = if is_last { encoder.finish(output) } else { output };
                    (output, &taught.outputs[number])
                }
            };
            let losses = error_over_variance(found, constant(target, &device));
            LossTerm {
                losses: of_tokens(losses, kept.as_ref()),
                weight: 1.0 / self.layers() as f64,
            }
        };
        Ok(encoder.layers().enumerate().map(term).collect())
    }

    /// The student reads text, and all of its hidden states are compared.
    fn terms_of_network(
        &self,
        student: &Judged<'_>,
        found: &LayerStates,
        (taught, of_teacher): (&LayerStates, &Tensors),
        tensors: &Tensors,
    ) -> Result<Vec<LossTerm>> {
        let DistillConfig { hidden_weight, cosine_weight, kl_weight, .. } = self.options;
        let device = tensors.keep.device();
        let kept = taught.kept().map(|kept| constant(&kept, &device));
        let mut terms: Vec<LossTerm> = found
            .outputs
            .iter()
            .zip(&taught.outputs)
            .map(|(found, target)| {
                let losses = error_over_variance(found.clone(), constant(target, &device));
                let weight = hidden_weight / self.layers() as f64;
                LossTerm { losses: of_tokens(losses, kept.as_ref()), weight }
            })
            .collect();
        if cosine_weight > 0.0 {
            let embedding = mean_of_tokens(found.last_of_rows(), tensors.keep.clone());
            let target = mean_of_tokens(taught.last_of_rows(), of_teacher.keep.clone());
            let losses = cosine_distance(embedding, constant(&target, &device));
            terms.push(LossTerm { losses, weight: cosine_weight });
        }
        if let Some(scored) = self.scored {
            if scored == Scored::Tokens && tensors.positions.dims() == [0] {
                terms.push(LossTerm { losses: Tensor::zeros([0], &device), weight: kl_weight });
                return Ok(terms);
            }
            let scores = student.scores(
                found.last_of_rows(),
                tensors.input.attention_mask.clone(),
                tensors.positions.clone(),
            )?;
            let target = self.teacher.on(&of_teacher.keep.device()).scores_of_states(
                taught.last_of_rows(),
                of_teacher.input.attention_mask.clone(),
                of_teacher.positions.clone(),
            )?;
            let losses = match (scores, target) {
                (Some(scores), Some(target)) => divergence(scores, constant(&target, &device)),
                _ => Tensor::zeros([0], &device),
            };
            terms.push(LossTerm { losses, weight: kl_weight });
        }
        Ok(terms)
    }
}

/// The mean over the texts of the cosine between the two models' embeddings of it, the mean of its last hidden states.
const COSINE: &str = "cosine";
/// The norm of the difference of all last hidden states over the norm of the teacher's.
const RELATIVE_ERROR: &str = "relative_error";

impl Criterion for Distillation {
    fn num_targets(&self, batch: &TokenBatch) -> Vec<usize> {
        let mut counts = vec![batch.num_tokens(); self.layers()];
        if self.options.stage == Stage::Network && self.options.cosine_weight > 0.0 {
            counts.push(batch.lengths.len());
        }
        counts.extend(self.scored.map(|scored| match scored {
            Scored::Tokens => compared_positions(batch).len(),
            Scored::Sequences => batch.lengths.len(),
        }));
        counts
    }

    fn loss_terms(
        &self,
        student: &Judged<'_>,
        batch: TokenBatch,
        device: &Device,
    ) -> Result<Vec<LossTerm>> {
        let (taught, of_teacher) = self.taught(&batch, &device.clone().inner())?;
        let tensors = Tensors::of(batch, device)?;
        without_dropout(|| match self.options.stage {
            Stage::Layers => self.terms_of_layers(student, tensors, &taught),
            Stage::Network => {
                let found = LayerStates::of(student.encoder, tensors.input.clone())?;
                self.terms_of_network(student, &found, (&taught, &of_teacher), &tensors)
            }
        })
    }

    fn evaluate(
        &self,
        student: &Judged<'_>,
        batch: TokenBatch,
        device: &Device,
        measured: &mut Measured,
    ) -> Result<Vec<LossTerm>> {
        let (taught, tensors) = self.taught(&batch, device)?;
        let found = LayerStates::of(student.encoder, tensors.input.clone())?;
        measure(&found, (&taught, &tensors), device, measured)?;
        match self.options.stage {
            Stage::Layers => self.terms_of_layers(student, tensors, &taught),
            Stage::Network => self.terms_of_network(student, &found, (&taught, &tensors), &tensors),
        }
    }

    fn metric_names(&self) -> Vec<MetricName> {
        let metric = |name: String, greater_is_better| MetricName { name, greater_is_better };
        let of_layers =
            (1..=self.layers()).map(|number| metric(format!("layer_{number}_error"), false));
        [metric(COSINE.to_owned(), true), metric(RELATIVE_ERROR.to_owned(), false)]
            .into_iter()
            .chain(of_layers)
            .collect()
    }

    fn fingerprints(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("teacher".to_owned(), self.teacher.fingerprint().to_owned())])
    }
}

/// How near the whole network is, whatever stage it is in.
fn measure(
    found: &LayerStates,
    (taught, tensors): (&LayerStates, &Tensors),
    device: &Device,
    measured: &mut Measured,
) -> Result<()> {
    let kept = taught.kept();
    let mut last = (0.0, 0.0);
    for (number, (found, target)) in found.outputs.iter().zip(&taught.outputs).enumerate() {
        let squares = |x: Tensor<3>| {
            let of_tokens = of_tokens(x.square().sum_dim(2).flatten(0, 2), kept.as_ref());
            scalar(of_tokens.sum(), device)
        };
        last = (squares(found.clone() - target.clone())?, squares(target.clone())?);
        measured.relative_error(&format!("layer_{}_error", number + 1), last.0, last.1);
    }
    measured.relative_error(RELATIVE_ERROR, last.0, last.1);
    let [embedding, target] =
        [found, taught].map(|states| mean_of_tokens(states.last_of_rows(), tensors.keep.clone()));
    let [rows, _] = embedding.dims();
    let cosines = scalar(cosine(embedding, target).sum(), device)?;
    measured.mean(COSINE, cosines, rows as f64);
    Ok(())
}

/// What of the teacher stands in what is computed on the student's `device`: no gradient comes back to it.
fn constant<const D: usize>(of_teacher: &Tensor<D>, device: &Device) -> Tensor<D> {
    if device.is_autodiff() { of_teacher.clone().autodiff() } else { of_teacher.clone() }
}

/// The tokens whose scores are compared: `row · seq_len + column` of each.
fn compared_positions(batch: &TokenBatch) -> &[i32] {
    match &batch.targets {
        TargetsData::Tokens { positions, .. } | TargetsData::TokensAndOrder { positions, .. } => {
            positions
        }
        TargetsData::Class(_)
        | TargetsData::Choice { .. }
        | TargetsData::Values(_)
        | TargetsData::Span { .. } => &[],
    }
}

/// Losses without those of padding.
fn of_tokens(losses: Tensor<1>, kept: Option<&Tensor<1>>) -> Tensor<1> {
    match kept {
        Some(kept) => losses * kept.clone(),
        None => losses,
    }
}

/// What the scores are of that both heads make and that can be compared; says once why not where there is a head.
fn compared_scores(teacher: &Teacher, experiment: &Experiment) -> Option<Scored> {
    let class = experiment.architecture().class();
    if class.scored.is_none() && class.name == Architecture::Base.name() {
        return None;
    }
    let (theirs, ours) = (teacher.config(), &experiment.model);
    let answers_classes = class.scored != Some(Scored::Sequences)
        || ours.problem_type() == ProblemType::SingleLabelClassification;
    let why_not = if class.scored.is_none() || !answers_classes {
        format!("the head of a `{}` gives no scores of classes that could be compared", class.name)
    } else if teacher.model().class().name != class.name {
        format!(
            "the teacher is a `{}`, and the student a `{}`",
            teacher.model().class().name,
            class.name
        )
    } else if theirs.embeddings.vocab_size != ours.embeddings.vocab_size
        || theirs.classifier.id2label != ours.classifier.id2label
    {
        "the two heads tell other classes apart".to_owned()
    } else {
        return class.scored;
    };
    say_once(format!(
        "{why_not}: hidden states alone are compared, and the head learns nothing (`distill.kl_weight = 0` says so)"
    ));
    None
}
