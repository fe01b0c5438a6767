//! The list of kinds of attention, and what follows from it: the values of the key `attention`, the options of all kinds
//! in one [`AttentionConfig`], and [`Mechanism`], which is of any kind.

use burn::{
    module::Module,
    tensor::{Device, Int, Tensor},
};
use nystromformer_kernels::Sequences;
use serde::{Deserialize, Serialize};

use super::{
    agent::{AgentAttention, AgentConfig},
    convolution::{ConvolutionConfig, DepthwiseConvolution},
    factors::NystromFactors,
    kind::{AttentionMechanism, AttentionOptions},
    linear::{LinearAttention, LinearAttentionConfig},
    linformer::{LinformerAttention, LinformerConfig},
    longformer::{LongformerAttention, LongformerConfig},
    none::{NoAttention, NoAttentionConfig},
    nystrom::{NystromAttention, NystromConfig},
    padding::Padding,
    performer::{PerformerAttention, PerformerConfig},
    reformer::{ReformerAttention, ReformerConfig},
    softmax::{SoftmaxAttention, SoftmaxConfig},
};
use crate::{
    component::{Component, Problems, component},
    picture::Picture,
    shared::{Semantics, SharedConfig},
};

/// `$Kind => $options: $Config, $Mechanism` for every kind; the field `$options` is also the kind's name in a file.
macro_rules! attention_kinds {
    ($($(#[doc = $doc:literal])* $kind:ident => $options:ident: $config:ident, $mechanism:ident;)*) => {
        /// Which attention every layer computes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum AttentionKind {
            $($(#[doc = $doc])* $kind,)*
        }

        impl AttentionKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// Its name in a configuration file.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => stringify!($options),)*
                }
            }
        }

        component! {
            /// Which attention every layer computes, the options of each kind, and the convolution beside it.
            pub struct AttentionConfig {
                /// Attention of every layer. Default: `nystrom`.
                kind as "attention": AttentionKind = AttentionKind::Nystrom,
            } with {
                $(
                    #[doc = concat!("Read by [`AttentionKind::", stringify!($kind), "`] only.")]
                    $options: $config,
                )*
                /// The convolution skip over the values, whatever the kind.
                convolution: ConvolutionConfig,
            }
        }

        impl AttentionConfig {
            /// The keys that a kind alone reads.
            pub fn keys_of(kind: AttentionKind) -> &'static [&'static str] {
                match kind {
                    $(AttentionKind::$kind => <$config as Component>::keys(),)*
                }
            }

            /// The options of the chosen kind.
            pub fn options(&self) -> &dyn AttentionOptions {
                match self.kind {
                    $(AttentionKind::$kind => &self.$options,)*
                }
            }

            /// What the chosen kind computes, with fresh weights on `device` if it has any.
            pub(super) fn mechanism(&self, shared: &SharedConfig, device: &Device) -> Mechanism {
                match self.kind {
                    $(AttentionKind::$kind => {
                        Mechanism::$kind(self.$options.init(shared, device))
                    })*
                }
            }
        }

        /// The attention of a layer, of any kind.
        #[derive(Module, Debug)]
        pub enum Mechanism {
            $($(#[doc = $doc])* $kind($mechanism),)*
        }

        impl Mechanism {
            fn of_kind(&self) -> &dyn AttentionMechanism {
                match self {
                    $(Self::$kind(mechanism) => mechanism,)*
                }
            }

            fn of_kind_mut(&mut self) -> &mut dyn AttentionMechanism {
                match self {
                    $(Self::$kind(mechanism) => mechanism,)*
                }
            }
        }
    };
}

attention_kinds! {
    /// Landmarks and a pseudo-inverse: O(n).
    Nystrom => nystrom: NystromConfig, NystromAttention;
    /// Exact softmax attention: O(n²), the baseline.
    Softmax => softmax: SoftmaxConfig, SoftmaxAttention;
    /// Features `elu(x) + 1` in place of the exponential (Katharopoulos et al. 2020): O(n).
    Linear => linear: LinearAttentionConfig, LinearAttention;
    /// Keys and values projected to a fixed number of places (Wang et al. 2020): O(n).
    Linformer => linformer: LinformerConfig, LinformerAttention;
    /// Random features that estimate the exponential (Choromanski et al. 2020): O(n).
    Performer => performer: PerformerConfig, PerformerAttention;
    /// Tokens that hash alike (Kitaev et al. 2020): O(n), and sorting.
    Reformer => reformer: ReformerConfig, ReformerAttention;
    /// A window around each token, and a few tokens that see all (Beltagy et al. 2020): O(n).
    Longformer => longformer: LongformerConfig, LongformerAttention;
    /// Landmarks without the inverse: O(n).
    Agent => agent: AgentConfig, AgentAttention;
    /// No attention: the convolution alone.
    None => none: NoAttentionConfig, NoAttention;
}

impl AttentionConfig {
    #[expect(clippy::unused_self, reason = "each part looks at its own values")]
    fn check(&self, _: &mut Problems) {}

    /// Prepares a mask for all layers of this attention.
    ///
    /// # Shapes
    /// - `attention_mask`: `[batch, seq_len]`, 1 for a valid token and 0 for padding, anywhere in the row
    pub fn padding(&self, attention_mask: Tensor<2, Int>, shared: &SharedConfig) -> Padding {
        let is_passed_over = shared.semantics == Semantics::Paper;
        Padding::new(attention_mask, self.options().num_segments(shared), is_passed_over)
    }
}

impl AttentionMechanism for Mechanism {
    fn forward(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        padding: Option<&Padding>,
        attending: usize,
    ) -> Tensor<4> {
        self.of_kind().forward(query, key, value, padding, attending)
    }

    fn fused(
        &self,
        inputs: [Tensor<3>; 3],
        heads: usize,
        convolution: Option<&DepthwiseConvolution>,
        sequences: &Sequences,
    ) -> Option<Tensor<3>> {
        self.of_kind().fused(inputs, heads, convolution, sequences)
    }

    fn set_layer(&mut self, layer: usize) {
        self.of_kind_mut().set_layer(layer);
    }

    fn set_picture(&mut self, picture: Picture) {
        self.of_kind_mut().set_picture(picture);
    }

    fn row(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        padding: Option<&Padding>,
        position: usize,
    ) -> Option<Tensor<3>> {
        self.of_kind().row(query, key, padding, position)
    }

    fn factors(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        padding: Option<&Padding>,
    ) -> Option<NystromFactors> {
        self.of_kind().factors(query, key, padding)
    }
}
