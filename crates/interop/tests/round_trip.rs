//! Save, load and save again: the same bytes.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::{fs, path::Path};

use burn::tensor::{Device, Int, Tensor};
use nystromformer::{
    Architecture, AttentionKind, FeedForwardKind, Head, HiddenAct, Labels, LandmarkRule, Model,
    ModelClass, NystromformerConfig, NystromformerForMaskedLm,
    NystromformerForSequenceClassification, NystromformerInput, PinvInit, Pooling,
    PositionEmbeddingType, PreTrainedModel, Semantics, WeightInit, heads::TargetTensors,
};
use nystromformer_interop::{
    StorageType, load, load_model, load_weights, read_config, save, write_config,
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

fn tiny() -> NystromformerConfig {
    NystromformerConfig::default().with(|config| {
        config.embeddings.vocab_size = 23;
        config.shared.hidden_size = 8;
        config.encoder.num_hidden_layers = 2;
        config.shared.num_attention_heads = 2;
        config.feed_forward.intermediate_size = 12;
        config.embeddings.max_position_embeddings = 16;
        config.attention.nystrom.num_landmarks = 4;
        config.attention.nystrom.segment_means_seq_len = 8;
        config.attention.convolution.conv_kernel_size = 3;
    })
}

fn logits(model: &NystromformerForMaskedLm) -> Vec<f32> {
    let input_ids = Tensor::<2, Int>::from_ints([[0, 7, 3, 22, 1, 5, 9, 2]], &Device::flex());
    let logits = model.forward(NystromformerInput::new(input_ids)).unwrap();
    logits.into_data().try_into_vec().unwrap()
}

#[test]
fn save_load_save_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let device = Device::flex();
    let model = NystromformerForMaskedLm::init(&tiny(), &device).unwrap();

    save(&model, &first).unwrap();
    let loaded = load::<NystromformerForMaskedLm>(&first, &device).unwrap();
    save(&loaded, &second).unwrap();

    assert_eq!(loaded.config(), model.config());
    assert_eq!(logits(&loaded), logits(&model));
    for file in ["model.safetensors", "config.json"] {
        let read = |folder: &Path| fs::read(folder.join(file)).unwrap();
        assert_eq!(read(&first), read(&second), "{file}");
    }
}

/// Every class, shared layers included, through a folder and back.
#[test]
fn every_class_comes_back_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::flex();
    for (architecture, num_hidden_groups) in Architecture::ALL
        .into_iter()
        .flat_map(|architecture| [(architecture, 0), (architecture, 1)])
    {
        let config = tiny().with(|config| {
            config.encoder.num_hidden_groups = num_hidden_groups;
            config.classifier.id2label = Labels::new(["no", "perhaps", "yes"]);
        });
        let model = Model::init(architecture, &config, &device).unwrap();
        let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
        save(&model, &first).unwrap();
        let loaded = load_model(&first, &device).unwrap();
        assert_eq!(loaded.architecture(), architecture);
        assert_eq!(loaded.config(), model.config());
        save(&loaded, &second).unwrap();
        for file in ["model.safetensors", "config.json"] {
            let read = |folder: &Path| fs::read(folder.join(file)).unwrap();
            assert_eq!(read(&first), read(&second), "{architecture} {file}");
        }
    }
}

/// What the Long Range Arena's models have and transformers' have not: every key away from its default.
fn long_range_arena() -> NystromformerConfig {
    tiny().with(|config| {
        config.classifier.id2label = Labels::new(["no", "perhaps", "yes"]);
        config.shared.norm_first = true;
        config.shared.weights.weight_init = WeightInit::KaimingUniform;
        config.feed_forward.activation_dropout = 0.25;
        config.feed_forward.kind = FeedForwardKind::Gated;
        config.classifier.pooling = Pooling::MeanPadded;
        config.classifier.classifier_hidden_size = 10;
        config.classifier.classifier_act = Some(HiddenAct::Relu);
        config.classifier.classifier_dropout_prob = Some(0.0);
    })
}

