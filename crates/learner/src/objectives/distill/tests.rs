//! The losses against PyTorch's, and what they are of: the same in any parts of a batch, of each layer by itself, nothing where
//! the student is its teacher.

use std::collections::BTreeSet;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use nystromformer::heads::{LossOptions, LossTerm, TargetsData};
use nystromformer::{
    Architecture, AttentionKind, LandmarkRule, Model, NystromformerConfig, PreTrainedModel, Seed,
};
use nystromformer_data::Objective;
use serde::Deserialize;

use super::config::{DistillConfig, LayerTarget, Stage};
use super::distillation::Distillation;
use super::losses::{cosine_distance, divergence, error_over_variance};
use super::teacher::Teacher;
use crate::batch::{Batch, TokenBatch};
use crate::experiment::Experiment;
use crate::objectives::criterion::BatchCriterion;
use crate::parameter_groups::ParameterGroups;
use crate::parameters::parameters;
use crate::trainable::{HeadCounts, TermSum, Trainable};

const SEQ_LEN: usize = 12;

/// Weights that attend to some tokens more than to others, and dropout that would be seen.
fn config(attention: AttentionKind) -> NystromformerConfig {
    NystromformerConfig::default().with(|config| {
        config.embeddings.vocab_size = 20;
        config.shared.hidden_size = 16;
        config.shared.num_attention_heads = 2;
        config.shared.hidden_dropout_prob = 0.3;
        config.shared.weights.initializer_range = 0.4;
        config.encoder.num_hidden_layers = 2;
        config.feed_forward.intermediate_size = 24;
        config.attention.kind = attention;
        config.attention.nystrom.num_landmarks = 3;
        config.attention.convolution.conv_kernel_size = 3;
    })
}

fn model(attention: AttentionKind, device: &Device) -> Model {
    model_of(&config(attention), device)
}

fn model_of(config: &NystromformerConfig, device: &Device) -> Model {
    let init = || Model::init(Architecture::MaskedLm, config, device);
    Seed::new(7).scope(init).unwrap()
}

fn criterion(options: DistillConfig) -> BatchCriterion {
    let mut experiment =
        Experiment { model: config(AttentionKind::Nystrom), ..Experiment::default() };
    experiment.data.objective = Objective::Distill;
    experiment.distill =
        DistillConfig { model_class: Some(Architecture::MaskedLm.name().to_owned()), ..options };
    let teacher = Teacher::of(model(AttentionKind::Softmax, &Device::flex()));
    BatchCriterion::new(Distillation::new(teacher, &experiment))
}

fn options(stage: Stage) -> DistillConfig {
    DistillConfig { stage, cosine_weight: 0.5, ..DistillConfig::default() }
}

/// Rows of these lengths; two tokens of each are compared.
fn batch(lengths: &[usize], criterion: &BatchCriterion) -> TokenBatch {
    let seq_len = lengths.iter().copied().max().unwrap();
    let id = |row: usize, place: usize| ((lengths[row] * 5 + place * 7) % 17 + 3) as i32;
    let rows = 0..lengths.len();
    let ids = rows.clone().flat_map(|row| {
        (0..seq_len).map(move |place| if place < lengths[row] { id(row, place) } else { 1 })
    });
    let positions: Vec<i32> = rows
        .clone()
        .flat_map(|row| [0, lengths[row] - 1].map(|place| (row * seq_len + place) as i32))
        .collect();
    TokenBatch {
        input_ids: ids.collect(),
        features: None,
        token_type_ids: None,
        lengths: lengths.to_vec(),
        hidden_id: None,
        seq_len,
        targets: TargetsData::Tokens { labels: vec![0; positions.len()], positions },
        loss_options: LossOptions::default(),
        criterion: Some(criterion.clone()),
    }
}

fn sums(terms: &[LossTerm]) -> Vec<f64> {
    let sum = |term: &LossTerm| {
        f64::from(term.losses.clone().sum().inner().into_scalar::<f32>()) * term.weight
    };
    terms.iter().map(sum).collect()
}

