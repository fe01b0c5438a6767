//! `bench kernels`: the kernels that take most of a workload's step, each by itself, beside the operations that it
//! stands for, and beside what the machine's memory and vectors would allow.

use std::time::{Duration, Instant};

use burn::{
    module::Module,
    tensor::{Device, Distribution, Int, Tensor},
};
use nystromformer::{ModelClass, NystromformerForMaskedLm, NystromformerForSequenceClassification};
use nystromformer_kernels::{
    AdamWStep, AdamWUpdate, Gelu, NystromParameters, PinvScale, Sequences, WeightLayout, adam_w,
    attention, cross_entropy, depthwise_convolution, gelu, iterative_pinv, layer_norm, linear,
    nystrom_attention, segment_means, set_enabled,
};
use rayon::prelude::*;
use serde::Serialize;

use super::{
    measure::{Timings, round4},
    step::MASKED_SHARE,
    workload::{Shape, Work, Workload},
};

/// One line of results: a kernel at one size.
#[derive(Debug, Serialize)]
pub struct KernelReport {
    workload: String,
    kernel: String,
    /// How often one step runs it.
    calls: usize,
    /// Forward, and backward if the workload trains, in milliseconds: Burn's own operations.
    composed_ms: f64,
    /// The same: our kernel.
    kernel_ms: f64,
    /// Reading what a pass needs and writing its results once, at the speed of a copy.
    memory_limit_ms: f64,
    /// The arithmetic of the kernel, at the speed of `gemm`'s matrix product. A matrix unit may be faster.
    arithmetic_limit_ms: f64,
    /// Bytes per second of a copy, read and written, all threads.
    copy_gb_per_s: f64,
    /// Speed of `gemm`'s product of two 2048 × 2048 matrices, all threads.
    product_gflop_per_s: f64,
}

/// What the machine can do.
#[derive(Debug, Clone, Copy)]
struct Limits {
    bytes_per_s: f64,
    flops_per_s: f64,
}

impl Limits {
    fn measure() -> Self {
        let source = vec![1.0f32; 64 << 20];
        let mut target = vec![0.0f32; source.len()];
        let copy = median(9, || {
            target
                .par_chunks_mut(1 << 16)
                .zip(source.par_chunks(1 << 16))
                .for_each(|(target, source)| target.copy_from_slice(source));
        });
        let size = 2048;
        let matrix = || random([size, size], &Device::flex());
        let (left, right) = (matrix(), matrix());
        let product = median(9, || drop(left.clone().matmul(right.clone()).into_data()));
        Self {
            bytes_per_s: (2 * size_of_val(source.as_slice())) as f64 / copy,
            flops_per_s: 2.0 * (size as f64).powi(3) / product,
        }
    }
}

/// Median seconds of `repetitions` after one that does not count.
fn median(repetitions: usize, mut work: impl FnMut()) -> f64 {
    Timings::of::<()>(1, repetitions, || {
        work();
        Ok(())
    })
    .map_or(f64::NAN, |timings| timings.median())
}

/// Times the kernels of `workload` on full rows, each `repetitions` times, and hands each result to `report`.
///
/// # Errors
/// If a model cannot be built.
pub fn bench_kernels(
    workload: Workload,
    repetitions: usize,
    mut report: impl FnMut(KernelReport),
) -> anyhow::Result<()> {
    let limits = Limits::measure();
    let shape = workload.shape(workload.default_semantics());
    let bench = Bench { trains: shape.work != Work::MaskedLmInference, repetitions };
    let mut line = |kernel: String, calls: usize, measured: Measured| {
        report(KernelReport {
            workload: workload.name(),
            kernel,
            calls,
            composed_ms: round4(measured.composed_s * 1e3),
            kernel_ms: round4(measured.kernel_s * 1e3),
            memory_limit_ms: round4(measured.bytes / limits.bytes_per_s * 1e3),
            arithmetic_limit_ms: round4(measured.flops / limits.flops_per_s * 1e3),
            copy_gb_per_s: round4(limits.bytes_per_s * 1e-9),
            product_gflop_per_s: round4(limits.flops_per_s * 1e-9),
        });
    };
    bench.layers(&shape, &mut line);
    bench.ends(&shape, &mut line)
}

