//! Every stage, every hidden state, the loss and every gradient against the fixtures.
//!
//! Tolerances are relative to the largest value of the tensor: forward 1e-5, gradients 1e-4. The fixtures
//! were computed in float64 and are exact to f32 rounding.

use burn::tensor::Tensor;
use nystromformer::{
    AttentionKind, LandmarkRule, NystromformerConfig, Semantics,
    attention::{nystrom::landmarks::segment_means, padding::Segments},
    heads::targets::cross_entropy,
};

use crate::{
    device,
    fixture::{Fixture, GradientErrors},
};

const FORWARD: f32 = 1e-5;
const GRADIENT: f32 = 1e-4;

pub(crate) fn check(fixture: &str, errors: &[(String, f32)], tolerance: f32) {
    let (name, worst) = errors
        .iter()
        .max_by(|left, right| left.1.total_cmp(&right.1))
        .expect("something was compared");
    println!("{fixture}: {} tensors, worst {name} {worst:e}", errors.len());
    let bad: Vec<_> =
        errors.iter().filter(|(_, error)| error.is_nan() || *error > tolerance).collect();
    assert!(bad.is_empty(), "{fixture}: beyond {tolerance:e}: {bad:?}");
}

#[test]
fn hidden_states_logits_and_loss() {
    let device = device();
    for name in Fixture::names() {
        let fixture = Fixture::read(&name);
        let model = fixture.model(&device);
        let mut errors = Vec::new();
        let states = model.nystromformer.hidden_states(fixture.input(&device)).unwrap();
        assert_eq!(states.len(), fixture.config.encoder.num_hidden_layers + 1);
        for (layer, state) in states.into_iter().enumerate() {
            let name = format!("hidden_states.{layer}");
            let error = fixture.error(&name, state);
            errors.push((name, error));
        }
        let logits = model.forward(fixture.input(&device)).unwrap();
        errors.push(("logits".into(), fixture.error("logits", logits)));

        let (positions, labels) = fixture.labelled(&device);
        let logits = model.forward_at(fixture.input(&device), positions).unwrap();
        let loss = cross_entropy(logits, labels).mean().into_scalar::<f32>();
        let expected = fixture.float::<1>("loss", &device).into_scalar::<f32>();
        errors.push(("loss".into(), (loss - expected).abs() / expected));
        check(&name, &errors, FORWARD);
    }
}

fn is_of_patches(config: &NystromformerConfig) -> bool {
    config.attention.nystrom.landmarks == LandmarkRule::Patches
}

#[test]
fn stages_of_the_first_layer() {
    let device = device();
    for name in Fixture::names() {
        let fixture = Fixture::read(&name);
        let model = fixture.model(&device);
        let config = &fixture.config;
        let padding =
            config.attention.padding(fixture.integer("attention_mask", &device), &config.shared);
        let layer = &model.nystromformer.encoder.layer[0];
        let attention = &layer.attention.self_attention;
        let embedded = fixture.float::<3>("hidden_states.0", &device);

        // Fixtures hold queries and keys scaled by d^-¼, as the reference computes them; we scale landmarks.
        let root = (config.shared.head_dim() as f64).powf(-0.25);
        let [batch, seq_len, _] = embedded.dims();
        let heads = |projected: Tensor<3>| {
            projected
                .reshape([
                    batch,
                    seq_len,
                    config.shared.num_attention_heads,
                    config.shared.head_dim(),
                ])
                .swap_dims(1, 2)
        };
        let [query, key] = attention.query_and_key(embedded.clone(), Some(&padding)).unwrap();
        let value = heads(attention.value.forward(embedded.clone()));
        let mut errors = Vec::new();
        let mut compare = |stage: &str, got: Tensor<4>| {
            let name = format!("stage.{stage}");
            let error = fixture.error(&name, got);
            errors.push((name, error));
        };
        // Exact attention scales as a whole.
        let scaled = if fixture.has("stage.kernel_1") { root } else { 1.0 };
        if scaled != 1.0 || config.attention.kind == AttentionKind::Nystrom {
            compare("query", query.clone().mul_scalar(root));
            compare("key", key.clone().mul_scalar(root));
        }
        compare("value", value.clone());
        if let Some(factors) = attention.factors(embedded.clone(), Some(&padding)) {
            let mask = fixture.integer("attention_mask", &device);
            let patches = config.embeddings.picture().filter(|_| is_of_patches(config));
            let patches = patches.and_then(|picture| {
                Some(Segments::of_patches(
                    mask,
                    picture.patches(config.attention.nystrom.num_landmarks)?,
                ))
            });
            let segments = patches.as_ref().or_else(|| padding.segments());
            for (stage, tokens) in [("query_landmarks", &query), ("key_landmarks", &key)] {
                let means =
                    segment_means(tokens.clone(), config.attention.nystrom.num_landmarks, segments);
                compare(stage, means.mul_scalar(root));
            }
            compare("kernel_1", factors.kernel_1);
            compare("kernel_2", factors.kernel_2);
            compare("pinv", factors.pinv);
            // Rows of spare landmarks are computed, then multiplied by the zeros of `pinv`.
            let used = segments.map(|segments| segments.keep.clone());
            compare(
                "kernel_3",
                match used {
                    Some(used) => factors.kernel_3 * used,
                    None => factors.kernel_3,
                },
            );
        }
        compare("attention_context", attention.context(query, key, value, Some(&padding)));
        let output = layer.forward(embedded, Some(&padding));
        errors.push(("layer_output".into(), fixture.error("stage.layer_output", output)));
        check(&name, &errors, FORWARD);
    }
}

#[test]
fn gradients_of_every_parameter() {
    let device = device().autodiff();
    for name in Fixture::names() {
        let fixture = Fixture::read(&name);
        let model = fixture.model(&device);
        let (positions, labels) = fixture.labelled(&device);
        let logits = model.forward_at(fixture.input(&device), positions).unwrap();
        let gradients = cross_entropy(logits, labels).mean().backward();
        check(&name, &GradientErrors::of(&model, &fixture, &gradients), GRADIENT);
    }
}

/// A mask of ones and no mask are the same thing, computed along different paths.
#[test]
fn no_mask_equals_a_mask_of_ones() {
    let device = device();
    for name in Fixture::names() {
        let fixture = Fixture::read(&name);
        let mask = fixture.integer("attention_mask", &device);
        if mask.clone().min().into_scalar::<i64>() == 0 {
            continue;
        }
        let model = fixture.model(&device);
        let mut input = fixture.input(&device);
        input.attention_mask = None;
        let error = fixture.error("logits", model.forward(input).unwrap());
        assert!(error <= FORWARD, "{name}: {error:e}");
    }
}

#[test]
fn fixtures_cover_both_semantics_and_both_branches() {
    let configs: Vec<_> = Fixture::names().iter().map(|name| Fixture::read(name).config).collect();
    for semantics in [Semantics::Paper, Semantics::Hf] {
        for full in [true, false] {
            assert!(
                configs
                    .iter()
                    .any(|c| c.shared.semantics == semantics && c.is_full_attention() == full)
            );
        }
    }
}
