//! What every class of model has: a name, an encoder, a head.

use burn::{
    module::Module,
    tensor::{Device, Int, Tensor},
};

use super::{Losses, TargetTensors, TermMetric};
use crate::{
    config::NystromformerConfig,
    error::ModelError,
    linear::Linear,
    nystromformer::{Nystromformer, NystromformerInput},
    weights::draw_weights,
};

/// What a class of model is called, and what is known of it before there is a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassInfo {
    /// The class's name, as in `architectures` of a `config.json`.
    pub name: &'static str,
    /// transformers' class that loads such a model whatever its family, e.g. `AutoModelForMaskedLM`.
    /// Default: `AutoModel`.
    pub auto_class: &'static str,
    /// What the Hugging Face Hub calls the task of such a model. Default: `feature-extraction`.
    pub pipeline_tag: &'static str,
    /// Path in the module of the linear layer with one output for each class that the configuration's `id2label`
    /// names, e.g. `classifier.out_proj`. Default: none, for heads that tell no such classes apart.
    pub label_layer: Option<&'static str>,
    /// Rows of a batch that belong together and get one answer. Default: one each.
    pub rows_per_answer: RowsPerAnswer,
    /// Path in the module of the table of token embeddings, if a batch reads of it the rows of its own tokens alone, and so gives no
    /// other row a gradient. Default: none; the table may be read whole, as by a head that predicts tokens.
    pub token_table: Option<&'static str>,
    /// What an evaluation measures beside the loss. Default: nothing.
    pub metrics: &'static [TermMetric],
    /// What [`Head::scores_of_states`] scores. Default: nothing.
    pub scored: Option<Scored>,
}

/// What a head gives scores of, made of last hidden states that somebody else has computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scored {
    /// Of tokens: a row of scores each.
    Tokens,
    /// Of sequences.
    Sequences,
}

/// The table of token embeddings in a class that has its encoder in the field `nystromformer`.
pub(super) const TOKEN_TABLE: &str = "nystromformer.embeddings.word_embeddings.weight";

/// How many rows of a batch belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowsPerAnswer {
    /// Always as many: 1 for most heads, 2 for a pair of sequences that are encoded one by one.
    Always(usize),
    /// One for each choice of a question; inputs are `[batch, choices, seq_len]` in transformers.
    Choices,
}

impl ClassInfo {
    /// An encoder without a head; of a class of one's own, what one does not state.
    pub const DEFAULT: Self = Self {
        name: "NystromformerModel",
        auto_class: "AutoModel",
        pipeline_tag: "feature-extraction",
        label_layer: None,
        rows_per_answer: RowsPerAnswer::Always(1),
        token_table: None,
        metrics: &[],
        scored: None,
    };

    /// Whether the configuration's `id2label` names what the head tells apart.
    pub const fn has_labels(&self) -> bool {
        self.label_layer.is_some()
    }
}

/// A model with our encoder. What is written to a folder, or read from one, needs no more.
///
/// Files name parameters by their fields. The encoder must be the field `nystromformer` (or the model itself), and
/// modules of the head take the names that their parameters are to have.
pub trait PreTrainedModel: Module {
    /// Which class it is.
    fn class(&self) -> &'static ClassInfo;

    /// The encoder.
    fn nystromformer(&self) -> &Nystromformer;

    /// The encoder, to change.
    fn nystromformer_mut(&mut self) -> &mut Nystromformer;

    /// The configuration that the model was built from.
    fn config(&self) -> &NystromformerConfig {
        self.nystromformer().config()
    }
}

/// Makes a [`PreTrainedModel`] of a head beside an encoder: of a [`ModelClass`] with the field `nystromformer`.
macro_rules! encoder_in_field {
    ($class:ident) => {
        impl $crate::heads::PreTrainedModel for $class {
            fn class(&self) -> &'static $crate::heads::ClassInfo {
                &<Self as $crate::heads::ModelClass>::CLASS
            }

            fn nystromformer(&self) -> &$crate::nystromformer::Nystromformer {
                &self.nystromformer
            }

            fn nystromformer_mut(&mut self) -> &mut $crate::nystromformer::Nystromformer {
                &mut self.nystromformer
            }
        }
    };
}

