//! The kinds of attention: what each brings, and the one list of them.
//!
//! A kind is a file (or folder) beside this one with two structs: its options, a component of the configuration that
//! implements [`AttentionOptions`], and what it computes, a module that implements [`AttentionMechanism`]. Its line in
//! the list below makes it a value of the key `attention`, its options part of [`AttentionConfig`], and its mechanism
//! part of every layer.

use burn::{
    module::Module,
    tensor::{Device, Int, Tensor},
};
use serde::{Deserialize, Serialize};

use super::{
    convolution::ConvolutionConfig,
    nystrom::{NystromAttention, NystromConfig, NystromFactors},
    padding::Padding,
    softmax::{SoftmaxAttention, SoftmaxConfig},
};
use crate::{
    component::{Problems, component},
    error::ModelError,
    shared::SharedConfig,
};

/// What a kind's options say of it, given what all parts share.
pub trait AttentionOptions {
    /// Whether it computes exact softmax attention.
    fn is_exact(&self, _shared: &SharedConfig) -> bool {
        false
    }

    /// Segments that it lays over each row's valid tokens where there is padding; `None`: it needs none.
    fn num_segments(&self, _shared: &SharedConfig) -> Option<usize> {
        None
    }

    /// The only length that it reads, in tokens; `None`: any.
    fn required_len(&self, _shared: &SharedConfig) -> Option<usize> {
        None
    }

    /// Whether a row's result depends on the other rows of its batch.
    fn mixes_rows(&self, _shared: &SharedConfig) -> bool {
        false
    }

    /// Adds what is wrong between its options and what all parts share.
    fn check_with(&self, _shared: &SharedConfig, _problems: &mut Problems) {}

    /// Checks that it can read sequences of `seq_len` tokens.
    ///
    /// # Errors
    /// Says which length it needs, and why.
    fn check_len(&self, _seq_len: usize, _shared: &SharedConfig) -> Result<(), ModelError> {
        Ok(())
    }
}

/// What a kind computes: every head's context.
pub trait AttentionMechanism {
    /// Attends every token to the valid tokens.
    ///
    /// # Shapes
    /// - `query`, `key`, `value`, output: `[batch, heads, seq_len, head_dim]`
    fn forward(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        padding: Option<&Padding>,
    ) -> Tensor<4>;

    /// The factors of its approximation by the Nyström method, if it is one.
    ///
    /// # Shapes
    /// - `query`, `key`: `[batch, heads, seq_len, head_dim]`
    fn factors(
        &self,
        _query: Tensor<4>,
        _key: Tensor<4>,
        _padding: Option<&Padding>,
    ) -> Option<NystromFactors> {
        None
    }
}

/// From the list of kinds to the key's values, the options of all and the mechanism of any.
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
        }
    };
}

attention_kinds! {
    /// Landmarks and the iterative pseudo-inverse: O(n).
    Nystrom => nystrom: NystromConfig, NystromAttention;
    /// Exact softmax attention: O(n²), the baseline.
    Softmax => softmax: SoftmaxConfig, SoftmaxAttention;
}

impl AttentionConfig {
    // Each part looks at its own values.
    fn check(&self, _: &mut Problems) {}

    /// Prepares a mask for all layers of this attention.
    ///
    /// # Shapes
    /// - `attention_mask`: `[batch, seq_len]`, 1 for a valid token and 0 for padding, anywhere in the row
    pub fn padding(&self, attention_mask: Tensor<2, Int>, shared: &SharedConfig) -> Padding {
        Padding::new(attention_mask, self.options().num_segments(shared))
    }
}

impl AttentionMechanism for Mechanism {
    fn forward(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        padding: Option<&Padding>,
    ) -> Tensor<4> {
        self.of_kind().forward(query, key, value, padding)
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
