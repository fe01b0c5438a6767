//! The authors' Long Range Arena classifiers: pre-LN layers, means over tokens, a head of its own width, pairs of
//! sequences; and what goes beyond them: other positions, filters for each channel, a stem, two states side by side. Hidden states, pooled states, logits, loss and every gradient against the fixtures in `lra/`.
//!
//! Tolerances are relative to the largest value of the tensor: forward 1e-5, gradients 1e-4. The fixtures were
//! computed in float64; float32 itself costs PyTorch up to 7e-7 in them forwards and 2e-6 backwards.

use burn::tensor::{Device, Tensor};
use nystromformer::heads::TargetTensors;
use nystromformer::{
    Architecture, AttentionKind, Head, Model, NystromformerInput, Pooling, PositionEmbeddingType,
    PreTrainedModel, WantedTokens,
};

use crate::{
    device,
    fixture::{Fixture, GradientErrors},
    parity::check,
};

const FORWARD: f32 = 1e-5;
const GRADIENT: f32 = 1e-4;

fn names() -> Vec<String> {
    Fixture::names_in("lra").into_iter().map(|name| format!("lra/{name}")).collect()
}

/// Scores, as [`Model`]'s users call for them, and the mean loss.
fn logits_and_loss(model: &Model, fixture: &Fixture, device: &Device) -> (Tensor<2>, Tensor<1>) {
    let targets = TargetTensors::Class(fixture.classes(device));
    let mut losses = model.losses(fixture.input(device), targets).unwrap();
    assert_eq!((losses.terms.len(), losses.logits.len()), (1, 1));
    (losses.logits.remove(0), losses.terms.remove(0).losses.mean())
}

#[test]
fn hidden_states_pooled_states_logits_and_loss() {
    let device = device();
    for name in names() {
        let fixture = Fixture::read(&name);
        let model = fixture.any_model(&device);
        let mut errors = Vec::new();
        let states = model.nystromformer().hidden_states(fixture.input(&device)).unwrap();
        assert_eq!(states.len(), fixture.config.encoder.num_hidden_layers + 1);
        let last = states[states.len() - 1].clone();
        for (layer, state) in states.into_iter().enumerate() {
            let name = format!("hidden_states.{layer}");
            let error = fixture.error(&name, state);
            errors.push((name, error));
        }
        let mask = fixture.integer("attention_mask", &device);
        let pooler = fixture.config.classifier.pooling.init(&fixture.config.shared, &device);
        let [rows, columns, _] = last.dims();
        let wanted = match pooler.wanted_tokens([rows, columns], Some(&mask), &device) {
            at @ WantedTokens::At(_) => at,
            _ => WantedTokens::All,
        };
        let pooled = pooler.forward(wanted.of(last), Some(mask));
        errors.push(("pooled".into(), fixture.error("pooled", pooled)));
        let (logits, loss) = logits_and_loss(&model, &fixture, &device);
        errors.push(("logits".into(), fixture.error("logits", logits)));
        errors.push(("loss".into(), fixture.error("loss", loss)));
        check(&name, &errors, FORWARD);
    }
}

#[test]
fn gradients_of_every_parameter() {
    let device = device().autodiff();
    for name in names() {
        let fixture = Fixture::read(&name);
        let model = fixture.any_model(&device);
        let (_, loss) = logits_and_loss(&model, &fixture, &device);
        let errors = GradientErrors::of(&model, &fixture, &loss.backward());
        let mut compared: Vec<&str> = errors.iter().map(|(name, _)| name.as_str()).collect();
        compared.sort_unstable();
        assert_eq!(compared, fixture.parameters(), "{name}");
        check(&name, &errors, GRADIENT);
    }
}

/// What the authors' mean costs: a row's answer then depends on how far the row was padded.
#[test]
fn only_the_mean_over_the_padded_length_sees_padding() {
    let device = device();
    let mut fixture = Fixture::read("lra/nystrom_mean");
    for pooling in [Pooling::First, Pooling::Mean, Pooling::MeanPadded] {
        fixture.config.classifier.pooling = pooling;
        let Model::SequenceClassification(model) = fixture.any_model(&device) else {
            panic!("it classifies sequences");
        };
        // The third row has five tokens.
        let logits = |columns: usize| {
            let row = |name| fixture.integer(name, &device).slice([2..3, 0..columns]);
            let input = NystromformerInput::new(row("input_ids"))
                .with_attention_mask(row("attention_mask"));
            model.forward(input).unwrap()
        };
        let (long, short) = (logits(12), logits(6));
        let scale = long.clone().abs().max().into_scalar::<f32>();
        let difference = (long - short).abs().max().into_scalar::<f32>() / scale;
        let sees_padding = difference > 1e-2;
        assert_eq!(sees_padding, pooling == Pooling::MeanPadded, "{pooling:?}: {difference:e}");
        assert!(sees_padding || difference <= FORWARD, "{pooling:?}: {difference:e}");
    }
}

#[test]
fn fixtures_cover_both_classes_both_attentions_and_every_pooling() {
    let fixtures: Vec<_> = names().iter().map(|name| Fixture::read(name)).collect();
    assert_eq!(fixtures.len(), 12);
    for architecture in [Architecture::SequenceClassification, Architecture::DualEncoder] {
        for attention in [AttentionKind::Nystrom, AttentionKind::Softmax] {
            assert!(fixtures.iter().any(|fixture| {
                (fixture.architecture, fixture.config.attention.kind) == (architecture, attention)
            }));
        }
    }
    for pooling in
        [Pooling::First, Pooling::Mean, Pooling::MeanPadded, Pooling::FirstLast, Pooling::MeanMax]
    {
        assert!(fixtures.iter().any(|fixture| fixture.config.classifier.pooling == pooling));
    }
    for kind in [
        PositionEmbeddingType::Absolute,
        PositionEmbeddingType::BothEnds,
        PositionEmbeddingType::Rotary,
    ] {
        assert!(
            fixtures.iter().any(|fixture| fixture.config.shared.position_embedding_type == kind)
        );
    }
    assert!(fixtures.iter().any(|fixture| fixture.config.attention.convolution.conv_per_channel));
    assert!(fixtures.iter().any(|fixture| fixture.config.embeddings.stem.stem_layers > 0));
    assert!(fixtures.iter().all(|fixture| fixture.config.shared.norm_first));
}