/// Exact attention learns nothing of exact attention, in training too, where others drop.
#[test]
fn a_student_that_is_its_teacher_is_right() {
    let device = Device::flex().autodiff();
    let student = model(AttentionKind::Softmax, &device);
    for stage in [Stage::Layers, Stage::Network] {
        for layer_target in [LayerTarget::Context, LayerTarget::Attention, LayerTarget::Layer] {
            let criterion = criterion(DistillConfig { layer_target, ..options(stage) });
            let batch = batch(&[SEQ_LEN, 5, 9], &criterion);
            let terms = student.loss_terms(batch.clone(), &device).unwrap();
            assert_eq!(terms.len(), batch.num_targets().len());
            for (number, sum) in sums(&terms).into_iter().enumerate() {
                assert!(sum.abs() < 1e-5, "{stage:?} {layer_target:?} {number}: {sum}");
            }
            let mut counts = HeadCounts::default();
            let evaluated = student.valid().evaluate(batch, &Device::flex(), &mut counts).unwrap();
            assert!(sums(&evaluated).iter().all(|sum| sum.abs() < 1e-5));
            let metrics = student.metrics(&counts, &[TermSum::default()]);
            for (name, value) in metrics {
                let expected = if name == "cosine" { 1.0 } else { 0.0 };
                assert!((value - expected).abs() < 1e-5, "{name} {value}");
            }
        }
    }
}

/// A student that is not: what is summed up over a padded batch is what its rows give by themselves.
#[test]
fn padding_has_no_part_in_any_loss() {
    let device = Device::flex().autodiff();
    let student = model(AttentionKind::Nystrom, &device);
    for stage in [Stage::Layers, Stage::Network] {
        let criterion = criterion(options(stage));
        let lengths = [SEQ_LEN, 5, 9];
        let terms = |lengths: &[usize]| {
            let batch = batch(lengths, &criterion);
            (sums(&student.loss_terms(batch.clone(), &device).unwrap()), batch.num_targets())
        };
        let (together, targets) = terms(&lengths);
        let mut alone = vec![0.0; together.len()];
        let mut targets_alone = vec![0; together.len()];
        for length in lengths {
            let (of_row, of_row_targets) = terms(&[length]);
            for (number, (sum, count)) in of_row.into_iter().zip(of_row_targets).enumerate() {
                alone[number] += sum;
                targets_alone[number] += count;
            }
        }
        assert_eq!(targets, targets_alone);
        for (together, alone) in together.iter().zip(&alone) {
            assert!(*together > 1e-3, "the approximation is no exact attention: {together}");
            assert!((together - alone).abs() < 1e-4 * alone.abs(), "{stage:?}: {together} {alone}");
        }
    }
}

/// The first stage is that of each layer alone: its loss has the gradient that it has by itself, and no other layer's has any
/// part in it.
#[test]
fn layers_are_trained_each_by_itself() {
    let device = Device::flex().autodiff();
    let student = model(AttentionKind::Nystrom, &device);
    for layer_target in [LayerTarget::Context, LayerTarget::Attention, LayerTarget::Layer] {
        let criterion = criterion(DistillConfig { layer_target, ..options(Stage::Layers) });
        let gradients = |wanted: &[usize]| {
            let batch = batch(&[SEQ_LEN, 7], &criterion);
            let terms = student.loss_terms(batch, &device).unwrap();
            let losses = wanted.iter().map(|number| terms[*number].losses.clone().sum());
            let loss = losses.reduce(|sum, loss| sum + loss).unwrap();
            GradientsParams::from_grads(loss.backward(), &student)
        };
        let of_layer = |gradients: &GradientsParams, number: usize| {
            let layer = &student.nystromformer().encoder.layer[number];
            let attention = &layer.attention.self_attention;
            let of = |id| gradients.get::<2>(id).map(|gradient| gradient.into_data());
            let conv = attention.conv.as_ref().unwrap().weight.id;
            let conv = gradients.get::<4>(conv).map(|gradient| gradient.into_data());
            let [query, key] = [&attention.query, &attention.key]
                .map(|projection| projection.as_ref().unwrap().weight.id);
            [of(query), of(key), conv]
        };
        let all = gradients(&[0, 1]);
        for number in 0..2 {
            let alone = gradients(&[number]);
            for (name, (all, alone)) in ["query", "key", "conv"]
                .iter()
                .zip(of_layer(&all, number).into_iter().zip(of_layer(&alone, number)))
            {
                let alone = alone.unwrap_or_else(|| panic!("{name} has a gradient"));
                assert_eq!(all, Some(alone), "{layer_target:?} {name}");
            }
            for other in of_layer(&alone, 1 - number).into_iter().flatten() {
                assert!(other.iter::<f32>().all(|value| value == 0.0), "{layer_target:?}");
            }
        }
    }
}