/// Models that transformers' classes cannot be: configuration, weights and answers come back bit for bit.
#[test]
fn models_of_the_long_range_arena_come_back_and_answer_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::flex();
    let logits = |model: &Model| -> Vec<f32> {
        let rows =
            [[4, 7, 3, 22, 6, 5], [9, 8, 20, 1, 1, 1], [3, 3, 8, 2, 1, 1], [4, 4, 4, 4, 4, 4]];
        let mask = [[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]];
        let input = NystromformerInput::new(Tensor::from_ints(rows, &device))
            .with_attention_mask(Tensor::from_ints(mask, &device));
        let answers: &[i32] =
            if matches!(model, Model::DualEncoder(_)) { &[0, 2] } else { &[0, 1, 2, 0] };
        let targets = TargetTensors::Class(Tensor::from_ints(answers, &device));
        let logits = model.losses(input, targets).unwrap().logits.remove(0);
        logits.into_data().try_into_vec().unwrap()
    };
    for architecture in [Architecture::SequenceClassification, Architecture::DualEncoder] {
        for (pooling, positions, stem_layers) in [
            (Pooling::First, PositionEmbeddingType::Absolute, 0),
            (Pooling::Mean, PositionEmbeddingType::Axial, 1),
            (Pooling::MeanPadded, PositionEmbeddingType::Absolute, 0),
            (Pooling::FirstLast, PositionEmbeddingType::BothEnds, 0),
            (Pooling::MeanMax, PositionEmbeddingType::Rotary, 2),
        ] {
            let config = long_range_arena().with(|config| {
                config.classifier.pooling = pooling;
                config.shared.position_embedding_type = positions;
                if positions == PositionEmbeddingType::Axial {
                    config.embeddings.image_width = 4;
                    config.attention.nystrom.landmarks = LandmarkRule::Patches;
                    config.attention.nystrom.num_landmarks = 8;
                }
                config.embeddings.stem.stem_layers = stem_layers;
                config.attention.convolution.conv_per_channel = stem_layers > 0;
            });
            let model = Model::init(architecture, &config, &device).unwrap();
            save(&model, folder.path()).unwrap();
            let loaded = load_model(folder.path(), &device).unwrap();
            assert_eq!(loaded.architecture(), architecture);
            assert_eq!(loaded.config(), &config);
            let bits = |model| logits(model).into_iter().map(f32::to_bits).collect::<Vec<u32>>();
            assert_eq!(bits(&loaded), bits(&model), "{architecture} {pooling:?}");
        }
    }
}

/// Layers that differ cannot be one.
#[test]
fn layers_that_do_not_share_are_refused_as_shared() {
    let folder = tempfile::tempdir().unwrap();
    save(&NystromformerForMaskedLm::init(&tiny(), &Device::flex()).unwrap(), folder.path())
        .unwrap();
    let shared = tiny().with(|config| config.encoder.num_hidden_groups = 1);
    write_config(&shared, Architecture::MaskedLm.class(), StorageType::F32, folder.path()).unwrap();
    let error = load_model(folder.path(), &Device::flex()).unwrap_err().to_string();
    assert!(error.contains("encoder.layer.1.") && error.contains("num_hidden_groups"), "{error}");
}

/// A head for other classes, or none at all, leaves the model's own.
#[test]
fn heads_are_taken_where_they_fit() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::flex();
    let three = tiny().with(|config| config.classifier.id2label = Labels::numbered(3));
    save(&NystromformerForSequenceClassification::init(&three, &device).unwrap(), folder.path())
        .unwrap();

    let fresh = |config: &NystromformerConfig, architecture| {
        let mut model = Model::init(architecture, config, &device).unwrap();
        load_weights(&mut model, folder.path()).unwrap().fresh
    };
    assert!(fresh(&three, Architecture::SequenceClassification).is_empty());
    assert_eq!(fresh(&tiny(), Architecture::SequenceClassification).len(), 4);
    assert_eq!(fresh(&three, Architecture::TokenClassification).len(), 2);
    assert_eq!(fresh(&tiny(), Architecture::MaskedLm).len(), 5);
    assert_eq!(fresh(&tiny(), Architecture::PreTraining).len(), 5 + 4);
}

#[test]
fn loading_on_a_training_device_keeps_gradients() {
    let folder = tempfile::tempdir().unwrap();
    let model = NystromformerForMaskedLm::init(&tiny(), &Device::flex()).unwrap();
    save(&model, folder.path()).unwrap();

    let device = Device::flex().autodiff();
    let loaded = load::<NystromformerForMaskedLm>(folder.path(), &device).unwrap();
    let input_ids = Tensor::<2, Int>::from_ints([[4, 7, 3, 22, 6, 5, 9, 2]], &device);
    let loss = loaded.forward(NystromformerInput::new(input_ids)).unwrap().square().mean();
    let gradients = loss.backward();
    let embeddings = loaded.nystromformer.embeddings.tokens().unwrap();
    let query = &loaded.nystromformer.encoder.layer[0].attention.self_attention.query;
    let query = query.as_ref().unwrap();
    for weight in [&embeddings.word_embeddings.weight, &query.weight] {
        let gradient = weight.grad(&gradients).expect("a loaded parameter is trainable");
        assert!(gradient.abs().sum().into_scalar::<f32>() > 0.0);
    }
}