/// Seconds, and the least that there is to do.
struct Measured {
    composed_s: f64,
    kernel_s: f64,
    bytes: f64,
    flops: f64,
}

struct Bench {
    trains: bool,
    repetitions: usize,
}

impl Bench {
    /// What every layer runs.
    fn layers(&self, shape: &Shape, line: &mut impl FnMut(String, usize, Measured)) {
        let config = &shape.model;
        let (layers, batch, seq_len) =
            (config.encoder.num_hidden_layers, shape.batch, shape.seq_len);
        let (hidden, heads) = (config.shared.hidden_size, config.shared.num_attention_heads);
        let (head_dim, landmarks) = (hidden / heads, config.attention.nystrom.num_landmarks);
        let rows = batch * seq_len;

        for (inputs, outputs, calls) in [
            (hidden, hidden, 4 * layers),
            (hidden, config.feed_forward.intermediate_size, layers),
            (config.feed_forward.intermediate_size, hidden, layers),
        ] {
            line(
                format!("linear {inputs} → {outputs}"),
                calls,
                self.linear(rows, inputs, outputs, WeightLayout::InputsFirst),
            );
        }
        let scale = (head_dim as f64).powf(-0.5);
        let product = 2.0 * (batch * heads * seq_len * landmarks * head_dim) as f64;
        for (name, queries, keys) in [
            ("attention, tokens over landmarks", seq_len, landmarks),
            ("attention, landmarks over tokens", landmarks, seq_len),
        ] {
            let sizes = [
                [batch, heads, queries, head_dim],
                [batch, heads, keys, head_dim],
                [batch, heads, keys, head_dim],
            ];
            // Scores and weighted sum; backwards the scores again, and a product for each of their four gradients.
            let measured =
                self.run(sizes, [2.0 * product, 5.0 * product], |[query, key, value]| {
                    attention(query, key, value, None, scale)
                });
            line(name.to_owned(), layers, measured);
        }
        let tokens = [batch, heads, seq_len, head_dim];
        let measured = self.run([tokens], [0.0; 2], |[tokens]| segment_means(tokens, landmarks));
        line("segment means".to_owned(), 2 * layers, measured);
        let squares = [batch, heads, landmarks, landmarks];
        let iterations = config.attention.nystrom.pinv_iterations;
        let product = 2.0 * (batch * heads * landmarks.pow(3) * 4 * iterations) as f64;
        let measured = self.run([squares], [product, 2.0 * product], |[kernel]| {
            let kernel = nystromformer_kernels::softmax(kernel.mul_scalar(3.0));
            iterative_pinv(kernel, iterations, PinvScale::OfEachMatrix)
        });
        line("pseudo-inverse (with a softmax)".to_owned(), layers, measured);
        let taps = config.attention.convolution.conv_kernel_size;
        let product = 2.0 * (rows * hidden * taps) as f64;
        let filter = Tensor::<2>::ones([heads, taps], &self.device()).mul_scalar(0.1);
        let measured = self.run([tokens, tokens], [product, 2.0 * product], |[value, context]| {
            depthwise_convolution(value, self.leaf(filter.clone()), Some(context))
        });
        line(format!("convolution, {taps} taps"), layers, measured);
        line("Nyström attention, whole".to_owned(), layers, self.nystrom_attention(shape));
        let measured =
            self.run([[rows, config.feed_forward.intermediate_size]], [0.0; 2], |[x]| {
                gelu(x, Gelu::Exact)
            });
        line("GELU".to_owned(), layers, measured);
        let weight = Tensor::<1>::ones([hidden], &self.device());
        let measured = self.run([[rows, hidden]; 2], [0.0; 2], |[x, residual]| {
            let parameters = [weight.clone(), weight.zeros_like()];
            let [weight, bias] = parameters.map(|parameter| self.leaf(parameter));
            layer_norm(x, Some(residual), weight, bias, 1e-5)
        });
        line("layer norm of a sum".to_owned(), 2 * layers, measured);
    }

