//! The depthwise convolution skip over the values (paper, figure 3: `DConv`).
//!
//! One filter of odd length per head slides along the sequence, the same for all channels of the head, or one per channel; ends
//! are padded with zeros, and as in PyTorch filters are not mirrored.

use burn::{
    module::{Module, Param},
    tensor::{Device, Tensor},
};
use nystromformer_kernels::depthwise_convolution;

use crate::{
    component::{Problems, component},
    shared::{Semantics, SharedConfig},
};

component! {
    /// Options of the convolution skip.
    pub struct ConvolutionConfig {
        /// Taps of the convolution skip over the values, odd; 0 means no convolution. Default: 65.
        conv_kernel_size: usize = 65,
        /// A filter for each channel, as in depthwise convolutions elsewhere, instead of one for each head. Default: false, as
        /// in the paper.
        conv_per_channel: bool = false,
    }
}

impl ConvolutionConfig {
    fn check(&self, problems: &mut Problems) {
        problems.check_size("conv_kernel_size", self.conv_kernel_size, 0);
        problems.check(
            self.conv_kernel_size == 0 || !self.conv_kernel_size.is_multiple_of(2),
            "conv_kernel_size",
            &self.conv_kernel_size,
            "must be odd, so that the output has the input's length, or 0 for no convolution",
        );
        problems.check(
            !self.conv_per_channel || self.conv_kernel_size > 0,
            "conv_per_channel",
            &self.conv_per_channel,
            "there is no convolution with conv_kernel_size = 0: leave it out, or give that a size",
        );
    }

    /// Adds what is wrong between its options and what all parts share.
    pub(crate) fn check_with(&self, shared: &SharedConfig, problems: &mut Problems) {
        problems.check(
            !self.conv_per_channel || shared.semantics == Semantics::Paper,
            "conv_per_channel",
            &self.conv_per_channel,
            "semantics = \"hf\" is what transformers computes, which has a filter for each head: take semantics = \"paper\", or \
             leave it out",
        );
    }

    /// Fresh filters on `device`, or `None` for no convolution.
    pub fn init(&self, shared: &SharedConfig, device: &Device) -> Option<DepthwiseConvolution> {
        let taps = self.conv_kernel_size;
        let filters =
            if self.conv_per_channel { shared.hidden_size } else { shared.num_attention_heads };
        (taps > 0).then(|| DepthwiseConvolution {
            weight: shared.weights.fresh(taps).init([filters, 1, taps, 1], device),
        })
    }
}

/// A depthwise convolution along the sequence. See the [module](self).
#[derive(Module, Debug)]
pub struct DepthwiseConvolution {
    /// `[filters, 1, kernel_size, 1]`, the layout of PyTorch's `Conv2d(filters, filters, (k, 1), groups=filters)`: a filter for
    /// each head, or for each channel of all heads.
    pub weight: Param<Tensor<4>>,
}

impl DepthwiseConvolution {
    /// Convolves every head and channel along the sequence, and adds the result to `context`.
    ///
    /// # Shapes
    /// - `value`, `context`, output: `[batch, heads, seq_len, head_dim]`
    pub fn forward(&self, value: Tensor<4>, context: Tensor<4>) -> Tensor<4> {
        depthwise_convolution(value, self.filter(), Some(context))
    }

    /// The filters, `[filters, kernel_size]`.
    pub fn filter(&self) -> Tensor<2> {
        let [filters, _, taps, _] = self.weight.dims();
        self.weight.val().reshape([filters, taps])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, TensorData, Tolerance, module::conv2d, ops::ConvOptions};
    use nystromformer_kernels::{Seed, random};

    /// Burn's grouped `conv2d` is the independent statement, values and gradients.
    #[test]
    fn equals_a_grouped_convolution() {
        let device = Device::flex().autodiff();
        for (seq_len, taps, heads, head_dim) in [
            (1, 1, 1, 1),
            (5, 3, 2, 4),
            (64, 65, 2, 3),
            (7, 9, 1, 2),
            (33, 33, 3, 1),
            (200, 35, 2, 5),
        ] {
            let shapes =
                [[2, heads, seq_len, head_dim], [heads, 1, taps, 1], [2, heads, seq_len, head_dim]];
            let normal = Distribution::Normal(0.0, 1.0);
            let [value, weight, probe] =
                Seed::new(9).scope(|| shapes.map(|shape| random::<4>(shape, normal, &device)));
            let (value, weight) = (value.require_grad(), weight.require_grad());
            let options = ConvOptions::new([1, 1], [taps / 2, 0], [1, 1], heads);
            let theirs = conv2d(value.clone(), weight.clone(), None, options);
            same(&value, &weight, theirs, probe);
        }
    }

    /// With a filter for each channel, the channels of all heads are PyTorch's channels.
    #[test]
    fn filters_for_each_channel_equal_a_grouped_convolution() {
        let device = Device::flex().autodiff();
        for (seq_len, taps, heads, head_dim) in
            [(1, 1, 1, 1), (5, 3, 2, 4), (64, 65, 2, 3), (200, 35, 2, 17), (70, 9, 1, 40)]
        {
            let channels = heads * head_dim;
            let shape = [2, heads, seq_len, head_dim];
            let normal = Distribution::Normal(0.0, 1.0);
            let [value, weight, probe] = Seed::new(9).scope(|| {
                [shape, [channels, 1, taps, 1], shape]
                    .map(|shape| random::<4>(shape, normal, &device))
            });
            let (value, weight) = (value.require_grad(), weight.require_grad());
            let options = ConvOptions::new([1, 1], [taps / 2, 0], [1, 1], channels);
            let flat = value.clone().swap_dims(2, 3).reshape([2, channels, seq_len, 1]);
            let theirs = conv2d(flat, weight.clone(), None, options)
                .reshape([2, heads, head_dim, seq_len])
                .swap_dims(2, 3);
            same(&value, &weight, theirs, probe);
        }
    }

    /// Compares a convolution of ours with `theirs`, values and gradients.
    fn same(value: &Tensor<4>, weight: &Tensor<4>, theirs: Tensor<4>, probe: Tensor<4>) {
        let ours = DepthwiseConvolution { weight: Param::from_tensor(weight.clone()) }
            .forward(value.clone(), value.zeros_like());
        let close = |left: TensorData, right: TensorData| {
            left.assert_approx_eq::<f32>(&right, Tolerance::relative(1e-4).set_absolute(1e-4));
        };
        close(ours.to_data(), theirs.to_data());

        let ours = (ours * probe.clone()).sum().backward();
        let theirs = (theirs * probe).sum().backward();
        for leaf in [value, weight] {
            let grad = |grads| leaf.grad(grads).expect("the leaf is tracked").into_data();
            close(grad(&ours), grad(&theirs));
        }
    }
}
