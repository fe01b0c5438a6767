//! Gradients against central differences in float64.
//!
//! A test binary of its own: a device's float type is set once per process, before its first tensor.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "worst errors, shown by --nocapture")]

use std::sync::LazyLock;

use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::{Device, DeviceConfig, FloatDType, Int, Tensor, TensorData},
};
use nystromformer::{
    AttentionKind, FeedForwardKind, Head, HiddenAct, LandmarkRule, ModelClass, NystromformerConfig,
    NystromformerForMaskedLm, NystromformerForMultipleChoice,
    NystromformerForSequenceClassification, NystromformerInput, PinvInit, PinvMethod, Pooling,
    PositionEmbeddingType, Seed, VectorPositions,
    heads::{TargetsData, targets::cross_entropy},
};

/// A device that computes in 64 bits.
fn device() -> Device {
    static DEVICE: LazyLock<Device> = LazyLock::new(|| {
        let mut device = Device::flex();
        device.configure(DeviceConfig::default().float_dtype(FloatDType::F64)).unwrap();
        device
    });
    DEVICE.clone()
}

/// Adds `step` to one element of one parameter, counting both in traversal order.
struct Nudge {
    parameter: usize,
    element: usize,
    step: f64,
    seen: usize,
}

impl ModuleMapper for Nudge {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let here = self.seen == self.parameter;
        self.seen += 1;
        if !here {
            return param;
        }
        param.map(|tensor| {
            let device = tensor.device();
            let shape = tensor.dims();
            let mut values: Vec<f64> = tensor.into_data().try_into_vec().unwrap();
            let element = self.element % values.len();
            values[element] += self.step;
            Tensor::from_data(TensorData::new(values, shape), &device)
        })
    }
}

/// Reads one element of one parameter's gradient.
struct Pick<'a> {
    gradients: &'a burn::tensor::Gradients,
    parameter: usize,
    element: usize,
    seen: usize,
    value: f64,
}

impl burn::module::ModuleVisitor for Pick<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.seen == self.parameter {
            let gradient = param.val().grad(self.gradients).expect("every parameter has one");
            let values: Vec<f64> = gradient.into_data().try_into_vec().unwrap();
            self.value = values[self.element % values.len()];
        }
        self.seen += 1;
    }
}

fn loss(model: &NystromformerForMaskedLm, device: &Device) -> Tensor<1> {
    let ids = |rows: [[i64; 9]; 2]| Tensor::<2, Int>::from_ints(rows, device);
    let input =
        NystromformerInput::new(ids([[5, 3, 8, 2, 9, 4, 7, 6, 3], [4, 9, 2, 2, 5, 1, 1, 1, 1]]))
            .with_attention_mask(ids([[1; 9], [1, 1, 1, 1, 1, 0, 0, 0, 0]]));
    let positions = Tensor::<1, Int>::from_ints([1, 4, 7, 9, 12], device);
    let labels = Tensor::<1, Int>::from_ints([2, 5, 9, 3, 8], device);
    cross_entropy(model.forward_at(input, positions).unwrap(), labels).mean()
}

/// Compares every parameter's gradient, at three of its elements.
fn check<M: Module>(model: &M, loss: impl Fn(&M, &Device) -> Tensor<1>) {
    let gradients = loss(model, &device().autodiff()).backward();
    let plain = model.valid();
    let mut counter = Nudge { parameter: usize::MAX, element: 0, step: 0.0, seen: 0 };
    let _ = plain.clone().map(&mut counter);
    let mut worst: f64 = 0.0;
    for parameter in 0..counter.seen {
        for element in [0, 17, 40] {
            let mut pick =
                Pick { gradients: &gradients, parameter, element, seen: 0, value: f64::NAN };
            model.visit(&mut pick);
            let step = 1e-5;
            let at = |step: f64| {
                let nudged = plain.clone().map(&mut Nudge { parameter, element, step, seen: 0 });
                loss(&nudged, &device()).into_scalar::<f64>()
            };
            let difference = (at(step) - at(-step)) / (2.0 * step);
            let error = (difference - pick.value).abs() / difference.abs().max(1e-2);
            assert!(error < 1e-6, "{parameter}[{element}]: {} but {difference}", pick.value);
            worst = worst.max(error);
        }
    }
    println!("{} parameters, worst {worst:e}", counter.seen);
}