/// The upper half of a 32-bit float is a `bfloat16`.
#[test]
fn half_precision_weights_are_widened() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::flex();
    let model = NystromformerForMaskedLm::init(&tiny(), &device).unwrap();
    save(&model, folder.path()).unwrap();
    let path = folder.path().join("model.safetensors");
    let full = fs::read(&path).unwrap();
    let full = SafeTensors::deserialize(&full).unwrap();
    let halves: Vec<(String, Vec<usize>, Vec<u8>)> = full
        .iter()
        .map(|(name, view)| {
            let upper = view.data().chunks_exact(4).flat_map(|bytes| [bytes[2], bytes[3]]);
            (name.to_owned(), view.shape().to_vec(), upper.collect())
        })
        .collect();
    let views = halves.iter().map(|(name, shape, data)| {
        (name, TensorView::new(Dtype::BF16, shape.clone(), data).unwrap())
    });
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();

    let loaded = load::<NystromformerForMaskedLm>(folder.path(), &device).unwrap();
    let words = |model: &NystromformerForMaskedLm| {
        let weight =
            model.nystromformer.embeddings.tokens().unwrap().word_embeddings.weight.to_data();
        weight.try_into_vec::<f32>().unwrap()
    };
    let cut = |value: &f32| f32::from_bits(value.to_bits() & 0xffff_0000);
    assert_eq!(words(&loaded), words(&model).iter().map(cut).collect::<Vec<f32>>());
}

#[test]
fn weights_into_an_existing_model() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::flex();
    let saved = NystromformerForMaskedLm::init(&tiny(), &device).unwrap();
    save(&saved, folder.path()).unwrap();

    let mut model = NystromformerForMaskedLm::init(&tiny(), &device).unwrap();
    assert_ne!(logits(&model), logits(&saved));
    for path in [folder.path().to_owned(), folder.path().join("model.safetensors")] {
        let report = load_weights(&mut model, &path).unwrap();
        assert_eq!(report.loaded.len(), 5 + 2 * 17 + 5);
        assert!(report.fresh.is_empty() && report.ignored.is_empty());
        assert_eq!(logits(&model), logits(&saved));
    }
}

/// Every kind of attention, with its options and what weights it has of its own.
#[test]
fn every_kind_of_attention_comes_back_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::flex();
    for &kind in AttentionKind::ALL {
        let config = tiny().with(|config| {
            config.attention.kind = kind;
            match kind {
                AttentionKind::Nystrom => {
                    config.attention.nystrom.landmarks = LandmarkRule::Weighted;
                    config.attention.nystrom.keep_ends = true;
                    config.attention.nystrom.local_window = 4;
                }
                AttentionKind::Linformer => config.attention.linformer.linformer_k = 3,
                AttentionKind::Performer => config.attention.performer.performer_seed = 7,
                AttentionKind::Longformer => config.attention.longformer.attention_window = 4,
                AttentionKind::Agent => config.attention.agent.num_agents = 3,
                AttentionKind::Reformer => config.attention.reformer.hash_seed = 7,
                _ => {}
            }
        });
        let model = NystromformerForMaskedLm::init(&config, &device).unwrap();
        let path = folder.path().join(kind.name());
        save(&model, &path).unwrap();
        let loaded = load::<NystromformerForMaskedLm>(&path, &device).unwrap();
        assert_eq!(loaded.config(), model.config());
        assert_eq!(logits(&loaded), logits(&model), "{}", kind.name());
    }
    let names = |kind: &str| {
        let bytes = fs::read(folder.path().join(kind).join("model.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        file.names().into_iter().map(ToString::to_string).collect::<Vec<String>>()
    };
    let layer = "nystromformer.encoder.layer.1.attention.self";
    assert!(names("linformer").contains(&format!("{layer}.mechanism.compress_k")));
    assert!(names("nystrom").contains(&format!("{layer}.key.weight")));
    assert!(names("nystrom").contains(&format!("{layer}.mechanism.landmarks.key_score")));
    assert!(!names("reformer").contains(&format!("{layer}.key.weight")));
    assert!(!names("none").contains(&format!("{layer}.query.weight")));
}

#[test]
fn every_key_of_the_configuration_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    for config in [
        tiny(),
        tiny().with(|config| config.attention.convolution.conv_kernel_size = 0),
        tiny().with(|config| {
            config.shared.semantics = Semantics::Hf;
            config.attention.nystrom.pinv_init = PinvInit::Exact;
            config.attention.kind = AttentionKind::Softmax;
            config.attention.nystrom.pinv_iterations = 9;
            config.shared.layer_norm_eps = 1e-12;
            config.shared.hidden_act = HiddenAct::Silu;
        }),
        long_range_arena(),
    ] {
        write_config(&config, Architecture::MaskedLm.class(), StorageType::F32, folder.path())
            .unwrap();
        assert_eq!(read_config(folder.path()).unwrap(), config);
    }
}
