//! The depthwise convolution skip over the values (paper, figure 3: `DConv`).
//!
//! One filter of odd length per head slides along the sequence, the same for all channels of the head; ends
//! are padded with zeros, and as in PyTorch the filter is not mirrored.
//!
//! A sliding filter is a banded matrix. Cut into blocks of rows, the same small matrix applies to every
//! block, so the convolution becomes two batched matrix products: on every backend these run near the
//! machine's peak, forward and backward, where grouped convolutions do not.

use burn::{
    module::{Module, Param},
    tensor::{Device, Int, Tensor},
};

use crate::{config::NystromformerConfig, init};

/// A depthwise convolution along the sequence. See the [module](self).
#[derive(Module, Debug)]
pub struct DepthwiseConvolution {
    /// `[heads, 1, kernel_size, 1]`, the layout of PyTorch's `Conv2d(heads, heads, (k, 1), groups=heads)`.
    pub weight: Param<Tensor<4>>,
}

impl DepthwiseConvolution {
    /// A fresh filter of `config.conv_kernel_size` taps per head.
    pub fn new(config: &NystromformerConfig, device: &Device) -> Self {
        let shape = [config.num_attention_heads, 1, config.conv_kernel_size, 1];
        Self { weight: init::normal(config).init(shape, device) }
    }

    /// Convolves every head and channel along the sequence.
    ///
    /// # Shapes
    /// - `value`, output: `[batch, heads, seq_len, head_dim]`
    pub fn forward(&self, value: Tensor<4>) -> Tensor<4> {
        let [batch, heads, seq_len, head_dim] = value.dims();
        let [_, _, taps, _] = self.weight.dims();
        let device = value.device();
        let half = taps / 2;

        // Block `i` of the output reads rows `i·rows .. i·rows + rows + taps − 1` of the padded values:
        // all of block `i` and the first `taps − 1` rows of block `i + 1`.
        let rows =
            (taps - 1).next_power_of_two().max(32).min(seq_len.next_power_of_two().max(taps - 1));
        let blocks = seq_len.div_ceil(rows);
        let tail = (blocks + 1) * rows - seq_len - half;
        let padded = Tensor::cat(
            vec![
                Tensor::zeros([batch, heads, half, head_dim], &device),
                value,
                Tensor::zeros([batch, heads, tail, head_dim], &device),
            ],
            2,
        )
        .reshape([batch, heads, blocks + 1, rows, head_dim]);

        let band = self.band(rows);
        let own = padded.clone().narrow(2, 0, blocks);
        let mut output = band.clone().narrow(4, 0, rows).matmul(own);
        if taps > 1 {
            let next = padded.narrow(2, 1, blocks).narrow(3, 0, taps - 1);
            output = output + band.narrow(4, rows, taps - 1).matmul(next);
        }
        output.reshape([batch, heads, blocks * rows, head_dim]).narrow(2, 0, seq_len)
    }

    /// The banded matrix of one block: entry `(i, j)` is tap `j − i`, or zero outside the filter.
    ///
    /// # Shapes
    /// - output: `[1, heads, 1, rows, rows + taps − 1]`
    fn band(&self, rows: usize) -> Tensor<5> {
        let [heads, _, taps, _] = self.weight.dims();
        let columns = rows + taps - 1;
        let device = self.weight.device();
        let offset = |length: usize| Tensor::<1, Int>::arange(0..length as i64, &device);
        let tap = offset(columns).unsqueeze_dim::<2>(0) - offset(rows).unsqueeze_dim::<2>(1);
        let outside =
            tap.clone().lower_elem(0).bool_or(tap.clone().greater_equal_elem(taps as i64));
        let tap = tap.mask_fill(outside, taps as i64); // the column of zeros added below

        let weight = self.weight.val().reshape([heads, taps]);
        let weight = Tensor::cat(vec![weight, Tensor::zeros([heads, 1], &device)], 1);
        weight.select(1, tap.reshape([rows * columns])).reshape([1, heads, 1, rows, columns])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, TensorData, Tolerance, module::conv2d, ops::ConvOptions};

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
            let random = |shape: [usize; 4]| {
                Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device)
            };
            let value = random([2, heads, seq_len, head_dim]).require_grad();
            let weight = random([heads, 1, taps, 1]).require_grad();
            let probe = random([2, heads, seq_len, head_dim]);
            let options = ConvOptions::new([1, 1], [taps / 2, 0], [1, 1], heads);

            let ours = DepthwiseConvolution { weight: Param::from_tensor(weight.clone()) }
                .forward(value.clone());
            let theirs = conv2d(value.clone(), weight.clone(), None, options);
            let close = |left: TensorData, right: TensorData| {
                left.assert_approx_eq::<f32>(&right, Tolerance::relative(1e-4).set_absolute(1e-4));
            };
            close(ours.to_data(), theirs.to_data());

            let ours = (ours * probe.clone()).sum().backward();
            let theirs = (theirs * probe).sum().backward();
            for leaf in [&value, &weight] {
                let grad = |grads| leaf.grad(grads).expect("the leaf is tracked").into_data();
                close(grad(&ours), grad(&theirs));
            }
        }
    }
}