#[test]
fn gradients_equal_central_differences() {
    let tracked = device().autodiff();
    let base = NystromformerConfig::default().with(|config| {
        config.embeddings.vocab_size = 12;
        config.shared.hidden_size = 6;
        config.encoder.num_hidden_layers = 1;
        config.shared.num_attention_heads = 2;
        config.feed_forward.intermediate_size = 7;
        config.embeddings.max_position_embeddings = 10;
        config.attention.nystrom.num_landmarks = 3;
        config.attention.convolution.conv_kernel_size = 3;
        config.shared.weights.initializer_range = 0.4;
    });
    let mut configs = vec![
        base.clone(),
        base.clone().with(|config| config.attention.nystrom.pinv_init = PinvInit::Original),
        base.clone().with(|config| config.attention.nystrom.pinv = PinvMethod::Solve),
        base.clone().with(|config| {
            config.shared.hidden_act = HiddenAct::Gelu;
            config.attention.convolution.conv_kernel_size = 0;
        }),
        base.clone().with(|config| {
            config.shared.hidden_act = HiddenAct::Silu;
            config.attention.nystrom.num_landmarks = 20;
        }),
        base.clone().with(|config| {
            config.attention.kind = AttentionKind::Softmax;
            config.shared.hidden_act = HiddenAct::Tanh;
            config.attention.softmax.attention_probs_dropout_prob = 0.0;
        }),
    ];
    for hidden_act in [HiddenAct::GeluNew, HiddenAct::Gelu, HiddenAct::Silu] {
        configs.push(base.clone().with(|config| {
            config.feed_forward.kind = FeedForwardKind::Gated;
            config.shared.hidden_act = hidden_act;
            config.shared.norm_first = true;
        }));
    }
    for landmarks in [LandmarkRule::Weighted, LandmarkRule::Strided, LandmarkRule::KMeans] {
        configs.push(base.clone().with(|config| {
            config.attention.nystrom.landmarks = landmarks;
            config.attention.nystrom.num_landmarks = 4;
            config.attention.nystrom.keep_ends = landmarks == LandmarkRule::Weighted;
        }));
    }
    configs.push(base.clone().with(|config| {
        config.attention.nystrom.num_landmarks = 3;
        config.attention.nystrom.local_window = 4;
    }));
    let others = AttentionKind::ALL
        .iter()
        .filter(|kind| !matches!(kind, AttentionKind::Nystrom | AttentionKind::Softmax));
    configs.extend(others.map(|&kind| {
        base.clone().with(|config| {
            config.attention.kind = kind;
            config.attention.linformer.linformer_k = 4;
            config.attention.linformer.linformer_seq_len = 10;
            config.attention.performer.performer_features = 5;
            config.attention.longformer.attention_window = 4;
            config.attention.agent.num_agents = 3;
            config.attention.reformer.num_buckets = 2;
            config.attention.reformer.lsh_attn_chunk_length = 3;
        })
    }));
    let local = |kind, change: fn(&mut NystromformerConfig)| {
        base.clone().with(|config| {
            config.shared.hidden_size = 8;
            config.shared.position_embedding_type = kind;
            config.attention.convolution.conv_per_channel = true;
            change(config);
        })
    };
    configs.extend([
        local(PositionEmbeddingType::BothEnds, |_| {}),
        local(PositionEmbeddingType::Rotary, |config| config.shared.norm_first = true),
        local(PositionEmbeddingType::Rotary, |config| {
            config.attention.kind = AttentionKind::Softmax;
            config.attention.softmax.attention_probs_dropout_prob = 0.0;
        }),
        local(PositionEmbeddingType::Axial, |config| {
            config.embeddings.image_width = 3;
            config.embeddings.stem.stem_layers = 2;
            config.embeddings.stem.stem_kernel_size = 3;
        }),
        // A picture of one pixel more than the rows have, and one of as many.
        local(PositionEmbeddingType::Axial, |config| {
            config.embeddings.image_width = 2;
            config.attention.nystrom.landmarks = LandmarkRule::Patches;
            config.attention.nystrom.num_landmarks = 5;
        }),
        local(PositionEmbeddingType::Absolute, |config| {
            config.embeddings.max_position_embeddings = 9;
            config.embeddings.image_width = 3;
            config.attention.nystrom.landmarks = LandmarkRule::Patches;
            config.attention.nystrom.num_landmarks = 3;
            config.attention.nystrom.local_window = 2;
        }),
    ]);
    for config in configs {
        println!("{:?}", config.attention.kind);
        let config = config.with(|config| config.shared.hidden_dropout_prob = 0.0);
        let model =
            Seed::new(3).scope(|| NystromformerForMaskedLm::init(&config, &tracked)).unwrap();
        check(&model, loss);
    }
}