    /// All of a layer's attention between its projections.
    fn nystrom_attention(&self, shape: &Shape) -> Measured {
        let &Shape { ref model, batch, seq_len, .. } = shape;
        let (hidden, heads) = (model.shared.hidden_size, model.shared.num_attention_heads);
        let nystrom = &model.attention.nystrom;
        let (landmarks, taps) =
            (nystrom.num_landmarks, model.attention.convolution.conv_kernel_size);
        let parameters = NystromParameters {
            heads,
            num_landmarks: landmarks,
            patches: None,
            pinv: nystrom.inverse(),
        };
        let sequences = Sequences::even(batch, seq_len);
        let filter = Tensor::<2>::ones([heads, taps], &self.device()).mul_scalar(0.1);
        let columns = (batch * hidden) as f64;
        let kernel = 2.0 * columns * (seq_len * landmarks) as f64;
        let convolution = 2.0 * columns * (seq_len * taps) as f64;
        // Kernel 2 and its inverse times the summary; four products an iteration.
        let square = 2.0 * columns * (landmarks * landmarks) as f64;
        let inverse = 2.0 * (batch * heads * landmarks.pow(3) * 4 * nystrom.pinv_iterations) as f64;
        let forward = 4.0 * kernel + convolution + 2.0 * square + inverse;
        let backward = 10.0 * kernel + 2.0 * (convolution + 2.0 * square + inverse);
        let tokens = [batch, seq_len, hidden];
        self.run([tokens; 3], [forward, backward], |[query, key, value]| {
            let filter = Some(self.leaf(filter.clone()));
            nystrom_attention(query, key, value, filter, &sequences, parameters)
        })
    }

    /// What stands before and behind the layers.
    fn ends(
        &self,
        shape: &Shape,
        line: &mut impl FnMut(String, usize, Measured),
    ) -> anyhow::Result<()> {
        let config = &shape.model;
        let total = shape.batch * shape.seq_len;
        let vocabulary = config.embeddings.vocab_size;
        if shape.work != Work::ClassificationTraining {
            let rows = if self.trains { (total as f64 * MASKED_SHARE) as usize } else { total };
            line(
                format!("decoder, {rows} rows over {vocabulary} tokens"),
                1,
                self.linear(
                    rows,
                    config.shared.hidden_size,
                    vocabulary,
                    WeightLayout::OutputsFirst,
                ),
            );
            if self.trains {
                let labels = Tensor::<1, Int>::zeros([rows], &self.device());
                let measured = self.run([[rows, vocabulary]], [0.0; 2], |[logits]| {
                    cross_entropy(logits, labels.clone())
                });
                line("cross-entropy".to_owned(), 1, measured);
            }
        }
        if self.trains {
            let parameters = match shape.work {
                Work::ClassificationTraining => {
                    NystromformerForSequenceClassification::init(config, &Device::flex())?
                        .num_params()
                }
                _ => NystromformerForMaskedLm::init(config, &Device::flex())?.num_params(),
            };
            line("AdamW".to_owned(), 1, self.adam_w(parameters));
        }
        Ok(())
    }

    fn linear(&self, rows: usize, inputs: usize, outputs: usize, layout: WeightLayout) -> Measured {
        let weight = match layout {
            WeightLayout::InputsFirst => [inputs, outputs],
            WeightLayout::OutputsFirst => [outputs, inputs],
        };
        let product = 2.0 * (rows * inputs * outputs) as f64;
        let bias = Tensor::<1>::zeros([outputs], &self.device());
        self.run([[rows, inputs], weight], [product, 2.0 * product], |[x, weight]| {
            linear(x, weight, Some(self.leaf(bias.clone())), layout)
        })
    }