/// The gradient of a step against what losses of moved weights say.
#[test]
fn the_gradient_of_either_stage_is_that_of_differences() {
    let device = Device::flex().autodiff();
    for stage in [Stage::Layers, Stage::Network] {
        let criterion = criterion(options(stage));
        let loss = |student: &Model| {
            let batch = batch(&[SEQ_LEN, 7], &criterion);
            let counts = batch.num_targets();
            let terms = student.loss_terms(batch, &device).unwrap().into_iter().zip(counts);
            let shares =
                terms.map(|(term, count)| term.losses.sum() * (term.weight / count as f64));
            shares.reduce(|sum, share| sum + share).unwrap()
        };
        let moved = |distance: f32| {
            let mut student = model(AttentionKind::Nystrom, &device);
            let layer = &mut student.nystromformer_mut().encoder.layer[1];
            let query = layer.attention.self_attention.query.as_mut().unwrap();
            let [rows, columns] = query.weight.dims();
            let mut direction = vec![0.0_f32; rows * columns];
            direction.iter_mut().step_by(7).for_each(|value| *value = 1.0);
            let direction = Tensor::<2>::from_data(
                TensorData::new(direction, [rows, columns]),
                &Device::flex(),
            );
            let along = direction.clone();
            let step = move |weight: Tensor<2>| {
                Tensor::from_inner(weight.inner() + along * distance).require_grad()
            };
            query.weight = query.weight.clone().map(step);
            (student, direction)
        };
        let (student, direction) = moved(0.0);
        let gradients = GradientsParams::from_grads(loss(&student).backward(), &student);
        let layer = &student.nystromformer().encoder.layer[1];
        let id = layer.attention.self_attention.query.as_ref().unwrap().weight.id;
        let gradient = gradients.get::<2>(id).unwrap();
        let slope = f64::from((gradient * direction).sum().into_scalar::<f32>());
        let step = 2e-2;
        let value = |distance| f64::from(loss(&moved(distance).0).inner().into_scalar::<f32>());
        let difference = (value(step) - value(-step)) / (2.0 * f64::from(step));
        assert!(
            (slope - difference).abs() < 0.02 * difference.abs().max(1e-3),
            "{stage:?}: {slope} {difference}"
        );
    }
}

