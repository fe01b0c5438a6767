//! A budget for the kernels that a step launches on a GPU, so that a path that launches more is seen. `nystromformer bench launches` counts real models.

use std::{env, process::Command};

use burn::tensor::{Int, Tensor, TensorData};
use nystromformer::heads::targets::cross_entropy;
use nystromformer::{
    ModelClass, NystromformerConfig, NystromformerForMaskedLm, NystromformerInput,
};
use nystromformer_kernels::launches::{LaunchCounter, Launches};
use nystromformer_kernels::{AdamWStep, AdamWUpdate, adam_w, sums_of_squares};

// A little more than what Mesa's software adapter counts with Burn 0.22.1: 22, 43 and 35. (Composed of Burn's own operations: 171, 327 and 156.)

/// Launches of one layer, forwards: Nyström attention of more tokens than landmarks, six iterations of the inverse, the convolution, no dropout.
const LAYER_FORWARD: usize = 24;

/// The same backwards.
const LAYER_BACKWARD: usize = 46;

/// Launches of embeddings, head and loss, forwards and backwards.
const ENDS: usize = 38;

/// Tensors of BERT-base's model for masked tokens.
const TENSORS: usize = 214;

/// Launches of the gradient's norm and AdamW over so many tensors, on Mesa's adapter, which binds 32 buffers: 9 and 31. A device that binds
/// hundreds needs 4.
const NORM_AND_OPTIMIZER: usize = 40;

/// Set for the process that counts.
const COUNTS: &str = "NYSTROMFORMER_COUNTS_LAUNCHES";

#[test]
fn a_step_stays_within_its_budget_of_launches_and_waits_for_nothing() {
    if env::var("NYSTROMFORMER_TEST_DEVICE").as_deref() != Ok("wgpu") {
        return;
    }
    if env::var_os(COUNTS).is_none() {
        // Other tests of this process launch kernels too.
        let this = "launches::a_step_stays_within_its_budget_of_launches_and_waits_for_nothing";
        let mut alone = Command::new(env::current_exe().unwrap());
        let found = alone.args([this, "--exact", "--nocapture"]).env(COUNTS, "1").output().unwrap();
        let [stdout, stderr] =
            [found.stdout, found.stderr].map(String::from_utf8).map(Result::unwrap);
        println!("{stdout}");
        assert!(found.status.success() && stdout.contains("1 passed"), "{stdout}{stderr}");
        return;
    }
    let [one, two] = [1, 2].map(Step::of);
    let of_layer = |phase: fn(&Step) -> &Launches| phase(&two).total() - phase(&one).total();
    let (forward, backward) = (of_layer(|step| &step.forward), of_layer(|step| &step.backward));
    let ends = one.forward.total() + one.backward.total() - forward - backward;
    println!("a layer: {forward} forwards, {backward} backwards; the ends: {ends}");
    println!("{two:#?}");
    assert!(forward <= LAYER_FORWARD, "{forward} launches of a layer forwards");
    assert!(backward <= LAYER_BACKWARD, "{backward} launches of a layer backwards");
    assert!(ends <= ENDS, "{ends} launches of embeddings, head and loss");
    let optimizer = norm_and_optimizer();
    println!("{optimizer:#?}");
    assert!(optimizer.total() <= NORM_AND_OPTIMIZER, "norm and AdamW: {optimizer:?}");
    for step in [one, two] {
        let reads = [step.forward, step.backward, step.loss].map(|phase| phase.read_backs);
        assert_eq!(reads, [Some(0), Some(0), Some(1)], "only the loss is read");
    }
}

/// What a step launches after another one, without the optimizer's part.
#[derive(Debug)]
struct Step {
    forward: Launches,
    backward: Launches,
    /// Reading it back.
    loss: Launches,
}

impl Step {
    /// Of a small model of so many layers, on two rows.
    fn of(layers: usize) -> Self {
        let device = crate::device().autodiff();
        let config = NystromformerConfig::default().with(|config| {
            config.embeddings.vocab_size = 60;
            config.embeddings.max_position_embeddings = 64;
            config.shared.hidden_size = 16;
            config.shared.num_attention_heads = 2;
            config.feed_forward.intermediate_size = 32;
            config.encoder.num_hidden_layers = layers;
            config.attention.nystrom.num_landmarks = 8;
            config.attention.convolution.conv_kernel_size = 5;
            config.shared.hidden_dropout_prob = 0.0;
            config.attention.softmax.attention_probs_dropout_prob = 0.0;
        });
        let model = NystromformerForMaskedLm::init(&config, &device).unwrap();
        let ids: Vec<i32> = (0..2 * 64).map(|place| 5 + place * 7 % 50).collect();
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [2, 64]), &device);
        let positions = Tensor::<1, Int>::from_ints([3, 40, 70, 100], &device);
        let labels = Tensor::<1, Int>::from_ints([5, 6, 7, 8], &device);
        let forward = || {
            let input = NystromformerInput::new(ids.clone());
            let logits = model.forward_at(input, positions.clone()).unwrap();
            cross_entropy(logits, labels.clone()).mean()
        };
        let warm_up = forward();
        drop(warm_up.backward());
        warm_up.into_scalar::<f32>();

        let counter = LaunchCounter::start();
        let loss = forward();
        let forward = counter.take();
        drop(loss.backward());
        let backward = counter.take();
        assert!(loss.into_scalar::<f32>().is_finite());
        Self { forward, backward, loss: counter.take() }
    }
}

/// What the norm and AdamW launch over [`TENSORS`] tensors that nobody else holds.
fn norm_and_optimizer() -> Launches {
    let device = crate::device();
    let step = AdamWStep {
        gradient_scale: 1.0,
        beta_1: 0.9,
        beta_2: 0.999,
        decay: 0.99,
        step_size: 1e-3,
        bias_correction_2_root: 0.1,
        epsilon: 1e-6,
    };
    let update = |number: usize| {
        let [value, gradient, exp_avg, exp_avg_sq] =
            std::array::from_fn(|_| Tensor::<1>::ones([1 + number * 7], &device));
        AdamWUpdate { step, value, gradient, exp_avg, exp_avg_sq }
    };
    let updates: Vec<AdamWUpdate> = (0..TENSORS).map(update).collect();
    let gradients = updates.iter().map(|update| update.gradient.clone()).collect();
    let counter = LaunchCounter::start();
    let sums = sums_of_squares(gradients);
    let values = adam_w(updates);
    let launches = counter.take();
    let squares = sums.into_data();
    assert!((squares.iter::<f32>()).eq((0..TENSORS).map(|number| (1 + number * 7) as f32)));
    assert_eq!(values.len(), TENSORS);
    launches
}