/// The projection, class token, positions and the pooling of bags of vectors, the second of which is padded.
#[test]
fn gradients_of_vectors_equal_central_differences() {
    let tracked = device().autodiff();
    for (vector_positions, pooling, layers) in [
        (VectorPositions::Learned, Pooling::First, 1),
        (VectorPositions::Grid, Pooling::Attention, 1),
        (VectorPositions::None, Pooling::Attention, 0),
        (VectorPositions::None, Pooling::FirstLast, 1),
        (VectorPositions::None, Pooling::MeanMax, 1),
    ] {
        let config = NystromformerConfig::default().with(|config| {
            config.vectors.num_features = 3;
            config.vectors.vector_positions = vector_positions;
            config.vectors.feature_mean = vec![0.1, -0.3, 0.2];
            config.vectors.feature_std = vec![0.5, 2.0, 1.5];
            config.shared.hidden_size = 8;
            config.shared.num_attention_heads = 2;
            config.shared.hidden_dropout_prob = 0.0;
            config.shared.weights.initializer_range = 0.4;
            config.encoder.num_hidden_layers = layers;
            config.feed_forward.intermediate_size = 7;
            config.embeddings.max_position_embeddings = 6;
            config.attention.nystrom.num_landmarks = 3;
            config.attention.convolution.conv_kernel_size = 3;
            config.classifier.pooling = pooling;
        });
        let model = Seed::new(3)
            .scope(|| NystromformerForSequenceClassification::init(&config, &tracked))
            .unwrap();
        check(&model, |model: &NystromformerForSequenceClassification, device| {
            let values: Vec<f64> = (0..30).map(|i| (f64::from(i) * 0.9).sin()).collect();
            let features = Tensor::from_data(TensorData::new(values, [2, 5, 3]), device);
            let mask = Tensor::<2, Int>::from_ints([[1; 5], [1, 1, 1, 0, 0]], device);
            let input = NystromformerInput::from_features(features).with_attention_mask(mask);
            let labels = Tensor::<1, Int>::from_ints([1, 0], device);
            cross_entropy(model.forward(input).unwrap(), labels).mean()
        });
    }
}

/// Of questions of one, three and two choices in one batch.
#[test]
fn gradients_of_choices_equal_central_differences() {
    let tracked = device().autodiff();
    let config = NystromformerConfig::default().with(|config| {
        config.embeddings.vocab_size = 12;
        config.embeddings.max_position_embeddings = 5;
        config.shared.hidden_size = 6;
        config.shared.num_attention_heads = 2;
        config.shared.hidden_dropout_prob = 0.0;
        config.shared.weights.initializer_range = 0.4;
        config.encoder.num_hidden_layers = 1;
        config.feed_forward.intermediate_size = 7;
        config.attention.nystrom.num_landmarks = 3;
        config.attention.convolution.conv_kernel_size = 3;
    });
    let model =
        Seed::new(3).scope(|| NystromformerForMultipleChoice::init(&config, &tracked)).unwrap();
    check(&model, |model: &NystromformerForMultipleChoice, device| {
        let ids: Vec<i64> = (0..6 * 5).map(|place| 1 + place * place % 11).collect();
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [6, 5]), device);
        let targets = TargetsData::Choice { labels: vec![0, 2, 1], num_choices: vec![1, 3, 2] };
        let targets = targets.into_targets(6, device);
        let losses = model.losses(NystromformerInput::new(ids), targets).unwrap();
        losses.terms[0].losses.clone().mean()
    });
}