/// A class that is known when compiling; [`Model`](super::Model) is a model whose class is not.
pub trait ModelClass: PreTrainedModel {
    /// Which class it is.
    const CLASS: ClassInfo;

    /// A fresh head on an encoder, its weights yet to be drawn; `config` is valid, and its sizes are the encoder's.
    fn from_encoder(
        nystromformer: Nystromformer,
        config: &NystromformerConfig,
        device: &Device,
    ) -> Self;

    /// Fresh weights on `device`.
    ///
    /// # Errors
    /// See [`NystromformerConfig::validate`].
    fn init(config: &NystromformerConfig, device: &Device) -> Result<Self, ModelError> {
        config.validate()?;
        let model = Self::build(config, device);
        draw_weights(&model);
        Ok(model)
    }

    /// The parts with weights yet to be drawn; `config` is valid. [`Self::init`] is for everyone else.
    #[doc(hidden)]
    fn build(config: &NystromformerConfig, device: &Device) -> Self {
        Self::from_encoder(Nystromformer::new(config, device), config, device)
    }
}

/// A model whose head answers in one of the ways of [`TargetTensors`].
pub trait Head: PreTrainedModel {
    /// Answers a batch and says how far off each answer is, by the loss that transformers' class has.
    ///
    /// # Errors
    /// [`ModelError::Targets`] if the head gives other answers, [`ModelError::Answers`] if there are not as many as the
    /// batch has rows; as for [`Nystromformer::forward`].
    ///
    /// # Panics
    /// If a label is no class, or a position no token of the batch.
    fn losses(
        &self,
        input: NystromformerInput,
        targets: TargetTensors,
    ) -> Result<Losses, ModelError>;

    /// The answers to a batch, each by transformers' name for it. `num_choices` is the number of rows of a question,
    /// which only a head for multiple choice looks at.
    ///
    /// # Errors
    /// As for [`Nystromformer::forward`].
    fn outputs(
        &self,
        input: NystromformerInput,
        num_choices: usize,
    ) -> Result<Vec<Output>, ModelError>;

    /// The scores that the head makes of last hidden states, for who compares two models; of chosen tokens or of each sequence, as
    /// [`ClassInfo::scored`] says. Default: `None`, the head makes no scores of classes of them.
    ///
    /// # Shapes
    /// - `states`: `[batch, seq_len, hidden_size]`
    /// - `attention_mask`: `[batch, seq_len]`, 1 for a token and 0 for padding; `None`: all are tokens
    /// - `positions`: `[positions]`, flat indices `row · seq_len + column`
    /// - output: `[positions, classes]` or `[batch, classes]`
    ///
    /// # Errors
    /// [`ModelError::Inputs`] if the head reads a token embedding that the encoder does not have.
    fn scores_of_states(
        &self,
        states: Tensor<3>,
        attention_mask: Option<Tensor<2, Int>>,
        positions: Tensor<1, Int>,
    ) -> Result<Option<Tensor<2>>, ModelError> {
        let _ = (states, attention_mask, positions);
        Ok(None)
    }

    /// The layer that [`ClassInfo::label_layer`] names.
    fn label_layer_mut(&mut self) -> Option<&mut Linear> {
        None
    }
}

/// One of the answers to a batch.
#[derive(Debug, Clone)]
pub struct Output {
    /// transformers' name, e.g. `logits`.
    pub name: &'static str,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values, row after row.
    pub values: Tensor<1>,
}

impl Output {
    /// A tensor of any rank by its name.
    pub fn new<const D: usize>(name: &'static str, tensor: Tensor<D>) -> Self {
        let shape = tensor.dims().to_vec();
        let values = tensor.reshape([shape.iter().product::<usize>()]);
        Self { name, shape, values }
    }
}
