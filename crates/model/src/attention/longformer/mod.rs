//! Longformer: a window around each token, and a few tokens that see all and are seen by all (Beltagy et al. 2020, section 3.1).
//!
//! The first tokens of each row are global; window and global tokens have the same projections, where the authors' models have
//! others for the global ones.

mod global_tokens;

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use nystromformer_kernels::{FurtherKeys, attention, softmax};

use self::global_tokens::GlobalTokens;
use super::{
    kind::{Activations, AttentionMechanism, AttentionOptions},
    padding::{MASKED, Padding},
    self_attention::first_rows,
    softmax::{
        exact_activations, exact_operations, is_exact_of_gpu_kernels, score_scale,
        softmax_attention, softmax_row,
    },
    window::{Window, bias_of},
};
use crate::{
    component::{Problems, component},
    shared::SharedConfig,
};

component! {
    /// Options of Longformer's attention.
    pub struct LongformerConfig {
        /// Tokens of the window, half of them on each side of a token, which sees itself too; even. Default: 512.
        attention_window: usize = 512,
        /// Tokens at the start of each row that see all and are seen by all. Default: 1.
        num_global_tokens: usize = 1,
    }
}

impl LongformerConfig {
    fn check(&self, problems: &mut Problems) {
        problems.check_size("attention_window", self.attention_window, 2);
        problems.check(
            self.attention_window.is_multiple_of(2),
            "attention_window",
            &self.attention_window,
            "must be even: half of it lies on each side of a token",
        );
        problems.check_size("num_global_tokens", self.num_global_tokens, 0);
    }

    /// The attention of a layer; it has no weights.
    pub fn init(&self, _: &SharedConfig, _: &Device) -> LongformerAttention {
        LongformerAttention { window: self.window(), num_global_tokens: self.num_global_tokens }
    }

    fn window(&self) -> Window {
        Window::of(self.attention_window)
    }

    fn is_exact_for(&self, seq_len: usize) -> bool {
        sees_all(self.attention_window / 2, self.num_global_tokens, seq_len)
    }
}

/// Whether every token sees all.
fn sees_all(reach: usize, num_global_tokens: usize, seq_len: usize) -> bool {
    seq_len <= reach.saturating_add(1) || seq_len <= num_global_tokens
}

impl AttentionOptions for LongformerConfig {
    fn is_of_gpu_kernels(&self, seq_len: usize, shared: &SharedConfig) -> bool {
        self.is_exact_for(seq_len) && is_exact_of_gpu_kernels(seq_len, shared)
    }

    fn activations(&self, seq_len: usize, shared: &SharedConfig, is_fused: bool) -> Activations {
        if self.is_exact_for(seq_len) {
            return exact_activations(seq_len, shared, is_fused, false);
        }
        let global = self.num_global_tokens as u64;
        let mut activations = self.window().activations(global, seq_len, shared, is_fused);
        if global > 0 {
            // Contexts before those of the global tokens are put among them.
            activations.kept_by_layer += shared.hidden_size as u64;
        }
        activations
    }

    fn operations(&self, seq_len: usize, shared: &SharedConfig) -> f64 {
        if self.is_exact_for(seq_len) {
            return exact_operations(seq_len, shared);
        }
        // Its own rows, and those of the global tokens over all.
        4.0 * (self.window().tokens() + 2 * self.num_global_tokens) as f64
            * shared.hidden_size as f64
    }
}

/// Longformer's attention.
#[derive(Module, Debug)]
pub struct LongformerAttention {
    #[module(skip)]
    window: Window,
    num_global_tokens: usize,
}

impl AttentionMechanism for LongformerAttention {
    fn forward(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        padding: Option<&Padding>,
        attending: usize,
    ) -> Tensor<4> {
        let [_, _, seq_len, _] = query.dims();
        if sees_all(self.window.reach(), self.num_global_tokens, seq_len) {
            return softmax_attention(first_rows(query, attending), key, value, padding, 0.0);
        }
        let first = first_rows(query.clone(), attending);
        let key_bias = padding.map(|padding| padding.key_bias.clone());
        let Some(global) = GlobalTokens::new(self.num_global_tokens, padding) else {
            return self.window.attend(first, key, value, key_bias, None);
        };
        // In windows they are not met a second time.
        let hidden = global.places(seq_len, &query.device()).sum_dim(2).mul_scalar(MASKED);
        let local_bias = match key_bias.clone() {
            Some(key_bias) => key_bias + hidden,
            None => hidden,
        };
        let further = FurtherKeys {
            key: global.of(key.clone()),
            value: global.of(value.clone()),
            bias: global.key_bias(),
        };
        let (all_keys, all_values) = (key.clone(), value.clone());
        let local = self.window.attend(first, key, value, Some(local_bias), Some(further));
        let scale = score_scale(&query);
        global.put(local, attention(global.of(query), all_keys, all_values, key_bias, scale))
    }

    fn row(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        padding: Option<&Padding>,
        position: usize,
    ) -> Option<Tensor<3>> {
        let [_, _, seq_len, _] = query.dims();
        if sees_all(self.window.reach(), self.num_global_tokens, seq_len) {
            return Some(softmax_row(query, key, padding, position));
        }
        let device = query.device();
        let mut seen = self.window.places(position, seq_len, &device);
        if let Some(global) = GlobalTokens::new(self.num_global_tokens, padding) {
            let is_global = global.places(seq_len, &device).sum_dim(2); // [batch, 1, 1, seq_len]
            seen = seen + is_global.clone() + is_global.narrow(3, position, 1);
        }
        let bias = bias_of(seen.clamp_max(1.0));
        let scale = score_scale(&query);
        let row = query.narrow(2, position, 1).mul_scalar(scale);
        let mut scores = row.matmul(key.transpose()) + bias;
        if let Some(padding) = padding {
            scores = scores + padding.key_bias.clone();
        }
        Some(softmax(scores).squeeze_dim(2))
    }
}
