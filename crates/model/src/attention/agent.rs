//! Agent attention, `K1 K3 V`: landmarks gather from all tokens and give to all, without the inverse that makes it Nyström's. The
//! control that says what the inverse does.
//!
//! `K1 = softmax(Q K̃ᵀ/√d)` and `K3 = softmax(Q̃ Kᵀ/√d)` as under the Nyström method, Q̃ and K̃ means over segments. Han et al. 2023
//! ("Agent Attention", equation 4) have the same product with pooled queries in the place of K̃. Of n tokens, m agents, d channels a
//! head: time O(n m d), memory O(n d + m d), and m scores for each token where Burn's operations compute.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use nystromformer_kernels::{attention, softmax};

use super::{
    kind::{Activations, AttentionMechanism, AttentionOptions, FEW_ON_GPU, WIDEST_HEAD_ON_GPU},
    nystrom::landmarks::segment_means,
    padding::Padding,
    self_attention::first_rows,
    softmax::score_scale,
};
use crate::{
    component::{Problems, component},
    shared::{Semantics, SharedConfig},
};

component! {
    /// Options of agent attention.
    pub struct AgentConfig {
        /// Agents per head: landmarks that gather and give. Default: 64.
        num_agents: usize = 64,
    }
}

impl AgentConfig {
    fn check(&self, problems: &mut Problems) {
        problems.check_size("num_agents", self.num_agents, 1);
    }

    /// The attention of a layer; it has no weights.
    pub fn init(&self, _: &SharedConfig, _: &Device) -> AgentAttention {
        AgentAttention { num_agents: self.num_agents }
    }
}

impl AttentionOptions for AgentConfig {
    fn num_segments(&self, shared: &SharedConfig) -> Option<usize> {
        (shared.semantics == Semantics::Paper).then_some(self.num_agents)
    }

    fn is_of_gpu_kernels(&self, _seq_len: usize, shared: &SharedConfig) -> bool {
        self.num_agents <= FEW_ON_GPU && shared.head_dim() <= WIDEST_HEAD_ON_GPU
    }

    fn activations(&self, seq_len: usize, shared: &SharedConfig, is_fused: bool) -> Activations {
        let tokens = seq_len.max(1) as u64;
        let agents = (self.num_agents as u64).min(tokens);
        // Queries, keys and summaries of the agents, as a share of each token.
        let of_agents = (6 * shared.hidden_size as u64 * agents).div_ceil(tokens);
        // Burn's softmax keeps its exponentials and its probabilities, of both kernels.
        let scores = if is_fused { 0 } else { 4 * shared.num_attention_heads as u64 * agents };
        Activations { kept_by_layer: scores + of_agents, at_once: scores }
    }

    fn operations(&self, _: usize, shared: &SharedConfig) -> f64 {
        8.0 * self.num_agents as f64 * shared.hidden_size as f64
    }
}

/// Agent attention.
#[derive(Module, Debug)]
pub struct AgentAttention {
    num_agents: usize,
}

impl AttentionMechanism for AgentAttention {
    fn forward(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        padding: Option<&Padding>,
        attending: usize,
    ) -> Tensor<4> {
        let scale = score_scale(&query);
        let segments = padding.and_then(Padding::segments);
        let [asking, answering] = [&query, &key].map(|x| self.agents(x, padding));
        let key_bias = padding.map(|padding| padding.key_bias.clone());
        let gathered = attention(asking, key, value, key_bias, scale);
        let agent_bias = segments.map(|segments| segments.landmark_bias.clone());
        attention(first_rows(query, attending), answering, gathered, agent_bias, scale)
    }

    fn row(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        padding: Option<&Padding>,
        position: usize,
    ) -> Option<Tensor<3>> {
        let scale = score_scale(&query);
        let [asking, answering] = [&query, &key].map(|x| self.agents(x, padding));
        let row = query.narrow(2, position, 1).mul_scalar(scale);
        let mut giving = row.matmul(answering.transpose()); // [batch, heads, 1, agents]
        let mut gathering = asking.mul_scalar(scale).matmul(key.transpose());
        if let Some(padding) = padding {
            gathering = gathering + padding.key_bias.clone();
        }
        if let Some(segments) = padding.and_then(Padding::segments) {
            giving = giving + segments.landmark_bias.clone();
        }
        Some(softmax(giving).matmul(softmax(gathering)).squeeze_dim(2))
    }
}

impl AgentAttention {
    /// Means over segments of the sequence.
    ///
    /// # Shapes
    /// - `tokens`: `[batch, heads, seq_len, head_dim]`
    /// - output: `[batch, heads, agents, head_dim]`
    fn agents(&self, tokens: &Tensor<4>, padding: Option<&Padding>) -> Tensor<4> {
        segment_means(tokens.clone(), self.num_agents, padding.and_then(Padding::segments))
    }
}
