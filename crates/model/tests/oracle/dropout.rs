//! Dropout on a GPU: it drops what the CPU drops, also where the last layer computes few tokens.

use std::env;

use burn::{
    module::Module,
    tensor::{Device, Int, Tensor, TensorData, Tolerance},
};
use nystromformer::{
    ModelClass, NystromformerConfig, NystromformerForMaskedLm, NystromformerInput, Seed,
    heads::targets::cross_entropy,
};

#[test]
fn masked_tokens_drop_what_they_drop_on_the_cpu() {
    if env::var("NYSTROMFORMER_TEST_DEVICE").as_deref() != Ok("wgpu") {
        return;
    }
    let config = NystromformerConfig::default().with(|config| {
        config.embeddings.vocab_size = 60;
        config.embeddings.max_position_embeddings = 64;
        config.shared.hidden_size = 16;
        config.shared.num_attention_heads = 2;
        config.shared.hidden_dropout_prob = 0.2;
        config.shared.weights.initializer_range = 0.3;
        config.feed_forward.intermediate_size = 32;
        config.feed_forward.activation_dropout = 0.1;
        config.encoder.num_hidden_layers = 2;
        config.attention.nystrom.num_landmarks = 8;
        config.attention.convolution.conv_kernel_size = 5;
    });
    let cpu = Device::flex().autodiff();
    let model: NystromformerForMaskedLm =
        Seed::new(4).scope(|| NystromformerForMaskedLm::init(&config, &cpu)).unwrap();
    let there = model.clone().fork(&crate::device().autodiff());
    for is_padded in [false, true] {
        let run = |model: &NystromformerForMaskedLm, seed: u64| -> [TensorData; 2] {
            let device = model.cls.predictions.bias.device();
            let ids: Vec<i32> = (0..2 * 64).map(|place| 5 + place * 7 % 50).collect();
            let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [2, 64]), &device);
            let mut input = NystromformerInput::new(ids);
            if is_padded {
                let mask: Vec<i32> = (0..2 * 64).map(|place| i32::from(place < 64 + 50)).collect();
                let mask = Tensor::<2, Int>::from_data(TensorData::new(mask, [2, 64]), &device);
                input = input.with_attention_mask(mask);
            }
            let positions = Tensor::<1, Int>::from_ints([3, 40, 70, 100], &device);
            let labels = Tensor::<1, Int>::from_ints([5, 6, 7, 8], &device);
            let logits = Seed::new(seed).scope(|| model.forward_at(input, positions)).unwrap();
            let gradients = cross_entropy(logits.clone(), labels).mean().backward();
            let weight = &model.nystromformer.encoder.layer[1].output.dense.weight;
            [logits.into_data(), weight.val().grad(&gradients).unwrap().into_data()]
        };
        let (here, there) = (run(&model, 5), run(&there, 5));
        for (found, expected) in there.iter().zip(&here) {
            let tolerance = Tolerance::relative(1e-4).set_absolute(1e-5);
            found.assert_approx_eq::<f32>(expected, tolerance);
        }
        // Another mask gives other numbers.
        let [other, _] = run(&model, 6);
        let differ =
            other.iter::<f32>().zip(here[0].iter::<f32>()).any(|(a, b)| (a - b).abs() > 0.1);
        assert!(differ, "dropout does nothing");
    }
}
