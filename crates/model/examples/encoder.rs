//! The encoder alone, on vectors of one's own, with Burn's own optimizer: every token learns the mean of its sequence.
#![expect(clippy::print_stdout, reason = "a program of the command line")]

use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Tensor};
use nystromformer::{EncoderConfig, LayerConfig, SharedConfig};

fn main() {
    let device = Device::flex().autodiff();
    let mut layer = LayerConfig::default();
    layer.shared = SharedConfig { hidden_size: 32, num_attention_heads: 2, ..layer.shared };
    layer.attention.nystrom.num_landmarks = 8;
    layer.feed_forward.intermediate_size = 64;
    let stack = EncoderConfig { num_hidden_layers: 2, ..EncoderConfig::default() };
    let mut encoder = stack.init(&layer, &device);
    let mut optimizer = AdamConfig::new().init();
    for step in 1..=200 {
        let vectors = Tensor::<3>::random([8, 64, 32], Distribution::Normal(0.0, 1.0), &device);
        let mean = vectors.clone().mean_dim(1).mul_scalar(8.0); // of variance one again
        let loss = (encoder.forward(vectors, None) - mean).square().mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &encoder);
        encoder = optimizer.step(2e-3, encoder, gradients);
        if step % 40 == 0 {
            println!("step {step}: loss {:.3}", loss.into_scalar::<f32>());
        }
    }
}