    fn adam_w(&self, parameters: usize) -> Measured {
        let device = Device::flex();
        let step = AdamWStep {
            gradient_scale: 1.0,
            beta_1: 0.9,
            beta_2: 0.999,
            decay: 1.0,
            step_size: 1e-4,
            bias_correction_2_root: 1.0,
            epsilon: 1e-6,
        };
        let gradient = Tensor::<1>::ones([parameters], &device);
        let mut state = Some([gradient.clone(), gradient.zeros_like(), gradient.zeros_like()]);
        let [composed_s, kernel_s] = [false, true].map(|enabled| {
            set_enabled(enabled);
            median(self.repetitions, || {
                let [value, exp_avg, exp_avg_sq] =
                    state.take().expect("the step before put it back");
                let gradient = gradient.clone();
                state =
                    adam_w(vec![AdamWUpdate { step, value, gradient, exp_avg, exp_avg_sq }]).pop();
            })
        });
        set_enabled(true);
        Measured { composed_s, kernel_s, bytes: 7.0 * 4.0 * parameters as f64, flops: 0.0 }
    }

    /// Where the inputs live; it records gradients if the workload trains.
    fn device(&self) -> Device {
        if self.trains { Device::flex().autodiff() } else { Device::flex() }
    }

    /// `tensor` as an input or parameter whose gradient a step would want.
    fn leaf<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        if self.trains { tensor.detach().require_grad() } else { tensor }
    }

    /// Times `function` of inputs of `sizes`; `flops` are those of its forward and of its backward pass.
    fn run<const N: usize, const D: usize, const OUT: usize>(
        &self,
        sizes: [[usize; D]; N],
        flops: [f64; 2],
        function: impl Fn([Tensor<D>; N]) -> Tensor<OUT>,
    ) -> Measured {
        let inputs = sizes.map(|size| random(size, &self.device()));
        let input: f64 = sizes.iter().map(|&size| bytes(size)).sum();
        let mut output = 0.0;
        let mut times = [Vec::new(), Vec::new()];
        // In turn, so that a machine that slows down slows both down; the first of each warms up.
        for repetition in 0..=self.repetitions.max(1) {
            for (enabled, times) in [false, true].into_iter().zip(&mut times) {
                set_enabled(enabled);
                // Inputs of its own: in a step nobody else holds them, and a kernel may work in place.
                let inputs = inputs.clone().map(|input| self.leaf(input.mul_scalar(1.0)));
                let start = Instant::now();
                let result = function(inputs);
                let mut time = start.elapsed();
                output = bytes(result.dims());
                if self.trains {
                    time += backward_of(result);
                }
                if repetition > 0 {
                    times.push(time);
                }
            }
        }
        let [composed_s, kernel_s] = times.map(|mut times| {
            times.sort();
            times[times.len() / 2].as_secs_f64()
        });
        set_enabled(true);
        let [forward, backward] = flops;
        let (bytes, flops) = if self.trains {
            // Backwards, what was saved of the inputs and the output's gradient are read, and gradients of the inputs written.
            (3.0 * input + 2.0 * output, forward + backward)
        } else {
            (input + output, forward)
        };
        Measured { composed_s, kernel_s, bytes, flops }
    }
}

/// How long the backward pass of `output` takes, less what its start costs: a sum and its gradient.
fn backward_of<const D: usize>(output: Tensor<D>) -> Duration {
    let leaf = output.clone().detach().require_grad();
    let time = |tensor: Tensor<D>| {
        let loss = tensor.sum();
        let start = Instant::now();
        drop(loss.backward());
        start.elapsed()
    };
    let start = time(leaf.clone()).min(time(leaf));
    time(output).saturating_sub(start)
}

/// Bytes of a tensor.
fn bytes<const D: usize>(shape: [usize; D]) -> f64 {
    (size_of::<f32>() * shape.iter().product::<usize>()) as f64
}

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}