#[derive(Deserialize)]
struct Case {
    student: Vec<Vec<f32>>,
    teacher: Vec<Vec<f32>>,
    losses: Vec<f64>,
    gradient: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Fixture {
    error_over_variance: Vec<Case>,
    cosine_distance: Vec<Case>,
    divergence: Vec<Case>,
}

type Loss<'a> = &'a dyn Fn(Tensor<2>, Tensor<2>) -> Tensor<1>;

/// Rounding of a logarithm of an `f32` probability, of which small divergences are differences.
const LEAST: f64 = 3e-7;

/// `tools/reference/generate_distillation_fixtures.py`. Of the largest value: rounding of sums of a few dozen `f32`.
#[test]
fn losses_and_gradients_are_pytorchs() {
    let fixture: Fixture =
        serde_json::from_str(include_str!("../../../tests/fixtures/distillation.json")).unwrap();
    let of_vectors = |student: Tensor<2>, teacher: Tensor<2>| {
        error_over_variance(student.unsqueeze_dim(0), teacher.unsqueeze_dim(0))
    };
    for (name, cases, loss) in [
        ("error_over_variance", fixture.error_over_variance, &of_vectors as Loss<'_>),
        ("cosine_distance", fixture.cosine_distance, &cosine_distance),
        ("divergence", fixture.divergence, &divergence),
    ] {
        for case in cases {
            let device = Device::flex().autodiff();
            let table = |rows: &[Vec<f32>]| {
                let data = TensorData::new(rows.concat(), [rows.len(), rows[0].len()]);
                Tensor::<2>::from_data(data, &device)
            };
            let student = table(&case.student).require_grad();
            let losses = loss(student.clone(), table(&case.teacher));
            let places: Vec<f32> = (1..=case.losses.len()).map(|place| place as f32).collect();
            let places = Tensor::<1>::from_floats(places.as_slice(), &device);
            let gradients = (losses.clone() * places).sum().backward();
            let gradient = student.grad(&gradients).unwrap();
            compare(name, losses.inner(), &case.losses);
            compare(name, gradient.flatten(0, 1), &case.gradient.concat());
        }
    }
}

fn compare(name: &str, found: Tensor<1>, expected: &[f64]) {
    let found = found.try_into_vec_as::<f32>().unwrap();
    assert_eq!(found.len(), expected.len(), "{name}");
    let scale = expected.iter().fold(f64::MIN_POSITIVE, |scale, value| scale.max(value.abs()));
    for (found, expected) in found.into_iter().zip(expected) {
        let difference = (f64::from(found) - expected).abs();
        assert!(difference < 1e-5 * scale + LEAST, "{name}: {found} instead of {expected}");
    }
}

/// Names as files have them lead to the parameters that the first stage trains.
#[test]
fn the_first_stage_trains_convolution_query_and_key_of_nystrom() {
    let student = model(AttentionKind::Nystrom, &Device::flex().autodiff());
    let mut experiment =
        Experiment { model: config(AttentionKind::Nystrom), ..Experiment::default() };
    experiment.data.objective = Objective::Distill;
    let trained = |experiment: &Experiment| {
        let options = experiment.parameter_groups();
        let groups = ParameterGroups::of(&options, &student).unwrap();
        let found = parameters(&student).into_iter().map(|parameter| parameter.path);
        found.filter(|path| !groups.is_frozen(path)).collect::<Vec<String>>()
    };
    let of_layers = trained(&experiment);
    assert_eq!(of_layers.len(), 2 * 5, "{of_layers:?}");
    assert!(of_layers.iter().all(|path| path.contains(".attention.self_attention.")));
    experiment.distill.stage = Stage::Network;
    assert_eq!(trained(&experiment).len(), parameters(&student).len());
    experiment.distill.trainable = vec!["layer.0.*.self.value".to_owned()];
    assert_eq!(trained(&experiment).len(), 2);
    // What the loss does not depend on is not trained alone.
    let refused = |change: &dyn Fn(&mut Experiment)| {
        let mut changed = experiment.clone();
        change(&mut changed);
        let error = ParameterGroups::of(&changed.parameter_groups(), &student).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    let layers = config(AttentionKind::Nystrom).encoder.num_hidden_layers;
    let message = refused(&|experiment| {
        experiment.distill = options(Stage::Layers);
        experiment.trainer.freeze_layers = layers;
    });
    assert!(message.starts_with("nothing is left to train"), "{message}");
    let message = refused(&|experiment| {
        experiment.distill = options(Stage::Layers);
        experiment.distill.trainable = vec!["embeddings".to_owned()];
    });
    assert!(message.contains("the loss depends on none"), "{message}");
    let message = refused(&|experiment| {
        experiment.distill = options(Stage::Layers);
        experiment.distill.layer_target = LayerTarget::Context;
        experiment.distill.trainable = vec!["attention.output".to_owned()];
    });
    assert!(message.contains("attention.output"), "{message}");
    let message = refused(&|experiment| {
        experiment.distill = DistillConfig { kl_weight: 0.0, ..options(Stage::Network) };
        experiment.trainer.freeze_layers = layers;
        experiment.trainer.freeze_embeddings = true;
    });
    assert!(message.contains("`trainer.freeze_embeddings` = `true`"), "{message}");
    assert!(!message.contains("  "), "{message}");
    experiment.distill.trainable = vec!["queries".to_owned()];
    let error = ParameterGroups::of(&experiment.parameter_groups(), &student).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let error = error.to_string();
    assert!(error.contains("`queries`") && !error.contains("  "), "{error}");
}

/// What a kind of attention brings is fitted without being asked for, and what it lacks is not missed.
#[test]
fn the_first_stage_trains_what_the_kind_of_attention_brings() {
    let weighted = config(AttentionKind::Nystrom)
        .with(|config| config.attention.nystrom.landmarks = LandmarkRule::Weighted);
    let without_convolution =
        |kind| config(kind).with(|config| config.attention.convolution.conv_kernel_size = 0);
    for (config, expected) in [
        (weighted, &["conv", "key", "key_score", "query", "query_score"][..]),
        (
            without_convolution(AttentionKind::Linformer),
            &["compress_k", "compress_v", "key", "query"],
        ),
        (without_convolution(AttentionKind::Softmax), &["key", "query"]),
    ] {
        let student = model_of(&config, &Device::flex().autodiff());
        let mut experiment = Experiment { model: config, ..Experiment::default() };
        experiment.data.objective = Objective::Distill;
        let groups = ParameterGroups::of(&experiment.parameter_groups(), &student).unwrap();
        let paths = parameters(&student).into_iter().map(|parameter| parameter.path);
        let trained: BTreeSet<String> = paths
            .filter(|path| !groups.is_frozen(path))
            .map(|path| {
                let words: Vec<&str> = path.split('.').collect();
                assert!(path.contains(".attention.self_attention."), "{path}");
                let name = words.iter().rev().find(|word| !["weight", "bias"].contains(word));
                (*name.unwrap()).to_owned()
            })
            .collect();
        assert!(trained.iter().eq(expected), "{trained:?}");
    }
    // Nothing is left to train: it is said, and not with a pattern that nobody wrote.
    let config = without_convolution(AttentionKind::None);
    let student = model_of(&config, &Device::flex().autodiff());
    let mut experiment = Experiment { model: config, ..Experiment::default() };
    experiment.data.objective = Objective::Distill;
    let error = ParameterGroups::of(&experiment.parameter_groups(), &student).unwrap_err();
    assert!(error.to_string().contains("is no parameter of this model"), "{error}");
}
